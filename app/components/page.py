"""The head of a view, and the one choice of run that several views share."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from analysis.words import plain
from app.library import Entry, entries, labels
from app.state import OpenRun, open_run, session

PICKED = "picked run"  # what the picker shows, and how often that was changed elsewhere


def head(title: str, lead: str, pick: Callable[[], object] | None = None) -> None:
    """A view's name and one sentence of what it is for, and beside it what it looks at: the open run, or `pick`."""
    with st.container(horizontal=True, vertical_alignment="bottom", horizontal_alignment="distribute"):
        with st.container(width=600, gap=None):
            st.title(title, anchor=False)
            st.html(f'<p class="lead">{lead}</p>')
        (pick or pick_run)()


def pick_run() -> None:
    """The run that every view looks at; choosing one opens it."""
    names = labels(entries())
    run = session().run
    shown = run.name if run and run.name in names else None
    key = _key(shown)
    st.session_state[key] = shown
    st.selectbox("Run", names, key=key, format_func=names.get, on_change=_open, args=(key,), width=360,
                 placeholder="Open a run or a sample")  # fmt: skip


def opened() -> OpenRun:
    """The open run, read to its newest round; where there is none, offer the samples and end the page."""
    state = session()
    if state.problem:
        st.error(plain(state.problem))
    if state.run is None:
        _offer([entry for entry in entries() if entry.sample])
        st.stop()
    state.run.poll()
    return state.run


def _offer(samples: list[Entry]) -> None:
    with st.container(border=True, key="offer"):
        st.markdown("**No run is open.** Choose one above, decode one in the Playground, or open a recorded sample:")
        with st.container(horizontal=True):
            for entry in samples:
                st.button(plain(entry.label), key=f"open {entry.name}", icon=":material/visibility:", on_click=open_run,
                          args=(entry.name,))  # fmt: skip


def _open(key: str) -> None:
    """Open what was chosen. A page that still shows the run before sends that one, by a key of former times."""
    _, count = st.session_state[PICKED]
    name = st.session_state[key]
    if name and key == _numbered(count):
        open_run(name)
        st.session_state[PICKED] = name, count


def _key(shown: str | None) -> str:
    """Another key for each run that is shown without having been chosen here, as the next of several prompts is."""
    before, count = st.session_state.get(PICKED, (shown, 0))
    count += before not in (None, shown)
    st.session_state[PICKED] = shown, count
    return _numbered(count)


def _numbered(count: int) -> str:
    return f"open {count}"
