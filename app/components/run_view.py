"""One run: its text, its figures, and the graph of the chosen round. Redrawn alone while a run is going."""

from __future__ import annotations

from typing import Any

import streamlit as st

from analysis.export import zip_csv
from analysis.faces import face, trimmed
from app.components.graph_view import MANY_DRAWN, MOST_DRAWN, Frame, Shown, graph_data, graph_view
from app.components.metrics import metrics
from app.components.node_table import node_table
from app.components.run_actions import changes, compared_with, run_actions
from app.components.stepper import go, round_line, shown_step, step_buttons
from app.components.token_text import text_data, token_text
from app.explain import as_html, explain
from app.state import OpenRun, Session, session
from app.words import plain

STAGE_HEIGHT = 480  # pixels of the graph beside the text
TEXT, GRAPH, TABLE = "token_text", "graph", "node_table"  # widget keys


def run_view(*, live: bool) -> None:
    """Draw the open run. `live`: it may still grow."""
    state = session()
    run = state.run
    _head(run, live)
    with st.container(key="stage"):
        left, right = st.columns([6, 7], gap="medium")
    with left:
        token_text(
            text_data(run.name, run.meta["spec"]["prompt"]["prompt"], run.steps, selected=shown_step(state), live=live),
            key=TEXT, on_pick=_pick_round,
        )  # fmt: skip
        other = compared_with(run)
        metrics(run, other)
        if other:
            st.caption(changes(run, other))
    with right:
        if run.steps:
            _round(run, shown_step(state))
    if run.steps:
        _detail(state, run, run.steps[shown_step(state)])


def _head(run: OpenRun, live: bool) -> None:
    spec = run.meta["spec"]
    drafting = spec["drafting"]
    parts = [spec["pair"] or spec["target"]["source"], drafting["method"], f"{spec['max_new_tokens']} tokens",
             f"temperature {spec['sampling']['temperature']:g}", run.meta["target"]["device"],
             run.meta["target"]["dtype"]]  # fmt: skip
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.caption(plain(" · ".join(parts)), width="content")
        if not live:
            run_actions(run)
            _download(run)
    _condition(run, live)


def _download(run: OpenRun) -> None:
    st.download_button(
        "CSV", lambda: zip_csv([run.folder]), f"{run.name}.zip", "application/zip", key="csv", on_click="ignore",
        icon=":material/download:", help="Tables and metrics as CSV in one zip, with a README of every column.",
    )  # fmt: skip


def _condition(run: OpenRun, live: bool) -> None:
    """What is not as it should be with this run."""
    if run.end is None and not live:
        st.warning(
            "This run is incomplete: it was cut off, or another program is still writing it. "
            "Every whole round is shown."
        )
    elif run.end and run.end["status"] == "cancelled":
        st.info("This run was cancelled. The rounds that were finished are shown.")
    elif run.end and run.end["status"] == "failed":
        st.error(plain(f"This run failed: {run.end['error']}"))
    if run.tail.torn and not live:
        st.warning(f"A torn last line of {run.tail.torn} bytes was dropped.")
    for note in run.tail.notes:
        st.warning(plain(note))


def _round(run: OpenRun, index: int) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="stepper"):
        step_buttons(run, index)
        round_line(run, index)
    graph_panel(run, index, height=STAGE_HEIGHT)


def _detail(state: Session, run: OpenRun, step: dict[str, Any]) -> None:
    """The round's nodes as a table, and in words what is selected."""
    if step["graph"] is None:
        return
    with st.container(key="detail"):
        table, words = st.columns([8, 5], gap="medium")
    with table:
        node_table(step, selected=_selected_row(state.node, step), key=TABLE, on_pick=_pick_row)
    with words:
        explanation(state, run, step)


def graph_panel(run: OpenRun, index: int, *, height: int | str | None = None) -> None:
    """The graph of one round and nothing else, as large as fits; a click selects (`session().node`).

    `height` in pixels or as a CSS length; by default by the round's size.
    """
    step = run.steps[index]
    if step["graph"] is None:
        st.info("This run recorded counts and times only, so there is no graph. Tick “Record every node” before a run.")
        return
    whole = face(step)
    graph_view(
        graph_data(step, run=run.name, frame=Frame.of([step], height), selected=session().node,
                   show_pruned=st.session_state.get("show_pruned", False),
                   shown=Shown(trimmed(whole, MOST_DRAWN) if len(whole) > MANY_DRAWN else whole)),
        key=GRAPH, on_pick=_pick_in_graph,
    )  # fmt: skip


def explanation(state: Session, run: OpenRun, step: dict[str, Any]) -> None:
    """What happened to the thing selected, in words."""
    found = explain(step, run.meta["spec"], state.node) if state.node else None
    if found is None:
        st.html('<div class="words empty"><h4>Nothing selected</h4><p>Click a node or a dashed merge edge in the '
                "graph, or a row of the table, to read what the draft thought of it and what the target did.</p>"
                "<p>← and → step through the rounds.</p></div>")  # fmt: skip
        return
    st.html(as_html(found))


def _selected_row(node: str | None, step: dict[str, Any]) -> int | None:
    """The table's row of a selected graph node; other things have none."""
    if node is None or not node.startswith("n") or not node[1:].isdecimal():
        return None
    return int(node[1:]) if int(node[1:]) < len(step["graph"]["token"]) else None


def _pick_round() -> None:
    if picked := st.session_state[TEXT].get("pick"):
        go(int(picked["round"]))


def _pick_in_graph() -> None:
    """A selection holds the round still, so that a live run does not draw over it."""
    state = session()
    state.step = shown_step(state)
    if picked := st.session_state[GRAPH].get("pick"):
        state.node = None if (picked["id"] or "").startswith("+") else picked["id"]


def _pick_row() -> None:
    state = session()
    rows = st.session_state[TABLE]["selection"]["rows"]
    row = rows[0] if rows else None
    if row == _selected_row(state.node, state.run.steps[shown_step(state)]):
        return  # nobody clicked: a table whose rows change with the round says again what it was told
    state.step, state.node = shown_step(state), None if row is None else f"n{row}"
