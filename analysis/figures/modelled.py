"""Figures of cost curves and of what they say of a run: frames of `analysis.modelled`.

A frame with nothing to draw raises `InputError`.
"""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import plotly.graph_objects as go

from analysis.figures.look import ACCEPTED, GREY, ORANGE, Series, figure, hatched, joined, status_of, whole_ticks
from analysis.modelled import PHASES
from gsd.errors import InputError
from gsd.wording import counted

_MODELS = {"draft": Series(ORANGE, "diamond", "dot"), "target": Series(ACCEPTED, "circle", "solid")}


def cost_curves(rows: pd.DataFrame) -> go.Figure:
    """Milliseconds of one forward by its tokens: medians, quartiles and the straight line through them."""
    medians = rows.pivot(index="tokens", columns="model", values="ms")
    first, last = medians["target"].iloc[[0, -1]]
    title = f"A target forward of {counted(medians.index[-1], 'token')} takes {last / first:.1f}× as long as one of 1"
    made = figure(title, "medians and quartiles of repeats; dashed: least-squares lines; measured",
                  "tokens in one forward", "time of the forward (ms)")  # fmt: skip
    for model, look in _MODELS.items():
        part = rows[rows["model"] == model]
        spread = {"type": "data", "symmetric": False, "array": part["high_ms"] - part["ms"],
                  "arrayminus": part["ms"] - part["low_ms"], "thickness": 1.2, "width": 4, "color": GREY}  # fmt: skip
        made.add_scatter(x=part["tokens"], y=part["ms"], name=model, error_y=spread, **look.line(),
                         hovertemplate=f"{model}, tokens %{{x}}: %{{y:,.1f}} ms<extra></extra>")  # fmt: skip
        made.add_scatter(x=part["tokens"], y=part["line_ms"], mode="lines", showlegend=False, hoverinfo="skip",
                         line={"color": GREY, "dash": "dash", "width": 1.5})  # fmt: skip
    return made.update_yaxes(rangemode="tozero")


def modelled_by_round(rows: pd.DataFrame) -> go.Figure:
    """Measured and modelled milliseconds of every round of one run."""
    sums = _some(rows).groupby("round")[["measured_ms", "modelled_ms"]].sum()
    made = figure(_ratio(rows), status_of(rows), "round", "time (ms)")
    looks = {"measured_ms": Series(ACCEPTED, "circle", "solid"), "modelled_ms": Series(ORANGE, "diamond-open", "dash")}
    for column, look in looks.items():
        name = column.removesuffix("_ms")
        made.add_scatter(x=sums.index, y=sums[column], name=name, **look.line(),
                         hovertemplate=f"round %{{x}}, {name}: %{{y:,.1f}} ms<extra></extra>")  # fmt: skip
    return whole_ticks(made.update_yaxes(rangemode="tozero"), rows["round"])


def modelled_by_phase(rows: pd.DataFrame) -> go.Figure:
    """Measured and modelled milliseconds of a run, side by side for each phase."""
    sums = _some(rows).groupby("phase")[["measured_ms", "modelled_ms"]].sum().loc[list(PHASES)]
    ratios = sums["modelled_ms"] / sums["measured_ms"]
    parts = [f"{ratio:.2f}× for {phase}" for phase, ratio in ratios.items()]
    title = f"Modelled / measured: {', '.join(parts)}"
    rounds = "all rounds together" if rows["round"].nunique() > 1 else ""
    made = figure(title, joined(rounds, status_of(rows)), "time (ms)", "")
    for column, color, shape in (("measured_ms", ACCEPTED, ""), ("modelled_ms", ORANGE, "/")):
        name = column.removesuffix("_ms")
        made.add_bar(y=list(sums.index), x=sums[column], orientation="h", name=name,
                     marker=hatched(color, shape),
                     hovertemplate=f"%{{y}}, {name}: %{{x:,.1f}} ms<extra></extra>")  # fmt: skip
    made.update_yaxes(autorange="reversed")
    return made.update_layout(barmode="group", legend_traceorder="normal")


def _ratio(rows: pd.DataFrame) -> str:
    measured, modelled = rows["measured_ms"].sum(), rows["modelled_ms"].sum()
    return f"The run took {measured:,.0f} ms, measured; the curves say {modelled:,.0f} ms, modelled"


def _some(rows: pd.DataFrame) -> pd.DataFrame:
    if rows.empty:
        raise InputError("nothing to draw: no round of this run was recorded; decode it again in full detail")
    return rows


FIGURES: dict[str, Callable[[pd.DataFrame], go.Figure]] = {
    "cost_curves": cost_curves,
    "modelled_by_round": modelled_by_round,
    "modelled_by_phase": modelled_by_phase,
}
