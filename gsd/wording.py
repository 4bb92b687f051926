"""How messages and figures word numbers."""

from __future__ import annotations

from numbers import Integral


def counted(number: object, noun: str, plural: str = "") -> str:
    """A number with its noun: `1 call`, `2 calls`, `1,000 calls`. `plural` is for nouns that take more than an s.

    A sum may be a float. What a file has in place of a number is written as it is.
    """
    form = ",.0f" if isinstance(number, float) else "," if isinstance(number, Integral) else ""
    written = format(number, form) if form else str(number)
    return f"{written} {noun if number == 1 else plural or noun + 's'}"
