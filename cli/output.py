"""What the commands share on the way out: results on standard output, all else on standard error."""

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

LARGE_STEPS = ("prompts", "probing", "cells")  # each of which is told
SMALL_STEPS_S = 30.0  # between lines where steps are others: tokens, settings, forwards
CLOSED_PIPE = 141  # what a shell reports of a program that wrote to nobody
UNCUT = 10_000  # columns: a table is as wide as its cells, and no wider


class _Console(Console):
    """One that leaves a closed pipe to the command line, as `print` does."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


console = _Console(stderr=True)


def prepare_streams() -> None:
    """What standard output and error cannot hold is written as its code (`\\xe9`, `\\u6f22`), and is no error.

    So it is under an 8-bit locale or PYTHONIOENCODING, and for halves of surrogate pairs anywhere. Where a stream was
    closed by the caller, what is written there goes nowhere, and not into the next file that is opened.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, mode, errors="backslashreplace"))  # noqa: SIM115
        elif name != "stdin" and isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def give_up_streams() -> None:
    """Let go what could not be written, or Python would try again as it ends, and say so."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            with contextlib.suppress(OSError, ValueError):  # a stream without a descriptor keeps nothing
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, stream.fileno())
                os.close(nowhere)


def load(spec: RunSpec) -> Runner:
    """The pair of `spec`, with a word on standard error while it loads, and what makes it slow here."""
    with console.status("loading torch and the models", spinner=_spinner()), contextlib.redirect_stdout(sys.stderr):
        from transformers.utils import logging

        from gsd.decode.runner import Runner

        logging.disable_progress_bar()
        runner = Runner.of(spec)
    for line in filter(None, [_chosen(spec, runner.as_decoded(spec)), *runner.notes()]):
        note(line)
    return runner


def _chosen(asked: RunSpec, decoded: RunSpec) -> str | None:
    """What auto came to where that was measured; None where it is a rule of the device, or nothing was auto."""
    told = [f"--dtype auto is {decoded.dtype}"] if decoded.dtype != asked.dtype else []
    draft = decoded.draft if asked.draft and asked.draft.quantization == "auto" else None
    if draft and (told or draft.quantization != "none"):
        told.append(f"--draft-quant auto is {draft.quantization}")
    return f"{' and '.join(told)}, by what is fast on this CPU" if told else None


def note(line: str) -> None:
    """A line that the user should read, on standard error."""
    say(f"gsd: note: {line}")


def load_agreed(spec: RunSpec) -> Runner:
    """The same of a recording, whose author chose the models: what will be downloaded is said first."""
    for model in models_of(spec).values():
        if model and located(model) is None and not is_path(model.source):
            say(f"{model.name} is not on this machine: it is downloaded from the Hugging Face hub")
    return load(spec)


def say(line: str) -> None:
    """One line on standard error."""
    console.print(harmless(line), highlight=False, markup=False, soft_wrap=True)


def harmless(text: str) -> str:
    """Text of a file as it may go to a terminal: control characters, which could steer it, as their codes."""
    return "".join(char if char.isprintable() or char in "\n\t" else char.encode("unicode_escape").decode()
                   for char in text)  # fmt: skip


def _spinner() -> str:
    """One that the terminal's encoding holds."""
    return "line" if console.options.ascii_only else "dots"


def end_with_broken_lines(file: PromptFile) -> None:
    """Name the lines that were left out, after everything else is done and saved."""
    if file.broken:
        lines = "; ".join(f"line {line.line}: {line.error}" for line in file.broken)
        raise InputError(f"the rest is done, but these lines were skipped: {lines}")


def print_table(header: list[str], rows: list[list[str]]) -> None:
    """A table on standard output: cells wrap where a terminal is narrow; a file or a pipe gets whole lines."""
    table = Table(box=None, pad_edge=False)
    for name in header:
        table.add_column(Text(harmless(name)), overflow="fold")
    for row in rows:
        table.add_row(*(Text(harmless(cell)) for cell in row))
    _Console(width=None if sys.stdout.isatty() else UNCUT).print(table, highlight=False)


def print_json(value: dict[str, Any]) -> None:
    """The one JSON object of a command."""
    print(json.dumps(value, ensure_ascii=True))


def write_csv(table: pd.DataFrame, file: Path, *, bom: bool = False) -> None:
    """Raises `InputError` where the file cannot be written."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(csv_text(of_frame(table), bom=bom).encode())
    except OSError as error:
        raise InputError(f"cannot write {file}: {error.strerror or error}; choose another --csv") from error


@contextlib.contextmanager
def progress(what: str, total: int) -> Iterator[Callable[..., None]]:
    """How far the work is, on standard error; yields what moves it on by one, or `to` a number, with a `note` on it.

    A terminal gets a bar. A file or a pipe gets a line for each of `LARGE_STEPS`, of others one in `SMALL_STEPS_S`.
    Whatever a library prints meanwhile goes to standard error: standard output is for results.
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
        """One more, or `to` so many; `to` as many as before says that the work on the next one begins now."""
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
