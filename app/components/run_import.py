"""A way in for bundles: runs that were exported here or elsewhere."""

from __future__ import annotations

import tempfile
from pathlib import Path

import streamlit as st

from analysis.bundle import BundleError, LargeBundle, Taken, take_in
from app.components.run_changes import tell
from app.library import entries, runs_folder
from gsd.errors import GsdError
from gsd.wording import counted

IMPORT, UPLOAD, TAKEN_IN = "import", "bundles", "imports"  # keys: of the popover, of the uploader, of how often


def run_import() -> None:
    """A button that opens the uploader; once runs were taken in it closes, so that they are seen."""
    with st.popover("Import", icon=":material/upload:", key=IMPORT, on_change="rerun",
                    help="Runs that were exported here or elsewhere"):  # fmt: skip
        count = st.session_state.setdefault(TAKEN_IN, 0)
        st.file_uploader("Bundles", "zip", accept_multiple_files=True, key=f"{UPLOAD} {count}", on_change=_take_in,
                         help="Files that Export or `gsd export --bundle` wrote. Nothing in them is run, and runs that "
                              "are here already stay as they are.")  # fmt: skip


def _take_in() -> None:
    """Unpack what was uploaded, then empty the uploader, so that a file is taken in once."""
    files = st.session_state[f"{UPLOAD} {st.session_state[TAKEN_IN]}"]
    known, found, errors = [entry.name for entry in entries()], [], []
    for file in files:
        try:
            found.append(_unpacked(file.name, file.getbuffer(), known))
        except GsdError as error:
            errors.append(str(error))
    st.session_state[TAKEN_IN] += 1
    if found:
        st.session_state[IMPORT] = False
    tell(_in_words(found), errors)


def _unpacked(name: str, content: memoryview, known: list[str]) -> Taken:
    """Take in one file. Raises `GsdError` that says what is wrong with it, by the name that it was uploaded under."""
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "bundle.zip"
        path.write_bytes(content)
        try:
            return take_in(path, runs_folder(), known)
        except LargeBundle as error:
            raise GsdError(f"{name} {error.what}. Export fewer runs at a time.") from error
        except BundleError as error:
            raise GsdError(f"{name} {error.what}. Choose a file that Export made.") from error
        except GsdError as error:
            raise GsdError(f"{name} was not imported. {str(error).replace(str(path), name)}.") from error


def _in_words(found: list[Taken]) -> str:
    """How many runs are new, and how many were there."""
    new, there = sum(len(one.new) for one in found), sum(len(one.known) for one in found)
    words = [f"Imported {counted(new, 'run')}."] if new else []
    if there:
        words.append(f"{counted(there, 'run')} {'was' if there == 1 else 'were'} here already and stayed as before.")
    return " ".join(words)
