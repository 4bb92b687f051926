"""What the loop asks of a drafter."""

from __future__ import annotations

from typing import Protocol

from gsd.drafting.graph import TokenGraph
from gsd.drafting.pace import Pace
from gsd.drafting.tree import FlatTree
from gsd.models.base import Counter, LanguageModel
from gsd.spec import DraftSpec


class Drafter(Protocol):
    """Proposes continuations of the committed text. It never sees what the target will pick."""

    counter: Counter

    def __init__(
        self, model: LanguageModel | None, spec: DraftSpec, *, vocab_size: int, record: bool, pace: Pace | None = None
    ) -> None:
        """`vocab_size` is the target's: no other token is proposed. `record` keeps every decision.

        `pace` knows what forwards cost and how drafts fared so far, for those who plan by it.
        """

    def start(self, capacity: int) -> None:
        """Begin a new text of at most `capacity` tokens."""

    def draft(self, committed: list[int], max_depth: int) -> TokenGraph:
        """A graph rooted at the last committed token, at most `max_depth` levels deep."""

    def flatten(self, graph: TokenGraph, max_depth: int) -> FlatTree:
        """The part of the draft to verify, unrolled, at most `max_depth` levels deep and `budget` nodes large."""

    def observe(self, tree: FlatTree, accepted: list[int], new_tokens: list[int]) -> None:
        """Learn which flat nodes of `tree` were accepted, and the tokens that were committed."""
