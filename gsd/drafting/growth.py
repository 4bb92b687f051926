"""How a draft grows, one growth for the live drafter, an atlas and a recorded round grown again. No torch.

growth = Levels(graph, settings, depth=4)
while nodes := growth.wanted():
    growth.give(*what_the_draft_says_behind(nodes))
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from gsd.drafting.graph import ROOT, TokenGraph
from gsd.drafting.settings import LevelSettings


class Growth(Protocol):
    """Grows the graph that it was made with. It sees no model: whoever knows what the draft said can grow it."""

    def wanted(self) -> list[int]:
        """The nodes to expand together next, parents first; none where the draft ends."""

    def give(self, tokens: Sequence[Sequence[int]], logq: Sequence[Sequence[float]]) -> None:
        """The candidates behind each node that was wanted, by falling probability, and their log q: [F][K]."""


class NoGrowth:
    """The root alone."""

    def wanted(self) -> list[int]:
        """Nothing."""
        return []

    def give(self, tokens: Sequence[Sequence[int]], logq: Sequence[Sequence[float]]) -> None:
        """Never called."""


class Levels:
    """Level by level: each expands the most probable nodes of the last, until `depth` or nothing is left to expand."""

    def __init__(self, graph: TokenGraph, settings: LevelSettings, depth: int) -> None:
        self._graph = graph
        self._settings = settings
        self._left = min(settings.depth, depth)
        self._frontier = [ROOT]

    def wanted(self) -> list[int]:
        """The frontier."""
        return self._frontier if self._left > 0 else []

    def give(self, tokens: Sequence[Sequence[int]], logq: Sequence[Sequence[float]]) -> None:
        """Grow one level."""
        self._frontier = self._graph.grow(self._frontier, tokens, logq, self._settings)
        self._left -= 1
