"""The methods of a benchmark's result, with intervals, by prompt and by kind. Everything in it is measured."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from analysis import leaderboard as tables
from analysis.figures import compare as paired
from analysis.figures import leaderboard as figures
from analysis.leaderboard import Bench
from analysis.words import plain
from app.components.chart import chart
from gsd.errors import InputError
from gsd.wording import counted

RESULTS = Path(__file__).resolve().parents[2] / "benchmarks" / "results"  # those that come with the code
SPEEDUP = (
    "*Measured*: `time per token of the baseline ÷ time per token of the method`, both of the same repeat and warm in "
    "one process; of a prompt the median over repeats, over prompts the geometric mean. The baseline is "
)
PAIRED = (
    "The geometric mean of `candidate ÷ reference` over the same prompts, *measured*, with Student's interval of the "
    "logarithms."
)


def leaderboard() -> None:
    """Choose a result, then look at it."""
    bench = _chosen()
    if bench is None:
        return
    st.caption(plain(". ".join(filter(None, (_setup(bench), tables.same_text(bench))))))
    for line in tables.lacks(bench):
        st.warning(plain(line))
    formula = SPEEDUP + plain(bench.baseline) + "."
    left, right = st.columns([7, 5], gap="medium")
    with left:
        chart(figures.leaderboard(bench), bench.methods, name="leaderboard", help=formula)
    with right:
        _kinds(bench, formula)
    left, right = st.columns(2, gap="medium")
    with left:
        chart(figures.by_prompt(bench), bench.prompts, name="by-prompt", help=formula)
    with right:
        _pair(bench)


def _chosen() -> Bench | None:
    """The result that is uploaded, or one of those that come with the code; a broken one is told."""
    found = tables.results(RESULTS)
    left, right = st.columns([1, 1], gap="medium", vertical_alignment="bottom")
    with left:
        name = st.selectbox("Result", found, key="bench", placeholder="None comes with this installation",
                            help="Recorded results of `gsd bench --json`.", disabled=not found)  # fmt: skip
    with right:
        given = st.file_uploader(
            "or one of your own", "json", key="bench file", help="What `gsd bench --json` printed."
        )
    try:
        if given:
            return _read(given.getvalue(), given.name)
        return _read(found[name].read_bytes(), found[name].name) if name else None
    except InputError as error:
        st.error(plain(str(error)))
        return None


@st.cache_data(show_spinner=False, max_entries=16)
def _read(content: bytes, name: str) -> Bench:
    return tables.read_bench(content, name)


def _setup(bench: Bench) -> str:
    """What was measured, where."""
    machine, settings = bench.machine, bench.settings
    parts = [machine.get("gpu") or f"{machine.get('processor')}, {counted(machine.get('threads'), 'thread')}",
             str(settings.get("dtype", "")).removeprefix("torch."),
             counted(settings.get("max_new_tokens"), "new token"),
             f"{counted(bench.measured, 'prompt')} × {counted(settings.get('repeats'), 'repeat')}",
             f"torch {machine.get('torch')}"]  # fmt: skip
    parts += [f"{name} {machine[name]}" for name in ("niceness", "waits") if name in machine]
    return "Measured on " + " · ".join(parts)


def _kinds(bench: Bench, formula: str) -> None:
    table = tables.by_kind(bench)
    try:
        figure = figures.by_kind(table, tables.prompts_by_kind(bench))
    except InputError as error:
        st.info(plain(str(error)))
        return
    chart(figure, table.reset_index(), name="by-kind", help=formula)


def _pair(bench: Bench) -> None:
    """One method against another, paired by prompt: is there a difference at all?"""
    methods = list(bench.methods["method"])
    if len(methods) < 2:
        return
    with st.container(horizontal=True):
        candidate = st.selectbox("Candidate", methods, key="bench candidate", width=220)
        reference = st.selectbox("Reference", methods, index=1, key="bench reference", width=220)
    if candidate == reference:
        st.caption("Choose two different methods.")
        return
    compared = tables.against(bench, candidate, reference)
    if compared is None:
        st.caption(plain(f"On no prompt were both {candidate} and {reference} measured."))
        return
    chart(paired.comparison(compared, "speed-up"), paired.ratios_by_prompt(compared), name="paired", help=PAIRED)
