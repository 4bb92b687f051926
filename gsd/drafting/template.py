"""Trees of a shape that is settled before a text begins: the one whose tokens cost least, by acceptance and prices.

With children of rank 1, 2 and 3 accepted in .6, .2 and .1 of cases, the best tree of three drafted nodes is a chain of
two and a second child: .6 + .36 + .2 tokens a round beside the target's own. Source: Chen et al., 2402.12374, whose
dynamic program gives the same trees where acceptance falls with the rank.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from gsd.drafting.base import Parts
from gsd.drafting.choices import Choices
from gsd.drafting.graph import ROOT, TokenGraph
from gsd.drafting.model_fed import GrowingDrafter
from gsd.drafting.settings import LevelSettings
from gsd.drafting.tree import FlatTree

PRIOR = (0.6, 0.2, 0.1)  # acceptance by rank before anything is known; each further rank half of the one before
KNOWN = 16.0  # nodes that the prior counts for


@dataclass(frozen=True, slots=True)
class Shape:
    """A tree as columns over its nodes: node 0 is the root, and a parent comes before its children.

    `ranks`  which of its parent's candidates a node is, from 0; the root's is 0
    `worth`  expected tokens of a round, the target's own among them: the sum of what every node is reached with
    """

    parents: list[int]
    ranks: list[int]
    depths: list[int]
    worth: float

    def __len__(self) -> int:
        return len(self.parents)

    @property
    def levels(self) -> int:
        """Draft forwards that it takes."""
        return max(self.depths)

    def children(self, node: int) -> list[int]:
        """By falling rank."""
        return [child for child in range(node + 1, len(self)) if self.parents[child] == node]


@dataclass(slots=True)
class AcceptanceByRank:
    """How often the child of each rank is the one that the target picks, at nodes that the walk came to.

    A rank's share is never above that of the rank before, as the draft's candidates come by falling probability.
    """

    trials: list[int] = field(default_factory=list)
    hits: list[int] = field(default_factory=list)

    def learn(self, offered: int, accepted: int | None) -> None:
        """At one node `offered` children stood, of which the one of rank `accepted` was picked, or none."""
        for counts in (self.trials, self.hits):
            counts.extend([0] * (offered - len(counts)))
        for rank in range(offered):
            self.trials[rank] += 1
        if accepted is not None:
            self.hits[accepted] += 1

    def vector(self, ranks: int) -> list[float]:
        """The share of each of so many ranks, falling."""
        falling, least = [], 1.0
        for rank in range(ranks):
            prior = PRIOR[rank] if rank < len(PRIOR) else PRIOR[-1] / 2 ** (rank - len(PRIOR) + 1)
            trials, hits = (counts[rank] if rank < len(counts) else 0 for counts in (self.trials, self.hits))
            least = min(least, (prior * KNOWN + hits) / (KNOWN + trials))
            falling.append(least)
        return falling


def grown(acceptance: Sequence[float], nodes: int, levels: int) -> Shape:
    """The shape of `nodes` drafted nodes and at most `levels` levels that is worth most; `acceptance` falls by rank.

    A node's worth is the product of acceptance along its path, so those of most worth are taken one by one.
    """
    parents, ranks, depths, worth = [-1], [0], [0], [1.0]
    queue = [(-acceptance[0], 0, ROOT, 0)] if levels else []  # (-worth, order of arrival, parent, rank)
    arrivals = itertools.count(1)
    while queue and len(parents) <= nodes:
        cost, _, parent, rank = heapq.heappop(queue)
        node = len(parents)
        parents.append(parent)
        ranks.append(rank)
        depths.append(depths[parent] + 1)
        worth.append(-cost)
        if rank + 1 < len(acceptance):
            heapq.heappush(queue, (-worth[parent] * acceptance[rank + 1], next(arrivals), parent, rank + 1))
        if depths[node] < levels:
            heapq.heappush(queue, (cost * acceptance[0], next(arrivals), node, 0))
    return Shape(parents, ranks, depths, sum(worth))


def cheapest(acceptance: Sequence[float], nodes: int, levels: int, draft_cost: float, node_cost: float) -> Shape:
    """Of all shapes of at most so many drafted nodes and levels the one whose tokens cost least.

    A round costs 1 for the target's forward, `draft_cost` for each level, `node_cost` for each drafted node.
    """
    shapes = (grown(acceptance, count, depth) for depth in range(1, levels + 1) for count in _counts(nodes))
    return min(shapes, key=lambda one: (1 + draft_cost * one.levels + node_cost * (len(one) - 1)) / one.worth)


def _counts(most: int) -> list[int]:
    """Numbers of nodes to choose among: all small ones, and larger ones by an eighth each."""
    counts = [1]
    while counts[-1] < most:
        counts.append(min(most, counts[-1] + max(1, counts[-1] // 8)))
    return counts


class PricedSettings(Protocol):
    """What the shape goes by beside acceptance."""

    width: int
    depth: int
    budget: int
    draft_cost: float
    node_cost: float


class Template:
    """Grows a graph to a shape, level by level; see `gsd.drafting.growth`."""

    def __init__(self, graph: TokenGraph, settings: LevelSettings, depth: int, shape: Shape) -> None:
        self._graph, self._settings, self._depth, self._shape = graph, settings, depth, shape
        self._level = {ROOT: 0}  # nodes of the last level, each with its node of the shape

    def wanted(self) -> list[int]:
        """Those of the last level that have children."""
        inside = (node for node in self._level if self._graph.depths[node] < self._depth)
        return [node for node in inside if self._shape.children(self._level[node])]

    def give(self, tokens: Sequence[Sequence[int]], logq: Sequence[Sequence[float]]) -> None:
        """Grow one level: behind each node as many candidates as it has children."""
        wanted, before = self.wanted(), len(self._graph)
        counts = [len(self._shape.children(self._level[node])) for node in wanted]
        offered = [row[:count] for row, count in zip(tokens, counts)]
        self._graph.grow(wanted, offered, [row[:count] for row, count in zip(logq, counts)], self._settings)
        above, self._level = self._level, {}
        left = {node: self._shape.children(above[node]) for node in wanted}
        for node in range(before, len(self._graph)):
            self._level[node] = left[self._graph.parents[node]].pop(0)


class TemplateDrafter(GrowingDrafter[Any]):
    """Drafts trees of the cheapest shape, settled anew for each text by the acceptance seen so far."""

    def __init__(self, parts: Parts, settings: Any) -> None:
        super().__init__(parts, settings, lambda own, graph, depth: Template(graph, own, depth, self._shape))
        self._seen: AcceptanceByRank = parts.memory
        self._shape = self._settled(settings)

    def start(self, capacity: int) -> None:
        """Begin a new text of at most `capacity` tokens."""
        super().start(capacity)
        self._shape = self._settled(self.settings)

    def observe(self, tree: FlatTree, choices: Choices, accepted: list[int], new_tokens: list[int]) -> None:
        """Keep the cache true, and count the rank of what was picked at every node that the walk came to."""
        super().observe(tree, choices, accepted, new_tokens)
        walked = [ROOT, *accepted][: len(new_tokens)]
        offered: dict[int, list[int]] = {node: [] for node in walked}
        for child, parent in enumerate(tree.parents):
            if parent in offered:
                offered[parent].append(child)
        for node, children in offered.items():
            taken = next(
                (rank for rank, child in enumerate(children) if tree.tokens[child] == choices.tokens[node]), None
            )
            self._seen.learn(len(children), taken)

    def _settled(self, settings: PricedSettings) -> Shape:
        """The cheapest shape by what was seen."""
        acceptance = self._seen.vector(settings.width)
        return cheapest(acceptance, settings.budget, settings.depth, settings.draft_cost, settings.node_cost)
