"""One row per method: ratios by prompt, their means with intervals, and then work, times and texts.

A prompt's ratio is the median over repeats of another's time per token over the method's, both of the same repeat.
There are three: over `ar`, our own plain decoding (`speedup`), over transformers' plain decoding
(`speedup_over_transformers`), and over whichever external method is fastest on that prompt (`over_best_external`).
Their means over prompts are geometric. A prompt where the method or what it is set against failed has no ratio (None),
and counts in no mean.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict, fields
from typing import Any

from gsd.lab.bench.contenders import Measurement
from gsd.lab.bench.measuring import PromptResult
from gsd.lab.external import EXTERNAL
from gsd.lab.means import geometric
from gsd.methods import BASELINE
from gsd.trace.records import mean_acceptance_length
from gsd.trace.round import Times

Ratios = list[float | None]


def summary(results: Sequence[PromptResult], kinds: Sequence[str | None], plain: str) -> dict[str, dict[str, Any]]:
    """A row by method over the prompts that were measured; `plain` is transformers' plain decoding."""
    return {name: _row(name, results, kinds, plain) for name in results[0].calls}


def best_external(results: Sequence[PromptResult]) -> str | None:
    """The fastest method of transformers in the mean. None if all failed."""
    means = {name: geometric(_over(name, results, BASELINE)) for name in _external(results)}
    known = {name: mean.value for name, mean in means.items() if mean}
    return max(known, key=known.__getitem__, default=None)


def speedup(method: Sequence[Measurement], baseline: Sequence[Measurement]) -> float:
    """Median over repeats of the ratio of times per token."""
    return statistics.median(plain.ms_per_token / call.ms_per_token for plain, call in zip(baseline, method))


def ratios(name: str, results: Sequence[PromptResult], kinds: Sequence[str | None], plain: str) -> dict[str, Any]:
    """The part of a row that compares a method's speed with others."""
    own, transformers = _over(name, results, BASELINE), _over(name, results, plain)
    external = [_over(name, results, other) for other in _external(results)]
    fastest = [min(_known(by_external), default=None) for by_external in zip(*external)]  # over the fastest there
    return {
        **mean_keys("speedup", own),
        "speedup_worst": min(_known(own), default=None),
        "speedup_best": max(_known(own), default=None),
        **mean_keys("speedup_over_transformers", transformers),
        "speedup_over_transformers_worst": min(_known(transformers), default=None),
        "wins": _share(ratio > 1 for ratio in _known(fastest)),  # prompts ahead of every external method
        **mean_keys("over_best_external", fastest),
        "worst_over_best_external": min(_known(fastest), default=None),
        "by_kind": means_by_kind(own, kinds),
        "by_kind_over_transformers": means_by_kind(transformers, kinds),
        "speedups": own,
        "speedups_over_transformers": transformers,
    }


def _row(name: str, results: Sequence[PromptResult], kinds: Sequence[str | None], plain: str) -> dict[str, Any]:
    measured = [result.calls[name] for result in results if result.calls[name]]
    return {
        **ratios(name, results, kinds, plain),
        **_work([calls[0] for calls in measured]),
        **_times([call for calls in measured for call in calls]),
        **_texts(name, results),
        "prompts": len(measured),
        "failures": [result.failures.get(name) for result in results],
    }


def mean_keys(name: str, of: Ratios) -> dict[str, Any]:
    """A row's mean of ratios by prompt, and its interval."""
    mean = geometric(of)
    return {name: mean and mean.value, f"{name}_interval": mean and mean.ends}


def means_by_kind(of: Ratios, kinds: Sequence[str | None]) -> dict[str, float | None]:
    """Means over the prompts of each kind."""
    found: dict[str, Ratios] = {}
    for kind, ratio in zip(kinds, of):
        found.setdefault(kind or "other", []).append(ratio)
    means = {kind: geometric(of_kind) for kind, of_kind in found.items()}
    return {kind: None if mean is None else mean.value for kind, mean in means.items()}


def _work(calls: list[Measurement]) -> dict[str, Any]:
    """Counts over the prompts, of the first call on each."""
    own = bool(calls) and all(call.drafted_nodes is not None for call in calls)
    rounds = sum(call.rounds for call in calls)
    return {
        "mean_acceptance_length": mean_acceptance_length(sum(call.accepted for call in calls), rounds),
        "new_tokens": sum(call.new_tokens for call in calls),
        "rounds": rounds,
        "draft_forwards": sum(call.draft_forwards for call in calls),
        "target_forwards": sum(call.target_forwards for call in calls),
        "drafted_nodes": sum(call.drafted_nodes for call in calls) if own else None,
        "verified_nodes": sum(call.verified_nodes for call in calls) if own else None,
    }


def _times(calls: list[Measurement]) -> dict[str, Any]:
    """Times over prompts and repeats; the engine's, and those of the first round and of the others, only for ours."""
    wall_ms, rounds = sum(call.wall_ms for call in calls), sum(call.rounds for call in calls)
    per_second = 1e3 * sum(call.new_tokens for call in calls) / wall_ms if calls else None
    timed = [(call.times, call.first) for call in calls if call.times and call.first]
    if not calls or len(timed) < len(calls):
        return {
            "tokens_per_s": per_second,
            "first_round_ms": None,
            "phases_ms_per_round": None,
            "overhead_ms_per_round": None,
            "engine_share": None,
        }
    later = max(rounds - len(calls), 1)
    overheads = _known(call.overhead_ms for call in calls)
    return {
        "tokens_per_s": per_second,
        "first_round_ms": statistics.fmean(first.total for _, first in timed),
        "phases_ms_per_round": {
            phase.name: sum(getattr(whole, phase.name) - getattr(first, phase.name) for whole, first in timed) / later
            for phase in fields(Times)
        },
        "overhead_ms_per_round": statistics.median(ms / call.rounds for ms, call in zip(overheads, calls)),
        "engine_share": sum(overheads) / wall_ms,
    }


def _texts(name: str, results: Sequence[PromptResult]) -> dict[str, Any]:
    """On how many prompts every text is plain greedy's, and where others leave it.

    None where texts were sampled. `compared` prompts are those where both the method and plain greedy were measured.
    """
    apart = [result.divergences if result.calls[name] else None for result in results]
    if not any(result.divergences is not None for result in results):
        return {"matches": None, "compared": None, "beyond_rounding": None, "divergences": None}
    found = [None if methods is None else methods[name] for methods in apart]
    compared = len(apart) - apart.count(None)
    differing = [one for one in found if one is not None]
    return {
        "matches": compared - len(differing),
        "compared": compared,
        "beyond_rounding": sum(one.beyond_rounding for one in differing),
        "divergences": [one and {**asdict(one), "beyond_rounding": one.beyond_rounding} for one in found],
    }


def _external(results: Sequence[PromptResult]) -> list[str]:
    return [name for name in results[0].calls if name in EXTERNAL]


def _over(name: str, results: Sequence[PromptResult], baseline: str) -> Ratios:
    """By prompt the ratio of a baseline's time to the method's."""
    return [
        speedup(result.calls[name], result.calls[baseline]) if result.calls[name] and result.calls[baseline] else None
        for result in results
    ]


def _known(of: Iterable[float | None]) -> list[float]:
    return [ratio for ratio in of if ratio is not None]


def _share(marks: Iterable[bool]) -> float | None:
    marks = list(marks)
    return statistics.fmean(marks) if marks else None
