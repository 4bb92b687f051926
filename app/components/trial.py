"""A replayed setting decoded for real: what was modelled beside what is measured."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
import streamlit as st

from analysis.tune import as_row, to_paste
from analysis.words import plain
from app.atlas import OpenAtlas
from app.components.consent import ask, must_ask, named_by, trusted
from app.components.stepper import open_in_graph
from app.engine_client import Job, engine
from app.library import runs_folder
from app.state import OpenRun
from gsd.config import RunSpec
from gsd.decode.recorded import as_recorded, as_settled
from gsd.errors import GsdError, InputError, TraceError
from gsd.lab.atlas import AtlasText
from gsd.methods import MethodSettings
from gsd.models.places import located
from gsd.spec import Prompt, build
from gsd.wording import counted

ASKED_EVERY_S = 0.5
TRIAL = "trial"  # in the session: the last one
TRIAL_TEXT = "trial text"  # in the session: the id of the prompt to try
COUNTS = {"rounds": "rounds", "draft_forwards": "draft forwards", "drafted_nodes": "drafted nodes",
          "verified_nodes": "verified nodes", "merges": "merges"}  # fmt: skip
MODELLED = "*Modelled* from the atlas and its cost curves, for this prompt alone: `plain decoding ÷ replayed rounds`."
MEASURED = (
    "*Measured* here and now: `tokens per second of this setting ÷ those of ar`, the two in turn in one warm process; "
    "the median of the ratios."
)


TRIAL_HELP = "Decodes this prompt of the atlas with the setting above and with `ar`, three times in turn."


@dataclass(frozen=True, slots=True)
class Trial:
    """One text decoded by one setting: what the replay says, and the engine's job."""

    job: str
    atlas: str
    text: str
    settings: str
    replayed: dict[str, float | None]


def trial(opened: OpenAtlas, spec: MethodSettings) -> None:
    """Choose a prompt of the atlas, decode it, and see both."""
    found = _last(opened)
    pending = found is not None and engine().job(found.job).pending
    st.fragment(_trial, run_every=ASKED_EVERY_S if pending else None)(opened, spec, pending)


def _last(opened: OpenAtlas) -> Trial | None:
    """The last trial, if it was of this atlas."""
    found: Trial | None = st.session_state.get(TRIAL)
    return found if found and found.atlas == opened.name else None


def run_spec(opened: OpenAtlas, text: AtlasText, spec: MethodSettings) -> RunSpec:
    """The run that a replay stands for. Raises `GsdError` where the atlas does not say its prompt or its models."""
    if text.given is None:
        raise InputError("This atlas does not hold the text of its prompts; record it anew with gsd probe.")
    prompt = Prompt(id=text.id, prompt=text.given, kind=text.kind, chat=text.chat)
    recorded = as_recorded(as_settled(opened.atlas.meta))
    return recorded.model_copy(update={"prompt": prompt, "drafting": spec, "detail": "full"})


def lacking_models(opened: OpenAtlas) -> list[str]:
    """Models of the atlas that would have to be downloaded first; of one that does not say its models none."""
    try:
        spec = as_recorded(as_settled({"spec": {}, **opened.atlas.meta}))
        return [model.source for model in (spec.target, spec.draft) if model and located(model) is None]
    except GsdError:
        return []


def _trial(opened: OpenAtlas, spec: MethodSettings, drawn_pending: bool) -> None:
    found = _last(opened)
    job = engine().job(found.job) if found else None
    if (job is not None and job.pending) != drawn_pending:
        st.rerun()
    with st.container(border=True, key="trial"):
        texts = {text.id: text for text in opened.atlas.texts}
        with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
            st.selectbox("Try it for real", texts, key=TRIAL_TEXT, width=320, help=TRIAL_HELP,
                         format_func=lambda name: f"{name} · {texts[name].kind or 'no kind'}")  # fmt: skip
            lacking = lacking_models(opened)
            st.button("Measure", key="trial go", icon=":material/timer:", type="primary", on_click=_start,
                      disabled=bool(drawn_pending or lacking), args=(opened, spec))  # fmt: skip
            if lacking:
                st.caption(plain(f"Not on this machine: {', '.join(lacking)}."), width="content")
            if drawn_pending:
                st.button("Cancel", key="trial stop", on_click=lambda: engine().cancel(found.job))
        if problem := st.session_state.get("trial refused"):
            st.error(plain(problem))
        if found:
            _outcome(found, job)
    ask()


def _start(opened: OpenAtlas, spec: MethodSettings) -> None:
    """Hand the run to the engine, and keep what the replay says of it."""
    name = st.session_state[TRIAL_TEXT]
    text = next(one for one in opened.atlas.texts if one.id == name)
    st.session_state["trial refused"] = ""
    try:
        run = run_spec(opened, text, spec)
    except GsdError as error:
        st.session_state["trial refused"] = str(error)
        return
    if must_ask(named_by(build(RunSpec, opened.atlas.meta["spec"])), lambda: _start(opened, spec)):
        return
    rows = opened.replayed(spec)
    replayed = rows[rows["text"] == name].iloc[0]
    values = {one: None if pd.isna(replayed[one]) else float(replayed[one]) for one in (*COUNTS, "modelled_speedup")}
    job = engine().submit(trusted(run), runs_folder(), baseline=True)
    st.session_state[TRIAL] = Trial(job, opened.name, name, to_paste(as_row(spec)) or "the defaults", values)


def _outcome(found: Trial, job: Job) -> None:
    st.caption(plain(f"{found.text}, {found.settings}"))
    if job.pending:
        st.progress(0.0, f":material/hourglass_top: {job.state.capitalize()} …")
        return
    if job.state in ("failed", "crashed"):
        st.error(plain(job.error))
        return
    if job.state == "cancelled":  # maybe before it began, so that there is no run
        st.info("This trial was cancelled before its end, so there is nothing to compare.")
        return
    try:
        run = OpenRun.read(job.folder)
    except TraceError as error:  # deleted since
        st.info(plain(str(error)))
        return
    left, middle, right = st.columns([2, 2, 5], gap="medium")
    with left:
        st.metric("Speed-up, modelled", _ratio(found.replayed["modelled_speedup"]), help=MODELLED)
    with middle:
        _measured(found, run.end["baseline"])
    with right:
        _counts(found, run)


def _measured(found: Trial, baseline: dict | None) -> None:
    speedup = baseline and baseline["speedup"]
    modelled = found.replayed["modelled_speedup"]
    delta = f"{100 * (modelled / speedup - 1):+.0f}% modelled" if speedup and modelled else None
    st.metric("Speed-up, measured", _ratio(speedup), delta, delta_color="off", delta_arrow="off", help=MEASURED)
    if speedup:
        low, high = baseline["speedup_low"], baseline["speedup_high"]
        st.caption(f"{counted(baseline['repeats'], 'ratio')} from {low:.2f} to {high:.2f}")


def _counts(found: Trial, run: OpenRun) -> None:
    """The replay is exact where it covers: the same counts, one by one."""
    totals = run.end["totals"]
    both = {words: [found.replayed[name], totals[name]] for name, words in COUNTS.items()}
    table = pd.DataFrame({"": ["replayed", "decoded"], **both})
    st.dataframe(table, key="trial counts", hide_index=True, placeholder="–")
    same = all(found.replayed[name] == totals[name] for name in COUNTS)
    covered = all(found.replayed[name] is not None for name in COUNTS)
    words = "Same counts: see the run" if same else "Counts differ: see the run" if covered else "See the run"
    if st.button(words, key="trial run", icon=":material/account_tree:", type="tertiary"):
        open_in_graph(run.name)


def _ratio(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}×"
