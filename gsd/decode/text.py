"""Conversion between token ids and text, outside the loop."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from transformers.convert_slow_tokenizer import bytes_to_unicode

from gsd.errors import PromptError
from gsd.spec import Prompt
from gsd.trace.pieces import as_parts

CONTEXT = 4  # tokens behind which the next ones are decoded
MOST_OPEN = 64  # tokens, all of them parts of characters, that are decoded together
LONGEST_CHARACTER = 4  # bytes of UTF-8, so tokens at most
UNKNOWN = "\ufffd"  # what decoding makes of bytes that are no character
_BYTE_PIECE = re.compile(r"<0x[0-9A-F]{2}>")
_BYTES = {character: byte for byte, character in bytes_to_unicode().items()}


class Tokenizer(Protocol):
    """What is asked of a tokenizer of transformers, as it is asked: of one text, or of one token."""

    name_or_path: str

    @property
    def all_special_ids(self) -> list[int]:
        """Those named in the tokenizer's configuration."""

    @property
    def added_tokens_decoder(self) -> dict[int, Any]:
        """Tokens that were added, each with `content` and whether it is `special`."""

    def convert_ids_to_tokens(self, ids: int) -> str | bytes | None:
        """The piece of a token, as its kind of tokenizer writes it; None where there is none."""

    def encode(self, text: str, *, add_special_tokens: bool = True) -> list[int]:
        """Token ids of a text."""

    def decode(self, token_ids: list[int], *, skip_special_tokens: bool, clean_up_tokenization_spaces: bool) -> str:
        """The text of tokens."""

    def apply_chat_template(
        self, conversation: list[dict[str, str]], *, tokenize: bool, add_generation_prompt: bool
    ) -> str:
        """A conversation as one text."""


class TokenTexts:
    """The text of each token id as it reads after other text, so with its leading blank.

    A part of a character is written as its bytes, `<0xE2>`.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._texts: dict[int, str] = {}
        self._parts: dict[int, bool] = {}
        flagged = {token: one.content for token, one in tokenizer.added_tokens_decoder.items() if one.special}
        pieces = {token: tokenizer.convert_ids_to_tokens(token) for token in tokenizer.all_special_ids}
        named = {token: piece if isinstance(piece, str) else "" for token, piece in pieces.items()}
        self.special: Mapping[int, str] = named | flagged

    def __getitem__(self, token: int) -> str:
        if token not in self._texts:
            self._texts[token] = self._text(token)
        return self._texts[token]

    def all(self, tokens: Sequence[int]) -> list[str]:
        """The texts of several tokens."""
        return [self[token] for token in tokens]

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of tokens at the start of a text, with special tokens and unchanged blanks."""
        return self._tokenizer.decode(list(tokens), skip_special_tokens=False, clean_up_tokenization_spaces=False)

    def is_part(self, token: int) -> bool:
        """Whether the text of a token depends on its neighbours: it holds only part of a character."""
        if token not in self._parts:
            piece = self._tokenizer.convert_ids_to_tokens(token)
            self._parts[token] = UNKNOWN in self._behind_itself(token) or bool(
                isinstance(piece, str) and _BYTE_PIECE.fullmatch(piece)
            )
        return self._parts[token]

    def after(self, prompt: Sequence[int], tokens: Sequence[int]) -> str:
        """The text of a whole continuation, without special tokens: what it adds to the decoded prompt."""
        context = self.context(prompt)
        ordinary = [token for token in tokens if token not in self.special]
        return added(self.decode(context), self.decode([*context, *ordinary]))

    def context(self, tokens: Sequence[int]) -> list[int]:
        """The last tokens that have a text of their own: whatever comes after a character reads as after those."""
        end = next((i for i in range(len(tokens), 0, -1) if not self.is_part(tokens[i - 1])), 0)
        start = next((i for i in range(end, max(end - CONTEXT, 0), -1) if self.is_part(tokens[i - 1])), None)
        return list(tokens[max(end - CONTEXT, 0) if start is None else start : end])

    def _behind_itself(self, token: int) -> str:
        """Behind a text, and there is none that every tokenizer can write, but the token's own."""
        return added(self.decode([token]), self.decode([token, token]))

    def _text(self, token: int) -> str:
        piece = self._tokenizer.convert_ids_to_tokens(token)
        if piece is None:  # an id of the padded part of the vocabulary
            return f"<{token}>"
        text = self._behind_itself(token)
        if UNKNOWN not in text:
            return text
        data = _bytes_of(piece)
        if data is None:
            return text
        try:
            return data.decode()
        except UnicodeDecodeError:
            return as_parts(data)


class Continuation:
    """A text that grows token by token after a prompt, and the place of the first stop string in it.

    Adding a token decodes only a few tokens, however long the text is: some tokens of context, and the unfinished bytes
    of a character. Special tokens are not part of the text. A stop string that names one is searched in the text with
    special tokens.
    """

    def __init__(self, texts: TokenTexts, prompt: Sequence[int], strings: Sequence[str] = ()) -> None:
        self._texts = texts
        self._strings = strings
        self._naming = [string for string in strings if any(one and one in string for one in texts.special.values())]
        self._reach = max(map(len, strings), default=0)  # characters before the last token that a stop string can take
        self._context = texts.context(prompt)
        self._before = texts.decode(self._context)
        self._open: list[int] = []  # tokens since then
        self._reading = ""  # of those
        self._read: list[str] = []  # what is certain
        self._length = 0  # of that, in characters
        self._tail = ""  # of that the last characters
        self._special: list[tuple[int, str]] = []  # where in the text, and which

    @property
    def text(self) -> str:
        """The text so far."""
        return "".join([*self._read, self._reading])

    def add(self, token: int) -> str:
        """Add one token. Returns its text here. A part of a character is written as its bytes."""
        if token in self._texts.special:
            self._special.append((self._length + len(self._reading), self._texts.special[token]))
            return self._texts[token]
        self._open.append(token)
        before, self._reading = self._reading, self._read_as(len(self._open))
        if self._texts.is_part(token):
            if len(self._open) > MOST_OPEN:
                self._settle(self._between_characters())
            return self._texts[token]
        new = added(before, self._reading)
        self._settle(len(self._open))
        return new

    def stop_at(self) -> int | None:
        """The start of the first stop string that the last token completed. None if there is none."""
        shown = self._tail + self._reading
        first = self._length - len(self._tail)
        found = [first + at for string in self._strings if (at := shown.find(string)) >= 0]
        if self._naming and self._special:
            marked, places = self._with_special(shown, first)
            found += [places[at] for string in self._naming if (at := marked.find(string)) >= 0]
        return min(found, default=None)

    def _read_as(self, count: int) -> str:
        return added(self._before, self._texts.decode([*self._context, *self._open[:count]]))

    def _settle(self, count: int) -> None:
        """Take the first open tokens as read."""
        if not count:
            return
        text = self._reading if count == len(self._open) else self._read_as(count)
        self._read.append(text)
        self._length += len(text)
        if self._reach:
            self._tail = (self._tail + text)[-self._reach - len(text) :]
        context = self._texts.context([*self._context, *self._open[:count]])
        if context != self._context:
            self._context, self._before = context, self._texts.decode(context)
        self._open = self._open[count:]
        self._reading = self._read_as(len(self._open)) if self._open else ""

    def _between_characters(self) -> int:
        """How many of the open tokens can be taken as read: what comes later does not change their text any more.

        Those up to a last whole character. Where there is none, bytes are wrong, and stay so once there is no
        character any more that they could begin. (Byte fallback makes a whole run unknown while its last one is open.)
        """
        last = len(self._open)
        for count in range(last, last - LONGEST_CHARACTER, -1):
            if UNKNOWN not in self._read_as(count):
                return count
        for count in range(last - LONGEST_CHARACTER, 0, -1):
            if self._reading.startswith(self._read_as(count)):
                return count
        return 0

    def _with_special(self, shown: str, first: int) -> tuple[str, list[int]]:
        """`shown`, which begins at `first`, with the special tokens in it; and each character's place in the text."""
        parts, places, at = [], [], first
        self._special = [one for one in self._special if one[0] >= first]  # the others are far behind by now
        for place, content in self._special:
            place = max(at, min(place, first + len(shown)))
            parts += [shown[at - first : place - first], content]
            places += [*range(at, place), *[place] * len(content)]
            at = place
        parts.append(shown[at - first :])
        return "".join(parts), [*places, *range(at, first + len(shown))]


def text_before_stop(texts: TokenTexts, prompt: Sequence[int], tokens: Sequence[int], strings: Sequence[str]) -> str:
    """The text of a continuation up to the first stop string in it."""
    written = Continuation(texts, prompt, strings)
    for token in tokens:
        written.add(token)
        if (at := written.stop_at()) is not None:
            return written.text[:at]
    return written.text


def added(before: str, after: str) -> str:
    """What `after` adds to `before`. If the last character of `before` was unfinished, from that character on."""
    if after.startswith(before):
        return after[len(before) :]
    same = next((i for i, (one, other) in enumerate(zip(before, after)) if one != other), len(after))
    return after[same:]


def encode(tokenizer: Tokenizer, prompt: Prompt) -> list[int]:
    """Token ids of a prompt, through the model's chat template where it has one and `chat` is not False."""
    has_template = bool(getattr(tokenizer, "chat_template", None))
    if prompt.chat and not has_template:
        raise PromptError(f"prompt {prompt.id!r} asks for a chat template and the model has none: leave out chat")
    if has_template and prompt.chat is not False:
        ids = tokenizer.encode(_templated(tokenizer, prompt), add_special_tokens=False)
    else:
        ids = tokenizer.encode(prompt.prompt)
    if not ids:
        raise PromptError(f"prompt {prompt.id!r} has no tokens: give at least one character")
    return ids


def _templated(tokenizer: Tokenizer, prompt: Prompt) -> str:
    """The prompt as the template puts it. A template is a program that came with the model: it may raise anything."""
    messages = [{"role": "user", "content": prompt.prompt}]
    try:
        return tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    except Exception as error:
        reason = f"{type(error).__name__}: {' '.join(str(error).split())}"[:300]
        raise PromptError(
            f"the chat template of {tokenizer.name_or_path} cannot be applied to prompt {prompt.id!r} ({reason}): "
            'leave it out by --raw, in a file of prompts by "chat": false, in the app by *Chat template*'
        ) from error


def _bytes_of(piece: str | bytes) -> bytes | None:
    """The bytes that a token stands for, in the forms of sentencepiece, of byte-level BPE and of tiktoken."""
    if isinstance(piece, bytes):
        return piece
    if _BYTE_PIECE.fullmatch(piece):
        return bytes([int(piece[3:-1], 16)])
    return bytes(map(_BYTES.__getitem__, piece)) if all(character in _BYTES for character in piece) else None
