"""What of a round is drawn and what is folded: branches open by a click, or all of them at once."""

from __future__ import annotations

from collections.abc import Iterable

import streamlit as st

from analysis.faces import Face
from analysis.layout import Room, fitted
from app.state import OpenRun, session
from gsd.trace.recorded_round import RecordedRound
from gsd.wording import counted


def folded(run: OpenRun, round_: RecordedRound, whole: Face, room: Room, also: Iterable[int] = ()) -> Face:
    """As much of a face as there is room for, with what was opened, what is selected and the graph nodes `also`.

    All of it if asked for.
    """
    if _wanted_whole(run, round_):
        return whole
    return fitted(whole, room, _opened(run, round_), [*also, *needed(session().node)])


def needed(node: str | None) -> list[int]:
    """A graph node that an address or the table asks for is drawn, however improbable."""
    return [int(node[1:])] if node and node[:1] == "n" and node[1:].isdecimal() else []


def open_branch(run: OpenRun, round_: RecordedRound, id: str) -> None:
    """Draw what hangs behind the node of that id, too; `+n7` is the pick that asks for it."""
    _opened(run, round_).add(id.removeprefix("+"))


def say_folded(run: OpenRun, round_: RecordedRound, drawn: Face) -> None:
    """How many nodes there are besides those drawn, and the way to see them."""
    if not drawn.hidden:
        return
    with st.container(horizontal=True, vertical_alignment="center", key="hidden"):
        words = f"{drawn.whole - drawn.hidden:,} of {counted(drawn.whole, 'node')} drawn, the likeliest that fit"
        st.caption(f"{words}; **+** opens what hangs behind one.", width="content")
        if not _wanted_whole(run, round_):
            st.button("Draw all", key="draw all", type="tertiary", icon=":material/expand_all:", on_click=_want_whole,
                      args=(run.name, round_.number), help="As a tree, at most the 1,000 likeliest.")  # fmt: skip


def _opened(run: OpenRun, round_: RecordedRound) -> set[str]:
    """The branches of a round that were opened by a click."""
    return st.session_state.setdefault("opened", {}).setdefault((run.name, round_.number), set())


def _wanted_whole(run: OpenRun, round_: RecordedRound) -> bool:
    return st.session_state.get("whole") == (run.name, round_.number)


def _want_whole(run: str, round: int) -> None:
    st.session_state["whole"] = (run, round)
