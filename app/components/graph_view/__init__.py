"""The token graph of one round as an interactive SVG; selections come back as ids.

Ids: `n7` is graph node 7, `m2` merge edge 2, `c5` the pruned candidate of decision 5, `b` the bonus.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import streamlit as st

from analysis.layout import Layout, Place, layout
from app.words import percent, visible

HEIGHT = 440  # pixels
TALL = 640  # for runs with a round of more nodes than
MANY_NODES = 40

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


@dataclass(frozen=True, slots=True)
class Frame:
    """The room kept for every round of a run, so that stepping moves neither the page nor the root."""

    columns: int
    height: int

    @classmethod
    def of(cls, steps: list[dict[str, Any]]) -> Frame:
        """Room for the deepest graph and its bonus; more height where some graph has many nodes."""
        depth = max(max(step["graph"]["depth"]) for step in steps)
        return cls(depth + 1, TALL if max(len(step["graph"]["depth"]) for step in steps) > MANY_NODES else HEIGHT)


def graph_data(
    step: dict[str, Any], *, run: str, frame: Frame, show_pruned: bool, selected: str | None
) -> dict[str, Any]:
    """What the component draws, as columns."""
    made = layout(step)
    drawn = _Drawn()
    _add_nodes(drawn, step, made)
    _add_edges(drawn, step, made)
    if made.bonus:
        _add_bonus(drawn, step, made)
    if show_pruned:
        _add_pruned(drawn, step, made)
    return {"key": f"{run}:{step['round']}", "columns": frame.columns, "height": frame.height, "selected": selected,
            "nodes": drawn.nodes, "edges": drawn.edges}  # fmt: skip


def fate(step: dict[str, Any], node: int) -> str:
    """What verification made of a graph node: root, accepted, rejected or unverified."""
    if node == 0:
        return "root"
    copies = [i for i, n in enumerate(step["tree"]["node"]) if n == node]
    if any(i in step["accepted"] for i in copies):
        return "accepted"
    return "rejected" if copies else "unverified"


class _Drawn:
    """Columns of nodes and edges, as they are sent."""

    def __init__(self) -> None:
        self.nodes: dict[str, list] = {"id": [], "x": [], "y": [], "label": [], "kind": [], "merged": [], "tip": []}
        self.edges: dict[str, list] = {"id": [], "from": [], "to": [], "kind": [], "walked": [], "tip": []}

    def node(self, id: str, place: Place, text: str, kind: str, tip: str, *, merged: bool = False) -> None:
        row = dict(id=id, x=place.column, y=place.row, label=visible(text), kind=kind, merged=merged, tip=tip)
        for name, value in row.items():
            self.nodes[name].append(value)

    def edge(self, source: str, target: str, kind: str, *, walked: bool = False, id: str = "", tip: str = "") -> None:
        for name, value in {"id": id, "from": source, "to": target, "kind": kind, "walked": walked, "tip": tip}.items():
            self.edges[name].append(value)


def _add_nodes(drawn: _Drawn, step: dict[str, Any], made: Layout) -> None:
    graph, merged = step["graph"], set(step["merges"]["node"])
    target_logp = node_logp(step)
    for node, place in enumerate(made.nodes):
        kind = fate(step, node)
        tip = kind if kind == "root" else f"{kind}\nq {percent(graph['logq'][node])}"
        if node in target_logp:
            tip += f"  ·  p {percent(target_logp[node])}"
        drawn.node(f"n{node}", place, graph["text"][node], kind, tip, merged=node in merged)


def _add_edges(drawn: _Drawn, step: dict[str, Any], made: Layout) -> None:
    walked = set(zip(made.spine, made.spine[1:]))
    for node, parent in enumerate(step["graph"]["parent"]):
        if parent >= 0:
            drawn.edge(f"n{parent}", f"n{node}", "tree", walked=(parent, node) in walked)
    merges = step["merges"]
    for i, (parent, node) in enumerate(zip(merges["parent"], merges["node"])):
        drawn.edge(f"n{parent}", f"n{node}", "merge", walked=(parent, node) in walked, id=f"m{i}",
                   tip=f"merge on {visible(merges['ngram_text'][i])}\nq {percent(merges['logq'][i])}")  # fmt: skip


def _add_bonus(drawn: _Drawn, step: dict[str, Any], made: Layout) -> None:
    last = step["accepted"][-1] if step["accepted"] else 0
    tip = f"bonus: the target's own\np {percent(step['tree']['choice_logp'][last])}"
    drawn.node("b", made.bonus, step["new_texts"][-1], "bonus", tip)
    drawn.edge(f"n{made.spine[-1]}", "b", "bonus", walked=True)


def _add_pruned(drawn: _Drawn, step: dict[str, Any], made: Layout) -> None:
    decisions = step["decisions"]
    for index, place in made.pruned.items():
        tip = f"pruned: {decisions['rule'][index]} rule\nq {percent(decisions['logq'][index])}"
        drawn.node(f"c{index}", place, decisions["text"][index], "pruned", tip)
        drawn.edge(f"n{decisions['parent'][index]}", f"c{index}", "pruned")


def node_logp(step: dict[str, Any]) -> dict[int, float]:
    """The target's log probability of each verified graph node, at its accepted copy or else its likeliest."""
    tree, found = step["tree"], {}
    for flat in (*step["accepted"], *range(1, len(tree["node"]))):
        if tree["target_logp"][flat] is not None:
            found.setdefault(tree["node"][flat], tree["target_logp"][flat])
    return found
