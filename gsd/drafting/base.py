"""The protocol of drafters, and the parts that a drafter gets."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from gsd.drafting.choices import Choices
from gsd.drafting.graph import TokenGraph
from gsd.drafting.tree import FlatTree
from gsd.errors import InputError
from gsd.models.base import Counter, LanguageModel
from gsd.spec import SamplingSpec

if TYPE_CHECKING:
    from gsd.models.port import TargetPort


@dataclass(frozen=True, slots=True)
class Parts:
    """What a drafter can use.

    `target`      access to the target; None if the method does not need it. A drafter asks for hidden states when it
                  is created, before anything of the text is computed
    `draft`       the draft model; None if none is loaded
    `vocab_size`  vocabulary size of the target; tokens beyond it are not proposed
    `record`      whether to keep every decision
    `memory`      the object of the method's `memory`, one per loaded pair; None if the method has none
    `sampling`    how the target's tokens are drawn, for a draft that is drawn, too. It uses streams of its own, see
                  `gsd.noise`: with the target's noise it would know the target's picks
    """

    target: TargetPort | None
    draft: LanguageModel | None
    vocab_size: int
    record: bool
    memory: Any = None
    sampling: SamplingSpec = field(default_factory=SamplingSpec)

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
        """Draft a graph whose root is the last committed token, at most `max_depth` levels deep."""

    def flatten(self, graph: TokenGraph, max_depth: int) -> FlatTree:
        """The part of the draft to verify, unrolled, at most `max_depth` levels deep and `slots` nodes large."""

    def observe(self, tree: FlatTree, choices: Choices, accepted: list[int], new_tokens: list[int]) -> None:
        """Learn what the target chose at each node of `tree`, which were accepted, and what was committed.

        The target has committed them before, so its values for them can be read (`gsd.models.port`).
        """
