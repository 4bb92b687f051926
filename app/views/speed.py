"""Where the milliseconds went, and what each round gained over plain decoding."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import pandas as pd
import streamlit as st

from analysis import speed
from analysis.definitions import definition, formula
from analysis.modelled import cost_curves, difference, modelled_by_round, modelled_speedup, unlike
from analysis.syntax import LANGUAGES, committed_tokens, drafted_by_syntax, written_in
from analysis.words import plain
from app.components.metrics import COLD, CUT, NO_BASELINE, cold, warm, warm_baseline
from app.components.page import head, opened
from app.components.panels import grid, nothing, panel
from app.components.scope import Scope, address, scope_bar, sections
from app.components.theme import follow_theme
from app.costs import calibrated, costs_of
from app.library import find, version
from app.state import session, write_address
from gsd.errors import InputError
from gsd.lab.cost import Costs
from gsd.trace.columns import COLUMNS
from gsd.trace.read import RunTrace, read_run
from gsd.trace.records import mean_acceptance_length
from gsd.wording import counted

KEY = "speed"  # of the tabs
UNLIKE = "The curves were measured otherwise than the run was decoded, so their times are not alike:"
HOW_TO_GET_A_BASELINE = (
    "nothing says how fast plain decoding is here. Tick “Measure a baseline” in the Playground and run it again "
    "(`--baseline` of `gsd generate`)."
)


def page() -> None:
    """The whole page."""
    head("Speed", "Where the milliseconds went, and what each round gained over plain decoding.")
    run = opened()
    follow_theme()
    scope = scope_bar(run)
    if scope.frames.rounds.empty:
        st.info("No round has been recorded yet.", icon=":material/info:")
    else:
        _headline(scope)
        _say_unlike(scope)
        for name in sections(KEY, list(SECTIONS)):
            SECTIONS[name](scope)
    write_address(session(), **address(scope, KEY, next(iter(SECTIONS))))


def _headline(scope: Scope) -> None:
    """What the rest of the page explains, in five figures: of several runs the complete ones together."""
    rounds, columns = scope.together(scope.frames.rounds), COLUMNS["runs"]
    sums, runs = rounds.sum(numeric_only=True), rounds["run"].nunique()
    with st.container(horizontal=True, border=True, key="figures"):
        _measured_speedup(scope)
        _modelled_speedup(scope)
        baseline = _baseline(scope.names[0]) if scope.kind == "run" else None
        st.metric("Tokens per second", _ratio(1e3 * sums["new_tokens"], sums["total_ms"], "{:,.1f}"),
                  help=columns["tokens_per_s"] + (f".{COLD}" if baseline else ""),
                  delta_description=_of(runs, "cold run") if runs > 1 else baseline and cold(baseline))  # fmt: skip
        length = mean_acceptance_length(sums["accepted"], len(rounds))
        st.metric("Mean acceptance length", "–" if length is None else f"{length:.2f}",
                  help=f"{columns['mean_acceptance_length']}.{CUT}",
                  delta_description=_of(len(rounds), "round"))  # fmt: skip
        st.metric("Acceptance rate", _ratio(sums["accepted"], sums["verified_nodes"], "{:.1%}"),
                  help=columns["draft_acceptance_rate"],
                  delta_description=_of(int(sums["verified_nodes"]), "verified node"))  # fmt: skip


def _say_unlike(scope: Scope) -> None:
    """Times of several runs stand side by side below: say which were not decoded alike."""
    metas = {name: _trace(name).meta for name in scope.names}
    first = next(iter(metas.values()))
    apart = {name: unlike(first, meta) for name, meta in metas.items()}
    if odd := [f"{plain(name)}: {plain(words)}" for name, words in apart.items() if words]:
        st.caption(f"**Not all of these runs were decoded alike, so their times are not either.** {'; '.join(odd)} as "
                   "in the first.")  # fmt: skip


def _ratio(part: float, whole: float, form: str) -> str:
    return form.format(part / whole) if whole else "–"


def _of(count: int, noun: str) -> str:
    """How many stand behind a figure."""
    return f"of {counted(count, noun)}"


def _measured_speedup(scope: Scope) -> None:
    """By the warm repeats of whole runs; of one round as it was recorded, which is another figure."""
    label = "Speed-up, measured"
    baseline = _baseline(scope.names[0]) if scope.kind == "run" else None
    by_method = _warm_by_method(scope) if scope.kind == "runs" else {}
    if baseline:
        behind = warm(baseline["speedup_low"], baseline["speedup_high"], baseline["repeats"], "repeat")
        st.metric(label, f"{baseline['speedup']:.2f}×", help=COLUMNS["runs"]["speedup"],
                  delta_description=behind)  # fmt: skip
        return
    for method, ratios in by_method.items():
        st.metric(f"{label}: {method}", f"{median(ratios):.2f}×", help=COLUMNS["runs"]["speedup"],
                  delta_description=warm(min(ratios), max(ratios), len(ratios), "run"))  # fmt: skip
    if by_method:
        return
    rows = scope.together(_speedups(scope))
    if rows.empty:
        st.metric(label, "–", help=f"Not known: {HOW_TO_GET_A_BASELINE}", delta_description=NO_BASELINE)
        return
    st.metric("Recorded round, cold", _ratio(rows["ar_ms"].sum(), rows["total_ms"].sum(), "{:.2f}×"),
              delta_description="measured", help=definition("speedup_by_round"))  # fmt: skip


def _warm_by_method(scope: Scope) -> dict[str, list[float]]:
    """The measured speed-ups of the complete runs that timed `ar` in turn."""
    found: dict[str, list[float]] = {}
    for run in scope.together(scope.frames.runs).itertuples():
        if baseline := _baseline(run.run):
            found.setdefault(run.method, []).append(baseline["speedup"])
    return found


def _baseline(name: str) -> dict[str, Any] | None:
    """What a run measured against `ar` in warm repeats; None where it did not."""
    return warm_baseline(_trace(name).end)


def _modelled_speedup(scope: Scope) -> None:
    """By cost curves of the run's own models; where there are none, why not."""
    label, help = "Speed-up, modelled", formula("modelled_by_round")
    if scope.kind != "run":
        st.metric(label, "–", help=help, delta_description="of one whole run")
        return
    run = _trace(scope.names[0])
    found = costs_of(run.meta)
    if found is None:
        st.metric(label, "–", help=f"{help}\n{_why_no_curves(run)}", delta_description="no curves of its models")
        return
    try:
        rows = modelled_by_round(run, found[1])
    except InputError as error:
        st.metric(label, "–", help=f"{help}\n{error}", delta_description="counts alone")
        return
    apart = unlike(run.meta, {"machine": found[1].machine})
    help += f"\n{UNLIKE} {plain(apart)}." if apart else ""
    st.metric(label, f"{modelled_speedup(run, rows, found[1]):.2f}×", help=help,
              delta_description=f"{_of(len(run.rounds), 'round')}, curves of {found[0]}")  # fmt: skip


def _why_no_curves(run: RunTrace) -> str:
    """What each atlas's curves are of that the run was not made with."""
    known = calibrated()
    if not known:
        return "No atlas with cost curves is here: make one with `gsd probe`."
    apart = "; ".join(f"{plain(name)}: {plain(difference(run.meta, one.meta))}" for name, one in known.items())
    return f"The curves here are of other models, or of another machine. {apart}."


def _time(scope: Scope) -> None:
    """Milliseconds by phase, and the speed-up that they come to."""
    rows = _speedups(scope.whole())
    with grid("time"):
        if scope.kind != "runs":
            panel(scope.whole(), "time_by_phase_and_round")
        name = "speedup_so_far" if scope.kind == "runs" else "speedup_by_round"
        if rows.empty:
            nothing(name, "No speed-up can be drawn: " + HOW_TO_GET_A_BASELINE)
        else:
            panel(scope.whole(), name, rows=rows)
        if scope.kind != "round":
            panel(scope, "time_by_phase")


def _acceptance(scope: Scope) -> None:
    """How many drafted tokens the target took, and where."""
    with grid("acceptance"):
        panel(scope, "acceptance_lengths")
        if scope.kind != "round":
            panel(scope, "acceptance_rates")
        panel(scope, "acceptance_by_depth")
        panel(scope, "acceptance_by_rank")


def _draft(scope: Scope) -> None:
    """How good the draft's guesses are, by how sure it was and by what was drafted."""
    with grid("draft"):
        panel(scope, "acceptance_by_q")
        panel(scope, "acceptance_by_source")
        if scope.kind == "runs":
            panel(scope, "acceptance_by_kind")
            panel(scope, "acceptance_by_run")
    if scope.kind != "round":
        _syntax(scope)


def _syntax(scope: Scope) -> None:
    """Of a run as it says or is told to be read, of several those that say that language."""
    own = {name: written_in(_trace(name)) for name in scope.names}
    known = [language for language in own.values() if language]
    language = st.selectbox("Which syntax came from the draft? Read the text as", list(LANGUAGES), width=360,
                            index=list(LANGUAGES).index(known[0]) if known else None, key=f"language of {own}",
                            placeholder="Not code; choose a language all the same")  # fmt: skip
    if language is None:
        return
    names = [name for name in scope.names if scope.kind != "runs" or own[name] == language]
    if not names:
        st.info(f"None of these runs is {language}.", icon=":material/info:")
        return
    with grid("syntax"):
        panel(scope, "drafted_by_syntax", rows=_by_syntax(tuple(names), version(tuple(names)), language))


def _costs(scope: Scope) -> None:
    """Cost curves of an atlas, and what they say of the run beside what was measured."""
    known = calibrated()
    if not known:
        st.info("No cost curves here: an atlas brings them. Make one with `gsd probe --out runs/atlas`.",
                icon=":material/info:")  # fmt: skip
        return
    chosen = (
        next(iter(known)) if len(known) == 1 else st.selectbox("Atlas", list(known), key="atlas of costs", width=360)
    )
    draw = partial(_modelled_chart, scope, known[chosen].costs)
    with grid("costs"):
        panel(scope, "cost_curves", rows=cost_curves(known[chosen].costs))
        if scope.kind == "runs":
            nothing("modelled_by_round", "Choose one run above to see its measured times beside the modelled ones.")
        elif apart := difference(_trace(scope.names[0]).meta, known[chosen].meta):
            nothing("modelled_by_round", f"These curves are not of the open run's models and machine: {plain(apart)}. "
                    "Open a run of the atlas's pair, or make an atlas of this one with gsd probe.")  # fmt: skip
        else:
            if apart := unlike(_trace(scope.names[0]).meta, known[chosen].meta):
                st.caption(f"{UNLIKE} {plain(apart)}.")
            draw("modelled_by_phase")
            if scope.kind == "run":
                draw("modelled_by_round")


def _modelled_chart(scope: Scope, costs: Costs, name: str) -> None:
    try:
        rows = modelled_by_round(_trace(scope.names[0]), costs)
    except InputError as error:
        nothing(name, plain(str(error)))
        return
    if scope.round is not None:
        rows = rows[rows["round"] == scope.round]
    panel(scope, name, rows=rows)


def _speedups(scope: Scope) -> pd.DataFrame:
    """Rows of `speedup_by_round` of those runs in the scope that timed `ar` themselves."""
    times = {name: speed.ar_ms_per_token(_trace(name)) for name in scope.names if _baseline(name)}
    return speed.speedup_by_round(scope.frames, times)


def _trace(name: str) -> RunTrace:
    return _read(find(name).folder, version((name,)))


@st.cache_resource(show_spinner=False, max_entries=16)
def _read(folder: Path, changed: tuple[float, ...]) -> RunTrace:
    return read_run(folder)


@st.cache_data(show_spinner=False, max_entries=64)
def _by_syntax(names: tuple[str, ...], changed: tuple[float, ...], language: str) -> pd.DataFrame:
    return drafted_by_syntax(pd.concat([committed_tokens(_trace(name), language) for name in names]))


SECTIONS = {"Time": _time, "Acceptance": _acceptance, "Draft quality": _draft, "Cost model": _costs}

page()
