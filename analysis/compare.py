"""Two ways against each other, paired by prompt: what is the ratio, and is there a difference at all?

The ratio is candidate / reference, per prompt or of the means over prompts. Its interval is the
percentile bootstrap over *prompts*: they are what another experiment would draw anew, and as both
values of a prompt are drawn together, differences between prompts do not widen it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from gsd.errors import InputError

RESAMPLES = 10_000
LEVEL = 0.95
FEWEST_PROMPTS = 6  # with fewer, all ratios are on one side of 1 by chance in more than 1 of 20: 2 · 2⁻ⁿ > 0.05


@dataclass(frozen=True, slots=True)
class Estimate:
    """A ratio and its bootstrap interval of level `LEVEL`."""

    value: float
    low: float
    high: float

    @property
    def spans_one(self) -> bool:
        """Whether no difference is within the interval."""
        return self.low <= 1.0 <= self.high

    def __str__(self) -> str:
        return f"{self.value:.3g} ({LEVEL:.0%} interval {self.low:.3g} to {self.high:.3g})"


@dataclass(frozen=True, slots=True)
class Comparison:
    """Candidate / reference over paired prompts; `ratios` by prompt, in the reference's order.

    The verdict rests on the ratio of means, Σ candidate / Σ reference. The mean of ratios counts every
    prompt alike, but it is above 1 by noise alone: a ratio of 2 and one of ½ have the mean 1.25.
    """

    ratio_of_means: Estimate
    mean_of_ratios: Estimate
    ratios: dict[str, float]

    @property
    def verdict(self) -> str:
        """The outcome in words."""
        prompts = f"{len(self.ratios)} prompt{'' if len(self.ratios) == 1 else 's'}"
        ratio = f"ratio of means {self.ratio_of_means}, {prompts}"
        if len(self.ratios) < FEWEST_PROMPTS:
            return f"too few prompts to tell, at least {FEWEST_PROMPTS} are needed: {ratio}"
        if self.ratio_of_means.spans_one:
            return f"no difference shown: {ratio}"
        return f"{'higher' if self.ratio_of_means.value > 1.0 else 'lower'}: {ratio}"


def compare(candidate: Mapping[str, float], reference: Mapping[str, float], *, seed: int = 0) -> Comparison:
    """Compare one number a prompt (prompt id -> value).

    Raises `InputError` where a prompt is on one side only, a value is negative or no number, a
    reference is 0, or there is no prompt at all.
    """
    _check_paired(set(candidate), set(reference))
    for side, values in (("candidate", candidate), ("reference", reference)):
        _check_values(side, values)
    prompts = list(reference)
    ours = np.array([candidate[prompt] for prompt in prompts], dtype=np.float64)  # [P]
    theirs = np.array([reference[prompt] for prompt in prompts], dtype=np.float64)  # [P]
    even = np.full(len(prompts), 1 / len(prompts))
    weights = np.random.default_rng(seed).multinomial(len(prompts), even, RESAMPLES) / len(prompts)  # [R, P]
    ratios = ours / theirs
    return Comparison(
        _estimate(ours.mean() / theirs.mean(), (weights @ ours) / (weights @ theirs)),
        _estimate(ratios.mean(), weights @ ratios),
        dict(zip(prompts, ratios.tolist())),
    )


def ratios_by_prompt(compared: Comparison) -> pd.DataFrame:
    """One row a prompt, the lowest ratio first: `prompt` (id), `ratio` (candidate / reference)."""
    rows = pd.DataFrame(list(compared.ratios.items()), columns=["prompt", "ratio"])
    return rows.sort_values("ratio", kind="stable", ignore_index=True)


def compare_runs(candidate: pd.DataFrame, reference: pd.DataFrame, column: str, *, seed: int = 0) -> Comparison:
    """Compare a column of two sets of rows of `Frames.runs`; several runs of one prompt give their mean.

    Raises `InputError` as `compare` does, and for a run that is not complete or a column that is none.
    """
    return compare(_by_prompt(candidate, column), _by_prompt(reference, column), seed=seed)


def _by_prompt(runs: pd.DataFrame, column: str) -> dict[str, float]:
    if column not in runs or not pd.api.types.is_numeric_dtype(runs[column]):
        raise InputError(f"runs have no column of numbers {column!r}; compare tokens_per_s or another of the totals")
    unfinished = runs.loc[runs["status"] != "complete", "run"]
    if len(unfinished):
        raise InputError(f"only complete runs are compared; leave out {', '.join(unfinished)}")
    return runs.groupby("prompt_id", sort=False)[column].agg(lambda values: values.mean(skipna=False)).to_dict()


def _check_paired(candidate: set[str], reference: set[str]) -> None:
    lacking = [
        f"the {side} lacks {', '.join(map(repr, sorted(prompts)))}"
        for side, prompts in (("candidate", reference - candidate), ("reference", candidate - reference))
        if prompts
    ]
    if lacking:
        raise InputError(f"prompts are not paired: {'; '.join(lacking)}; run both sides on the same prompts")
    if not reference:
        raise InputError("no prompts to compare; give at least one on both sides")


def _check_values(side: str, values: Mapping[str, float]) -> None:
    for prompt, value in values.items():
        if not np.isfinite(value) or value < 0 or (side == "reference" and value == 0):
            raise InputError(f"the {side} of prompt {prompt!r} is {value}, of which there is no ratio; leave it out")


def _estimate(value: float, resampled: np.ndarray) -> Estimate:
    """`value` with the percentiles of its resamples [R]."""
    low, high = np.quantile(resampled, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Estimate(float(value), float(low), float(high))
