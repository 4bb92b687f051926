"""Overlap of the hypotheses of a round, and what merging does with it. Formulas: docs/metrics.md.

Frame functions over `analysis.load.Frames`: tidy rows by run, the run's kind and status among them;
`analysis.pooling.pool` puts rows of several runs together. Rounds whose graph was not recorded
(`detail: counters`) have no rows. N-grams are counted on what was
drafted: a merged candidate is no node, so overlap is largest on unmerged trees, and what merging
took out of it shows as redundancy instead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd

from analysis.graphs import Graphs, graphs_of
from analysis.load import Frames
from analysis.pooling import ABOUT, divided, in_order, pool, summed, with_run

ORDERS = (1, 2, 3, 4, 5)
TOP = 20  # recurring sequences listed per run and n

COLUMNS = {
    "run": "name: the run's folder",
    "kind": "name: kind of the run's prompt; empty where it has none",
    "status": "name: complete, cancelled, failed or incomplete; only complete runs are pooled",
    "method": "name: drafting method of the run",
    "round": "index: round of the run, from 0",
    "runs": "count: complete runs pooled in this row",
    "drafted": "nodes: distinct drafted nodes, the root not counted",
    "unrolled": "nodes: of the graph unrolled to a tree without limit, the root not counted; exact up to 2^53",
    "extra_copies": "nodes: unrolled - drafted, further copies of drafted nodes; no tree need have drafted them",
    "merges": "edges: merge edges",
    "redundancy": "share: 1 - drafted / unrolled; empty where nothing was drafted",
    "n": "tokens: length of the n-gram",
    "depth": "tokens: depth of the node that ends the n-gram, the root's children having 1",
    "occurrences": "nodes: drafted nodes of depth >= n, each ending one n-gram of drafted tokens",
    "shared": "nodes: those whose n-gram also ends at an unrelated node of the same round",
    "overlap": "share: shared / occurrences",
    "text": "text: the n-gram's tokens, decoded one by one",
    "count": "nodes: nodes ending the sequence that also ends at an unrelated node of their round",
    "rounds": "count: rounds in which it does",
    "in_rounds": "indices: those rounds, separated by spaces",
}


def redundancy_by_round(frames: Frames) -> pd.DataFrame:
    """1 - drafted / unrolled of every round: the share of the unrolled graph that is further copies of drafted nodes.

    copies(root) = 1, copies(n) = sum of copies(p) over the parents p of n by tree and merge edges;
    unrolled = sum of copies(n) over n other than the root. 0 where nothing merged.
    """
    graphs = graphs_of(frames)
    merge_parent, merge_node = (graphs.rows(frames.merges, column) for column in ("parent", "node"))
    drafted = graphs.per_round(~graphs.is_root).astype(np.int64)
    unrolled = graphs.per_round(np.where(graphs.is_root, 0.0, _copies(graphs, merge_parent, merge_node)))
    counts = graphs.table[["run", "round"]].assign(
        drafted=drafted,
        unrolled=unrolled,
        extra_copies=unrolled - drafted,
        merges=np.bincount(graphs.round[merge_parent], minlength=len(graphs.table)),
    )
    return with_run(divided(counts), frames)


def redundancy_by_run(frames: Frames) -> pd.DataFrame:
    """1 - drafted / unrolled of every run, both summed over its rounds first."""
    return summed(redundancy_by_round(frames), ABOUT)


def ngram_overlap_by_round(frames: Frames) -> pd.DataFrame:
    """shared / occurrences of every round and n; what counts says `_occurrences`."""
    return summed(_occurrences(frames), [*ABOUT, "round", "n"])


def ngram_overlap_by_depth(frames: Frames) -> pd.DataFrame:
    """shared / occurrences by the depth at which the n-gram ends, of every run and n."""
    return in_order(summed(_occurrences(frames), [*ABOUT, "n", "depth"]), frames, ["n", "depth"])


def ngram_overlap_by_run(frames: Frames) -> pd.DataFrame:
    """shared / occurrences of every run and n, both summed over its rounds first."""
    return summed(_occurrences(frames), [*ABOUT, "n"])


def ngram_overlap_by_kind(frames: Frames) -> pd.DataFrame:
    """shared / occurrences by kind of prompt, drafting method and n, summed over the complete runs.

    Methods stay apart because merging takes out of the draft what would be counted here.
    """
    counts = ngram_overlap_by_run(frames).merge(frames.runs[["run", "method"]], on="run")
    return pool(counts, ["kind", "method", "n"])


def recurring_sequences(frames: Frames) -> pd.DataFrame:
    """The `TOP` most frequent shared n-grams of every run and n, as text, with the rounds where they recur.

    Only nodes that count as shared are counted (see `_occurrences`), over all rounds of the run; of
    equally frequent sequences the one in more rounds comes first, then the one drafted earlier.
    """
    graphs = graphs_of(frames)
    run = pd.factorize(graphs.table["run"])[0][graphs.round]
    within_round, across_rounds = _ngrams(graphs, graphs.round), _ngrams(graphs, run)
    found = []
    for n, round_ids, run_ids in zip(ORDERS, within_round, across_rounds):
        rows = np.flatnonzero(_has_unrelated_twin(graphs, round_ids, n))
        top = _top(graphs, rows, run_ids[rows])
        found.append(top.assign(n=n, text=_texts(frames, graphs, top.pop("row").to_numpy(), n)))
    listed = with_run(pd.concat(found, ignore_index=True), frames)
    return in_order(listed[[*ABOUT, "n", "text", "count", "rounds", "in_rounds"]], frames, ["n"])


def _copies(graphs: Graphs, merge_parent: np.ndarray, merge_node: np.ndarray) -> np.ndarray:
    """[N] copies of every node in its unrolled graph; all rounds at once, a node once all its parents are counted."""
    drafted = np.flatnonzero(~graphs.is_root)
    source, target = np.append(graphs.parent[drafted], merge_parent), np.append(drafted, merge_node)
    order = np.argsort(source, kind="stable")
    source, target = source[order], target[order]
    out = np.searchsorted(source, np.arange(len(graphs.round) + 1))  # edges of row r: out[r] up to out[r + 1]
    waiting = np.bincount(target, minlength=len(graphs.round))
    copies = graphs.is_root.astype(np.float64)
    ready = np.flatnonzero(graphs.is_root)
    while ready.size:
        count = out[ready + 1] - out[ready]
        edges = np.repeat(out[ready] - np.cumsum(count) + count, count) + np.arange(count.sum())
        np.add.at(copies, target[edges], copies[source[edges]])
        np.subtract.at(waiting, target[edges], 1)
        reached = np.unique(target[edges])
        ready = reached[waiting[reached] == 0]
    return copies


def _occurrences(frames: Frames) -> pd.DataFrame:
    """How many nodes end an n-gram and how many of those are shared, by round, n and depth.

    A node of depth >= n ends one n-gram: its own token and those of its n - 1 nearest ancestors
    along tree edges, drafted tokens only (neither the root's nor the text before it). It is shared
    if the same n-gram also ends at another node of the round that is neither its ancestor nor its
    descendant along tree edges.
    """
    graphs = graphs_of(frames)
    counted = []
    for n, ids in zip(ORDERS, _ngrams(graphs, graphs.round)):
        ends = np.flatnonzero(ids >= 0)
        rows = pd.DataFrame({"graph": graphs.round[ends], "depth": graphs.depth[ends],
                             "shared": _has_unrelated_twin(graphs, ids, n)[ends]})  # fmt: skip
        groups = rows.groupby(["graph", "depth"])["shared"]
        counted.append(groups.agg(occurrences="size", shared="sum").reset_index().assign(n=n))
    counts = pd.concat(counted, ignore_index=True).sort_values(["graph", "n", "depth"], kind="stable")
    return with_run(counts.join(graphs.table[["run", "round"]], on="graph"), frames)


def _ngrams(graphs: Graphs, scope: np.ndarray) -> Iterator[np.ndarray]:
    """For each n: [N] the same number for the same n-gram of the same `scope` [N], -1 above depth n."""
    ids, size = scope, int(graphs.token.max(initial=0)) + 1
    for n in ORDERS:
        ends = np.flatnonzero(graphs.depth >= n)
        longer = np.full(len(ids), -1)
        longer[ends] = pd.factorize(ids[graphs.parent[ends]] * size + graphs.token[ends])[0]
        yield longer
        ids = longer


def _has_unrelated_twin(graphs: Graphs, ids: np.ndarray, n: int) -> np.ndarray:
    """[N] bool: more nodes carry the node's id than itself, its ancestors and its descendants."""
    carriers = np.bincount(ids[ids >= 0], minlength=1)[ids] * (ids >= 0)
    kin = np.ones(len(ids), dtype=np.int64)
    rows = np.flatnonzero(carriers > 1)
    ancestors = graphs.parent[rows]
    while rows.size:  # one level up for all that are left
        same = ids[ancestors] == ids[rows]
        kin[rows[same]] += 1
        np.add.at(kin, ancestors[same], 1)
        below = graphs.depth[ancestors] > n
        rows, ancestors = rows[below], graphs.parent[ancestors[below]]
    return carriers > kin


def _top(graphs: Graphs, rows: np.ndarray, ids: np.ndarray) -> pd.DataFrame:
    """The listed sequences of one n, `row` being a node that ends each; `ids` name the n-grams that `rows` end."""
    ends = graphs.table[["run", "round"]].iloc[graphs.round[rows]].assign(id=ids, row=rows)
    seen = ends.groupby("id").agg(run=("run", "first"), row=("row", "first"), count=("row", "size"),
                                  rounds=("round", "nunique"))  # fmt: skip
    seen = seen.sort_values(["count", "rounds", "row"], ascending=[False, False, True])
    seen = seen.groupby("run", sort=False).head(TOP)
    listed = ends[ends["id"].isin(seen.index)].drop_duplicates(["id", "round"])
    in_rounds = listed.groupby("id")["round"].agg(lambda rounds: " ".join(map(str, rounds)))
    return seen.assign(in_rounds=in_rounds)


def _texts(frames: Frames, graphs: Graphs, rows: np.ndarray, n: int) -> list[str]:
    """The texts of the n-grams that end at `rows`."""
    words = []
    for _ in range(n):
        words.append(frames.nodes["text"].iloc[rows])
        rows = graphs.parent[rows]
    return ["".join(reversed(parts)) for parts in zip(*words)]


METRICS: dict[str, Callable[[Frames], pd.DataFrame]] = {
    metric.__name__: metric
    for metric in (
        redundancy_by_round,
        redundancy_by_run,
        ngram_overlap_by_round,
        ngram_overlap_by_depth,
        ngram_overlap_by_run,
        ngram_overlap_by_kind,
        recurring_sequences,
    )
}
