"""What merging saved is told against the same run as a tree: decode it, in place."""

from __future__ import annotations

import time

import streamlit as st

from analysis.twins import is_unmerged_twin
from analysis.words import plain
from app import engine_client
from app.components.consent import ask, must_ask, named_by, trusted
from app.components.waiting import waiting
from app.engine_client import Job
from app.library import runs_folder
from app.state import OpenRun
from gsd.config import RunSpec
from gsd.decode.recorded import as_recorded
from gsd.errors import GsdError
from gsd.methods import read_by
from gsd.models.places import located
from gsd.spec import build

ASKED_EVERY_S = 0.5
TWINS = "twins"  # in the session: run -> job of its twin


def twin_of(run: OpenRun) -> RunSpec | None:
    """The same settings without merging; None where the run is not whole, never merges or lacks its models here."""
    if not run.end or run.end["status"] != "complete":
        return None
    try:
        spec = as_recorded(run.meta["spec"])
        found = [located(model) for model in (spec.target, spec.draft) if model]
    except GsdError:
        return None
    unmerged = read_by({**spec.drafting.model_dump(), "merge_context": None})
    twin = spec.model_copy(update={"drafting": unmerged})
    alike = is_unmerged_twin(run.meta["spec"], twin.model_dump(mode="json"))
    return twin if alike and None not in found else None


def twin_run(run: OpenRun) -> None:
    """Offer to decode it, and wait until it is there; nothing where it cannot be."""
    twin = twin_of(run)
    if twin is None:
        return
    job = _job(run)
    pending = job is not None and job.pending
    st.fragment(_twin_run, run_every=ASKED_EVERY_S if pending else None)(run, twin, pending)


def _twin_run(run: OpenRun, twin: RunSpec, drawn_pending: bool) -> None:
    job = _job(run)
    if (job is not None and job.pending) != drawn_pending:
        st.rerun()
    if drawn_pending:
        waiting("Decoding the same as a tree", time.monotonic() - job.since)
        return
    if job and job.error:
        st.error(plain(job.error))
    elif job and job.state == "finished":  # it is not what was looked for, or this would not be drawn
        st.warning("The tree was decoded, but from other tokens: the chat template makes others of this prompt now "
                   "than when this run was recorded. Run it anew, and compare with that.")  # fmt: skip
    st.button("Decode the same as a tree", key="twin", icon=":material/play_arrow:", on_click=_decode, args=(run, twin),
              help="A run of the same prompt and settings by the method *tree*, which never merges: what merging saved "
                   "is told against it.")  # fmt: skip
    ask()


def _job(run: OpenRun) -> Job | None:
    name = st.session_state.get(TWINS, {}).get(run.name)
    return engine_client.engine().job(name) if name else None


def _decode(run: OpenRun, twin: RunSpec) -> None:
    if must_ask(named_by(build(RunSpec, run.meta["spec"])), lambda: _decode(run, twin)):
        return
    st.session_state.setdefault(TWINS, {})[run.name] = engine_client.engine().submit(trusted(twin), runs_folder())
