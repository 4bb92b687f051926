"""Figures of two runs at the same place of the text: each takes the frame `analysis.side_by_side.lanes`."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from analysis.figures.look import ACCEPTED, BONUS, GREY, ORANGE, PAPER, REJECTED, figure, hatched
from gsd.wording import counted

_COLOURS = {"A": (ACCEPTED, ""), "B": (ORANGE, "/")}
_LINES = {"A": {"color": ACCEPTED, "dash": "solid", "width": 2}, "B": {"color": ORANGE, "dash": "dash", "width": 2}}


def rounds(rows: pd.DataFrame, position: int, differ_at: int | None) -> go.Figure:
    """The text as two lanes, a block a round; a click on a block carries the position where it ends."""
    made = figure(_rounds_title(rows, differ_at), "a block is a round, as long as the tokens that it committed; click "
                  "one to go there", "position in the text (new tokens)", "")  # fmt: skip
    for run, part in rows.groupby("run"):
        colour, shape = _COLOURS[run]
        hovered = part[["end", "round", "accepted", "verified_nodes", "ms"]].assign(round=part["round"] + 1)
        made.add_bar(
            y=[run] * len(part), x=part["end"] - part["start"], base=part["start"], orientation="h", name=run,
            marker=hatched(colour, shape) | {"line": {"color": PAPER, "width": 1.5}}, showlegend=False,
            customdata=hovered, selected={"marker": {"opacity": 1}},
            unselected={"marker": {"opacity": 1}}, hovertemplate=_ROUND,
        )  # fmt: skip
    _mark(made, position, differ_at)
    made.update_yaxes(autorange="reversed", showgrid=False, fixedrange=True, tickfont={"size": 14})
    made.update_xaxes(range=[0, rows["end"].max() + 0.5], showgrid=False)
    return made.update_layout(height=250, bargap=0.25, barmode="overlay", clickmode="event+select")


def elapsed(rows: pd.DataFrame, position: int, differ_at: int | None) -> go.Figure:
    """Measured time by position in the text, which goes up once a round."""
    subtitle = "one cold run each, the rounds alone; a round commits all its tokens at once"
    made = figure(_elapsed_title(rows), subtitle, "position in the text (new tokens)", "time (ms)")
    for run, part in rows.groupby("run"):
        made.add_scatter(x=[0, *part["end"]], y=[0.0, *part["elapsed_ms"]], mode="lines", name=run,
                         line=_LINES[run] | {"shape": "vh"},
                         hovertemplate=f"{run}, up to position %{{x}}: %{{y:,.1f}} ms<extra></extra>")  # fmt: skip
    _mark(made, position, differ_at)
    return made.update_yaxes(rangemode="tozero")


_ROUND = ("round %{customdata[1]}: to position %{customdata[0]}<br>%{customdata[2]} accepted of %{customdata[3]} "
          "verified, %{customdata[4]:,.1f} ms<extra>%{y}</extra>")  # fmt: skip


def _mark(made: go.Figure, position: int, differ_at: int | None) -> None:
    made.add_vline(x=position, line={"color": BONUS, "width": 2.5})
    if differ_at is not None:
        made.add_vline(x=differ_at, line={"color": REJECTED, "width": 1.5, "dash": "dot"},
                       annotation={"text": "texts differ", "font": {"color": GREY}, "yshift": 12},
                       annotation_position="top right")  # fmt: skip


def _rounds_title(rows: pd.DataFrame, differ_at: int | None) -> str:
    """Rounds for what both have in common; where that is nothing, for each text."""
    ends = rows.groupby("run")["end"].max()
    common = ends.min() if differ_at is None else differ_at
    if common == 0:
        needed = rows["run"].value_counts()
        return ", ".join(f"{run} took {counted(needed[run], 'round')} for {counted(end, 'token')}"
                         for run, end in ends.items())  # fmt: skip
    needed = rows[rows["start"] < common]["run"].value_counts()
    first = "the first token" if common == 1 else f"the first {common:,} tokens"
    return f"{counted(needed['A'], 'round')} by A and {needed['B']:,} by B for {first}"


def _elapsed_title(rows: pd.DataFrame) -> str:
    """How much further the faster one is, at the last position that both reached."""
    common = rows.groupby("run")["end"].max().min()
    took = {run: part.loc[part["end"] >= common, "elapsed_ms"].iloc[0] for run, part in rows.groupby("run")}
    faster, slower = sorted(took, key=took.__getitem__)
    if not took[faster]:
        return "Measured time by position"
    ratio = took[slower] / took[faster]
    return f"{slower} took {ratio:.2f}× as long as {faster} for {counted(common, 'token')}, measured"
