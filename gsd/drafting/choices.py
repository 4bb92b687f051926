"""What the target said of the nodes that it verified."""

from __future__ import annotations

from dataclasses import dataclass, field

ACCEPTED, REJECTED, UNTESTED = "accepted", "rejected", "untested"  # what becomes of a draw


@dataclass(frozen=True, slots=True)
class DrawTest:
    """One draw of a draft's law behind a flat node, and how the rule of acceptance tested it.

    `rank` counts the draws of the node from 0. It is accepted where `u` < `p` / `q`: p and q are the laws of the token
    as they were left by the draws that were rejected before. All three are None where it was not tested.
    """

    node: int
    rank: int
    token: int
    u: float | None
    p: float | None
    q: float | None
    verdict: str


@dataclass(frozen=True, slots=True)
class Choices:
    """What the target picked after each flat node, and how probable things were to it.

    `tokens` [N]. With detail, else None: `logp` [N], log p of the pick; `node_logp` [N], log p of
    the flat node's own token at its parent (0 for the root, which is committed). `top` [N][K]: the
    target's likeliest tokens after each node, falling; empty where no drafter asked. `tests`: of every
    draw, with detail, where the rule tests draws.

    Under a rule that tests draws the token after a node is not the target's pick but the outcome there: the accepted
    draw, or what was drawn from what the rejected ones left of p.
    """

    tokens: list[int]
    logp: list[float] | None = None
    node_logp: list[float] | None = None
    top: list[list[int]] = field(default_factory=list)
    tests: list[DrawTest] = field(default_factory=list)
