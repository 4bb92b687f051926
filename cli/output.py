"""Output that the commands share: results on standard output, everything else on standard error."""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from gsd.config import RunSpec
from gsd.decode.prompts import PromptFile
from gsd.decode.recorded import models_of
from gsd.errors import InputError
from gsd.models.places import is_path, located
from gsd.trace.csvfile import csv_text, of_frame

if TYPE_CHECKING:
    import pandas as pd

    from gsd.decode.runner import Runner

LARGE_STEPS = ("prompts", "probing", "cells")  # each gets a line
SMALL_STEPS_S = 30.0  # between lines for other items: tokens, settings, forwards
CLOSED_PIPE = 141  # what a shell reports of a program that wrote to nobody
UNCUT = 10_000  # columns: a table is as wide as its cells, and no wider


class _Console(Console):
    """A console that raises on a closed pipe, as `print` does."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


console = _Console(stderr=True)


def prepare_streams() -> None:
    """Write characters that a stream cannot encode as codes (`\\xe9`, `\\u6f22`) instead of failing.

    This happens in an 8-bit locale or with PYTHONIOENCODING, and with halves of surrogate pairs anywhere. A stream that
    the caller closed is replaced by an empty one, so that its output does not go into the next file that is opened.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, mode, errors="backslashreplace"))  # noqa: SIM115
        elif name != "stdin" and isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def give_up_streams() -> None:
    """Discard output that could not be written. Otherwise Python would try again at its end, and complain."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            with contextlib.suppress(OSError, ValueError):  # a stream without a descriptor keeps nothing
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, stream.fileno())
                os.close(nowhere)


def load(spec: RunSpec) -> Runner:
    """Load the pair of `spec`. Notes on standard error say what auto chose, and what is slow here."""
    with console.status("loading torch and the models", spinner=_spinner()), contextlib.redirect_stdout(sys.stderr):
        from transformers.utils import logging

        from gsd.decode.runner import Runner

        logging.disable_progress_bar()
        runner = Runner.of(spec)
    for line in filter(None, [_chosen(spec, runner.as_decoded(spec)), *runner.notes()]):
        note(line)
    return runner


def _chosen(asked: RunSpec, decoded: RunSpec) -> str | None:
    """What auto chose by measurement, in words. None if nothing was measured."""
    told = [f"--dtype auto is {decoded.dtype}"] if decoded.dtype != asked.dtype else []
    draft = decoded.draft if asked.draft and asked.draft.quantization == "auto" else None
    if draft and (told or draft.quantization != "none"):
        told.append(f"--draft-quant auto is {draft.quantization}")
    return f"{' and '.join(told)}, by what is fast on this CPU" if told else None


def note(line: str) -> None:
    """Print a note for the user on standard error."""
    say(f"gsd: note: {line}")


def load_agreed(spec: RunSpec) -> Runner:
    """Load the pair of a recording. Its author chose the models, so each download is announced first."""
    for model in models_of(spec).values():
        if model and located(model) is None and not is_path(model.source):
            say(f"{model.name} is not on this machine: it is downloaded from the Hugging Face hub")
    return load(spec)


def say(line: str) -> None:
    """Print one line on standard error."""
    console.print(harmless(line), highlight=False, markup=False, soft_wrap=True)


def harmless(text: str) -> str:
    """Text that is safe for a terminal: control characters, which could steer it, become codes."""
    return "".join(char if char.isprintable() or char in "\n\t" else char.encode("unicode_escape").decode()
                   for char in text)  # fmt: skip


def _spinner() -> str:
    """A spinner that the terminal can show."""
    return "line" if console.options.ascii_only else "dots"


def end_with_broken_lines(file: PromptFile) -> None:
    """Raise `InputError` that names the skipped lines, if any. Called when everything else is done and saved."""
    if file.broken:
        lines = "; ".join(f"line {line.line}: {line.error}" for line in file.broken)
        raise InputError(f"the rest is done, but these lines were skipped: {lines}")


def print_table(header: list[str], rows: list[list[str]]) -> None:
    """Print a table on standard output. Cells wrap on a narrow terminal; a file or a pipe gets whole lines."""
    table = Table(box=None, pad_edge=False)
    for name in header:
        table.add_column(Text(harmless(name)), overflow="fold")
    for row in rows:
        table.add_row(*(Text(harmless(cell)) for cell in row))
    _Console(width=None if sys.stdout.isatty() else UNCUT).print(table, highlight=False)


def print_json(value: dict[str, Any]) -> None:
    """Print the JSON object of a command."""
    print(json.dumps(value, ensure_ascii=True))


def write_csv(table: pd.DataFrame, file: Path, *, bom: bool = False) -> None:
    """Write a frame as CSV; `bom` starts it with a byte-order mark. Raises `InputError` if it cannot be written."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(csv_text(of_frame(table), bom=bom).encode())
    except OSError as error:
        raise InputError(f"cannot write {file}: {error.strerror or error}; choose another --csv") from error


@contextlib.contextmanager
def progress(what: str, total: int) -> Iterator[Callable[..., None]]:
    """Show progress on standard error. Yields a function that advances it by one, or `to` a number, with a `note`.

    A terminal gets a bar. A file or a pipe gets lines: one for each item of `LARGE_STEPS`, and for other items one in
    `SMALL_STEPS_S` seconds. Whatever a library prints meanwhile goes to standard error, because standard output is for
    results.
    """
    if not console.is_terminal:
        with contextlib.redirect_stdout(sys.stderr):
            yield _Lines(what, total).advance
        return
    columns = (SpinnerColumn(_spinner()), TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    bar = Progress(*columns, console=console, transient=True)
    with bar, contextlib.redirect_stdout(sys.stderr):
        task = bar.add_task(what, total=total)
        yield lambda *, to=None, note="": bar.advance(task) if to is None else bar.update(task, completed=to)


class _Lines:
    """Progress as lines: `prompts 3 of 24, 1:30 gone, about 10:30 left: def-3`."""

    def __init__(self, what: str, total: int) -> None:
        self._what, self._total = what, total
        self._every_s = 0.0 if what in LARGE_STEPS else SMALL_STEPS_S
        self._began = self._said = time.monotonic()
        self._count = 0
        self._rated: tuple[int, float] | None = None  # from where on it is reckoned what the rest takes

    def advance(self, *, to: int | None = None, note: str = "") -> None:
        """Count one more item, or `to` so many. The same number again says that work on the next item begins now."""
        now, before = time.monotonic(), self._count
        self._count = self._count + 1 if to is None else to
        if to == before or self._rated is None:  # what was done earlier says nothing of the rest
            self._rated = (to or 0, now if to == before else self._began)
        if self._count == before or now - self._said < self._every_s:
            return
        self._said = now
        parts = [f"{self._what} {self._count} of {self._total}", f"{_minutes(now - self._began)} gone"]
        done = self._count - self._rated[0]
        if done > 0 and self._count < self._total:
            left_s = (now - self._rated[1]) / done * (self._total - self._count)
            parts.append(f"about {_minutes(left_s)} left")
        say(", ".join(parts) + (f": {note}" if note else ""))


def _minutes(seconds: float) -> str:
    return f"{seconds // 60:.0f}:{int(seconds % 60):02d}"
