"""Compare two sets of numbers paired by prompt: their ratio, and whether they differ at all.

The ratio is candidate / reference, first per prompt and then over prompts. Its interval is over *prompts*, because
another experiment would draw other ones. Both values of a ratio belong to one prompt, so differences between prompts do
not widen the interval.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from gsd.errors import InputError
from gsd.lab.means import Mean, mean_of
from gsd.wording import counted

FEWEST_PROMPTS = 6  # with fewer, all ratios are on one side of 1 by chance in more than 1 of 20: 2 · 2⁻ⁿ > 0.05


@dataclass(frozen=True, slots=True)
class Comparison:
    """Candidate / reference over paired prompts; `ratios` by prompt, in the reference's order.

    The verdict rests on `ratio`, their geometric mean, which counts every prompt alike. Their mean does so as well, but
    is above 1 by noise alone: a ratio of 2 and one of ½ have the mean 1.25. `ratio_of_means` is
    Σ candidate / Σ reference, in which large prompts weigh more.
    """

    ratio: Mean
    ratio_of_means: float
    ratios: dict[str, float]

    @property
    def verdict(self) -> str:
        """The outcome in words."""
        ratio = f"geometric mean {self.ratio}, {counted(len(self.ratios), 'prompt')}"
        if len(self.ratios) < FEWEST_PROMPTS:
            return f"too few prompts to tell, at least {FEWEST_PROMPTS} are needed: {ratio}"
        if (ends := self.ratio.ends) and ends[0] <= 1.0 <= ends[1]:
            return f"no difference shown: {ratio}"
        return f"{'higher' if self.ratio.value > 1.0 else 'lower'}: {ratio}"


def compare(candidate: Mapping[str, float], reference: Mapping[str, float]) -> Comparison:
    """Compare one number a prompt (prompt id -> value).

    Raises `InputError` if a prompt is on one side only, if a value is not above 0, or if there is no prompt.
    """
    _check_paired(set(candidate), set(reference))
    for side, values in (("candidate", candidate), ("reference", reference)):
        _check_values(side, values)
    prompts = list(reference)
    ours = np.array([candidate[prompt] for prompt in prompts], dtype=np.float64)  # [P]
    theirs = np.array([reference[prompt] for prompt in prompts], dtype=np.float64)  # [P]
    ratios = ours / theirs
    return Comparison(mean_of(ratios.tolist()), float(ours.sum() / theirs.sum()), dict(zip(prompts, ratios.tolist())))


def ratios_by_prompt(compared: Comparison) -> pd.DataFrame:
    """One row a prompt, the lowest ratio first: `prompt` (id), `ratio` (candidate / reference)."""
    rows = pd.DataFrame(list(compared.ratios.items()), columns=["prompt", "ratio"])
    return rows.sort_values("ratio", kind="stable", ignore_index=True)


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
        if not (np.isfinite(value) and value > 0):
            raise InputError(f"the {side} of prompt {prompt!r} is {value}, of which there is no ratio; leave it out")
