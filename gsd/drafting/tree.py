"""Flattening: unroll the token graph to the tree that one target forward verifies.

Unrolling copies a shared continuation once per parent, so merging saves draft work, not
verification work; the budget decides which copies are worth verifying.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import numpy as np

from gsd.drafting.graph import ROOT

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True)
class Draws:
    """What a draft drew behind some of a tree's nodes, F of them, and the laws that it drew from.

    `nodes` [F] are flat indices. `tokens` [F][K] stand in the order of the draws, duplicates with replacement
    included; a law of fewer tokens without replacement gives fewer. `scores` [F, V] are logits whose softmax is the
    law of the first draw, float32, on the draft's device; V may be smaller than the target's.
    """

    nodes: list[int]
    tokens: list[list[int]]
    scores: torch.Tensor
    replacement: bool


@dataclass(frozen=True, slots=True)
class FlatTree:
    """The tree to verify, as columns over flat indices; index 0 is the root.

    A parent always comes before its child. `nodes` are graph node ids: copies of a shared
    continuation carry the id of the node that they came from. `merged[i]`: the edge into i is a
    merge edge. `logq[i]` is the natural logarithm of the estimated probability that the path reaches i: the draft's
    own estimate, or that of the edges given to `flatten`. `draws`: where the nodes were drawn.
    """

    tokens: list[int]
    parents: list[int]
    depths: list[int]
    nodes: list[int]
    merged: list[bool]
    logq: list[float]
    draws: Draws | None = field(default=None, compare=False)

    def __len__(self) -> int:
        return len(self.tokens)

    def first(self, nodes: int) -> FlatTree:
        """The tree of the root and the first `nodes` nodes after it."""
        end = nodes + 1
        return FlatTree(
            self.tokens[:end], self.parents[:end], self.depths[:end], self.nodes[:end], self.merged[:end],
            self.logq[:end],
        )  # fmt: skip

    def ancestor_mask(self) -> np.ndarray:
        """[N, N] bool: entry (i, j) is true when j is i or an ancestor of i."""
        mask = np.eye(len(self), dtype=bool)
        for i in range(1, len(self)):
            mask[i] |= mask[self.parents[i]]
        return mask


class Unrollable(Protocol):
    """What is unrolled: a `TokenGraph`, or the columns of a recorded one, by node."""

    @property
    def tokens(self) -> Sequence[int]:
        """Each node's token."""

    @property
    def parents(self) -> Sequence[int]:
        """Its tree parent, -1 for the root."""

    @property
    def out_edges(self) -> Sequence[Sequence[tuple[int, float]]]:
        """Its children and merge targets, each with the log q."""


def flatten(
    graph: Unrollable,
    budget: int,
    max_depth: int,
    *,
    expanded: Container[int] | None = None,
    edges: Callable[[int], Iterable[tuple[int, float]]] | None = None,
) -> FlatTree:
    """Unroll the graph best-first by the probability of each path: at most `budget` nodes, and the root.

    Across a merge edge the estimate is the candidate's own q, then the shared continuation's.
    `expanded`: follow edges of these nodes only, which gives the tree of a draft with fewer levels.
    `edges`: the out-edges of a node with estimates that replace the draft's own log q.
    """
    tree = FlatTree([], [], [], [], [], [])
    queue = [(-0.0, 0, ROOT, -1)]  # (-estimate, order of arrival, graph node, flat parent)
    arrivals = 1
    while queue and len(tree) <= budget:
        cost, _, node, parent = heapq.heappop(queue)
        index = len(tree)
        depth = tree.depths[parent] + 1 if index else 0
        tree.tokens.append(graph.tokens[node])
        tree.parents.append(parent)
        tree.depths.append(depth)
        tree.nodes.append(node)
        tree.merged.append(index > 0 and graph.parents[node] != tree.nodes[parent])
        tree.logq.append(-cost)
        if depth == max_depth or (expanded is not None and node not in expanded):
            continue
        for child, logq in edges(node) if edges else graph.out_edges[node]:
            heapq.heappush(queue, (cost - logq, arrivals, child, index))
            arrivals += 1
    return tree
