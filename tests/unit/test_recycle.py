"""Token Recycling: the draft follows rows of the target's likeliest tokens, and every verification writes them."""

import math
from collections import Counter
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st
from models import decode
from settings import of_method

from gsd.decode.engine import Engine
from gsd.decode.stops import StopRules
from gsd.drafting.base import Parts
from gsd.drafting.choices import Choices
from gsd.drafting.recycle import MOST_PAIRS, ROW, SOURCE, Matrix, RankRates, RecycleDrafter
from gsd.drafting.tree import FlatTree
from gsd.methods import METHODS
from gsd.spec import SamplingSpec
from gsd.testing.contract import plain_text
from gsd.testing.table_model import table_pair


def drafter_of(matrix, **changes):
    values = {"depth": 6, "budget": 60, "merge_context": None, "by_two": False} | changes
    return RecycleDrafter(Parts(None, None, 100, True, matrix), **values)


def matrix_of(rows):
    matrix = Matrix()
    matrix.rows = dict(rows)
    return matrix


def paths(graph):
    return [tuple(graph.path(node)) for node in range(1, len(graph))]


def test_rows_are_followed_from_token_to_token_and_an_unset_one_ends_a_branch():
    """M[5] = 7, 9 and M[7] = 5, 2; of 9 there is no row: with two levels four nodes, and no fifth."""
    graph = drafter_of(matrix_of({5: (7, 9), 7: (5, 2)}), depth=2).draft([1, 5], 10)
    assert paths(graph) == [(7,), (7, 5), (9,), (7, 2)]
    assert set(graph.sources[1:]) == {SOURCE} and graph.forwards_made == 0 and not any(graph.expanded)


def test_a_node_s_estimate_is_the_product_of_its_ranks_rates():
    graph = drafter_of(matrix_of({5: (7, 9), 7: (5, 2)}), depth=2).draft([5], 10)
    first, second, *_ = RankRates.PRIOR
    found = {path: math.exp(graph.path_logq[node]) for node, path in enumerate(paths(graph), 1)}
    assert found == pytest.approx({(7,): first, (9,): second, (7, 5): first**2, (7, 2): first * second})


@pytest.mark.parametrize(("budget", "depth", "expected"), [
    (3, 6, [(7,), (7, 5), (7, 5, 7)]), (3, 1, [(7,), (9,)]), (4, 2, [(7,), (7, 5), (9,), (7, 2)]),
])  # fmt: skip
def test_budget_and_depth_bound_it_and_the_likeliest_come_first(budget, depth, expected):
    drafter = drafter_of(matrix_of({5: (7, 9), 7: (5, 2)}), depth=depth, budget=budget)
    graph = drafter.draft([5], 10)
    assert paths(graph) == expected
    tree = drafter.flatten(graph, 10)
    assert [graph.tokens[node] for node in tree.nodes[1:]] == [path[-1] for path in expected]


def test_of_nothing_known_the_root_is_all():
    assert len(drafter_of(Matrix()).draft([1, 2, 3], 10)) == 1


def test_equal_tokens_merge_and_a_cycle_is_refused():
    """5 → 7, 9; 7 → 9; 9 → 5: the second 9 merges into the first; a 5 that led back to the root is one of its own."""
    rows = {5: (7, 9), 7: (9,), 9: (5,)}
    graph = drafter_of(matrix_of(rows), merge_context=0, depth=3, budget=6).draft([5], 10)
    assert graph.merges and {graph.tokens[merge.node] for merge in graph.merges} == {9}
    assert graph.tokens.count(9) == 1 and graph.tokens.count(5) == 2
    assert [decision.rule for decision in graph.decisions if decision.token == 5] == ["cycle"]
    assert [decision.kind for decision in graph.decisions if decision.token == 9] == ["added", "merged"] or [
        decision.kind for decision in graph.decisions if decision.token == 9] == ["merged", "added"]  # fmt: skip


MATRICES = st.dictionaries(st.integers(0, 5), st.lists(st.integers(0, 5), unique=True, min_size=1).map(tuple))


@given(MATRICES, st.integers(1, 40), st.integers(1, 5), st.sampled_from([None, 0, 1]))
def test_what_is_drafted_is_what_is_verified_up_to_the_budget(rows, budget, depth, merge_context):
    """No node is drafted in vain, and merging changes which nodes share, not which texts are verified."""
    matrix = matrix_of(rows)
    drafter = drafter_of(matrix, budget=budget, depth=depth, merge_context=merge_context)
    graph = drafter.draft([0], 10)
    tree = drafter.flatten(graph, 10)
    assert len(tree) - 1 <= budget and max(graph.depths) <= depth
    assert set(tree.nodes) == set(range(len(graph)))
    for i in range(1, len(tree)):
        assert tree.tokens[i] in rows[tree.tokens[tree.parents[i]]]


def test_every_verified_node_writes_its_row_the_rejected_ones_too():
    r"""5 ─ 7 ─ 9      7 is accepted; 3 and both 9s are not. 9 stands in the tree twice: its first row counts.
    └─ 3 ─ 9"""
    tree = FlatTree([5, 7, 3, 9, 9], [-1, 0, 0, 1, 2], [0, 1, 1, 2, 2], [0, 1, 2, 3, 4], [False] * 5, [0.0] * 5)
    matrix = Matrix()
    drafter_of(matrix).observe(tree, Choices([7, 4, 0, 0, 0], top=[[7, 1], [4, 1], [30], [40], [50]]), [1], [7, 4])
    assert matrix.rows == {5: (7, 1), 7: (4, 1), 3: (30,), 9: (40,)}


def test_of_a_token_verified_at_several_nodes_the_deepest_accepted_one_counts():
    """5 → 5 → 5, of which the first two are accepted and the last, and a sibling 5 behind them, are not."""
    tree = FlatTree([5, 5, 6, 5], [-1, 0, 0, 1], [0, 1, 1, 2], [0, 1, 2, 3], [False] * 4, [0.0] * 4)
    matrix = Matrix()
    drafter_of(matrix).observe(tree, Choices([5, 9, 0, 0], top=[[10], [20], [30], [40]]), [1], [5, 9])
    assert matrix.rows == {5: (20,), 6: (30,)}


def test_a_rank_s_rate_is_the_share_of_visited_nodes_where_it_came_true():
    """At the root the pick is the second of its row, behind it one that its row lacks."""
    matrix = matrix_of({5: (7, 9), 9: (1, 2)})
    drafter = drafter_of(matrix)
    graph = drafter.draft([5], 10)
    tree = drafter.flatten(graph, 10)
    nine = next(i for i in range(len(tree)) if tree.tokens[i] == 9)
    top = [[0]] * len(tree)
    drafter.observe(tree, Choices([0] * len(tree), top=top), [nine], [9, 3])
    rates, prior, weight = matrix.rates[1], RankRates.PRIOR, RankRates.WEIGHT
    pooled = [weight * share / (weight + 2) for share in prior]
    pooled[1] = (weight * prior[1] + 1) / (weight + 2)
    assert rates.at(9) == pytest.approx(pooled)
    assert rates.at(0)[1] == pytest.approx((1 + weight * pooled[1]) / (1 + weight))
    assert rates.at(1)[1] == pytest.approx(weight * pooled[1] / (1 + weight))


@given(st.lists(st.tuples(st.integers(0, 3), st.none() | st.integers(0, ROW - 1)), max_size=60))
def test_rates_are_probabilities_that_sum_up_to_less_than_one(outcomes):
    rates = RankRates()
    rates.MOST = 10.0
    for depth, rank in outcomes:
        rates.learn(depth, rank)
    for depth in range(5):
        assert all(0.0 < rate < 1.0 for rate in rates.at(depth)) and sum(rates.at(depth)) < 1.0


def test_by_two_a_row_of_the_last_two_tokens_comes_first_and_else_that_of_one():
    matrix = Matrix()
    matrix.write(1, 5, [7])
    matrix.write(2, 5, [8])
    assert matrix.row(1, 5) == ((7,), 2) and matrix.row(3, 5) == ((8,), 1) and matrix.row(None, 5) == ((8,), 1)
    assert paths(drafter_of(matrix, by_two=True).draft([1, 5], 10)) == [(7,)]
    assert paths(drafter_of(matrix, by_two=True).draft([3, 5], 10)) == [(8,)]
    assert paths(drafter_of(matrix).draft([1, 5], 10)) == [(8,)]


def test_rows_of_two_are_bounded_and_the_oldest_go(monkeypatch):
    monkeypatch.setattr("gsd.drafting.recycle.MOST_PAIRS", 2)
    matrix = Matrix()
    for before in (1, 2, 1, 3):
        matrix.write(before, 5, [before])
    assert list(matrix.pairs) == [(1, 5), (3, 5)] and MOST_PAIRS > 2


def rounds_of(target, memory, stop_after=100):
    method, settings = METHODS["recycle"], of_method("recycle")
    drafter = method.drafter(settings, Parts(None, None, 40, False, memory))
    engine = Engine(target, drafter, method.rule(settings), SamplingSpec(), detail=False)
    return list(islice(engine.decode([1, 2], StopRules(30)), stop_after))


def test_what_one_text_taught_saves_the_next_one_rounds_and_one_broken_off_teaches_as_far_as_it_came():
    rounds = Counter()
    for seed in range(12):
        target, _ = table_pair(40, seed)
        matrix = Matrix()
        rounds_of(target, matrix, stop_after=3)
        assert matrix.rows and all(len(row) == ROW for row in matrix.rows.values())
        for name, memory in {"cold": Matrix(), "after a broken one": matrix, "after a whole one": matrix}.items():
            made = rounds_of(target, memory)
            assert [token for one in made for token in one.new_tokens] == plain_text(target, [1, 2], 30, SamplingSpec())
            rounds[name] += len(made)
    assert rounds["after a broken one"] < rounds["cold"] and rounds["after a whole one"] < rounds["cold"]


@pytest.mark.parametrize("values", [{}, {"by_two": True}, {"merge_context": 0}, {"by_two": True, "merge_context": 1}])
def test_on_tables_every_setting_emits_the_plain_text_and_is_accepted_often(values):
    accepted = 0
    for seed in range(10):
        target, draft = table_pair(6, seed)
        made = decode(target, draft, [1, 2], of_method("recycle", **values), count=40)
        assert [token for one in made for token in one.new_tokens] == plain_text(target, [1, 2], 40, SamplingSpec())
        accepted += sum(len(one.accepted) for one in made)
    assert accepted > 200
