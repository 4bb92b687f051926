"""The common style of all charts: colours, marks, text and layout.

Colours are Okabe–Ito, darkened or lightened where the paper asks for it, and never alone: whatever
differs in colour differs in its marker, dash or fill pattern as well. Figures are drawn for a light page;
`in_dark` gives each colour its counterpart for a dark one. Text has a contrast of at least 4.5 : 1, marks
of 3 : 1, on either. Paper is transparent.

plotly reads tags, entities, formulas and fields in any text. So text that is not ours goes through `shown` (names of
runs, methods, prompts, kinds, sources) or `token` (tokens).
"""

from __future__ import annotations

import html
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

ACCEPTED, REJECTED, MERGED, BONUS = "#0072B2", "#D55E00", "#B8578F", "#008060"
SKY, ORANGE, GREY = "#2E8FC4", "#B27A00", "#7F8792"
TEXT, INK, PAPER = "#59616C", "#13171C", "#FFFFFF"
LOW, MIDDLE, HIGH = "#F1F5F8", "#0A7CBD", "#004B77"  # of a heat map; black and white are as readable on the middle
ON_LOW, ON_HIGH = "black", "white"  # numbers in its lower and its upper half
SCALE = ((0.0, LOW), (0.5, MIDDLE), (1.0, HIGH))
DARK = {
    ACCEPTED: "#4AA8E0", REJECTED: "#F08A3C", MERGED: "#E39AC3", BONUS: "#2CC79A", SKY: "#A9D6F2", ORANGE: "#F2C14E",
    GREY: "#8B94A1", TEXT: "#AEB5BF", INK: "#E8EAED", PAPER: "#14161A",
    LOW: "#1E2B36", HIGH: "#BFE3F8", ON_LOW: ON_HIGH, ON_HIGH: ON_LOW,
}  # fmt: skip
GRID = "rgba(128, 128, 128, 0.22)"
FONT = "'Source Sans', system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', sans-serif"
MONO = "ui-monospace, 'Cascadia Code', Menlo, Consolas, 'DejaVu Sans Mono', monospace"
HEIGHT = 380  # pixels
MOST_IN_TICK = 28  # characters
FEW_PLACES = 12  # on an axis of whole numbers, between which plotly would set ticks
ENOUGH = 10  # cases behind a share, for a title to name it

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


def hatched(color: str, shape: str = "/") -> dict[str, Any]:
    """The marker of bars in a colour and with a pattern over it; an empty `shape` is plain."""
    return {"color": color, "pattern": {"shape": shape, "fillmode": "overlay", "fgcolor": PAPER, "size": 6,
                                        "solidity": 0.2}}  # fmt: skip


def figure(title: str, subtitle: str, x: str, y: str) -> go.Figure:
    """An empty figure: `title` says what is to be seen, `subtitle` what is shown, `x` and `y` name units."""
    made = go.Figure(layout={"template": TEMPLATE, "title": {"text": title, "subtitle": {"text": subtitle}}})
    return made.update_xaxes(title_text=x).update_yaxes(title_text=y)


def share_axis(made: go.Figure, top: float | None = None) -> go.Figure:
    """The y axis as a share in per cent, from 0 up to `top`, or as far as the data go."""
    return made.update_yaxes(tickformat=".0%", range=[0, top] if top else None, rangemode="tozero")


def whole_ticks(made: go.Figure, places: pd.Series) -> go.Figure:
    """The x axis of whole numbers, such as rounds: where there are few `places` on it each has its tick."""
    return made.update_xaxes(dtick=1 if len(places) and places.max() - places.min() < FEW_PLACES else None)


def joined(*parts: str) -> str:
    """What of a subtitle is not empty."""
    return "; ".join(filter(None, parts))


def status_of(rows: pd.DataFrame) -> str:
    """How the one run of the rows ended, for a subtitle, where it did not end well."""
    status = rows["status"].iloc[0]
    return "" if status == "complete" else f"{shown(status)} run"


def in_dark(made: go.Figure) -> go.Figure:
    """The figure for a dark page: each colour of the palette replaced by its counterpart in `DARK`."""
    return go.Figure(_darkened(made.to_dict(), color=False))


def _darkened(value: Any, *, color: bool) -> Any:
    """`value` with the colours in it replaced; only what stands under the name of a colour is one."""
    if isinstance(value, dict):
        return {name: _darkened(part, color=color or "color" in name) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_darkened(part, color=color) for part in value]
    return DARK.get(value, value) if color and isinstance(value, str) else value


def numbers(x: Iterable[Any], y: Iterable[Any], z: Iterable[float], ends: tuple[float, float], form: str) -> dict:
    """A scatter trace that writes `z` into the cells of a heat map of `SCALE` between `ends`; missing ones are blank.

    Each number has the ink that its cell asks for: at least 4.5 : 1 wherever on the scale it lies.
    """
    cells = [cell for cell in zip(x, y, z) if np.isfinite(cell[2])]
    x, y, z = ([*column] for column in zip(*cells)) if cells else ([], [], [])
    inks = [ON_LOW if value <= sum(ends) / 2 else ON_HIGH for value in z]
    return {"x": x, "y": y, "mode": "text", "text": [form.format(value) for value in z], "showlegend": False,
            "textfont": {"size": 11, "color": inks}, "hoverinfo": "skip"}  # fmt: skip


def ends_of(z: pd.Series) -> tuple[float, float]:
    """The lowest and the highest value, for the ends of a scale; not the same one twice."""
    low, high = float(z.min()), float(z.max())
    return (low, high) if high > low else (low, low + 1.0)


def percent(share: float) -> str:
    """A share as a percentage for titles and labels; one that is empty is a dash, and 100 % is all of it."""
    if share != share:
        return "–"
    if 0.995 <= share < 1:
        return ">99%"
    return f"{share:.0%}" if share >= 0.1 or share == 0 else f"{100 * share:.2g}%"


def shown(text: str) -> str:
    """Text that is not ours, as plotly shows it literally: `<b>` is `&lt;b&gt;`.

    plotly reads tags and entities, formulas between `$`, and in templates for hover fields in `%{}`.
    """
    printable = "".join(char if char.isprintable() else f"\\u{ord(char):04x}" for char in text)
    return html.escape(printable, quote=False).replace("$", "&#36;").replace("%{", "&#37;{") or "∅"


def token(text: str) -> str:
    """Token text for a label: `shown`, with white space to be seen (`·` space, `↵` newline, `→` tab)."""
    return shown("".join(_SHOWN.get(char, char) for char in text))


def short(text: str) -> str:
    """Token text for the tick of an axis: `token` of its first characters."""
    return token(text if len(text) <= MOST_IN_TICK else text[:MOST_IN_TICK] + "…")
