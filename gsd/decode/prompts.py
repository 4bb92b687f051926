"""Prompt files: one JSON object per line with `prompt` and, optionally, `id`, `kind` and `chat`.

Other keys are ignored.
"""

from __future__ import annotations

import json
from codecs import BOM_UTF8
from dataclasses import dataclass
from pathlib import Path

from gsd.errors import InputError, PromptError
from gsd.spec import Prompt, build

MOST_KEYS = 4  # of a line without a prompt that are told


@dataclass(frozen=True, slots=True)
class BrokenLine:
    """A line that cannot be used: its number, from 1, and the reason."""

    line: int
    error: str


@dataclass(frozen=True, slots=True)
class PromptFile:
    """The prompts of a file, and the lines that could not be read."""

    prompts: list[Prompt]
    lines: list[int]  # of each prompt, from 1
    broken: list[BrokenLine]


def read_prompts(path: Path) -> PromptFile:
    """Read a prompt file. Blank lines are skipped. Raises `PromptError` if it has no usable prompt."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise PromptError(f"prompt file {path} cannot be read: {error}") from None
    return parse_prompts(content, str(path))


def parse_prompts(content: bytes, name: str) -> PromptFile:
    """Parse the content of a prompt file. Messages call it `name`."""
    file = PromptFile([], [], [])
    ids: dict[str, int] = {}  # by prompt the line; what is measured is told by prompt, so two may not share one
    # Split there and at nothing else: U+2028 and its like may stand inside a JSON string.
    lines = content.removeprefix(BOM_UTF8).split(b"\n")
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            prompt = _prompt(line, number)
            if prompt.id in ids:
                raise PromptError(f"id {prompt.id!r} is that of line {ids[prompt.id]}: give each prompt its own")
        except InputError as error:
            file.broken.append(BrokenLine(number, str(error)))
            continue
        ids[prompt.id] = number
        file.prompts.append(prompt)
        file.lines.append(number)
    if not file.prompts:
        reason = f"line {file.broken[0].line}: {file.broken[0].error}" if file.broken else "it is empty"
        raise PromptError(f"prompt file {name} holds no prompt ({reason})")
    return file


def _prompt(line: bytes, number: int) -> Prompt:
    try:
        values = json.loads(line.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise PromptError(f"no JSON ({error})") from None
    if not isinstance(values, dict):
        raise PromptError(f"a JSON object is wanted, with a key 'prompt', and this is {type(values).__name__}")
    if "prompt" not in values:
        keys = ", ".join(map(repr, list(values)[:MOST_KEYS])) + (", …" if len(values) > MOST_KEYS else "")
        raise PromptError(f"no key 'prompt', which is the text to go on with; there is {keys[:80] or 'none'}")
    own = {name: values[name] for name in Prompt.model_fields if name == "prompt" or values.get(name) is not None}
    return build(Prompt, {"id": f"line-{number}", **own}, options=False)
