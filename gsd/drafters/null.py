"""Plain autoregressive decoding: the same loop with an empty draft."""

from __future__ import annotations

from gsd.config import DraftSpec
from gsd.graph import TokenGraph
from gsd.models.base import Counter, LanguageModel
from gsd.tree import FlatTree


class NullDrafter:
    """Proposes nothing."""

    def __init__(self, model: LanguageModel | None, spec: DraftSpec, *, vocab_size: int, record: bool) -> None:
        self.counter = Counter()

    def start(self, capacity: int) -> None:
        """Nothing to hold."""

    def draft(self, committed: list[int], max_depth: int) -> TokenGraph:
        """The root alone."""
        return TokenGraph(committed[-1:], None)

    def observe(self, tree: FlatTree, accepted: list[int]) -> None:
        """Nothing to learn."""
