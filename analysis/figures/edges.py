"""Figures of what became of merges: each takes the frame of its metric in `analysis.edges`.

A frame of one run is drawn as it is, whatever became of the run; of several runs the complete ones
are put together. A frame with nothing to draw raises `InputError`.
"""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import plotly.graph_objects as go

from analysis.figures.look import ENOUGH, MERGE_EDGE, TREE_EDGE, figure, joined, percent, share_axis
from analysis.figures.runs import together, which_runs
from gsd.errors import InputError
from gsd.wording import counted


def merges_by_context(rows: pd.DataFrame) -> go.Figure:
    """Precision of merges by context length, beside that of all tree edges."""
    return _precision(rows, "context", "context matched before the merged token (tokens)")


def merges_by_depth_shift(rows: pd.DataFrame) -> go.Figure:
    """Precision of merges by depth shift, beside that of all tree edges."""
    return _precision(rows, "depth_shift", "depth shift by the merge (tokens)")


def merges_by_rank(rows: pd.DataFrame) -> go.Figure:
    """Precision of merges and of tree edges by rank among the siblings."""
    return _precision(rows, "rank", "rank among the siblings by q (0 is the likeliest)")


def _precision(rows: pd.DataFrame, by: str, x: str) -> go.Figure:
    """Merges as points over `by`; tree edges as points, too, or as a level where they have no `by`."""
    pooled, total = together(rows, ["edge", by]), together(rows, ["edge"]).set_index("edge")
    merges, trees = (pooled[(pooled["edge"] == edge) & (pooled["tested"] > 0)] for edge in ("merge", "tree"))
    if merges.empty:
        raise InputError("no merge was tested: the target's walk never came to one; take runs that merge")
    precision, tested = total["precision"], total["tested"]
    axis = by.replace("_", " ").capitalize()
    title = f"{axis}: {percent(precision['merge'])} of {counted(tested['merge'], 'tested merge')} led on"
    if min(tested["merge"], tested["tree"]) >= ENOUGH:
        title += f", {percent(precision['tree'])} of {counted(tested['tree'], 'tree edge')}"
    subtitle = joined("led on: accepted, and at least one more token behind it", which_runs(rows))
    made = figure(title, subtitle, x, "precision (% of tested edges)")
    _points(made, merges, by, name="merge", **MERGE_EDGE.line())
    if by == "rank":
        _points(made, trees, by, name="tree edge", **TREE_EDGE.line())
    else:
        ends = [merges[by].min() - 0.5, merges[by].max() + 0.5]
        made.add_scatter(x=ends, y=[precision["tree"]] * 2, name=f"all tree edges ({tested['tree']:,} tested)",
                         **TREE_EDGE.line(mode="lines"), hovertemplate="%{y:.0%}<extra></extra>")  # fmt: skip
    return share_axis(made).update_xaxes(dtick=1)


def _points(made: go.Figure, part: pd.DataFrame, by: str, **drawn: object) -> None:
    hover = ("%{customdata[0]:,} of %{customdata[1]:,} tested led on (%{y:.0%}); %{customdata[2]:,} in all"
             "<extra></extra>")  # fmt: skip
    made.add_scatter(x=part[by].astype(float), y=part["precision"], hovertemplate=hover,
                     customdata=part[["continued", "tested", "edges"]], **drawn)  # fmt: skip


FIGURES: dict[str, Callable[[pd.DataFrame], go.Figure]] = {
    made.__name__: made for made in (merges_by_context, merges_by_depth_shift, merges_by_rank)
}
