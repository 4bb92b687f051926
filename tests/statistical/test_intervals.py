"""Intervals cover what they say from six prompts on where logarithms scatter evenly.

The odds of a false alarm are stated at each bound.
"""

import math

import numpy as np
import pytest

from analysis.compare import compare
from gsd.lab.means import geometric

EXPERIMENTS = 2_000


def even_ratios(kind, dice, prompts):
    """Candidate / reference of equals: two values a prompt, that scatter as `kind` says."""
    if kind == "normal":
        level = 10 + 2 * dice.standard_normal(prompts)
        ours, theirs = (np.abs(level + dice.standard_normal(prompts)) for _ in range(2))
    elif kind == "log-normal":
        level = dice.lognormal(0.0, 0.5, prompts)
        ours, theirs = (level * dice.lognormal(0.0, 0.2, prompts) for _ in range(2))
    else:
        ours, theirs = (dice.gamma(2.0, 0.5, prompts) for _ in range(2))
    return ours / theirs


def covered(truth, ratios):
    return sum(found.low <= truth <= found.high for found in map(geometric, ratios))


@pytest.mark.parametrize("prompts", [6, 10, 24])
@pytest.mark.parametrize("kind", ["normal", "log-normal", "gamma"])
def test_nineteen_of_twenty_intervals_cover_the_true_ratio_of_equals(kind, prompts):
    """At a coverage of 0.95 fewer than 1,856 or more than 1,944 of 2,000 come about with a chance of 0.00001.

    Of resampled prompts, of which 86 of 100 cover at 6 prompts and 90 at 10, there would be about 1,720 and 1,800.
    The same seeds always give the same counts.
    """
    dice = np.random.default_rng(20240716 + prompts)
    assert 1856 <= covered(1.0, [even_ratios(kind, dice, prompts) for _ in range(EXPERIMENTS)]) <= 1944


@pytest.mark.parametrize(("prompts", "most"), [(6, 88.7), (10, 90.1), (24, 92.6)])
def test_ratios_whose_logarithms_are_skewed_are_covered_as_often_as_the_documentation_says(prompts, most):
    """Logarithms ½ · exponential. Four standard errors of 0.7 at the most below and above: a chance of 0.0001."""
    dice = np.random.default_rng(prompts)
    found = covered(math.exp(0.5), np.exp(0.5 * dice.exponential(1.0, (EXPERIMENTS, prompts))))
    assert found / EXPERIMENTS * 100 == pytest.approx(most, abs=2.8)


def test_false_alarms_of_a_comparison_of_equals_are_one_in_twenty():
    """2,000 comparisons of equals over 6 prompts: 100 alarms ± 9.7; more than 144 with a chance of 0.00001."""
    dice, alarms = np.random.default_rng(3), 0
    for _ in range(EXPERIMENTS):
        ratios = dict(enumerate(even_ratios("log-normal", dice, 6)))
        verdict = compare({f"p{n}": value for n, value in ratios.items()}, {f"p{n}": 1.0 for n in ratios}).verdict
        alarms += verdict.startswith(("higher", "lower"))
    assert 56 <= alarms <= 144


def test_the_interval_by_hand():
    """Logarithms 0 and ln 4: the mean is ln 2, the standard error ln 2, the quantile at one degree 12.706."""
    found = geometric([1.0, 4.0])
    assert (found.low, found.high) == pytest.approx((2 ** (1 - 12.7062), 2 ** (1 + 12.7062)), rel=1e-3)
    assert found.value == pytest.approx(2.0)


def test_one_prompt_has_no_interval_and_equal_ratios_have_one_without_width():
    alone = geometric([1.3])
    assert (alone.value, alone.low, alone.high, alone.ends) == (pytest.approx(1.3), None, None, None)
    assert geometric([1.5] * 6).ends == pytest.approx([1.5, 1.5])
