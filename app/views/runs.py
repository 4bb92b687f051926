"""Every recorded run: search, open, rename, delete, import and export."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import streamlit as st

from analysis.bundle import take_in, write_bundle
from analysis.catalog import FAILED, INCOMPLETE, MOST_TITLE, UNREADABLE, delete, matches, retitle
from analysis.words import plain
from app.components.page import head
from app.components.run_table import Line, run_table
from app.components.run_view import drafted_with
from app.engine_client import engine
from app.library import entries, info, runs_folder
from app.state import open_run, session, write_address
from gsd.errors import GsdError

HERE = Path(__file__).parent
FRESH_S = 90  # a run without an end that grew so lately is taken for one that is being written
WATCH_EVERY_S = 2.0
FILTERS = ("status", "method", "pair", "kind")
SEARCH, UPLOAD, TITLE = "runs search", "bundles", "new title"  # widget keys


def page() -> None:
    """The whole page; searching and ticking redraw the list alone."""
    session()
    head("Runs", "Every recorded run: find it, open it, take it elsewhere.", _import)
    _told()
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
        _rename(one)
    st.download_button(
        "Export", lambda: _bundle(ticked), _bundle_name(ticked), "application/zip", key="export", on_click="ignore",
        icon=":material/download:", disabled=not readable, help="One file with the traces, their tables and metrics as "
        "CSV, settings and versions. Import it here or elsewhere, or run it again with `gsd rerun`.")  # fmt: skip
    if st.button("Delete", key="delete", icon=":material/delete:", disabled=not deletable,
                 help="Asks first. Samples and runs that are being written stay."):  # fmt: skip
        _delete(deletable, len(ticked) - len(deletable))
    st.caption(_ticked_words(ticked), width="content")


def _ticked_words(ticked: Sequence[Line]) -> str:
    if not ticked:
        return "Tick rows on their left, or click :material/visibility: to open one."
    runs = "1 run" if len(ticked) == 1 else f"{len(ticked)} runs"
    return f"{runs} ticked · {_size(sum(line.info.bytes for line in ticked))}"


def _go(line: Line, view: str) -> None:
    open_run(line.name)
    st.switch_page(HERE / view)


def _bundle_name(ticked: Sequence[Line]) -> str:
    return f"{ticked[0].name}.zip" if len(ticked) == 1 else f"gsd-{len(ticked)}-runs.zip"


def _bundle(ticked: Sequence[Line]) -> bytes:
    with tempfile.TemporaryDirectory() as place:
        return write_bundle([line.info.head.folder for line in ticked], Path(place) / "runs.zip").read_bytes()


@st.dialog("Rename", icon=":material/edit:")
def _rename(line: Line) -> None:
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
        _tell("", [str(error)])


@st.dialog("Delete", icon=":material/delete:")
def _delete(lines: Sequence[Line], kept: int) -> None:
    size = _size(sum(line.info.bytes for line in lines))
    runs = "this run" if len(lines) == 1 else f"these {len(lines)} runs"
    st.markdown(f"Delete {runs} from disk ({size})? This cannot be undone.")
    with st.container(height=180 if len(lines) > 5 else "content", border=True, gap="xsmall"):
        for line in lines:
            counted = "" if line.info.tokens is None else f"{line.info.tokens:,} tokens"
            st.caption(
                plain(" · ".join(filter(None, (line.title[:60], line.drafted, line.settings, counted, line.name))))
            )
    if kept:
        st.caption(f"{_runs(kept)} of those ticked will stay: a sample, or being written.")
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
    _tell(f"Deleted {_runs(len(gone))}." if gone else "", errors)


# --- import


def _import() -> None:
    """A way in for bundles, beside the title."""
    with st.popover("Import", icon=":material/upload:", key="import", help="Runs that were exported here or elsewhere"):
        count = st.session_state.setdefault("imports", 0)
        st.file_uploader("Bundles", "zip", accept_multiple_files=True, key=f"{UPLOAD} {count}", on_change=_take_in,
                         help="Files that Export or `gsd export --bundle` wrote. Nothing in them is run, and runs that "
                              "are here already stay as they are.")  # fmt: skip


def _take_in() -> None:
    """Unpack what was uploaded, then empty the uploader, so that a file is taken in once."""
    files = st.session_state[f"{UPLOAD} {st.session_state['imports']}"]
    known, new, there, errors = [entry.name for entry in entries()], [], [], []
    for file in files:
        with tempfile.TemporaryDirectory() as place:
            path = Path(place) / "bundle.zip"
            path.write_bytes(file.getbuffer())
            try:
                taken = take_in(path, runs_folder(), known)
            except GsdError as error:
                errors.append(str(error).replace(str(path), file.name))
                continue
        new, there = new + taken.new, there + taken.known
    st.session_state["imports"] += 1
    words = [f"Imported {_runs(len(new))}."] if new else []
    if there:
        words.append(f"{_runs(len(there))} {'was' if len(there) == 1 else 'were'} here already and stayed as before.")
    _tell(" ".join(words), errors)


# --- words


def _tell(done: str, errors: list[str]) -> None:
    st.session_state["told"] = done, errors


def _told() -> None:
    """What the last action did, once."""
    done, errors = st.session_state.pop("told", ("", []))
    if done:
        st.success(done, icon=":material/check:")
    for error in errors:
        st.error(plain(error))


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
    words = f"{len(shown):,} of {len(lines):,} runs shown" if len(shown) < len(lines) else _runs(len(lines))
    size = _size(sum(line.info.bytes for line in own))
    st.caption(plain(f"{words} · {len(own):,} of your own take {size} under {runs_folder()}"))


def _runs(count: int) -> str:
    return "1 run" if count == 1 else f"{count:,} runs"


def _size(count: int) -> str:
    for unit in ("bytes", "KB", "MB", "GB"):
        if count < 1000 or unit == "GB":
            return f"{count:,.0f} {unit}" if unit == "bytes" or count >= 100 else f"{count:.1f} {unit}"
        count /= 1000


# --- runs that end while they are on show


def _state_of_list() -> list[tuple[str, str]]:
    return [(line.name, line.status) for line in _lines()]


def _watch(drawn: list[tuple[str, str]]) -> None:
    if _state_of_list() != drawn:
        st.rerun()


page()
