"""Two runs, locked to the same committed position of the text."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
import streamlit as st

from analysis.explain import tell
from analysis.explanation import as_html
from analysis.figures import side_by_side as figures
from analysis.side_by_side import boundaries, differences, divergence, ends, lanes, round_at, so_far
from analysis.words import plain
from app.components.chart import chart
from app.components.graph_view import Frame, Shown, graph_data, graph_view, manageable
from app.components.run_actions import changed_settings, recorded
from app.components.stepper import open_in_graph, outcome, round_line
from app.library import entries, find, labels
from app.state import OpenRun, session, write_address
from gsd.errors import TraceError
from gsd.spec import Prompt, keeps_text
from gsd.trace.texts import visible
from gsd.wording import counted

SIDES = ("A", "B")
POSITION = "compare position"
GRAPH_HEIGHT = 360  # pixels
TIMES = "`time of the rounds up to there`, *measured*, the prompt's own forward included in the first."
DIFFERENCES = "Sums over the rounds up to the position. Of counts and times, B ÷ A below 1: B took less."
UNEVEN = " **The texts are not equally long.**"
Pair = tuple[OpenRun, OpenRun]


@dataclass(frozen=True, slots=True)
class Place:
    """A position in the text and where the two runs are there: indices of rounds."""

    position: int
    a: int
    b: int


def pick_two() -> Pair | None:
    """Choose A and B; the two, or None where one is lacking, has no round or cannot be read, which is said."""
    known = labels(entries())
    names = _chosen(known)
    for side in SIDES:
        st.session_state[_key(side)] = names[side]
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="two-runs"):
        for side in SIDES:
            st.selectbox(side, known, key=_key(side), format_func=known.get, placeholder="Choose a run",
                         on_change=_keep_pins)  # fmt: skip
        st.button("", icon=":material/swap_horiz:", key="swap", on_click=_swap, help="Swap A and B")
    if None in names.values():
        _empty(known)
        write_address(session(), a=names["A"], b=names["B"])
        return None
    return _read(names["A"], names["B"])


def side_by_side(a: OpenRun, b: OpenRun) -> None:
    """Both texts as lanes of rounds, both rounds at the chosen position, and what they took up to there."""
    rows = lanes(a.rounds, b.rounds)
    same = _prompt(a).given() == _prompt(b).given() and a.meta["prompt_tokens"] == b.meta["prompt_tokens"]
    differ_at = divergence(a.rounds, b.rounds) if same else 0
    _place_slider(a, b)
    _tell(a, b, same, differ_at)
    chart(figures.rounds(rows, st.session_state[POSITION], differ_at), rows, name="rounds", on_pick=_take_block)
    place = _navigation(a, b)
    with st.container(key="sides"):
        left, right = st.columns(2, gap="medium")
    for side, run, index, column in (("A", a, place.a, left), ("B", b, place.b, right)):
        with column, st.container(border=True):
            _side(side, run, index, place.position)
    if same:
        _totals(a, b, place, rows, differ_at)
    else:
        _table(a, b, place, ["figure", "A", "B"])
    write_address(session(), a=a.name, b=b.name, at=str(place.position))


def _prompt(run: OpenRun) -> Prompt:
    return Prompt(**run.meta["spec"]["prompt"])


def _key(side: str) -> str:
    return f"compare {side}"


def _chosen(known: dict[str, str]) -> dict[str, str | None]:
    """By side the run chosen here, in the address, or kept or pinned before; else the open run and one of its prompt,
    the older as A.
    """
    pins, run = st.session_state.get("pins", {}), session().run
    names: dict[str, str | None] = {}
    for side in SIDES:
        elsewhere = st.query_params.get(side.lower(), pins.get(side))
        name = st.session_state.get(_key(side), elsewhere)
        names[side] = name if name in known else None
    nothing_said = not any(names.values())
    if names["A"] is None and run and run.name in known and run.name != names["B"]:
        names["A"] = run.name
    if names["B"] is None and names["A"]:
        names["B"] = _of_the_same_prompt(names["A"])
    if nothing_said and names["B"]:
        names = dict(zip(SIDES, _older_first(*names.values())))
    return names


def _of_the_same_prompt(name: str) -> str | None:
    """The newest other run of the same prompt."""
    spec = find(name).spec
    others = (one.name for one in entries() if one.name != name and spec and one.spec
              and one.spec["prompt"]["prompt"] == spec["prompt"]["prompt"])  # fmt: skip
    return next(others, None)


def _older_first(*names: str) -> list[str]:
    return sorted(names, key=lambda name: find(name).created)


def _keep_pins() -> None:
    st.session_state["pins"] = {side: st.session_state[_key(side)] for side in SIDES}


def _swap() -> None:
    a, b = (st.session_state[_key(side)] for side in SIDES)
    st.session_state[_key("A")], st.session_state[_key("B")] = b, a
    _keep_pins()


def _empty(known: dict[str, str]) -> None:
    with st.container(border=True):
        st.markdown("**Choose two runs.** Best of one prompt under two settings: their texts are the same "
                    "(unless a method keeps only their law), so what differs is the work. In the Playground “Pin as A” "
                    "brings a run here.")  # fmt: skip
        two = next(((name, other) for name in known if (other := _of_the_same_prompt(name))), None)
        if two:
            st.button("Take two runs of one prompt", key="alike", icon=":material/compare_arrows:", on_click=_take,
                      args=_older_first(*two))  # fmt: skip


def _take(*names: str) -> None:
    st.session_state["pins"] = dict(zip(SIDES, names))
    for side, name in zip(SIDES, names):
        st.session_state[_key(side)] = name


def _read(a: str, b: str) -> Pair | None:
    found = []
    for side, name in zip(SIDES, (a, b)):
        try:
            run = recorded(name)
        except TraceError as error:
            st.error(plain(f"{side}: {error}"))
            return None
        if not run.rounds:
            st.info(f"{side} has no round yet. Choose another run.")
            return None
        found.append(run)
    return found[0], found[1]


def _place_slider(a: OpenRun, b: OpenRun) -> None:
    """At first in the middle of the text, or where the address says; never beyond the longer text."""
    last = max(ends(a.rounds)[-1], ends(b.rounds)[-1])
    asked = st.query_params.get("at", "")
    start = int(asked) if asked.isdecimal() else st.session_state.get("kept position", last // 2)
    wanted = st.session_state.get(POSITION, start)
    st.session_state[POSITION] = max(1, min(wanted, last))


def _navigation(a: OpenRun, b: OpenRun) -> Place:
    """The slider over positions, and from one end of a round to the next by arrow keys."""
    stops = boundaries(a.rounds, b.rounds)
    position = st.session_state[POSITION]
    before = max((stop for stop in stops if stop < position), default=None)
    behind = min((stop for stop in stops if stop > position), default=None)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="places"):
        for label, icon, shortcut, stop in (("Previous end of a round", "chevron_left", "Left", before),
                                            ("Next end of a round", "chevron_right", "Right", behind)):  # fmt: skip
            st.button("", key=label, icon=f":material/{icon}:", help=label, shortcut=shortcut, disabled=stop is None,
                      on_click=_go, args=(stop,))  # fmt: skip
        st.slider("Position in the text", 1, max(stops[-1], 2), key=POSITION,
                  help="New tokens committed. Both runs are shown in the round that committed this one.")  # fmt: skip
    st.session_state["kept position"] = position
    return Place(position, round_at(a.rounds, position), round_at(b.rounds, position))


def _go(position: int) -> None:
    st.session_state[POSITION] = position


def _take_block() -> None:
    points = st.session_state["chart rounds"]["selection"]["points"]
    if points and points[0].get("customdata"):
        _go(int(points[0]["customdata"][0]))


def _tell(a: OpenRun, b: OpenRun, same_prompt: bool, differ_at: int | None) -> None:
    """How the two differ: in settings, and whether in their text."""
    words = changed_settings(a, b)
    if not same_prompt:
        st.warning(f"**A and B went on with two different prompts**{_by_the_template(a, b)}, so neither their counts "
                   "nor their times can be compared: a difference may come from the text alone. Choose two runs of one "
                   "prompt for that.")  # fmt: skip
    elif differ_at is None:
        words += f" Both wrote the same text{_as_far(a, b)}."
    else:
        tokens = [visible(_tokens(run)[differ_at]) for run in (a, b)]
        st.warning(f"**The texts differ from position {differ_at + 1} on**: A has {_span(tokens[0])}, B has "
                   f"{_span(tokens[1])}. {_by_law(a, b)}Another seed, temperature, model or number type does that; in "
                   "half precision a near-tie as well.")  # fmt: skip
    st.caption(words)


def _by_law(*runs: OpenRun) -> str:
    """Which methods do not write one text for one seed."""
    heads = (run.meta for run in runs)
    names = {plain(head["method"]["name"]) for head in heads
             if not keeps_text(head["method"]["keeps"], head["spec"]["sampling"]["temperature"])}  # fmt: skip
    return f"That is no fault: *{'* and *'.join(sorted(names))}* keeps only the law of texts. " if names else ""


def _by_the_template(a: OpenRun, b: OpenRun) -> str:
    alike = _prompt(a).given() == _prompt(b).given()
    return " (of one text the tokenizer or its chat template made other tokens at another time)" if alike else ""


def _as_far(a: OpenRun, b: OpenRun) -> str:
    lengths = [len(_tokens(run)) for run in (a, b)]
    return "" if lengths[0] == lengths[1] else f" as far as the shorter one goes, {counted(min(lengths), 'token')}"


def _span(text: str) -> str:
    return f"“{plain(text[:40])}”"


def _tokens(run: OpenRun) -> list[str]:
    return [text for round_ in run.rounds for text in round_.new_texts.raw]


def _side(side: str, run: OpenRun, index: int, position: int) -> None:
    """One run's round at the position: its words, the tokens up to there, its graph."""
    round_ = run.rounds[index]
    drafting = run.meta["spec"]["drafting"]
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.markdown(f"**{side}** · {plain(find(run.name).label)}", width="content")
        if st.button("Graph", key=f"large {side}", icon=":material/account_tree:", type="tertiary",
                     help="This round, large."):  # fmt: skip
            open_in_graph(run.name, round_.number)
    status, last = run.end["status"] if run.end else "incomplete", ends(run.rounds)[-1]
    words = [] if status == "complete" else [f"This run is {status}."]
    words += [f"Its text ends at position {last}; the last round is shown."] if position > last else []
    if words:
        st.caption(" ".join(words))
    round_line(run, index, f"{drafting['method']}: {outcome(round_)}, {round_.ms.total:,.1f} ms")
    if not round_.detailed:
        st.info("This run recorded counts and times only, so there is no graph.")
        return
    round_shown = (run.name, index)
    shown_for, node = st.session_state.get(f"picked {side}", (round_shown, None))
    node = node if shown_for == round_shown else None
    frame, shown = Frame.of([round_], GRAPH_HEIGHT), Shown(manageable(round_))
    graph_view(graph_data(round_, run=run.name, frame=frame, show_pruned=False, selected=node, shown=shown),
               key=f"graph {side}", on_pick=lambda: _picked(side, round_shown))  # fmt: skip
    st.html(as_html(tell(round_, run.meta, node, run.before(round_))))


def _picked(side: str, round_shown: tuple[str, int]) -> None:
    """A selection holds in its round; nodes of another round have the same names."""
    if picked := st.session_state[f"graph {side}"].get("pick"):
        hidden = (picked["id"] or "").startswith("+")
        st.session_state[f"picked {side}"] = round_shown, None if hidden else picked["id"]


def _totals(a: OpenRun, b: OpenRun, place: Place, rows: pd.DataFrame, differ_at: int | None) -> None:
    """What both took up to the position and in all, and the measured time along the text."""
    left, right = st.columns(2, gap="medium")
    with left:
        chart(figures.elapsed(rows, place.position, differ_at), rows, name="elapsed", help=TIMES)
    with right:
        _table(a, b, place)


def _table(a: OpenRun, b: OpenRun, place: Place, columns: list[str] | None = None) -> None:
    """What both took as sums over their rounds; `columns` where not all can be told."""
    with st.container(border=True):
        whole = st.segmented_control("Up to", ["here", "the end"], key="compare up to", default="here", required=True)
        at = (place.a, place.b) if whole == "here" else (len(a.rounds) - 1, len(b.rounds) - 1)
        table = differences(so_far(a.rounds, at[0]), so_far(b.rounds, at[1]))
        table = table[columns] if columns else table
        number = st.column_config.NumberColumn(format="%.4g")
        st.dataframe(table, key="differences", hide_index=True, placeholder="–", height="content",
                     column_config={name: number for name in table.columns[1:]})  # fmt: skip
        if columns is None:
            uneven = whole != "here" and ends(a.rounds)[-1] != ends(b.rounds)[-1]
            st.caption(f"{DIFFERENCES}{UNEVEN if uneven else ''}")
