"""What changes recorded runs: another title, deleting them. Each asks first, and says what it did."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from analysis.catalog import MOST_TITLE, delete, retitle
from analysis.words import plain, size
from app.components.run_table import Line
from app.state import session
from gsd.errors import GsdError
from gsd.wording import counted

TITLE = "new title"  # a widget's key begins with it


@st.dialog("Rename", icon=":material/edit:")
def rename_dialog(line: Line) -> None:
    """Ask for the title of a run."""
    with st.form("title", border=False):
        st.text_input(
            "Title", line.info.head.title, key=f"{TITLE} {line.name}", max_chars=MOST_TITLE,
            placeholder=line.title[:60], help="Empty: the list shows the prompt's beginning again.",
        )  # fmt: skip
        if st.form_submit_button("Save", key="save", type="primary", on_click=_retitle, args=(line,)):
            st.rerun()


def _retitle(line: Line) -> None:
    try:
        retitle(line.info.head.folder, st.session_state[f"{TITLE} {line.name}"])
    except GsdError as error:
        tell("", [str(error)])


@st.dialog("Delete", icon=":material/delete:")
def delete_dialog(lines: Sequence[Line], kept: int) -> None:
    """Ask whether these runs are to go, which is for good; `kept` of those ticked are not among them."""
    disk = size(sum(line.info.bytes for line in lines))
    runs = "this run" if len(lines) == 1 else f"these {len(lines)} runs"
    st.markdown(f"Delete {runs} from disk ({disk})? This cannot be undone.")
    with st.container(height=180 if len(lines) > 5 else "content", border=True, gap="xsmall"):
        for line in lines:
            tokens = "" if line.info.tokens is None else counted(line.info.tokens, "token")
            parts = (line.title[:60], line.drafted, line.settings, tokens, line.name)
            st.caption(plain(" · ".join(filter(None, parts))))
    if kept:
        st.caption(f"{counted(kept, 'run')} of those ticked will stay: a sample, or being written.")
    with st.container(horizontal=True, horizontal_alignment="right"):
        if st.button("Keep", key="keep"):
            st.rerun()
        if st.button("Delete", key="delete for good", type="primary", icon=":material/delete:",
                     on_click=_delete_now, args=(lines,)):  # fmt: skip
            st.rerun()


def _delete_now(lines: Sequence[Line]) -> None:
    """Each on its own: what cannot be deleted is told, and the others go."""
    state, gone, errors = session(), [], []
    for line in lines:
        try:
            delete(line.info.head.folder)
            gone.append(line.name)
        except GsdError as error:
            errors.append(str(error))
    if state.run and state.run.name in gone:
        state.run, state.round, state.node, state.following = None, None, None, False
    tell(f"Deleted {counted(len(gone), 'run')}." if gone else "", errors)


def tell(done: str, errors: list[str]) -> None:
    """Keep for the next drawing what was done, and what went wrong."""
    st.session_state["told"] = done, errors


def told() -> None:
    """What the last action did, once."""
    done, errors = st.session_state.pop("told", ("", []))
    if done:
        st.success(done, icon=":material/check:")
    for error in errors:
        st.error(plain(error))
