"""A draft of no model, grown best-first: of all that may follow, the nodes that the walk most probably reaches."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable

from gsd.drafting.graph import ROOT, TokenGraph

Following = Callable[[int], Iterable[tuple[int, float]]]  # a node -> tokens that may follow it, with log estimates


def grow_best_first(graph: TokenGraph, budget: int, max_depth: int, source: str, following: Following) -> None:
    """Grow a graph until it unrolls to `budget` nodes behind the root, at most `max_depth` deep.

    A candidate is offered to the graph when its turn comes, so there are no nodes but those that `flatten` will take;
    one that merges is unrolled once more for each way to it. `following` is asked once a node, parents first. Its
    estimates must not be above log 1.
    """
    known: dict[int, list[tuple[int, float]]] = {}
    queue: list[tuple[float, int, int, int, int, float]] = []  # cost, arrival, parent, depth there, token, log estimate
    arrivals = 0

    def open_node(node: int, depth: int, cost: float) -> None:
        nonlocal arrivals
        if max(depth, graph.depths[node]) >= max_depth:
            return
        if node not in known:
            known[node] = list(following(node))
        for token, logp in known[node]:
            heapq.heappush(queue, (cost - logp, arrivals, node, depth + 1, token, logp))
            arrivals += 1

    open_node(ROOT, 0, 0.0)
    for _ in range(budget):
        if not queue:
            break
        cost, _, parent, depth, token, logp = heapq.heappop(queue)
        open_node(graph.offer(parent, token, logp, source), depth, cost)
