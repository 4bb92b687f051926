"""One run: its text, its figures, and the graph of the chosen round. Redrawn alone while a run is going."""

from __future__ import annotations

from typing import Any

import streamlit as st

from analysis.export import zip_csv
from app.components.graph_view import Frame, graph_data, graph_view
from app.components.metrics import metrics
from app.components.node_table import node_table
from app.components.token_text import text_data, token_text
from app.explain import explain
from app.state import OpenRun, Session, session
from app.words import code, plain

TEXT, GRAPH, TABLE = "token_text", "graph", "node_table"  # widget keys


def run_view(*, live: bool) -> None:
    """Draw the open run. `live`: it may still grow."""
    state = session()
    run = state.run
    _head(run, live)
    token_text(
        text_data(run.name, run.meta["spec"]["prompt"]["prompt"], run.steps, selected=shown_step(state), live=live),
        key=TEXT, on_pick=_pick_round,
    )  # fmt: skip
    metrics(run)
    if run.steps:
        _step_view(state, run)


def shown_step(state: Session) -> int | None:
    """Index of the round on show: the chosen one, else the newest."""
    if not state.run.steps:
        return None
    return len(state.run.steps) - 1 if state.step is None else state.step


def _head(run: OpenRun, live: bool) -> None:
    spec = run.meta["spec"]
    drafting = spec["drafting"]
    parts = [spec["pair"] or spec["target"]["source"], drafting["method"], f"{spec['max_new_tokens']} tokens",
             f"temperature {spec['sampling']['temperature']:g}", run.meta["target"]["device"],
             run.meta["target"]["dtype"]]  # fmt: skip
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.caption(plain(" · ".join(parts)), width="content")
        if not live:
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


def _step_view(state: Session, run: OpenRun) -> None:
    index = shown_step(state)
    step = run.steps[index]
    _stepper(run, index, step)
    if step["graph"] is None:
        st.info("This run recorded counts and times only, so there is no graph. Tick “Record every node” before a run.")
        return
    graph_view(
        graph_data(step, run=run.name, frame=Frame.of(run.steps), show_pruned=st.session_state["show_pruned"],
                   selected=state.node),
        key=GRAPH, on_pick=_pick_in_graph,
    )  # fmt: skip
    with st.container(key="detail"):
        table, words = st.columns([8, 5], gap="medium")
    with table:
        node_table(step, selected=_selected_row(state.node, step), key=TABLE, on_pick=_pick_row)
    with words:
        _explanation(state, run, step)


def _stepper(run: OpenRun, index: int, step: dict[str, Any]) -> None:
    """Buttons and arrow keys through the rounds, and what this round brought."""
    last = len(run.steps) - 1
    moves = [("First round", "first_page", None, -index), ("Previous round", "chevron_left", "Left", -1),
             ("Next round", "chevron_right", "Right", 1), ("Last round", "last_page", None, last - index)]  # fmt: skip
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="stepper"):
        for label, icon, shortcut, by in moves:
            st.button("", key=label, icon=f":material/{icon}:", help=label, shortcut=shortcut, on_click=_move,
                      args=(by,), disabled=by == 0 or not 0 <= index + by <= last)  # fmt: skip
        tokens = "".join(code(text) for text in step["new_texts"])
        st.html(f'<div class="round"><b>Round {index + 1}</b> of {last + 1}<span>{_outcome(step)}</span>{tokens}</div>',
                width="stretch")  # fmt: skip
        st.session_state.setdefault("show_pruned", False)
        st.toggle("Pruned candidates", key="show_pruned", help="Candidates that a threshold dropped before they "
                  "became nodes.")  # fmt: skip


def _outcome(step: dict[str, Any]) -> str:
    merges = f", {step['merged']} merges" if step["merged"] else ""
    return (f"{step['drafted_nodes']} drafted{merges}, {step['verified_nodes']} verified, "
            f"<b>{len(step['accepted'])} accepted</b>")  # fmt: skip


def _explanation(state: Session, run: OpenRun, step: dict[str, Any]) -> None:
    found = explain(step, run.meta["spec"], state.node) if state.node else None
    if found is None:
        st.html('<div class="words empty"><h4>Nothing selected</h4><p>Click a node or a dashed merge edge in the '
                "graph, or a row of the table, to read what the draft thought of it and what the target did.</p>"
                "<p>← and → step through the rounds.</p></div>")  # fmt: skip
        return
    paragraphs = "".join(f"<p>{paragraph}</p>" for paragraph in found.paragraphs)
    st.html(f'<div class="words" role="status"><h4>{found.heading}</h4>{paragraphs}</div>')


def _selected_row(node: str | None, step: dict[str, Any]) -> int | None:
    """The table's row of a selected graph node; other things have none."""
    if node is None or not node.startswith("n") or not node[1:].isdecimal():
        return None
    return int(node[1:]) if int(node[1:]) < len(step["graph"]["token"]) else None


def _go(step: int) -> None:
    state = session()
    state.step, state.node = step, None


def _move(by: int) -> None:
    """By so many rounds from where we are now, which may be further than what the browser shows yet."""
    state = session()
    _go(max(0, min(shown_step(state) + by, len(state.run.steps) - 1)))


def _pick_round() -> None:
    if picked := st.session_state[TEXT].get("pick"):
        _go(int(picked["round"]))


def _pick_in_graph() -> None:
    """A selection holds the round still, so that a live run does not draw over it."""
    state = session()
    state.step = shown_step(state)
    if picked := st.session_state[GRAPH].get("pick"):
        state.node = picked["id"]


def _pick_row() -> None:
    state = session()
    state.step = shown_step(state)
    rows = st.session_state[TABLE]["selection"]["rows"]
    state.node = f"n{rows[0]}" if rows else None
