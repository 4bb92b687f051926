"""Sweeps: many runs from one YAML file. The folder of a run appears only when the run is complete.

docs/sweep.md describes the file. `gsd.lab.executors` runs the cells. No torch.
"""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import math
import shlex
import shutil
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import yaml
from pydantic import Field, field_validator, model_validator

from gsd.config import RunSpec
from gsd.decode.prompts import read_prompts
from gsd.errors import InputError
from gsd.methods import MethodSettings, preset, read_by
from gsd.models.pairs import chosen_models
from gsd.spec import Prompt, SamplingSpec, Spec, build
from gsd.trace.writer import check_writable

if TYPE_CHECKING:
    from gsd.lab.executors import LocalExecutor, RayExecutor
from gsd.lab.cells import STAGING, folder_of, is_done, record_failure

MOST_CELLS = 1_000_000
_SHARED = {"sampling", "max_new_tokens", "stop", "device", "dtype", "packed", "detail"}  # the same in every cell


class SweepPair(Spec):
    """A target and a draft, by the options of `gsd generate`: a preset, or hub ids, folders or GGUF files."""

    pair: str | None = None
    target: str | None = None
    draft: str | None = None
    target_revision: str | None = None
    draft_revision: str | None = None
    trust_remote_code: bool = False
    draft_quant: str = "none"

    @model_validator(mode="after")
    def _names_models(self) -> SweepPair:
        if not (self.pair or self.target or self.draft):
            raise ValueError("name a pair, or a target and a draft")
        return self


class SweepSpec(Spec):
    """What a sweep runs: every pair with every setting and every prompt.

    A setting is one of `settings` with one combination of `grid` on top, written as its method reads it: those
    that draft the same are one. What all cells share is checked, and what is left out is filled in, by `RunSpec`.
    """

    pairs: Annotated[tuple[SweepPair | str, ...], Field(min_length=1)]
    prompts: Annotated[tuple[Prompt, ...], Field(min_length=1)]
    settings: Annotated[tuple[dict[str, Any] | str, ...], Field(min_length=1)] = ({},)
    grid: Annotated[dict[str, Annotated[tuple[Any, ...], Field(min_length=1)]], Field(default_factory=dict)]
    sampling: SamplingSpec = SamplingSpec()
    max_new_tokens: int = 64
    stop: tuple[str, ...] = ()
    device: str = "auto"
    dtype: str = "auto"
    packed: bool = True
    detail: str = "full"
    out: Path

    @field_validator("prompts")
    @classmethod
    def _ids_are_their_own(cls, prompts: tuple[Prompt, ...]) -> tuple[Prompt, ...]:
        twice = [one for one, count in Counter(prompt.id for prompt in prompts).items() if count > 1]
        if twice:
            raise ValueError(f"id {twice[0]!r} is that of two prompts: give each its own")
        return prompts

    @model_validator(mode="after")
    def _every_setting_can_run(self) -> SweepSpec:
        count = math.prod(map(len, (self.pairs, self.settings, self.prompts, *self.grid.values())))
        if count > MOST_CELLS:
            raise ValueError(f"the file makes {count:,} cells; a sweep has {MOST_CELLS:,} at most")
        self._with_one_prompt()
        return self

    def cells(self) -> dict[str, RunSpec]:
        """Every run by its digest, pair after pair, so that models are seldom loaded."""
        runs = (run.model_copy(update={"prompt": each}) for run in self._with_one_prompt() for each in self.prompts)
        cells: dict[str, RunSpec] = {}
        for run in runs:
            cells.setdefault(run.digest(), run)  # of those that are one cell, the first: `ar` with this draft or that
        return cells

    def _with_one_prompt(self) -> list[RunSpec]:
        shared = {name: getattr(self, name) for name in _SHARED & self.model_fields_set}
        drafting = [
            _drafting(preset(setting) if isinstance(setting, str) else setting, dict(zip(self.grid, values)))
            for setting in self.settings
            for values in itertools.product(*self.grid.values())
        ]
        return [
            build(RunSpec, {**shared, **_models(one), "prompt": self.prompts[0], "drafting": each})
            for one in self.pairs
            for each in drafting
        ]


@dataclass(frozen=True, slots=True)
class Progress:
    """Progress of a sweep in cells. `done` also counts those of earlier sweeps. `left_s` None: not known yet."""

    done: int
    failed: int
    total: int
    left_s: float | None


@dataclass(frozen=True, slots=True)
class SweepResult:
    """Folders of the complete runs, how many of them were there before, and errors by digest."""

    runs: list[Path]
    skipped: int
    failures: dict[str, str]


def read_sweep(path: Path, load: Collection[str] = (), *, trust: bool = False) -> SweepSpec:
    """Read a sweep file; `prompts` and `out` are relative to it. Raises `InputError`, one line.

    The file may ask to run code that comes with its models. This needs `trust`, and the name of each such model
    (`ModelSpec.name`) in `load`. Otherwise the file is refused.
    """
    try:
        values = yaml.safe_load(path.read_bytes())
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise InputError(f"sweep file {path} cannot be read: {' '.join(str(error).split())}") from None
    if not isinstance(values, dict) or not all(isinstance(key, str) for key in values):
        raise InputError(f"sweep file {path}: a mapping with pairs, prompts and out is wanted")
    if missing := [key for key in ("pairs", "prompts", "out") if key not in values]:
        raise InputError(f"sweep file {path} lacks {', '.join(missing)}")
    folder = path.resolve().parent
    try:
        values["prompts"] = _prompts(values["prompts"], folder)
        if isinstance(values["out"], str):
            values["out"] = folder / values["out"]
        spec = build(SweepSpec, values)
        _check_trust(spec, load if trust else ())
        return spec
    except InputError as error:
        raise InputError(f"sweep file {path}: {error}") from None


def run_sweep(
    spec: SweepSpec, executor: LocalExecutor | RayExecutor, progress: Callable[[Progress], None] = lambda _: None
) -> SweepResult:
    """Run every cell that is not done yet. If a cell fails, that is recorded and the others go on.

    Raises `InputError` if another sweep is at work in the same folder.
    """
    out, cells = spec.out.resolve(), spec.cells()
    with _owned(out):
        done = {digest: folder for digest, run in cells.items() if (folder := _done(run, out))}
        skipped, failures, began = len(done), {}, time.monotonic()
        progress(Progress(skipped, 0, len(cells), None))
        wanted = [run for digest, run in cells.items() if digest not in done]
        with contextlib.closing(executor.submit(wanted, out)) as outcomes:
            for tried, outcome in enumerate(outcomes, 1):
                digest = outcome.spec.digest()
                if outcome.error is None:
                    done[digest] = folder_of(digest, out)
                else:
                    failures[digest] = outcome.error
                    record_failure(out, digest, outcome.spec, outcome.error)
                left_s = (time.monotonic() - began) / tried * (len(wanted) - tried)
                progress(Progress(len(done), len(failures), len(cells), left_s))
    return SweepResult([done[digest] for digest in cells if digest in done], skipped, failures)


def _done(run: RunSpec, out: Path) -> Path | None:
    """The folder of a cell that is done, by this version or an earlier one; None where none is."""
    digest = run.digest()
    folder = folder_of(digest, out)
    return folder if is_done(folder, digest) else None


@contextlib.contextmanager
def _owned(out: Path) -> Iterator[None]:
    """`out` with an empty staging folder, for one sweep at a time; what a killed one left there goes."""
    with (check_writable(out) / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # let go of by the system when the process ends
        except BlockingIOError:
            raise InputError(f"another sweep is at work in {out}: wait for it or choose another `out`") from None
        shutil.rmtree(out / STAGING, ignore_errors=True)
        (out / STAGING).mkdir(exist_ok=True)
        try:
            yield
        finally:
            shutil.rmtree(out / STAGING, ignore_errors=True)


def _prompts(value: Any, folder: Path) -> Any:
    """Prompts of a file, or those given inline, each with an id; anything else is for the spec to refuse."""
    if isinstance(value, str):
        file = read_prompts(folder / value)
        if file.broken:
            raise InputError(f"prompt file {folder / value}, line {file.broken[0].line}: {file.broken[0].error}")
        return file.prompts
    if not isinstance(value, list):
        return value
    return [{"id": f"prompt-{n}", **one} if isinstance(one, dict) else one for n, one in enumerate(value, 1)]


def _models(one: SweepPair | str) -> dict[str, Any]:
    chosen = SweepPair(pair=one) if isinstance(one, str) else one
    return chosen_models(chosen.pair, chosen.target, chosen.draft, chosen.target_revision, chosen.draft_revision,
                         chosen.trust_remote_code, chosen.draft_quant)  # fmt: skip


def _check_trust(spec: SweepSpec, trusted: Collection[str]) -> None:
    """A file alone gives no trust: whoever starts the sweep names the models."""
    asked = [model.name for one in spec.pairs for model in map(_models(one).get, ("target", "draft"))
             if model and model.trust_remote_code]  # fmt: skip
    if lacking := [name for name in dict.fromkeys(asked) if name not in trusted]:
        named = " ".join(f"--load {shlex.quote(name)}" for name in lacking)
        raise InputError(f"it wants code to be run that comes with {', '.join(lacking)}: give {named} "
                         "--trust-remote-code if that is to be run")  # fmt: skip
    if strange := set(trusted) - set(asked):
        raise InputError(f"--load {min(strange)}: the file wants no code of that model to be run")


def _drafting(setting: dict[str, Any], combination: dict[str, Any]) -> MethodSettings:
    """The settings as their method reads them."""
    return read_by({**setting, **combination})
