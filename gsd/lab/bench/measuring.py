"""Measure all methods on the same prompts in turns. A method that fails on a prompt is left out there."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field

from gsd.config import RunSpec
from gsd.decode.runner import Runner
from gsd.lab.bench.contenders import Contender, Measurement, contender, error_line
from gsd.lab.bench.divergence import Divergence, divergences
from gsd.lab.external import StockModels, plain_external
from gsd.methods import MethodSettings

WARM_UP_PROMPTS = 2


@dataclass(frozen=True, slots=True)
class Turn:
    """The outcome of one call of a method on a prompt (by number): a measurement, or an error line."""

    prompt: int
    method: str
    repeat: int
    outcome: Measurement | str


Told = Callable[[Turn], None]


@dataclass(frozen=True, slots=True)
class PromptResult:
    """All calls on one prompt by method, and where their texts differ from plain greedy decoding (None: nowhere).

    A method that failed on the prompt has no calls, and its error in `failures`. `divergences` is None where texts were
    sampled, as different methods draw differently, or where transformers' plain decoding failed.
    """

    calls: dict[str, list[Measurement]]
    divergences: dict[str, Divergence | None] | None = None
    failures: dict[str, str] = field(default_factory=dict)


def measure(
    runner: Runner,
    spec: RunSpec,
    drafting: dict[str, MethodSettings],
    prompts: list[list[int]],
    *,
    repeats: int,
    done: Collection[int] = (),
    told: Told = lambda _: None,
) -> Iterator[PromptResult]:
    """Measure every method in `drafting` (external ones too, with any settings), prompt after prompt.

    `spec` gives what all share: models, sampling, new tokens, device and dtype. Prompts whose numbers are in `done`
    were measured before; the first of all warm up in any case. `told` gets every timed call as it is measured.
    """
    missing = [number for number in range(len(prompts)) if number not in done]
    if not missing:
        return
    stock = StockModels(runner, spec)
    shared = spec.model_copy(update={"detail": "counters"})
    contenders = {
        name: contender(runner, stock, shared.model_copy(update={"drafting": settings}), name)
        for name, settings in drafting.items()
    }
    for prompt in prompts[:WARM_UP_PROMPTS]:
        for one in contenders.values():
            with contextlib.suppress(Exception):  # it is told when it fails on a prompt that counts
                one.measure(prompt)
    for number in missing:
        prompt = prompts[number]
        result = interleaved(contenders, prompt, repeats, number, told)
        texts = {name: _texts(measured) for name, measured in result.calls.items()}
        plain = texts[plain_external(spec.sampling)]
        if spec.sampling.temperature or not plain:
            yield result
            continue
        yield PromptResult(result.calls, divergences(stock.target, prompt, texts, plain[0]), failures=result.failures)


def _texts(calls: list[Measurement]) -> list[list[int]]:
    return [call.tokens for call in calls if call.tokens is not None]


def interleaved(
    contenders: dict[str, Contender], prompt: list[int], repeats: int, number: int = 0, told: Told = lambda _: None
) -> PromptResult:
    """Call all methods on one prompt `repeats` times, each time in another order.

    One that fails is not called again on this prompt, and its earlier calls there do not count.
    """
    order = random.Random(str(prompt))
    result = PromptResult({name: [] for name in contenders})
    for repeat in range(repeats):
        for name in order.sample(list(contenders), len(contenders)):
            if name in result.failures:
                continue
            outcome: Measurement | str
            try:
                outcome = contenders[name].measure(prompt)
                result.calls[name].append(outcome)
            except Exception as error:  # whatever one raises, the others are measured
                outcome = result.failures[name] = error_line(error)
                result.calls[name].clear()
            told(Turn(number, name, repeat, outcome))
    return result
