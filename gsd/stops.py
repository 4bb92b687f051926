"""When a text ends: end-of-sequence, length, context, stop strings. Nothing counts after it."""

from __future__ import annotations

from collections.abc import Callable

LEAST_STOP_WINDOW = 64  # tokens decoded to look for a stop string


class StopRules:
    """Cuts what a round would commit at the first token that ends the text.

    Tokens are judged one by one in order, so that where a text ends does not depend on how many
    were accepted at once.
    """

    def __init__(
        self,
        max_new_tokens: int,
        eos: frozenset[int] = frozenset(),
        strings: tuple[str, ...] = (),
        decode: Callable[[list[int]], str] | None = None,
    ) -> None:
        self._max_new_tokens = max_new_tokens
        self._eos = eos
        self._strings = strings
        self._decode = decode
        self._window = max([LEAST_STOP_WINDOW, *(4 * len(string) for string in strings)])
        self._length_limit = self._context_limit = 0
        self._generated: list[int] = []

    def start(self, prompt_length: int, context_length: int) -> None:
        """Begin a text."""
        self._length_limit = prompt_length + self._max_new_tokens
        self._context_limit = context_length
        self._generated = []

    @property
    def capacity(self) -> int:
        """Tokens that the text can have at most, prompt included."""
        return min(self._length_limit, self._context_limit)

    def room(self, committed: int) -> int:
        """How many more tokens may come after `committed`."""
        return self.capacity - committed

    def cut(self, tokens: list[int], committed: int) -> tuple[list[int], str | None]:
        """The tokens that count, and why the text ends with the last of them (None: it goes on)."""
        for count, token in enumerate(tokens, 1):
            self._generated.append(token)
            stop = self._stop(token, committed + count)
            if stop:
                return tokens[:count], stop
        return tokens, None

    def _stop(self, token: int, length: int) -> str | None:
        if token in self._eos:
            return "eos"
        if self._strings and self._ends_in_string():
            return "stop_string"
        if length == self._length_limit:
            return "length"
        return "context" if length == self._context_limit else None

    def _ends_in_string(self) -> bool:
        text = self._decode(self._generated[-self._window :])
        return any(string in text for string in self._strings)


def cut_text(text: str, strings: tuple[str, ...]) -> str:
    """`text` up to the first stop string."""
    found = [at for at in (text.find(string) for string in strings) if at >= 0]
    return text[: min(found)] if found else text
