"""What the loop asks of a rule of acceptance, and what a rule answers."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import takewhile
from typing import Protocol

import torch

from gsd.drafting.choices import Choices
from gsd.drafting.tree import FlatTree
from gsd.spec import Keeps, SamplingSpec


@dataclass(frozen=True, slots=True)
class Tail:
    """One way on: the accepted path, flat indices without the root, and the target's own token behind it."""

    path: list[int]
    token: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """The ways on that a rule leaves open, at least one; what all share is committed. A rule of one text has one."""

    tails: tuple[Tail, ...]

    def shared(self) -> tuple[list[int], int | None]:
        """The path that all tails share, flat indices, and the target's token behind it; None where they part there."""
        first, *others = self.tails
        length = len(first.path)
        for tail in others:
            same = (a == b for a, b in zip(first.path[:length], tail.path))
            length = sum(takewhile(bool, same))
        tokens = {tail.token if len(tail.path) == length else None for tail in self.tails}
        return first.path[:length], tokens.pop() if len(tokens) == 1 else None


class Rule(Protocol):
    """From the target's logits to a verdict, in two parts: on the device, then on the host."""

    keeps: Keeps

    def reduce(
        self,
        logits: torch.Tensor,
        sampling: SamplingSpec,
        positions: list[int],
        tree: FlatTree,
        *,
        detail: bool,
        top: int = 0,
    ) -> Choices:
        """One outcome token for each node of `tree`, in one transfer: logits [N, V]; `positions` [N] of the outcomes.

        With `detail` the probabilities that the trace records as well. `top`: so many of the target's likeliest tokens
        at each node, for a drafter that asks for them.
        """

    def verdict(self, tree: FlatTree, choices: Choices) -> Verdict:
        """What is accepted, by the outcomes."""
