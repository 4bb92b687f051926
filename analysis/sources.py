"""The source of a round's nodes: the draft, or tokens seen before."""

from __future__ import annotations

from collections.abc import Sequence

from gsd.drafting.lookup import Lookup
from gsd.methods import METHODS

ASKED = {"root", "draft"}  # sources that are none to look in
FOUND: dict[str, str] = {  # the others that installed methods have, and where each looks
    name: where for one in METHODS.values() for name, where in one.sources.items() if name not in ASKED
}


def is_found(source: str) -> bool:
    """Whether such nodes come from another source than the draft."""
    return source not in ASKED


def matched_tokens(before: Sequence[int], drafted: Sequence[int]) -> int | None:
    """How many tokens at the end of a text and what was drafted behind it stood in the text before; None for none."""
    index = Lookup()
    index.extend(before)
    found = index.find([*before, *drafted], 1)
    return found.matched if found else None
