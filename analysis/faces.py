"""The three faces of a recorded round: the graph, the graph unrolled to a tree, and the verified tree.

*graph*: every drafted node once, with merge edges between nodes. *tree*: every path through the graph by itself, so a
merge edge leads to a copy of what it shares, down to the depth of the settings. (A run without merging would have
drafted another tree.) *verified*: the flattened tree within the budget, copies included. A face is plain columns;
`analysis.layout` places them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from functools import cache
from typing import TypeVar

from gsd.drafting.graph import tree_path
from gsd.drafting.tree import FlatTree, flatten
from gsd.trace.parts import TreeColumns
from gsd.trace.recorded_round import RecordedRound, once

TREE, GRAPH, VERIFIED = "tree", "graph", "verified"
NOT_VERIFIED = "not verified"
MOST_UNROLLED = 1000  # copies are drawn up to so many nodes, the likeliest first
OPENED = 24  # nodes that opening a hidden branch brings
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Face:
    """Columns over what is drawn, the root first and every parent before its children.

    `name`     tree, graph or verified
    `nodes`    the graph node that each shows; copies of a node share it
    `parents`  what it hangs on, -1 for the root
    `edges`    the merge by which it hangs there, -1 for a tree edge
    `copies`   whether it lies at or behind such a merge edge
    `flat`     its index in the verified tree, -1 where it was not verified
    `logq`     natural log of the draft's estimate that the walk arrives
    `behind`   how many hidden nodes hang on it, at whatever distance
    `joins`    merge edges between nodes drawn: (parent, node, merge); of the graph's face alone
    `spine`    the accepted path, the root first
    `whole`    nodes of the face with none hidden, the root not counted
    """

    name: str
    nodes: list[int]
    parents: list[int]
    edges: list[int]
    copies: list[bool]
    flat: list[int]
    logq: list[float]
    behind: list[int]
    joins: list[tuple[int, int, int]]
    spine: list[int]
    whole: int

    def __len__(self) -> int:
        return len(self.nodes)

    @property
    def hidden(self) -> int:
        """Nodes that are not drawn."""
        return self.whole - len(self) + 1

    def ids(self) -> list[str]:
        """A name for each: `n7` for node 7 where it was drafted, `n7.2` for its second copy."""
        seen: dict[int, int] = {}
        names: list[str] = []
        for node, copy in zip(self.nodes, self.copies):
            if copy:
                seen[node] = seen.get(node, 0) + 1
                names.append(f"n{node}.{seen[node]}")
            else:
                names.append(f"n{node}")
        return names


def face(round_: RecordedRound, name: str = GRAPH, depth: int = 0) -> Face:
    """A face of a round that was recorded with `detail: full`. Computed once.

    `depth`: the levels that a tree may have, as the run's settings say; the other faces need none.
    """
    if name == TREE:
        return _tree(round_, depth)
    return _graph(round_) if name == GRAPH else _verified(round_)


@once
def _graph(round_: RecordedRound) -> Face:
    graph, tree = round_.graph, round_.tree
    count = len(graph.parents)
    flat = [-1] * count
    for i in (*reversed(range(len(tree.nodes))), *round_.accepted):  # the accepted copy, or else the likeliest
        flat[tree.nodes[i]] = i
    joins = [(parent, node, merge) for merge, (parent, node) in enumerate(round_.merges.edges)]
    spine = [0, *(tree.nodes[i] for i in round_.accepted)]
    return Face(GRAPH, list(range(count)), graph.parents, [-1] * count, [False] * count, flat, graph.path_logq,
                [0] * count, joins, spine, count - 1)  # fmt: skip


@once
def _verified(round_: RecordedRound) -> Face:
    tree = round_.tree
    unrolled = FlatTree(tree.tokens, tree.parents, tree.depths, tree.nodes, tree.merged, tree.logq)
    edges, copies = _behind_merges(round_, unrolled)
    count = len(unrolled)
    return Face(VERIFIED, unrolled.nodes, unrolled.parents, edges, copies, list(range(count)), unrolled.logq,
                [0] * count, [], [0, *round_.accepted], count - 1)  # fmt: skip


@once
def _tree(round_: RecordedRound, depth: int) -> Face:
    unrolled = flatten(_Unrollable(round_.graph.tokens, round_.graph.parents, round_.out_edges()), MOST_UNROLLED, depth)
    edges, copies = _behind_merges(round_, unrolled)
    flat = _places_in(round_.tree, unrolled)
    spine = [i for i, place in enumerate(flat) if place in round_.reached]
    return Face(TREE, unrolled.nodes, unrolled.parents, edges, copies, flat, unrolled.logq, [0] * len(unrolled), [],
                spine, unrolled_nodes(round_, depth))  # fmt: skip


def _behind_merges(round_: RecordedRound, tree: FlatTree) -> tuple[list[int], list[bool]]:
    """The merge by which each node is reached, and whether it is a copy."""
    number = {edge: i for i, edge in enumerate(round_.merges.edges)}
    edges, copies = [-1], [False]
    for i in range(1, len(tree)):
        parent = tree.parents[i]
        edges.append(number[tree.nodes[parent], tree.nodes[i]] if tree.merged[i] else -1)
        copies.append(tree.merged[i] or copies[parent])
    return edges, copies


def _places_in(tree: TreeColumns, unrolled: FlatTree) -> list[int]:
    """The verified tree's index of each unrolled node, -1 where the budget left it out."""
    index = {edge: i for i, edge in enumerate(zip(tree.parents, tree.nodes, tree.merged))}
    places = [0]
    for i in range(1, len(unrolled)):
        edge = (places[unrolled.parents[i]], unrolled.nodes[i], unrolled.merged[i])
        places.append(index.get(edge, -1))
    return places


@dataclass(frozen=True, slots=True)
class _Unrollable:
    """What `gsd.drafting.tree.flatten` reads of a graph."""

    tokens: list[int]
    parents: list[int]
    out_edges: list[list[tuple[int, float]]]


def route(drawn: Face, round_: RecordedRound, leaf: int) -> list[int]:
    """What is drawn of the way from the root to a leaf of the verified tree."""
    path = [0, *tree_path(round_.tree.parents, leaf)]
    if drawn.name == GRAPH:
        at = {node: i for i, node in enumerate(drawn.nodes)}
        wanted = [round_.tree.nodes[i] for i in path]
    else:
        at = {place: i for i, place in enumerate(drawn.flat) if place >= 0}
        wanted = path
    return [at[one] for one in wanted if one in at]


@once
def unrolled_nodes(round_: RecordedRound, depth: int) -> int:
    """Nodes of the graph unrolled: every way through it down to `depth`, the root not counted."""
    return _below(round_)(0, depth)


@once
def shared_by_merges(round_: RecordedRound, depth: int) -> list[int]:
    """For each merge edge the nodes of the continuation it shares, its own among them, down to `depth`."""
    below, depths, merges = _below(round_), round_.graph.depths, round_.merges
    left = [depth - depths[parent] - 1 for parent in merges.parents]
    return [1 + below(node, room) if room >= 0 else 0 for node, room in zip(merges.nodes, left)]


def _below(round_: RecordedRound) -> Callable[[int, int], int]:
    """(node, levels left) -> nodes of the unrolled graph below the node."""
    edges = round_.out_edges()

    @cache
    def below(node: int, left: int) -> int:
        return sum(1 + below(child, left - 1) for child, _ in edges[node]) if left > 0 else 0

    return below


def with_needed(whole: Face, shown: set[int], opened: Collection[str] = (), needed: Iterable[int] = ()) -> list[int]:
    """What is shown, with the graph nodes `needed`, what was `opened` by id, and all that they hang on; in order."""
    wanted, names = set(needed), whole.ids()
    shown = shown | {i for i, node in enumerate(whole.nodes) if node in wanted}
    for top in [i for i in range(len(whole)) if names[i] in opened]:
        branch = [i for i in _likeliest(whole) if i not in shown and _hangs_on(whole.parents, i, top)]
        shown |= {*branch[:OPENED], top}
    for i in reversed(range(1, len(whole))):  # what is shown hangs on something shown
        if i in shown:
            shown.add(whole.parents[i])
    return sorted(shown)


def _likeliest(whole: Face) -> list[int]:
    return sorted(range(len(whole)), key=lambda i: (-whole.logq[i], i))


def _hangs_on(parents: list[int], node: int, top: int) -> bool:
    while node > top:
        node = parents[node]
    return node == top


def only(whole: Face, shown: list[int]) -> Face:
    """The face of the nodes shown alone."""
    new = {old: i for i, old in enumerate(shown)}
    behind = [0] * len(shown)
    for i in range(len(whole)):
        top = i
        while top not in new:
            top = whole.parents[top]
        behind[new[top]] += top != i

    def kept(column: list[Value]) -> list[Value]:
        return [column[i] for i in shown]

    return replace(
        whole,
        nodes=kept(whole.nodes),
        edges=kept(whole.edges),
        copies=kept(whole.copies),
        flat=kept(whole.flat),
        logq=kept(whole.logq),
        parents=[new.get(whole.parents[i], -1) for i in shown],
        behind=behind,
        joins=[(new[a], new[b], merge) for a, b, merge in whole.joins if a in new and b in new],
        spine=[new[i] for i in whole.spine],
    )


def fates(round_: RecordedRound, one: Face) -> list[str]:
    """What verification made of each node of a face: root, accepted, rejected, after the end, or not verified."""
    became = round_.verdicts
    return [became[flat] if flat >= 0 else NOT_VERIFIED for flat in one.flat]
