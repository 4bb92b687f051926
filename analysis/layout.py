"""Where the nodes of one recorded round are drawn. Deterministic; no drawing library.

Columns: a node's `column` is the longest way to it from the root, so every edge points right and
the accepted walk is a straight line even where it crosses merge edges; without merges that shift
depth it equals the depth. Rows: the accepted path is row 0, branches hang above (negative) and
below it. Pruned candidates and the bonus are placed last, so showing them moves nothing.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

ABOVE, BELOW = -1, 1


@dataclass(frozen=True, slots=True)
class Place:
    """A grid cell: `column` from the left, `row` with 0 for the accepted path and negative above it."""

    column: int
    row: int


@dataclass(frozen=True, slots=True)
class Layout:
    """Cells of the graph's nodes by id, of pruned candidates by index in `decisions`, and of the bonus."""

    nodes: list[Place]
    pruned: dict[int, Place]
    bonus: Place | None
    spine: list[int]  # node ids of the accepted path, the root first


def layout(step: dict[str, Any]) -> Layout:
    """Lay out one step record of the trace; it must hold a graph (`detail: full`)."""
    parents = step["graph"]["parent"]
    columns = _columns(parents, step["merges"])
    spine = [0, *(step["tree"]["node"][i] for i in step["accepted"])]
    rows = _Rows(parents, columns, spine).place()
    nodes = [Place(column, row) for column, row in zip(columns, rows)]
    bonus = Place(columns[spine[-1]] + 1, 0) if step["bonus"] else None
    taken = {*nodes, bonus}
    return Layout(nodes, _pruned(step["decisions"], nodes, taken), bonus, spine)


def _columns(parents: list[int], merges: dict[str, list[int]]) -> list[int]:
    """Longest distance from the root over tree and merge edges, of which there is no cycle."""
    children: list[list[int]] = [[] for _ in parents]
    waiting = [0] * len(parents)
    edges = [*((parent, node) for node, parent in enumerate(parents) if parent >= 0),
             *zip(merges["parent"], merges["node"])]  # fmt: skip
    for parent, node in edges:
        children[parent].append(node)
        waiting[node] += 1
    columns = [0] * len(parents)
    ready = [0]
    for node in ready:
        for child in children[node]:
            columns[child] = max(columns[child], columns[node] + 1)
            waiting[child] -= 1
            if not waiting[child]:
                ready.append(child)
    return columns


@dataclass(slots=True)
class _Rows:
    """Packs the branches outside of the spine, the ones of its far end closest to it.

    Within a column the order of rows is the order of the tree, so tree edges do not cross.
    """

    parents: list[int]
    columns: list[int]
    spine: list[int]
    used: dict[int, dict[int, int]] = field(default_factory=lambda: {ABOVE: defaultdict(int), BELOW: defaultdict(int)})

    def place(self) -> list[int]:
        """The row of each node."""
        children = self._children()
        rows = [0] * len(self.parents)
        for node in reversed(self.spine):
            for branch in children[node]:
                members = _subtree(branch, children)
                side = self._emptier_side(members)
                for member in members:
                    rows[member] = self._next_row(side, member, rows)
        return rows

    def _children(self) -> list[list[int]]:
        """Tree children that are not on the spine."""
        spine = set(self.spine)
        children: list[list[int]] = [[] for _ in self.parents]
        for node, parent in enumerate(self.parents):
            if parent >= 0 and node not in spine:
                children[parent].append(node)
        return children

    def _emptier_side(self, members: list[int]) -> int:
        """The side that stays lower with this branch on it."""
        added = Counter(self.columns[member] for member in members)
        height = {side: max(self.used[side][column] + count for column, count in added.items())
                  for side in (ABOVE, BELOW)}  # fmt: skip
        return ABOVE if height[ABOVE] < height[BELOW] else BELOW

    def _next_row(self, side: int, node: int, rows: list[int]) -> int:
        """The next free row of the node's column, not nearer to the spine than its parent."""
        column = self.columns[node]
        self.used[side][column] = max(self.used[side][column] + 1, abs(rows[self.parents[node]]))
        return side * self.used[side][column]


def _subtree(branch: int, children: list[list[int]]) -> list[int]:
    """A branch in preorder, the likeliest child first, as the graph has them."""
    members, stack = [], [branch]
    while stack:
        node = stack.pop()
        members.append(node)
        stack += reversed(children[node])
    return members


def _pruned(decisions: dict[str, list[Any]], nodes: list[Place], taken: set[Place | None]) -> dict[int, Place]:
    """Each pruned candidate in the column behind its parent, at the free row nearest to it."""
    places: dict[int, Place] = {}
    for index, kind in enumerate(decisions["kind"]):
        if kind != "pruned":
            continue
        parent = nodes[decisions["parent"][index]]
        away = ABOVE if parent.row < 0 else BELOW
        place = next(p for p in _near(parent, away) if p not in taken)
        taken.add(place)
        places[index] = place
    return places


def _near(parent: Place, away: int) -> Iterator[Place]:
    """Cells of the next column by distance from the parent's row; the spine's own row is left alone."""
    distance = 0
    while True:
        for sign in (away, -away):
            row = parent.row + sign * distance
            if row != 0:
                yield Place(parent.column + 1, row)
        distance += 1
