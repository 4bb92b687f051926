"""Definitions of metrics, read from docs/metrics.md, where all formulas are written."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from textwrap import dedent

METRICS_FILE = Path(__file__).resolve().parents[1] / "docs" / "metrics.md"

_HEADING = re.compile(r"^#{2,3} .*$", re.M)
_FORMULA = re.compile(r"^(?: {4}.*\n?)+", re.M)
_NAMES = re.compile(r"`(\w+)`")


def definition(metric: str) -> str:
    """The section that defines a metric, as Markdown. Of a table there, only the metric's own row.

    This is the section whose heading names the metric, or else the first that names it. Raises `KeyError`
    if the metric is not documented.
    """
    sections = _sections()
    for heading, text in sections:
        if metric in _full_names(heading):
            return text
    for _, text in sections:
        if f"`{metric}`" in text:
            return _without_other_rows(text, metric)
    raise KeyError(f"{METRICS_FILE.name} does not define {metric!r}")


def formula(metric: str) -> str:
    """The formula in the section that defines a metric, as a block of code. Raises `KeyError` if there is none."""
    block = _FORMULA.search(definition(metric))
    if block is None:
        raise KeyError(f"{METRICS_FILE.name} has no formula of {metric!r}")
    return f"```text\n{dedent(block.group()).rstrip()}\n```"


@cache
def _sections() -> list[tuple[str, str]]:
    """Heading and text of every section; a section ends where the next begins, whatever its level."""
    whole = METRICS_FILE.read_text(encoding="utf-8")
    headings = list(_HEADING.finditer(whole))
    ends = [heading.start() for heading in headings[1:]] + [len(whole)]
    return [(heading.group(), whole[heading.end() : end].strip()) for heading, end in zip(headings, ends)]


def _full_names(heading: str) -> list[str]:
    """The names in a heading; `_by_run` behind `redundancy_by_round` is short for `redundancy_by_run`."""
    names = _NAMES.findall(heading)
    return [names[0].split("_by_")[0] + name if name.startswith("_by_") else name for name in names]


def _without_other_rows(text: str, metric: str) -> str:
    """Of a table only the head and the rows that name the metric."""
    lines = text.splitlines()
    heads = {i - 1 for i, line in enumerate(lines) if line.startswith("|--")}
    kept = [line for i, line in enumerate(lines)
            if not line.startswith("|") or i in heads or line.startswith("|--") or f"`{metric}`" in line]  # fmt: skip
    return "\n".join(kept)
