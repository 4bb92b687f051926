"""What a recording names is loaded, and has its own code run, only once it was said so: the dialog that asks.

A recording may be somebody else's. It is asked for each model at a path of this machine, for each that would be
downloaded, and for each that was recorded with code of its own; an answer holds for the session.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import streamlit as st

from analysis.words import plain
from gsd.config import RunSpec
from gsd.decode.recorded import models_of, trusting
from gsd.errors import ModelError
from gsd.models.places import BUNDLED, is_path, local_path, located
from gsd.spec import ModelSpec

ASKED = "asked"  # in the session: the question that waits for its answer
AGREED = "agreed"  # in the session: names of models that may be loaded
TRUSTED = "trusted"  # in the session: those of them whose own code is run
HELP = "Such code can do on this machine whatever you can. Tick it only if you know who wrote it."


@dataclass(frozen=True, slots=True)
class Question:
    """Models as a recording names them, and what goes on once they were agreed to."""

    models: tuple[ModelSpec, ...]
    go_on: Callable[[], None]


def must_ask(models: Iterable[ModelSpec], go_on: Callable[[], None]) -> bool:
    """Whether something of a recording has to be asked first; then `ask` does, and `go_on` is called with the answer.

    For callbacks; `ask` is to be drawn in the same part of the page.
    """
    agreed = st.session_state.get(AGREED, frozenset())
    asked = {model.name: model for model in models if model.name not in agreed and _matters(model)}
    if asked:
        st.session_state[ASKED] = Question(tuple(asked.values()), go_on)
    return bool(asked)


def ask() -> None:
    """Draw the dialog where a question waits."""
    if question := st.session_state.pop(ASKED, None):
        _dialog(question)


def named_by(recorded: RunSpec) -> list[ModelSpec]:
    """The models that a recording names itself: a preset's are ours."""
    return [] if recorded.pair else [model for model in models_of(recorded).values() if model]


def trusted(spec: RunSpec) -> RunSpec:
    """A run with the code of those models that are trusted in this session."""
    return spec if spec.pair else trusting(spec, st.session_state.get(TRUSTED, frozenset()))


def is_trusted(model: ModelSpec) -> bool:
    """Whether this session runs the code that comes with a model of that source and revision."""
    return model.name in st.session_state.get(TRUSTED, frozenset())


def forget() -> None:
    """Ask anew, as for another recording."""
    st.session_state[AGREED] = st.session_state[TRUSTED] = frozenset()


def would_download(model: ModelSpec) -> bool:
    """Whether the model is a hub id that is not on this machine."""
    try:
        return located(model) is None and not is_path(model.source)
    except ModelError:  # a local model has no revisions, which is said when it is loaded
        return False


def _matters(model: ModelSpec) -> bool:
    path = local_path(model.source)
    foreign = path is not None and BUNDLED.resolve() not in path.resolve().parents
    return foreign or model.trust_remote_code or would_download(model)


@st.dialog("Models that a recording names", icon=":material/policy:")
def _dialog(question: Question) -> None:
    st.markdown("These settings are those of a recorded run, which may be somebody else's. Nothing is loaded until you "
                "say so.")  # fmt: skip
    for model in question.models:
        with st.container(border=True, gap="xsmall"):
            st.markdown(f"**{plain(model.source)}**")
            st.caption(plain(_where(model)))
            revision = f" at revision {model.revision}" if model.revision else ""
            st.checkbox(plain(f"Run code that comes with {model.source}{revision}"), key=_key(model), help=HELP)
            if model.trust_remote_code:
                st.caption("It was recorded with that code; without it, it may not load.")
    with st.container(horizontal=True, horizontal_alignment="right"):
        if st.button("Do not load", key="do not load"):
            st.rerun()
        if st.button("Load and go on", key="load and go on", type="primary", icon=":material/check:", on_click=_agree,
                     args=(question,)):  # fmt: skip
            st.rerun()


def _where(model: ModelSpec) -> str:
    revision = f"Revision {model.revision}" if model.revision else "No revision is named"
    if path := local_path(model.source):
        return f"{revision}. It is loaded from this machine: {path.resolve()}"
    if would_download(model):
        return f"{revision}. It is not on this machine: it is downloaded from the Hugging Face hub."
    return f"{revision}. It is on this machine already."


def _agree(question: Question) -> None:
    names = {model.name for model in question.models}
    ticked = {model.name for model in question.models if st.session_state.get(_key(model))}
    st.session_state[AGREED] = st.session_state.get(AGREED, frozenset()) | names
    st.session_state[TRUSTED] = st.session_state.get(TRUSTED, frozenset()) | ticked
    question.go_on()


def _key(model: ModelSpec) -> str:
    return f"trust {model.name}"
