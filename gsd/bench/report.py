"""Results as tables: for a terminal, as Markdown to paste, and every timed call for those who reckon themselves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import pandas as pd

from gsd.bench.measuring import PromptResult
from gsd.config import Prompt

Cell = Callable[[dict[str, Any]], str]

_SPEEDUP: dict[str, Cell] = {
    "speed-up": lambda row: _ratio(row["speedup"]),
    "95 %": lambda row: _interval(row["speedup_interval"]),
    "worst": lambda row: _ratio(row["speedup_worst"]),
}
_OVER_TRANSFORMERS: dict[str, Cell] = {
    "× transformers": lambda row: _ratio(row["speedup_over_transformers"]),
}
_WORK: dict[str, Cell] = {
    "acceptance length": lambda row: _ratio(row["mean_acceptance_length"]),
    "draft forwards": lambda row: str(row["draft_forwards"]),
    "target forwards": lambda row: str(row["target_forwards"]),
    "drafted nodes": lambda row: _or_blank(row["drafted_nodes"], str),
    "verified nodes": lambda row: _or_blank(row["verified_nodes"], str),
}
_SPEED: dict[str, Cell] = {
    "tokens/s": lambda row: f"{row['tokens_per_s']:.1f}",
    "engine": lambda row: _or_blank(row["engine_share"], lambda share: f"{share:.1%}"),
}
_MATCHES: dict[str, Cell] = {"matches": lambda row: _matches(row)}
TERMINAL = {
    **_SPEEDUP,
    "× hf": _OVER_TRANSFORMERS["× transformers"],
    "accept": _WORK["acceptance length"],
    "tok/s": _SPEED["tokens/s"],
    "engine": _SPEED["engine"],
    **_MATCHES,
}
MARKDOWN = {
    **_SPEEDUP,
    "best": lambda row: _ratio(row["speedup_best"]),
    **_OVER_TRANSFORMERS,
    "95 % of it": lambda row: _interval(row["speedup_over_transformers_interval"]),
    "ahead of all peers": lambda row: f"{row['wins']:.0%}",
    "× the fastest peer": lambda row: _ratio(row["over_best_peer"]),
    "worst of it": lambda row: _ratio(row["worst_over_best_peer"]),
    **_WORK,
    **_SPEED,
    **_MATCHES,
}


def table(rows: dict[str, dict[str, Any]], columns: dict[str, Cell]) -> list[list[str]]:
    """Cells by method, the method's name first."""
    return [[name, *(cell(row) for cell in columns.values())] for name, row in rows.items()]


def markdown(report: dict[str, Any]) -> str:
    """The tables of a result of `gsd bench --json`: methods, the time of a round by phase, kinds of prompts."""
    rows = report["methods"]
    parts = [_markdown_table(["", *MARKDOWN], [[f"`{name}`", *cells] for name, *cells in table(rows, MARKDOWN)])]
    parts.append(f"Best peer in the mean: `{report['best_peer']}`. Baseline of the speed-up: {report['baseline']}.")
    timed = {name: row["phases_ms_per_round"] for name, row in rows.items() if row["phases_ms_per_round"]}
    phases = list(next(iter(timed.values())))
    cells = [
        [f"`{name}`", f"{rows[name]['first_round_ms']:.0f}", *(f"{times[phase]:.2f}" for phase in phases)]
        for name, times in timed.items()
    ]
    parts.append(
        _markdown_table(["ms", "the first round, with the prompt", *(f"{phase} a round" for phase in phases)], cells)
    )
    for title, by_kind in (("speed-up by kind", "by_kind"), ("× transformers by kind", "by_kind_over_transformers")):
        kinds = list(next(iter(rows.values()))[by_kind])
        cells = [[f"`{name}`", *(_ratio(row[by_kind][kind]) for kind in kinds)] for name, row in rows.items()]
        parts.append(_markdown_table([title, *kinds], cells))
    return "\n\n".join(parts) + "\n"


def calls(results: Sequence[PromptResult], prompts: Sequence[Prompt]) -> pd.DataFrame:
    """A row for every timed call, milliseconds by phase included."""
    rows = []
    for prompt, result in zip(prompts, results):
        for method, repeats in result.calls.items():
            for repeat, call in enumerate(repeats):
                values = asdict(call)
                times, first = values.pop("times") or {}, values.pop("first")
                tokens = values.pop("tokens")
                rows.append({"prompt": prompt.id, "kind": prompt.kind, "method": method, "repeat": repeat,
                             "new_tokens": len(tokens), **values, "first_round_ms": first and sum(first.values()),
                             **{f"{phase}_ms": ms for phase, ms in times.items()}})  # fmt: skip
    return pd.DataFrame(rows).convert_dtypes()


def _markdown_table(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _matches(row: dict[str, Any]) -> str:
    if row["matches"] is None:
        return ""
    odd = f" ({row['beyond_rounding']} beyond rounding)" if row["beyond_rounding"] else ""
    return f"{row['matches']}/{row['prompts']}{odd}"


def _ratio(value: float) -> str:
    return f"{value:.2f}"


def _interval(ends: Sequence[float]) -> str:
    return f"{ends[0]:.2f}–{ends[1]:.2f}"


def _or_blank(value: Any, text: Callable[[Any], str]) -> str:
    return "" if value is None else text(value)
