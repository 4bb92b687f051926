"""`gsd pairs`, `gsd doctor` and `gsd export`: what is here, and what runs hold."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gsd.cli.options import Json
from gsd.cli.output import print_json, print_table
from gsd.pairs import PAIRS, available


def pairs(as_json: Json = False) -> None:
    """List the preset pairs and whether their weights are here."""
    rows = [
        {"name": p.name, "target": p.target.source, "draft": p.draft.source, "here": available(p), "note": p.note}
        for p in PAIRS.values()
    ]
    if as_json:
        print_json({"pairs": rows})
        return
    columns = ("name", "here", "target", "draft", "note")
    print_table(list(columns), [[str(row[column]) for column in columns] for row in rows])


def export(
    runs: Annotated[list[Path], typer.Argument(help="Run folders.")],
    csv: Annotated[Path, typer.Option("--csv", help="Folder for the six CSV files.")],
    as_json: Json = False,
) -> None:
    """Write runs, steps, nodes, edges, merges and decisions of runs as CSV."""
    from analysis.export import export_csv  # the one place where the engine's side looks at the analysis

    files = [str(path) for path in export_csv(runs, csv)]
    if as_json:
        print_json({"files": files})
    else:
        print("\n".join(files))


def doctor(as_json: Json = False) -> None:
    """Say what this machine has and what is missing."""
    from gsd.doctor import as_dict, examine

    findings = examine()
    if as_json:
        print_json(as_dict(findings))
        return
    print_table(["what", "found", "to do"], [[f.what, f.value, f.fix or ""] for f in findings])
