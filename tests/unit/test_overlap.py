"""What hypotheses share is counted as by hand, and the same by round, depth, run and kind."""

import itertools
import math
from collections import Counter, defaultdict

import pandas as pd
import pytest
from fixtures.recorded import _record, end_record, meta, record_run, run_spec
from settings import of_method

from analysis import edges, overlap
from analysis.edges import merges_by_context, merges_by_depth_shift, merges_by_rank
from analysis.load import load
from analysis.overlap import (
    TOP,
    ngram_overlap_by_depth,
    ngram_overlap_by_kind,
    ngram_overlap_by_round,
    ngram_overlap_by_run,
    recurring_sequences,
    redundancy_by_round,
    redundancy_by_run,
)
from analysis.pooling import pool
from gsd.drafting.graph import TokenGraph
from gsd.drafting.tree import flatten
from gsd.spec import Prompt, SamplingSpec
from gsd.trace.writer import TraceWriter

A, B, C, D, E, F = range(1, 7)
METRICS = overlap.METRICS | edges.METRICS
COLUMNS = {name: module.COLUMNS for module in (overlap, edges) for name in module.METRICS}


def write(out, graph, spec, picks):
    """A run of one round over `graph`; `picks` is the target's choice after each token."""
    tree = flatten(graph, 64, 64)
    made = _record(spec, 0, 0, graph, tree, [picks[token] for token in tree.tokens])
    with TraceWriter(out, "small", meta(spec)) as writer:
        writer.round(made.record)
        writer.end(end_record("complete", [made]))
    return writer.folder


def merged_run(out, after_c=F):
    """A run of one round, the target picking B, C and then `after_c`:

    root ─ A .65 ─ C .55 ─ E .95
     │         └── D .25
     └──── B .35 ═ C .85 (merge)
    """
    spec = run_spec(drafting=of_method(width=2, depth=3, merge_context=0, sibling_threshold=0, prob_threshold=0))
    graph = TokenGraph([0], 0)
    level = graph.grow([0], [[A, B]], [[math.log(0.65), math.log(0.35)]], spec.drafting)
    level = graph.grow(level, [[C, D], [C]], [[math.log(0.55), math.log(0.25)], [math.log(0.85)]], spec.drafting)
    graph.grow(level[:1], [[E]], [[math.log(0.95)]], spec.drafting)
    return write(out, graph, spec, {0: B, A: A, B: C, C: after_c, D: A, E: A})


def tree_run(out, first=(A, B, C, A), second=(D, A, B)):
    """A run of one round with two hypotheses and no merges: root ─ A ─ B ─ C ─ A and root ─ D ─ A ─ B."""
    depth = len(first)
    spec = run_spec(drafting=of_method(method="tree", width=2, depth=depth, merge_context=None,
                                       sibling_threshold=0, prob_threshold=0))  # fmt: skip
    graph = TokenGraph([0], None)
    rows = [[token for token in pair if token] for pair in itertools.zip_longest(first, second)]
    level = graph.grow([0], [rows[0]], [[-0.1, -0.2][: len(rows[0])]], spec.drafting)
    for row in rows[1:]:
        level = graph.grow(level[: len(row)], [[token] for token in row], [[-0.1]] * len(row), spec.drafting)
    return write(out, graph, spec, defaultdict(int))


@pytest.fixture(scope="module")
def random_frames(tmp_path_factory):
    """Runs merged by several contexts and runs not merged, of two kinds of prompt and of none."""
    out = tmp_path_factory.mktemp("runs")
    runs = []
    for seed, context in enumerate((None, 0, 0, 1, 2, None)):
        method = "tree" if context is None else "graph"
        drafting = of_method(method=method, width=4, depth=6, frontier=4, merge_context=context,
                             prob_threshold=(0.05, 0.01)[seed % 2], budget=40)  # fmt: skip
        prompt = Prompt(id=f"p{seed}", prompt="x", kind=("code", "prose", None)[seed % 3])
        runs.append(record_run(out, count=5, drafting=drafting, prompt=prompt, sampling=SamplingSpec(seed=seed)))
    return load(runs)


def shares(frame, *columns):
    """The named columns as tuples."""
    return list(frame[list(columns)].itertuples(index=False, name=None))


def test_redundancy_is_the_share_of_copies_that_were_not_drafted(tmp_path):
    """C and E stand behind A and, merged, behind B: drafted A B C D E, unrolled A C E D B C E, 1 - 5/7."""
    frames = load([merged_run(tmp_path)])
    [row] = redundancy_by_round(frames).to_dict("records")
    assert (row["drafted"], row["unrolled"], row["extra_copies"], row["merges"]) == (5, 7, 2, 1)
    assert row["redundancy"] == pytest.approx(1 - 5 / 7)
    assert redundancy_by_run(frames)["redundancy"].item() == pytest.approx(1 - 5 / 7)


def test_unrolled_nodes_are_the_walks_from_the_root(random_frames):
    rows = redundancy_by_round(random_frames)
    edges = dict(list(random_frames.edges.groupby(["run", "round"])))
    for row in rows.to_dict("records"):
        assert row["unrolled"] == _walks(edges[row["run"], row["round"]])
        assert row["unrolled"] == row["drafted"] + row["extra_copies"]
    merged = rows["merges"] > 0
    assert merged.any() and (~merged).any()
    assert (rows.loc[~merged, "redundancy"] == 0).all()
    assert rows.loc[merged, "redundancy"].between(0, 1, inclusive="neither").all()


def _walks(edges):
    children = defaultdict(list)
    for parent, node in zip(edges["parent"], edges["node"]):
        children[parent].append(node)
    count, stack = 0, list(children[0])
    while stack:
        count += 1
        stack += children[stack.pop()]
    return count


def test_a_run_sums_its_rounds_before_it_divides(random_frames):
    rounds = redundancy_by_round(random_frames).groupby("run", sort=False)
    runs = redundancy_by_run(random_frames)
    assert runs["drafted"].tolist() == rounds["drafted"].sum().tolist()
    assert runs["redundancy"].tolist() == pytest.approx(
        (1 - rounds["drafted"].sum() / rounds["unrolled"].sum()).tolist()
    )


def test_an_ngram_is_shared_where_an_unrelated_node_ends_it_too(tmp_path):
    """root ─ A ─ B ─ C ─ A and root ─ D ─ A ─ B.

    1: three As, each with one in the other hypothesis, and both Bs; C and D stand alone: 5 of 7.
    2: AB twice; BC, CA, DA once: 2 of 5. 3: ABC, BCA, DAB. 4: ABCA. 5: none is that long.
    """
    rows = ngram_overlap_by_round(load([tree_run(tmp_path)]))
    assert shares(rows, "n", "occurrences", "shared") == [(1, 7, 5), (2, 5, 2), (3, 3, 0), (4, 1, 0)]
    assert rows["overlap"].tolist() == [5 / 7, 2 / 5, 0, 0]


def test_ancestors_and_descendants_do_not_make_an_ngram_shared(tmp_path):
    """root ─ A ─ A ─ A repeats itself, but there is no other hypothesis."""
    rows = ngram_overlap_by_round(load([tree_run(tmp_path, first=(A, A, A), second=())]))
    assert shares(rows, "n", "occurrences", "shared") == [(1, 3, 0), (2, 2, 0), (3, 1, 0)]


def test_overlap_by_depth_says_where_the_ngram_ends(tmp_path):
    """The Bs of the AB of root ─ A ─ B ─ C ─ A and root ─ D ─ A ─ B stand at depths 2 and 3."""
    rows = ngram_overlap_by_depth(load([tree_run(tmp_path)]))
    pairs = rows[rows["n"] == 2]
    assert shares(pairs, "depth", "occurrences", "shared") == [(2, 2, 1), (3, 2, 1), (4, 1, 0)]


def test_shared_ngrams_are_those_that_comparing_all_nodes_finds(random_frames):
    rows = ngram_overlap_by_round(random_frames).set_index(["run", "round", "n"])
    for (run, number), nodes in random_frames.nodes.groupby(["run", "round"], sort=False):
        paths = _paths(nodes)
        for n in range(1, 6):
            ends = [path for path in paths if len(path) >= n]
            shared = sum(any(_unrelated(a, b) and _last(a, n) == _last(b, n) for b in ends) for a in ends)
            found = rows.loc[(run, number, n)] if ends else None
            assert not ends or (found["occurrences"], found["shared"]) == (len(ends), shared)
    assert rows["shared"].sum() > 100


def _paths(nodes):
    """Of every drafted node its (id, token) pairs from the root's child on."""
    paths = {0: ()}
    for node, parent, token in list(zip(nodes["node"], nodes["parent"], nodes["token"]))[1:]:
        paths[node] = (*paths[parent], (node, token))
    return list(paths.values())[1:]


def _unrelated(a, b):
    return a[: len(b)] != b and b[: len(a)] != a


def _last(path, n):
    return [token for _, token in path[-n:]]


def test_counts_by_round_depth_run_and_kind_are_the_same_ngrams(random_frames):
    by_round, by_depth = ngram_overlap_by_round(random_frames), ngram_overlap_by_depth(random_frames)
    by_run, by_kind = ngram_overlap_by_run(random_frames), ngram_overlap_by_kind(random_frames)
    for name in ("occurrences", "shared"):
        totals = [frame.groupby("n")[name].sum().tolist() for frame in (by_round, by_depth, by_run, by_kind)]
        assert totals == [totals[0]] * 4
    assert by_run[by_run["n"] == 1]["occurrences"].tolist() == redundancy_by_run(random_frames)["drafted"].tolist()
    assert by_kind["kind"].isna().any()  # a prompt without a kind is a kind of its own
    assert by_run["run"].drop_duplicates().tolist() == random_frames.runs["run"].tolist()


def test_recurring_sequences_are_text_with_counts_and_rounds(tmp_path):
    """Of root ─ A ─ B ─ C ─ A and root ─ D ─ A ─ B: A three times, B twice, AB twice."""
    rows = recurring_sequences(load([tree_run(tmp_path)]))
    text = {A: "\n", B: "    "}
    assert shares(rows, "n", "text", "count", "rounds", "in_rounds") == [
        (1, text[A], 3, 1, "0"),
        (1, text[B], 2, 1, "0"),
        (2, text[A] + text[B], 2, 1, "0"),
    ]


def test_recurring_sequences_count_every_shared_ngram(random_frames):
    rows = recurring_sequences(random_frames)
    shared = ngram_overlap_by_run(random_frames).set_index(["run", "n"])["shared"]
    complete = 0
    for key, listed in rows.groupby(["run", "n"]):
        assert len(listed) <= TOP and listed["count"].is_monotonic_decreasing
        if len(listed) < TOP:
            assert listed["count"].sum() == shared[key]
            complete += 1
        assert [len(rounds.split()) for rounds in listed["in_rounds"]] == listed["rounds"].tolist()
    assert complete > 0


def test_the_outcome_of_a_merge_is_told_from_that_of_the_node_it_leads_to(tmp_path):
    """The target walks root ─ B ═ C and picks F. Tested: A, B and, behind C, E; C not behind A, but behind B."""
    rows = merges_by_context(load([merged_run(tmp_path)]))
    assert shares(rows, "edge", "edges", "tested", "accepted", "continued") == [
        ("merge", 1, 1, 1, 0),
        ("tree", 5, 3, 1, 1),
    ]
    assert rows["context"].iloc[0] == 0 and pd.isna(rows["context"].iloc[1])
    assert rows["precision"].tolist() == pytest.approx([0, 1 / 3])
    assert rows["share_tested"].tolist() == pytest.approx([1, 3 / 5])


def test_a_merge_with_an_accepted_token_behind_it_continued(tmp_path):
    rows = merges_by_depth_shift(load([merged_run(tmp_path, after_c=E)]))
    assert shares(rows, "edge", "accepted", "continued") == [("merge", 1, 1), ("tree", 2, 1)]
    assert rows["depth_shift"].iloc[0] == 0
    assert rows["precision"].iloc[0] == 1


def test_merges_and_nodes_are_set_side_by_side_by_rank(tmp_path):
    """The likeliest children are A, C and E and, by merge, C of B; the second ones B and D."""
    rows = merges_by_rank(load([merged_run(tmp_path)]))
    assert shares(rows, "edge", "rank", "edges", "tested", "accepted", "continued") == [
        ("merge", 0, 1, 1, 1, 0),
        ("tree", 0, 3, 2, 0, 0),
        ("tree", 1, 2, 1, 1, 1),
    ]


def test_each_token_of_the_accepted_path_came_by_one_edge(random_frames):
    accepted = random_frames.rounds.groupby("run", sort=False)["accepted"]
    for metric in (merges_by_context, merges_by_depth_shift, merges_by_rank):
        rows = metric(random_frames)
        counts = rows.groupby("run", sort=False)[["edges", "accepted", "continued"]].sum()
        assert counts["edges"].tolist() == random_frames.edges.groupby("run", sort=False).size().tolist()
        assert counts["accepted"].tolist() == accepted.sum().tolist()
        assert counts["continued"].tolist() == accepted.agg(lambda rounds: (rounds - 1).clip(lower=0).sum()).tolist()
        assert (rows["tested"] >= rows["accepted"]).all()
        assert rows.loc[rows["edge"] == "merge", "accepted"].sum() > 0


def test_only_complete_runs_are_pooled(tmp_path):
    runs = [record_run(tmp_path / name, end=end, sampling=SamplingSpec(seed=seed))
            for seed, (name, end) in enumerate([("a", "complete"), ("b", None), ("c", "failed")])]  # fmt: skip
    rows = redundancy_by_run(load(runs))
    assert Counter(rows["status"]) == {"complete": 1, "incomplete": 1, "failed": 1}
    pooled = pool(rows, ["kind"])
    assert pooled["runs"].tolist() == [1]
    assert pooled["redundancy"].item() == rows["redundancy"].iloc[0]


def test_a_round_without_a_draft_has_no_redundancy_rather_than_none_of_it(tmp_path):
    spec = run_spec(drafting=of_method(method="ar"))
    frames = load([write(tmp_path, TokenGraph([0], None), spec, {0: A})])
    assert redundancy_by_round(frames)["redundancy"].isna().all()
    assert ngram_overlap_by_round(frames).empty


@pytest.mark.parametrize("name", METRICS)
def test_every_column_is_documented_with_its_unit(name, random_frames):
    rows = METRICS[name](random_frames)
    assert len(rows) > 0
    assert set(rows.columns) <= set(COLUMNS[name])
    assert all(": " in COLUMNS[name][column] for column in rows.columns)


@pytest.mark.parametrize("name", METRICS)
def test_runs_of_counters_alone_give_no_rows_and_the_same_columns(name, tmp_path, random_frames):
    rows = METRICS[name](load([record_run(tmp_path, detail="counters")]))
    assert rows.empty
    assert rows.columns.tolist() == METRICS[name](random_frames).columns.tolist()
