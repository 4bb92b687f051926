"""The empty draft."""

from __future__ import annotations

from gsd.drafting.choices import Choices
from gsd.drafting.graph import TokenGraph
from gsd.drafting.tree import FlatTree, flatten
from gsd.models.base import Counter


class NullDrafter:
    """A drafter that proposes nothing."""

    slots = 0
    top = 0

    def __init__(self) -> None:
        self.counter = Counter()

    def start(self, capacity: int) -> None:
        """Nothing to hold."""

    def draft(self, committed: list[int], max_depth: int) -> TokenGraph:
        """The root alone."""
        return TokenGraph(committed[-1:], None)

    def flatten(self, graph: TokenGraph, max_depth: int) -> FlatTree:
        """The root alone."""
        return flatten(graph, 0, 0)

    def observe(self, tree: FlatTree, choices: Choices, accepted: list[int], new_tokens: list[int]) -> None:
        """Nothing to learn."""
