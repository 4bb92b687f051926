"""A chart with the table behind it, as CSV as well."""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping
from functools import partial

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from analysis.figures.look import in_dark
from gsd.trace.csvfile import csv_text, of_frame

CONFIG = {"displaylogo": False, "modeBarButtonsToRemove": ["lasso2d", "select2d", "autoScale2d"]}
LEGEND = 34  # pixels above a plot
BARE = 14  # likewise without one
MARK = "The same with a byte-order mark, by which Excel knows that the file is UTF-8."


def chart(
    figure: go.Figure, table: pd.DataFrame, *, name: str, help: str = "",
    columns: Mapping[str, str] | None = None, on_pick: Callable[[], None] | None = None,
) -> None:  # fmt: skip
    """Draw a figure and, folded away below it, its table with a CSV download named `name`.csv.

    `help` is the metric's formula in Markdown, shown with the table. `columns` says what the table's columns
    mean. With `on_pick` a click on a point leaves it in `st.session_state[f"chart {name}"]["selection"]`.
    """
    with st.container(border=True, gap="small", key=f"chart-box {name}"):
        title, subtitle = figure.layout.title.text or "", figure.layout.title.subtitle.text or ""
        below = f"<span>{_safe(subtitle)}</span>" if subtitle else ""
        st.html(f'<div class="chart-title"><b>{_safe(title)}</b>{below}</div>')
        st.plotly_chart(_for_this_page(figure), key=f"chart {name}", config=CONFIG, theme=None,
                        alt=html.unescape(". ".join(filter(None, (title, subtitle)))), on_select=on_pick or "ignore",
                        selection_mode="points")  # fmt: skip
        _behind(table, name, help, columns or {})


def _behind(table: pd.DataFrame, name: str, help: str, columns: Mapping[str, str]) -> None:
    with st.expander("Table, formula and CSV", icon=":material/table:"):
        config = {column: st.column_config.Column(help=columns[column]) for column in table if column in columns}
        st.dataframe(table, key=f"table {name}", hide_index=True, placeholder="–", column_config=config,
                     height="content" if len(table) < 9 else 320)  # fmt: skip
        with st.container(horizontal=True, gap="small"):
            for label, bom in (("CSV", False), ("CSV for Excel", True)):
                st.download_button(label, partial(_csv, table, bom=bom), f"{name}.csv", "text/csv",
                                   key=f"{label.lower()} {name}", on_click="ignore", icon=":material/download:",
                                   help=MARK if bom else None)  # fmt: skip
        if {"round", "in_rounds"} & set(table):
            st.caption("Tables count rounds from 0, as the trace does; the page counts them from 1.")
        if help:
            st.markdown(help)


def _csv(table: pd.DataFrame, *, bom: bool) -> str:
    return csv_text(of_frame(table), bom=bom)


def _for_this_page(figure: go.Figure) -> go.Figure:
    """In the colours of the theme that the page is shown in."""
    made = _without_title(figure)
    return in_dark(made) if st.context.theme.type == "dark" else made


def _without_title(figure: go.Figure) -> go.Figure:
    """The title stands above, where it wraps; its room in the figure goes with it.

    A figure of its own height shrinks by that room; the others all come out alike, so that boxes in a row do.
    """
    made, own = go.Figure(figure), figure.layout.template.layout
    legend = figure.layout.showlegend is not False and sum(trace.showlegend is not False for trace in figure.data) > 1
    top = LEGEND if legend else BARE
    height = (figure.layout.height or own.height - top + LEGEND) - own.margin.t + top
    return made.update_layout(title=None, margin_t=top, height=height)


def _safe(text: str) -> str:
    """A title is escaped where text in it is not ours, and not elsewhere: here all of it is, once."""
    return html.escape(html.unescape(text))
