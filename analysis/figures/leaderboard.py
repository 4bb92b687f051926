"""Figures of benchmark results, as `analysis.leaderboard` reads them. Every speed-up in them is measured."""

from __future__ import annotations

from typing import Any

import pandas as pd
import plotly.graph_objects as go

from analysis.figures.look import ACCEPTED, ENOUGH, GREY, SCALE, ends_of, figure, numbers, series, shown
from analysis.leaderboard import Bench, against
from gsd.errors import InputError
from gsd.lab.means import LEVEL
from gsd.wording import counted


def leaderboard(bench: Bench) -> go.Figure:
    """Geometric mean of every method's speed-ups with its interval, and a mark for each prompt."""
    rows = bench.methods
    names = [shown(method) for method in rows["method"]]
    subtitle = f"geometric mean and {LEVEL:.0%} interval over {counted(bench.measured, 'prompt')}; a mark is a prompt"
    made = figure(_leader(bench), subtitle, "measured speed-up (ratio)", "")
    made.add_vline(x=1, line={"color": GREY, "dash": "dash", "width": 1.5})
    marks = bench.prompts
    made.add_scatter(x=marks["speedup"], y=[shown(method) for method in marks["method"]], mode="markers",
                     name="a prompt", customdata=[shown(prompt) for prompt in marks["prompt"]],
                     marker={"symbol": "line-ns", "size": 14, "color": GREY, "line": {"width": 1.5, "color": GREY}},
                     hovertemplate="%{y}, %{customdata}: %{x:.2f}×<extra></extra>")  # fmt: skip
    interval = {"type": "data", "array": rows["high"] - rows["speedup"], "arrayminus": rows["speedup"] - rows["low"],
                "thickness": 3, "width": 7, "color": ACCEPTED}  # fmt: skip
    ends = " (%{customdata[0]:.2f} to %{customdata[1]:.2f})" if rows["low"].notna().all() else ""
    made.add_scatter(
        x=rows["speedup"], y=names, mode="markers", name="geometric mean", error_x=interval,
        customdata=rows[["low", "high"]], marker={"color": ACCEPTED, "size": 11},
        hovertemplate="%{y}: %{x:.2f}×" + ends + "<extra></extra>",
    )  # fmt: skip
    made.update_yaxes(categoryorder="array", categoryarray=names, autorange="reversed", tickfont={"size": 13})
    return made.update_xaxes(rangemode="tozero").update_layout(height=190 + 40 * len(rows))


def by_prompt(bench: Bench) -> go.Figure:
    """Speed-up of every method on each prompt, the slowest prompt of the leader first."""
    leader = bench.methods["method"].iloc[0]
    order = bench.prompts[bench.prompts["method"] == leader].sort_values("speedup")
    others = bench.prompts[~bench.prompts["prompt"].isin(order["prompt"])]  # where the leader failed
    labels = {row["prompt"]: _label(row) for part in (order, others) for row in part.to_dict("records")}
    low, high = order["speedup"].iloc[[0, -1]]
    title = f"{shown(leader)}: {low:.2f}× to {high:.2f}× over {counted(len(order), 'prompt')}, measured"
    made = figure(title, "the median over repeats for each prompt", "measured speed-up (ratio)", "")
    made.add_vline(x=1, line={"color": GREY, "dash": "dash", "width": 1.5})
    for index, method in enumerate(bench.methods["method"]):
        part = bench.prompts[bench.prompts["method"] == method]
        look = series(index)
        made.add_scatter(x=part["speedup"], y=[labels[prompt] for prompt in part["prompt"]], mode="markers",
                         name=shown(method), marker={"color": look.color, "symbol": look.symbol, "size": 8},
                         hovertemplate=f"%{{y}}, {shown(method)}: %{{x:.2f}}×<extra></extra>")  # fmt: skip
    made.update_yaxes(categoryorder="array", categoryarray=list(labels.values()), autorange="reversed")
    return made.update_layout(height=200 + 24 * len(labels))


def by_kind(table: pd.DataFrame, counts: pd.Series) -> go.Figure:
    """Geometric mean of each method's speed-ups on each kind of prompt, as `analysis.leaderboard.by_kind` has it.

    `counts` is how many prompts of each kind there are.
    """
    if table.empty:
        raise InputError("this result does not say of which kinds its prompts are; measure again with gsd bench --json")
    cells = table.stack()
    best = cells.idxmax()
    title = f"{cells.min():.2f}× to {cells.max():.2f}× by method and kind of prompt, measured"
    if counts[best[1]] >= ENOUGH:
        title = f"{shown(best[0])} on {shown(best[1])} prompts is fastest: {cells.max():.2f}×, measured"
    made = figure(title, "geometric mean over the prompts of a kind, their number in brackets", "kind of prompt", "")
    kinds = {kind: f"{shown(kind)} ({counts[kind]})" for kind in table.columns}
    low, high = ends_of(cells)
    made.add_heatmap(x=list(kinds.values()), y=[shown(method) for method in table.index], z=table.to_numpy(),
                     zmin=low, zmax=high, colorscale=SCALE, showscale=False, xgap=2, ygap=2,
                     hovertemplate="%{y} on %{x}: %{z:.2f}×<extra></extra>")  # fmt: skip
    across, down = [kinds[kind] for _, kind in cells.index], [shown(method) for method, _ in cells.index]
    made.add_scatter(**numbers(across, down, cells, (low, high), "{:.2f}"))
    made.update_xaxes(showgrid=False, type="category")
    made.update_yaxes(showgrid=False, type="category", autorange="reversed")
    return made.update_layout(height=190 + 40 * len(table))


def _leader(bench: Bench) -> str:
    """Who leads, where it has anyone to lead and prompts enough to say so, and whether the next is shown to be slower.

    Drafters are what is compared: one alone is set against plain decoding, which it leads by design.
    """
    drafters = bench.methods[bench.methods["drafts"]]
    alone = len(drafters) == 1
    first, speedup, prompts = (drafters if alone else bench.methods)[["method", "speedup", "prompts"]].iloc[0]
    measured = f"measured on {counted(prompts, 'prompt')}"
    if alone:
        return f"{shown(first)}: {speedup:.2f}× over plain decoding, {measured}; no other drafter was"
    if prompts < ENOUGH or len(bench.methods) == 1:
        return f"{shown(first)}: {speedup:.2f}×, {measured}"
    title = f"{shown(first)} leads with {speedup:.2f}×, {measured}"
    second = bench.methods["method"].iloc[1]
    paired = against(bench, first, second)
    if paired and paired.verdict.startswith("higher"):
        return title
    return f"{shown(first)}: {speedup:.2f}×, measured; no difference to {shown(second)} is shown"


def _label(row: dict[str, Any]) -> str:
    """The prompt's name, and its kind where the name does not begin with it."""
    prompt, kind = str(row["prompt"]), row["kind"]
    return shown(prompt) if pd.isna(kind) or prompt.startswith(kind) else f"{shown(prompt)} · {shown(kind)}"
