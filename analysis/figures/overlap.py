"""Figures of overlap: each takes the frame of its metric in `analysis.overlap` or `analysis.similarity`.

A frame of one run is drawn as it is, whatever became of the run; of several runs the complete ones
are put together. A frame with nothing to draw raises `InputError`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from analysis.figures.look import (
    ACCEPTED,
    BONUS,
    ENOUGH,
    MERGED,
    MONO,
    SCALE,
    figure,
    hatched,
    joined,
    numbers,
    percent,
    series,
    share_axis,
    short,
    shown,
    status_of,
    whole_ticks,
)
from analysis.figures.runs import check_one_run, complete_of, some_of, together, which_runs
from analysis.similarity import MEASURES, similarity_matrix
from gsd.errors import InputError
from gsd.wording import counted

BARS = 15  # sequences drawn
MOST_WITH_NUMBERS = 20  # hypotheses, for the cells of their matrix to have room for numbers
_POOLED = "a point is a run; the bar is all of them together: counts summed, then divided"
MOST_LINEAR = 20  # times as many unrolled as drafted nodes, for both to be seen on a linear axis
_SHARE_OF_NGRAMS = "shared n-grams (% of n-grams)"


def redundancy_by_round(rows: pd.DataFrame) -> go.Figure:
    """Nodes in every round of one run: those drafted, and those that its unrolled graph holds."""
    check_one_run(rows)
    rows = _drafted(rows)
    drafted, unrolled = rows["drafted"].sum(), rows["unrolled"].sum()
    if unrolled > drafted:
        title = f"{counted(drafted, 'node')} drafted; unrolled without limit: {unrolled:,.0f}"
    else:
        title = f"Nothing merged: {counted(drafted, 'node')} drafted, each on one path"
    made = figure(title, status_of(rows), "round", "nodes of the unrolled graph")
    made.add_bar(x=rows["round"], y=rows["unrolled"], name="further copies, unrolled", marker=hatched(MERGED),
                 customdata=rows.assign(by=rows["merges"].map(_merges))[["extra_copies", "by"]],
                 hovertemplate="round %{x}: %{customdata[0]} by %{customdata[1]}<extra></extra>")  # fmt: skip
    made.add_bar(x=rows["round"], y=rows["drafted"], name="drafted", marker={"color": ACCEPTED},
                 customdata=rows[["redundancy"]],
                 hovertemplate="round %{x}: %{y} drafted, redundancy %{customdata[0]:.0%}<extra></extra>")  # fmt: skip
    if rows["unrolled"].max() > MOST_LINEAR * rows["drafted"].max():
        made.update_yaxes(type="log", dtick=1, title_text="nodes of the unrolled graph (log scale)")
    made.update_layout(barmode="overlay", bargap=0.1, legend_traceorder="reversed")
    return whole_ticks(made, rows["round"])


def redundancy_by_run(rows: pd.DataFrame) -> go.Figure:
    """Redundancy of every complete run by kind of prompt."""
    complete = _drafted(complete_of(rows))
    unrolled = complete["unrolled"].sum()
    pooled = complete["extra_copies"].sum() / unrolled
    runs = counted(len(complete), "complete run")
    title = f"Redundancy is {percent(pooled)} of {counted(unrolled, 'unrolled node')} in {runs}"
    made = figure(title, _POOLED, "kind of prompt", "redundancy (% of unrolled nodes)")
    of_kind = complete.assign(kind=_kinds(complete["kind"]).map(shown))
    made = _points_and_pooled(made, of_kind, "kind", "redundancy", ("extra_copies", "unrolled"))
    return made.update_xaxes(type="category")


def ngram_overlap_by_round(rows: pd.DataFrame) -> go.Figure:
    """Share of n-grams that recur in another hypothesis in every round of one run, a line for each n."""
    check_one_run(rows)
    return _lines_by_n(rows, "round", figure(_overlap_title(rows), status_of(rows), "round", _SHARE_OF_NGRAMS))


def ngram_overlap_by_depth(rows: pd.DataFrame) -> go.Figure:
    """Share of n-grams that recur in another hypothesis by the depth at which they end, a line for each n."""
    pooled = together(rows, ["n", "depth"])
    known = pooled[(pooled["n"] == 1) & (pooled["occurrences"] >= ENOUGH)]
    title = _overlap_title(pooled)
    if len(known) > 1 and known["shared"].any():
        most = known.loc[known["overlap"].idxmax()]
        all_known = len(known) == (pooled["n"] == 1).sum()
        among = "Tokens" if all_known else f"Of depths with {ENOUGH} tokens or more, tokens"
        title = (
            f"{among} recur most at depth {most['depth']:.0f}: {percent(most['overlap'])} of {most['occurrences']:,.0f}"
        )
    made = figure(title, which_runs(rows), "depth of the last token (tokens)", _SHARE_OF_NGRAMS)
    return _lines_by_n(pooled, "depth", made)


def ngram_overlap_by_run(rows: pd.DataFrame) -> go.Figure:
    """Share of n-grams that recur in another hypothesis by n, a point for each complete run."""
    complete = complete_of(rows)
    made = figure(_overlap_title(complete), _POOLED, "n (tokens)", _SHARE_OF_NGRAMS)
    return _points_and_pooled(made, complete, "n", "overlap", ("shared", "occurrences")).update_xaxes(dtick=1)


def ngram_overlap_by_kind(rows: pd.DataFrame) -> go.Figure:
    """Share of n-grams that recur in another hypothesis by n, a line for each kind of prompt and method."""
    single = some_of(rows)[rows["n"] == 1].sort_values("overlap", ascending=False)
    known = single[single["occurrences"] >= ENOUGH]
    several = rows["method"].nunique() > 1
    ends = [f"{percent(row.overlap)} of {row.occurrences:,} in {shown(kind + f', {row.method}' * several)}"
            for kind, row in zip(_kinds(known["kind"]), known.itertuples())]  # fmt: skip
    title = f"Tokens that recur: {' to '.join(dict.fromkeys([ends[0], ends[-1]]))}" if ends else _overlap_title(rows)
    made = figure(title, "by kind of prompt and method, complete runs", "n (tokens)", _SHARE_OF_NGRAMS)
    groups = rows.assign(kind=_kinds(rows["kind"])).groupby(["kind", "method"])
    for index, ((kind, method), part) in enumerate(groups):
        name = f"{shown(kind)}, {shown(method)} ({counted(part['runs'].max(), 'run')})"
        made.add_scatter(x=part["n"], y=part["overlap"], name=name, **series(index).line(), **_hover(part, "n = %{x}"))
    beside = {"orientation": "v", "x": 1.02, "y": 1, "yanchor": "top"}  # too many names for one line
    return share_axis(made).update_xaxes(dtick=1).update_layout(legend=beside)


def recurring_sequences(rows: pd.DataFrame, n: int = 3) -> go.Figure:
    """The most frequent recurring sequences of `n` tokens of one run."""
    if rows.empty:
        raise InputError("no sequence recurs in another hypothesis; choose a run that does not merge (--method tree)")
    check_one_run(rows)
    listed = rows[rows["n"] == n].head(BARS)
    if listed.empty:
        lengths = ", ".join(map(str, rows["n"].unique()))
        raise InputError(f"no sequence of {counted(n, 'token')} recurs; choose n among {lengths}")
    first = listed.iloc[0]
    title = (f"{short(first['text'])} recurs most: {counted(first['count'], 'time')} in "
             f"{counted(first['rounds'], 'round')}")  # fmt: skip
    if is_tied(listed):
        title = f"The sequences that recur most do so {counted(first['count'], 'time')} each"
    subtitle = joined(f"sequences of {counted(n, 'token')} in two hypotheses of a round", status_of(rows))
    made = figure(title, subtitle, "occurrences (nodes)", "")
    return ranked_bars(made, listed, {"color": ACCEPTED}, "times")


def is_tied(listed: pd.DataFrame) -> bool:
    """Whether no sequence alone is the most frequent one; `listed` is by `count`, the largest first."""
    return (listed["count"] == listed["count"].iloc[0]).sum() > 1


def ranked_bars(made: go.Figure, listed: pd.DataFrame, marker: dict[str, Any], unit: str) -> go.Figure:
    """A bar for each sequence of `listed`, as long as its `count` of `unit`, the first on top."""
    made.add_bar(y=list(range(len(listed))), x=listed["count"], orientation="h", marker=marker,
                 text=listed["count"], textposition="outside", cliponaxis=False,
                 customdata=listed[["rounds", "in_rounds"]],
                 hovertemplate=f"%{{x}} {unit} in rounds %{{customdata[1]}}<extra></extra>")  # fmt: skip
    labels = [short(text) for text in listed["text"]]
    made.update_yaxes(autorange="reversed", tickvals=list(range(len(listed))), ticktext=labels, showgrid=False,
                      tickfont={"family": MONO})  # fmt: skip
    made.update_xaxes(showticklabels=False, showgrid=False)  # the numbers stand at the bars
    return made.update_layout(height=170 + 24 * len(listed))


def hypothesis_pairs(rows: pd.DataFrame, run: str, round: int, measure: str = "lcs_ratio") -> go.Figure:
    """Similarity of the hypotheses of one round as a matrix, its numbers in the cells."""
    matrix = similarity_matrix(rows, run, round, measure)
    here = rows[(rows["run"] == run) & (rows["round"] == round)]
    title = (f"Two hypotheses of round {round} are {percent(here[measure].mean())} alike, the mean of "
             f"{counted(len(here), 'pair')}")  # fmt: skip
    made = figure(title, MEASURES[measure], "hypothesis", "hypothesis")
    names = list(range(len(matrix)))
    made.add_heatmap(x=names, y=names, z=matrix, zmin=0, zmax=1, colorscale=SCALE, xgap=1, ygap=1,
                     colorbar={"tickformat": ".0%", "thickness": 12, "outlinewidth": 0},
                     hovertemplate="hypotheses %{y} and %{x}: %{z:.0%}<extra></extra>")  # fmt: skip
    if len(matrix) <= MOST_WITH_NUMBERS:
        cells = ([*names] * len(names), [name for name in names for _ in names], matrix.ravel())
        made.add_scatter(**numbers(*cells, (0.0, 1.0), "{:.0%}"))
    made.update_xaxes(dtick=1, showgrid=False, constrain="domain")
    return made.update_yaxes(dtick=1, showgrid=False, autorange="reversed", scaleanchor="x").update_layout(height=560)


def _lines_by_n(rows: pd.DataFrame, x: str, made: go.Figure) -> go.Figure:
    recurs = rows.groupby("n")["shared"].any()
    for n, part in rows.groupby("n"):
        if n > 1 and not recurs[n]:
            continue  # a line on the axis says nothing, and hides others
        made.add_scatter(x=part[x], y=part["overlap"], name=f"n = {n}", **series(n - 1).line(),
                         **_hover(part, f"n = {n}, {x} %{{x}}"))  # fmt: skip
    return whole_ticks(share_axis(made), rows[x])


def _hover(part: pd.DataFrame, where: str) -> dict[str, object]:
    counts = "%{customdata[0]:,} of %{customdata[1]:,} n-grams (%{y:.0%})"
    return {"customdata": part[["shared", "occurrences"]], "hovertemplate": f"{where}: {counts}<extra></extra>"}


def _points_and_pooled(made: go.Figure, rows: pd.DataFrame, x: str, share: str, counts: tuple[str, str]) -> go.Figure:
    """The `share` of every run by `x`, and that of all of them together: the first of `counts` / the second."""
    sums = rows.groupby(x)[list(counts)].sum()
    part, whole = (sums[name] for name in counts)
    made.add_scatter(
        x=rows[x],
        y=rows[share],
        text=rows["run"].map(shown),
        mode="markers",
        name="a run",
        cliponaxis=False,
        marker={"color": ACCEPTED, "symbol": "circle-open", "size": 9},
        customdata=rows[list(counts)],
        hovertemplate="%{text}: %{customdata[0]:,} of %{customdata[1]:,} (%{y:.1%})<extra></extra>",
    )
    made.add_scatter(
        x=sums.index,
        y=part / whole,
        mode="markers",
        name="all together",
        customdata=sums,
        cliponaxis=False,
        marker={"symbol": "line-ew", "size": 30, "line": {"width": 3, "color": BONUS}},
        hovertemplate="together: %{customdata[0]:,} of %{customdata[1]:,} (%{y:.1%})<extra></extra>",
    )
    return share_axis(made)


def _overlap_title(rows: pd.DataFrame) -> str:
    """What share of the single tokens recurs, and of the longest n-grams of which any do and that are many enough."""
    sums = rows.groupby("n")[["shared", "occurrences"]].sum()
    shares, tokens = sums["shared"] / sums["occurrences"], counted(sums["occurrences"].get(1, 0), "token")
    if not sums["shared"].any():
        return f"No sequence recurs in another hypothesis, of {tokens}"
    title = f"{percent(shares[1])} of {tokens}"
    longest = sums[(sums["shared"] > 0) & (sums["occurrences"] >= ENOUGH)].index.max()
    if longest > 1:
        title += f", {percent(shares[longest])} of {sums['occurrences'][longest]:,} {longest}-grams"
    return f"{title} recur in another hypothesis"


def _merges(count: int) -> str:
    return counted(count, "merge")


def _drafted(rows: pd.DataFrame) -> pd.DataFrame:
    return some_of(rows[rows["drafted"] > 0])


def _kinds(kinds: pd.Series) -> pd.Series:
    return kinds.fillna("no kind")


FIGURES: dict[str, Callable[..., go.Figure]] = {
    made.__name__: made
    for made in (
        redundancy_by_round,
        redundancy_by_run,
        ngram_overlap_by_round,
        ngram_overlap_by_depth,
        ngram_overlap_by_run,
        ngram_overlap_by_kind,
        recurring_sequences,
        hypothesis_pairs,
    )
}
