"""Means of ratios over prompts with their intervals. No torch: the app's tables use them, too.

Times vary by factors, so the logarithm of a ratio varies evenly, whichever of the two methods is named first. Student's
interval of its mean then has its nominal coverage with only a few prompts. If the logarithms themselves are skewed it
covers less (89 % instead of 95 % with six prompts), and resampling the prompts covers still less: docs/metrics.md.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

LEVEL = 0.95
ROUNDING = 1e-12  # of a ratio's logarithm: means of equal values may differ by so much


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean over prompts and the ends of its interval of level `LEVEL`, which one prompt alone does not give: None."""

    value: float
    low: float | None
    high: float | None

    @property
    def ends(self) -> list[float] | None:
        """Both ends; None where there is no interval."""
        return None if self.low is None or self.high is None else [self.low, self.high]

    def __str__(self) -> str:
        if self.low is None:
            return f"{self.value:.3g}"
        return f"{self.value:.3g} ({LEVEL:.0%} interval {self.low:.3g} to {self.high:.3g})"


def geometric(ratios: Iterable[float | None]) -> Mean | None:
    """The geometric mean of ratios above 0; None stands for a prompt without one. None where no prompt has one.

    Which of two is named first makes no difference to it. An arithmetic mean of ratios is the larger, the more they
    scatter, whichever of the two takes longer. The interval is Student's, of the logarithms. Raises `ValueError` for a
    ratio that is not above 0, or not finite.
    """
    known = [ratio for ratio in ratios if ratio is not None]
    return mean_of(known) if known else None


def mean_of(known: Sequence[float]) -> Mean:
    """The geometric mean of ratios without missing ones, at least one."""
    if not all(0 < ratio < math.inf for ratio in known):
        raise ValueError(f"a ratio of {min(known):g}, of which there is no logarithm")
    logs = np.log(known)  # [P]
    logs[np.abs(logs) < ROUNDING] = 0.0
    mean = float(logs.mean())
    if len(logs) == 1:
        return Mean(math.exp(mean), None, None)
    from scipy.special import stdtrit  # imported where it is used: 0.2 s that a command without ratios need not wait

    half = float(stdtrit(len(logs) - 1, (1 + LEVEL) / 2) * logs.std(ddof=1)) / math.sqrt(len(logs))
    return Mean(math.exp(mean), math.exp(mean - half), math.exp(mean + half))
