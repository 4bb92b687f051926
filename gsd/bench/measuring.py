"""All methods on the same prompts, taking turns."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from gsd.bench.contenders import Contender, Measurement, contender
from gsd.bench.divergence import Divergence, divergences
from gsd.config import DraftSpec, RunSpec
from gsd.peers import StockModels, plain_peer
from gsd.runner import Runner

WARM_UP_PROMPTS = 2


@dataclass(frozen=True, slots=True)
class PromptResult:
    """All calls on one prompt by method, and where each one's texts leave plain greedy's (None: none of them does).

    `divergences` is None where texts were sampled: different methods draw differently.
    """

    calls: dict[str, list[Measurement]]
    divergences: dict[str, Divergence | None] | None = None


def measure(
    runner: Runner, spec: RunSpec, drafting: dict[str, DraftSpec], prompts: list[list[int]], *, repeats: int
) -> Iterator[PromptResult]:
    """Measure every method in `drafting` (peers too, with any settings), prompt after prompt.

    `spec` gives what all share: models, sampling, new tokens, device and dtype.
    """
    stock = StockModels(runner, spec)
    shared = spec.model_copy(update={"detail": "counters"})
    contenders = {
        name: contender(runner, stock, shared.model_copy(update={"drafting": settings}), name)
        for name, settings in drafting.items()
    }
    for prompt in prompts[:WARM_UP_PROMPTS]:
        for one in contenders.values():
            one.measure(prompt)
    for prompt in prompts:
        calls = interleaved(contenders, prompt, repeats)
        if spec.sampling.temperature:
            yield PromptResult(calls)
            continue
        texts = {name: [call.tokens for call in measured] for name, measured in calls.items()}
        plain = texts[plain_peer(spec.sampling)][0]
        yield PromptResult(calls, divergences(stock.target, prompt, texts, plain))


def interleaved(contenders: dict[str, Contender], prompt: list[int], repeats: int) -> dict[str, list[Measurement]]:
    """`repeats` rounds of all methods on one prompt, in an order of its own each: nobody always follows another."""
    order = random.Random(str(prompt))
    measured: dict[str, list[Measurement]] = {name: [] for name in contenders}
    for _ in range(repeats):
        for name in order.sample(list(contenders), len(contenders)):
            measured[name].append(contenders[name].measure(prompt))
    return measured
