"""Means over prompts with their intervals. No torch: the app's tables use them, too."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

RESAMPLES = 2_000
LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean over prompts and the ends of its bootstrap interval of level `LEVEL`."""

    value: float
    low: float
    high: float


def geometric(ratios: Iterable[float | None]) -> Mean | None:
    """The geometric mean of ratios; None stands for a prompt without one. None where no prompt has one.

    Which of two is named first makes no difference to it. An arithmetic mean of ratios is the larger, the more they
    scatter, whichever of the two takes longer.
    """
    known = [ratio for ratio in ratios if ratio is not None]
    if not known:
        return None
    low, high = np.exp(interval(np.log(known)))
    return Mean(statistics.geometric_mean(known), float(low), float(high))


def interval(values: Sequence[float]) -> tuple[float, float]:
    """Percentile bootstrap of the mean over prompts at `LEVEL`, seeded."""
    values = np.asarray(values, dtype=float)
    draws = np.random.default_rng(0).integers(len(values), size=(RESAMPLES, len(values)))
    low, high = np.quantile(values[draws].mean(axis=1), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)
