"""`gsd probe`, `gsd calibrate` and `gsd tune`: settings compared without running models each time."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import options
from cli.output import (
    end_with_broken_lines,
    harmless,
    load,
    load_agreed,
    print_json,
    print_table,
    progress,
    say,
    write_csv,
)
from gsd.config import RunSpec
from gsd.decode.prompts import BrokenLine, PromptFile, read_prompts
from gsd.decode.recorded import agreed, as_settled
from gsd.errors import InputError, PromptError
from gsd.lab.atlas import MOST_FRONTIER, Atlas, Bounds
from gsd.lab.cost import COSTS_FILE, Costs, Curve, models_named
from gsd.methods import drafting
from gsd.models.pairs import chosen_models
from gsd.spec import Prompt, SamplingSpec, build
from gsd.trace.writer import check_writable

if TYPE_CHECKING:
    from gsd.decode.runner import Runner

REPEATS = 20
ENGINE_PROMPT = "def merge_sorted(left, right):\n"
FILLING = ("out", "fill", "named", "trust_remote_code", "as_json")  # options that --fill heeds
Repeats = Annotated[int, typer.Option(min=3, help="Forwards of each size.")]


def probe(
    context: typer.Context,
    out: Annotated[Path, typer.Option(help="Folder of the atlas.")],
    prompts: Annotated[Path | None, typer.Option(help="JSON lines with id, prompt, kind, chat.")] = None,
    fill: Annotated[
        str | None, typer.Option(metavar="GRID", help="Expand what the atlas in --out lacks for a grid of `gsd tune`.")
    ] = None,
    pair_name: options.PairName = None,
    target: options.Target = None,
    draft: options.Draft = None,
    target_revision: options.TargetRevision = None,
    draft_revision: options.DraftRevision = None,
    draft_quant: options.DraftQuant = "auto",
    named: options.Load = None,
    trust_remote_code: Annotated[
        bool,
        typer.Option(
            "--trust-remote-code", help="Run code that comes with the models, with --fill with those that --load names."
        ),
    ] = False,
    width: Annotated[int, typer.Option(min=1, max=64, help="Widest width to replay.")] = 6,
    depth: Annotated[int, typer.Option(min=1, max=64, help="Deepest depth to replay.")] = drafting().depth,
    frontier: Annotated[int, typer.Option(min=1, max=MOST_FRONTIER, help="Largest frontier to replay.")] = 8,
    max_new_tokens: options.NewTokens = "64",
    temperature: options.Temperature = "0.0",
    top_k: options.TopK = "0",
    top_p: options.TopP = "1.0",
    seed: options.Seed = "0",
    device: options.Device = "auto",
    dtype: options.DtypeName = "auto",
    packed: options.Packed = True,
    as_json: options.Json = False,
) -> None:
    """Record an atlas: each prompt's text, and the draft's wide tree behind every token of it."""
    if fill is not None and prompts is None:
        _refuse_beside_fill(context)
        _fill(out, fill, as_json, agree=partial(agreed, load=named or (), trust=trust_remote_code))
        return
    if fill is not None or prompts is None:
        raise InputError("give --prompts for a new atlas, or --fill with a grid for the one in --out")
    if named:
        raise InputError("--load goes with --fill, whose models are the atlas's: name yours by --target and --draft")
    models = chosen_models(pair_name, target, draft, target_revision, draft_revision, trust_remote_code, draft_quant)
    shared = {
        **models, "max_new_tokens": max_new_tokens, "device": device, "dtype": dtype, "packed": packed,
        "sampling": build(SamplingSpec, {"temperature": temperature, "top_k": top_k, "top_p": top_p, "seed": seed}),
    }  # fmt: skip
    if Atlas.is_in(out):
        raise InputError(f"--out {out} holds an atlas: choose another folder, or go on with that one by --fill")
    file = read_prompts(prompts)
    specs = [build(RunSpec, {**shared, "prompt": one}) for one in file.prompts]
    check_writable(out)
    runner = load(specs[0])
    from gsd.lab.probe import draft_of  # torch, which is loaded by now

    pending = [{"line": line, "prompt": one.model_dump(mode="json")} for line, one in zip(file.lines, file.prompts)]
    meta = {**runner.meta(specs[0]), "pending": pending}
    atlas = Atlas(Bounds(width, depth, frontier), draft_of(runner).context_length, meta, [])
    file.broken.extend(_record(runner, specs[0], atlas, out))
    if not atlas.texts:
        end_with_broken_lines(file)
    _measure_costs(runner, specs[0], out)
    _report_atlas(out, atlas, as_json)
    end_with_broken_lines(file)


def _record(runner: Runner, spec: RunSpec, atlas: Atlas, folder: Path) -> list[BrokenLine]:
    """Probe every prompt that is pending; those that cannot be decoded are left out and returned.

    Each is written when it is whole, so that whatever ends it leaves those, and says which are pending.
    """
    from gsd.lab.probe import probe_text

    broken = []
    with progress("probing", len(atlas.pending)) as advance:
        try:
            while atlas.pending:
                asked = atlas.pending[0]
                one = spec.model_copy(update={"prompt": build(Prompt, asked["prompt"])})
                try:
                    text = probe_text(runner, one, atlas.bounds)
                except PromptError as error:
                    broken.append(BrokenLine(asked["line"], str(error)))
                    text = None
                atlas.pending.pop(0)
                if text:
                    atlas.record(text, folder)
                advance(note=one.prompt.id)
        finally:
            if atlas.texts:
                atlas.save(folder)
    return broken


def _measure_costs(runner: Runner, spec: RunSpec, folder: Path) -> None:
    """Beside the atlas, what its models' forwards take here."""
    short = spec.model_copy(update={"prompt": Prompt(prompt=ENGINE_PROMPT), "max_new_tokens": 64})
    calibrated(runner, short).save(folder / COSTS_FILE)


def _fill(folder: Path, grid: str, as_json: bool, *, agree: Callable[[dict[str, Any]], RunSpec]) -> None:
    """Record, with the atlas's own models, what probing left undone, and expand what replaying the grid wants."""
    from analysis.replay import Replayer
    from analysis.tune import parse_grid, settings_of
    from gsd.lab.probe import check_models

    atlas = Atlas.load(folder)
    settings = settings_of(parse_grid(grid))
    for one in settings:
        atlas.bounds.check(one)
    spec = agree(as_settled(atlas.meta))
    runner = load_agreed(spec)
    check_models(atlas.meta, runner.meta(spec))
    broken = _record(runner, spec, atlas, folder) if atlas.pending else []
    if not (folder / COSTS_FILE).exists():
        _measure_costs(runner, spec, folder)
    filled = 0
    try:
        while wanted := Replayer(atlas).wanted(settings):
            filled += _expand(runner, atlas, wanted)
    finally:  # whatever was expanded is true
        atlas.save(folder)
    if as_json:
        print_json({"atlas": str(folder), "expanded": filled})
    else:
        print(f"{filled} nodes expanded; every setting of the grid is covered")
    end_with_broken_lines(PromptFile([], [], broken))


def _refuse_beside_fill(context: typer.Context) -> None:
    """An atlas is filled by the models and the settings that made it: others would contradict what it holds."""
    for option in context.command.params:
        source = context.get_parameter_source(option.name)
        if source and source.name == "COMMANDLINE" and option.name not in FILLING:
            raise InputError(f"{option.opts[0]} does not go with --fill, which takes all from the atlas: leave it out")


def _expand(runner: Runner, atlas: Atlas, wanted: dict[int, dict[int, set[int]]]) -> int:
    """Expand `wanted` nodes (text number -> position -> nodes); how many."""
    from gsd.lab.probe import fill_text

    with progress("filling", sum(map(len, wanted.values()))) as advance:
        for number, nodes in wanted.items():
            fill_text(runner, atlas.bounds, atlas.texts[number], nodes, progress=advance)
    return sum(len(nodes) for positions in wanted.values() for nodes in positions.values())


def _report_atlas(folder: Path, atlas: Atlas, as_json: bool) -> None:
    positions = sum(len(text.tokens) for text in atlas.texts)
    nodes = sum(len(tree) - 1 for text in atlas.texts for tree in text.trees)
    if as_json:
        print_json({"atlas": str(folder), "texts": len(atlas.texts), "positions": positions, "nodes": nodes})
    else:
        print(f"{folder}: {len(atlas.texts)} texts, {positions} positions, {nodes} candidates")


def calibrate(
    out: Annotated[Path, typer.Option(help="JSON file of the curves.")],
    pair_name: options.PairName = None,
    target: options.Target = None,
    draft: options.Draft = None,
    target_revision: options.TargetRevision = None,
    draft_revision: options.DraftRevision = None,
    draft_quant: options.DraftQuant = "auto",
    trust_remote_code: options.Trust = False,
    repeats: Repeats = REPEATS,
    device: options.Device = "auto",
    dtype: options.DtypeName = "auto",
    packed: options.Packed = True,
    as_json: options.Json = False,
) -> None:
    """Measure what a forward of N tokens takes, draft and target, and the engine around them."""
    models = chosen_models(pair_name, target, draft, target_revision, draft_revision, trust_remote_code, draft_quant)
    prompt = Prompt(prompt=ENGINE_PROMPT)
    spec = build(RunSpec, {**models, "prompt": prompt, "device": device, "dtype": dtype, "packed": packed})
    check_writable(out.parent)
    costs = calibrated(load(spec), spec, repeats)
    costs.save(out)
    if as_json:
        print_json({"file": str(out)})
        return
    curves = {"draft": costs.draft, "target": costs.target}
    print_table(["tokens", *map(str, costs.draft.tokens), "fit"], [
        [name, *(f"{ms:.2f}" for ms in curve.ms), _fit(curve)] for name, curve in curves.items()
    ])  # fmt: skip
    own = costs.overhead
    print(f"engine: {own.round_ms:.3f} ms a round, {own.level_ms:.3f} a level, {own.node_ms:.4f} a drafted node")


def calibrated(runner: Runner, spec: RunSpec, repeats: int = REPEATS) -> Costs:
    """The cost curves of loaded models."""
    from gsd.lab.calibrate import calibrate as measure

    with progress("calibrating", repeats + 1) as advance:
        return measure(runner, spec, repeats=repeats, progress=advance)


def _fit(curve: Curve) -> str:
    line = curve.line()
    return f"{line.fixed_ms:.2f} + {line.per_token_ms:.3f} N, off by {line.error:.0%}"


def tune(
    atlas: Annotated[Path, typer.Argument(help="Folder of an atlas.")],
    grid: Annotated[
        str | None, typer.Option(help="OPTION=VALUES,… with numbers, ranges as 1..6, or none; a broad one by default.")
    ] = None,
    costs: Annotated[Path | None, typer.Option(help="Curves of gsd calibrate; the atlas's own by default.")] = None,
    csv: Annotated[Path | None, typer.Option("--csv", help="File for a row a setting.")] = None,
    excel: options.Excel = False,
    as_json: options.Json = False,
) -> None:
    """Replay a grid of settings over an atlas and say which are best. Speed-ups are modelled."""
    from analysis import tune as grids
    from analysis.replay import Replayer

    options.refuse_excel(excel, csv)
    parsed = grids.parse_grid(grid) if grid is not None else None  # a grid that is none is said before a long load
    replayer = Replayer(Atlas.load(atlas))
    if replayer.atlas.unfinished:
        say(f"{atlas}: {replayer.atlas.unfinished}")
    settings = grids.settings_of(parsed or grids.default_grid(replayer.atlas.bounds))
    for spec in settings:
        replayer.atlas.bounds.check(spec)
    curves = _curves(costs, replayer.atlas, atlas)
    with progress("settings", len(settings)) as advance:
        rows = grids.tune(replayer, settings, curves, progress=advance)
    table = grids.summary(rows)
    if csv:
        write_csv(table, csv, bom=excel)
    if as_json:
        print_json(grids.report(rows, table))
    else:
        _print_best(grids.report(rows, table), replayer.atlas)


def _curves(named: Path | None, atlas: Atlas, folder: Path) -> Costs | None:
    """The curves to model with: those named, or else the atlas's own, if any; they must be of the atlas's models."""
    file = named or folder / COSTS_FILE
    if named is None and not file.exists():
        return None
    costs = Costs.load(file)
    unnamed = costs.check_models(atlas.meta, file)
    for role in unnamed if named else ():
        say(f"{named} does not name its {role}: the speed-up holds if it is the atlas's, "
            f"{models_named(atlas.meta)[role]}")  # fmt: skip
    return costs


def _print_best(report: dict[str, Any], atlas: Atlas) -> None:
    """The front and the best settings, with what to paste for a prompt of their kind; all rows are in the CSV."""
    from analysis.tune import command, kind_named

    print(f"{report['settings']} settings, {report['covered']} of them covered by the atlas")
    if not report["pareto"]:
        print("no modelled speed-up: measure cost curves with gsd calibrate and name them with --costs")
        return
    print_table(["modelled speed-up", "verified nodes", "rounds", "acceptance", "settings"], [
        [f"{row['modelled_speedup']:.2f}", f"{row['verified_nodes']:.0f}", f"{row['rounds']:.0f}",
         f"{row['mean_acceptance_length']:.2f}", row["options"]]
        for row in report["pareto"]
    ])  # fmt: skip
    of_kind = {kind_named(text.kind): text for text in reversed(atlas.texts)}  # the first of each
    bests = [("all", atlas.texts[0], report["best"])]
    bests += [(kind, of_kind[kind], best) for kind, best in report["best_by_kind"].items()]
    for name, text, best in bests:
        pasted = command(as_settled(atlas.meta), text, best)
        print(harmless(f"best for {name}: {best['modelled_speedup']:.2f} modelled, {pasted}"))
