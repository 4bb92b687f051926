"""Measure the cost curves of a loaded pair on its device, with forwards in the order of decoding."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import numpy as np
import torch

from gsd.config import RunSpec
from gsd.decode.runner import Runner
from gsd.drafting.base import Parts
from gsd.drafting.model_fed import ModelFed
from gsd.errors import InputError
from gsd.lab.cost import Costs, Curve, Overhead, models_named
from gsd.machine.environment import machine
from gsd.methods import BASELINE, drafting
from gsd.methods.graph import Graph
from gsd.models.base import LanguageModel
from gsd.spec import SamplingSpec
from gsd.trace.round import Round
from gsd.verifying.sampling import pick

SIZES = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 128)  # tokens of a forward
CONTEXT = 128  # tokens in the cache meanwhile
ENGINE_REPEATS = 3
# None, few and many levels, narrow and wide: they tell the engine's time per round, level and node apart.
ENGINE_SETTINGS = (
    drafting(BASELINE),
    drafting(width=1, depth=4, frontier=1, prob_threshold=0.0),
    drafting(width=4, depth=2, frontier=4, prob_threshold=0.0),
    drafting(width=4, depth=8, frontier=4, prob_threshold=0.05),
    drafting(width=6, depth=8, frontier=12, prob_threshold=0.0, budget=64),
    drafting(width=2, depth=16, frontier=2, prob_threshold=0.4),
)


def calibrate(runner: Runner, spec: RunSpec, *, repeats: int, progress: Callable[[], None] = lambda: None) -> Costs:
    """Measure both curves, then the engine's own time around the forwards.

    The engine's time is measured by decoding `spec.prompt`. Raises `InputError` without a draft.
    """
    if runner.draft is None:
        raise InputError("calibration measures a draft and a target: name a draft with --draft")
    draft, target = _curves(runner.target, runner.draft, spec.sampling, repeats, progress)
    overhead, plain_ms = _engine(runner, spec)
    names = models_named({"target": runner.target.describe(), "draft": runner.draft.describe()})
    measured_on = {**machine(runner.target.devices), **names, "context": CONTEXT, "repeats": repeats}
    return Costs(draft, target, overhead, plain_ms, measured_on)


@torch.inference_mode()
def _curves(
    target: LanguageModel, draft: LanguageModel, sampling: SamplingSpec, repeats: int, progress: Callable[[], None]
) -> list[Curve]:
    """Sizes in random order, each a round: the target behind the draft, and the draft behind the draft.

    Most draft forwards follow another, which left the draft's weights in the processor's caches; those of the
    target find it emptied. What is made of the logits is what drafting and verification make of them.
    """
    drafts, verifies = _DraftForward(draft, target.vocab_size), _TargetForward(target, sampling)
    times: dict[int, list[tuple[float, float]]] = {size: [] for size in SIZES}
    order = random.Random(0)
    for repeat in range(repeats + 1):  # the first warms up
        for size in order.sample(SIZES, len(SIZES)):
            target_ms = verifies.ms(size)
            drafts.ms(1)
            draft_ms = drafts.ms(size)
            if repeat:
                times[size].append((draft_ms, target_ms))
        progress()
    return [_curve([[pair[place] for pair in times[size]] for size in SIZES]) for place in (0, 1)]


class _DraftForward(ModelFed[Graph.Settings]):
    """Forwards of the draft as a level makes them."""

    def __init__(self, model: LanguageModel, vocab_size: int) -> None:
        super().__init__(Parts(None, model, vocab_size, record=False), drafting())
        _fill_cache(model)

    def ms(self, size: int) -> float:
        """Milliseconds of one forward of `size` tokens."""
        return _forward_ms(self._model, size, self._most_probable)


class _TargetForward:
    """Forwards of the target as verification makes them."""

    def __init__(self, model: LanguageModel, sampling: SamplingSpec) -> None:
        self._model, self._sampling = model, sampling
        _fill_cache(model)

    def ms(self, size: int) -> float:
        """Milliseconds of one forward of `size` tokens."""
        after = list(range(CONTEXT + 1, CONTEXT + 1 + size))
        return _forward_ms(self._model, size, lambda logits: pick(logits, self._sampling, after))


def _fill_cache(model: LanguageModel) -> None:
    model.reset(CONTEXT + max(SIZES))
    model.forward([1] * CONTEXT, list(range(CONTEXT)), lambda _: None)


def _forward_ms(model: LanguageModel, size: int, reduce: Callable[[torch.Tensor], object]) -> float:
    """One forward of `size` tokens that see their predecessors, as the counter times it."""
    before = model.counter.ms
    mask = np.tri(size, dtype=bool) if size > 1 else None
    model.forward([1] * size, list(range(CONTEXT, CONTEXT + size)), reduce, rows=size, mask=mask)
    model.keep(CONTEXT, [])
    return model.counter.ms - before


def _curve(times: Sequence[Sequence[float]]) -> Curve:
    low, middle, high = (np.quantile(np.array(times), share, axis=1).tolist() for share in (0.25, 0.5, 0.75))
    return Curve(list(SIZES), middle, low, high)


def _engine(runner: Runner, spec: RunSpec) -> tuple[Overhead, float]:
    """The engine's own time, by least squares over the rounds of short runs; and a round of plain decoding in ms."""
    prompt = runner.encode(spec.prompt)
    rows, own_ms, plain_ms = [], [], 0.0
    for settings in ENGINE_SETTINGS:
        repeats = _repeats(runner, spec.model_copy(update={"drafting": settings, "detail": "counters"}), prompt)
        rows += [(1.0, round_.draft_forwards, len(round_.graph) - 1) for round_ in repeats[0]]
        own_ms += np.median([[_own_ms(round_) for round_ in rounds] for rounds in repeats], axis=0).tolist()
        if settings.method == BASELINE:
            plain_ms = float(np.median([round_.times.total for rounds in repeats for round_ in rounds]))
    return Overhead(*_not_negative(np.array(rows), np.array(own_ms))), plain_ms


def _repeats(runner: Runner, spec: RunSpec, prompt: list[int]) -> list[list[Round]]:
    """The rounds of a run behind its first, which holds the prompt, warm and repeated."""
    return [list(runner.rounds(spec, prompt))[1:] for _ in range(1 + ENGINE_REPEATS)][1:]


def _own_ms(round_: Round) -> float:
    return round_.times.total - round_.times.draft - round_.times.verify


def _not_negative(rows: np.ndarray, values: np.ndarray) -> list[float]:
    """The least squares over [R, C] of all fits without a coefficient below 0.

    To hold at 0 what an unbounded fit makes negative, one after another, is not that: with the second held, the first
    may be wanted again.
    """
    from scipy.optimize import nnls  # imported where it is used: half a second

    fitted, _ = nnls(rows, values)
    return fitted.tolist()
