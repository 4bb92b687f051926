"""The tables say what the events say, and the CSV what the tables say."""

from dataclasses import replace

import pandas as pd
import pyarrow.parquet as pq
import pytest
from fixtures.recorded import record_run, round_of
from settings import of_method

from analysis.export import export_csv
from analysis.load import load, load_tables
from gsd.spec import SamplingSpec
from gsd.trace.csvfile import read_csv
from gsd.trace.read import read_run
from gsd.trace.tables import NAMES, SCHEMAS, _hypotheses, _merges, _nodes, tables


@pytest.fixture
def run(tmp_path):
    return record_run(tmp_path / "runs")


def test_a_finished_run_left_the_same_tables_as_its_events_give(run):
    made = tables(read_run(run))
    assert set(made) == set(NAMES)
    for name in NAMES:
        assert pq.read_table(run / "tables" / f"{name}.parquet").equals(made[name])
    assert not list(run.glob("*.partial"))


def test_counts_agree_across_events_rounds_and_rows(run):
    trace, frames = read_run(run), load([run])
    for round_, row in zip(trace.rounds, frames.rounds.to_dict("records"), strict=True):
        nodes = frames.nodes[frames.nodes["round"] == round_.number]
        merges = frames.merges[frames.merges["round"] == round_.number]
        edges = frames.edges[frames.edges["round"] == round_.number]
        decisions = frames.decisions[frames.decisions["round"] == round_.number]
        assert len(nodes) == row["drafted_nodes"] + 1
        assert nodes["verified"].sum() == row["verified_nodes"] + 1  # the root is in the tree
        assert len(merges) == row["merges"] == (edges["kind"] == "merge").sum()
        assert len(edges) == row["drafted_nodes"] + row["merges"]
        assert len(decisions) == len(round_.decisions.tokens)
        assert row["accepted"] == len(round_.accepted) == nodes["accepted"].sum()
        assert row["text"] == "".join(round_.new_texts.raw)
        assert row["total_ms"] == round_.ms.total


def test_an_accepted_merge_is_one_that_the_path_went_through(run):
    trace, frames = read_run(run), load([run])
    crossed = sum(round_.tree.merged[i] for round_ in trace.rounds for i in round_.accepted)
    assert crossed > 0
    assert frames.merges["accepted"].sum() == crossed


def test_one_row_holds_settings_and_totals(run):
    [row] = load([run]).runs.to_dict("records")
    assert (row["method"], row["width"], row["merge_context"], row["budget"]) == ("graph", 4, 0, 24)
    assert (row["status"], row["stop"], row["device"], row["prompt_id"]) == ("complete", "length", "cpu", "quicksort")
    assert row["new_tokens"] == load([run]).rounds["new_tokens"].sum()
    assert row["draft_acceptance_rate"] == pytest.approx(read_run(run).end["totals"]["draft_acceptance_rate"])
    assert (row["draft_quant"], row["packed"]) == ("none", True)


def test_settings_are_told_as_the_method_reads_them(run):
    trace = read_run(run)
    drafting = trace.meta["spec"]["drafting"]
    for method, read in (("tree", {"width": [4], "merge_context": [None]}), ("chain", {"width": [1]})):
        spec = trace.meta["spec"] | {"drafting": of_method(**{**drafting, "method": method}).model_dump()}
        row = tables(replace(trace, meta=trace.meta | {"spec": spec}))["runs"]
        assert row.select(list(read)).to_pydict() == read


@pytest.mark.parametrize("end", [None, "failed"])
def test_a_run_without_totals_has_none_and_keeps_its_rounds_and_text(tmp_path, end):
    frames = load([record_run(tmp_path, end=end)])
    [row] = frames.runs.to_dict("records")
    assert row["status"] == (end or "incomplete")
    assert row["tokens_per_s"] != row["tokens_per_s"]  # NaN
    assert row["text"] == "".join(frames.rounds["text"])
    assert len(frames.rounds) == 6


def test_counters_alone_give_empty_tables_of_the_same_columns(tmp_path, run):
    bare = load_tables([record_run(tmp_path / "bare", detail="counters")])
    assert bare["rounds"].num_rows == 6
    for name in ("nodes", "edges", "merges", "decisions", "hypotheses"):
        assert bare[name].num_rows == 0
        assert bare[name].schema == SCHEMAS[name]
    assert load([run]).nodes.columns.tolist() == bare["nodes"].column_names


def test_several_runs_stand_in_the_order_asked_for(tmp_path, run):
    other = record_run(tmp_path / "other", count=2, end=None)
    assert load([other, run]).runs["run"].tolist() == [other.name, run.name]


def test_tables_of_another_version_are_not_believed(run):
    table = pq.read_table(run / "tables" / "rounds.parquet")
    pq.write_table(table.drop_columns(["total_ms"]), run / "tables" / "rounds.parquet")
    assert "total_ms" in load([run]).rounds


def test_csv_reads_back_with_its_newlines_quotes_and_markup(tmp_path, run):
    export_csv([run], tmp_path / "csv")
    assert read_csv(tmp_path / "csv" / "nodes.csv")["text"].tolist() == load([run]).nodes["text"].tolist()


def small_round(**changes):
    """One round; the target picks B, C, F. Flat: 0 root, 1 A, 2 B, 3 C, 4 C', 5 D, 6 E.

    root 0 ─ A 1 ─ C 3 ─ E 5          flat  A ─ C ─ (E not verified)
      │       └─ D 4                         └─ D
      └──── B 2 ═ C 3 (merge; its first candidate was pruned)    B ═ C' ─ E
    """
    columns = ("parent", "token", "node", "kind")
    decisions = [(0, 11, 1, "added"), (0, 12, 2, "added"), (1, 13, 3, "added"), (1, 14, 4, "added"),
                 (2, 19, -1, "pruned"), (2, 13, 3, "merged"), (0, 11, 1, "capped"), (3, 15, 5, "added")]  # fmt: skip
    round_ = {
        "round": 0, "accepted": [2, 4], "new_tokens": [12, 13, 16],
        "graph": {"token": [9, 11, 12, 13, 14, 15], "text": list("RABCDE"), "parent": [-1, 0, 0, 1, 1, 3],
                  "depth": [0, 1, 1, 2, 2, 3], "logq": [0.0] * 6, "path_logq": [0.0] * 6,
                  "source": ["root", *["draft"] * 5], "expanded": [True] * 6},
        "merges": {"parent": [2], "node": [3], "logq": [-0.5], "depth_shift": [0], "ngram": [[13]],
                   "ngram_text": ["C"]},
        "decisions": dict(zip(columns, map(list, zip(*decisions)))),
        "tree": {"token": [9, 11, 12, 13, 13, 14, 15], "text": list("RABCCDE"), "node": [0, 1, 2, 3, 3, 4, 5],
                 "parent": [-1, 0, 0, 1, 2, 1, 4], "merged": [False] * 4 + [True, False, False],
                 "logq": [0.0, -1.0, -2.0, -3.0, -4.0, -5.0, -6.0],
                 "target_logp": [None, -1.0, -0.1, -0.9, -0.2, -3.0, -2.0]},
    }  # fmt: skip
    return round_of(**(round_ | changes))


def test_ranks_and_what_was_tested_by_hand():
    """See `small_round`: behind B the pruned candidate is the likeliest, so the merged one has rank 1."""
    nodes, merges = _nodes([small_round()]), _merges([small_round()])
    assert nodes["rank"] == [-1, 0, 1, 0, 1, 0]
    assert nodes["verified"] == [1, 1, 1, 2, 1, 1]
    assert nodes["target_logp"] == [None, -1.0, -0.1, -0.2, -3.0, -2.0]
    assert nodes["tested"] == [False, True, True, True, False, True]
    assert nodes["accepted"] == [False, False, True, True, False, False]
    assert {name: merges[name] for name in ("rank", "tested", "accepted", "accepted_behind")} == {
        "rank": [1], "tested": [True], "accepted": [True], "accepted_behind": [0]}  # fmt: skip


def test_a_pick_that_a_stop_rule_cut_away_decided_about_nothing():
    """As above, but the round ends with C: nobody knows whether E would have been accepted."""
    nodes = _nodes([small_round(new_tokens=[12, 13])])
    assert nodes["tested"] == [False, True, True, True, False, False]


def test_a_merge_edge_that_the_walk_did_not_come_to_was_not_tested():
    """The target picks A, then something else: the edge below B was not decided about."""
    merges = _merges([small_round(accepted=[1], new_tokens=[11, 16])])
    assert (merges["tested"], merges["accepted"], merges["accepted_behind"]) == ([False], [False], [None])


def test_hypotheses_by_hand():
    """Leaves in flat order: A C, A D, B C E; the last crosses the merge edge and two of its tokens were accepted."""
    rows = _hypotheses([small_round()])
    assert rows["leaf"] == [3, 5, 6]
    assert rows["tokens"] == [[11, 13], [11, 14], [12, 13, 15]]
    assert rows["text"] == ["AC", "AD", "BCE"]
    assert (rows["hypothesis"], rows["length"], rows["logq"]) == ([0, 1, 2], [2, 2, 3], [-3.0, -5.0, -6.0])
    assert (rows["merged"], rows["accepted"]) == ([False, False, True], [0, 0, 2])


@pytest.mark.parametrize("seed", range(4))
def test_tables_of_any_run_agree_with_each_other(tmp_path, seed):
    frames = load([record_run(tmp_path, sampling=SamplingSpec(seed=seed))])
    nodes, merges, hypotheses = frames.nodes, frames.merges, frames.hypotheses
    assert (nodes["tested"] | ~nodes["accepted"]).all() and (merges["tested"] | ~merges["accepted"]).all()
    assert (merges["accepted_behind"].notna() == merges["accepted"]).all()
    assert (nodes["target_logp"].notna() == ((nodes["verified"] > 0) & (nodes["node"] > 0))).all()
    siblings = pd.concat([nodes[nodes["node"] > 0], merges])[["round", "parent", "rank", "logq"]]
    ordered = siblings.sort_values(["round", "parent", "rank"]).groupby(["round", "parent"])
    assert (ordered["rank"].diff().dropna() > 0).all() and (ordered["logq"].diff().dropna() <= 0).all()
    assert (hypotheses["length"] == hypotheses["tokens"].str.len()).all()
    longest = hypotheses.groupby("round")["accepted"].max()
    accepted = frames.rounds.set_index("round")["accepted"]
    assert longest.equals(accepted.loc[longest.index])


def test_a_round_with_nothing_drafted_has_no_hypothesis():
    """Method `ar`: the tree is the root alone."""
    root = {"node": [0], "parent": [-1]}
    assert _hypotheses([small_round(tree=root, accepted=[], new_tokens=[16])])["leaf"] == []
