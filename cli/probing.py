"""`gsd probe`: record an atlas, or expand the nodes that one lacks."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import options
from cli.output import end_with_broken_lines, load, load_agreed, print_json, progress
from cli.tuning import ENGINE_PROMPT, calibrated
from gsd.config import RunSpec
from gsd.decode.prompts import BrokenLine, PromptFile, read_prompts
from gsd.decode.recorded import agreed, as_settled
from gsd.errors import InputError, PromptError
from gsd.lab.atlas import MOST_FRONTIER, Atlas, Bounds
from gsd.lab.cost import COSTS_FILE
from gsd.methods import drafting
from gsd.spec import Prompt, build
from gsd.trace.writer import check_writable
from gsd.wording import counted

if TYPE_CHECKING:
    from gsd.decode.runner import Runner

FILLING = ("out", "fill", "named", "trust_remote_code", "as_json")  # options that --fill reads


@options.unfolded
def probe(
    context: typer.Context,
    *,
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Folder of the atlas.")],
    prompts: Annotated[Path | None, typer.Option(metavar="FILE", help=options.PROMPT_FILE)] = None,
    fill: Annotated[
        str | None,
        typer.Option(metavar="GRID", help="Expand the nodes that this grid of `gsd tune` needs and the atlas lacks."),
    ] = None,
    models: options.Models,
    named: options.Load = None,
    width: Annotated[int, typer.Option(min=1, max=64, help="Largest width that can be replayed.")] = 6,
    depth: Annotated[int, typer.Option(min=1, max=64, help="Largest depth that can be replayed.")] = drafting().depth,
    frontier: Annotated[int, typer.Option(min=1, max=MOST_FRONTIER, help="Largest frontier that can be replayed.")] = 8,
    generation: options.Generation,
    as_json: options.Json = False,
) -> None:
    """Record an atlas: the text of each prompt, and the draft's candidates at every position of it."""
    if fill is not None and prompts is None:
        _refuse_beside_fill(context)
        _fill(out, fill, as_json, agree=partial(agreed, load=named or (), trust=models.trust_remote_code))
        return
    if fill is not None or prompts is None:
        raise InputError("give --prompts for a new atlas, or --fill with a grid for the one in --out")
    if named:
        raise InputError("--load goes with --fill, whose models are the atlas's: name yours by --target and --draft")
    shared = {**models.values(), **generation.values()}
    if Atlas.is_in(out):
        raise InputError(f"--out {out} holds an atlas: choose another folder, or go on with that one by --fill")
    file = read_prompts(prompts)
    specs = [build(RunSpec, {**shared, "prompt": one}) for one in file.prompts]
    check_writable(out)
    _probe(specs[0], file, Bounds(width, depth, frontier), out, as_json)


def _probe(spec: RunSpec, file: PromptFile, bounds: Bounds, folder: Path, as_json: bool) -> None:
    """Record a new atlas of the prompts of a file, with its cost curves, and report it."""
    runner = load(spec)
    from gsd.lab.probe import draft_of  # torch, which is loaded by now

    pending = [{"line": line, "prompt": one.model_dump(mode="json")} for line, one in zip(file.lines, file.prompts)]
    atlas = Atlas(bounds, draft_of(runner).context_length, {**runner.meta(spec), "pending": pending}, [])
    file.broken.extend(_record(runner, spec, atlas, folder))
    if not atlas.texts:
        end_with_broken_lines(file)
    _measure_costs(runner, spec, folder)
    _report_atlas(folder, atlas, as_json)
    end_with_broken_lines(file)


def _record(runner: Runner, spec: RunSpec, atlas: Atlas, folder: Path) -> list[BrokenLine]:
    """Probe every pending prompt, and return those that cannot be decoded.

    Each text is written as soon as it is whole. An interrupted atlas holds those, and names the pending prompts.
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
    """Measure the cost curves of the models and save them beside the atlas."""
    short = spec.model_copy(update={"prompt": Prompt(prompt=ENGINE_PROMPT), "max_new_tokens": 64})
    calibrated(runner, short).save(folder / COSTS_FILE)


def _fill(folder: Path, grid: str, as_json: bool, *, agree: Callable[[dict[str, Any]], RunSpec]) -> None:
    """Record pending prompts with the atlas's own models, and expand the nodes that the grid needs."""
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
    finally:  # an interrupt keeps what was expanded
        atlas.save(folder)
    if as_json:
        print_json({"atlas": str(folder), "expanded": filled})
    else:
        print(f"{counted(filled, 'node')} expanded; every setting of the grid is covered")
    end_with_broken_lines(PromptFile([], [], broken))


def _refuse_beside_fill(context: typer.Context) -> None:
    """Raise `InputError` for an option that --fill takes from the atlas: another value would contradict it."""
    for option in context.command.params:
        source = context.get_parameter_source(option.name)
        if source and source.name == "COMMANDLINE" and option.name not in FILLING:
            raise InputError(f"{option.opts[0]} does not go with --fill, which takes all from the atlas: leave it out")


def _expand(runner: Runner, atlas: Atlas, wanted: dict[int, dict[int, set[int]]]) -> int:
    """Expand the `wanted` nodes, by text number and position. Returns how many those are."""
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
        print(f"{folder}: {counted(len(atlas.texts), 'text')}, {counted(positions, 'position')}, "
              f"{counted(nodes, 'candidate')}")  # fmt: skip
