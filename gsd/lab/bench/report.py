"""The result of a benchmark as tables, for a terminal and as Markdown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from gsd.methods import METHODS
from gsd.spec import keeps_text

Cell = Callable[[dict[str, Any]], str]
TIMES, SHARE = "{:.2f}", "{:.1%}"


def _number(key: str, form: str = TIMES) -> Cell:
    """A cell of a row's number; blank where there is none, as of a method that failed everywhere."""
    return lambda row: "" if row[key] is None else form.format(row[key])


def _interval(key: str) -> Cell:
    return lambda row: "" if row[key] is None else "{:.2f}–{:.2f}".format(*row[key])


def _matches(row: dict[str, Any]) -> str:
    if row["matches"] is None:
        return ""
    odd = f" ({row['beyond_rounding']} beyond rounding)" if row["beyond_rounding"] else ""
    return f"{row['matches']}/{row['compared']}{odd}"


TERMINAL: dict[str, Cell] = {
    "× ar": _number("speedup"),
    "95 %": _interval("speedup_interval"),
    "worst": _number("speedup_worst"),
    "× hf": _number("speedup_over_transformers"),
    "accept": _number("mean_acceptance_length"),
    "tok/s": _number("tokens_per_s", "{:.1f}"),
    "engine": _number("engine_share", SHARE),
    "matches": _matches,
}
MARKDOWN: dict[str, Cell] = {
    "× `ar`": _number("speedup"),
    "95 %": _interval("speedup_interval"),
    "worst": _number("speedup_worst"),
    "best": _number("speedup_best"),
    "× transformers": _number("speedup_over_transformers"),
    "95 % of it": _interval("speedup_over_transformers_interval"),
    "ahead of all external": _number("wins", "{:.0%}"),
    "× the fastest external": _number("over_best_external"),
    "worst of it": _number("worst_over_best_external"),
    "acceptance length": _number("mean_acceptance_length"),
    "draft forwards": _number("draft_forwards", "{}"),
    "target forwards": _number("target_forwards", "{}"),
    "drafted nodes": _number("drafted_nodes", "{}"),
    "verified nodes": _number("verified_nodes", "{}"),
    "tokens/s": _number("tokens_per_s", "{:.1f}"),
    "engine": _number("engine_share", SHARE),
    "matches": _matches,
}


def table(rows: dict[str, dict[str, Any]], columns: dict[str, Cell]) -> list[list[str]]:
    """Cells by method, the method's name first."""
    return [[name, *(cell(row) for cell in columns.values())] for name, row in rows.items()]


def notes(report: dict[str, Any]) -> list[str]:
    """Notes on the table: missing prompts, and methods that failed on a prompt, with their errors."""
    measured, given = len(report["prompts"]), report["prompts_given"]
    said = [] if measured == given else [f"incomplete: {measured} of {given} prompts were measured"]
    ids = [one["id"] for one in report["prompts"]]
    for name, row in report["methods"].items():
        failed = {prompt: error for prompt, error in zip(ids, row["failures"]) if error}
        errors = Counter(failed.values())
        lines = "; ".join(error if len(errors) == 1 else f"{error} (on {n})" for error, n in errors.items())
        if failed:
            where = f"{len(failed)} of {measured} ({', '.join(failed)})"
            said.append(f"{name} failed on {where}, which its means leave out: {lines}")
    if by_law := _by_law(report.get("settings", {})):
        said.append(f"{', '.join(by_law)}: the law of texts is that of plain decoding, and the texts are others")
    return said


def _by_law(settings: dict[str, Any]) -> list[str]:
    """Which of our methods do not write the text that plain decoding draws with the same seed."""
    temperature = settings.get("sampling", {}).get("temperature", 0.0)
    own = {name: METHODS.get(drafting["method"]) for name, drafting in settings.get("drafting", {}).items()}
    return [name for name, method in own.items() if method and not keeps_text(method.keeps, temperature)]


def markdown(report: dict[str, Any]) -> str:
    """The tables of a result of `gsd bench --json`: methods, the time of a round by phase, kinds of prompts."""
    rows = report["methods"]
    parts = [_markdown_table(["", *MARKDOWN], [[f"`{name}`", *cells] for name, *cells in table(rows, MARKDOWN)])]
    if report["best_external"]:
        parts.append(f"Means over prompts are geometric. Best external in the mean: `{report['best_external']}`.")
    parts += [f"**{note[0].upper()}{note[1:]}.**" for note in notes(report)]
    timed = {name: row["phases_ms_per_round"] for name, row in rows.items() if row["phases_ms_per_round"]}
    if timed:
        parts.append(_phases(rows, timed))
    for title, by_kind in (("× `ar` by kind", "by_kind"), ("× transformers by kind", "by_kind_over_transformers")):
        kinds = list(next(iter(rows.values()))[by_kind])
        cells = [[f"`{name}`", *(_number(kind)(row[by_kind]) for kind in kinds)] for name, row in rows.items()]
        parts.append(_markdown_table([title, *kinds], cells))
    return "\n\n".join(parts) + "\n"


def _phases(rows: dict[str, dict[str, Any]], timed: dict[str, dict[str, float]]) -> str:
    phases = list(next(iter(timed.values())))
    cells = [
        [f"`{name}`", f"{rows[name]['first_round_ms']:.0f}", *(f"{times[phase]:.2f}" for phase in phases)]
        for name, times in timed.items()
    ]
    return _markdown_table(["ms", "the first round, with the prompt", *(f"{phase} a round" for phase in phases)], cells)


def _markdown_table(header: list[str], rows: Sequence[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
