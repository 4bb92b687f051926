"""The figure of merged sequences: a frame of `analysis.merged`."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import plotly.graph_objects as go

from analysis.figures.look import MERGED, figure, hatched, joined, short, status_of
from analysis.figures.overlap import BARS, is_tied, ranked_bars
from gsd.errors import InputError
from gsd.wording import counted


def merged_sequences(rows: pd.DataFrame, n: int) -> go.Figure:
    """The sequences of `n` tokens that merged most often in one run."""
    listed = rows[rows["n"] == n].head(BARS)
    if listed.empty:
        asked = counted(n, "token")
        raise InputError(f"no sequence of {asked} merged in this run; choose another length, or a run that merges")
    first = listed.iloc[0]
    rounds = counted(first["rounds"], "round")
    title = f"{short(first['text'])} merged most: {first['count']}× in {rounds}"
    if is_tied(listed):
        title = f"The sequences that merged most did so {first['count']}× each"
    subtitle = joined("matched tokens and the merged one", status_of(listed))
    return ranked_bars(figure(title, subtitle, "merge edges", ""), listed, hatched(MERGED), "merges")


FIGURES: dict[str, Callable[..., go.Figure]] = {"merged_sequences": merged_sequences}
