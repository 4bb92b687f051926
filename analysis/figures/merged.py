"""The figure of merged sequences: a frame of `analysis.merged`."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import plotly.graph_objects as go

from analysis.figures.look import MERGED, MONO, figure, token
from gsd.errors import InputError

BARS = 15  # sequences drawn


def merged_sequences(rows: pd.DataFrame, n: int) -> go.Figure:
    """The sequences of `n` tokens that merged most often in one run."""
    listed = rows[rows["n"] == n].head(BARS)
    if listed.empty:
        raise InputError(f"no sequence of {n} tokens merged in this run; choose another length, or a run that merges")
    labels = [token(text) for text in listed["text"]]
    first = listed.iloc[0]
    title = f"{labels[0]} merged most: {first['count']}× in {first['rounds']} round{'s' if first['rounds'] > 1 else ''}"
    subtitle = f"matched tokens and the merged one; {listed['run'].iloc[0]} ({listed['status'].iloc[0]})"
    made = figure(title, subtitle, "merge edges", "")
    hatched = {"color": MERGED, "pattern": {"shape": "/", "fgcolor": "white", "size": 6, "solidity": 0.25,
                                            "fillmode": "overlay"}}  # fmt: skip
    made.add_bar(y=list(range(len(listed))), x=listed["count"], orientation="h", marker=hatched,
                 text=listed["count"], textposition="outside", cliponaxis=False,
                 customdata=listed[["rounds", "in_rounds"]],
                 hovertemplate="%{x} merges in %{customdata[0]} rounds: %{customdata[1]}<extra></extra>")  # fmt: skip
    made.update_yaxes(autorange="reversed", tickvals=list(range(len(listed))), ticktext=labels, showgrid=False,
                      tickfont={"family": MONO})  # fmt: skip
    made.update_xaxes(showticklabels=False, showgrid=False)  # the numbers stand at the bars
    return made.update_layout(height=170 + 24 * len(listed))


FIGURES: dict[str, Callable[..., go.Figure]] = {"merged_sequences": merged_sequences}
