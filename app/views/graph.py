"""One round, large: every node the draft proposed, what merged, what the target kept, and why."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from analysis.explain import explain
from analysis.explanation import Explanation, as_html, drafted_by
from analysis.faces import GRAPH, TREE, VERIFIED, Face, face, fates, route
from analysis.hypotheses import through
from analysis.round_whatif import Changed
from analysis.rounds import Landmarks, after, landmarks
from analysis.story import story
from app.components.explore import downloads, explorable
from app.components.folded import folded, needed, open_branch, say_folded
from app.components.graph_view import Frame, Shown, graph_data, large_graph_view, room_of
from app.components.hypothesis_table import hypothesis_table
from app.components.node_table import node_table
from app.components.page import head, opened
from app.components.round_strip import round_strip, strip_data
from app.components.stepper import go, outcome, round_buttons, round_line, shown_round
from app.components.whatif_panel import what_if
from app.engine_client import engine
from app.state import OpenRun, Session, session, write_address
from gsd.trace.recorded_round import RecordedRound

LIVE_EVERY_S = 1.0
HEIGHT = "clamp(380px, calc(100vh - 450px), 900px)"  # at most what the window leaves below head, strip and buttons
FACES = {TREE: "Tree", GRAPH: "Graph", VERIFIED: "Verified"}
FACE_HELP = (
    "**Tree**: every way through the graph drawn for itself. **Graph**: as it was, every node once, merge "
    "edges dashed. **Verified**: what the target saw under the budget, unrolled again; a copy has a second sheet "
    "behind it and is the same node."
)
STRIP, PICTURE, HYPOTHESES, NODES = "round_strip", "graph", "hypotheses", "node_table"  # widget keys


def page() -> None:
    """The whole page; what changes from round to round is a fragment of its own."""
    head("Graph", "One round, large: every node the draft proposed, what merged, what the target kept, and why.")
    run = opened()
    writing = run.end is None and engine().writing(run.folder) is not None
    st.fragment(_round, run_every=LIVE_EVERY_S if writing else None)(writing)


def _round(live: bool) -> None:
    state = session()
    run = state.run
    run.poll()
    if live and (run.end or not engine().writing(run.folder)):
        st.rerun()  # nothing more will come
    if not run.rounds:
        st.info("This run has no round yet.")
        return
    index = shown_round(state)
    chosen = _navigation(run, index)
    if not run.rounds[index].detailed:
        st.info("This run recorded counts and times only, so there is no graph to see. Tick “Record every node” in the "
                "Playground before a run, or open a sample above.")  # fmt: skip
    else:
        _picture(state, run, index, chosen)
        _below(state, run, index, chosen)
    write_address(state, face=None if chosen == GRAPH else chosen)


# --- from round to round


def _navigation(run: OpenRun, index: int) -> str:
    """The strip of rounds, the buttons, and the switch of faces, which is returned."""
    round_strip(strip_data(run.name, run.rounds, index), key=STRIP, on_pick=_pick_round)
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="stepper"):
        round_buttons(run, index)
        _jumps(_landmarks(run.name, len(run.rounds), run), index)
        st.space("stretch")
        with st.container(horizontal=True, width="content", key="toggles"):
            _toggles()
    with st.container(horizontal=True, vertical_alignment="center", gap="medium", key="faces"):
        chosen = _face()
        recorded = st.session_state["what_if"] and run.rounds[index].detailed
        if not st.session_state["what_if"]:
            _say_alike(run.rounds[index])
        round_line(run, index, f"as recorded: {outcome(run.rounds[index])}" if recorded else None)
    return chosen


@st.cache_data(show_spinner=False, max_entries=64)
def _landmarks(name: str, rounds: int, _run: OpenRun) -> Landmarks:
    return landmarks(_run.rounds[:rounds])


def _jumps(marks: Landmarks, index: int) -> None:
    """Buttons to the rounds that are worth a look."""
    jumps = [
        ("Next merge", "m", after(marks.merges, index), "The next round whose accepted path crosses a merge edge"),
        ("Next rejection", "x", after(marks.rejections, index), "The next round in which the target chose a token "
         "beside those it was shown"),
        ("Longest path", "l", marks.longest, "The round with the most accepted tokens"),
        ("Shortest path", "w", marks.shortest, "The round with the fewest accepted tokens; of several the one that "
         "drafted most"),
    ]  # fmt: skip
    with st.container(horizontal=True, gap="xsmall", width="content", key="jumps"):
        for label, shortcut, to, help in jumps:
            st.button(label, key=f"jump {label}", shortcut=shortcut, help=help, on_click=go, args=(to,),
                      disabled=to is None or to == index)  # fmt: skip


def _toggles() -> None:
    st.session_state.setdefault("show_pruned", False)
    st.toggle("Pruned", key="show_pruned", help="Candidates that a threshold dropped before they became nodes.")
    st.toggle("What if", key="what_if", help="This round under other settings, from its own recording.")


def _face() -> str:
    if "face" not in st.session_state:
        asked = st.query_params.get("face", GRAPH)
        st.session_state["face"] = asked if asked in FACES else GRAPH
    return st.segmented_control("Face", FACES, key="face", format_func=FACES.get, required=True, help=FACE_HELP,
                                label_visibility="collapsed")  # fmt: skip


def _say_alike(round_: RecordedRound) -> None:
    """Of a round that looks the same in all its faces."""
    if round_.detailed and round_.drafted_nodes == round_.verified_nodes > 0 and not round_.merged:
        st.caption("No merge, all verified: the faces are alike.", width="content")


def _depth(run: OpenRun) -> int:
    return drafted_by(run.meta).depth


# --- the picture and its words


def _picture(state: Session, run: OpenRun, index: int, chosen: str) -> None:
    round_, changed = run.rounds[index], None
    with st.container(key="picture"):
        left, right = st.columns([13, 6], gap="medium")
    with right, st.container(key="beside"):
        if st.session_state["what_if"]:
            with st.container(border=True, key="settings"):
                changed = what_if(run, index)
        st.html(as_html(_words(state, run, round_, changed)))
    with left:
        _draw(state, run, changed.round if changed else round_, chosen, changed)


def _draw(state: Session, run: OpenRun, round_: RecordedRound, chosen: str, changed: Changed | None) -> None:
    whole = face(round_, chosen, _depth(run))
    if changed:  # what is drawn as recorded, so that it stays where it is, and what is new
        gained = [node for node, mark in enumerate(changed.marks) if mark == "gained"]
        kept = [*_drawn_as_recorded(run, round_, chosen), *gained]
        drawn = folded(run, round_, whole, replace(room_of(PICTURE), nodes=0), kept)
    else:
        drawn = folded(run, round_, whole, room_of(PICTURE))
    path = [] if changed and not needed(state.node) else _path(drawn, round_, state.node)
    large_graph_view(
        graph_data(round_, run=run.name, frame=Frame.of([round_], HEIGHT), selected=state.node,
                   show_pruned=st.session_state["show_pruned"] and changed is None,
                   shown=Shown(drawn, changed.marks if changed else (), path)),
        key=PICTURE, on_pick=_pick_in_picture,
    )  # fmt: skip
    say_folded(run, round_, drawn)


def _drawn_as_recorded(run: OpenRun, round_: RecordedRound, chosen: str) -> list[int]:
    recorded = next(one for one in run.rounds if one.number == round_.number)
    return folded(run, recorded, face(recorded, chosen, _depth(run)), room_of(PICTURE)).nodes


def _path(drawn: Face, round_: RecordedRound, node: str | None) -> list[int]:
    """What to bring out: the hypothesis selected, or the way to the node selected, as far as it is drawn."""
    kind, number = (node or " ")[0], (node or "")[1:]
    if not number.isdecimal():
        return []
    if kind == "h":
        ends = round_.tree.leaves
        return route(drawn, round_, ends[int(number)]) if int(number) < len(ends) else []
    found = [i for i, one in enumerate(drawn.nodes) if kind == "n" and one == int(number)]
    path = found[:1]
    while path and path[-1]:
        path.append(drawn.parents[path[-1]])
    return path[::-1]


def _words(state: Session, run: OpenRun, round_: RecordedRound, changed: Changed | None) -> Explanation:
    """What is selected, or else the round; under other settings first what they change about it."""
    meta, node, before = run.meta, state.node or "", run.before(round_)
    found = explain(round_, meta, node, before)
    if changed and needed(node):
        found = _under_changed(changed, *needed(node), found) or found
    elif changed and node[:1] in ("m", "b"):  # merge edges and the bonus are those drawn
        found = explain(changed.round, meta, node)
    told = story(round_, meta)
    return found or (replace(told, heading=f"As recorded: {told.heading}") if st.session_state["what_if"] else told)


def _under_changed(changed: Changed, node: int, found: Explanation | None) -> Explanation | None:
    graph = changed.round.graph
    if node >= len(graph):
        return None
    found = found or Explanation(f"{graph.texts.html[node]} <i>not in the recording</i>", [],
                                 {"q": graph.logq[node], "path q": graph.path_logq[node]})  # fmt: skip
    fate = "not drafted" if changed.marks[node] == "lost" else fates(changed.round, face(changed.round))[node]
    return replace(found, paragraphs=[f"<b>With the settings above: {fate}.</b>", *found.paragraphs])


# --- tables, and the round to take away


def _below(state: Session, run: OpenRun, index: int, chosen: str) -> None:
    round_ = run.rounds[index]
    hypotheses, nodes, more = st.tabs(["Hypotheses", "Nodes", "Explore and download"], key="tables", on_change="rerun")
    if hypotheses.open:
        with hypotheses:
            hypothesis_table(round_, selected=_hypothesis(round_, state.node), key=HYPOTHESES, on_pick=_pick_hypothesis)
    if nodes.open:
        with nodes:
            row = needed(state.node)
            known = row[0] if row and row[0] < len(round_.graph) else None
            node_table(round_, selected=known, key=NODES, on_pick=_pick_node)
    if more.open:
        with more:
            downloads(round_, run, chosen)
            explorable(round_)


def _hypothesis(round_: RecordedRound, node: str | None) -> int | None:
    """The table's row: the hypothesis selected, or the likeliest that holds the node selected."""
    if node and node[:1] == "h" and node[1:].isdecimal():
        return int(node[1:]) if int(node[1:]) < len(round_.tree.leaves) else None
    return through(round_, wanted[0]) if (wanted := needed(node)) and wanted[0] else None


# --- what was picked; each holds the round still, so that a live run does not draw over it


def _hold() -> Session:
    state = session()
    state.round = shown_round(state)
    return state


def _pick_round() -> None:
    if picked := st.session_state[STRIP].get("pick"):
        go(int(picked["round"]))


def _pick_in_picture() -> None:
    state = _hold()
    if picked := st.session_state[PICTURE].get("pick"):
        id = picked["id"]
        if id and id.startswith("+"):
            open_branch(state.run, state.run.rounds[state.round], id)
        else:
            state.node = id


def _pick_hypothesis(order: list[int]) -> None:
    """The table tells its selection as well where a node marked it; that is no pick of the hypothesis."""
    state = _hold()
    rows = st.session_state[HYPOTHESES]["selection"]["rows"]
    marked = _hypothesis(state.run.rounds[state.round], state.node)
    if rows and order[rows[0]] != marked:
        state.node = f"h{order[rows[0]]}"
    elif not rows and state.node and state.node.startswith("h"):
        state.node = None


def _pick_node() -> None:
    rows = st.session_state[NODES]["selection"]["rows"]
    if rows or (session().node or "").startswith("n"):  # else nobody clicked: nothing was selected in this table
        _hold().node = f"n{rows[0]}" if rows else None


page()
