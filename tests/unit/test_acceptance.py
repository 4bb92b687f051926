"""What was accepted is divided by what the target decided about, and by nothing else."""

import dataclasses
import math

import pandas as pd
import pytest
from fixtures.recorded import _record, end_record, meta, record_run, run_spec
from settings import of_method

from analysis.acceptance import (
    COLUMNS,
    METRICS,
    acceptance_by_depth,
    acceptance_by_kind,
    acceptance_by_q,
    acceptance_by_rank,
    acceptance_by_run,
    acceptance_by_source,
    acceptance_lengths,
    acceptance_rates,
    pool,
    pool_lengths,
    wilson,
)
from analysis.figures.acceptance import FIGURES
from analysis.load import load
from gsd.drafting.graph import TokenGraph
from gsd.drafting.tree import flatten
from gsd.errors import InputError
from gsd.spec import Prompt
from gsd.trace.read import read_run
from gsd.trace.writer import TraceWriter

A, B, C, D, E, F = range(1, 7)


def small_run(out, end="complete", kind=None):
    """A run of one round:

    root ─ A .65 ─ C .55 ─ E .95     the target picks B, C and F: it walks root ─ B ═ C, and E is not F
     │         └── D .25
     └──── B .35 ═ C .85 (merge)     guesses tested: A no, B yes, C behind B yes, E no; not tested: C and D behind A
    """
    spec = run_spec(drafting=of_method(width=2, depth=3, merge_context=0, sibling_threshold=0, prob_threshold=0),
                    prompt=Prompt(id="p", prompt="x", kind=kind))  # fmt: skip
    graph = TokenGraph([0], 0)
    level = graph.grow([0], [[A, B]], [[math.log(0.65), math.log(0.35)]], spec.drafting)
    level = graph.grow(level, [[C, D], [C]], [[math.log(0.55), math.log(0.25)], [math.log(0.85)]], spec.drafting)
    graph.grow(level[:1], [[E]], [[math.log(0.95)]], spec.drafting)
    tree = flatten(graph, 24, 64)
    picks = {0: B, A: A, B: C, C: F, D: A, E: A}
    made = _record(spec, 0, 0, graph, tree, [picks[token] for token in tree.tokens])
    with TraceWriter(out, "small", meta(spec)) as writer:
        writer.round(made.record)
        if end:
            writer.end(end_record(end, [made]))
    return writer.folder


@pytest.fixture
def small(tmp_path):
    return load([small_run(tmp_path)])


def counts(rows, column):
    return {row[column]: (row["tested"], row["accepted"]) for row in rows.to_dict("records")}


def test_by_depth_rank_and_source_by_hand(small):
    """See the drawing at `small_run`: the guess C behind B has depth 2 and rank 0, and came by a merge edge."""
    assert counts(acceptance_by_depth(small), "depth") == {1: (2, 1), 2: (1, 1), 3: (1, 0)}
    assert counts(acceptance_by_rank(small), "rank") == {0: (3, 1), 1: (1, 1)}
    assert counts(acceptance_by_source(small), "source") == {"draft": (3, 1), "merge": (1, 1)}
    [row] = acceptance_by_run(small).to_dict("records")
    assert (row["tested"], row["accepted"], row["share"]) == (4, 2, 0.5)
    assert row["mean_q"] == pytest.approx((0.65 + 0.35 + 0.85 + 0.95) / 4)


def test_the_reliability_curve_takes_the_q_that_was_given_behind_this_parent_by_hand(small):
    """B .35 and C behind B .85 were accepted, A .65 and E .95 not; the C of .55 behind A was not tested."""
    rows = acceptance_by_q(small)
    assert rows[["bin_low", "bin_high", "tested", "accepted"]].to_numpy().tolist() == [
        [0.3, 0.4, 1, 1], [0.6, 0.7, 1, 0], [0.8, 0.9, 1, 1], [0.9, 1.0, 1, 0]]  # fmt: skip
    assert rows["mean_q"].tolist() == pytest.approx([0.35, 0.65, 0.85, 0.95])


def test_lengths_and_rates_by_hand(small):
    """Two accepted, so a length of 3; 7 verified nodes (C and E twice), and the rates of the totals."""
    [row] = acceptance_lengths(small).to_dict("records")
    assert (row["length"], row["rounds"], row["share"]) == (3, 1, 1.0)
    rates = acceptance_rates(small).set_index("denominator")["rate"]
    assert rates.to_dict() == pytest.approx({"verified": 2 / 7, "longest_path": 0.5, "drafted": 0.25})


def test_only_complete_runs_are_pooled_and_all_are_shown(tmp_path):
    folders = [small_run(tmp_path, kind="code"), small_run(tmp_path, kind="code"), small_run(tmp_path),
               *(small_run(tmp_path, end=end, kind="code") for end in (None, "cancelled", "failed"))]  # fmt: skip
    frames = load(folders)
    assert len(acceptance_by_run(frames)) == 6
    by_kind = acceptance_by_kind(frames)
    assert by_kind[["runs", "tested", "accepted"]].to_numpy().tolist() == [[2, 8, 4], [1, 4, 2]]
    assert by_kind["kind"].tolist()[0] == "code" and pd.isna(by_kind["kind"].tolist()[1])
    lengths = pool_lengths(acceptance_lengths(frames))
    assert lengths.to_dict("records") == [{"length": 3, "runs": 3, "rounds": 3, "share": 1.0}]
    rates = acceptance_rates(frames)
    assert rates.loc[rates["status"].isin(["incomplete", "failed"]), "rate"].isna().all()


def test_pooling_adds_counts_and_does_not_average_shares():
    """1 of 2 and 9 of 10 are 10 of 12; mean q is weighted by what was tested: (2 · .2 + 10 · .8) / 12 = .7."""
    rows = pd.DataFrame({"run": ["a", "b"], "status": "complete", "depth": 1, "tested": [2, 10], "accepted": [1, 9],
                         "mean_q": [0.2, 0.8]})  # fmt: skip
    [row] = pool(rows, ["depth"]).to_dict("records")
    assert (row["runs"], row["tested"], row["accepted"], row["share"]) == (2, 12, 10, 10 / 12)
    assert row["mean_q"] == pytest.approx(0.7)


def test_wilson_interval_against_published_values():
    """Newcombe 1998, Statistics in Medicine 17, table I: 81 of 263, 15 of 148, 0 of 20, 1 of 29."""
    low, high = wilson(pd.Series([81, 15, 0, 1]).to_numpy(), pd.Series([263, 148, 20, 29]).to_numpy())
    assert low == pytest.approx([0.2553, 0.0624, 0.0000, 0.0061], abs=5e-5)
    assert high == pytest.approx([0.3662, 0.1605, 0.1611, 0.1718], abs=5e-5)


def edges_tested(run):
    """Edges of the flattened trees behind the root and the accepted paths, from the events."""
    trees = [(round_.tree, {0, *round_.accepted}) for round_ in run.rounds]
    return sum(parent in walked for tree, walked in trees for parent in tree.parents)


@pytest.fixture(scope="module", params=[0, 1, None], ids=lambda merge_context: f"merge_context={merge_context}")
def folders(tmp_path_factory, request):
    """Recorded runs with much merging, with some and with none; one incomplete, one without its graph.

    The budget is beyond every tree, so that no node is there by a merge edge alone.
    """
    drafting = of_method(width=4, depth=5, frontier=4, merge_context=request.param, prob_threshold=0.05, budget=500)
    out = tmp_path_factory.mktemp("runs")
    kinds = ((25, "complete", "full"), (5, None, "full"), (4, "complete", "counters"))
    return [record_run(out, count=count, end=end, detail=detail, drafting=drafting) for count, end, detail in kinds]


@pytest.fixture(scope="module")
def recorded(folders):
    frames = load(folders)
    assert frames.rounds["verified_nodes"].max() < 500
    return frames


@pytest.mark.parametrize("metric", [acceptance_by_run, acceptance_by_depth, acceptance_by_rank, acceptance_by_source,
                                    acceptance_by_q])  # fmt: skip
def test_every_accepted_token_is_counted_once_and_nothing_that_was_not_tested(recorded, folders, metric):
    rows, detailed = metric(recorded), [read_run(folder) for folder in folders[:2]]
    accepted = {run.meta["run"]: sum(len(round_.accepted) for round_ in run.rounds) for run in detailed}
    assert rows.groupby("run")["accepted"].sum().to_dict() == accepted
    assert rows.groupby("run")["tested"].sum().to_dict() == {run.meta["run"]: edges_tested(run) for run in detailed}
    assert (rows["accepted"] <= rows["tested"]).all()
    assert rows["share"].between(0, 1).all() and rows["mean_q"].between(0, 1).all()
    assert ((rows["low"] <= rows["share"]) & (rows["share"] <= rows["high"])).all()


def test_at_most_one_guess_behind_a_parent_is_accepted_and_the_first_is_tested_most(recorded):
    ranks = acceptance_by_rank(recorded)
    rounds = recorded.rounds.groupby("run").size()
    for run, rows in ranks.groupby("run"):
        assert rows["tested"].is_monotonic_decreasing
        assert rows["accepted"].sum() <= rows["tested"].iloc[0]  # one guess of rank 0 behind every parent that had any
        assert rows["tested"].iloc[0] <= rounds[run] + rows["accepted"].sum()


def test_mean_q_lies_in_its_bin(recorded):
    rows = acceptance_by_q(recorded)
    assert ((rows["bin_low"] <= rows["mean_q"] + 1e-12) & (rows["mean_q"] <= rows["bin_high"] + 1e-12)).all()


def test_the_mean_length_is_that_of_the_totals(recorded):
    rows = acceptance_lengths(recorded)
    means = rows.assign(part=rows["length"] * rows["share"]).groupby("run")["part"].sum()
    totals = recorded.runs.set_index("run")["mean_acceptance_length"].dropna()
    assert means[totals.index].to_dict() == pytest.approx(totals.to_dict())
    assert rows.groupby("run")["rounds"].sum().to_dict() == recorded.rounds.groupby("run").size().to_dict()


def test_a_run_that_drafts_nothing_has_no_shares_and_one_token_a_round(tmp_path, small):
    frames = load([record_run(tmp_path, detail="counters")])
    for metric in METRICS.values():
        assert metric(frames).columns.tolist() == metric(small).columns.tolist()
        assert metric(frames).empty or metric in (acceptance_lengths, acceptance_rates)
    bare = dataclasses.replace(frames, rounds=frames.rounds.assign(accepted=0))
    assert acceptance_lengths(bare)["length"].tolist() == [1]


@pytest.mark.parametrize("metric", METRICS)
def test_every_metric_has_its_figure_and_an_empty_frame_has_none(recorded, metric):
    rows = METRICS[metric](recorded)
    made = FIGURES[metric](rows)
    assert made.data and made.layout.title.text and made.layout.title.subtitle.text
    assert made.layout.xaxis.title.text or made.layout.yaxis.title.text
    with pytest.raises(InputError, match="nothing to draw"):
        FIGURES[metric](rows.iloc[:0])


def test_figures_say_in_their_titles_what_the_frames_hold(small):
    """See the drawing at `small_run`."""
    titles = {metric: FIGURES[name](metric(small)).layout.title.text for name, metric in METRICS.items()}
    assert titles[acceptance_lengths] == "Mean acceptance length 3.00 over 1 round"
    for metric in (acceptance_by_depth, acceptance_by_rank, acceptance_by_q, acceptance_by_source):
        assert titles[metric] == "Accepted: 2 of 4"  # a share of so few would say more than is known


def test_shares_of_enough_guesses_are_told_with_their_number(small):
    """The same round ten times over."""
    often = {metric: metric(small).assign(**{name: 10 * metric(small)[name] for name in ("tested", "accepted")})
             for metric in METRICS.values() if "tested" in metric(small)}  # fmt: skip
    titles = {metric: FIGURES[metric.__name__](rows).layout.title.text for metric, rows in often.items()}
    assert titles[acceptance_by_depth] == "Accepted: 50% of 20 at depth 1, 0% of 10 at depth 3"
    assert titles[acceptance_by_rank] == (
        "The draft's first guess is taken in 33% of 30 cases, its second guess is taken in 100% of 10 cases"
    )
    assert titles[acceptance_by_q] == "The draft's q is 20.0 points too high on average"
    assert titles[acceptance_by_source] == "Accepted: 100% of 10 by merge, 33% of 30 by draft"


def test_every_column_is_described(recorded):
    pooled = pool(acceptance_by_q(recorded), ["bin_low", "bin_high"])
    assert {*(name for metric in METRICS.values() for name in metric(recorded)), *pooled} == set(COLUMNS)
