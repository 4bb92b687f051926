"""Charts of the metrics in `analysis`: each with its figure, its formula and what its columns mean."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import pandas as pd
import streamlit as st

from analysis import acceptance, edges, merged, modelled, overlap, similarity, speed, syntax
from analysis.definitions import definition
from analysis.figures import acceptance as acceptance_figures
from analysis.figures import edges as edge_figures
from analysis.figures import merged as merged_figures
from analysis.figures import modelled as modelled_figures
from analysis.figures import overlap as overlap_figures
from analysis.figures import speed as speed_figures
from analysis.figures.look import GREY
from analysis.words import plain
from app.components.chart import chart
from app.components.scope import Scope
from gsd.errors import InputError

MODULES = (overlap, edges, merged, similarity, acceptance, speed)
METRICS = {name: metric for module in MODULES for name, metric in module.METRICS.items()}
FIGURES = (overlap_figures.FIGURES | edge_figures.FIGURES | merged_figures.FIGURES | acceptance_figures.FIGURES
           | speed_figures.FIGURES | modelled_figures.FIGURES)  # fmt: skip
COLUMNS = acceptance.COLUMNS | modelled.COLUMNS | speed.COLUMNS | syntax.COLUMNS | merged.COLUMNS  # of all others
OWN_COLUMNS = {name: module.COLUMNS for module in MODULES for name in module.METRICS}  # where a name means two things


def grid(name: str) -> AbstractContextManager:
    """Charts side by side, two in a row where there is room, one where there is not."""
    return st.container(key=f"charts-{name}")


def panel(
    scope: Scope, name: str, *, rows: pd.DataFrame | None = None, on_pick: Callable[[], None] | None = None,
    **options: object,
) -> None:  # fmt: skip
    """The chart of a metric over the scope, or why there is none. `rows` where the metric is not of frames alone.

    A chart over rounds marks the round on show, where one is. `options` are the figure's.
    """
    table = scope.table(METRICS[name]) if rows is None else rows
    try:
        figure = FIGURES[name](_counted_from_one(table), **options)
    except InputError as error:
        nothing(name, plain(str(error)))
        return
    if scope.marked is not None:
        figure.add_vrect(
            scope.marked + 0.5, scope.marked + 1.5, fillcolor=GREY, opacity=0.22, line_width=0, layer="below"
        )
    chart(figure, table, name=name, help=definition(name), columns=OWN_COLUMNS.get(name, COLUMNS), on_pick=on_pick)


def _counted_from_one(rows: pd.DataFrame) -> pd.DataFrame:
    """The app calls the trace's round 0 round 1, and so do its pictures."""
    changed = {}
    if "round" in rows:
        changed["round"] = rows["round"] + 1
    if "in_rounds" in rows:
        changed["in_rounds"] = [
            " ".join(str(int(round) + 1) for round in listed.split()) for listed in rows["in_rounds"]
        ]
    return rows.assign(**changed)


def nothing(name: str, reason: str) -> None:
    """In the place of a chart: why it cannot be drawn, and what would help; `reason` is Markdown of ours."""
    with st.container(border=True, key=f"chart-box {name}"):
        st.html(f'<div class="chart-title"><b>{name.replace("_", " ").capitalize()}</b></div>')
        st.info(reason[:1].upper() + reason[1:], icon=":material/info:")
