"""Modelled times of a run's rounds by cost curves, beside the measured times. Formulas: docs/metrics.md.

Times named `modelled` come from `gsd.lab.cost` and are never measured.
"""

from __future__ import annotations

from typing import Any

import pandas as pd

from analysis.replay import cached_nodes, draft_forwards
from gsd.errors import InputError
from gsd.lab.cost import Costs
from gsd.trace.parts import GraphColumns, Milliseconds
from gsd.trace.read import RunTrace
from gsd.trace.recorded_round import RecordedRound

PHASES = ("draft", "verify", "engine")
COLUMNS = {
    "round": "index: round of the run, from 0",
    "phase": "name: draft and verify (forwards of the models), engine (all else)",
    "measured_ms": "ms: what the phase took",
    "modelled_ms": "ms: what the cost curves say for as many tokens and nodes",
    "model": "name: draft or target",
    "tokens": "tokens: in one forward",
    "ms": "ms: median over repeats",
    "low_ms": "ms: lower quartile",
    "high_ms": "ms: upper quartile",
    "line_ms": "ms: on the least-squares line through the medians",
}

_SAME = ("architecture", "parameters", "layers", "dtype", "device", "quantization")
_MACHINE = ("processor", "threads", "gpu")
_MANNERS = ("niceness", "waits")  # how a process gets on with others on the same cores


def cost_curves(costs: Costs) -> pd.DataFrame:
    """The measured points of both curves: model, tokens, ms, low_ms, high_ms, line_ms."""
    rows = []
    for model in ("draft", "target"):
        curve = getattr(costs, model)
        line = curve.line()
        for tokens, ms, low, high in zip(curve.tokens, curve.ms, curve.low_ms, curve.high_ms):
            rows.append((model, tokens, ms, low, high, line.fixed_ms + line.per_token_ms * tokens))
    return pd.DataFrame(rows, columns=["model", "tokens", "ms", "low_ms", "high_ms", "line_ms"])


def difference(meta: dict[str, Any], other: dict[str, Any]) -> str | None:
    """The first thing in which the models or the machines of two runs differ, in words; None where all agree.

    `meta` is a run's, `other` a run's or an atlas's, which is told of. Older traces do not say `quantization`: there
    was none. Nor do they say their `machine`, which is then not held against any.
    """
    for role in ("target", "draft"):
        own, its = meta[role], other[role]
        if not (own and its):
            return f"a {role} is lacking"
        for key in _SAME:
            mine, theirs = (model.get(key, "none" if key == "quantization" else None) for model in (own, its))
            if mine != theirs:
                return f"{role} {key} {theirs}, not {mine}"
    here, there = meta.get("machine", {}), other.get("machine", {})
    for key in _MACHINE:
        if key in here and key in there and here[key] != there[key]:
            return f"{key} {there[key]}, not {here[key]}"
    return None


def unlike(meta: dict[str, Any], other: dict[str, Any]) -> str | None:
    """How two recordings differ in the priority of their processes, in words. None if they do not.

    Where one does not say, as older ones, it is not known, which is no difference.
    """
    here, there = meta.get("machine", {}), other.get("machine", {})
    apart = [key for key in _MANNERS if key in here and key in there and here[key] != there[key]]
    return ", ".join(f"{key} {there[key]}, not {here[key]}" for key in apart) or None


def modelled_by_round(run: RunTrace, costs: Costs) -> pd.DataFrame:
    """Measured and modelled milliseconds of every round and phase: run, status, round, phase, measured_ms, modelled_ms.

    modelled: draft = Σ draft curve at the tokens of each draft forward, all that is committed and not cached among
    those of the first; verify = target curve at the root, the verified nodes and, in the first round, the prompt;
    engine = round_ms + levels · level_ms + drafted nodes · node_ms. Raises `InputError` for a run that recorded
    counts alone.
    """
    pending, rows = len(run.meta["prompt_tokens"]), []
    for round_ in run.rounds:
        if not round_.detailed:
            raise InputError("this run recorded counts alone; decode it in full detail to model its rounds")
        forwards = draft_forwards(pending, _level_sizes(round_.graph))
        fed = round_.verified_nodes + (1 if round_.number else len(run.meta["prompt_tokens"]))
        own = costs.overhead
        engine = own.round_ms + own.level_ms * len(forwards) + own.node_ms * round_.drafted_nodes
        modelled = (float(costs.draft.at(forwards).sum()), float(costs.target.at(fed)), engine)
        rows += [(round_.number, phase, *times) for phase, *times in zip(PHASES, _measured(round_.ms), modelled)]
        pending = (0 if forwards else pending) + len(round_.new_tokens) - _cached(round_)
    made = pd.DataFrame(rows, columns=["round", "phase", "measured_ms", "modelled_ms"])
    made.insert(0, "run", run.name)
    made.insert(1, "status", run.status)
    return made


def modelled_speedup(run: RunTrace, rows: pd.DataFrame, costs: Costs) -> float:
    """Modelled milliseconds of plain decoding over those of the run's rounds; `rows` are `modelled_by_round` of it."""
    new = sum(len(round_.new_tokens) for round_ in run.rounds)
    plain = costs.plain_run_ms(len(run.meta["prompt_tokens"]), new)
    return plain / rows["modelled_ms"].sum()


def _measured(ms: Milliseconds) -> tuple[float, ...]:
    return ms.draft, ms.verify, ms.total - ms.draft - ms.verify


def _level_sizes(graph: GraphColumns) -> list[int]:
    """Nodes expanded in each draft forward."""
    return [graph.forwards.count(number) for number in range(1, graph.levels + 1)]


def _cached(round_: RecordedRound) -> int:
    expanded = {node for node, was in enumerate(round_.graph.expanded) if was}
    return cached_nodes(round_.accepted, round_.tree.merged, round_.tree.nodes, expanded)
