"""Every recorded run: search, open, rename, delete, import and export."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import streamlit as st

from analysis.bundle import write_bundle
from analysis.catalog import FAILED, INCOMPLETE, UNREADABLE, matches
from analysis.words import plain, size
from app.components.page import head
from app.components.run_changes import delete_dialog, rename_dialog, told
from app.components.run_import import run_import
from app.components.run_table import Line, run_table
from app.components.run_view import drafted_with
from app.engine_client import engine
from app.library import entries, info, runs_folder
from app.state import open_run, session, write_address
from gsd.wording import counted

HERE = Path(__file__).parent
FRESH_S = 90  # a run without an end that grew so lately is taken for one that is being written
WATCH_EVERY_S = 2.0
FILTERS = ("status", "method", "pair", "kind")
SEARCH = "runs search"  # a widget's key


def page() -> None:
    """The whole page; searching and ticking redraw the list alone."""
    session()
    head("Runs", "Every recorded run: find it, open it, take it elsewhere.", run_import)
    told()
    st.fragment(_list)()
    if any(line.writing for line in _lines()):
        st.fragment(_watch, run_every=WATCH_EVERY_S)(_state_of_list())


def _lines() -> list[Line]:
    """All runs, the newest first; those that are being written are marked."""
    lines = []
    for entry in entries():
        found = info(entry)
        lines.append(Line(found, entry.sample, found.status == INCOMPLETE and _writing(entry.folder)))
    return sorted(lines, key=lambda line: line.info.head.created, reverse=True)


def _writing(folder: Path) -> bool:
    if engine().writing(folder):
        return True
    try:
        return time.time() - (folder / "events.jsonl").stat().st_mtime < FRESH_S
    except OSError:
        return False


def _list() -> None:
    lines = _lines()
    if all(line.sample for line in lines):
        _nothing_yet()
    shown = _filtered(lines)
    bar = st.container(horizontal=True, vertical_alignment="center", gap="small", key="run-actions")
    ticked, opened = run_table(shown)
    if not shown:
        st.info("No run fits. Search for less, or clear the filters.")
        st.button("Clear all", key="clear", icon=":material/filter_alt_off:", on_click=_clear)
    with bar:
        _actions(ticked)
    _disk_use(lines, shown)
    if len(ticked) == 1:
        _preview(ticked[0])
    write_address(session(), q=st.session_state[SEARCH] or None,
                  **{name: st.session_state[f"runs {name}"] for name in FILTERS})  # fmt: skip
    if opened and opened.readable:
        _go(opened, "playground.py")


def _nothing_yet() -> None:
    with st.container(horizontal=True, vertical_alignment="center", border=True, key="offer"):
        st.markdown("**No run of yours yet.** Decode one in the Playground, or import a bundle. The samples below came "
                    "with the app.", width="stretch")  # fmt: skip
        st.page_link(HERE / "playground.py", label="To the Playground", icon=":material/play_circle:")


# --- search and filters


def _filtered(lines: list[Line]) -> list[Line]:
    """The runs that fit what is asked for, by the widgets that this draws."""
    for name in ("search", *FILTERS):
        asked = st.query_params.get("q" if name == "search" else name)
        st.session_state.setdefault(f"runs {name}", asked or ("" if name == "search" else None))
    with st.container(horizontal=True, gap="small", key="run-filters"):
        words = st.text_input("Search", key=SEARCH, type="search", live=True, persist_state="session", width="stretch",
                              label_visibility="collapsed", icon=":material/search:",
                              placeholder="Search titles, prompts and texts")  # fmt: skip
        chosen = {name: _filter(name, lines) for name in FILTERS}
    return [line for line in lines if matches(line.info, words)
            and all(value is None or getattr(line, name) == value for name, value in chosen.items())]  # fmt: skip


def _filter(name: str, lines: list[Line]) -> str | None:
    values = sorted({value for line in lines if (value := getattr(line, name))})
    key = f"runs {name}"
    if st.session_state[key] not in values:
        st.session_state[key] = None
    return st.selectbox(name.capitalize(), values, key=key, placeholder=f"Any {name}", width=130,
                        label_visibility="collapsed", persist_state="session")  # fmt: skip


def _clear() -> None:
    st.session_state.update({SEARCH: "", **{f"runs {name}": None for name in FILTERS}})


# --- what can be done with the runs that are ticked


def _actions(ticked: Sequence[Line]) -> None:
    one = ticked[0] if len(ticked) == 1 else None
    readable = bool(ticked) and all(line.readable for line in ticked)
    deletable = [line for line in ticked if line.deletable]
    if st.button("Open", key="open one", icon=":material/visibility:", disabled=not (one and one.readable),
                 help="In the Playground: its text, figures and graph"):  # fmt: skip
        _go(one, "playground.py")
    if st.button("Graph", key="graph one", icon=":material/account_tree:", disabled=not (one and one.readable),
                 help="One of its rounds, large"):  # fmt: skip
        _go(one, "graph.py")
    if st.button("Rename", key="rename", icon=":material/edit:", disabled=not one or one.sample,
                 help="A title for lists; nothing that was recorded changes. Samples keep theirs."):  # fmt: skip
        rename_dialog(one)
    st.download_button(
        "Export", lambda: _bundle(ticked), _bundle_name(ticked), "application/zip", key="export", on_click="ignore",
        icon=":material/download:", disabled=not readable, help="One file with the traces, their tables and metrics as "
        "CSV, settings and versions. Import it here or elsewhere, or run it again with `gsd rerun`.")  # fmt: skip
    if st.button("Delete", key="delete", icon=":material/delete:", disabled=not deletable,
                 help="Asks first. Samples and runs that are being written stay."):  # fmt: skip
        delete_dialog(deletable, len(ticked) - len(deletable))
    st.caption(_ticked_words(ticked), width="content")


def _ticked_words(ticked: Sequence[Line]) -> str:
    if not ticked:
        return "Tick rows on their left, or click :material/visibility: to open one."
    return f"{counted(len(ticked), 'run')} ticked · {size(sum(line.info.bytes for line in ticked))}"


def _go(line: Line, view: str) -> None:
    open_run(line.name)
    st.switch_page(HERE / view)


def _bundle_name(ticked: Sequence[Line]) -> str:
    return f"{ticked[0].name}.zip" if len(ticked) == 1 else f"gsd-{len(ticked)}-runs.zip"


def _bundle(ticked: Sequence[Line]) -> bytes:
    with tempfile.TemporaryDirectory() as place:
        return write_bundle([line.info.head.folder for line in ticked], Path(place) / "runs.zip").read_bytes()


# --- words


def _preview(line: Line) -> None:
    """The one run that is ticked: what is wrong with it, its settings, prompt and text."""
    found, spec = line.info, line.info.head.spec
    if line.writing:
        st.info("It is being written just now. Open it to see it grow.")
    elif found.why:
        say = st.error if found.status in (FAILED, UNREADABLE) else st.warning
        say(plain(f"{found.status.capitalize()}: {found.why}"))
    if spec is None:
        return
    left, right = st.columns(2, gap="medium")
    with left:
        st.caption("Prompt")
        _text(spec["prompt"]["prompt"])
    with right:
        st.caption(f"Text · {plain(_settings(spec))}")
        _text(found.text or "–")


def _text(text: str) -> None:
    long = len(text) > 600 or text.count("\n") > 7
    st.code(text, language=None, wrap_lines=True, height=200 if long else "content")


def _settings(spec: dict) -> str:
    return " · ".join([*drafted_with(spec["drafting"]), f"temperature {spec['sampling']['temperature']:g}"])


def _disk_use(lines: Sequence[Line], shown: Sequence[Line]) -> None:
    own = [line for line in lines if not line.sample]
    words = counted(len(lines), "run")
    if len(shown) < len(lines):
        words = f"{len(shown):,} of {words} shown"
    take = "takes" if len(own) == 1 else "take"
    disk = size(sum(line.info.bytes for line in own))
    st.caption(plain(f"{words} · {len(own):,} of your own {take} {disk} under {runs_folder()}"))


# --- runs that end while they are on show


def _state_of_list() -> list[tuple[str, str]]:
    return [(line.name, line.status) for line in _lines()]


def _watch(drawn: list[tuple[str, str]]) -> None:
    if _state_of_list() != drawn:
        st.rerun()


page()
