"""What the loop asks of a rule of acceptance, and what a rule answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch

from gsd.drafting.tree import FlatTree
from gsd.spec import Keeps, SamplingSpec
from gsd.verifying.sampling import Choices


@dataclass(frozen=True, slots=True)
class Tail:
    """One way on: the accepted path, flat indices without the root, and the target's own token behind it."""

    path: list[int]
    token: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """The ways on that a rule leaves open, at least one; what all share is committed. A rule of one text has one."""

    tails: tuple[Tail, ...]

    @property
    def accepted(self) -> list[int]:
        """Flat indices of the path that all tails share."""
        shared: list[int] = []
        for nodes in zip(*(tail.path for tail in self.tails)):
            if len(set(nodes)) > 1:
                break
            shared.append(nodes[0])
        return shared

    @property
    def bonus(self) -> int | None:
        """The target's token behind that path; None where the tails part there."""
        length = len(self.accepted)
        tokens = {tail.token if len(tail.path) == length else None for tail in self.tails}
        return tokens.pop() if len(tokens) == 1 else None


class Rule(Protocol):
    """From the target's logits to a verdict, in two parts: on the device, then on the host."""

    keeps: Keeps

    def reduce(
        self, logits: torch.Tensor, sampling: SamplingSpec, positions: list[int], tree: FlatTree, *, detail: bool
    ) -> Choices:
        """One outcome token for each node of `tree`, in one transfer: logits [N, V]; `positions` [N] of the outcomes.

        With `detail` the probabilities that the trace records as well.
        """

    def verdict(self, tree: FlatTree, choices: Choices) -> Verdict:
        """What is accepted, by the outcomes."""
