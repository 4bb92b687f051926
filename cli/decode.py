"""`gsd generate`: decode prompts and record the runs."""

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
from gsd.spec import build
from gsd.trace.parts import Record
from gsd.trace.recorded_round import RecordedRound
from gsd.trace.writer import check_writable
from gsd.wording import counted

if TYPE_CHECKING:
    from gsd.decode.runner import Runner, RunResult

TRACES = ("full", "counters", "none")
SAME_TEXT = {True: "same text", False: "another text", None: "a text of the same law"}  # as the baseline's


@options.with_settings
@options.unfolded
def generate(
    *,
    models: options.Models,
    prompt: Annotated[str | None, typer.Option(metavar="TEXT", help="Text to continue.")] = None,
    prompt_file: Annotated[Path | None, typer.Option(metavar="FILE", help=options.PROMPT_FILE)] = None,
    preset_name: options.PresetName = None,
    method: options.MethodName = None,
    set_: options.Set = None,
    settings: dict[str, Any] | None = None,
    generation: options.Generation,
    stop: Annotated[
        list[str] | None, typer.Option(metavar="TEXT", help="End the output before this text. May be repeated.")
    ] = None,
    raw: Annotated[bool, typer.Option("--raw", help="Do not apply the model's chat template.")] = False,
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Folder for the recorded runs.")] = Path("runs"),
    trace: Annotated[
        str,
        typer.Option(
            metavar="|".join(TRACES),
            help="What to record. full: every node and decision. counters: counts and times. none: nothing.",
        ),
    ] = "full",
    baseline: Annotated[
        bool, typer.Option("--baseline", help="Also measure plain decoding (ar) on the same prompt.")
    ] = False,
    as_json: options.Json = False,
) -> None:
    """Decode a prompt, or a file of prompts, and record each run."""
    if trace not in TRACES:
        raise InputError(f"--trace {trace!r}: choose full, counters or none")
    shared = models.values()
    drafting = options.drafting(preset_name, method, {**options.assigned(set_), **(settings or {})})
    file = options.prompts(prompt, prompt_file)
    if Need.DRAFT not in METHODS[drafting.method].needs:
        shared["draft"] = None
    shared |= {
        **generation.values(), "drafting": drafting, "stop": tuple(stop or ()),
        "detail": "counters" if trace == "none" else trace,
    }  # fmt: skip
    prompts = [one.model_copy(update={"chat": False} if raw else {}) for one in file.prompts]
    specs = [build(RunSpec, {**shared, "prompt": one}) for one in prompts]
    folder = None if trace == "none" else check_writable(out)
    _Decoding(file, specs, single=prompt_file is None, as_json=as_json).run(folder, baseline=baseline)


class _Decoding:
    """One call of `gsd generate`: its prompts, and the results so far."""

    def __init__(self, file: PromptFile, specs: list[RunSpec], *, single: bool, as_json: bool) -> None:
        self._file = file
        self._specs = specs
        self._single = single
        self._as_json = as_json
        self._done: list[tuple[RunSpec, RunResult]] = []

    def run(self, out: Path | None, *, baseline: bool) -> None:
        """Decode all prompts, then report. After an interrupt or an error, the finished ones are reported, too."""
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
        """Decode the one prompt of --prompt. The bar counts its tokens."""
        (spec,) = self._specs
        tokens = 0
        with progress("tokens", spec.max_new_tokens) as advance:

            def on_round(record: Record) -> None:
                nonlocal tokens
                tokens += len(RecordedRound.of(record).new_tokens)
                advance(to=tokens)

            self._done.append((spec, runner.run(spec, out, on_round=on_round, baseline=baseline)))

    def _run_file(self, runner: Runner, out: Path | None, *, baseline: bool) -> None:
        """Decode the prompts of a file. The bar counts prompts. One that cannot be decoded is skipped."""
        with progress("prompts", len(self._specs)) as advance:
            for place, spec in enumerate(self._specs):
                try:
                    self._done.append((spec, runner.run(spec, out, baseline=baseline)))
                except PromptError as error:
                    self._skip(place, error)
                advance(note=spec.prompt.id)

    def _skip(self, place: int, error: PromptError) -> None:
        """Put a prompt that cannot be decoded among the broken lines of the file."""
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
    """One run as it stands in the JSON output."""
    compared = result.baseline or {}
    names = ("speedup", "speedup_low", "speedup_high", "matches_baseline")
    comparison = {name: compared[name] for name in names if name in compared}
    return {"run": result.run, "text": result.text, "tokens": result.tokens, "stop": result.stop,
            **result.totals, **comparison}  # fmt: skip


def _summed(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Sums of the counts and times of all runs. There are no rates, because an average would need weights."""
    names = ("new_tokens", "rounds", "draft_forwards", "target_forwards", "drafted_nodes", "verified_nodes",
             "merges", "wall_ms", "draft_ms", "verify_ms", "overhead_ms")  # fmt: skip
    return {name: sum(row[name] for row in rows) for name in names}


def _summary(result: RunResult) -> str:
    totals = result.totals
    parts = [
        f"{counted(totals['new_tokens'], 'token')} in {counted(totals['rounds'], 'round')}",
        f"acceptance length {totals['mean_acceptance_length']:.2f}",
        counted(totals["merges"], "merge"),
        f"{totals['tokens_per_s']:.1f} tokens/s",
    ]
    if result.baseline:
        same = SAME_TEXT[result.baseline["matches_baseline"]]
        parts.append(f"{result.baseline['speedup']:.2f}x ar (measured, {same})")
    if result.folder:
        parts.append(str(result.folder))
    return ", ".join(parts)
