"""`gsd bench`: methods and transformers' own side by side."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gsd.cli import options
from gsd.cli.output import end_with_broken_lines, load, print_json, print_table, progress
from gsd.config import DraftSpec, RunSpec, build
from gsd.errors import InputError, PromptError
from gsd.prompts import PromptFile, read_prompts

if TYPE_CHECKING:
    from gsd.runner import Runner


def bench(
    prompts: Annotated[Path, typer.Option(help="JSON lines with id, prompt, kind, chat.")],
    pair_name: options.PairName = None,
    target: options.Target = None,
    draft: options.Draft = None,
    target_revision: options.TargetRevision = None,
    draft_revision: options.DraftRevision = None,
    draft_quant: options.DraftQuant = "none",
    trust_remote_code: options.Trust = False,
    methods: Annotated[str, typer.Option(help="Comma-separated.")] = "ar,chain,tree,graph,hf-assisted,hf-lookup",
    preset_name: options.PresetName = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="OPTION=VALUE for all methods, or METHOD.OPTION=VALUE.")
    ] = None,
    max_new_tokens: options.NewTokens = "64",
    repeats: Annotated[int, typer.Option(min=1, help="Calls per method and prompt.")] = 3,
    device: options.Device = "auto",
    dtype: options.DtypeName = "auto",
    as_json: options.Json = False,
) -> None:
    """Measure methods and transformers' own against each other, side by side in one process."""
    from gsd.bench import methods_to_run

    names = methods_to_run([name.strip() for name in methods.split(",") if name.strip()])
    drafting = _drafting(names, preset_name, settings or [])
    models = options.models(pair_name, target, draft, target_revision, draft_revision, trust_remote_code, draft_quant)
    file = read_prompts(prompts)
    shared = {**models, "max_new_tokens": max_new_tokens, "device": device, "dtype": dtype, "detail": "counters"}
    shared["prompt"] = file.prompts[0]
    for own in drafting.values():
        build(RunSpec, {**shared, "drafting": own})  # each must be able to run with these models
    spec = build(RunSpec, {**shared, "drafting": drafting["ar"]})
    _Benchmark(spec, file, drafting, repeats).run(as_json=as_json)


@dataclass
class _Benchmark:
    """One call of `bench`."""

    spec: RunSpec
    file: PromptFile
    drafting: dict[str, DraftSpec]
    repeats: int

    def run(self, *, as_json: bool) -> None:
        """Measure prompt by prompt, then report; what is measured when the user interrupts is reported, too."""
        from gsd.bench import measure, summary

        runner = load(self.spec)
        prompts = self._encoded(runner)
        by_prompt = []
        try:
            with progress("prompts", len(prompts)) as advance:
                for measured in measure(runner, self.spec, self.drafting, prompts, repeats=self.repeats):
                    by_prompt.append(measured)
                    advance()
        except KeyboardInterrupt:
            if by_prompt:
                self._report(runner, summary(by_prompt), as_json)
            raise
        self._report(runner, summary(by_prompt), as_json)
        end_with_broken_lines(self.file)

    def _encoded(self, runner: Runner) -> list[list[int]]:
        """Token ids of all prompts; refuses before anything is measured one that leaves too little room."""
        ids = [runner.encode(one) for one in self.file.prompts]
        new, limit = self.spec.max_new_tokens, runner.target.context_length
        for prompt, line in zip(ids, self.file.lines):
            if len(prompt) + new > limit:
                raise PromptError(f"line {line}: {len(prompt)} tokens and {new} new ones; the context holds {limit}")
        return ids

    def _report(self, runner: Runner, rows: dict[str, dict[str, Any]], as_json: bool) -> None:
        from gsd.bench import machine

        if not as_json:
            _print_rows(rows)
            return
        print_json({
            "methods": rows,
            "prompts": [{"id": one.id, "kind": one.kind} for one in self.file.prompts[: rows["ar"]["prompts"]]],
            "baseline": "the faster of ar and hf-greedy, per prompt",
            "settings": {"max_new_tokens": self.spec.max_new_tokens, "repeats": self.repeats,
                         "dtype": str(runner.target.dtype),
                         "drafting": {name: own.model_dump(mode="json") for name, own in self.drafting.items()}},
            "machine": machine(runner),
            "skipped": [asdict(line) for line in self.file.broken],
        })  # fmt: skip


def _drafting(names: list[str], preset_name: str | None, settings: list[str]) -> dict[str, DraftSpec]:
    """Settings of each method: those for all, then its own. A peer's are not used."""
    from gsd.peers import PEERS

    shared: dict[str, str] = {}
    own: dict[str, dict[str, str]] = {name: {} for name in names}
    for setting in settings:
        option, equals, value = setting.partition("=")
        method, dot, name = option.rpartition(".")
        if not equals or (dot and method not in own):
            raise InputError(f"--set {setting!r}: give OPTION=VALUE or METHOD.OPTION=VALUE with a method that is run")
        if name == "method" or method in PEERS:
            raise InputError(f"--set {setting!r}: only the draft settings of our own methods can be set")
        (own[method] if dot else shared)[name.replace("-", "_")] = value
    return {
        name: options.drafting(preset_name, {**shared, **own[name], "method": "ar" if name in PEERS else name})
        for name in names
    }


def _print_rows(rows: dict[str, dict[str, Any]]) -> None:
    header = ["method", "speed-up", "worst", "best", "acceptance", "draft fwd", "target fwd", "overhead ms", "matches"]
    print_table(header, [
        [name, f"{row['speedup']:.2f}", f"{row['speedup_worst']:.2f}", f"{row['speedup_best']:.2f}",
         f"{row['mean_acceptance_length']:.2f}", str(row["draft_forwards"]), str(row["target_forwards"]),
         "" if row["overhead_ms_per_round"] is None else f"{row['overhead_ms_per_round']:.2f}",
         f"{row['matches']}/{row['prompts']}"]
        for name, row in rows.items()
    ])  # fmt: skip
