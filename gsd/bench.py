"""Methods against each other: same prompts, weights, dtype and process, warm, interleaved, repeated.

Every time is measured around the whole call, everything included but the trace. A prompt's speed-up
is the median over repeats of baseline time per token over method time per token, both of the same
repeat; the baseline is `ar` or transformers' own greedy `generate`, whichever is faster on it.
"""

from __future__ import annotations

import contextlib
import platform
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any, Protocol

import torch
import transformers

from gsd.config import DraftSpec, RunSpec
from gsd.errors import InputError
from gsd.models.base import out_of_memory
from gsd.peers import PEERS, Peer, counted, plain_defaults
from gsd.records import Tally, mean_acceptance_length
from gsd.runner import Runner

BASELINES = ("ar", "hf-greedy")
OWN_METHODS = ("ar", "chain", "tree", "graph")
WARM_UP_PROMPTS = 2


@dataclass(frozen=True, slots=True)
class Measurement:
    """One call. `overhead_ms` is the engine's time outside the models' forwards; None for peers.

    `accepted` are drafted tokens that were emitted.
    """

    tokens: list[int]
    wall_ms: float
    rounds: int
    accepted: int
    draft_forwards: int
    target_forwards: int
    overhead_ms: float | None

    @property
    def ms_per_token(self) -> float:
        return self.wall_ms / len(self.tokens)


class Contender(Protocol):
    """Something that decodes a prompt."""

    def measure(self, prompt: list[int]) -> Measurement:
        """Decode once, timed."""


class OwnMethod:
    """One of our methods through the engine's loop, without a trace."""

    def __init__(self, runner: Runner, spec: RunSpec) -> None:
        self._runner = runner
        self._spec = spec

    def measure(self, prompt: list[int]) -> Measurement:
        """Decode once, timed."""
        tally, tokens = Tally(), []
        start = perf_counter()
        for step in self._runner.steps(self._spec, prompt):
            tally.add(step)
            tokens += step.new_tokens
        wall_ms = (perf_counter() - start) * 1e3
        overhead_ms = wall_ms - tally.draft_ms - tally.verify_ms
        return Measurement(
            tokens, wall_ms, tally.rounds, tally.accepted, tally.draft_forwards, tally.target_forwards, overhead_ms
        )


class PeerMethod:
    """One of transformers' ways."""

    def __init__(self, runner: Runner, name: str, max_new_tokens: int) -> None:
        self._peer = Peer(runner, name, max_new_tokens)
        self._target = runner.target.model
        self._draft = runner.draft.model if runner.draft else None

    @out_of_memory("shorten the prompts, lower --max-new-tokens, or use --dtype bfloat16")
    def measure(self, prompt: list[int]) -> Measurement:
        """Decode once, timed; forwards are counted by hooks on the models, each of the target's giving one token."""
        with counted(self._target) as target, counted(self._draft) as draft:
            start = perf_counter()
            tokens = self._peer.generate(prompt)
            wall_ms = (perf_counter() - start) * 1e3
        rounds = target[0]
        return Measurement(tokens, wall_ms, rounds, max(len(tokens) - rounds, 0), draft[0], rounds, None)


def methods_to_run(names: Sequence[str]) -> list[str]:
    """The methods asked for, checked, with both baselines among them."""
    known = {*OWN_METHODS, *PEERS}
    for name in names:
        if name not in known:
            raise InputError(f"unknown method {name!r}; choose among {', '.join(sorted(known))}")
    return list(dict.fromkeys([*BASELINES, *names]))


def measure(
    runner: Runner, spec: RunSpec, drafting: dict[str, DraftSpec], prompts: list[list[int]], *, repeats: int
) -> Iterator[dict[str, list[Measurement]]]:
    """Measure every method in `drafting` (peers too, with any settings); yields by method, prompt after prompt.

    `spec` gives what all share: sampling off, new tokens, device and dtype.
    """
    contenders = {name: _contender(runner, spec, name, settings) for name, settings in drafting.items()}
    with contextlib.ExitStack() as stack:
        for model in (runner.target, runner.draft):
            stack.enter_context(plain_defaults(model.model if model else None))
        for prompt in prompts[:WARM_UP_PROMPTS]:
            for contender in contenders.values():
                contender.measure(prompt)
        for prompt in prompts:
            yield _interleaved(contenders, prompt, repeats)


def summary(by_prompt: list[dict[str, list[Measurement]]]) -> dict[str, dict[str, Any]]:
    """A row by method, over the prompts that were measured."""
    return {name: _row(name, by_prompt) for name in by_prompt[0]}


def _contender(runner: Runner, spec: RunSpec, name: str, settings: DraftSpec) -> Contender:
    if name in PEERS:
        return PeerMethod(runner, name, spec.max_new_tokens)
    return OwnMethod(runner, spec.model_copy(update={"drafting": settings, "detail": "counters"}))


def _interleaved(contenders: dict[str, Contender], prompt: list[int], repeats: int) -> dict[str, list[Measurement]]:
    """`repeats` rounds of all methods on one prompt, another one first in each round."""
    names = list(contenders)
    measured: dict[str, list[Measurement]] = {name: [] for name in names}
    for repeat in range(repeats):
        shift = repeat % len(names)
        for name in names[shift:] + names[:shift]:
            measured[name].append(contenders[name].measure(prompt))
    return measured


def _row(name: str, by_prompt: list[dict[str, list[Measurement]]]) -> dict[str, Any]:
    """One method's row: ratios by prompt first, then over prompts."""
    ratios = [_speedup(measured[name], _faster_baseline(measured)) for measured in by_prompt]
    calls = [call for measured in by_prompt for call in measured[name]]
    firsts = [measured[name][0] for measured in by_prompt]
    overheads = [call.overhead_ms / call.rounds for call in calls if call.overhead_ms is not None]
    return {
        "speedup": statistics.fmean(ratios),
        "speedup_worst": min(ratios),
        "speedup_best": max(ratios),
        "mean_acceptance_length": mean_acceptance_length(
            sum(call.accepted for call in firsts), sum(call.rounds for call in firsts)
        ),
        "draft_forwards": sum(call.draft_forwards for call in firsts),
        "target_forwards": sum(call.target_forwards for call in firsts),
        "overhead_ms_per_round": statistics.median(overheads) if overheads else None,
        "matches": sum(measured[name][0].tokens == measured["hf-greedy"][0].tokens for measured in by_prompt),
        "prompts": len(by_prompt),
        "speedups": ratios,
    }


def _faster_baseline(measured: dict[str, list[Measurement]]) -> list[Measurement]:
    return min(
        (measured[name] for name in BASELINES),
        key=lambda calls: statistics.median(call.ms_per_token for call in calls),
    )


def _speedup(method: list[Measurement], baseline: list[Measurement]) -> float:
    return statistics.median(plain.ms_per_token / call.ms_per_token for plain, call in zip(baseline, method))


def machine(runner: Runner) -> dict[str, Any]:
    """What the figures were measured on."""
    gpus = [torch.cuda.get_device_name(device) for device in runner.target.devices if device.type == "cuda"]
    return {
        "processor": _processor(),
        "threads": torch.get_num_threads(),
        "gpu": ", ".join(gpus) or None,
        "platform": platform.platform(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
    }


def _processor() -> str:
    """The processor's name as Linux gives it, else what Python knows."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor())
