"""The list of runs: status, counts, size and title of each. Also renames and deletes runs.

Listing a run takes two small reads, however long it is: `run.json` and the last line of the events.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gsd.config import RunSpec, run_digest
from gsd.decode.recorded import as_settled
from gsd.errors import InputError, TraceError
from gsd.spec import build
from gsd.trace.read import READABLE, as_of_today, other_version
from gsd.trace.recorded_round import RecordedRound

TITLE = "title.txt"  # beside what was recorded, which stays as it is
MOST_TITLE = 80  # characters
TAIL_BYTES = 1 << 16  # read from the end of the events at first; more where the last line is longer

COMPLETE, INCOMPLETE, CANCELLED, FAILED = "complete", "incomplete", "cancelled", "failed"
OTHER_VERSION, UNREADABLE = "other version", "unreadable"


@dataclass(frozen=True, slots=True)
class Head:
    """What `run.json` and the title say. `spec` has every setting, defaults included; None where `why` says so.

    `prompt` tells the tokens of one prompt from those of another: a chat template may have read the clock.
    """

    folder: Path
    title: str
    created: str
    spec: dict[str, Any] | None
    status: str = ""
    why: str = ""
    prompt: str = ""


@dataclass(frozen=True, slots=True)
class RunInfo:
    """One run in a list.

    `status`             complete | incomplete | cancelled | failed | other version | unreadable
    `why`                one line for all but complete ones
    `text`               the continuation; empty while there is no end line
    `acceptance_length`  1 + accepted ÷ rounds; tokens ÷ rounds where there is no end line
    `tokens_per_s`       of the whole run; None while there is no end line
    `bytes`              on disk, tables included
    """

    head: Head
    status: str
    why: str
    bytes: int
    text: str = ""
    tokens: int | None = None
    rounds: int | None = None
    acceptance_length: float | None = None
    tokens_per_s: float | None = None

    @property
    def name(self) -> str:
        """The folder's name, which is the run's."""
        return self.head.folder.name


def read_head(folder: Path) -> Head:
    """Read the head of a run. Never raises; `status` and `why` say what is wrong with it."""
    title, created = _title(folder), ""
    try:
        meta = json.loads((folder / "run.json").read_bytes())
        schema, created = meta["schema"], str(meta["created"])
        if schema not in READABLE:
            return Head(folder, title, created, None, OTHER_VERSION, other_version(schema))
        meta = as_of_today(meta, schema)
        spec, prompt = build(RunSpec, as_settled(meta)).model_dump(mode="json"), meta.get("prompt_tokens")
        return Head(folder, title, created, spec, prompt=run_digest("", prompt) if isinstance(prompt, list) else "")
    except (OSError, ValueError, LookupError, TypeError, RecursionError, InputError) as error:
        return Head(folder, title, created, None, UNREADABLE, f"run.json cannot be read: {_line(error)}")


def run_info(head: Head) -> RunInfo:
    """Read how a run ended, and its counts. Never raises, as `read_head`."""
    size = sum(map(_size, head.folder.rglob("*")))
    if head.spec is None:
        return RunInfo(head, head.status, head.why, size)
    try:
        last = _last_event(head.folder / "events.jsonl")
        if last is None:
            return RunInfo(head, INCOMPLETE, "no round was finished", size, tokens=0, rounds=0)
        return _ended(head, last, size) if last["type"] == "end" else _going(head, RecordedRound.of(last), size)
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        return RunInfo(head, UNREADABLE, f"events.jsonl cannot be read: {_line(error)}", size)


def _size(path: Path) -> int:
    """Bytes of a file; 0 of a folder, and of what was renamed in between."""
    try:
        return path.stat().st_size if path.is_file() else 0
    except OSError:
        return 0


def matches(info: RunInfo, words: str) -> bool:
    """Whether every word occurs in the run's title, name, prompt or text, in upper or lower case."""
    spec = info.head.spec
    prompt = f"{spec['prompt']['id']} {spec['prompt']['prompt']}" if spec else ""
    where = f"{info.head.title}\n{info.name}\n{prompt}\n{info.text}".casefold()
    return all(word in where for word in words.casefold().split())


def retitle(folder: Path, title: str) -> None:
    """Set the title of a run. An empty title removes it. Raises `TraceError` if it cannot be saved."""
    title = " ".join(title.split())
    if len(title) > MOST_TITLE:
        raise InputError(f"a title of {len(title)} characters is too long; use at most {MOST_TITLE}")
    partial = folder / f"{TITLE}.partial"
    try:
        if not title:
            (folder / TITLE).unlink(missing_ok=True)
        else:
            partial.write_text(title, encoding="utf-8")
            partial.replace(folder / TITLE)
    except OSError as error:
        raise TraceError(f"cannot write {folder / TITLE}: {error.strerror}; check the folder's permissions") from error


def delete(folder: Path) -> None:
    """Delete a run from disk. Of a link only the link is deleted. Raises `TraceError` if that fails."""
    try:
        if folder.is_symlink():
            folder.unlink()
        else:
            (folder / "run.json").unlink()  # first: what is left of a half-deleted run is no run to any list
            shutil.rmtree(folder)
    except OSError as error:
        raise TraceError(f"cannot delete {folder}: {error.strerror}; check the folder's permissions") from error


def _ended(head: Head, end: dict[str, Any], size: int) -> RunInfo:
    status, totals = end["status"], end["totals"] or {}
    if status not in (COMPLETE, CANCELLED, FAILED):
        raise ValueError(f"its end says {status!r}")
    why = {COMPLETE: "", CANCELLED: "the rounds that were finished are kept"}.get(status, end["error"])
    return RunInfo(head, status, why or "", size, end["text"] or "", totals.get("new_tokens"), totals.get("rounds"),
                   totals.get("mean_acceptance_length"), totals.get("tokens_per_s"))  # fmt: skip


def _going(head: Head, round_: RecordedRound, size: int) -> RunInfo:
    """The last round tells how far the run is: its position counts the prompt and all tokens before it."""
    prompt = json.loads((head.folder / "run.json").read_bytes())["prompt_tokens"]
    rounds, tokens = round_.number + 1, round_.position + len(round_.new_tokens) - (len(prompt) - 1)
    why = "no end line: it was cut off, or another program is writing it"
    return RunInfo(head, INCOMPLETE, why, size, "", tokens, rounds, tokens / rounds)


def _last_event(events: Path) -> dict[str, Any] | None:
    """The last whole line; a torn one behind it is passed over."""
    if not events.exists():
        return None
    size = TAIL_BYTES
    with events.open("rb") as file:
        length = file.seek(0, os.SEEK_END)
        while True:
            file.seek(max(length - size, 0))
            lines = file.read().split(b"\n")[:-1]
            if len(lines) > 1 or size >= length:
                return json.loads(lines[-1]) if lines else None
            size *= 4


def _title(folder: Path) -> str:
    """Whatever stands there, as one line of at most `MOST_TITLE` characters."""
    try:
        with (folder / TITLE).open(encoding="utf-8", errors="replace") as file:
            line = " ".join(file.read(4 * MOST_TITLE).split())[:MOST_TITLE]
        return "".join(char if char.isprintable() else "\ufffd" for char in line)
    except OSError:
        return ""


def _line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:200]
