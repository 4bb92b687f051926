"""Where a greedy text differs from the reference, and whether rounding can explain it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import cast

import torch
from transformers import PreTrainedModel

# A gap of so many steps between neighbouring numbers may still be rounding. Forwards of one token differed from one
# forward over the whole text in bfloat16 by 0.5 steps in the median and by 2 at most (360 gaps of a 1.5B model; one of
# 774 of the bundled pair by more than 4), in float16 likewise (two of 776), but in float32 by 2 in the median and by 24
# at most (28 in forwards of eight): there sums over many terms are no more exact than the numbers that they give.
ROUNDING_STEPS = {torch.bfloat16: 4, torch.float16: 4, torch.float32: 64}


@dataclass(frozen=True, slots=True)
class Divergence:
    """The first token that differs from the reference's.

    `position`  among the new tokens, from 0
    `gap`       |logit of the reference's token - logit of ours|, by one more forward of the stock target over the text
                that both share, in the run's own dtype; None where one text just ends
    `step`      the distance of neighbouring numbers of that dtype at those logits: the scale of rounding
    `limit`     the largest gap that rounding explains in that dtype: so many steps
    """

    position: int
    gap: float | None = None
    step: float | None = None
    limit: float | None = None

    @property
    def beyond_rounding(self) -> bool:
        """Whether the gap is larger than rounding explains, so that something is wrong."""
        return self.gap is None or self.limit is None or self.gap > self.limit


def divergences(
    target: PreTrainedModel, prompt: list[int], texts: dict[str, list[list[int]]], reference: list[int]
) -> dict[str, Divergence | None]:
    """The divergence of each method's texts from the reference, or None. Each place takes one forward.

    A method may decode another text in each repeat: `auto` verifies other trees, which round otherwise. Of several
    divergences the first is told, one that rounding does not explain before all others.
    """
    logits: dict[int, torch.Tensor] = {}

    def divergence(text: list[int]) -> Divergence | None:
        position = first_difference(text, reference)
        if position is None or position >= min(len(text), len(reference)):
            return None if position is None else Divergence(position)
        if position not in logits:
            logits[position] = _next_logits(target, prompt + reference[:position])
        return _at(position, logits[position], reference[position], text[position])

    found = {name: [one for one in map(divergence, repeats) if one] for name, repeats in texts.items()}
    return {name: max(ones, key=lambda one: one.beyond_rounding, default=None) for name, ones in found.items()}


def first_difference(one: list[int], other: list[int]) -> int | None:
    """The first index at which two texts differ, the end of the shorter one included; None where they are equal."""
    if one == other:
        return None
    pairs = zip(one, other)
    return next((i for i, (mine, theirs) in enumerate(pairs) if mine != theirs), min(len(one), len(other)))


def number_step(value: float, dtype: torch.dtype) -> float:
    """The distance from `value` to the next larger number of a floating-point type."""
    return torch.finfo(dtype).eps * 2.0 ** (math.frexp(value)[1] - 1)


def _at(position: int, logits: torch.Tensor, theirs: int, ours: int) -> Divergence:
    pair = logits[[theirs, ours]].tolist()
    step = number_step(max(map(abs, pair)), logits.dtype)
    return Divergence(position, abs(pair[0] - pair[1]), step, ROUNDING_STEPS[logits.dtype] * step)


@torch.inference_mode()
def _next_logits(target: PreTrainedModel, tokens: list[int]) -> torch.Tensor:
    """[V], on the host."""
    weight = cast(torch.Tensor, target.get_input_embeddings().weight)  # to torch's types it may be a module
    ids = torch.tensor([tokens], device=weight.device)
    return target(input_ids=ids, use_cache=False, logits_to_keep=1).logits[0, -1].cpu()
