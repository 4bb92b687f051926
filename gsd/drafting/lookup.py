"""Look up continuations in earlier tokens: the prompt, the text so far, or rejected hypotheses.

No model is asked. Source of the idea: prompt lookup decoding (Saxena, 2023), LLMA (Yang et al., 2304.04487).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

LONGEST_MATCH = 8  # tokens; a longer match says little more
SHORTEST_MATCH = 2
END = -1  # no token: one sequence ends here and another begins


@dataclass(frozen=True, slots=True)
class Continuation:
    """Tokens that followed an earlier place with the same last `matched` tokens."""

    tokens: list[int]
    matched: int


class Lookup:
    """An index of n-grams over sequences of tokens. The last sequence may still grow."""

    def __init__(self) -> None:
        self._tokens: list[int] = []
        self._start = 0  # of the last sequence
        self._ends: dict[tuple[int, ...], int] = {}  # n-gram -> place of the token behind its last occurrence

    def extend(self, tokens: Sequence[int]) -> None:
        """Append `tokens` to the last sequence."""
        for token in tokens:
            place = len(self._tokens)
            for length in range(SHORTEST_MATCH, min(LONGEST_MATCH, place - self._start) + 1):
                self._ends[tuple(self._tokens[place - length : place])] = place
            self._tokens.append(token)

    def end(self) -> None:
        """End the last sequence. Later tokens begin a new one, and no match crosses the border."""
        self._tokens.append(END)
        self._start = len(self._tokens)

    def find(self, text: Sequence[int], most: int) -> Continuation | None:
        """Up to `most` tokens after the longest indexed match with the end of `text`. Of several the latest counts."""
        place, matched = None, 0
        for length in range(SHORTEST_MATCH, min(LONGEST_MATCH, len(text)) + 1):
            longer = self._ends.get(tuple(text[-length:]))
            if longer is None:  # nor is anything that ends with it
                break
            place, matched = longer, length
        if place is None:
            return None
        tokens = self._tokens[place : place + most]
        return Continuation(tokens[: tokens.index(END)] if END in tokens else tokens, matched)
