"""`gsd generate`: decode prompts and write their traces."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import options
from cli.output import console, end_with_broken_lines, load, note, print_json, progress
from gsd.config import RunSpec
from gsd.decode.prompts import BrokenLine, PromptFile
from gsd.errors import InputError, PromptError
from gsd.methods import METHODS
from gsd.methods.base import Need
from gsd.models.pairs import chosen_models
from gsd.spec import SamplingSpec, build
from gsd.trace.writer import check_writable

if TYPE_CHECKING:
    from gsd.decode.runner import Runner, RunResult


@options.with_settings
def generate(
    pair_name: options.PairName = None,
    target: options.Target = None,
    draft: options.Draft = None,
    target_revision: options.TargetRevision = None,
    draft_revision: options.DraftRevision = None,
    draft_quant: options.DraftQuant = "auto",
    trust_remote_code: options.Trust = False,
    prompt: Annotated[str | None, typer.Option(help="The text to continue.")] = None,
    prompt_file: Annotated[Path | None, typer.Option(help="JSON lines with id, prompt, kind, chat.")] = None,
    preset_name: options.PresetName = None,
    method: options.MethodName = None,
    set_: options.Set = None,
    settings: dict[str, Any] | None = None,
    max_new_tokens: options.NewTokens = "64",
    temperature: options.Temperature = "0.0",
    top_k: options.TopK = "0",
    top_p: options.TopP = "1.0",
    seed: options.Seed = "0",
    stop: Annotated[list[str] | None, typer.Option(help="End before this text; may be given often.")] = None,
    raw: Annotated[bool, typer.Option("--raw", help="No chat template.")] = False,
    device: options.Device = "auto",
    dtype: options.DtypeName = "auto",
    packed: options.Packed = True,
    out: Annotated[Path, typer.Option(help="Where run folders go.")] = Path("runs"),
    trace: Annotated[str, typer.Option(help="full, counters or none.")] = "full",
    baseline: Annotated[bool, typer.Option("--baseline", help="Measure ar on the same prompt, too.")] = False,
    as_json: options.Json = False,
) -> None:
    """Decode a prompt, or a file of them, and write each run's trace."""
    if trace not in ("full", "counters", "none"):
        raise InputError(f"--trace {trace!r}: choose full, counters or none")
    models = chosen_models(pair_name, target, draft, target_revision, draft_revision, trust_remote_code, draft_quant)
    drafting = options.drafting(preset_name, method, {**options.assigned(set_), **(settings or {})})
    file = options.prompts(prompt, prompt_file)
    shared = {
        **models, **({} if Need.DRAFT in METHODS[drafting.method].needs else {"draft": None}), "drafting": drafting,
        "sampling": build(SamplingSpec, {"temperature": temperature, "top_k": top_k, "top_p": top_p, "seed": seed}),
        "max_new_tokens": max_new_tokens, "stop": tuple(stop or ()), "device": device, "dtype": dtype,
        "packed": packed, "detail": "counters" if trace == "none" else trace,
    }  # fmt: skip
    prompts = [one.model_copy(update={"chat": False} if raw else {}) for one in file.prompts]
    specs = [build(RunSpec, {**shared, "prompt": one}) for one in prompts]
    folder = None if trace == "none" else check_writable(out)
    _Decoding(file, specs, single=prompt_file is None, as_json=as_json).run(folder, baseline=baseline)


class _Decoding:
    """One call of `generate`: its prompts, and what came of them so far."""

    def __init__(self, file: PromptFile, specs: list[RunSpec], *, single: bool, as_json: bool) -> None:
        self._file = file
        self._specs = specs
        self._single = single
        self._as_json = as_json
        self._done: list[tuple[RunSpec, RunResult]] = []

    def run(self, out: Path | None, *, baseline: bool) -> None:
        """Decode all, then report; what is done when an interrupt or an error ends it is reported, too."""
        runner = load(self._specs[0])
        try:
            if self._single:
                self._run_one(runner, out, baseline=baseline)
            else:
                self._run_file(runner, out, baseline=baseline)
        except BaseException:
            if self._done:
                self._report()
            raise
        self._report()
        end_with_broken_lines(self._file)

    def _run_one(self, runner: Runner, out: Path | None, *, baseline: bool) -> None:
        """A prompt given alone: its tokens move the bar on."""
        (spec,) = self._specs
        tokens = 0
        with progress("tokens", spec.max_new_tokens) as advance:

            def on_round(record: dict[str, Any]) -> None:
                nonlocal tokens
                tokens += len(record["new_tokens"])
                advance(to=tokens)

            self._done.append((spec, runner.run(spec, out, on_round=on_round, baseline=baseline)))

    def _run_file(self, runner: Runner, out: Path | None, *, baseline: bool) -> None:
        """The prompts of a file: each moves the bar on, and one that cannot be decoded is left out."""
        with progress("prompts", len(self._specs)) as advance:
            for place, spec in enumerate(self._specs):
                try:
                    self._done.append((spec, runner.run(spec, out, baseline=baseline)))
                except PromptError as error:
                    self._skip(place, error)
                advance(note=spec.prompt.id)

    def _skip(self, place: int, error: PromptError) -> None:
        """Name a prompt of the file that cannot be decoded among its broken lines."""
        self._file.broken.append(BrokenLine(self._file.lines[place], str(error)))
        self._file.broken.sort(key=lambda broken: broken.line)

    def _report(self) -> None:
        rows = [{"id": spec.prompt.id, **_row(result)} for spec, result in self._done]
        for line in dict.fromkeys(line for _, result in self._done for line in result.notes):
            note(line)
        if self._as_json:
            skipped = [asdict(line) for line in self._file.broken]
            print_json(rows[0] if self._single else {"runs": rows, "totals": _summed(rows), "skipped": skipped})
            return
        for spec, result in self._done:
            print(result.text if self._single else f"== {spec.prompt.id}\n{result.text}")
            console.print(_summary(result), highlight=False, markup=False, soft_wrap=True)


def _row(result: RunResult) -> dict[str, Any]:
    """One run as the JSON output has it."""
    compared = result.baseline or {}
    names = ("speedup", "speedup_low", "speedup_high", "matches_baseline")
    comparison = {name: compared[name] for name in names if name in compared}
    return {"run": result.run, "text": result.text, "tokens": result.tokens, "stop": result.stop,
            **result.totals, **comparison}  # fmt: skip


def _summed(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Counts and times of all runs together; rates would need weights and are left to the runs."""
    names = ("new_tokens", "rounds", "draft_forwards", "target_forwards", "drafted_nodes", "verified_nodes",
             "merges", "wall_ms", "draft_ms", "verify_ms", "overhead_ms")  # fmt: skip
    return {name: sum(row[name] for row in rows) for name in names}


def _summary(result: RunResult) -> str:
    totals = result.totals
    parts = [
        f"{totals['new_tokens']} tokens in {totals['rounds']} rounds",
        f"acceptance length {totals['mean_acceptance_length']:.2f}",
        f"{totals['merges']} merges",
        f"{totals['tokens_per_s']:.1f} tokens/s",
    ]
    if result.baseline:
        same = "same text" if result.baseline["matches_baseline"] else "another text"
        parts.append(f"{result.baseline['speedup']:.2f}x ar (measured, {same})")
    if result.folder:
        parts.append(str(result.folder))
    return ", ".join(parts)
