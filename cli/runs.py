"""`gsd export`, `gsd query` and `gsd rerun`: export runs, query them by SQL, decode them again."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import options
from cli.options import Excel, Json, Load, TrustNamed
from cli.output import load_agreed, print_json, print_table, progress, write_csv
from gsd.decode.holder import PairHolder
from gsd.decode.recorded import agreed, as_recorded, as_settled, models_of
from gsd.errors import InputError
from gsd.trace.read import read_run

if TYPE_CHECKING:
    from gsd.lab.rerun import Comparison


def export(
    runs: Annotated[list[Path], typer.Argument(help="Run folders.")],
    csv: Annotated[
        Path | None, typer.Option("--csv", metavar="FOLDER", help="Write tables and metrics as CSV files.")
    ] = None,
    parquet: Annotated[
        Path | None, typer.Option("--parquet", metavar="FOLDER", help="Write the tables as Parquet files.")
    ] = None,
    bundle: Annotated[
        Path | None,
        typer.Option("--bundle", metavar="FILE", help="Write a zip file that `gsd rerun` can decode again."),
    ] = None,
    excel: Excel = False,
    as_json: Json = False,
) -> None:
    """Write runs as CSV (tables and metrics), as Parquet (tables), or as a bundle."""
    from analysis.bundle import write_bundle
    from analysis.export import export_csv, export_parquet

    if not (csv or parquet or bundle):
        raise InputError("give --csv FOLDER, --parquet FOLDER or --bundle FILE.zip")
    options.refuse_excel(excel, csv)
    files: list[Path] = []
    files += export_csv(runs, csv, bom=excel) if csv else []
    files += export_parquet(runs, parquet) if parquet else []
    files += [write_bundle(runs, bundle)] if bundle else []
    if as_json:
        print_json({"files": [str(file) for file in files]})
    else:
        print("\n".join(map(str, files)))


def query(
    sql: Annotated[str, typer.Argument(help="One SELECT over the tables; docs/tables.md lists their columns.")],
    runs: Annotated[list[Path], typer.Argument(help="Run folders.")],
    csv: Annotated[
        Path | None, typer.Option("--csv", metavar="FILE", help="Also write the answer to this file.")
    ] = None,
    excel: Excel = False,
    as_json: Json = False,
) -> None:
    """Query the tables of runs by SQL."""
    from analysis import query as tables

    options.refuse_excel(excel, csv)
    answer = tables.query(runs, sql).convert_dtypes()  # whole numbers stay whole where one is missing
    if csv:
        write_csv(answer, csv, bom=excel)
    if as_json:
        print_json({"rows": json.loads(answer.to_json(orient="records", double_precision=15))})
    else:
        shown = answer.astype(object).where(answer.notna(), "")
        print_table(list(answer.columns), [list(map(str, row)) for row in shown.itertuples(index=False)])


def rerun(
    bundle: Annotated[Path, typer.Argument(help="Zip file made by `gsd export --bundle`.")],
    named: Load = None,
    trust_remote_code: TrustNamed = False,
    as_json: Json = False,
) -> None:
    """Decode the runs of a bundle again and compare tokens and counts (with method auto, tokens only)."""
    from analysis.bundle import read_bundle

    compared: list[Comparison] = []
    try:
        with tempfile.TemporaryDirectory() as folder:
            for one in _rerun(read_bundle(bundle, Path(folder)), named or (), trust=trust_remote_code):
                compared.append(one)
    finally:  # an interrupt or an error also reports what was compared before it
        if compared:
            _report(compared, as_json)
    if not all(one.same for one in compared):
        raise typer.Exit(1)


def _report(compared: list[Comparison], as_json: bool) -> None:
    if as_json:
        print_json({"runs": [_row(one) for one in compared], "same": all(one.same for one in compared)})
    else:
        _print_compared(compared)


def _print_compared(compared: list[Comparison]) -> None:
    print_table(["run", "tokens", *compared[0].counts], [
        [one.run, "same" if one.same_tokens else f"differ from {one.first_difference}",
         *(str(now) if before == now else f"{before} -> {now}" for before, now in one.counts.values())]
        for one in compared
    ])  # fmt: skip
    old = [one.run for one in compared if one.draw == "inverse"]
    if old:
        print(f"drawn by an inverse cumulative law, as traces of schema 1 were, not by Gumbel noise: {', '.join(old)}")
    for one in compared:
        if one.prompt:
            print(f"{one.run} was decoded from its recorded prompt tokens: {one.prompt}")
    free = [one.run for one in compared if not one.fixed_work]
    if free:
        print(f"counts are not held against {', '.join(free)}: method auto plans by the clock")


def _rerun(folders: list[Path], named: Collection[str], *, trust: bool) -> Iterator[Comparison]:
    """Decode every complete run again. Models load only if the next run needs other ones."""
    from gsd.lab.rerun import rerun

    pairs = PairHolder(load_agreed)
    runs = [run for run in map(read_run, folders) if run.status == "complete"]
    if not runs:
        raise InputError("the bundle holds no complete run, so there is nothing to compare with")
    there = {model.name for run in runs for model in models_of(as_recorded(run.meta["spec"])).values() if model}
    if strange := set(named) - there:
        raise InputError(f"--load {min(strange)}: the bundle's models are {', '.join(sorted(there))}")
    with progress("runs", len(runs)) as advance:
        for run in runs:
            yield rerun(run.folder, pairs.get(agreed(as_settled(run.meta), named, trust=trust)))
            advance()


def _row(one: Comparison) -> dict[str, Any]:
    return {"run": one.run, "same_tokens": one.same_tokens, "first_difference": one.first_difference,
            "counts": one.counts, "draw": one.draw, "fixed_work": one.fixed_work, "setup": one.setup,
            "prompt": one.prompt}  # fmt: skip
