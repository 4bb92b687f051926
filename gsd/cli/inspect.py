"""`gsd pairs` and `gsd doctor`: what is here."""

from __future__ import annotations

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


def doctor(as_json: Json = False) -> None:
    """Say what this machine has and what is missing."""
    from gsd.doctor import as_dict, examine

    findings = examine()
    if as_json:
        print_json(as_dict(findings))
        return
    print_table(["what", "found", "to do"], [[f.what, f.value, f.fix or ""] for f in findings])
