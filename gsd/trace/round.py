"""A round as the engine returns it, before it is written to the trace."""

from __future__ import annotations

from dataclasses import dataclass

from gsd.drafting.choices import Choices
from gsd.drafting.graph import TokenGraph
from gsd.drafting.tree import FlatTree


@dataclass(frozen=True, slots=True)
class Times:
    """Milliseconds of one round, by phase; `total` is their sum.

    `draft` and `verify` are inside the models' forwards, until the reduced result is on the host.
    """

    draft: float
    grow: float
    flatten: float
    verify: float
    commit: float
    other: float

    @property
    def total(self) -> float:
        return self.draft + self.grow + self.flatten + self.verify + self.commit + self.other


@dataclass(frozen=True, slots=True)
class Round:
    """Everything that one round did: draft, verification, commit and times."""

    number: int  # from 0
    position: int  # of the root
    graph: TokenGraph
    tree: FlatTree
    choices: Choices
    accepted: list[int]  # flat indices, cut where a stop rule cut them
    new_tokens: list[int]
    stop: str | None
    draft_forwards: int
    target_forwards: int
    times: Times
