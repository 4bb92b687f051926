"""Format texts, numbers and settings for display."""

from __future__ import annotations

import math
import re

from gsd.wording import counted

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


def size(count: int) -> str:
    """A number of bytes: `812 bytes`, `4.5 KB`, `120 MB`."""
    if count < 1000:
        return counted(count, "byte")
    amount = float(count)
    for unit in ("KB", "MB", "GB"):
        amount /= 1000
        if amount < 1000 or unit == "GB":
            break
    return f"{amount:,.0f} {unit}" if amount >= 100 else f"{amount:.1f} {unit}"


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
