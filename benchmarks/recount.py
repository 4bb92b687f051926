"""The tables of a stored result, its means worked out anew from the timed calls.

    python -m benchmarks.recount benchmarks/results/qwen2.5-coder-bf16-int4.json \
        --calls benchmarks/results/qwen2.5-coder-bf16-int4.csv --write

Prints the tables of the page. With `--write` the result gets the means. Of a result whose calls were not kept the
ratios by prompt are taken, which it must have over `ar`.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
from pathlib import Path
from typing import Any

from benchmarks.common import told
from gsd.errors import InputError
from gsd.lab.bench import best_external, plain_external
from gsd.lab.bench.rows import BASELINE, mean_keys, means_by_kind, ratios
from gsd.lab.bench.store import COLUMNS, COUNTS, result_of
from gsd.spec import SamplingSpec
from gsd.trace.csvfile import parse_csv

Result = dict[str, Any]
HEADER = ("", "× `ar`", "95 %", "worst", "× transformers", "95 %", "worst", "acceptance length",
          "draft / target forwards", "tokens/s", "engine", "matches")  # fmt: skip


def main() -> None:
    """Print the tables, and write the means where asked."""
    given = _arguments()
    result = json.loads(given.result.read_text())
    made = counted(result, given.calls) if given.calls else regarded(result, given.result)
    print(tables(made))
    if given.write:
        given.result.write_text(json.dumps(made) + "\n")  # as gsd bench prints it


def counted(result: Result, calls: Path) -> Result:
    """The result with the ratios of its calls."""
    methods, ids = list(result["methods"]), [one["id"] for one in result["prompts"]]
    found = _rows(calls)
    by_prompt = {one: result_of([row for row in found if row["prompt"] == one], methods) for one in ids}
    results, kinds = list(by_prompt.values()), [one["kind"] for one in result["prompts"]]
    plain = plain_external(SamplingSpec(**result["settings"]["sampling"]))
    rows = {name: row | ratios(name, results, kinds, plain) for name, row in result["methods"].items()}
    return _made(result, rows) | {"best_external": best_external(results)}


def _rows(file: Path) -> list[dict[str, Any]]:
    """The calls of a file with their numbers; those of earlier versions have no quotes, and fewer columns."""
    text = file.read_text(encoding="utf-8")
    if text.startswith('"'):
        columns = parse_csv(text, str(file))
        return [dict(zip(columns, row)) for row in zip(*columns.values())]
    return [_typed(row) for row in csv.DictReader(io.StringIO(text, newline=""))]


def _typed(row: dict[str, str]) -> dict[str, Any]:
    whole = {name: int(row[name]) if row[name] else None for name in COUNTS}
    times = {name: float(cell) if cell else None for name, cell in row.items() if name.endswith("_ms")}
    return dict.fromkeys(COLUMNS) | row | whole | times


def regarded(result: Result, file: Path) -> Result:
    """The result with geometric means of the ratios that it has. Raises `InputError` where they are not over `ar`."""
    if any(ratio != 1 for ratio in result["methods"][BASELINE]["speedups"]):
        raise InputError(f"{file} has speed-ups over transformers on some prompts: give its --calls")
    kinds = [one["kind"] for one in result["prompts"]]
    rows = {
        name: {
            **row,
            **mean_keys("speedup", row["speedups"]),
            **mean_keys("speedup_over_transformers", row["speedups_over_transformers"]),
            "speedup_over_transformers_worst": min(row["speedups_over_transformers"]),
            **mean_keys("over_best_external", []),  # its ratios by prompt were not kept
            "by_kind": means_by_kind(row["speedups"], kinds),
            "by_kind_over_transformers": means_by_kind(row["speedups_over_transformers"], kinds),
        }
        for name, row in result["methods"].items()
    }
    return _made(result, rows)


def tables(result: Result) -> str:
    """As Markdown, the fastest method first."""
    rows = dict(sorted(result["methods"].items(), key=lambda item: -item[1]["speedup"]))
    made = [_table(HEADER, [[f"`{name}`", *_cells(row)] for name, row in rows.items()])]
    for title, key in (("× `ar` by kind", "by_kind"), ("× transformers by kind", "by_kind_over_transformers")):
        if kinds := list(rows[BASELINE].get(key, ())):
            cells = [[f"`{name}`", *(f"{row[key][kind]:.2f}" for kind in kinds)] for name, row in rows.items()]
            made.append(_table((title, *kinds), cells))
    return "\n\n".join(made)


def _made(result: Result, rows: dict[str, Any]) -> Result:
    return result | {"methods": rows, "baseline": BASELINE, "mean": "geometric"}


def _cells(row: Result) -> list[str]:
    engine = row["engine_share"]
    return [
        *(f"{row['speedup']:.2f}", _interval(row["speedup_interval"]), f"{row['speedup_worst']:.2f}"),
        *(f"{row['speedup_over_transformers']:.2f}", _interval(row["speedup_over_transformers_interval"])),
        *(f"{row['speedup_over_transformers_worst']:.2f}", f"{row['mean_acceptance_length']:.2f}"),
        *(f"{row['draft_forwards']} / {row['target_forwards']}", f"{row['tokens_per_s']:.1f}"),
        "" if engine is None else f"{100 * engine:.1f} %",
        "" if row["matches"] is None else f"{row['matches']}/{row['prompts']}",
    ]


def _interval(ends: list[float] | None) -> str:
    return f"{ends[0]:.2f}–{ends[1]:.2f}" if ends else ""


def _table(header: tuple[str, ...], rows: list[list[str]]) -> str:
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (header, ["---"] * len(header), *rows))


def _arguments() -> argparse.Namespace:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("result", type=Path, help="what gsd bench --json printed")
    options.add_argument("--calls", type=Path, help="what gsd bench --csv wrote meanwhile")
    options.add_argument("--write", action="store_true", help="write the means into the result")
    return options.parse_args()


if __name__ == "__main__":
    told(main)
