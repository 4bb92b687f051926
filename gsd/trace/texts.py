"""Token texts as recorded and as shown. They may be hostile, so they are escaped here.

`Texts([" <b>"])` has `raw[0] == " <b>"`, `visible[0] == "·<b>"` and `html[0] == "<code>·&lt;b&gt;</code>"`. Code that
puts a recorded text into HTML uses `html`, so that escaping happens in one place.
"""

from __future__ import annotations

import html
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

LONGEST = 64  # characters of a token that are shown in the midst of words
_SHOWN = {" ": "·", "\n": "↵", "\t": "→", "\r": "␍"}


@dataclass(frozen=True)
class Texts:
    """A column of token texts. `raw`: as recorded; the shown columns are made when first asked for."""

    raw: list[str]

    def __len__(self) -> int:
        return len(self.raw)

    @cached_property
    def visible(self) -> list[str]:
        """With white space and control characters shown; not escaped."""
        return _each(visible, self.raw)

    @cached_property
    def html(self) -> list[str]:
        """As HTML elements."""
        return _each(code, self.raw)


def visible(text: str) -> str:
    """Token text with its white space shown: `·` space, `↵` newline, `→` tab; `∅` where it is empty."""
    return "".join(_SHOWN.get(char) or _printable(char) for char in text) or "∅"


def code(text: str) -> str:
    """A token as an HTML `<code>` element with visible white space and escaped markup. Long ones are cut."""
    if len(text) > LONGEST:
        return f"<code>{html.escape(visible(text[:LONGEST]))}…</code> ({len(text):,} characters)"
    return f"<code>{html.escape(visible(text))}</code>"


def _each(show: Callable[[str], str], texts: list[str]) -> list[str]:
    """Each text shown; one that recurs, as most do in a round, is made once."""
    made = {text: show(text) for text in set(texts)}
    return [made[text] for text in texts]


def _printable(char: str) -> str:
    """Control and format characters (bidirectional overrides among them) by their number."""
    return f"\\u{ord(char):04x}" if unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp") else char
