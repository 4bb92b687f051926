"""The three faces of one recorded round: as a tree, as the graph it was, and as the tree that was verified.

*graph*: every drafted node once, merge edges between them. *tree*: every way through the graph for itself, so each
merge edge leads to a copy of what it shares, down to the depth that the settings allow; what a run without merging
would have drafted is another tree. *verified*: the flattened tree under the budget, copies included. A face is plain
columns; `analysis.layout` says where they are drawn.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

from analysis.rounds import expanded_in
from gsd.drafting.tree import FlatTree, flatten

TREE, GRAPH, VERIFIED = "tree", "graph", "verified"
AFTER_END = "after the end"
NOT_VERIFIED = "not verified"
MOST_UNROLLED = 1000  # copies are drawn up to so many nodes, the likeliest first
OPENED = 24  # nodes that opening a hidden branch brings


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


def face(step: dict[str, Any], name: str = GRAPH, depth: int = 0) -> Face:
    """One face of a step record that holds its graph (`detail: full`).

    `depth`: the levels that a tree may have, as the run's settings say; the other faces need none.
    """
    if name == TREE:
        return _tree(step, depth)
    return _graph(step) if name == GRAPH else _verified(step)


def _graph(step: dict[str, Any]) -> Face:
    graph, merges, tree = step["graph"], step["merges"], step["tree"]
    count = len(graph["parent"])
    flat = [-1] * count
    for i in (*reversed(range(len(tree["node"]))), *step["accepted"]):  # the accepted copy, or else the likeliest
        flat[tree["node"][i]] = i
    joins = list(zip(merges["parent"], merges["node"], range(len(merges["node"]))))
    spine = [0, *(tree["node"][i] for i in step["accepted"])]
    return Face(GRAPH, list(range(count)), graph["parent"], [-1] * count, [False] * count, flat, graph["path_logq"],
                [0] * count, joins, spine, count - 1)  # fmt: skip


def _verified(step: dict[str, Any]) -> Face:
    tree = step["tree"]
    unrolled = FlatTree(tree["token"], tree["parent"], tree["depth"], tree["node"], tree["merged"], tree["logq"])
    edges, copies = _behind_merges(step, unrolled)
    count = len(unrolled)
    return Face(VERIFIED, unrolled.nodes, unrolled.parents, edges, copies, list(range(count)), unrolled.logq,
                [0] * count, [], [0, *step["accepted"]], count - 1)  # fmt: skip


def _tree(step: dict[str, Any], depth: int) -> Face:
    unrolled = flatten(Recorded(step), MOST_UNROLLED, depth)
    edges, copies = _behind_merges(step, unrolled)
    flat, accepted = _places_in(step["tree"], unrolled), {0, *step["accepted"]}
    spine = [i for i, place in enumerate(flat) if place in accepted]
    return Face(TREE, unrolled.nodes, unrolled.parents, edges, copies, flat, unrolled.logq, [0] * len(unrolled), [],
                spine, unrolled_nodes(step, depth))  # fmt: skip


def _behind_merges(step: dict[str, Any], tree: FlatTree) -> tuple[list[int], list[bool]]:
    """The merge by which each node is reached, and whether it is a copy."""
    merges = step["merges"]
    number = {edge: i for i, edge in enumerate(zip(merges["parent"], merges["node"]))}
    edges, copies = [-1], [False]
    for i in range(1, len(tree)):
        parent = tree.parents[i]
        edges.append(number[tree.nodes[parent], tree.nodes[i]] if tree.merged[i] else -1)
        copies.append(tree.merged[i] or copies[parent])
    return edges, copies


def _places_in(tree: dict[str, list[Any]], unrolled: FlatTree) -> list[int]:
    """The verified tree's index of each unrolled node, -1 where the budget left it out."""
    index = {edge: i for i, edge in enumerate(zip(tree["parent"], tree["node"], tree["merged"]))}
    places = [0]
    for i in range(1, len(unrolled)):
        edge = (places[unrolled.parents[i]], unrolled.nodes[i], unrolled.merged[i])
        places.append(index.get(edge, -1))
    return places


@dataclass(slots=True)
class Recorded:
    """What `gsd.drafting.tree.flatten` reads of a graph, from a step record."""

    step: dict[str, Any]
    tokens: list[int] = field(init=False)
    parents: list[int] = field(init=False)
    out_edges: list[list[tuple[int, float]]] = field(init=False)

    def __post_init__(self) -> None:
        graph, merges = self.step["graph"], self.step["merges"]
        self.tokens, self.parents = graph["token"], graph["parent"]
        self.out_edges = [[] for _ in self.tokens]
        for node, (parent, logq) in enumerate(zip(self.parents, graph["logq"])):
            if parent >= 0:
                self.out_edges[parent].append((node, logq))
        for parent, node, logq in zip(merges["parent"], merges["node"], merges["logq"]):
            self.out_edges[parent].append((node, logq))


def route(drawn: Face, step: dict[str, Any], leaf: int) -> list[int]:
    """What is drawn of the way from the root to a leaf of the verified tree."""
    path, tree = [leaf], step["tree"]
    while path[-1]:
        path.append(tree["parent"][path[-1]])
    if drawn.name == GRAPH:
        at = {node: i for i, node in enumerate(drawn.nodes)}
        wanted = [tree["node"][i] for i in reversed(path)]
    else:
        at = {place: i for i, place in enumerate(drawn.flat) if place >= 0}
        wanted = path[::-1]
    return [at[one] for one in wanted if one in at]


def verdicts(step: dict[str, Any]) -> list[str]:
    """What became of each node of the verified tree: root, accepted, rejected or after the end.

    Where a stop rule cut the path, the target's pick behind it was not committed: what hangs there was neither
    accepted nor rejected.
    """
    accepted, last = set(step["accepted"]), step["accepted"][-1] if step["accepted"] else 0
    made = ["root"]
    for i, parent in enumerate(step["tree"]["parent"][1:], 1):
        ended = made[parent] == AFTER_END or (parent == last and not step["bonus"])
        made.append(AFTER_END if ended else "accepted" if i in accepted else "rejected")
    return made


def levels(step: dict[str, Any]) -> int:
    """Draft forwards of the round, most often one a level; the last may have brought merges alone."""
    return max(expanded_in(step["graph"]), default=0)


def unrolled_nodes(step: dict[str, Any], depth: int) -> int:
    """Nodes of the graph unrolled: every way through it down to `depth`, the root not counted."""
    return _below(step)(0, depth)


def shared_by_merges(step: dict[str, Any], depth: int) -> list[int]:
    """For each merge edge the nodes of the continuation it shares, its own among them, down to `depth`."""
    below, depths = _below(step), step["graph"]["depth"]
    merges = step["merges"]
    left = [depth - depths[parent] - 1 for parent in merges["parent"]]
    return [1 + below(node, room) if room >= 0 else 0 for node, room in zip(merges["node"], left)]


def _below(step: dict[str, Any]):
    """(node, levels left) -> nodes of the unrolled graph below the node."""
    edges = Recorded(step).out_edges

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
    columns = ("nodes", "edges", "copies", "flat", "logq")
    return replace(
        whole,
        **{name: [getattr(whole, name)[i] for i in shown] for name in columns},
        parents=[new.get(whole.parents[i], -1) for i in shown],
        behind=behind,
        joins=[(new[a], new[b], merge) for a, b, merge in whole.joins if a in new and b in new],
        spine=[new[i] for i in whole.spine],
    )


def fates(step: dict[str, Any], one: Face) -> list[str]:
    """What verification made of each node of a face: root, accepted, rejected, after the end, or not verified."""
    became = verdicts(step)
    return [became[flat] if flat >= 0 else NOT_VERIFIED for flat in one.flat]
