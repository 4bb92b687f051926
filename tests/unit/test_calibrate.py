"""Calibration: the engine's cost is fitted without negative shares, and the curves are in order on the bundled pair."""

import numpy as np
import pytest
from settings import of_method

from gsd.config import RunSpec
from gsd.decode.runner import Runner
from gsd.lab.calibrate import ENGINE_REPEATS, SIZES, _not_negative, _repeats, calibrate
from gsd.models.pairs import pair
from gsd.spec import Prompt


@pytest.fixture(scope="module")
def runner():
    tiny = pair("tiny")
    return Runner.load(tiny.target, tiny.draft, device="cpu")


@pytest.fixture(scope="module")
def spec():
    tiny = pair("tiny")
    return RunSpec(target=tiny.target, draft=tiny.draft, prompt=Prompt(prompt="def f(x):\n"), max_new_tokens=8)


def test_what_rounds_levels_and_nodes_cost_is_found_again():
    """A round 2 ms, a level 0.5, a node 0.25."""
    rows = np.array([[1, 0, 0], [1, 1, 2], [1, 2, 3], [1, 4, 16]], dtype=float)
    assert _not_negative(rows, rows @ [2.0, 0.5, 0.25]) == pytest.approx([2.0, 0.5, 0.25])


def test_a_cost_that_would_be_negative_is_nil_and_the_others_are_fitted_anew():
    """Falling with nodes: the mean of the rounds is the best that is left, not the line's intercept of 4."""
    rows = np.array([[1, 0], [1, 1], [1, 2]], dtype=float)
    assert _not_negative(rows, np.array([4.0, 3.0, 2.0])) == pytest.approx([3.0, 0.0])


def test_a_cost_that_was_negative_beside_another_comes_back_once_that_is_nil():
    """Unbounded, levels and nodes are both negative; of fits that are not, 2 a round and 1 a level is off by 1 each."""
    rows = np.array([[1, 4, 0], [1, 4, 1], [1, 0, 8], [1, 0, 8]], dtype=float)
    values = np.array([7.0, 5.0, 3.0, 1.0])
    assert np.linalg.lstsq(rows, values)[0][1:].max() < 0
    assert _not_negative(rows, values) == pytest.approx([2.0, 1.0, 0.0])


def test_no_other_fit_without_negative_costs_is_nearer():
    """The conditions of Karush, Kuhn and Tucker: no slope where a cost is, and none downwards where it is nil."""
    dice = np.random.default_rng(5)
    for _ in range(200):
        rows = np.column_stack([np.ones(12), dice.integers(0, 6, 12), dice.integers(0, 20, 12)]).astype(float)
        values = dice.normal(2.0, 1.0, 12)
        fitted = np.array(_not_negative(rows, values))
        slope = rows.T @ (rows @ fitted - values)
        assert fitted.min() >= 0 and slope.min() > -1e-8 and np.abs(slope[fitted > 0]).max(initial=0.0) < 1e-8


def test_the_first_round_which_holds_the_prompt_is_left_out(runner, spec):
    prompt = runner.encode(spec.prompt)
    repeats = _repeats(runner, spec.model_copy(update={"drafting": of_method(method="ar")}), prompt)
    assert [[round_.number for round_ in rounds] for rounds in repeats] == [list(range(1, 8))] * ENGINE_REPEATS
    assert ENGINE_REPEATS > 1


def test_a_calibrated_pair_has_both_curves_and_its_caches_are_free_again(runner, spec):
    costs = calibrate(runner, spec, repeats=3)
    for curve in (costs.draft, costs.target):
        assert curve.tokens == list(SIZES)
        assert all(0 < low <= ms <= high for low, ms, high in zip(curve.low_ms, curve.ms, curve.high_ms))
    assert costs.target.at(128) > costs.draft.at(1)
    assert 0 < costs.plain_ms < costs.target.at(128)
    assert min(costs.overhead.round_ms, costs.overhead.level_ms, costs.overhead.node_ms) >= 0
    first, second = (
        [round_.new_tokens for round_ in runner.rounds(spec, runner.encode(spec.prompt))] for _ in range(2)
    )
    assert first == second
