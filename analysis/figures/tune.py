"""Figures of tuning: each takes tables of `analysis.tune`, of settings replayed over an atlas.

Every speed-up in them is modelled. A table with nothing to draw raises `InputError`. Marks that can be
clicked carry their setting in `customdata`, as `picked` reads it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from analysis.figures.look import (
    ACCEPTED,
    BONUS,
    ENOUGH,
    GREY,
    INK,
    PAPER,
    REJECTED,
    SCALE,
    TEMPLATE,
    ends_of,
    figure,
    numbers,
    shown,
)
from analysis.tune import SETTINGS, cheapest_best, pareto, to_paste
from gsd.errors import InputError
from gsd.wording import counted

VALUES = {"modelled_speedup": ("modelled speed-up", "×"), "mean_acceptance_length": ("mean acceptance length", "")}
HERE = {"color": INK, "width": 2.5}
MOST_ABREAST = 24  # cells in a row of maps, for their numbers to have room
_HALO = {"color": PAPER, "width": 6}
_INVISIBLE = {"color": GREY, "size": 22, "symbol": "square", "opacity": 0.0}


def maps(table: pd.DataFrame, here: dict[str, Any], value: str = "modelled_speedup") -> go.Figure:
    """`value` by width and depth, a map for each merge context; what is not covered is blank.

    `here` is framed where it is covered and has a cell: maps may leave widths and depths out.

    `table` and `here` have the settings as of `summary`; all but width, depth and merge context are the same.
    """
    drawn = table.dropna(subset=value)
    if drawn.empty:
        raise InputError(f"no setting has a {VALUES[value][0]}: none is covered by the atlas, or its costs are missing")
    contexts = list(dict.fromkeys(table["merge_context"]))
    widths, depths = (sorted(table[name].unique()) for name in ("width", "depth"))
    abreast = min(len(contexts), max(1, MOST_ABREAST // len(widths)))
    rows = -(-len(contexts) // abreast)
    made = make_subplots(rows, abreast, shared_yaxes=True, horizontal_spacing=0.018, vertical_spacing=0.3 / rows,
                         subplot_titles=[_context(one) for one in contexts])  # fmt: skip
    ends = ends_of(drawn[value])
    framed = bool(here["covered"]) and not _between(here, widths, depths)
    for index, context in enumerate(contexts):
        place = {"row": 1 + index // abreast, "col": 1 + index % abreast}
        part = table[table["merge_context"] == context]
        made.add_heatmap(**_cells(part, value), **place)
        made.add_scatter(**_targets(part, value, ends), **place)
        if framed and here["merge_context"] == context:
            outline = _outline(widths.index(here["width"]), depths.index(here["depth"]))
            for line in (_HALO, HERE):
                made.add_scatter(**outline, line=line, **place)
    shown = [VALUES[value][0], *_where(here, widths, depths), "click a cell to take it"]
    made.update_layout(
        template=TEMPLATE, height=100 + 300 * rows, margin={"l": 40, "r": 8}, clickmode="event+select",
        coloraxis={"colorscale": SCALE, "showscale": False, "cmin": ends[0], "cmax": ends[1]},
        title={"text": _best_here(drawn, value), "subtitle": {"text": "; ".join(shown)}},
    )  # fmt: skip
    made.update_annotations(font_size=12)
    for axes, ticks in ((made.update_xaxes, widths), (made.update_yaxes, depths)):
        axes(tickvals=list(range(len(ticks))), ticktext=ticks, showgrid=False, fixedrange=True,
             range=[-0.6, len(ticks) - 0.4])  # fmt: skip
    made.update_xaxes(title_text="width", row=rows)
    return made.update_yaxes(title_text="depth", col=1)


def _between(here: dict[str, Any], widths: list[int], depths: list[int]) -> list[str]:
    """What of the setting has no cell, in words: a large map leaves some widths and depths out."""
    axes = (("width", widths, "columns"), ("depth", depths, "rows"))
    return [f"{name} {here[name]} lies between the {lines}" for name, drawn, lines in axes if here[name] not in drawn]


def _where(here: dict[str, Any], widths: list[int], depths: list[int]) -> list[str]:
    """Where in the maps the setting is; of one that is not covered nothing."""
    if not here["covered"]:
        return []
    return _between(here, widths, depths) or ["the frame is the setting above"]


def _best_here(drawn: pd.DataFrame, value: str) -> str:
    """The highest value and the cheapest setting that has it; whether others have it, too."""
    best, tied = cheapest_best(drawn, value)
    where = f"width {best['width']}, depth {best['depth']}, {_context(best['merge_context'])}"
    reached = f"{best[value]:.2f}{VALUES[value][1]}" + (", modelled" if value == "modelled_speedup" else "")
    if tied == 1:
        return f"Best here: {where}: {reached}"
    return f"{tied} settings here tie at {reached}; the cheapest: {where}"


def front(table: pd.DataFrame, here: dict[str, Any], reference: dict[str, Any]) -> go.Figure:
    """Modelled speed-up against verified nodes of every setting, and those that no other beats in both."""
    drawn = table.dropna(subset="modelled_speedup")
    if drawn.empty:
        raise InputError("no setting has a modelled speed-up: none is covered by the atlas, or its costs are missing")
    best = pareto(drawn)
    title = (
        f"At most {best['modelled_speedup'].iloc[-1]:.2f}×, modelled, with "
        f"{counted(best['verified_nodes'].iloc[-1], 'verified node')}"
    )
    made = figure(title, f"{counted(len(drawn), 'setting')} replayed; click one to take it", "verified nodes",
                  "modelled speed-up (ratio)")  # fmt: skip
    made.add_scatter(**_points(drawn), mode="markers", name="a setting",
                     marker={"color": GREY, "size": 6, "opacity": 0.55})  # fmt: skip
    made.add_scatter(**_points(best), mode="lines+markers", name="none is faster with as few nodes",
                     line={"color": ACCEPTED, "width": 2}, marker={"color": ACCEPTED, "size": 9})  # fmt: skip
    for row, name, marker in ((reference, "the defaults", {"symbol": "diamond-open", "color": REJECTED}),
                              (here, "this setting", {"symbol": "x-thin", "color": BONUS})):  # fmt: skip
        if row["covered"]:
            made.add_scatter(x=[row["verified_nodes"]], y=[row["modelled_speedup"]], mode="markers", name=name,
                             marker=_outlined(marker | {"size": 13}),
                             hovertemplate=f"{name}: %{{y:.2f}}×, %{{x:,}} nodes<extra></extra>")  # fmt: skip
    unselected = {"marker": {"opacity": 0.55}}
    return made.update_traces(unselected=unselected).update_layout(clickmode="event+select")


def by_kind(rows: pd.DataFrame) -> go.Figure:
    """Modelled speed-up by kind of text; `rows` of `kinds`."""
    if rows[["here", "reference", "best"]].isna().all(axis=None):
        raise InputError("no kind of text has a modelled speed-up: none is covered by the atlas, or costs are missing")
    made = figure(_gain(rows), "mean over the texts of a kind, their number in brackets; best of the replayed settings",
                  "modelled speed-up (ratio)", "")  # fmt: skip
    labels = [f"{shown(str(kind))} ({texts})" for kind, texts in zip(rows["kind"], rows["texts"])]
    marks = (("reference", "the defaults", {"symbol": "diamond-open", "color": REJECTED, "size": 13}),
             ("best", "best replayed", {"symbol": "star", "color": ACCEPTED, "size": 13}),
             ("here", "this setting", {"symbol": "x-thin", "color": BONUS, "size": 10}))  # fmt: skip
    for name, label, marker in marks:
        if rows[name].isna().all():
            continue
        best = {"customdata": _customdata(rows, SETTINGS), "text": rows["settings"]} if name == "best" else {}
        settings = "<br>%{text}" if best else ""
        made.add_scatter(
            x=rows[name], y=labels, mode="markers", name=label, marker=_outlined(marker), cliponaxis=False, **best,
            hovertemplate=f"%{{y}}, {label}: %{{x:.2f}}×{settings}<extra></extra>",
            unselected={"marker": {"opacity": 1}},
        )  # fmt: skip
    made.update_yaxes(autorange="reversed")
    return made.update_layout(height=190 + 38 * len(rows))


def _gain(rows: pd.DataFrame) -> str:
    """What there is to gain; on which kind the most, where that kind has enough texts to say so."""
    covered = rows.dropna(subset="here")["kind"]
    if len(covered) < len(rows):
        but = f", but for {', '.join(shown(str(kind)) for kind in covered)} ({len(covered)} of {len(rows)})"
        return "This setting is not covered" + (but if len(covered) else "")
    known = rows.dropna(subset=["here", "best"])
    if known.empty:
        return "Modelled speed-up by kind of text"
    widest = known.loc[(known["best"] - known["here"]).idxmax()]
    here, best = widest[["here", "best"]]
    if widest["texts"] >= ENOUGH and best - here >= 0.005:
        return f"{shown(str(widest['kind']))} has most to gain: {here:.2f}× here, {best:.2f}× at best"
    low, high = known["here"].min(), known["here"].max()
    return f"This setting: {low:.2f}× to {high:.2f}× by kind of text, modelled"


def picked(customdata: list[Any]) -> dict[str, Any]:
    """The setting of a mark that was clicked, by option name; a part of them where the mark stands for a part."""
    return dict(zip(customdata[::2], customdata[1::2]))


def kinds(here: pd.DataFrame, reference: pd.DataFrame, best: pd.DataFrame) -> pd.DataFrame:
    """A row for each kind of text: mean modelled speed-up `here`, of the `reference` and at `best`, and that setting.

    `here` and `reference` are rows of `tune` for one setting each, `best` is of `best_by_kind`. `settings` are
    those of the best as options; missing where none is covered. `texts` is how many there are of the kind.
    """
    table = pd.DataFrame({name: _mean_by_kind(rows) for name, rows in (("here", here), ("reference", reference))})
    fastest = best.assign(
        kind=best["kind"].map(_kind), best=best["modelled_speedup"].astype(float),
        settings=[to_paste(row) or "the defaults" for row in best.to_dict("records")],
    )  # fmt: skip
    table["texts"] = here["kind"].map(_kind).value_counts()
    columns = ["kind", "best", "settings", *SETTINGS]
    return table.rename_axis("kind").reset_index().merge(fastest[columns], "left", on="kind")


def _mean_by_kind(rows: pd.DataFrame) -> pd.Series:
    """Missing where some text of the kind is not covered."""
    values = rows["modelled_speedup"].astype(float)
    return values.groupby(rows["kind"].map(_kind), sort=False).agg(lambda part: part.mean(skipna=False))


def _outlined(marker: dict[str, Any]) -> dict[str, Any]:
    return marker | {"line": {"width": 2.5, "color": marker["color"]}}


def _kind(kind: str | None) -> str:
    return kind or "no kind"


def _context(context: int | str) -> str:
    return "no merging" if context == "none" else f"context {context}"


def _cells(part: pd.DataFrame, value: str) -> dict[str, Any]:
    grid = part.pivot(index="depth", columns="width", values=value).astype(float)
    return {"z": grid.to_numpy(), "coloraxis": "coloraxis", "xgap": 2, "ygap": 2,
            "hoverinfo": "skip"}  # fmt: skip


def _outline(x: float, y: float) -> dict[str, Any]:
    """A line around the cell whose middle is at `x`, `y`."""
    return {"x": [x - 0.5, x + 0.5, x + 0.5, x - 0.5, x - 0.5], "y": [y - 0.5, y - 0.5, y + 0.5, y + 0.5, y - 0.5],
            "mode": "lines", "name": "this setting", "showlegend": False, "hoverinfo": "skip"}  # fmt: skip


def _targets(part: pd.DataFrame, value: str, ends: tuple[float, float]) -> dict[str, Any]:
    """The numbers of the cells with invisible marks, for hover and click: a heat map takes no clicks."""
    places = {name: part[name].rank(method="dense").astype(int) - 1 for name in ("width", "depth")}
    part = part.assign(x=places["width"], y=places["depth"]).dropna(subset=value)
    unit, still = VALUES[value][1], {"marker": {"opacity": 0.0}}
    return numbers(part["x"], part["y"], part[value], ends, "{:.2f}") | {
        "mode": "markers+text", "marker": _INVISIBLE, "hoverinfo": None,
        "customdata": _customdata(part, ("width", "depth", "merge_context")),
        "hovertemplate": f"width %{{customdata[1]}}, depth %{{customdata[3]}}: %{{text}}{unit}<extra></extra>",
        "selected": still, "unselected": still,
    }  # fmt: skip


def _points(rows: pd.DataFrame) -> dict[str, Any]:
    settings = [to_paste(row) or "the defaults" for row in rows.to_dict("records")]
    return {"x": rows["verified_nodes"], "y": rows["modelled_speedup"], "customdata": _customdata(rows, SETTINGS),
            "text": settings, "hovertemplate": "%{y:.2f}×, %{x:,} nodes<br>%{text}<extra></extra>"}  # fmt: skip


def _customdata(rows: pd.DataFrame, names: tuple[str, ...]) -> np.ndarray:
    """Names and values in turn, a row for each mark."""
    columns = [column for name in names for column in ([name] * len(rows), rows[name])]
    return np.array(list(zip(*columns)), dtype=object)
