"""The timed calls of a benchmark, saved as they are measured, so that an interrupted one can be resumed.

`calls.csv` has one row per call. `calls.csv.log` has JSON lines: first the settings and the machine, then one line for
each finished prompt, with the places where texts differ from plain greedy decoding. Both files only grow, by whole
lines. A result consists of finished prompts only, and of nothing that is not in these two files.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import IO, Any

from gsd.errors import InputError
from gsd.lab.bench.contenders import Measurement
from gsd.lab.bench.divergence import Divergence
from gsd.lab.bench.measuring import PromptResult, Turn
from gsd.spec import Prompt
from gsd.trace.csvfile import csv_line, parse_csv
from gsd.trace.round import Times
from gsd.wording import counted

SCHEMA = 1
COUNTS = ("new_tokens", "rounds", "accepted", "draft_forwards", "target_forwards", "drafted_nodes", "verified_nodes")
PHASES = tuple(phase.name for phase in fields(Times))
COLUMNS = (
    *("prompt", "kind", "method", "repeat", "new_tokens", "wall_ms", *COUNTS[1:], "first_round_ms"),
    *(f"{phase}_ms" for phase in PHASES),
    *(f"first_{phase}_ms" for phase in PHASES),
    "error",
)
Row = dict[str, Any]


def row_of(turn: Turn, prompt: Prompt) -> Row:
    """A call as a row of the CSV. A failed call has an error, and no counts or times."""
    row: Row = {"prompt": prompt.id, "kind": prompt.kind, "method": turn.method, "repeat": turn.repeat}
    if isinstance(turn.outcome, str):
        return row | {"error": turn.outcome}
    call = turn.outcome
    row |= {"wall_ms": call.wall_ms, **{name: getattr(call, name) for name in COUNTS}}
    if call.times and call.first:
        row |= {"first_round_ms": call.first.total}
        row |= {f"{phase}_ms": ms for phase, ms in asdict(call.times).items()}
        row |= {f"first_{phase}_ms": ms for phase, ms in asdict(call.first).items()}
    return row


def call_of(row: Row) -> Measurement:
    """The call of a row without an error. Its text is not saved."""
    counts = {name: row[name] for name in COUNTS}
    return Measurement(wall_ms=row["wall_ms"], **counts, times=_times(row, ""), first=_times(row, "first_"))


def result_of(rows: Sequence[Row], methods: Sequence[str], divergences: dict[str, Any] | None = None) -> PromptResult:
    """The result of the calls on one prompt. A method that failed once has no calls there."""
    failures = {row["method"]: row["error"] for row in rows if row["error"]}
    calls = {name: [call_of(row) for row in rows if row["method"] == name and name not in failures] for name in methods}
    found = divergences and {name: one and Divergence(**one) for name, one in divergences.items()}
    return PromptResult(calls, found, failures)


def _times(row: Row, which: str) -> Times | None:
    """Those of a call or of its first round; transformers' own has none."""
    found = [row[f"{which}{phase}_ms"] for phase in PHASES]
    return None if None in found else Times(*found)


class Kept:
    """The measurements so far, by prompt number: in memory, and in a file after `keep_in`."""

    def __init__(self, prompts: Sequence[Prompt], methods: Sequence[str], repeats: int) -> None:
        self.results: dict[int, PromptResult] = {}
        self.notes: list[str] = []  # what was dropped when files were read back
        self._prompts, self._methods, self._repeats = prompts, methods, repeats
        self._rows: IO[str] | None = None
        self._log: IO[str] | None = None

    def keep_in(self, file: Path, settings: dict[str, Any], *, resume: bool) -> None:
        """Append calls to `file` from now on. With `resume` continue with the calls that it holds.

        Raises `InputError` if the file cannot be written, if it holds calls and `resume` is not set, and if its calls
        were measured with other settings.
        """
        settings = json.loads(json.dumps(settings))  # as it is read back
        with _Disk(file):
            self._log = log = log_of(file).open("a+", encoding="ascii")
            _lock(log, file)
            if not resume:
                refuse_held(file)
            if _holds_calls(file):
                self._read_back(file, log, settings)
            else:
                log.truncate(0)
                self._append(log, json.dumps({"schema": SCHEMA, "settings": settings}) + "\n")
                _replace(file, [])
            self._rows = file.open("a", encoding="utf-8", newline="")
        self._file = file

    def call(self, turn: Turn) -> None:
        """Keep one timed call."""
        if self._rows:
            with _Disk(self._file):
                self._append(self._rows, _line(row_of(turn, self._prompts[turn.prompt])))

    def whole(self, number: int, result: PromptResult) -> None:
        """Record that a prompt is finished."""
        self.results[number] = result
        if self._log:
            apart = result.divergences
            told = None if apart is None else {name: one and asdict(one) for name, one in apart.items()}
            with _Disk(self._file):
                self._append(self._log, json.dumps({"prompt": self._prompts[number].id, "divergences": told}) + "\n")

    def close(self) -> None:
        """Close the files."""
        for file in (self._rows, self._log):
            if file:
                file.close()

    def _read_back(self, file: Path, log: IO[str], settings: dict[str, Any]) -> None:
        """Take the whole prompts of files that were begun before; what is cut is dropped, and noted."""
        head, *wholes = self._read_log(file, log)
        if different := list(differences(head["settings"], settings)):
            raise InputError(f"--resume: the calls in {file} were measured with {'; '.join(different)}: take what they "
                             "were measured with, or choose another --csv")  # fmt: skip
        divergences = {line["prompt"]: line["divergences"] for line in wholes}
        by_prompt: dict[str, list[Row]] = {}
        for row in self._read_rows(file):
            by_prompt.setdefault(row["prompt"], []).append(row)
        kept: list[Row] = []
        for number, prompt in enumerate(self._prompts):
            rows = by_prompt.pop(prompt.id, [])
            if prompt.id in divergences and self._is_whole(rows):
                self.results[number] = result_of(rows, self._methods, divergences[prompt.id])
                kept += rows
            elif rows:
                self.notes.append(f"{prompt.id}: {counted(len(rows), 'call')} dropped, and the prompt is measured "
                                  "anew: not all methods had taken their turns")  # fmt: skip
        _replace(file, kept)

    def _read_log(self, file: Path, log: IO[str]) -> list[dict[str, Any]]:
        """The log's whole lines, at least its head; a torn last one is cut off."""
        log.seek(0)
        text = log.read()
        whole = text[: text.rfind("\n") + 1]
        if whole != text:
            log.truncate(len(whole))
            self.notes.append(f"{log_of(file)}: a torn last line was dropped")
        try:
            lines = [json.loads(line) for line in whole.splitlines()]
            if lines[0]["schema"] != SCHEMA:
                raise ValueError(f"schema {lines[0]['schema']}, this version reads {SCHEMA}")
            return lines
        except (ValueError, LookupError, TypeError) as error:
            raise InputError(f"--resume: {log_of(file)} does not say what the calls in {file} were measured with "
                             f"({error}): choose another --csv") from None  # fmt: skip

    def _read_rows(self, file: Path) -> list[Row]:
        text = file.read_bytes().decode("utf-8", errors="replace")  # a torn line may end within a character
        whole = text[: text.rfind("\n") + 1]
        if whole != text:
            self.notes.append(f"{file}: a torn last line was dropped")
        try:
            columns = parse_csv(whole)
        except InputError:
            columns = {}
        if tuple(columns) != COLUMNS:
            raise InputError(
                f"--resume: {file} is not what this version of gsd bench --csv writes: choose another file"
            )
        return [dict(zip(COLUMNS, row)) for row in zip(*columns.values())]

    def _is_whole(self, rows: list[Row]) -> bool:
        """Whether every method took all its turns or failed."""
        repeats = {name: [row["repeat"] for row in rows if row["method"] == name] for name in self._methods}
        failed = {row["method"] for row in rows if row["error"]}
        turns = list(range(self._repeats))
        return all(name in failed or of_method == turns for name, of_method in repeats.items())

    @staticmethod
    def _append(file: IO[str], line: str) -> None:
        file.write(line)
        file.flush()


def refuse_held(file: Path) -> None:
    """Raise `InputError` if a file holds calls already."""
    if _holds_calls(file):
        raise InputError(f"--csv {file} holds calls: go on with them by --resume, or choose another file")


def _holds_calls(file: Path) -> bool:
    return file.exists() and file.read_bytes() not in (b"", csv_line(COLUMNS).encode())


def log_of(file: Path) -> Path:
    """The log beside a file of calls."""
    return file.with_name(file.name + ".log")


def differences(then: Any, now: Any, name: str = "") -> Iterator[str]:
    """Where two settings differ, by the names of their values: `machine.threads 2, now 1`."""
    if isinstance(then, dict) and isinstance(now, dict):
        for key in dict.fromkeys([*then, *now]):
            yield from differences(then.get(key), now.get(key), f"{name}.{key}" if name else key)
    elif then != now:
        yield f"{name} {json.dumps(then)}, now {json.dumps(now)}"


class _Disk:
    """Whatever the disk refuses, as an `InputError` that names the file."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def __enter__(self) -> None:
        return None

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, OSError):
            reason = error.strerror or error
            raise InputError(f"cannot write {self._file}: {reason}; choose another --csv") from error


def _lock(log: IO[str], file: Path) -> None:
    try:
        fcntl.flock(log, fcntl.LOCK_EX | fcntl.LOCK_NB)  # let go of by the system when the process ends
    except BlockingIOError:
        raise InputError(f"another benchmark writes to {file}: wait for it or choose another --csv") from None


def _replace(file: Path, rows: list[Row]) -> None:
    """The file with these rows alone, at once."""
    partial = file.with_name(file.name + ".partial")
    partial.write_bytes("".join([csv_line(COLUMNS), *map(_line, rows)]).encode())
    os.replace(partial, file)


def _line(row: Row) -> str:
    """A line of the CSV."""
    return csv_line(row.get(column) for column in COLUMNS)
