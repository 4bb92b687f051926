"""How a draft grows. Live drafters, atlases and recorded rounds use the same growth. No torch.

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
    """Grows one graph. It sees no model: the caller passes in what the draft said."""

    def wanted(self) -> list[int]:
        """The nodes to expand in the next forward, parents first. Empty: the draft ends."""

    def give(self, tokens: Sequence[Sequence[int]], logq: Sequence[Sequence[float]]) -> None:
        """Pass in the candidates of each wanted node by falling probability, and their log q: [F][K] each."""


class NoGrowth:
    """A growth that adds nothing to the root."""

    def wanted(self) -> list[int]:
        """Nothing."""
        return []

    def give(self, tokens: Sequence[Sequence[int]], logq: Sequence[Sequence[float]]) -> None:
        """Never called."""


class Levels:
    """Growth level by level. Each level expands the most probable nodes of the last one, down to `depth`."""

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
