"""What the loop asks of a drafter, and what a drafter is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from gsd.drafting.choices import Choices
from gsd.drafting.graph import TokenGraph
from gsd.drafting.tree import FlatTree
from gsd.errors import InputError
from gsd.models.base import Counter, LanguageModel

if TYPE_CHECKING:
    from gsd.models.port import TargetPort


@dataclass(frozen=True, slots=True)
class Parts:
    """What a drafter may draft with.

    `target`      what it may read of the target; None where its method does not need it. Hidden states are asked for
                  when the drafter is made: by then nothing of the text is computed
    `draft`       the draft model; None where none is loaded
    `vocab_size`  the target's: no other token is proposed
    `record`      keep every decision
    `memory`      what the method made to last from text to text, kept per pair; None where it made nothing
    """

    target: TargetPort | None
    draft: LanguageModel | None
    vocab_size: int
    record: bool
    memory: Any = None

    def needed_draft(self) -> LanguageModel:
        """The draft model. Raises `InputError` where none is loaded."""
        if self.draft is None:
            raise InputError("this method drafts with a model and none is loaded: name one with --draft")
        return self.draft


class Drafter(Protocol):
    """Proposes continuations of the committed text. It never sees what the target will pick."""

    counter: Counter
    slots: int  # nodes that one round may have verified, for which the target holds room
    top: int  # of the target's likeliest tokens, how many it wants to see of each verified node

    def start(self, capacity: int) -> None:
        """Begin a new text of at most `capacity` tokens."""

    def draft(self, committed: list[int], max_depth: int) -> TokenGraph:
        """A graph rooted at the last committed token, at most `max_depth` levels deep."""

    def flatten(self, graph: TokenGraph, max_depth: int) -> FlatTree:
        """The part of the draft to verify, unrolled, at most `max_depth` levels deep and `slots` nodes large."""

    def observe(self, tree: FlatTree, choices: Choices, accepted: list[int], new_tokens: list[int]) -> None:
        """Learn what the target chose at each node of `tree`, which were accepted, and what was committed.

        The target has kept them by now, so what it computed of them is there to be read, see `gsd.models.port`.
        """
