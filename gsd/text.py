"""Between token ids and text, at the edges of the engine."""

from __future__ import annotations

import re

from transformers import PreTrainedTokenizerBase
from transformers.convert_slow_tokenizer import bytes_to_unicode

from gsd.config import Prompt
from gsd.errors import PromptError

_BYTE_PIECE = re.compile(r"<0x[0-9A-F]{2}>")
_BYTES = {character: byte for byte, character in bytes_to_unicode().items()}


class TokenTexts:
    """Each token id as text on its own; a part of a character is written as its bytes, `<0xE2>`."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self._tokenizer = tokenizer
        self._texts: dict[int, str] = {}

    def __getitem__(self, token: int) -> str:
        if token not in self._texts:
            self._texts[token] = self._text(token)
        return self._texts[token]

    def all(self, tokens: list[int]) -> list[str]:
        """The texts of several tokens."""
        return [self[token] for token in tokens]

    def _text(self, token: int) -> str:
        text = self._tokenizer.decode([token], clean_up_tokenization_spaces=False)
        piece = self._tokenizer.convert_ids_to_tokens(token)
        if _BYTE_PIECE.fullmatch(piece or ""):  # sentencepiece's own form
            return piece
        if piece is None:  # an id of the padded part of the vocabulary
            return f"<{token}>"
        if "\ufffd" in text and all(character in _BYTES for character in piece):
            return "".join(f"<0x{_BYTES[character]:02X}>" for character in piece)
        if piece.startswith("▁") and not text.startswith(" "):  # sentencepiece drops it at the start of a text
            return " " + text
        return text


def encode(tokenizer: PreTrainedTokenizerBase, prompt: Prompt) -> list[int]:
    """Token ids of a prompt, through the model's chat template where it has one and `chat` is not False."""
    has_template = bool(getattr(tokenizer, "chat_template", None))
    if prompt.chat and not has_template:
        raise PromptError(f"prompt {prompt.id!r} asks for a chat template and the model has none: leave out chat")
    if has_template and prompt.chat is not False:
        messages = [{"role": "user", "content": prompt.prompt}]
        text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        ids = tokenizer.encode(text, add_special_tokens=False)
    else:
        ids = tokenizer.encode(prompt.prompt)
    if not ids:
        raise PromptError(f"prompt {prompt.id!r} has no tokens: give at least one character")
    return ids
