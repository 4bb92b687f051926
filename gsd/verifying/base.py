"""The protocol of acceptance rules, and the verdict that a rule returns."""

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
    """One accepted path (flat indices, without the root) and the target's own token after it."""

    path: list[int]
    token: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """The paths that a rule leaves open, at least one. What all share is committed. Most rules leave one."""

    tails: tuple[Tail, ...]

    def shared(self) -> tuple[list[int], int | None]:
        """The path that all tails share (flat indices), and the target's token after it: None if they part there."""
        first, *others = self.tails
        length = len(first.path)
        for tail in others:
            same = (a == b for a, b in zip(first.path[:length], tail.path))
            length = sum(takewhile(bool, same))
        tokens = {tail.token if len(tail.path) == length else None for tail in self.tails}
        return first.path[:length], tokens.pop() if len(tokens) == 1 else None


class Rule(Protocol):
    """An acceptance rule, in two parts: `reduce` on the device, then `verdict` on the host."""

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
        """One outcome token for each node of `tree`, in one transfer. Logits [N, V]; `positions` of outcomes [N].

        With `detail` also the probabilities that the trace records. With `top` also that many of the target's most
        probable tokens at each node, for a drafter that asks for them.
        """

    def verdict(self, tree: FlatTree, choices: Choices) -> Verdict:
        """What is accepted, given the outcomes."""
