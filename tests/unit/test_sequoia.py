"""Sequoia: the shape is the one that the paper's dynamic program finds, and acceptance is counted by rank."""

from __future__ import annotations

from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st
from settings import of_method

from gsd.drafting.base import Parts
from gsd.drafting.choices import Choices
from gsd.drafting.template import AcceptanceByRank, Shape, cheapest, grown
from gsd.methods import METHODS
from gsd.testing.table_model import table_pair

ACCEPTANCE = (0.6, 0.2, 0.1)


def by_dynamic_program(acceptance, nodes: int, levels: int) -> float:
    """Expected tokens of the best tree of `nodes` nodes and `levels` levels, both with the root, as in the paper."""

    @cache
    def best(m: int, depth: int, branches: int) -> float:
        """Of a tree of m nodes whose root has `branches` children."""
        if m == 1:
            return 1.0 if branches == 0 else -1.0
        if branches == 0 or branches > len(acceptance) or depth == 1:
            return -1.0
        found = -1.0
        for last in range(1, m):  # nodes of the last child's subtree
            rest, sub = best(m - last, depth, branches - 1), best_of(last, depth - 1)
            if rest > 0 and sub > 0:
                found = max(found, rest + acceptance[branches - 1] * sub)
        return found

    def best_of(m: int, depth: int) -> float:
        return max(best(m, depth, branches) for branches in range(len(acceptance) + 1))

    return max(best_of(m, levels) for m in range(1, nodes + 1))


@pytest.mark.parametrize(("nodes", "levels", "worth"), [(4, 3, 2.16), (4, 4, 2.176), (8, 4, 2.716)])
def test_the_worked_examples(nodes, levels, worth):
    assert grown(ACCEPTANCE, nodes - 1, levels - 1).worth == pytest.approx(worth)
    assert by_dynamic_program(ACCEPTANCE, nodes, levels) == pytest.approx(worth)


def test_a_shape_of_three():
    shape = grown(ACCEPTANCE, 3, 2)
    assert shape == Shape([-1, 0, 1, 0], [0, 0, 0, 1], [0, 1, 2, 1], shape.worth)
    assert (len(shape), shape.levels, shape.children(0), shape.children(1)) == (4, 2, [1, 3], [2])


@given(st.lists(st.floats(0.01, 0.9), min_size=1, max_size=4), st.integers(1, 9), st.integers(1, 4))
def test_the_best_products_are_what_the_dynamic_program_finds(shares, nodes, levels):
    falling = sorted(shares, reverse=True)
    assert grown(falling, nodes, levels).worth == pytest.approx(by_dynamic_program(falling, nodes + 1, levels + 1))


def test_costly_levels_make_it_flat_and_costly_nodes_make_it_small():
    deep = cheapest((0.8, 0.1), 32, 16, draft_cost=0.0, node_cost=0.0)
    flat = cheapest((0.8, 0.1), 32, 16, draft_cost=0.5, node_cost=0.0)
    small = cheapest((0.8, 0.1), 32, 16, draft_cost=0.0, node_cost=0.1)
    assert deep.levels > flat.levels and len(deep) == 33 and len(small) < 8


def test_acceptance_is_counted_by_rank_and_never_rises_with_it():
    seen = AcceptanceByRank()
    assert seen.vector(5) == pytest.approx([0.6, 0.2, 0.1, 0.05, 0.025])
    for _ in range(84):
        seen.learn(2, 1)  # the second of two, each time
    assert seen.vector(3) == pytest.approx([0.096, 0.096, 0.096])
    seen = AcceptanceByRank()
    for accepted in (0, 0, None, 0):
        seen.learn(1, accepted)
    assert seen.vector(2) == pytest.approx([(9.6 + 3) / 20, 0.2])


def test_what_the_walk_came_to_is_counted_and_nothing_else():
    target, draft = table_pair(6, 0)
    method, settings = (
        METHODS["sequoia"],
        of_method("sequoia", width=2, depth=2, budget=6, draft_cost=0.0, node_cost=0.0),
    )
    seen = method.memory()
    drafter = method.drafter(settings, Parts(None, draft, target.vocab_size, True, seen))
    drafter.start(60)
    tree = drafter.flatten(drafter.draft([1, 2], 8), 8)
    assert len(tree) == 7 and tree.parents.count(0) == 2
    second = next(i for i in range(2, 7) if tree.parents[i] == 0)
    children = [i for i in range(7) if tree.parents[i] == second]
    outcomes = [tree.tokens[second] if i == 0 else 99 for i in range(7)]
    drafter.observe(tree, Choices(outcomes), [second], [tree.tokens[second], 99])
    assert (seen.trials, seen.hits) == ([2, 2], [0, 1])
    assert len(children) == 2


def test_a_text_is_drafted_in_the_shape_that_was_settled():
    target, draft = table_pair(12, 4)
    method, settings = METHODS["sequoia"], of_method("sequoia", width=3, depth=3, budget=9)
    drafter = method.drafter(settings, Parts(None, draft, target.vocab_size, True, method.memory()))
    drafter.start(60)
    graph = drafter.draft([1, 2], 8)
    shape = cheapest(AcceptanceByRank().vector(3), 9, 3, settings.draft_cost, settings.node_cost)
    assert sorted(graph.depths) == sorted(shape.depths)
    assert max(graph.depths) == shape.levels == graph.forwards_made
