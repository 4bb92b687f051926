"""Figures of acceptance: each takes the frame of its metric in `analysis.acceptance` or `analysis.syntax`.

A frame of one run is drawn as it is, whatever became of the run; of several runs the complete ones are
pooled, whatever their method: keep the rows of one method to look at one. Error bars are Wilson 95 %
intervals. A frame with nothing to pool raises `InputError`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from analysis.acceptance import RATES, pool, pool_lengths
from analysis.figures.look import ACCEPTED, ENOUGH, GREY, TEXT, figure, percent, series, share_axis, shown, status_of
from gsd.errors import InputError
from gsd.wording import counted

FEWEST_TOKENS = 5  # of a syntax type, for it to be drawn
MOST_TYPES = 16
SHARE = "accepted / tested guesses"

_RATES = {"verified": "verified nodes", "longest_path": "longest verified path", "drafted": "drafted nodes"}
_REFERENCE = {"color": GREY, "dash": "dash", "width": 2}


def acceptance_by_run(rows: pd.DataFrame) -> go.Figure:
    """Share accepted of every complete run."""
    complete = _some(_taken(rows)).sort_values("share")
    parts = [percent(share) for share in _telling(complete)["share"]]
    title = f"{' to '.join(parts)} of the guesses of a run are accepted" if parts else _overall(complete)
    made = _bars(complete, "run", "tested", title, _subtitle(complete), SHARE)
    return made.update_layout(height=180 + 24 * len(complete))


def acceptance_by_depth(rows: pd.DataFrame) -> go.Figure:
    """Share accepted by depth, beside the mean q of the same guesses."""
    pooled = _pooled(rows, "depth")
    title = _accepted_title(pooled, lambda row: f"at depth {row.depth}")
    return _shares_and_q(pooled, "depth", title, "depth in the graph (tokens)")


def acceptance_by_rank(rows: pd.DataFrame) -> go.Figure:
    """Share accepted by place behind the parent, beside the mean q of the same guesses."""
    pooled = _pooled(rows, "rank")
    known = pooled[(pooled["tested"] >= ENOUGH) & (pooled["rank"] < 2)]
    parts = [f"{('first', 'second')[row.rank]} guess is taken in {percent(row.share)} of {row.tested:,} cases"
             for row in known.itertuples()]  # fmt: skip
    title = f"The draft's {', its '.join(parts)}" if parts else _overall(pooled)
    return _shares_and_q(pooled, "rank", title, "rank behind the parent (0 is the likeliest)")


def acceptance_by_q(rows: pd.DataFrame) -> go.Figure:
    """Reliability curve: share accepted against mean q, and the diagonal of a calibrated draft."""
    pooled = _pooled(rows, "bin_low", "bin_high")
    gap = (pooled["mean_q"] - pooled["share"]).mul(pooled["tested"]).sum() / pooled["tested"].sum()
    title = f"The draft's q is {100 * abs(gap):.1f} points too {'high' if gap > 0 else 'low'} on average"
    if pooled["tested"].sum() < ENOUGH:
        title = _overall(pooled)
    made = figure(title, _subtitle(pooled), "mean q of the guesses (probability)", SHARE)
    made.add_scatter(x=[0, 1], y=[0, 1], mode="lines", line=_REFERENCE, name="calibrated", hoverinfo="skip")
    made.add_scatter(x=pooled["mean_q"], y=pooled["share"], **_accepted(pooled))
    return share_axis(made.update_xaxes(range=[0, 1.02]), top=1.02)


def acceptance_by_source(rows: pd.DataFrame) -> go.Figure:
    """Share accepted by what drafted the guess."""
    pooled = _pooled(rows, "source").sort_values("share")
    title = _accepted_title(pooled[::-1], lambda row: f"by {shown(row.source)}")
    return _bars(pooled, "source", "tested", title, _subtitle(pooled), SHARE)


def acceptance_by_kind(rows: pd.DataFrame) -> go.Figure:
    """Share accepted by kind of prompt; the frame is pooled already."""
    pooled = _some(rows).assign(kind=rows["kind"].fillna("(no kind)")).sort_values("share")
    if pooled["method"].nunique() > 1:
        pooled["kind"] += " · " + pooled["method"]
    title = _accepted_title(pooled[::-1], lambda row: f"on {shown(row.kind)}")
    return _bars(pooled, "kind", "tested", title, _subtitle(pooled), SHARE)


def acceptance_lengths(rows: pd.DataFrame) -> go.Figure:
    """Histogram of the acceptance length, with its mean."""
    pooled = pool_lengths(_some(_taken(rows)))
    mean = (pooled["length"] * pooled["share"]).sum()
    none = pooled.loc[pooled["length"] == 1, "share"].sum()
    rounds = pooled["rounds"].sum()
    title = f"Mean acceptance length {mean:.2f} over {counted(rounds, 'round')}"
    if rounds >= ENOUGH:
        title += f"; {percent(none)} of them accept nothing drafted"
    made = figure(title, _runs(rows), "acceptance length: accepted + 1 (tokens)", "share of rounds")
    made.add_bar(x=pooled["length"], y=pooled["share"], width=0.8, marker_color=ACCEPTED, customdata=pooled["rounds"],
                 hovertemplate="length %{x}: rounds %{customdata}, %{y:.1%}<extra></extra>")  # fmt: skip
    made.add_vline(x=mean, line=_REFERENCE, annotation_text=f"mean {mean:.2f}", annotation_position="top left")
    return share_axis(made.update_layout(showlegend=False).update_xaxes(dtick=1 if len(pooled) < 16 else None))


def acceptance_rates(rows: pd.DataFrame) -> go.Figure:
    """The acceptance rate of every complete run by its three denominators, and their means."""
    known = _some(_taken(rows[rows["rate"].notna()]))
    means = known.groupby("denominator")["rate"].mean().reindex(list(RATES))
    parts = [f"{percent(mean)} of {name.replace('_', ' ')}" for name, mean in means.items()]
    several = known["run"].nunique() > 1
    subtitle = f"mean over {_runs(known)}; points are runs" if several else _runs(rows)
    made = figure(f"Accepted: {', '.join(parts)}", subtitle, "", "accepted nodes / denominator")
    made.add_bar(x=[_RATES[name] for name in means.index], y=means, marker_color=ACCEPTED, opacity=0.45, name="mean",
                 hovertemplate="%{y:.1%}<extra></extra>")  # fmt: skip
    if several:
        made.add_scatter(
            x=known["denominator"].map(_RATES), y=known["rate"], mode="markers", name="run",
            text=known["run"].map(shown), marker={"symbol": "circle-open", "color": TEXT, "size": 8},
            hovertemplate="%{text}: %{y:.1%}<extra></extra>",
        )  # fmt: skip
    return share_axis(made)


def drafted_by_syntax(rows: pd.DataFrame) -> go.Figure:
    """Share of committed tokens that came from the draft, by type of syntax node; the most frequent types."""
    frequent = _some(rows[rows["tokens"] >= FEWEST_TOKENS]).nlargest(MOST_TYPES, "tokens").sort_values("share")
    languages = sorted(frequent["language"].unique())
    if len(languages) > 1:
        frequent = frequent.assign(type=frequent["language"] + ": " + frequent["type"])
    title = _accepted_title(frequent[::-1], lambda row: shown(row.type), "tokens", "Drafted")
    subtitle = f"{', '.join(map(shown, languages))}; types of at least {FEWEST_TOKENS} tokens; 95% intervals"
    made = _bars(frequent, "type", "tokens", title, subtitle, "drafted / committed tokens")
    return made.update_layout(height=140 + 24 * len(frequent))


def _some(rows: pd.DataFrame) -> pd.DataFrame:
    if rows.empty:
        raise InputError("nothing to draw: no complete run in full detail has drafted anything here; decode one first")
    return rows


def _pooled(rows: pd.DataFrame, *by: str) -> pd.DataFrame:
    return _some(pool(_taken(rows), by))


def _taken(rows: pd.DataFrame) -> pd.DataFrame:
    """The one run there is, or the complete ones; marked as complete, by which they are pooled."""
    alone = rows["run"].nunique() == 1
    return rows.assign(status="complete") if alone else rows[rows["status"] == "complete"]


def _telling(rows: pd.DataFrame, count: str = "tested") -> pd.DataFrame:
    """The first row and the last of those with enough behind them, which may be the same, or none."""
    known = rows[rows[count] >= ENOUGH]
    return known.iloc[[0, -1]] if len(known) > 1 else known


def _accepted_title(
    rows: pd.DataFrame, where: Callable[[Any], str], count: str = "tested", verb: str = "Accepted"
) -> str:
    """The first and the last share with enough behind them, and how many; `where` names a row."""
    parts = [f"{percent(row.share)} of {getattr(row, count):,} {where(row)}"
             for row in _telling(rows, count).itertuples()]  # fmt: skip
    return f"{verb}: {', '.join(parts)}" if parts else _overall(rows, count, verb)


def _overall(rows: pd.DataFrame, count: str = "tested", verb: str = "Accepted") -> str:
    """Of all rows together, in numbers: too few for more."""
    return f"{verb}: {(rows['share'] * rows[count]).sum():.0f} of {rows[count].sum():,}"


def _runs(rows: pd.DataFrame) -> str:
    count = _taken(rows)["run"].nunique()
    return f"{count} complete runs" if count > 1 else status_of(rows)


def _subtitle(pooled: pd.DataFrame) -> str:
    return f"{pooled['tested'].sum():,} tested guesses; 95% intervals"


def _interval(rows: pd.DataFrame) -> dict[str, Any]:
    """Error bars up to `high` and down to `low`."""
    return {"type": "data", "symmetric": False, "array": rows["high"] - rows["share"],
            "arrayminus": rows["share"] - rows["low"], "thickness": 1.2, "width": 4, "color": GREY}  # fmt: skip


def _accepted(pooled: pd.DataFrame) -> dict[str, Any]:
    return series(0).line() | {
        "name": "accepted", "error_y": _interval(pooled), "customdata": pooled["tested"],
        "hovertemplate": "%{x:.3g}: %{y:.1%} of %{customdata} tested<extra></extra>",
    }  # fmt: skip


def _shares_and_q(pooled: pd.DataFrame, column: str, title: str, x: str) -> go.Figure:
    made = figure(title, _subtitle(pooled), x, SHARE)
    made.add_scatter(x=pooled[column], y=pooled["share"], **_accepted(pooled))
    made.add_scatter(x=pooled[column], y=pooled["mean_q"], **series(1).line(), name="mean q of the same guesses",
                     hovertemplate="%{x}: mean q %{y:.3f}<extra></extra>")  # fmt: skip
    return share_axis(made.update_xaxes(dtick=1))


def _bars(rows: pd.DataFrame, column: str, count: str, title: str, subtitle: str, x: str) -> go.Figure:
    """Horizontal bars of `share`, the largest on top, with how many stand behind each."""
    made = figure(title, subtitle, x, "")
    labels = [f"{shown(name)}  ({number:,})" for name, number in zip(rows[column], rows[count])]
    made.add_bar(x=rows["share"], y=labels, orientation="h", marker={"color": ACCEPTED, "opacity": 0.6},
                 error_x=_interval(rows) | {"color": TEXT},
                 hovertemplate="%{y}: %{x:.1%}<extra></extra>")  # fmt: skip
    return made.update_xaxes(tickformat=".0%", rangemode="tozero").update_layout(showlegend=False)


FIGURES: dict[str, Callable[[pd.DataFrame], go.Figure]] = {
    "acceptance_by_run": acceptance_by_run,
    "acceptance_by_depth": acceptance_by_depth,
    "acceptance_by_rank": acceptance_by_rank,
    "acceptance_by_q": acceptance_by_q,
    "acceptance_by_source": acceptance_by_source,
    "acceptance_by_kind": acceptance_by_kind,
    "acceptance_lengths": acceptance_lengths,
    "acceptance_rates": acceptance_rates,
    "drafted_by_syntax": drafted_by_syntax,
}
