"""`gsd bench`: measure methods, ours and those of transformers, side by side."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import options
from cli.bench_settings import settings_by_method
from cli.output import end_with_broken_lines, load, print_json, print_table, progress, say
from gsd.config import RunSpec
from gsd.decode.prompts import BrokenLine, PromptFile, read_prompts
from gsd.errors import InputError, PromptError
from gsd.methods import BASELINE, METHODS, PRESETS, MethodSettings, settings_of
from gsd.spec import build
from gsd.wording import counted

if TYPE_CHECKING:
    from gsd.decode.runner import Runner
    from gsd.lab.bench import PromptResult
    from gsd.lab.bench.measuring import Turn
    from gsd.lab.bench.store import Kept

METHODS_HELP = (
    f"Methods to measure, separated by commas. Ours: {', '.join(METHODS)}. Presets: {', '.join(PRESETS)}. "
    "Those of transformers: hf-assisted, hf-assisted-q (with our quantised draft), hf-lookup. A number behind one of "
    "these, such as hf-assisted-8, sets how many tokens it drafts."
)


@options.unfolded
def bench(
    *,
    prompts: Annotated[Path, typer.Option(metavar="FILE", help=options.PROMPT_FILE)],
    models: options.Models,
    methods: Annotated[
        str, typer.Option(metavar="NAMES", help=METHODS_HELP)
    ] = "ar,chain,tree,graph,auto,hf-assisted,hf-lookup",
    preset_name: options.PresetName = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="[METHOD.]OPTION=VALUE",
            help="Change a setting of all methods, or of one: depth=8, tree.depth=8. May be repeated.",
        ),
    ] = None,
    generation: options.Generation,
    repeats: Annotated[int, typer.Option(min=1, help="Timed calls of each method on each prompt.")] = 3,
    as_json: options.Json = False,
    markdown: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the tables to this file, as Markdown.")
    ] = None,
    csv: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Append each timed call to this file as soon as it is measured.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue the benchmark in the --csv file. Give the same options again.")
    ] = False,
) -> None:
    """Measure methods, ours and those of transformers, side by side in one process.

    Transformers loads the models by itself, so the target is in memory twice.
    """
    from gsd.lab.bench import methods_to_run
    from gsd.lab.external import EXTERNAL, check_assistant

    names = [name.strip() for name in methods.split(",") if name.strip()]
    drafting = settings_by_method(methods_to_run(names, generation.sampling()), preset_name, settings or [])
    file = read_prompts(prompts)
    shared = {**models.values(), **generation.values(), "detail": "counters", "prompt": file.prompts[0]}
    for own in drafting.values():
        build(RunSpec, {**shared, "drafting": own})  # each must be able to run with these models
    spec = build(RunSpec, {**shared, "drafting": drafting[BASELINE]})
    for name in EXTERNAL.keys() & drafting.keys():
        check_assistant(name, spec)
    outputs = _Outputs(as_json, markdown, csv, resume)
    outputs.check()
    _Benchmark(spec, file, drafting, repeats).run(outputs)


@dataclass(frozen=True, slots=True)
class _Outputs:
    """Where results go. Standard output gets JSON or a table."""

    as_json: bool
    markdown: Path | None
    csv: Path | None
    resume: bool

    def check(self) -> None:
        """Raise `InputError` if a file cannot be written. This is found before the models load, not after an hour."""
        from gsd.lab.bench.store import refuse_held

        if self.resume and self.csv is None:
            raise InputError("--resume goes on with the calls that a --csv holds: name that file")
        options.check_file(self.markdown, "--markdown")
        options.check_file(self.csv, "--csv")
        if self.csv and not self.resume:
            refuse_held(self.csv)


@dataclass
class _Benchmark:
    """One call of `gsd bench`."""

    spec: RunSpec
    file: PromptFile
    drafting: dict[str, MethodSettings]
    repeats: int

    def run(self, outputs: _Outputs) -> None:
        """Measure prompt by prompt, then report. An interrupt also reports what was measured before it."""
        from gsd.lab.bench.store import Kept
        from gsd.lab.external import EXTERNAL, check_assistant

        runner = load(self.spec)
        self.spec = runner.as_decoded(self.spec)
        for name in EXTERNAL.keys() & self.drafting.keys():
            check_assistant(name, self.spec)  # again: whether the draft is quantised may have been left to be measured
        ids = self._encoded(runner)
        setup = self._setup(runner, ids)
        kept = Kept(self.file.prompts, list(self.drafting), self.repeats)
        try:
            if outputs.csv:
                kept.keep_in(outputs.csv, setup, resume=outputs.resume)
            for note in kept.notes:
                say(note)
            self._measure(runner, ids, kept)
        finally:
            kept.close()
            if kept.results:
                self._write(self._report(kept, setup), outputs)
        self._end(kept)

    def _measure(self, runner: Runner, ids: list[list[int]], kept: Kept) -> None:
        """Measure the prompts that have no result yet."""
        from gsd.lab.bench import measure

        turns: list[Turn] = []
        told: set[tuple[str, str]] = set()

        def turn(one: Turn) -> None:
            if not turns:  # methods are warm
                advance(to=len(kept.results))
            turns.append(one)
            kept.call(one)
            if isinstance(one.outcome, str) and (one.method, one.outcome) not in told:
                told.add((one.method, one.outcome))
                say(f"{one.method} failed on {self.file.prompts[one.prompt].id}: {one.outcome}")

        missing = [number for number in range(len(ids)) if number not in kept.results]
        with progress("prompts", len(ids)) as advance:
            advance(to=len(kept.results))
            if missing:
                say(f"warming up {counted(len(self.drafting), 'method')}")
            measured = measure(
                runner, self.spec, self.drafting, ids, repeats=self.repeats, done={*kept.results}, told=turn
            )
            for number, result in zip(missing, measured):
                kept.whole(number, result)
                advance(note=f"{self.file.prompts[number].id}, {self._fastest(result)}")

    def _fastest(self, result: PromptResult) -> str:
        """Which method was fastest on a prompt, for a line of progress."""
        from gsd.lab.bench.rows import speedup

        ratios = {name: speedup(calls, result.calls[BASELINE]) for name, calls in result.calls.items()
                  if calls and result.calls[BASELINE]}  # fmt: skip
        best = max(ratios, key=ratios.__getitem__, default=None)
        return f"{best} is fastest, {ratios[best]:.2f} × {BASELINE}" if best else f"{BASELINE} failed"

    def _end(self, kept: Kept) -> None:
        """End with an error if lines were skipped, or with exit code 1 if one of our own methods failed.

        A method of transformers may fail: that is a result.
        """
        from gsd.lab.external import EXTERNAL

        end_with_broken_lines(self.file)
        failed = {name for result in kept.results.values() for name in result.failures}
        if failed - EXTERNAL.keys():
            raise typer.Exit(1)

    def _encoded(self, runner: Runner) -> list[list[int]]:
        """Token ids of all prompts. Raises `PromptError` if one is too long for the context, before any is measured."""
        ids = self._tokens(runner)
        new, limit = self.spec.max_new_tokens, runner.target.context_length
        for prompt, line in zip(ids, self.file.lines):
            if len(prompt) + new > limit:
                raise PromptError(f"line {line}: {counted(len(prompt), 'token')} and {new:,} new ones; the context "
                                  f"holds {limit:,}: shorten the prompt or lower --max-new-tokens")  # fmt: skip
        return ids

    def _tokens(self, runner: Runner) -> list[list[int]]:
        """Token ids of all prompts. One that the chat template refuses is skipped and named at the end."""
        file, ids, kept = self.file, [], []
        for prompt, line in zip(file.prompts, file.lines):
            try:
                ids.append(runner.encode(prompt))
                kept.append((prompt, line))
            except PromptError as error:
                file.broken.append(BrokenLine(line, str(error)))
        if not kept:
            end_with_broken_lines(file)
        file.broken.sort(key=lambda broken: broken.line)
        file.prompts[:], file.lines[:] = zip(*kept)
        return ids

    def _setup(self, runner: Runner, ids: list[list[int]]) -> dict[str, Any]:
        """The settings and the machine of the result. Only calls of the same setup are put together."""
        from gsd.lab.external import EXTERNAL
        from gsd.machine.environment import machine

        prompts = [[one.id, one.kind, tokens] for one, tokens in zip(self.file.prompts, ids)]
        return {
            "settings": {"max_new_tokens": self.spec.max_new_tokens, "repeats": self.repeats,
                         "dtype": str(runner.target.dtype),
                         "packed": self.spec.packed, "sampling": self.spec.sampling.model_dump(mode="json"),
                         "target": runner.target.describe(),
                         "draft": runner.draft.describe() if runner.draft else None,
                         "methods": list(self.drafting),
                         "drafting": {name: _as_read(it) for name, it in self.drafting.items() if name not in EXTERNAL},
                         "prompts_digest": sha256(json.dumps(prompts).encode()).hexdigest()},
            "machine": machine(runner.target.devices),
        }  # fmt: skip

    def _report(self, kept: Kept, setup: dict[str, Any]) -> dict[str, Any]:
        from gsd.lab.bench import best_external, plain_external, summary
        from gsd.lab.bench.rows import BASELINE

        numbers = sorted(kept.results)
        results = [kept.results[number] for number in numbers]
        measured = [self.file.prompts[number] for number in numbers]
        return {
            "methods": summary(results, [one.kind for one in measured], plain_external(self.spec.sampling)),
            "prompts": [{"id": one.id, "kind": one.kind} for one in measured],
            "prompts_given": len(self.file.prompts),
            "complete": len(measured) == len(self.file.prompts),
            "baseline": BASELINE,
            "mean": "geometric",
            "best_external": best_external(results),
            **setup,
            "skipped": [asdict(line) for line in self.file.broken],
        }

    def _write(self, report: dict[str, Any], outputs: _Outputs) -> None:
        from gsd.lab.bench.report import TERMINAL, markdown, notes, table

        if outputs.as_json:
            print_json(report)
        else:
            print_table(["method", *TERMINAL], table(report["methods"], TERMINAL))
            print("".join(f"{note}\n" for note in notes(report)), end="")
        if outputs.markdown:
            _write_text(markdown(report), outputs.markdown)


def _as_read(own: MethodSettings) -> dict[str, Any]:
    """The settings that the method reads, without those that it fixes."""
    return own.model_dump(mode="json", include={"method", *settings_of(METHODS[own.method])})


def _write_text(text: str, file: Path) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot write {file}: {error.strerror or error}; choose another --markdown") from error
