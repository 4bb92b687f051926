"""Measured speed: where the time went, and the speed-up it brought. Formulas: docs/metrics.md.

Frame functions over `analysis.load.Frames`; rows of every run, its status among them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pandas as pd

from analysis.load import Frames
from gsd.errors import InputError
from gsd.trace.read import RunTrace

PHASES = ("draft", "verify", "grow", "flatten", "commit", "other")
COLUMNS = {
    "run": "name: the run's folder",
    "kind": "name: kind of the run's prompt; empty where it has none",
    "method": "name: drafting method of the run",
    "status": "name: complete, cancelled, failed or incomplete; only complete runs may be averaged",
    "round": "index: round of the run, from 0",
    "new_tokens": "tokens: committed in the round or the run",
    "total_ms": "ms: the round's time",
    "ar_ms": "ms: what `ar` takes for as many tokens, measured",
    "speedup": "ratio: ar_ms / total_ms",
    "tokens_so_far": "tokens: committed up to and with the round",
    "speedup_so_far": "ratio: sum of ar_ms / sum of total_ms up to and with the round",
    "phase": "name: draft, verify (inside the models' forwards), grow, flatten, commit, other",
    "ms": "ms: time of the phase",
    "ms_per_token": "ms: time of the phase / new tokens of the run",
    "share": "share: ms / time of the round or of the run",
}

_ABOUT = ["run", "kind", "method", "status"]


def ar_ms_per_token(run: RunTrace) -> float:
    """Measured milliseconds a token of `ar` on the run's prompt, by the run's own baseline: wall_ms / new_tokens.

    Raises `InputError` where it has none.
    """
    totals = run.end and run.end["baseline"]
    if not totals or not totals["new_tokens"]:
        raise InputError(f"run {run.name} has no measured baseline: decode it again with --baseline")
    return totals["wall_ms"] / totals["new_tokens"]


def speedup_by_round(frames: Frames, ar_ms: Mapping[str, float]) -> pd.DataFrame:
    """Per-round and cumulative measured speed-up of the runs named in `ar_ms` (run -> ms a token of `ar`).

    speedup(r) = new_tokens(r) · ar_ms / total_ms(r); so far: both sums up to r first. Runs that are not in
    `ar_ms` have no rows. The prompt's own forward is in the first round, and spread over all tokens in `ar`.
    """
    rounds = frames.rounds.loc[frames.rounds["run"].isin(list(ar_ms)), ["run", "round", "new_tokens", "total_ms"]]
    plain = rounds["new_tokens"] * rounds["run"].map(ar_ms).astype(float)
    sums = rounds.assign(ar_ms=plain).groupby("run")[["new_tokens", "total_ms", "ar_ms"]].cumsum()
    rows = rounds.assign(
        ar_ms=plain,
        speedup=plain / rounds["total_ms"],
        tokens_so_far=sums["new_tokens"],
        speedup_so_far=sums["ar_ms"] / sums["total_ms"],
    )
    return frames.runs[_ABOUT].merge(rows, on="run")


def time_by_phase_and_round(frames: Frames) -> pd.DataFrame:
    """Milliseconds of every phase of every round, and their share of the round. The phases sum up to its total."""
    rows = _phases(frames, ["run", "round"], frames.rounds)
    rows["share"] = rows["ms"] / rows.groupby(["run", "round"])["ms"].transform("sum")
    return rows


def time_by_phase(frames: Frames) -> pd.DataFrame:
    """Milliseconds of every phase of every run, in all and a token, and their share of the run's rounds."""
    sums = frames.rounds.groupby("run", sort=False).sum(numeric_only=True).reset_index()
    rows = _phases(frames, ["run", "new_tokens"], sums)
    rows["ms_per_token"] = rows["ms"] / rows["new_tokens"]
    rows["share"] = rows["ms"] / rows.groupby("run")["ms"].transform("sum")
    return rows


def _phases(frames: Frames, by: list[str], times: pd.DataFrame) -> pd.DataFrame:
    """One row a phase of each row of `times`, in the order of time."""
    names = {f"{phase}_ms": phase for phase in PHASES}
    rows = times[[*by, *names]].rename(columns=names).melt(by, var_name="phase", value_name="ms", ignore_index=False)
    return frames.runs[_ABOUT].merge(rows.sort_index(kind="stable"), on="run")


METRICS: dict[str, Callable[[Frames], pd.DataFrame]] = {
    "time_by_phase": time_by_phase,
    "time_by_phase_and_round": time_by_phase_and_round,
}
