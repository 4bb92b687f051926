"""What pays is decided by costs, rate and what became of drafts: by hand, and for any history."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gsd.drafting.planner import (
    FORESEEN,
    HELD,
    KEPT,
    LARGEST,
    NODE_PRICED_FIRST,
    PRICED_FIRST,
    REMEMBERED,
    WINDOW,
    Acceptance,
    LiveCurve,
    Planner,
    Round,
    Trust,
)
from tests.models import StillPlanner


def test_a_size_costs_the_median_of_its_timings_and_between_sizes_a_line():
    curve = LiveCurve()
    for ms in (10.0, 90.0, 11.0):  # one hiccup
        curve.observe(1, ms)
    for _ in range(2):
        curve.observe(9, 19.0)
    assert curve.table()[1] == 11.0 and curve.table()[5] == pytest.approx(15.0)


def test_a_larger_forward_that_was_faster_corrects_the_smaller():
    curve = LiveCurve()
    curve.observe(4, 50.0)
    curve.observe(8, 20.0)
    assert curve.table()[4] == 20.0


def test_a_size_that_was_timed_once_does_not_count_beside_one_that_was_more_often():
    """Were it a hiccup, so large a forward would not be tried again."""
    curve = LiveCurve()
    curve.observe(4, 5.0)
    curve.observe(8, 500.0)
    assert curve.table()[8] == 500.0
    curve.observe(4, 5.0)
    assert curve.table()[8] < 6.0
    curve.observe(8, 7.0)
    assert curve.table()[8] == 7.0


def test_a_size_that_did_not_recur_for_long_is_forgotten():
    """Twice 16 tokens took 2 ms on a machine that has become three times as slow since: what 4 take is not capped."""
    curve = LiveCurve()
    for _ in range(2):
        curve.observe(16, 2.0)
    for _ in range(REMEMBERED - 2):
        curve.observe(4, 6.0)
    assert curve.table()[4] == 2.0
    for _ in range(2):
        curve.observe(4, 6.0)
    assert curve.table()[4] == 6.0 < curve.table()[16]


@given(st.lists(st.tuples(st.integers(1, LARGEST), st.floats(0.1, 1e3)), min_size=1))
def test_a_curve_never_falls(timings):
    curve = LiveCurve()
    for tokens, ms in timings:
        curve.observe(tokens, ms)
    table = curve.table()[1:]
    assert (table[1:] >= table[:-1] - 1e-9).all() and table[0] > 0


def test_where_nothing_was_seen_q_is_taken_at_its_word():
    assert Acceptance().estimate(0.7) == 0.7


def test_what_is_seen_corrects_q_among_its_like_alone():
    """100 tokens of q = 0.9, of which the target picked 60: 0.9 - 30 / (100 + 12)."""
    acceptance = Acceptance()
    for number in range(100):
        acceptance.learn(0.9, number % 5 < 3)
    assert acceptance.estimate(0.9) == pytest.approx(0.9 - 30 / 112)
    assert acceptance.estimate(0.3) == 0.3


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), max_size=300), st.floats(0, 1))
def test_an_estimate_is_a_probability_with_a_logarithm(outcomes, q):
    acceptance, trust = Acceptance(), Trust()
    for value, picked in outcomes:
        acceptance.learn(value, picked)
        trust.learn(int(value * 20), picked)
    for share in (acceptance.estimate(q), trust.estimate(int(q * 20))):
        assert 0 < share < 1


def test_trust_is_the_share_of_hits_once_there_are_many():
    trust = Trust()
    for number in range(150):
        trust.learn(3, number % 2 == 0)
    assert trust.estimate(3) == pytest.approx(0.5, abs=0.02)
    assert trust.estimate(8) == pytest.approx(Trust.PRIOR[8])


def test_a_draft_forward_is_made_where_it_brings_more_than_its_time():
    """At 0.02 tokens a ms a forward of 1 to 3 tokens costs 9, 10, 11 ms: 0.18, 0.20, 0.22 tokens; a node 0.02 more."""
    planner = StillPlanner(rate=0.02)
    assert planner.worth_expanding([]) == 0
    assert planner.worth_expanding([0.19]) == 0
    assert planner.worth_expanding([0.21]) == 1
    assert planner.worth_expanding([0.15, 0.15]) == 2  # together, what neither would alone
    assert planner.worth_expanding([0.9, 0.01, 0.01]) == 1


def test_a_node_costs_what_one_does_among_as_many_as_rounds_verify():
    """All rounds verify 20 nodes, 2 ms each; what 60 were once seen to take says nothing of them."""
    planner = Planner()
    planner._rounds.extend([Round(4, 21, [], False)] * WINDOW)
    for nodes, ms in ((1, 100.0), (21, 140.0), (61, 9000.0)):
        for _ in range(2):
            planner._target.observe(nodes, ms)
    planner.begin()
    assert planner._node_price == pytest.approx(2 * planner.rate)


def test_what_a_chain_may_bring_beyond_a_child_is_counted_while_it_pays():
    """At 0.05 tokens a ms a forward and its node cost 0.5 tokens; the draft's first choice holds with 0.76."""
    planner = StillPlanner(rate=0.05)
    assert planner.beyond(0.85) == 0.0  # 0.85 · 0.76² < 0.5
    assert planner.beyond(1.0) == pytest.approx(0.76**2 - 0.5)
    planner.hit = 1.0
    assert planner.beyond(1.0) == pytest.approx(sum(0.95**k - 0.5 for k in range(2, 2 + FORESEEN)))


def test_before_any_rate_is_known_a_forward_has_a_price_all_the_same():
    planner = StillPlanner(rate=0.0)
    price = PRICED_FIRST + NODE_PRICED_FIRST
    assert planner.worth_expanding([price - 0.01]) == 0
    assert planner.worth_expanding([price + 0.01]) == 1
    assert planner.worth_verifying([math.log(0.9), math.log(2 * NODE_PRICED_FIRST), math.log(0.01)]) == 2


def test_nodes_are_verified_as_long_as_each_brings_more_than_its_time():
    """A further token of the target takes 1 ms: 0.02 tokens at that rate."""
    planner = StillPlanner(rate=0.02)
    falling = [math.log(p) for p in (0.9, 0.5, 0.03, 0.01)]
    assert planner.worth_verifying(falling) == 3
    assert planner.worth_verifying([]) == 0
    assert planner.worth_verifying([math.log(0.01)]) == 0


def test_what_does_not_pay_is_tried_again_ever_more_seldom_and_at_once_where_it_succeeds():
    planner = StillPlanner()
    pauses = []
    for _ in range(6):
        pause = 0
        while not planner.overdue:
            planner.idle()
            pause += 1
        pauses.append(pause)
        planner.tried(False)
    assert pauses == [8, 16, 32, 64, 64, 64]
    planner.tried(True)
    planner.idle()
    assert planner.overdue
    planner.drafted_as_planned()
    assert not planner.overdue


def test_one_slow_forward_does_not_end_drafting_for_good():
    """Of two timings the shorter counts."""
    planner = Planner()
    planner._rounds.append(Round(1, 1, [], False))
    planner._target.observe(1, 10.0)
    planner._draft.observe(1, 400.0)
    planner.begin()
    assert not planner.worth_expanding([0.9])
    planner._draft.observe(1, 2.0)
    planner.begin()
    assert planner.worth_expanding([0.9])


def timed(monkeypatch, planner: Planner, rounds: list[tuple[int, bool]], slower: float = 1.0) -> None:
    """Rounds of a draft forward of 1 token (20 ms) and 3 nodes (80 ms): what each brought, and whether by lookup."""
    now = [0.0]
    monkeypatch.setattr("gsd.drafting.planner.perf_counter", lambda: now[0])
    for tokens, found in rounds:
        planner.begin()
        planner.begin_forward()
        now[0] += 0.02 * slower
        planner.end_forward(1)
        now[0] += 0.08 * slower
        planner.end(3, tokens, found=found)


def test_the_rate_is_that_of_the_last_rounds_in_which_nothing_was_found(monkeypatch):
    """2, 6 and 4 tokens in 100 ms each; the 20 in between were looked up."""
    planner = Planner()
    timed(monkeypatch, planner, [(2, False), (6, False), (20, True), (4, False)])
    assert planner.rate == pytest.approx(12 / 300)


def test_the_rate_is_never_below_that_of_plain_decoding(monkeypatch):
    """One token in 100 ms, where 3 nodes take 80 ms: one alone would take some less."""
    planner = Planner()
    timed(monkeypatch, planner, [(1, False)] * 2)
    assert planner.rate == 1 / planner._target.table()[1]
    assert planner.rate > 1 / 80


def test_rounds_that_were_wasteful_are_forgotten_even_where_all_that_came_since_was_found(monkeypatch):
    planner = Planner()
    timed(monkeypatch, planner, [(2, False)] + [(20, True)] * WINDOW)
    assert planner.rate == pytest.approx(20 / 100)


def test_where_all_that_comes_is_found_there_is_a_rate_all_the_same(monkeypatch):
    planner = Planner()
    timed(monkeypatch, planner, [(20, True), (20, True)])
    assert planner.rate == pytest.approx(20 / 100)


def test_a_plan_is_made_anew_every_round_at_first_and_later_after_some(monkeypatch):
    planner, made = Planner(), []
    plan = planner._plan
    monkeypatch.setattr(planner, "_plan", lambda: made.append(plan()))
    timed(monkeypatch, planner, [(3, False)] * WINDOW)
    assert len(made) == WINDOW
    timed(monkeypatch, planner, [(3, False)] * 3 * HELD)
    assert len(made) == WINDOW + 3


def test_a_machine_that_slows_down_changes_no_plan(monkeypatch):
    """Slow are so many rounds that all timings of the sizes are new, while most of the rounds of the rate are not."""
    planner = Planner()
    plans = []
    for slower, count in ((1.0, WINDOW), (3.0, KEPT // 2 + 1)):
        timed(monkeypatch, planner, [(3, False)] * count, slower)
        planner.begin()
        plans.append([planner.worth_expanding([gain / 100]) for gain in range(100)])
    assert plans[0] == plans[1] and 0 < sum(plans[0]) < 100
