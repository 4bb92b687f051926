"""Measuring the cost curves of a loaded pair on its device."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import numpy as np
import torch

from gsd.bench import machine
from gsd.config import DraftSpec, RunSpec
from gsd.cost import Costs, Curve, Overhead
from gsd.engine import Step
from gsd.errors import InputError
from gsd.models.hf import HFModel
from gsd.runner import Runner

SIZES = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)  # tokens of a forward
CONTEXT = 128  # tokens in the cache meanwhile
# Few and many levels, narrow and wide: they tell the engine's time per round, level and node apart.
ENGINE_SETTINGS = (
    DraftSpec(width=1, depth=4, frontier=1, prob_threshold=0.0),
    DraftSpec(width=4, depth=2, frontier=4, prob_threshold=0.0),
    DraftSpec(width=4, depth=8, frontier=4, prob_threshold=0.05),
    DraftSpec(width=6, depth=8, frontier=12, prob_threshold=0.0, budget=64),
    DraftSpec(width=2, depth=16, frontier=2, prob_threshold=0.4),
)


def calibrate(runner: Runner, spec: RunSpec, *, repeats: int, progress: Callable[[], None] = lambda: None) -> Costs:
    """Measure both curves, draft and target in turn as in decoding, then the engine's own time around them.

    `spec.prompt` is what is decoded for the latter. Raises `InputError` without a draft.
    """
    if runner.draft is None:
        raise InputError("calibration measures a draft and a target: name a draft with --draft")
    draft, target = _curves(runner.draft, runner.target, repeats, progress)
    return Costs(draft, target, _overhead(runner, spec), {**machine(runner), "context": CONTEXT, "repeats": repeats})


@torch.inference_mode()
def _curves(draft: HFModel, target: HFModel, repeats: int, progress: Callable[[], None]) -> list[Curve]:
    """Sizes in random order and the models in turn, so that neither finds the caches warm from itself."""
    models = (draft, target)
    times: dict[tuple[int, int], list[float]] = {(place, size): [] for place in (0, 1) for size in SIZES}
    for model in models:
        model.reset(CONTEXT + max(SIZES))
        model.forward([1] * CONTEXT, list(range(CONTEXT)), _argmax)
    order = random.Random(0)
    for repeat in range(repeats + 1):  # the first warms up
        for size in order.sample(SIZES, len(SIZES)):
            for place, model in enumerate(models):
                ms = _forward_ms(model, size)
                if repeat:
                    times[place, size].append(ms)
        progress()
    return [_curve([times[place, size] for size in SIZES]) for place in (0, 1)]


def _forward_ms(model: HFModel, size: int) -> float:
    """One forward of `size` tokens that see their predecessors, as the counter times it."""
    before = model.counter.ms
    mask = np.tri(size, dtype=bool) if size > 1 else None
    model.forward([1] * size, list(range(CONTEXT, CONTEXT + size)), _argmax, rows=size, mask=mask)
    model.keep(CONTEXT, [])
    return model.counter.ms - before


def _argmax(logits: torch.Tensor) -> list[int]:
    return logits.argmax(-1).tolist()


def _curve(times: Sequence[Sequence[float]]) -> Curve:
    low, middle, high = (np.quantile(np.array(times), share, axis=1).tolist() for share in (0.25, 0.5, 0.75))
    return Curve(list(SIZES), middle, low, high)


def _overhead(runner: Runner, spec: RunSpec) -> Overhead:
    """Least squares over the rounds of a few short runs, one prompt under each of the settings."""
    prompt = runner.encode(spec.prompt)
    rows, own_ms = [], []
    for settings in ENGINE_SETTINGS:
        one = spec.model_copy(update={"drafting": settings, "detail": "counters"})
        for step in runner.steps(one, prompt):
            rows.append((1.0, step.draft_forwards, len(step.graph) - 1))
            own_ms.append(_own_ms(step))
    fitted, *_ = np.linalg.lstsq(np.array(rows), np.array(own_ms), rcond=None)
    return Overhead(*(max(float(value), 0.0) for value in fitted))


def _own_ms(step: Step) -> float:
    return step.times.total - step.times.draft - step.times.verify
