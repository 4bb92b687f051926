"""Figures of measured speed: each takes the frame of its metric in `analysis.speed`.

A frame with nothing to draw raises `InputError`.
"""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import plotly.graph_objects as go

from analysis.figures.look import (
    ACCEPTED,
    BONUS,
    GREY,
    MERGED,
    ORANGE,
    SKY,
    figure,
    hatched,
    joined,
    percent,
    series,
    shown,
    status_of,
    whole_ticks,
)
from analysis.speed import PHASES
from gsd.errors import InputError
from gsd.wording import counted

_FILLS = dict(zip(PHASES, zip((ORANGE, ACCEPTED, BONUS, MERGED, SKY, GREY), ("/", "", "x", "\\", ".", "-"))))


def speedup_by_round(rows: pd.DataFrame) -> go.Figure:
    """Measured speed-up of every round of one run, and of the run so far."""
    _check_one_run(rows)
    slower = (rows["speedup"] < 1).sum()
    rounds, are = counted(len(rows), "recorded round"), "is" if slower == 1 else "are"
    title = f"{slower} of {rounds} {are} slower than ar, measured"
    together = f"{rows['speedup_so_far'].iloc[-1]:.2f}× together, cold and traced, unlike a run's warm repeats"
    plain = f"ar: {rows['ar_ms'].sum() / rows['new_tokens'].sum():,.1f} ms a token"
    made = figure(title, joined(together, plain, status_of(rows)), "round", "measured speed-up over ar (ratio)")
    made.add_hline(y=1, line={"color": GREY, "dash": "dash", "width": 1.5}, name="as fast as ar",
                   showlegend=True)  # in the legend: beside the line a curve may run through the words  # fmt: skip
    single = {"color": ACCEPTED, "symbol": "circle-open", "size": 8}
    made.add_scatter(x=rows["round"], y=rows["speedup"], mode="markers", marker=single, name="this round",
                     customdata=rows.assign(new=rows["new_tokens"].map(_tokens))[["new", "total_ms"]],
                     hovertemplate="round %{x}: %{y:.2f}× (%{customdata[0]} in %{customdata[1]:,.1f} ms)"
                                   "<extra></extra>")  # fmt: skip
    made.add_scatter(x=rows["round"], y=rows["speedup_so_far"], **series(1).line(mode="lines"), name="the run so far",
                     hovertemplate="up to round %{x}: %{y:.2f}×<extra></extra>")  # fmt: skip
    return whole_ticks(made.update_yaxes(rangemode="tozero"), rows["round"])


def time_by_phase_and_round(rows: pd.DataFrame) -> go.Figure:
    """Measured milliseconds by phase of every round of one run, stacked."""
    _check_one_run(rows)
    sums = rows.groupby("phase")["ms"].sum()
    made = figure(_largest(sums), joined("measured", status_of(rows)), "round", "time (ms)")
    for phase in PHASES:
        part = rows[rows["phase"] == phase]
        text = f"round %{{x}}, {phase}: %{{y:,.1f}} ms, %{{customdata:.0%}}<extra></extra>"
        made.add_bar(x=part["round"], y=part["ms"], customdata=part["share"], hovertemplate=text, **_fill(phase))
    return whole_ticks(_stacked(made).update_layout(bargap=0.1), rows["round"])


def time_by_phase(rows: pd.DataFrame) -> go.Figure:
    """Measured milliseconds a token by phase, stacked: of one run as it is, of several the complete ones by method."""
    alone = rows["run"].nunique() == 1
    complete = _some(rows if alone else rows[rows["status"] == "complete"])
    sums = complete.groupby(["method", "phase"])[["ms", "new_tokens"]].sum()
    per_token = (sums["ms"] / sums["new_tokens"]).unstack("method")
    counts = complete.groupby("method")["run"].nunique()
    labels = [*map(shown, per_token)] if alone else [f"{shown(method)}  ({counts[method]:,})" for method in per_token]
    title = _largest(sums["ms"].groupby("phase").sum())
    if alone:
        title = f"{per_token.sum().iloc[0]:,.1f} ms a token"
    subtitle = status_of(rows) if alone else "complete runs by method, their number in brackets"
    made = figure(title, joined("measured", subtitle), "time a token (ms)", "")
    for phase in PHASES:
        text = f"{phase}: %{{x:,.2f}} ms a token<extra>%{{y}}</extra>"
        made.add_bar(y=labels, x=per_token.loc[phase], orientation="h", hovertemplate=text, **_fill(phase))
    made = _stacked(made).update_yaxes(autorange="reversed")
    return made.update_layout(height=190 + 44 * len(labels))


def speedup_so_far(rows: pd.DataFrame) -> go.Figure:
    """Measured speed-up of each of several runs up to so many tokens, a line a run."""
    ends = _some(rows).groupby("run", sort=False)["speedup_so_far"].last()
    if len(ends) > 1:
        title = f"{ends.min():.2f}× to {ends.max():.2f}× as fast as ar in {len(ends)} runs, measured"
    else:
        title = f"{ends.iloc[0]:.2f}× as fast as ar, measured"
    made = figure(title, "the recorded rounds, cold and traced: each run up to so many of its tokens", "new tokens",
                  "measured speed-up over ar (ratio)")  # fmt: skip
    made.add_hline(y=1, line={"color": GREY, "dash": "dash", "width": 1.5})
    for index, (run, part) in enumerate(rows.groupby("run", sort=False)):
        made.add_scatter(x=part["tokens_so_far"], y=part["speedup_so_far"], name=_short_name(part),
                         **series(index).line(),
                         hovertemplate=f"{shown(run)}, %{{x}} tokens: %{{y:.2f}}×<extra></extra>")  # fmt: skip
    return made.update_yaxes(rangemode="tozero")


def _tokens(count: int) -> str:
    return counted(count, "token")


def _short_name(rows: pd.DataFrame) -> str:
    """Kind and method of a run, or the run's name where it has no kind."""
    first = rows.iloc[0]
    return shown(f"{first['kind']}, {first['method']}" if isinstance(first["kind"], str) else first["run"])


def _some(rows: pd.DataFrame) -> pd.DataFrame:
    if rows.empty:
        raise InputError("nothing to draw: no run with a measured time (and, for a speed-up, a measured baseline)")
    return rows


def _check_one_run(rows: pd.DataFrame) -> None:
    runs = _some(rows)["run"].unique()
    if len(runs) > 1:
        raise InputError(f"rounds of {len(runs)} runs in one figure; choose one, such as {runs[0]}")


def _largest(sums: pd.Series) -> str:
    """The two phases that take the most time, in words."""
    first, second = (sums / sums.sum()).nlargest(2).items()
    return f"{percent(first[1])} of the time goes to {first[0]}, {percent(second[1])} to {second[0]}"


def _stacked(made: go.Figure) -> go.Figure:
    return made.update_layout(barmode="stack", legend_traceorder="normal")


def _fill(phase: str) -> dict[str, object]:
    color, shape = _FILLS[phase]
    return {"name": phase, "marker": hatched(color, shape)}


FIGURES: dict[str, Callable[[pd.DataFrame], go.Figure]] = {
    "speedup_by_round": speedup_by_round,
    "speedup_so_far": speedup_so_far,
    "time_by_phase_and_round": time_by_phase_and_round,
    "time_by_phase": time_by_phase,
}
