"""Where a round's nodes came from: the draft, or tokens seen before, where method auto looks, too."""

from __future__ import annotations

from collections.abc import Sequence

from gsd.drafting.lookup import Lookup

FOUND = {"lookup": "in the text so far", "history": "among rejected hypotheses"}  # source -> where it looks


def matched_tokens(before: Sequence[int], drafted: Sequence[int]) -> int | None:
    """How many tokens at the end of a text and what was drafted behind it stood in the text before; None for none."""
    index = Lookup()
    index.extend(before)
    found = index.find([*before, *drafted], 1)
    return found.matched if found else None
