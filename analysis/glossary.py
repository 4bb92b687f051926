"""The pages and definitions of docs/, for the Guide."""

from __future__ import annotations

import re
from functools import cache

import pandas as pd

from analysis.definitions import METRICS_FILE

TABLES_FILE = METRICS_FILE.with_name("tables.md")

_TOPIC = re.compile(r"^## ", re.M)
_ELSEWHERE = re.compile(r"(?<!!)\[([^\]]*)\]\((?![a-z]+:)[^)]*\)")  # a link to a file of the repository
_NOT_SHOWN = re.compile(r"^(?:<!--.*?-->|!\[.*\]\(.*\))\n", re.M)  # words for tests, and pictures
_PART = re.compile(r"^#{2,} (.*)$", re.M)
_ROW = re.compile(r"^\| `(?P<column>\w+)` \| (?P<unit>.*?) \| (?P<meaning>.*) \|$", re.M)


@cache
def topics() -> dict[str, str]:
    """The sections of docs/metrics.md by name, as Markdown. The general rules come first."""
    rules, *sections = _TOPIC.split(METRICS_FILE.read_text(encoding="utf-8"))
    found = {"Rules": rules.partition("\n\n")[2]}
    for section in sections:
        heading, _, text = section.partition("\n")
        found[heading.partition(":")[0]] = text
    return found


@cache
def pages() -> dict[str, str]:
    """The other pages of docs/ by title, as Markdown.

    Pictures and links to files are removed. Headings become bold lines, so that they are no anchors of the app's page.
    """
    found = {}
    for file in sorted(METRICS_FILE.parent.glob("*.md")):
        if file not in (METRICS_FILE, TABLES_FILE):
            title, _, text = file.read_text(encoding="utf-8").partition("\n")
            text = _ELSEWHERE.sub(r"\1", _NOT_SHOWN.sub("", text))
            found[title.removeprefix("# ")] = _PART.sub(r"**\1**", text).strip()
    return found


@cache
def measures() -> pd.DataFrame:
    """Every column of docs/tables.md: `table`, `column`, `unit` and `meaning`."""
    rows = []
    for section in _TOPIC.split(TABLES_FILE.read_text(encoding="utf-8"))[1:]:
        table = section.partition("\n")[0]
        rows += [{"table": table, **found.groupdict()} for found in _ROW.finditer(section)]
    return pd.DataFrame(rows)
