"""Acceptance: how much of the draft the target accepted. Formulas: docs/metrics.md.

Frame functions over `analysis.load.Frames` return tidy rows by run, with the run's status. `pool` and
`pool_lengths` combine the rows of several complete runs.

The unit is the *tested guess*: a token that the draft proposed after the root or after a node of the
accepted path. Only there a pick of the target decided about it. A guess is a node under its tree
parent, or a merge edge under its merge parent, with the draft's q there. Untested guesses say nothing
about how good the draft was. At most one guess of a parent is accepted. So the share of all tested
guesses falls with the width; the share by rank does not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from analysis.graphs import tree_edges
from analysis.load import Frames

BINS = 10  # of q, equally wide
RATES = {
    "verified": "draft_acceptance_rate",
    "longest_path": "acceptance_rate_longest_path",
    "drafted": "acceptance_rate_drafted",
}
COLUMNS = {
    "run": "name: the run's folder",
    "kind": "name: kind of the run's prompt; empty where it has none",
    "method": "name: drafting method of the run",
    "status": "name: complete, cancelled, failed or incomplete; only complete runs are pooled",
    "runs": "count: complete runs pooled in this row",
    "depth": "tokens: depth of the parent in the graph, and one: the root's children have 1",
    "rank": "index: place among the draft's candidates behind the same parent by q, from 0, pruned ones counted",
    "source": "name: what drafted the node; merge for a merge edge, whose continuation was drafted elsewhere",
    "bin_low": "probability: lower end of the bin of q, itself in the bin",
    "bin_high": "probability: upper end of the bin of q, not in the bin, but for 1",
    "tested": "guesses: nodes and merge edges that the target's pick decided about",
    "accepted": "guesses: those of them that the accepted path goes through",
    "mean_q": "probability: mean q of the tested guesses",
    "share": "share: accepted / tested; by length: rounds / all rounds",
    "low": "share: lower end of the Wilson 95 % interval of the share",
    "high": "share: upper end of the Wilson 95 % interval of the share",
    "length": "tokens: accepted nodes of a round, and one",
    "rounds": "count: rounds of that acceptance length",
    "denominator": "name: what accepted nodes are divided by: verified, longest_path or drafted",
    "rate": "share: accepted nodes of the run / its denominator; empty where that is 0",
}

_ABOUT = ["run", "kind", "method", "status"]
_GUESS = ["run", "depth", "rank", "source", "logq", "accepted"]
_Z = 1.959963984540054  # 97.5 % quantile of the normal distribution


def acceptance_by_run(frames: Frames) -> pd.DataFrame:
    """Accepted / tested guesses of every run."""
    return _shares(frames, [])


def acceptance_by_kind(frames: Frames) -> pd.DataFrame:
    """Accepted / tested guesses by kind of prompt and drafting method, summed over the complete runs."""
    return pool(acceptance_by_run(frames), ["kind", "method"])


def acceptance_by_depth(frames: Frames) -> pd.DataFrame:
    """Accepted / tested guesses by depth in the graph, of every run."""
    return _shares(frames, ["depth"])


def acceptance_by_rank(frames: Frames) -> pd.DataFrame:
    """Accepted / tested guesses by place behind their parent, of every run: accepted(r) / tested(r).

    The most probable child has rank 0. So the shares are the chances that the draft's first, second …
    guess is the target's pick. Nodes that were only looked up have no rank.
    """
    rows = _shares(frames, ["rank"])
    return rows[rows["rank"] >= 0].reset_index(drop=True)


def acceptance_by_source(frames: Frames) -> pd.DataFrame:
    """Accepted / tested guesses by what drafted them, of every run."""
    return _shares(frames, ["source"])


def acceptance_by_q(frames: Frames) -> pd.DataFrame:
    """Reliability curve: in each of `BINS` equal bins of q = exp(logq) the mean q and accepted / tested.

    A draft that is calibrated for this target has share = mean q in every bin. Empty bins have no row. Of what
    was looked up there is no q to judge.
    """
    drafted = set(frames.nodes.loc[frames.nodes["source"] == "draft", "run"])
    rows = _shares(frames, ["bin_low", "bin_high"], sources=("draft", "merge"))
    return rows[rows["run"].isin(drafted)].reset_index(drop=True)  # elsewhere, what merges was looked up


def acceptance_lengths(frames: Frames) -> pd.DataFrame:
    """Rounds by acceptance length, accepted + 1, of every run, and their share of its rounds.

    Their mean, Σ length · share, is the run's `mean_acceptance_length`.
    """
    rounds = frames.rounds[["run", "accepted"]].merge(frames.runs[_ABOUT], on="run")
    counted = rounds.assign(length=rounds["accepted"] + 1).groupby([*_ABOUT, "length"], dropna=False)
    rows = counted.size().rename("rounds").reset_index()
    return rows.assign(share=rows["rounds"] / rows.groupby("run")["rounds"].transform("sum"))


def acceptance_rates(frames: Frames) -> pd.DataFrame:
    """The acceptance rate of every run by its three denominators; empty for a run without totals.

    accepted / verified nodes, accepted / depth of the deepest verified path (summed over rounds),
    accepted / drafted nodes.
    """
    names = {column: denominator for denominator, column in RATES.items()}
    rows = frames.runs[[*_ABOUT, *names]].rename(columns=names)
    return rows.melt(_ABOUT, var_name="denominator", value_name="rate")


def pool(rows: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """Rows of the functions above put together by the columns `by`: counts summed over complete runs, then divided."""
    complete = rows[rows["status"] == "complete"]
    groups = complete.assign(q_sum=complete["mean_q"] * complete["tested"]).groupby(list(by), dropna=False)
    summed = groups.agg(runs=("run", "nunique"), tested=("tested", "sum"), accepted=("accepted", "sum"),
                        q_sum=("q_sum", "sum"))  # fmt: skip
    return _divided(summed.reset_index())


def pool_lengths(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of `acceptance_lengths` put together by length: rounds summed over complete runs, then divided."""
    complete = rows[rows["status"] == "complete"]
    summed = complete.groupby("length").agg(runs=("run", "nunique"), rounds=("rounds", "sum")).reset_index()
    return summed.assign(share=summed["rounds"] / summed["rounds"].sum())


def wilson(accepted: np.ndarray, tested: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ends of the Wilson score 95 % interval of accepted / tested; tested > 0.

    (a + z²/2 ± z √(a (n − a) / n + z²/4)) / (n + z²) with a accepted of n tested and z = 1.96. It takes
    the nodes for independent, which siblings are not quite: read it as a guide to how much was seen.
    """
    middle = (accepted + _Z**2 / 2) / (tested + _Z**2)
    reach = _Z * np.sqrt(accepted * (tested - accepted) / tested + _Z**2 / 4) / (tested + _Z**2)
    return np.clip(middle - reach, 0.0, 1.0), np.clip(middle + reach, 0.0, 1.0)


def _shares(frames: Frames, by: list[str], sources: Sequence[str] | None = None) -> pd.DataFrame:
    """Tested guesses of every run, or those of some sources, counted by the columns `by`."""
    guesses = _tested(frames)
    chosen = guesses if sources is None else guesses[guesses["source"].isin(sources)]
    groups = chosen.groupby([*_ABOUT, *by], dropna=False)
    counted = groups.agg(tested=("accepted", "size"), accepted=("accepted", "sum"), q_sum=("q", "sum"))
    return _divided(counted.reset_index())


def _tested(frames: Frames) -> pd.DataFrame:
    """One row a tested guess, with its bin of q and what is to be known of its run."""
    edges = tree_edges(frames)
    guesses = pd.concat([edges.loc[edges["tested"], _GUESS], _tested_merges(frames)])
    q = np.exp(guesses["logq"])
    index = np.minimum((q * BINS).astype(np.int64), BINS - 1)  # q = 1 belongs to the last bin
    binned = guesses.assign(q=q, bin_low=index / BINS, bin_high=(index + 1) / BINS)
    return binned.merge(frames.runs[_ABOUT], on="run")


def _tested_merges(frames: Frames) -> pd.DataFrame:
    """Merge edges as guesses of their merge parents."""
    merges = frames.merges[frames.merges["tested"]]
    parents = frames.nodes[["run", "round", "node", "depth"]].rename(columns={"node": "parent"})
    rows = merges.merge(parents, on=["run", "round", "parent"])
    return rows.assign(depth=rows["depth"] + 1, source="merge")[_GUESS]


def _divided(counts: pd.DataFrame) -> pd.DataFrame:
    """Counts with the mean q, the share and its interval."""
    tested, accepted = counts["tested"].to_numpy(np.float64), counts["accepted"].to_numpy(np.float64)
    low, high = wilson(accepted, tested)
    return counts.assign(mean_q=counts.pop("q_sum") / tested, share=accepted / tested, low=low, high=high)


METRICS: dict[str, Callable[[Frames], pd.DataFrame]] = {
    "acceptance_by_run": acceptance_by_run,
    "acceptance_by_kind": acceptance_by_kind,
    "acceptance_by_depth": acceptance_by_depth,
    "acceptance_by_rank": acceptance_by_rank,
    "acceptance_by_source": acceptance_by_source,
    "acceptance_by_q": acceptance_by_q,
    "acceptance_lengths": acceptance_lengths,
    "acceptance_rates": acceptance_rates,
}
