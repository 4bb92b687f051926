"""`gsd pairs` and `gsd doctor`: list pairs of models, and what this machine has."""

from __future__ import annotations

from cli.options import Json
from cli.output import note, print_json, print_table
from gsd.models.choice import ROWS, Table, in_words
from gsd.models.pairs import PAIRS, available
from gsd.wording import counted


def pairs(as_json: Json = False) -> None:
    """List the preset pairs, and whether their weights are on this machine."""
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
    """Show what this machine has, what is missing, and what is fast on it."""
    from gsd.lab.doctor import as_dict, examine, weights

    findings, tables = examine(), weights()
    if tables:  # so torch is here
        import torch

        from gsd.machine.crowd import crowd

        if busy := crowd(torch.get_num_threads()):
            note(busy)
    if as_json:
        print_json(as_dict(findings, tables))
        return
    print_table(["what", "found", "to do"], [[f.what, f.value, f.fix or ""] for f in findings])
    for table in tables:
        _print_weights(table)


def _print_weights(table: Table) -> None:
    """Print the milliseconds of each precision and number of rows, and what auto chooses from them."""
    print(f"\nA linear layer of {table.key.shape}, {counted(table.key.threads, 'thread')}: "
          "milliseconds by how its weights are held and the rows of a forward")  # fmt: skip
    print_table(["weights", *(counted(rows, "row") for rows in ROWS)], [
        [way, *(f"{ms:.2f}" for ms in times.values())] for way, times in table.milliseconds.items()
    ])  # fmt: skip
    print(f"For a large model --dtype auto and --draft-quant auto come to: {in_words(table)}")
