"""The one look of all charts: colours, marks, text and the frame around them.

Colours are Okabe–Ito and never alone: whatever differs in colour differs in its marker, dash or
fill pattern as well. Paper is transparent and text a middle grey that is as readable on white as
on the dark theme, so a saved figure fits both; Streamlit's own theme may replace the grey.
Text of tokens is untrusted and goes through `token`.
"""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

ACCEPTED, REJECTED, MERGED, BONUS = "#0072B2", "#D55E00", "#CC79A7", "#009E73"
SKY, ORANGE, GREY = "#56B4E9", "#E69F00", "#999999"
TEXT = "#767B83"  # contrast 4.25 : 1 on white and on #14161A
GRID = "rgba(128, 128, 128, 0.22)"
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', sans-serif"
MONO = "ui-monospace, 'Cascadia Code', Menlo, Consolas, 'DejaVu Sans Mono', monospace"
HEIGHT = 380  # pixels
MOST_IN_TICK = 28  # characters
SCALE = ((0.0, "#F1F5F8"), (0.5, SKY), (1.0, ACCEPTED))  # of shares in a matrix, whose cells also say the number

_AXIS = {"gridcolor": GRID, "gridwidth": 1, "zeroline": False, "showline": False, "ticks": "", "automargin": True,
         "ticklabelstandoff": 6, "title": {"font": {"size": 12}, "standoff": 10}}  # fmt: skip
TEMPLATE = go.layout.Template(layout={
    "font": {"family": FONT, "size": 12, "color": TEXT},
    "title": {"x": 0, "xref": "container", "xanchor": "left", "y": 1, "yref": "container", "yanchor": "top",
              "pad": {"l": 16, "t": 16}, "font": {"size": 16, "weight": 600}, "subtitle": {"font": {"size": 12}}},
    "paper_bgcolor": "rgba(0,0,0,0)", "plot_bgcolor": "rgba(0,0,0,0)",
    "colorway": [ACCEPTED, REJECTED, BONUS, MERGED, ORANGE, SKY, GREY],
    "xaxis": _AXIS, "yaxis": _AXIS, "height": HEIGHT, "margin": {"l": 64, "r": 24, "t": 104, "b": 56},
    "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "title": {"text": ""}},
    "modebar": {"orientation": "v", "bgcolor": "rgba(0,0,0,0)", "color": GREY, "activecolor": ACCEPTED},
    "hoverlabel": {"font": {"family": FONT, "size": 12}}, "bargap": 0.35,
})  # fmt: skip

_SHOWN = {" ": "·", "\n": "↵", "\t": "→", "\r": "␍"}
_COLOURS = (ACCEPTED, REJECTED, BONUS, MERGED, ORANGE, SKY, GREY)
_SYMBOLS = ("circle", "diamond-open", "square", "triangle-up-open", "x", "cross", "star-open")
_DASHES = ("solid", "dash", "dot", "dashdot", "longdash")


@dataclass(frozen=True, slots=True)
class Series:
    """How one of several series is drawn."""

    color: str
    symbol: str
    dash: str

    def line(self, **changes: Any) -> dict[str, Any]:
        """A scatter trace with points on a line, whole also where they lie on an axis."""
        return {
            "mode": "lines+markers",
            "cliponaxis": False,
            "marker": {"color": self.color, "symbol": self.symbol, "size": 8},
            "line": {"color": self.color, "dash": self.dash, "width": 2},
        } | changes


def series(index: int) -> Series:
    """The `index`-th series: no two of the first 35 look the same, nor two of the first 7 without colour."""
    return Series(_COLOURS[index % 7], _SYMBOLS[index % 7], _DASHES[index % 5])


MERGE_EDGE = Series(MERGED, "circle-open-dot", "dash")
TREE_EDGE = Series(GREY, "square", "solid")


def figure(title: str, subtitle: str, x: str, y: str) -> go.Figure:
    """An empty figure: `title` says what is to be seen, `subtitle` what is shown, `x` and `y` name units."""
    made = go.Figure(layout={"template": TEMPLATE, "title": {"text": title, "subtitle": {"text": subtitle}}})
    return made.update_xaxes(title_text=x).update_yaxes(title_text=y)


def share_axis(made: go.Figure, top: float | None = None) -> go.Figure:
    """The y axis as a share in per cent, from 0 up to `top`, or as far as the data go."""
    return made.update_yaxes(tickformat=".0%", range=[0, top] if top else None, rangemode="tozero")


def percent(share: float) -> str:
    """A share as a percentage for titles and labels; one that is empty is a dash."""
    if share != share:
        return "–"
    return f"{100 * share:.0f} %" if share >= 0.1 or share == 0 else f"{100 * share:.2g} %"


def token(text: str) -> str:
    """Token text for a label: white space shown (`·` space, `↵` newline, `→` tab), nothing read as markup."""
    shown = "".join(_SHOWN.get(char, char if char.isprintable() else f"\\u{ord(char):04x}") for char in text)
    return html.escape(shown, quote=False).replace("$", "&#36;") or "∅"  # plotly reads tags, and formulas between $


def short(text: str) -> str:
    """Token text for the tick of an axis: `token` of its first characters."""
    return token(text if len(text) <= MOST_IN_TICK else text[:MOST_IN_TICK] + "…")
