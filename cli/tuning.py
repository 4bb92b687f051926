"""`gsd calibrate` and `gsd tune`: measure cost curves, and compare settings without running a model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import options
from cli.output import harmless, load, print_json, print_table, progress, say, write_csv
from gsd.config import RunSpec
from gsd.decode.recorded import as_settled
from gsd.lab.atlas import Atlas
from gsd.lab.cost import COSTS_FILE, Costs, Curve, models_named
from gsd.spec import Prompt, build
from gsd.wording import counted

if TYPE_CHECKING:
    from gsd.decode.runner import Runner

REPEATS = 20
ENGINE_PROMPT = "def merge_sorted(left, right):\n"


@options.unfolded
def calibrate(
    *,
    out: Annotated[Path, typer.Option(metavar="FILE", help="JSON file for the cost curves.")],
    models: options.Models,
    repeats: Annotated[int, typer.Option(min=3, help="Measured forwards of each size.")] = REPEATS,
    as_json: options.Json = False,
) -> None:
    """Measure cost curves: the time of a forward of N tokens, for draft and target, and the engine's own time."""
    spec = build(RunSpec, {**models.values(), "prompt": Prompt(prompt=ENGINE_PROMPT)})
    options.check_file(out, "--out")
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
    """Measure the cost curves of loaded models, with a bar of progress."""
    from gsd.lab.calibrate import calibrate as measure

    with progress("calibrating", repeats + 1) as advance:
        return measure(runner, spec, repeats=repeats, progress=advance)


def _fit(curve: Curve) -> str:
    line = curve.line()
    return f"{line.fixed_ms:.2f} + {line.per_token_ms:.3f} N, off by {line.error:.0%}"


def tune(
    atlas: Annotated[Path, typer.Argument(help="Folder of an atlas made by `gsd probe`.")],
    grid: Annotated[
        str | None,
        typer.Option(
            metavar="OPTION=VALUES,…",
            help="Settings to combine, such as width=1..6,depth=4,8,merge_context=none,1. By default a broad grid.",
        ),
    ] = None,
    costs: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Cost curves made by `gsd calibrate`. By default those of the atlas."),
    ] = None,
    csv: Annotated[
        Path | None, typer.Option("--csv", metavar="FILE", help="Write one row for each setting to this file.")
    ] = None,
    excel: options.Excel = False,
    as_json: options.Json = False,
) -> None:
    """Replay a grid of settings over an atlas and show the best ones. Their speed-ups are modelled."""
    from analysis import tune as grids
    from analysis.replay import Replayer

    options.refuse_excel(excel, csv)
    parsed = grids.parse_grid(grid) if grid is not None else None  # mistakes are found before the atlas loads
    options.check_file(csv, "--csv")
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
    """The cost curves of a file, or else those of the atlas, if any. Raises `InputError` if their models differ."""
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
    """Print the Pareto front, and the best settings as commands to paste. The CSV has all rows."""
    from analysis.tune import command, kind_named

    print(f"{counted(report['settings'], 'setting')}, {report['covered']:,} covered by the atlas")
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
