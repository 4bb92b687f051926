"""The methods of a benchmark, ours and those of transformers, with one timed call each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from time import perf_counter
from typing import Any, Protocol

from gsd.config import RunSpec
from gsd.decode.runner import Runner
from gsd.errors import GsdError, InputError
from gsd.lab.external import EXTERNAL, External, StockModels, counted, plain_external
from gsd.methods import BASELINE, METHODS, PRESETS, USUAL
from gsd.models.base import out_of_memory
from gsd.spec import SamplingSpec
from gsd.trace.records import Tally
from gsd.trace.round import Times

# Our methods by name, and the presets of the usual one by theirs, each with what its name fixes.
OWN: dict[str, dict[str, Any]] = {
    **{name: {"method": USUAL, **values} for name, values in PRESETS.items()},
    **{name: {"method": name} for name in METHODS},
}


@dataclass(frozen=True, slots=True)
class Measurement:
    """One call. `accepted` are drafted tokens that were emitted.

    `drafted_nodes`, `verified_nodes` and the times are None for external methods, which do not report them. `times`
    are sums over the rounds. `first` are those of the first round, in which both models run the prompt. `tokens` is
    None if the call was read from a file, because texts are not saved.
    """

    new_tokens: int
    wall_ms: float
    rounds: int
    accepted: int
    draft_forwards: int
    target_forwards: int
    drafted_nodes: int | None = None
    verified_nodes: int | None = None
    times: Times | None = None
    first: Times | None = None
    tokens: list[int] | None = None

    @property
    def ms_per_token(self) -> float:
        """Wall time over new tokens."""
        return self.wall_ms / self.new_tokens

    @property
    def overhead_ms(self) -> float | None:
        """Time outside the models' forwards."""
        return None if self.times is None else self.wall_ms - self.times.draft - self.times.verify


class Contender(Protocol):
    """A method that decodes a prompt and is timed."""

    def measure(self, prompt: list[int]) -> Measurement:
        """Decode once, timed."""


class OwnMethod:
    """One of our methods through the engine's loop, without a trace."""

    def __init__(self, runner: Runner, spec: RunSpec) -> None:
        self._runner = runner
        self._spec = spec

    def measure(self, prompt: list[int]) -> Measurement:
        """Decode once, timed."""
        tally, tokens, times = Tally(), [], []
        start = perf_counter()
        for round_ in self._runner.rounds(self._spec, prompt):
            tally.add(round_)
            tokens += round_.new_tokens
            times.append(round_.times)
        wall_ms = (perf_counter() - start) * 1e3
        return Measurement(
            len(tokens),
            wall_ms,
            tally.rounds,
            tally.accepted,
            tally.draft_forwards,
            tally.target_forwards,
            tally.drafted_nodes,
            tally.verified_nodes,
            Times(*(sum(phase) for phase in zip(*map(astuple, times)))),
            times[0],
            tokens,
        )


class ExternalMethod:
    """A method of transformers."""

    def __init__(self, external: External) -> None:
        self._external = external

    @out_of_memory("shorten the prompts, lower --max-new-tokens, or use --dtype bfloat16")
    def measure(self, prompt: list[int]) -> Measurement:
        """Decode once, timed; forwards are counted by hooks on the models, each of the target's giving one token.

        So where a text is cut among drafted tokens, one of them is taken for the target's own.
        """
        with counted(self._external.target) as target, counted(self._external.assistant) as draft:
            start = perf_counter()
            tokens = self._external.generate(prompt)
            wall_ms = (perf_counter() - start) * 1e3
        rounds = target[0]
        accepted = max(len(tokens) - rounds, 0)
        return Measurement(len(tokens), wall_ms, rounds, accepted, draft[0], rounds, tokens=tokens)


class Unmade:
    """A contender that could not be created, for example for lack of memory. Every call raises that error."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def measure(self, prompt: list[int]) -> Measurement:
        """Raise what making it raised."""
        raise self._error


def error_line(error: Exception) -> str:
    """The line for a failure: our own errors as they are, others with their type."""
    said = " ".join(str(error).split())
    return said if isinstance(error, GsdError) else f"{type(error).__name__}: {said}".rstrip(": ")


def methods_to_run(names: Sequence[str], sampling: SamplingSpec) -> list[str]:
    """The methods to run: both baselines, then those asked for. Raises `InputError` for an unknown one."""
    plain = plain_external(sampling)
    known = {*OWN, *EXTERNAL} - ({"hf-greedy", "hf-sample"} - {plain})
    for name in names:
        if name not in known:
            law = f"at temperature {sampling.temperature:g}"
            raise InputError(f"unknown method {name!r} {law}; choose among {', '.join(sorted(known))}")
    return list(dict.fromkeys([BASELINE, plain, *names]))


def contender(runner: Runner, stock: StockModels, spec: RunSpec, name: str) -> Contender:
    """An external method by its name; any other name is one of ours, with the settings of `spec`."""
    if name in EXTERNAL:
        try:
            return ExternalMethod(External(stock, name, spec, runner.eos))
        except Exception as error:  # somebody else's code: whatever it raises is its failure alone
            return Unmade(error)
    return OwnMethod(runner, spec)
