"""One run: its text, the graph of the chosen round with its words, its figures. Redrawn alone while a run is going."""

from __future__ import annotations

from typing import Any

import streamlit as st

from analysis.explain import explain
from analysis.explanation import as_html
from analysis.export import zip_csv
from analysis.faces import face
from analysis.story import story
from analysis.words import plain, setting
from app.components.folded import folded, open_branch, say_folded
from app.components.graph_view import SMALL, Frame, Shown, graph_data, graph_view
from app.components.metrics import metrics
from app.components.node_table import node_table
from app.components.run_actions import changes, compared_with, run_actions
from app.components.stepper import go, round_buttons, round_line, shown_round
from app.components.token_text import text_data, token_text
from app.state import OpenRun, Session, session
from gsd.methods import METHODS, settings_of
from gsd.trace.recorded_round import RecordedRound
from gsd.wording import counted

STAGE_HEIGHT = 420  # pixels of the graph beside the text, at most
HINT = '<p class="hint">Click a node or a dashed merge edge to read about it. ← and → go from round to round.</p>'
TEXT, GRAPH, TABLE = "token_text", "graph", "node_table"  # widget keys


def run_view(*, live: bool) -> None:
    """Draw the open run. `live`: it may still grow."""
    state = session()
    run = state.run
    _head(run, live)
    index = shown_round(state)
    with st.container(key="opened-run"), st.container(key="stage"):
        with st.container(key="stage-text"):
            token_text(text_data(run.name, run.meta["spec"]["prompt"]["prompt"], run.rounds, selected=index, live=live),
                       key=TEXT, on_pick=_pick_round)  # fmt: skip
        if run.rounds:
            with st.container(key="stage-round"):
                _round(state, run, index)
        with st.container(key="stage-figures"):
            _figures(run)
    if run.rounds and run.rounds[index].detailed:
        node_table(
            run.rounds[index], selected=_selected_row(state.node, run.rounds[index]), key=TABLE, on_pick=_pick_row
        )


def _figures(run: OpenRun) -> None:
    other = compared_with(run)
    metrics(run, other)
    if other:
        st.caption(changes(run, other))


def _head(run: OpenRun, live: bool) -> None:
    spec = run.meta["spec"]
    new = sum(len(round_.new_tokens) for round_ in run.rounds)
    parts = [f"{new:,} of at most {counted(spec['max_new_tokens'], 'token')}", *drafted_with(spec["drafting"]),
             spec["pair"] or spec["target"]["source"], f"temperature {spec['sampling']['temperature']:g}",
             run.meta["target"]["device"], run.meta["target"]["dtype"]]  # fmt: skip
    with st.container(horizontal=True, vertical_alignment="center", key="run-head"):
        st.caption(plain(" · ".join(parts)), width="stretch")
        if not live:
            run_actions(run)
            _download(run)
    _condition(run, live)


def drafted_with(drafting: dict[str, Any]) -> list[str]:
    """The method, and what it reads of the settings that shape a graph most, where it reads a number of them."""
    name = drafting["method"]
    read = settings_of(METHODS[name]) if name in METHODS else drafting
    shaping = {one: one for one in ("width", "depth", "frontier", "budget") if one in read}
    if shaping and "merge_context" in read:
        shaping["merge_context"] = "context"
    return [name, *(f"{word} {setting(drafting[one])}" for one, word in shaping.items())]


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
        st.warning(f"A torn last line of {counted(run.tail.torn, 'byte')} was dropped.")
    for note in run.tail.notes:
        st.warning(plain(note))
    for note in (*run.meta.get("notes", ()), *((run.end or {}).get("notes", ()))):
        st.caption(plain(f"Note: {note}."))


def _round(state: Session, run: OpenRun, index: int) -> None:
    """The graph of a round, and below it what is selected, or else the round, in words."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="stepper"):
        round_buttons(run, index)
        round_line(run, index)
    _graph(run, index)
    round_ = run.rounds[index]
    if round_.detailed:
        found = explain(round_, run.meta, state.node or "", run.before(round_))
        st.html(as_html(found) if found else as_html(story(round_, run.meta)) + HINT)


def _graph(run: OpenRun, index: int) -> None:
    """The graph of one round; a click selects (`session().node`)."""
    round_ = run.rounds[index]
    if not round_.detailed:
        st.info("This run recorded counts and times only, so there is no graph. Tick “Record every node” before a run.")
        return
    drawn = folded(run, round_, face(round_), SMALL)
    graph_view(
        graph_data(round_, run=run.name, frame=Frame.of([round_], STAGE_HEIGHT), selected=session().node,
                   show_pruned=st.session_state.get("show_pruned", False), shown=Shown(drawn)),
        key=GRAPH, on_pick=_pick_in_graph,
    )  # fmt: skip
    say_folded(run, round_, drawn)


def _selected_row(node: str | None, round_: RecordedRound) -> int | None:
    """The table's row of a selected graph node; other things have none."""
    if node is None or not node.startswith("n") or not node[1:].isdecimal():
        return None
    return int(node[1:]) if int(node[1:]) < len(round_.graph) else None


def _pick_round() -> None:
    if picked := st.session_state[TEXT].get("pick"):
        go(int(picked["round"]))


def _pick_in_graph() -> None:
    """A selection holds the round still, so that a live run does not draw over it."""
    state = session()
    state.round = shown_round(state)
    if picked := st.session_state[GRAPH].get("pick"):
        if (picked["id"] or "").startswith("+"):
            open_branch(state.run, state.run.rounds[state.round], picked["id"])
        else:
            state.node = picked["id"]


def _pick_row() -> None:
    state = session()
    rows = st.session_state[TABLE]["selection"]["rows"]
    row = rows[0] if rows else None
    if row == _selected_row(state.node, state.run.rounds[shown_round(state)]):
        return  # nobody clicked: a table whose rows change with the round says again what it was told
    state.round, state.node = shown_round(state), None if row is None else f"n{row}"
