"""The command line: `gsd` or `python -m gsd`.

Results go to standard output, everything else to standard error. Bad input ends with one line and
exit code 2. torch is imported only by the commands that decode.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn
from rich.table import Table
from typer.exceptions import TyperException

from gsd.config import DraftSpec, ModelSpec, Prompt, RunSpec, SamplingSpec, build, preset
from gsd.errors import GsdError, InputError, PromptError
from gsd.pairs import PAIRS, available, pair
from gsd.prompts import BrokenLine, PromptFile, read_prompts

if TYPE_CHECKING:
    from gsd.runner import Runner, RunResult

INTERRUPTED = 130
app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    help="GSD lab: graph-structured speculative decoding.",
)
console = Console(stderr=True)

PairOption = Annotated[str | None, typer.Option("--pair", help="A preset of `gsd pairs`.")]
TargetOption = Annotated[str | None, typer.Option(help="Target: hub id, folder or GGUF file.")]
DraftOption = Annotated[str | None, typer.Option(help="Draft: hub id, folder or GGUF file.")]
TargetRevision = Annotated[str | None, typer.Option(help="Hub revision of the target.")]
DraftRevision = Annotated[str | None, typer.Option(help="Hub revision of the draft.")]
TrustOption = Annotated[bool, typer.Option("--trust-remote-code", help="Run code that comes with the models.")]
DeviceOption = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:I; auto takes every CUDA device there is.")]
DtypeOption = Annotated[str, typer.Option(help="auto, float32, bfloat16 or float16.")]
PresetOption = Annotated[
    str | None, typer.Option("--preset", help="paper, fast or wide; an option given beside it wins.")
]
# Numbers come as text: the specs check them, so that every bad one gets the same message with its value.
NewTokens = Annotated[str, typer.Option(metavar="INT", help="Tokens to generate at most.")]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON object on standard output, nothing else.")]


@app.command()
def pairs(as_json: JsonOption = False) -> None:
    """List the preset pairs and whether their weights are here."""
    rows = [
        {"name": p.name, "target": p.target.source, "draft": p.draft.source, "here": available(p), "note": p.note}
        for p in PAIRS.values()
    ]
    if as_json:
        _print_json({"pairs": rows})
        return
    columns = ("name", "here", "target", "draft", "note")
    _print_table(list(columns), [[str(row[column]) for column in columns] for row in rows])


@app.command()
def generate(
    pair_name: PairOption = None,
    target: TargetOption = None,
    draft: DraftOption = None,
    target_revision: TargetRevision = None,
    draft_revision: DraftRevision = None,
    trust_remote_code: TrustOption = False,
    prompt: Annotated[str | None, typer.Option(help="The text to continue.")] = None,
    prompt_file: Annotated[Path | None, typer.Option(help="JSON lines with id, prompt, kind, chat.")] = None,
    preset_name: PresetOption = None,
    method: Annotated[str | None, typer.Option("--method", help="ar, chain, tree or graph.")] = None,
    width: Annotated[str | None, typer.Option(metavar="INT", help="Candidates per expanded node.")] = None,
    depth: Annotated[str | None, typer.Option(metavar="INT", help="Levels, each one draft forward.")] = None,
    merge_context: Annotated[
        str | None, typer.Option(metavar="INT|none", help="Tokens that must agree before a merge; none: never.")
    ] = None,
    sibling_threshold: Annotated[
        str | None, typer.Option(metavar="NUMBER", help="Drop q below this share of the best sibling's.")
    ] = None,
    prob_threshold: Annotated[
        str | None, typer.Option(metavar="NUMBER", help="Below it a candidate is not expanded.")
    ] = None,
    prob_rule: Annotated[str | None, typer.Option(help="path: cumulative probability; local: q alone.")] = None,
    prob_action: Annotated[str | None, typer.Option(help="leaf: keep such a candidate as a leaf; drop.")] = None,
    frontier: Annotated[str | None, typer.Option(metavar="INT", help="Nodes expanded per level.")] = None,
    budget: Annotated[str | None, typer.Option(metavar="INT", help="Drafted nodes verified per round.")] = None,
    max_new_tokens: NewTokens = "64",
    temperature: Annotated[str, typer.Option(metavar="NUMBER", help="0 is greedy.")] = "0.0",
    top_k: Annotated[str, typer.Option(metavar="INT", help="0: off.")] = "0",
    top_p: Annotated[str, typer.Option(metavar="NUMBER", help="1: off.")] = "1.0",
    seed: Annotated[str, typer.Option(metavar="INT", help="Same seed, same text, whatever the method.")] = "0",
    stop: Annotated[list[str] | None, typer.Option(help="End before this text; may be given often.")] = None,
    raw: Annotated[bool, typer.Option("--raw", help="No chat template.")] = False,
    device: DeviceOption = "auto",
    dtype: DtypeOption = "auto",
    out: Annotated[Path, typer.Option(help="Where run folders go.")] = Path("runs"),
    trace: Annotated[str, typer.Option(help="full, counters or none.")] = "full",
    baseline: Annotated[bool, typer.Option("--baseline", help="Measure ar on the same prompt, too.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Decode a prompt, or a file of them, and write each run's trace."""
    if trace not in ("full", "counters", "none"):
        raise InputError(f"--trace {trace!r}: choose full, counters or none")
    drafting = _drafting(preset_name, {
        "method": method, "width": width, "depth": depth, "merge_context": _merge_context(merge_context),
        "sibling_threshold": sibling_threshold, "prob_threshold": prob_threshold, "prob_rule": prob_rule,
        "prob_action": prob_action, "frontier": frontier, "budget": budget,
    })  # fmt: skip
    sampling = build(SamplingSpec, {"temperature": temperature, "top_k": top_k, "top_p": top_p, "seed": seed})
    models = _models(pair_name, target, draft, target_revision, draft_revision, trust_remote_code)
    if drafting.method == "ar":
        models["draft"] = None
    file = _prompts(prompt, prompt_file)
    detail = "counters" if trace == "none" else trace
    specs = [
        build(RunSpec, {
            **models, "prompt": one.model_copy(update={"chat": False} if raw else {}), "drafting": drafting,
            "sampling": sampling, "max_new_tokens": max_new_tokens, "stop": tuple(stop or ()), "device": device,
            "dtype": dtype, "detail": detail,
        })
        for one in file.prompts
    ]  # fmt: skip
    runner = _load(specs[0])
    single = prompt_file is None
    done = []
    with _progress("decoding", len(specs)) as advance:
        for place, spec in enumerate(specs):
            try:
                done.append((spec, runner.run(spec, None if trace == "none" else out, baseline=baseline)))
            except PromptError as error:
                if single:
                    raise
                file.broken.append(BrokenLine(file.lines[place], str(error)))
                file.broken.sort(key=lambda broken: broken.line)
            advance()
    _report_generated(done, file, single=single, as_json=as_json)


@app.command()
def bench(
    prompts: Annotated[Path, typer.Option(help="JSON lines with id, prompt, kind, chat.")],
    pair_name: PairOption = None,
    target: TargetOption = None,
    draft: DraftOption = None,
    target_revision: TargetRevision = None,
    draft_revision: DraftRevision = None,
    trust_remote_code: TrustOption = False,
    methods: Annotated[str, typer.Option(help="Comma-separated.")] = "ar,chain,tree,graph,hf-assisted,hf-lookup",
    preset_name: PresetOption = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="OPTION=VALUE for all methods, or METHOD.OPTION=VALUE.")
    ] = None,
    max_new_tokens: NewTokens = "64",
    repeats: Annotated[int, typer.Option(min=1, help="Calls per method and prompt.")] = 3,
    device: DeviceOption = "auto",
    dtype: DtypeOption = "auto",
    as_json: JsonOption = False,
) -> None:
    """Measure methods and transformers' own against each other, side by side in one process."""
    from gsd.bench import machine, methods_to_run, run_bench

    names = methods_to_run([name.strip() for name in methods.split(",") if name.strip()])
    drafting = _bench_drafting(names, preset_name, settings or [])
    models = _models(pair_name, target, draft, target_revision, draft_revision, trust_remote_code)
    file = read_prompts(prompts)
    shared = {**models, "max_new_tokens": max_new_tokens, "device": device, "dtype": dtype, "detail": "counters"}
    spec = build(RunSpec, {**shared, "prompt": file.prompts[0]})
    runner = _load(spec)
    ids = _encoded(runner, file, spec.max_new_tokens)
    with _progress("prompts", len(ids)) as advance:
        rows = run_bench(runner, spec, drafting, ids, repeats=repeats, progress=lambda *_: advance())
    report = {
        "methods": rows,
        "baseline": "the faster of ar and hf-greedy, per prompt",
        "settings": {"max_new_tokens": max_new_tokens, "repeats": repeats, "dtype": str(runner.target.dtype),
                     "drafting": {name: own.model_dump(mode="json") for name, own in drafting.items()}},
        "machine": machine(runner),
        "skipped": [asdict(line) for line in file.broken],
    }  # fmt: skip
    if as_json:
        _print_json(report)
    else:
        _print_bench(rows)
    _end_with_broken_lines(file)


@app.command()
def export(
    runs: Annotated[list[Path], typer.Argument(help="Run folders.")],
    csv: Annotated[Path, typer.Option("--csv", help="Folder for the six CSV files.")],
    as_json: JsonOption = False,
) -> None:
    """Write runs, steps, nodes, edges, merges and decisions of runs as CSV."""
    from analysis.export import export_csv  # the one place where the engine's side looks at the analysis

    files = [str(path) for path in export_csv(runs, csv)]
    if as_json:
        _print_json({"files": files})
    else:
        print("\n".join(files))


@app.command()
def doctor(as_json: JsonOption = False) -> None:
    """Say what this machine has and what is missing."""
    from gsd.doctor import as_dict, examine

    findings = examine()
    if as_json:
        _print_json(as_dict(findings))
        return
    _print_table(["what", "found", "to do"], [[f.what, f.value, f.fix or ""] for f in findings])


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    try:
        return app(args=arguments, prog_name="gsd", standalone_mode=False) or 0
    except (GsdError, TyperException) as error:
        message = error.format_message() if isinstance(error, TyperException) else str(error)
        print(f"gsd: {' '.join(message.split())}", file=sys.stderr)
        return error.exit_code
    except (KeyboardInterrupt, typer.Abort):
        print("gsd: interrupted; finished rounds are in the trace", file=sys.stderr)
        return INTERRUPTED


def _drafting(preset_name: str | None, given: dict[str, Any]) -> DraftSpec:
    """The preset's settings with whatever was given on top; "none" stands for no merging."""
    chosen = {name: value for name, value in given.items() if value is not None}
    settings = {**(preset(preset_name) if preset_name else {}), **chosen}
    if settings.get("merge_context") == "none":
        settings["merge_context"] = None
    return build(DraftSpec, settings)


def _merge_context(text: str | None) -> int | str | None:
    """A number, "none", or None where the option was not given."""
    if text is None or text == "none":
        return text
    try:
        return int(text)
    except ValueError:
        raise InputError(f"--merge-context {text!r}: give a number of tokens, or none for no merging") from None


def _bench_drafting(names: list[str], preset_name: str | None, settings: list[str]) -> dict[str, DraftSpec]:
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
        name: _drafting(preset_name, {**shared, **own[name], "method": "ar" if name in PEERS else name})
        for name in names
    }


def _models(
    pair_name: str | None,
    target: str | None,
    draft: str | None,
    target_revision: str | None,
    draft_revision: str | None,
    trust: bool,
) -> dict[str, Any]:
    """`pair`, `target` and `draft` of a `RunSpec`."""
    if pair_name and (target or draft):
        raise InputError("give either --pair or --target and --draft")
    if not target:
        if draft:
            raise InputError("--draft needs a --target")
        if target_revision or draft_revision or trust:
            raise InputError("--target-revision, --draft-revision and --trust-remote-code need a --target")
        chosen = pair(pair_name or "tiny")
        return {"pair": chosen.name, "target": chosen.target, "draft": chosen.draft}
    return {
        "target": ModelSpec(source=target, revision=target_revision, trust_remote_code=trust),
        "draft": ModelSpec(source=draft, revision=draft_revision, trust_remote_code=trust) if draft else None,
    }


def _prompts(prompt: str | None, prompt_file: Path | None) -> PromptFile:
    if (prompt is None) == (prompt_file is None):
        raise InputError("give a --prompt or a --prompt-file")
    return read_prompts(prompt_file) if prompt_file else PromptFile([build(Prompt, {"prompt": prompt})], [1], [])


def _encoded(runner: Runner, file: PromptFile, new_tokens: int) -> list[list[int]]:
    """Token ids of all prompts; refuses before anything is measured one that leaves too little room."""
    ids = [runner.encode(one) for one in file.prompts]
    limit = runner.target.context_length
    for prompt, line in zip(ids, file.lines):
        if len(prompt) + new_tokens > limit:
            raise PromptError(f"line {line}: {len(prompt)} tokens and {new_tokens} new ones; the context holds {limit}")
    return ids


def _load(spec: RunSpec) -> Runner:
    with console.status("loading torch and the models"):
        from transformers.utils import logging

        from gsd.runner import Runner

        logging.disable_progress_bar()
        return Runner.load(spec.target, spec.draft, device=spec.device, dtype=spec.dtype)


def _report_generated(done: list[tuple[RunSpec, RunResult]], file: PromptFile, *, single: bool, as_json: bool) -> None:
    rows = [{"id": spec.prompt.id, **_row(result)} for spec, result in done]
    if as_json:
        skipped = [asdict(line) for line in file.broken]
        _print_json(rows[0] if single else {"runs": rows, "totals": _summed(rows), "skipped": skipped})
    else:
        for spec, result in done:
            print(result.text if single else f"== {spec.prompt.id}\n{result.text}")
            console.print(_summary(result), highlight=False, markup=False, soft_wrap=True)
    _end_with_broken_lines(file)


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


def _end_with_broken_lines(file: PromptFile) -> None:
    """Name the lines that were left out, after everything else is done and saved."""
    if file.broken:
        lines = "; ".join(f"line {line.line}: {line.error}" for line in file.broken)
        raise InputError(f"the rest is done, but these lines were skipped: {lines}")


def _print_bench(rows: dict[str, dict[str, Any]]) -> None:
    header = ["method", "speed-up", "worst", "best", "acceptance", "draft fwd", "target fwd", "overhead ms", "matches"]
    _print_table(header, [
        [name, f"{row['speedup']:.2f}", f"{row['speedup_worst']:.2f}", f"{row['speedup_best']:.2f}",
         f"{row['mean_acceptance_length']:.2f}", str(row["draft_forwards"]), str(row["target_forwards"]),
         "" if row["overhead_ms_per_round"] is None else f"{row['overhead_ms_per_round']:.2f}",
         f"{row['matches']}/{row['prompts']}"]
        for name, row in rows.items()
    ])  # fmt: skip


def _print_table(header: list[str], rows: list[list[str]]) -> None:
    table = Table(*header, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*row)
    Console().print(table, highlight=False)


def _print_json(value: dict[str, Any]) -> None:
    print(json.dumps(value, ensure_ascii=True))


@contextmanager
def _progress(what: str, total: int) -> Iterator[Any]:
    """A bar on standard error, where that is a terminal; yields the function that moves it on."""
    columns = (SpinnerColumn(), TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda: bar.advance(task)


if __name__ == "__main__":
    sys.exit(main())
