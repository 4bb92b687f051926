"""The figure of a comparison: its prompts one by one, and what they say together."""

from __future__ import annotations

import plotly.graph_objects as go

from analysis.compare import Comparison, ratios_by_prompt
from analysis.figures.look import ACCEPTED, BONUS, GREY, figure, series, shown
from gsd.lab.means import LEVEL
from gsd.wording import counted


def comparison(compared: Comparison, measure: str) -> go.Figure:
    """Candidate / reference of every prompt, with their geometric mean and its interval; `measure` says of what."""
    rows, ratio = ratios_by_prompt(compared), compared.ratio
    title, _, _ = compared.verdict.partition(":")
    subtitle = f"geometric mean {ratio}; {counted(len(rows), 'prompt')}, the lowest ratio first"
    made = figure(f"{title[0].upper()}{title[1:]}: {ratio.value:.2f}×", subtitle,
                  f"{measure}, candidate / reference (ratio)", "")  # fmt: skip
    if ratio.low is not None:
        made.add_vrect(x0=ratio.low, x1=ratio.high, fillcolor=ACCEPTED, opacity=0.15, line_width=0)
    made.add_vline(x=1, line={"color": GREY, "dash": "dash", "width": 1.5}, annotation_text="equal")
    places = list(range(len(rows)))
    made.add_scatter(x=rows["ratio"], y=places, **series(0).line(mode="markers"), name="a prompt",
                     customdata=[shown(prompt) for prompt in rows["prompt"]],
                     hovertemplate="%{customdata}: %{x:.2f}×<extra></extra>")  # fmt: skip
    made.add_scatter(x=[ratio.value] * 2, y=[-0.5, len(rows) - 0.5], mode="lines",
                     line={"color": BONUS, "dash": "dot", "width": 2}, name=f"geometric mean, {LEVEL:.0%} interval",
                     hovertemplate="geometric mean %{x:.2f}×<extra></extra>")  # fmt: skip
    names = [shown(prompt) for prompt in rows["prompt"]]
    made.update_yaxes(tickvals=places, ticktext=names, showgrid=False, autorange="reversed")
    return made.update_layout(height=200 + 22 * len(rows))
