"""Decode a recorded run again, and compare the results."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gsd.config import RunSpec
from gsd.decode.recorded import as_settled
from gsd.decode.runner import Runner
from gsd.errors import InputError, PromptError
from gsd.lab.bench.divergence import first_difference
from gsd.methods import METHODS
from gsd.spec import build
from gsd.trace.form import COUNTS, IDENTITY
from gsd.trace.read import RunTrace, read_run

_SETUP = ("revision", "dtype", "device", "forward", "quantization")


@dataclass(frozen=True, slots=True)
class Comparison:
    """A recorded run beside the same settings run now; pairs are (recorded, now)."""

    run: str
    first_difference: int | None  # index among the new tokens; None where all are the same
    counts: dict[str, tuple[int, int]]
    draw: str | None  # how tokens were drawn, then and now; None: none were, the text is greedy
    fixed_work: bool  # whether the counts must be the same, see `Method.fixed_work`
    setup: dict[str, tuple[Any, Any]]  # versions, machine and what models are held as, where that differs
    prompt: str | None = None  # how the prompt would become other tokens now; those recorded were decoded

    @property
    def same_tokens(self) -> bool:
        """Whether the text is the same, token by token."""
        return self.first_difference is None

    @property
    def same_counts(self) -> dict[str, bool]:
        """Whether each count is the same, by name."""
        return {name: recorded == now for name, (recorded, now) in self.counts.items()}

    @property
    def same(self) -> bool:
        """Whether tokens are the same, and all counts where the method does the same work each time."""
        return self.same_tokens and (not self.fixed_work or all(self.same_counts.values()))


def rerun(run_folder: Path, runner: Runner) -> Comparison:
    """Decode the recorded prompt tokens again, with the settings of the run and the loaded pair.

    Nothing is written. If the prompt would now become other tokens, the result says so. Raises `InputError` if the run
    is not complete, or was made with other models.
    """
    recorded = read_run(run_folder)
    if recorded.end is None or recorded.status != "complete":
        raise InputError(f"{run_folder}: the run is {recorded.status}; only a complete one can be compared")
    spec = build(RunSpec, as_settled(recorded.meta))
    meta = runner.meta(spec)
    _check_models(recorded, meta)
    prompt = _prompt_tokens(recorded)
    now = runner.run(spec, None, prompt=prompt)
    before = [token for round_ in recorded.rounds for token in round_.new_tokens]
    totals = recorded.end["totals"]
    return Comparison(
        run=recorded.name,
        first_difference=first_difference(before, now.tokens),
        counts={name: (totals[name], now.totals[name]) for name in COUNTS},
        draw=spec.sampling.draw if spec.sampling.temperature else None,
        fixed_work=METHODS[spec.drafting.method].fixed_work,
        setup=_setup_changes(recorded.meta, meta),
        prompt=_prompt_change(prompt, spec, runner),
    )


def _prompt_tokens(recorded: RunTrace) -> list[int]:
    """The prompt as the target read it; raises `InputError` where it holds what is no token of that."""
    tokens, size = recorded.meta["prompt_tokens"], recorded.meta["target"]["vocab_size"]
    for token in tokens:
        if not (isinstance(token, int) and 0 <= token < size):
            raise InputError(f"run {recorded.name}: its prompt holds {token!r}, which is none of {size} tokens")
    return tokens


def _prompt_change(before: list[int], spec: RunSpec, runner: Runner) -> str | None:
    try:
        now = runner.encode(spec.prompt)
    except PromptError as error:
        return str(error)
    place = first_difference(before, now)
    if place is None:
        return None
    return f"the prompt would now be {len(now)} tokens, and was {len(before)}; they differ from {place}"


def _check_models(recorded: RunTrace, meta: dict[str, Any]) -> None:
    for role in ("target", "draft"):
        before, now = recorded.meta[role], meta[role]
        for key in IDENTITY if before else ():
            if now is None or before[key] != now[key]:
                loaded = now[key] if now else None
                raise InputError(
                    f"run {recorded.name}: its {role} {before['source']} has {key} {before[key]}, "
                    f"the one loaded has {loaded}; load the pair that made it"
                )


def _setup_changes(before: dict[str, Any], now: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    pairs = {name: (before.get("versions", {}).get(name), version) for name, version in now["versions"].items()}
    pairs |= {name: (was, now["machine"].get(name)) for name, was in before.get("machine", {}).items()}
    for role in ("target", "draft"):
        recorded = before[role] or {}  # an older one lacks some of the keys
        pairs |= {f"{role} {key}": (recorded[key], now[role][key]) for key in _SETUP if key in recorded}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}
