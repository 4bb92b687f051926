"""The token graph: acyclic whatever is merged, every candidate accounted for."""

import math
from collections import Counter

import networkx as nx
import pytest
from hypothesis import given, settings
from settings import of_method

from gsd.drafting.graph import ROOT, TokenGraph
from tests.drafts import drafts

MANY = settings(max_examples=1800)
WIDE = of_method(width=3, sibling_threshold=0.0, prob_threshold=0.0, frontier=8)
LOG = [math.log(p) for p in (0.6, 0.3, 0.1)]


@MANY
@given(drafts())
def test_no_cycle_whatever_is_merged_and_reaches_is_reachability(grown):
    graph = grown.graph
    network = nx.DiGraph((node, child) for node, edges in enumerate(graph.out_edges) for child, _ in edges)
    network.add_nodes_from(range(len(graph)))
    assert nx.is_directed_acyclic_graph(network)
    for node in range(len(graph)):
        reached = nx.descendants(network, node)
        assert {other for other in range(len(graph)) if graph.reaches(node, other)} == reached


@MANY
@given(drafts())
def test_merged_ngrams_are_truly_equal(grown):
    graph, order = grown.graph, grown.spec.merge_context
    for merge in graph.merges:
        size = order + 1
        own = [*grown.context, *graph.path(merge.parent), merge.ngram[-1]]
        other = [*grown.context, *graph.path(merge.node)]
        assert len(own) >= size
        assert tuple(own[-size:]) == tuple(other[-size:]) == merge.ngram
        assert merge.depth_shift == graph.depths[merge.node] - graph.depths[merge.parent] - 1
    if order is None:
        assert not graph.merges


@MANY
@given(drafts())
def test_tree_columns_agree_and_the_outgoing_tokens_of_a_node_are_unique(grown):
    graph = grown.graph
    for node in range(len(graph)):
        tokens = [graph.tokens[child] for child, _ in graph.out_edges[node]]
        assert len(set(tokens)) == len(tokens) <= grown.spec.width
        assert graph.expanded[node] or not tokens
        if node != ROOT:
            parent = graph.parents[node]
            assert parent < node
            assert graph.depths[node] == graph.depths[parent] + 1 <= grown.spec.depth
            assert graph.path_logq[node] == pytest.approx(graph.path_logq[parent] + graph.logq[node])


@MANY
@given(drafts())
def test_decisions_account_for_every_candidate(grown):
    graph, spec = grown.graph, grown.spec
    kinds = Counter(decision.kind for decision in graph.decisions)
    judged = kinds["added"] + kinds["leaf"] + kinds["merged"] + kinds["pruned"]
    assert judged == grown.candidates
    assert kinds["added"] + kinds["leaf"] == len(graph) - 1
    assert kinds["merged"] == len(graph.merges)
    assert kinds["capped"] == kinds["added"] - sum(map(len, grown.frontiers))
    for decision in graph.decisions:
        if decision.kind == "capped":
            assert decision.rule == "frontier" and decision.value <= decision.limit
            assert not graph.expanded[decision.node]
        elif decision.kind in ("pruned", "leaf"):
            assert decision.value < decision.limit
        if decision.node >= 0:
            assert graph.tokens[decision.node] == decision.token
    for frontier in grown.frontiers:  # the most probable go on, the best first
        values = [graph.path_logq[node] for node in frontier]
        assert values == sorted(values, reverse=True) and len(values) <= spec.frontier


def test_a_merge_into_an_ancestor_is_refused_and_said():
    graph = TokenGraph([7], 0)
    [one] = graph.grow([ROOT], [[1]], [[0.0]], WIDE)
    [again] = graph.grow([one], [[1]], [[0.0]], WIDE)
    assert again != one and not graph.merges
    assert graph.decisions[-1].kind == "added" and graph.decisions[-1].rule == "cycle"


def test_a_capped_node_is_compared_with_the_last_of_its_level_that_got_in():
    """q = .6, .3, .1 behind the root and a frontier of two: the third is compared with the second."""
    graph = TokenGraph([0], None)
    graph.grow([ROOT], [[1, 2, 3]], [LOG], WIDE.model_copy(update={"frontier": 2}))
    capped = graph.decisions[-1]
    assert (capped.kind, capped.node, capped.rule) == ("capped", 3, "frontier")
    assert (capped.value, capped.limit) == (LOG[2], LOG[1])


def test_a_node_can_have_several_merge_parents_and_several_merge_children():
    graph = TokenGraph([0], 0)
    a, b, c = graph.grow([ROOT], [[1, 2, 3]], [LOG], WIDE)
    graph.grow([a], [[2, 3]], [LOG[:2]], WIDE)
    graph.grow([b], [[3]], [LOG[:1]], WIDE)
    assert {(merge.parent, merge.node) for merge in graph.merges} == {(a, b), (a, c), (b, c)}
    assert len(graph) == 4 and graph.reaches(a, c) and not graph.reaches(c, a)


@pytest.mark.parametrize(("order", "merged"), [(None, 0), (0, 1), (1, 1), (2, 0)])
def test_merge_context_says_how_many_tokens_before_must_agree(order, merged):
    """Paths 1-5-6 and 2-5: the second 5's candidate 6 shares one token of context, not two."""
    graph = TokenGraph([9, 9, 9], order)
    spec = WIDE.model_copy(update={"merge_context": order})
    a, b = graph.grow([ROOT], [[1, 2]], [LOG[:2]], spec)
    first = graph._add(a, 5, -0.1, (9, 1, 5)[-(order or 0) - 1 :], "draft")
    second = graph._add(b, 5, -0.1, (9, 2, 5)[-(order or 0) - 1 :], "draft")
    graph.grow([first], [[6]], [[0.0]], spec)
    graph.grow([second], [[6]], [[0.0]], spec)
    assert len(graph.merges) == merged


def test_the_probability_rule_is_of_the_path_or_local():
    for rule, kind in (("path", "leaf"), ("local", "added")):
        spec = WIDE.model_copy(update={"prob_threshold": 0.3, "prob_rule": rule})
        graph = TokenGraph([0], None)
        [node] = graph.grow([ROOT], [[1]], [[math.log(0.5)]], spec)
        graph.grow([node], [[2]], [[math.log(0.5)]], spec)
        assert graph.decisions[-1].kind == kind


def test_without_record_the_graph_is_the_same_and_no_decision_is_kept():
    loud, quiet = TokenGraph([0], 0), TokenGraph([0], 0, record=False)
    for graph in (loud, quiet):
        graph.grow([ROOT], [[1, 2, 3]], [LOG], WIDE)
    assert loud.tokens == quiet.tokens and loud.decisions and not quiet.decisions
