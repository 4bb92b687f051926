"""Where the nodes of one recorded round are drawn, by any of its faces. Deterministic; no drawing library.

Columns: a node's `column` is the longest way to it from the root, so every edge points right and
the accepted walk is a straight line even where it crosses merge edges; without merges that shift
depth it equals the depth. Rows: the accepted path is row 0, branches hang above (negative) and
below it. Pruned candidates and the bonus are placed last, so showing them moves nothing.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field

from analysis.faces import GRAPH, Face, face, only, with_needed
from gsd.trace.parts import DecisionColumns
from gsd.trace.recorded_round import RecordedRound

ABOVE, BELOW = -1, 1


@dataclass(frozen=True, slots=True)
class Place:
    """A grid cell: `column` from the left, `row` with 0 for the accepted path and negative above it."""

    column: int
    row: int


@dataclass(frozen=True, slots=True)
class Layout:
    """Cells of a face's nodes by index, of pruned candidates by index in `decisions`, and of the bonus."""

    nodes: list[Place]
    pruned: dict[int, Place]
    bonus: Place | None
    spine: list[int]  # indices of the accepted path, the root first
    stands: dict[int, int]  # graph node -> index of the drawn one: where it was drafted, or else its first copy


def layout(round_: RecordedRound, drawn: Face | None = None) -> Layout:
    """Lay out a face of one round, by default its graph; it must hold one (`detail: full`)."""
    drawn = drawn or face(round_, GRAPH)
    columns = _columns(drawn.parents, drawn.joins)
    rows = _Rows(drawn.parents, columns, drawn.spine).place()
    nodes = [Place(column, row) for column, row in zip(columns, rows)]
    walked_whole = len(drawn.spine) == len(round_.accepted) + 1
    bonus = Place(columns[drawn.spine[-1]] + 1, 0) if round_.bonus and walked_whole else None
    stands = _stands(drawn)
    at = {node: nodes[i] for node, i in stands.items()}
    return Layout(nodes, _pruned(round_.decisions, at, {*nodes, bonus}), bonus, drawn.spine, stands)


@dataclass(frozen=True, slots=True)
class Room:
    """What fits into a picture with every label readable.

    `columns`  that a picture may have, if the accepted path is no longer
    `level`    of these, so many that labels lie level; in more, they slant and need higher rows
    `rows`     besides the accepted path where labels lie level
    `slanted`  the same where they slant
    `nodes`    besides the accepted path, at most
    `reach`    columns from a node to the next by a tree edge; merges would draw some out across the picture
    """

    columns: int
    level: int
    rows: int
    slanted: int
    nodes: int
    reach: int = 3


def fitted(whole: Face, room: Room, opened: Collection[str] = (), needed: Iterable[int] = ()) -> Face:
    """As much of a face as fits: the accepted path, the likeliest node beside each of it, then the likeliest others.

    Besides, the graph nodes `needed` and what was `opened` by id, whether they fit or not. `behind` says what is left
    out.
    """
    path = with_needed(whole, set(whole.spine))  # behind a merge edge the way to where it was drafted, too
    least = _Extent.of(whole, path)
    shown = set(path)
    for node in _by_rank(whole)[: 4 * room.nodes]:
        if len(shown) - len(path) >= room.nodes:
            break
        if node not in shown and whole.parents[node] in shown:
            extent = _Extent.of(whole, sorted(shown | {node}))
            if extent.fits(room, least):
                shown.add(node)
    return only(whole, with_needed(whole, shown, opened, needed))


def _by_rank(whole: Face) -> list[int]:
    """The nodes beside the accepted path, the likeliest that hangs on each of it first."""
    spine = set(whole.spine)
    order = sorted((i for i in range(len(whole)) if i not in spine), key=lambda i: (-whole.logq[i], i))
    first: dict[int, int] = {}
    for i in order:
        if whole.parents[i] in spine:
            first.setdefault(whole.parents[i], i)
    return [*first.values(), *(i for i in order if first.get(whole.parents[i]) != i)]


@dataclass(frozen=True, slots=True)
class _Extent:
    """Columns and rows that a part of a face takes, and the columns that its longest tree edge spans."""

    columns: int
    rows: int
    reach: int

    @classmethod
    def of(cls, whole: Face, shown: list[int]) -> _Extent:
        new = {old: i for i, old in enumerate(shown)}
        parents = [new.get(whole.parents[i], -1) for i in shown]
        joins = [(new[a], new[b], merge) for a, b, merge in whole.joins if a in new and b in new]
        spine = [new[i] for i in whole.spine]
        columns = _columns(parents, joins)
        rows = _Rows(parents, columns, spine).place()
        reach = max((columns[i] - columns[parent] for i, parent in enumerate(parents) if parent >= 0), default=0)
        return cls(max(*columns, columns[spine[-1]] + 1), max(rows) - min(rows), reach)

    def fits(self, room: Room, least: _Extent) -> bool:
        """Whether there is room, where what must be drawn takes `least`."""
        rows = room.rows if self.columns <= room.level else room.slanted
        return (self.columns <= max(room.columns, least.columns) and self.rows <= rows
                and self.reach <= max(room.reach, least.reach))  # fmt: skip


def _stands(drawn: Face) -> dict[int, int]:
    found: dict[int, int] = {}
    for i in sorted(range(len(drawn)), key=lambda i: (drawn.copies[i], i)):
        found.setdefault(drawn.nodes[i], i)
    return found


def _columns(parents: list[int], joins: list[tuple[int, int, int]]) -> list[int]:
    """Longest distance from the root over tree and merge edges, of which there is no cycle."""
    children: list[list[int]] = [[] for _ in parents]
    waiting = [0] * len(parents)
    edges = [*((parent, node) for node, parent in enumerate(parents) if parent >= 0),
             *((parent, node) for parent, node, _ in joins)]  # fmt: skip
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


def _pruned(decisions: DecisionColumns, nodes: dict[int, Place], taken: set[Place | None]) -> dict[int, Place]:
    """Each pruned candidate in the column behind its parent, at the free row nearest to it."""
    places: dict[int, Place] = {}
    for index, kind in enumerate(decisions.kinds):
        parent = nodes.get(decisions.parents[index])
        if kind != "pruned" or parent is None:
            continue
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
