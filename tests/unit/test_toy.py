"""The toy of the Guide is a round like any other."""

import math

import pytest

from analysis.faces import unrolled_nodes
from analysis.story import story
from analysis.toy import LAW, SPEC, TARGET, toy_round
from gsd.methods import METHODS


def under(**changes):
    return toy_round(SPEC.model_copy(update=changes))


def test_each_row_of_the_law_is_a_distribution_over_its_words_the_likeliest_first():
    for row in LAW.values():
        assert sum(row.values()) == pytest.approx(1)
        assert list(row.values()) == sorted(row.values(), reverse=True)
        assert set(row) <= set(LAW)


def test_the_target_writes_its_sentence_whatever_is_drafted():
    for changes in ({}, {"width": 1}, {"depth": 1}, {"budget": 3}, {"merge_context": None}, {"depth": 6}):
        assert "".join(TARGET).startswith("".join(under(**changes).new_texts.raw))


def test_merging_drafts_less_and_accepts_the_same_across_a_merge_edge():
    """`dog sat` merges into `cat sat`, and the target's `dog sat on the` goes that way."""
    tree, graph = under(merge_context=None), under()
    assert graph.drafted_nodes < tree.drafted_nodes
    assert len(graph.accepted) == len(tree.accepted) == 4
    assert [graph.tree.merged[i] for i in graph.accepted] == [False, True, False, False]


@pytest.mark.parametrize(
    "name, low, high",
    [("width", 1, 3), ("depth", 1, 6), ("frontier", 1, 6), ("merge_context", 0, 2), ("budget", 2, 12),
     ("sibling_threshold", 0.0, 0.9), ("prob_threshold", 0.0, 0.3)],
)  # fmt: skip
def test_each_setting_changes_the_graph_or_what_is_verified(name, low, high):
    counts = [(round_.drafted_nodes, round_.verified_nodes) for round_ in (under(**{name: low}), under(**{name: high}))]
    assert counts[0] != counts[1]


def test_a_wide_net_finds_what_the_likeliest_line_misses():
    assert under(width=1).accepted == []


def test_its_record_can_be_explained():
    round_ = toy_round()
    found = story(round_, {"spec": {"drafting": SPEC.model_dump()}, "method": METHODS["graph"].described()})
    assert found.heading == "4 drafted tokens accepted and one of the target's own"
    assert unrolled_nodes(round_, SPEC.depth) > round_.drafted_nodes
    assert all(math.isfinite(q) for q in round_.graph.logq)
