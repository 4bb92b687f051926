"""Prompts to start from, by kind: `prompts.jsonl` beside this file, which `gsd --prompt-file` reads as well."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from gsd.decode.prompts import read_prompts

LIBRARY = Path(__file__).with_name("prompts.jsonl")
KINDS = ("code", "edit", "tests", "json", "maths", "summary", "translation", "chat")


@dataclass(frozen=True, slots=True)
class LibraryPrompt:
    """One prompt. Where `chat` is false it is the beginning of a text, which any model can go on with."""

    id: str
    kind: str
    prompt: str
    chat: bool

    @property
    def title(self) -> str:
        """What a list calls it: its id in words."""
        words = self.id.replace("-", " ")
        return words[0].upper() + words[1:]

    @property
    def suits(self) -> str:
        """`base`: the bundled pair and any other model; `chat`: models that were taught to follow instructions."""
        return "chat" if self.chat else "base"


@cache
def prompts() -> tuple[LibraryPrompt, ...]:
    """All prompts, kind by kind; those for a base model first."""
    found = [LibraryPrompt(one.id, one.kind, one.prompt, one.chat) for one in read_prompts(LIBRARY).prompts]
    return tuple(sorted(found, key=lambda one: (KINDS.index(one.kind), one.chat)))
