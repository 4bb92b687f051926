"""A chart with the table behind it, as CSV as well."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

CONFIG = {"displaylogo": False, "modeBarButtonsToRemove": ["lasso2d", "select2d", "autoScale2d"]}


def chart(figure: go.Figure, table: pd.DataFrame, *, name: str, help: str = "") -> None:
    """Draw a figure and, folded away below it, its table with a CSV download named `name`.csv.

    `help` is the metric's formula in Markdown, shown with the table.
    """
    st.plotly_chart(figure, key=f"chart {name}", config=CONFIG, theme="streamlit")
    with st.expander("Table, formula and CSV", icon=":material/table:"):
        if help:
            st.markdown(help)
        st.dataframe(table, key=f"table {name}", hide_index=True, placeholder="–")
        st.download_button("CSV", lambda: table.to_csv(index=False), f"{name}.csv", "text/csv", key=f"csv {name}",
                           on_click="ignore", icon=":material/download:")  # fmt: skip
