"""Stop rules: end of sequence, length, context, stop strings. Nothing counts after the end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol


class GrowingText(Protocol):
    """The text so far. `gsd.decode.text.Continuation` implements it."""

    def add(self, token: int) -> object:
        """Go on by one token."""

    def stop_at(self) -> int | None:
        """The start of the first stop string that the last token completed. None if there is none."""


class StopRules:
    """Cuts the tokens of a round at the first one that ends the text.

    Tokens are judged one by one. So the end of a text does not depend on how many tokens a round accepts. `text`
    starts a new text in which stop strings are searched; None if there are none.
    """

    def __init__(
        self,
        max_new_tokens: int,
        eos: frozenset[int] = frozenset(),
        text: Callable[[], GrowingText] | None = None,
    ) -> None:
        self._max_new_tokens = max_new_tokens
        self._eos = eos
        self._begin = text
        self._text: GrowingText | None = None
        self._length_limit = self._context_limit = 0

    def start(self, prompt_length: int, context_length: int) -> None:
        """Begin a text."""
        self._length_limit = prompt_length + self._max_new_tokens
        self._context_limit = context_length
        self._text = self._begin() if self._begin else None

    @property
    def capacity(self) -> int:
        """The maximum number of tokens of the text, prompt included."""
        return min(self._length_limit, self._context_limit)

    def room(self, committed: int) -> int:
        """How many more tokens fit after `committed`."""
        return self.capacity - committed

    def cut(self, tokens: list[int], committed: int) -> tuple[list[int], str | None]:
        """The tokens that count, and why the text ends with the last of them. None: it continues."""
        for count, token in enumerate(tokens, 1):
            stop = self._stop(token, committed + count)
            if stop:
                return tokens[:count], stop
        return tokens, None

    def _stop(self, token: int, length: int) -> str | None:
        if token in self._eos:
            return "eos"
        if self._text is not None:
            self._text.add(token)
            if self._text.stop_at() is not None:
                return "stop_string"
        if length == self._length_limit:
            return "length"
        return "context" if length == self._context_limit else None
