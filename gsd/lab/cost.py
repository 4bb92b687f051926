"""Cost curves: the time of a forward of N tokens on a device, and of a replayed run there. No torch.

Every time computed from them is *modelled*, not measured.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from gsd.errors import InputError, TraceError

SCHEMA = 2
COSTS_FILE = "costs.json"  # in an atlas: the curves of the machine that made it
Described = Mapping[str, Mapping[str, Any]]  # target and draft, as the head of a trace or of an atlas describes them


@dataclass(frozen=True, slots=True)
class Curve:
    """Milliseconds of one forward by its number of tokens: medians over repeats, and their quartiles."""

    tokens: list[int]
    ms: list[float]
    low_ms: list[float]
    high_ms: list[float]

    def at(self, tokens: int | Sequence[int]) -> np.ndarray:
        """Between the measured sizes a straight line; beyond the largest, the slope of the last piece goes on."""
        size = np.asarray(tokens, dtype=float)
        slope = (self.ms[-1] - self.ms[-2]) / (self.tokens[-1] - self.tokens[-2])
        beyond = np.maximum(size - self.tokens[-1], 0.0) * max(slope, 0.0)
        return np.interp(size, self.tokens, self.ms) + beyond

    def line(self) -> Line:
        """The least-squares line through the medians."""
        per_token, fixed = np.polyfit(self.tokens, self.ms, 1)
        fitted = fixed + per_token * np.asarray(self.tokens)
        return Line(float(fixed), float(per_token), float(np.mean(np.abs(fitted / self.ms - 1))))


@dataclass(frozen=True, slots=True)
class Line:
    """ms = `fixed_ms` + `per_token_ms` × tokens; `error` is its mean relative distance from the medians."""

    fixed_ms: float
    per_token_ms: float
    error: float


@dataclass(frozen=True, slots=True)
class Overhead:
    """The engine's own milliseconds: per round, per draft level, and per drafted node."""

    round_ms: float
    level_ms: float
    node_ms: float


@dataclass(frozen=True, slots=True)
class Costs:
    """The cost curves of a pair on one device, and the engine's own time. `machine` describes the device.

    `plain_ms` is a whole round of plain decoding, engine included: the curve is measured behind a draft's
    forward, and behind another of its own the target finds more of its weights in the processor's caches.
    """

    draft: Curve
    target: Curve
    overhead: Overhead
    plain_ms: float
    machine: dict[str, Any]

    def run_ms(self, draft: Sequence[int], target: Sequence[int], drafted_nodes: int) -> float:
        """A run with draft forwards and target forwards of so many tokens, one of the latter a round.

        Without a draft it is plain decoding, and costs what that was measured to.
        """
        if not len(draft):
            return self.plain_run_ms(target[0], len(target))
        own = self.overhead
        engine = own.round_ms * len(target) + own.level_ms * len(draft) + own.node_ms * drafted_nodes
        return float(self.draft.at(draft).sum() + self.target.at(target).sum()) + engine

    def plain_run_ms(self, prompt: int, new: int) -> float:
        """Plain decoding of `new` tokens behind a prompt of so many; the first forward takes the prompt."""
        return float(self.target.at(prompt)) + self.overhead.round_ms + self.plain_ms * (new - 1)

    def check_models(self, models: Described, file: Path) -> list[str]:
        """Raise `InputError` if the curves of `file` are of other models. Returns the roles that they do not name."""
        unnamed = []
        for role, model in models_named(models).items():
            if self.machine.get(role, "").count(", ") < 2:  # none, or of a version that left out the dtype
                unnamed.append(role)
            elif self.machine[role] != model:
                raise InputError(f"{file} has curves of the {role} {self.machine[role]}, not of {model}: "
                                 "measure that with gsd calibrate, and name its file with --costs")  # fmt: skip
        return unnamed

    def save(self, file: Path) -> None:
        """Write the curves as JSON. Raises `TraceError` if the file cannot be written."""
        lines = {name: asdict(getattr(self, name).line()) for name in ("draft", "target")}
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps({"schema": SCHEMA, **asdict(self), "lines": lines}, indent=1))
        except OSError as error:
            raise TraceError(f"cannot write {file}: {error.strerror or error}; choose another --out") from error

    @classmethod
    def load(cls, file: Path) -> Costs:
        """Read a file that `save` wrote. Raises `TraceError` for other files."""
        try:
            values = json.loads(file.read_text())
            if values["schema"] != SCHEMA:
                raise TraceError(f"{file}: cost schema {values['schema']!r}, not {SCHEMA}: run gsd calibrate anew")
            curves = (Curve(**values["draft"]), Curve(**values["target"]))
            if any(not 2 <= len(one.tokens) == len(one.ms) for one in curves):
                raise ValueError("a curve of fewer than two sizes, or of other sizes than times")
            overhead = Overhead(**values["overhead"])
            times = [number for one in curves for number in (*one.tokens, *one.ms, *one.low_ms, *one.high_ms)]
            _check_numbers([*times, values["plain_ms"], *asdict(overhead).values()])
            return cls(*curves, overhead, values["plain_ms"], dict(values["machine"]))
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise TraceError(f"{file} holds no cost curves ({error}); make them with gsd calibrate") from None


def _check_numbers(values: Sequence[Any]) -> None:
    """Raise `ValueError` for what is no finite number: a file may hold anything."""
    for value in values:
        if type(value) not in (int, float) or not abs(value) < 1e15:
            raise ValueError(f"{str(value)[:40]!r} is no number")


def models_named(models: Described) -> dict[str, str]:
    """Target and draft by what determines their times: the last part of the source, dtype and quantization."""
    return {role: _named(models[role]) for role in ("target", "draft")}


def _named(model: Mapping[str, Any]) -> str:
    held = model.get("quantization", "none")  # of which an older description says nothing
    return f"{PurePath(model['source']).name.lower()}, {model['dtype']}, quantization {held}"
