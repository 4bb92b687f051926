"""Merged sequences are counted as by hand, and each place of one is where the trace has it."""

import math

import pandas as pd
import pytest
from fixtures.recorded import _record, end_record, meta, record_run, run_spec
from settings import of_method

from analysis.figures.merged import merged_sequences as draw
from analysis.load import load, of_round
from analysis.merged import merged_sequences, merges_of, nodes_of
from gsd.drafting.graph import TokenGraph
from gsd.drafting.tree import flatten
from gsd.errors import InputError
from gsd.trace.read import read_run
from gsd.trace.writer import TraceWriter

X, FOR, IN = 0, 3, 4  # " x", " for", " in" of the made-up words


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """One round, the target picking " for" and then " x":

    root ─ " x" .6 ─ " in" .5
     └──── " for" .3 ═ " x" .8 (merge: what follows is the same)
    """
    spec = run_spec(drafting=of_method(width=2, depth=2, merge_context=0, sibling_threshold=0, prob_threshold=0))
    graph = TokenGraph([13], 0)
    level = graph.grow([0], [[X, FOR]], [[math.log(0.6), math.log(0.3)]], spec.drafting)
    graph.grow(level, [[IN], [X]], [[math.log(0.5)], [math.log(0.8)]], spec.drafting)
    tree = flatten(graph, 64, 64)
    made = _record(spec, 0, 1, graph, tree, [{13: FOR, FOR: X, X: 1, IN: 1}[token] for token in tree.tokens])
    with TraceWriter(tmp_path_factory.mktemp("runs"), "small", meta(spec)) as writer:
        writer.round(made.record)
        writer.end(end_record("complete", [made]))
    return load([writer.folder]), writer.folder.name


def test_the_one_merge_is_the_one_sequence(small):
    frames, _ = small
    [row] = merged_sequences(frames).to_dict("records")
    assert (row["n"], row["text"], row["count"], row["rounds"], row["in_rounds"]) == (1, " x", 1, 1, "0")
    assert (row["tested"], row["accepted"]) == (1, 1)


def test_a_merge_says_what_led_to_both_its_ends(small):
    frames, run = small
    [row] = merges_of(frames, run, 1, " x").to_dict("records")
    assert (row["round"], row["merge"], row["parent"], row["node"], row["depth_shift"]) == (0, 0, 2, 1, -1)
    assert (row["candidate"], row["into"], row["accepted"]) == (" for x", " x", True)


def test_nodes_are_found_by_the_text_they_end(small):
    frames, run = small
    [row] = nodes_of(frames, run, 2, " x in").to_dict("records")
    assert (row["round"], row["node"], row["depth"], row["into"]) == (0, 3, 2, " x in")
    assert nodes_of(frames, run, 1, " no such").empty
    assert merges_of(frames, run, 1, " no such").empty


@pytest.fixture(scope="module")
def long(tmp_path_factory):
    return record_run(tmp_path_factory.mktemp("runs"), count=12)


def test_counts_are_those_of_the_merge_edges(long):
    frames = load([long])
    rows = merged_sequences(frames)
    every = frames.merges["ngram_text"].value_counts()
    assert rows["count"].is_monotonic_decreasing
    for row in rows.itertuples():
        assert row.count == every[row.text] == len(merges_of(frames, long.name, row.n, row.text))
        assert row.rounds == len(row.in_rounds.split())


def test_a_merge_is_numbered_as_in_its_round_of_the_trace(long):
    frames, rounds = load([long]), read_run(long).rounds
    text = merged_sequences(frames)["text"].iloc[0]
    places = merges_of(frames, long.name, 1, text)
    assert len(places)
    for row in places.itertuples():
        merges = rounds[row.round].merges
        assert (merges.parents[row.merge], merges.nodes[row.merge]) == (row.parent, row.node)
        assert merges.ngram_texts.raw[row.merge] == text


def test_a_round_alone_has_its_rows_and_no_other(long):
    frames = load([long])
    alone = of_round(frames, long.name, 3)
    for name in ("rounds", "nodes", "edges", "merges", "decisions", "hypotheses"):
        part = getattr(alone, name)
        assert set(part["round"]) <= {3}
        assert len(part) == (getattr(frames, name)["round"] == 3).sum()
    assert alone.runs["run"].tolist() == [long.name]


def test_the_figure_names_the_sequence_that_merged_most(long):
    rows = merged_sequences(load([long]))
    assert f"{rows['count'].iloc[0]}×" in draw(rows, 1).layout.title.text
    with pytest.raises(InputError, match="of 9 tokens"):
        draw(rows, 9)


def test_a_run_without_merges_has_none(tmp_path):
    spec = of_method(method="tree", width=3, depth=3, merge_context=None)
    rows = merged_sequences(load([record_run(tmp_path, drafting=spec)]))
    assert rows.empty
    assert isinstance(rows, pd.DataFrame)
