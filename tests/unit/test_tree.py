"""Flattening: a tree of paths of the graph, the most probable first, within the budget."""

import heapq

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from settings import of_method

from gsd.drafting.graph import ROOT
from gsd.drafting.tree import flatten
from tests.drafts import drafts, grow

MANY = settings(max_examples=1800)


def edges_of(graph):
    return {(node, child) for node, out in enumerate(graph.out_edges) for child, _ in out}


@MANY
@given(drafts(), st.integers(0, 8))
def test_every_flattened_node_spells_a_path_of_the_graph(grown, max_depth):
    graph = grown.graph
    tree = flatten(graph, grown.spec.budget, max_depth)
    edges = edges_of(graph)
    assert 1 <= len(tree) <= grown.spec.budget + 1
    assert (tree.nodes[0], tree.parents[0], tree.depths[0], tree.merged[0]) == (ROOT, -1, 0, False)
    for i in range(1, len(tree)):
        parent = tree.parents[i]
        assert 0 <= parent < i  # parents before children
        assert (tree.nodes[parent], tree.nodes[i]) in edges
        assert tree.tokens[i] == graph.tokens[tree.nodes[i]]
        assert tree.depths[i] == tree.depths[parent] + 1 <= max_depth
        assert tree.merged[i] == (graph.parents[tree.nodes[i]] != tree.nodes[parent])
    assert len({(p, t) for p, t in zip(tree.parents, tree.tokens)}) == len(tree)  # a text occurs once


@MANY
@given(drafts())
def test_the_ancestor_mask_shows_each_node_its_path_and_nothing_else(grown):
    tree = flatten(grown.graph, grown.spec.budget, 8)
    mask = tree.ancestor_mask()
    for i in range(len(tree)):
        path = set()
        node = i
        while node >= 0:
            path.add(node)
            node = tree.parents[node]
        assert set(np.flatnonzero(mask[i]).tolist()) == path


def all_paths(graph, max_depth):
    """The estimate of every path of the graph that starts at the root, by enumeration."""
    estimates = []
    level = [(ROOT, 0.0)]
    for _ in range(max_depth):
        level = [(child, cost - logq) for node, cost in level for child, logq in graph.out_edges[node]]
        estimates += [cost for _, cost in level]
    return estimates


@settings(max_examples=1000)
@given(drafts(max_width=3, max_depth=4), st.integers(1, 5))
def test_flatten_takes_the_most_probable_paths(grown, max_depth):
    """Brute force: of all paths up to a depth, those with the largest estimates are taken."""
    budget = grown.spec.budget
    tree = flatten(grown.graph, budget, max_depth)
    expected = heapq.nsmallest(budget, all_paths(grown.graph, max_depth))
    assert sorted(-logq for logq in tree.logq[1:]) == pytest.approx(expected)


def test_copies_of_a_shared_continuation_carry_one_node():
    spec = of_method(width=3, depth=5, merge_context=0, sibling_threshold=0, prob_threshold=0, frontier=8, budget=128)
    copied = 0
    for seed in range(30):
        tree = flatten(grow(spec, 4, seed).graph, spec.budget, 9)
        copied += len(tree.nodes) - len(set(tree.nodes))
    assert copied > 100
