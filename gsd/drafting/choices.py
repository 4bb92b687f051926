"""What the target said of the nodes that it verified."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Choices:
    """What the target picked after each flat node, and how probable things were to it.

    `tokens` [N]. With detail, else None: `logp` [N], log p of the pick; `node_logp` [N], log p of
    the flat node's own token at its parent (0 for the root, which is committed). `top` [N][K]: the
    target's likeliest tokens after each node, falling; empty where no drafter asked.
    """

    tokens: list[int]
    logp: list[float] | None = None
    node_logp: list[float] | None = None
    top: list[list[int]] = field(default_factory=list)
