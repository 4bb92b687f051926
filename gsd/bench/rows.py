"""A row of each method: ratios by prompt first, then over prompts, with intervals; then work, times and texts.

A prompt's speed-up is the median over repeats of baseline time per token over method time per token, both of the
same repeat. There are three: over the faster of `ar` and transformers' plain decoding on that prompt (`speedup`),
over the latter alone (`speedup_over_transformers`), and over whichever of transformers' ways is fastest on that prompt
(`over_best_peer`).
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import asdict, fields
from typing import Any

import numpy as np

from gsd.bench.contenders import Measurement
from gsd.bench.measuring import PromptResult
from gsd.engine import Times
from gsd.peers import PEERS
from gsd.records import mean_acceptance_length

RESAMPLES = 2_000
LEVEL = 0.95


def summary(results: Sequence[PromptResult], kinds: Sequence[str | None], plain: str) -> dict[str, dict[str, Any]]:
    """A row by method over the prompts that were measured; `plain` is transformers' plain decoding."""
    return {name: _row(name, results, kinds, plain) for name in results[0].calls}


def best_peer(results: Sequence[PromptResult], plain: str) -> str:
    """The way of transformers that is fastest in the mean."""
    return max(_peers(results), key=lambda name: statistics.fmean(_ratios(name, results, plain)))


def interval(ratios: Sequence[float]) -> tuple[float, float]:
    """Percentile bootstrap of the mean over prompts at `LEVEL`, seeded."""
    values = np.asarray(ratios, dtype=float)
    draws = np.random.default_rng(0).integers(len(values), size=(RESAMPLES, len(values)))
    low, high = np.quantile(values[draws].mean(axis=1), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def speedup(method: Sequence[Measurement], baseline: Sequence[Measurement]) -> float:
    """Median over repeats of the ratio of times per token."""
    return statistics.median(plain.ms_per_token / call.ms_per_token for plain, call in zip(baseline, method))


def _row(name: str, results: Sequence[PromptResult], kinds: Sequence[str | None], plain: str) -> dict[str, Any]:
    ratios = [speedup(result.calls[name], _faster_baseline(result, plain)) for result in results]
    over_transformers = _ratios(name, results, plain)
    over_best = list(map(min, zip(*(_ratios(name, results, peer) for peer in _peers(results)))))  # the fastest there
    return {
        "speedup": statistics.fmean(ratios),
        "speedup_interval": interval(ratios),
        "speedup_worst": min(ratios),
        "speedup_best": max(ratios),
        "speedup_over_transformers": statistics.fmean(over_transformers),
        "speedup_over_transformers_interval": interval(over_transformers),
        "wins": statistics.fmean(ratio > 1 for ratio in over_best),  # share of prompts ahead of every peer
        "over_best_peer": statistics.fmean(over_best),
        "over_best_peer_interval": interval(over_best),
        "worst_over_best_peer": min(over_best),
        **_work([result.calls[name][0] for result in results]),
        **_times([call for result in results for call in result.calls[name]]),
        **_texts(name, results),
        "prompts": len(results),
        "by_kind": _by_kind(ratios, kinds),
        "by_kind_over_transformers": _by_kind(over_transformers, kinds),
        "speedups": ratios,
        "speedups_over_transformers": over_transformers,
    }


def _by_kind(ratios: Sequence[float], kinds: Sequence[str | None]) -> dict[str, float]:
    """Means over the prompts of each kind."""
    found: dict[str, list[float]] = {}
    for kind, ratio in zip(kinds, ratios):
        found.setdefault(kind or "other", []).append(ratio)
    return {kind: statistics.fmean(of_kind) for kind, of_kind in found.items()}


def _work(calls: list[Measurement]) -> dict[str, Any]:
    """Counts over the prompts, of the first call on each."""
    own = all(call.drafted_nodes is not None for call in calls)
    rounds = sum(call.rounds for call in calls)
    return {
        "mean_acceptance_length": mean_acceptance_length(sum(call.accepted for call in calls), rounds),
        "new_tokens": sum(len(call.tokens) for call in calls),
        "rounds": rounds,
        "draft_forwards": sum(call.draft_forwards for call in calls),
        "target_forwards": sum(call.target_forwards for call in calls),
        "drafted_nodes": sum(call.drafted_nodes for call in calls) if own else None,
        "verified_nodes": sum(call.verified_nodes for call in calls) if own else None,
    }


def _times(calls: list[Measurement]) -> dict[str, Any]:
    """Times over prompts and repeats; the engine's, and those of the first round and of the others, only for ours."""
    wall_ms, rounds = sum(call.wall_ms for call in calls), sum(call.rounds for call in calls)
    per_second = 1e3 * sum(len(call.tokens) for call in calls) / wall_ms
    if any(call.times is None for call in calls):
        return {
            "tokens_per_s": per_second,
            "first_round_ms": None,
            "phases_ms_per_round": None,
            "overhead_ms_per_round": None,
            "engine_share": None,
        }
    later = max(rounds - len(calls), 1)
    return {
        "tokens_per_s": per_second,
        "first_round_ms": statistics.fmean(call.first.total for call in calls),
        "phases_ms_per_round": {
            phase.name: sum(getattr(call.times, phase.name) - getattr(call.first, phase.name) for call in calls) / later
            for phase in fields(Times)
        },
        "overhead_ms_per_round": statistics.median(call.overhead_ms / call.rounds for call in calls),
        "engine_share": sum(call.overhead_ms for call in calls) / wall_ms,
    }


def _texts(name: str, results: Sequence[PromptResult]) -> dict[str, Any]:
    """On how many prompts every text is plain greedy's, and where others leave it; None where texts were sampled."""
    if any(result.divergences is None for result in results):
        return {"matches": None, "beyond_rounding": None, "divergences": None}
    found = [result.divergences[name] for result in results]
    differing = [one for one in found if one is not None]
    return {
        "matches": len(found) - len(differing),
        "beyond_rounding": sum(one.beyond_rounding for one in differing),
        "divergences": [one and {**asdict(one), "beyond_rounding": one.beyond_rounding} for one in found],
    }


def _peers(results: Sequence[PromptResult]) -> list[str]:
    return [name for name in results[0].calls if name in PEERS]


def _ratios(name: str, results: Sequence[PromptResult], baseline: str) -> list[float]:
    return [speedup(result.calls[name], result.calls[baseline]) for result in results]


def _faster_baseline(result: PromptResult, plain: str) -> list[Measurement]:
    return min(
        (result.calls["ar"], result.calls[plain]),
        key=lambda calls: statistics.median(call.ms_per_token for call in calls),
    )
