"""A round as an interactive SVG, by any of its faces; selections come back as ids.

What can be picked: `n7` is graph node 7 (whichever of its copies), `m2` merge edge 2, `c5` the pruned candidate
of decision 5, `b` the bonus, `+n7` the nodes hidden behind n7, `+n7.2` those behind its second copy.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import streamlit as st

from analysis.faces import NOT_VERIFIED, Face, face, fates
from analysis.layout import Layout, Place, Room, fitted, layout
from analysis.sources import FOUND, is_found
from analysis.words import percent
from gsd.trace.recorded_round import AFTER_END, RecordedRound

KINDS = {AFTER_END: "ended", NOT_VERIFIED: "unverified"}  # of marks; a fate not named here is one itself
HEIGHT = 440  # pixels
TALL = 640  # for runs with a round of more nodes than
MANY_NODES = 40
# What is legible, by the width of the picture; the rest is folded unless asked for.
SMALL = Room(columns=24, level=7, rows=8, slanted=5, nodes=30)
LARGE = Room(columns=40, level=14, rows=9, slanted=6, nodes=40)

_HERE = Path(__file__).parent
_mount = st.components.v2.component(
    "gsd_graph_view",
    html='<div class="graph-view"></div>',
    css=(_HERE / "graph_view.css").read_text(),
    js=(_HERE / "graph_view.js").read_text(),
)


def graph_view(data: dict[str, Any], *, key: str, on_pick: Callable[[], None]) -> None:
    """Draw `data` (from `graph_data`); a click leaves `{"id", "seq"}` in `st.session_state[key]["pick"]`."""
    _mount(data=data, key=key, on_pick_change=on_pick)


def large_graph_view(data: dict[str, Any], *, key: str, on_pick: Callable[[], None]) -> None:
    """The same for a picture that asks, by `room_of`, how wide it came out."""
    _mount(data=data | {"large": True}, key=key, on_pick_change=on_pick, on_narrow_change=lambda: None)


def room_of(key: str) -> Room:
    """The room of a large picture; on a narrow page, which it tells once it is drawn, that of a small one."""
    return SMALL if (st.session_state.get(key) or {}).get("narrow") else LARGE


@dataclass(frozen=True, slots=True)
class Frame:
    """The room of a picture: columns that it keeps at least, and its greatest height in pixels or as a CSS length.

    It is no higher than what is drawn.
    """

    columns: int
    height: int | str

    @classmethod
    def of(cls, rounds: Sequence[RecordedRound], height: int | str | None = None) -> Frame:
        """Room for the deepest graph and its bonus; unless said, up to more height where some graph has many nodes."""
        depth = max(max(round_.graph.depths) for round_ in rounds)
        many = max(len(round_.graph) for round_ in rounds) > MANY_NODES
        return cls(depth + 1, height or (TALL if many else HEIGHT))


@dataclass(frozen=True, slots=True)
class Shown:
    """What of a round is drawn, and how; by default its whole graph.

    `face`   a face of the round, all of it or what fits
    `marks`  of graph nodes: `gained` or `lost` by other settings, or empty
    `path`   indices of the face to bring out, such as a hypothesis
    """

    face: Face
    marks: Sequence[str] = ()
    path: Sequence[int] = ()


def manageable(round_: RecordedRound) -> Face:
    """The graph of a round, as much of it as a small picture holds."""
    return fitted(face(round_), SMALL)


def graph_data(
    round_: RecordedRound,
    *,
    run: str,
    frame: Frame,
    show_pruned: bool,
    selected: str | None,
    shown: Shown | None = None,
) -> dict[str, Any]:
    """What the component draws, as columns."""
    shown = shown or Shown(face(round_))
    made = layout(round_, shown.face)
    drawn = _Drawn(shown.face.ids())
    _add_nodes(drawn, round_, made, shown)
    _add_edges(drawn, round_, made, shown.face)
    if made.bonus:
        _add_bonus(drawn, round_, made)
    if show_pruned:
        _add_pruned(drawn, round_, made)
    columns = 1 if shown.face.hidden else frame.columns  # what is folded needs no room
    return {"key": f"{run}:{round_.number}", "columns": columns, "height": _css(frame.height),
            "selected": selected, "path": [drawn.ids[i] for i in shown.path], "nodes": drawn.nodes,
            "edges": drawn.edges}  # fmt: skip


class _Drawn:
    """Columns of nodes and edges, as they are sent. `id` is unique; `ref` is what a click on it picks.

    `drafted_in` is the draft forward behind which it is there, 0 for what was there before the draft was asked;
    `forward` the one that expanded a node, 0 for none.
    """

    def __init__(self, ids: list[str]) -> None:
        self.ids = ids
        self.nodes: dict[str, list] = {name: [] for name in (
            "id", "ref", "x", "y", "label", "kind", "source", "merged", "copy", "mark", "behind", "drafted_in",
            "forward", "tip")}  # fmt: skip
        self.edges: dict[str, list] = {name: [] for name in (
            "ref", "from", "to", "kind", "walked", "drafted_in", "tip")}  # fmt: skip

    def node(self, id: str, place: Place, label: str, kind: str, tip: str, **more: Any) -> None:
        row = {"id": id, "ref": id, "x": place.column, "y": place.row, "label": label, "kind": kind,
               "source": "", "tip": tip, "merged": False, "copy": False, "mark": "", "behind": 0,
               "drafted_in": 0, "forward": 0} | more  # fmt: skip
        for name, value in row.items():
            self.nodes[name].append(value)

    def edge(self, source: str, target: str, kind: str, **more: Any) -> None:
        row = {"ref": "", "from": source, "to": target, "kind": kind, "walked": False, "drafted_in": 0,
               "tip": ""} | more  # fmt: skip
        for name, value in row.items():
            self.edges[name].append(value)


def _css(height: int | str) -> str:
    return f"{height}px" if isinstance(height, int) else height


def _add_nodes(drawn: _Drawn, round_: RecordedRound, made: Layout, shown: Shown) -> None:
    graph, one, drafted = round_.graph, shown.face, round_.draft_logq
    became, came = fates(round_, one), _came(round_, one)
    merged = {node for _, node, _ in one.joins}
    for i, (place, node, flat) in enumerate(zip(made.nodes, one.nodes, one.flat)):
        mark = shown.marks[node] if shown.marks else ""
        source = graph.sources[node] if is_found(graph.sources[node]) else ""
        found = source and f"found {FOUND.get(source, source)}"
        tip = "\n".join(filter(None, [mark or became[i], found, _shares(round_, node, flat, drafted[node])]))
        kind = KINDS.get(became[i], became[i])
        drawn.node(drawn.ids[i], place, graph.texts.visible[node], kind, tip, ref=f"n{node}", source=source,
                   merged=i in merged, copy=one.copies[i], mark=mark, behind=one.behind[i],
                   drafted_in=came[i], forward=graph.forwards[node])  # fmt: skip


def _came(round_: RecordedRound, one: Face) -> list[int]:
    """By what is drawn, the draft forward behind which all of the way to it is there."""
    asked, brought = round_.graph.forwards, round_.graph.drafted_in
    came: list[int] = []
    for parent, node, merge in zip(one.parents, one.nodes, one.edges):
        edge = brought[node] if merge < 0 else asked[round_.merges.parents[merge]]
        came.append(edge if parent < 0 else max(edge, came[parent]))
    return came


def _shares(round_: RecordedRound, node: int, flat: int, q: float | None) -> str:
    """What source, draft and target thought of a node, as far as they said."""
    if node == 0:
        return ""
    graph, p = round_.graph, round_.tree.target_logp[flat] if flat > 0 else None
    said = [("estimate", graph.logq[node])] if is_found(graph.sources[node]) else []
    said += [("q", q)] if q is not None or not said else []
    said += [("p", p)] if flat > 0 and p == p else []  # NaN: not known
    return "  ·  ".join(f"{name} {percent(logp)}" for name, logp in said)


def _add_edges(drawn: _Drawn, round_: RecordedRound, made: Layout, one: Face) -> None:
    walked = set(zip(made.spine, made.spine[1:]))
    merges, ids, came = round_.merges, drawn.ids, drawn.nodes["drafted_in"]
    asked = round_.graph.forwards
    joins = [(parent, node, merge, asked[merges.parents[merge]]) for parent, node, merge in one.joins]
    for i, (parent, merge) in enumerate(zip(one.parents, one.edges)):
        if merge >= 0:
            joins.append((parent, i, merge, came[i]))
        elif parent >= 0:
            drawn.edge(ids[parent], ids[i], "tree", walked=(parent, i) in walked, drafted_in=came[i])
    for parent, node, merge, forward in joins:
        name = "estimate" if is_found(round_.graph.sources[merges.nodes[merge]]) else "q"
        tip = f"merge on {merges.ngram_texts.visible[merge]}\n{name} {percent(merges.logq[merge])}"
        drawn.edge(ids[parent], ids[node], "merge", walked=(parent, node) in walked, ref=f"m{merge}",
                   drafted_in=forward, tip=tip)  # fmt: skip


def _add_bonus(drawn: _Drawn, round_: RecordedRound, made: Layout) -> None:
    tip, logp = "bonus: the target's own", round_.tree.choice_logp[round_.last]
    if logp == logp:  # NaN: not known
        tip += f"\np {percent(logp)}"
    drawn.node("b", made.bonus, round_.new_texts.visible[-1], "bonus", tip)
    drawn.edge(drawn.ids[made.spine[-1]], "b", "bonus", walked=True)


def _add_pruned(drawn: _Drawn, round_: RecordedRound, made: Layout) -> None:
    decisions, asked = round_.decisions, round_.graph.forwards
    for index, place in made.pruned.items():
        tip = f"pruned: {decisions.rules[index]} rule\nq {percent(decisions.logq[index])}"
        parent = decisions.parents[index]
        drawn.node(f"c{index}", place, decisions.texts.visible[index], "pruned", tip, drafted_in=asked[parent])
        drawn.edge(drawn.ids[made.stands[parent]], f"c{index}", "pruned", drafted_in=asked[parent])
