"""Format texts, numbers and settings for display."""

from __future__ import annotations

import math
import re
from numbers import Integral

PERCENT = "%.1f%%"  # of a table's column that holds hundredths, as `percent` writes them
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|~$:])")


def plain(text: str) -> str:
    """Text escaped for a Markdown message."""
    return _MARKDOWN.sub(r"\\\1", text)


def shortened(text: str, letters: int) -> str:
    """Text on one line and at most so many letters of it, cut between words where there are any."""
    line = " ".join(text.split())
    if len(line) <= letters:
        return line
    return f"{line[: letters + 1].rpartition(' ')[0] or line[:letters]} …"


def counted(number: object, noun: str) -> str:
    """How many of something: `1 round`, `1,200 rounds`; `noun` is of the kind that takes an s.

    A sum may be a float. What a file has in place of a number is written as it is.
    """
    form = ",.0f" if isinstance(number, float) else "," if isinstance(number, Integral) else ""
    written = format(number, form) if form else str(number)
    return f"{written} {noun}{'' if number == 1 else 's'}"


def size(count: int) -> str:
    """A number of bytes: `812 bytes`, `4.5 KB`, `120 MB`."""
    if count < 1000:
        return counted(count, "byte")
    for unit in ("KB", "MB", "GB"):
        count /= 1000
        if count < 1000 or unit == "GB":
            break
    return f"{count:,.0f} {unit}" if count >= 100 else f"{count:.1f} {unit}"


def setting(value: object) -> str:
    """A setting's value; a switch is on or off, and so is what is not used at all."""
    if value is None or isinstance(value, bool):
        return "on" if value else "off"
    return str(value)


def percent(logp: float | None) -> str:
    """A natural log probability as a percentage; None is what the trace writes for log 0, NaN is not known."""
    if logp is not None and math.isnan(logp):
        return "unknown"
    share = 0.0 if logp is None else 100 * math.exp(logp)
    return f"{share:.1f}%" if share == 0.0 or share >= 0.1 else f"{share:.1g}%"
