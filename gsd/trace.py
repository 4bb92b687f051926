"""The trace of a run: written as it happens, readable without torch. Schema: docs/trace.md.

A run folder is append-only while it is alive; whatever moment it is killed at, every line
that was finished can be read back.
"""

from __future__ import annotations

import contextlib
import errno
import json
import math
import os
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gsd.errors import TraceError

SCHEMA = 2
READABLE = (1, SCHEMA)
UNREADABLE = "an unreadable line"  # so begins the note of one that was dropped


@dataclass(frozen=True, slots=True)
class RunTrace:
    """One run as read back. `end` is None while the run is unfinished; `notes` say what was dropped."""

    folder: Path
    meta: dict[str, Any]
    steps: list[dict[str, Any]]
    end: dict[str, Any] | None
    notes: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The run's name, see `run_name`."""
        return run_name(self.folder)

    @property
    def status(self) -> str:
        """`complete`, `cancelled`, `failed`, or `incomplete` where no end was written."""
        return self.end["status"] if self.end else "incomplete"


class TraceWriter:
    """Writes one run folder. Use as a context manager, or call `close`."""

    def __init__(self, out: Path, slug: str, meta: dict[str, Any]) -> None:
        digest = meta["digest"][:8]
        stamp = datetime.now(UTC)
        slug = re.sub(r"[^a-z0-9]+", "-", slug.lower()).strip("-")[:40] or "run"
        with _Disk(out):
            out.mkdir(parents=True, exist_ok=True)
            self.folder = _new_folder(out, f"{stamp:%Y%m%dT%H%M%S%fZ}-{slug}-{digest}")
            head = {"schema": SCHEMA, "run": self.folder.name, "created": stamp.isoformat(), **meta}
            partial = self.folder / "run.json.partial"
            partial.write_text(json.dumps(head, ensure_ascii=True, indent=1))
            partial.rename(self.folder / "run.json")
            self._events = (self.folder / "events.jsonl").open("a", encoding="ascii")

    def step(self, record: dict[str, Any]) -> None:
        """Append one round."""
        self._line({"type": "step", **record})

    def end(self, record: dict[str, Any]) -> None:
        """Append the closing line, then write `tables/`."""
        from gsd.tables import write_tables

        self._line({"type": "end", **record})
        self.close()
        with _Disk(self.folder):
            write_tables(read_run(self.folder), self.folder / "tables")

    def close(self) -> None:
        """Close the file; a run closed without `end` stays incomplete."""
        with _Disk(self.folder):  # a line that a full disk refused is tried once more here
            self._events.close()

    def __enter__(self) -> TraceWriter:
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        with contextlib.suppress(*[TraceError] if error else []):  # the first error is the one to tell
            self.close()

    def _line(self, record: dict[str, Any]) -> None:
        with _Disk(self.folder):
            self._events.write(json.dumps(record, ensure_ascii=True, allow_nan=False, separators=(",", ":")) + "\n")
            self._events.flush()


def read_run(folder: str | os.PathLike[str]) -> RunTrace:
    """Read a run folder, finished or not. Raises `TraceError` where it is none of ours."""
    folder = Path(folder)
    try:
        meta = json.loads((folder / "run.json").read_text())
        found = meta.get("schema") if isinstance(meta, dict) else None
        meta = as_of_today(meta, found) if found in READABLE else None
    except FileNotFoundError:
        way_out = f"it holds runs, so name {folder}/*" if list_runs(folder) else "name a run folder, such as runs/<run>"
        raise TraceError(f"{folder}: no run.json there; {way_out}") from None
    except (OSError, ValueError, RecursionError) as error:
        raise TraceError(f"{folder}/run.json cannot be read: {error}") from None
    except (LookupError, TypeError):
        raise TraceError(f"{folder}: run.json is not a trace's, as it has no settings; name a run of gsd") from None
    if meta is None:
        raise TraceError(f"{folder}: {other_version(found)}")
    tail = EventTail(folder)
    events = tail.poll()
    notes = list(tail.notes)
    if tail.torn:
        notes.append(f"a torn last line of {tail.torn} bytes was dropped")
    end = events.pop() if events and events[-1]["type"] == "end" else None
    return RunTrace(folder, meta, events, end, notes)


def as_of_today(meta: dict[str, Any], schema: int) -> dict[str, Any]:
    """What made a recording of a readable schema, with every setting that this version knows.

    In schema 1 tokens were drawn by an inverse cumulative law, which was not said, as there was no other way.
    """
    if schema == SCHEMA or not meta["spec"]["sampling"]["temperature"]:
        return meta
    spec = meta["spec"]
    return {**meta, "spec": {**spec, "sampling": {**spec["sampling"], "draw": "inverse"}}}


def other_version(schema: object) -> str:
    """Why a run of a schema that is not among `READABLE` cannot be read, and the way out."""
    known = " and ".join(map(str, READABLE))
    return f"trace schema {schema!r}, this version reads {known}; use the gsd that wrote it"


class EventTail:
    """Follows `events.jsonl` as it grows; `poll` returns the whole lines written since the last call."""

    def __init__(self, folder: Path) -> None:
        self._path = Path(folder) / "events.jsonl"
        self._offset = 0
        self.torn = 0  # bytes after the last whole line
        self.notes: list[str] = []

    def poll(self) -> list[dict[str, Any]]:
        """New events, oldest first."""
        if not self._path.exists():
            return []
        with self._path.open("rb") as file:
            file.seek(self._offset)
            data = file.read()
        whole = data.rfind(b"\n") + 1
        self._offset += whole
        self.torn = len(data) - whole
        return list(self._parse(data[:whole]))

    def _parse(self, data: bytes) -> Iterator[dict[str, Any]]:
        for line in data.splitlines():
            try:
                event = json.loads(line)
                if not isinstance(event, dict) or "type" not in event:
                    raise ValueError("no event")
            except (ValueError, RecursionError):
                self.notes.append(f"{UNREADABLE} of {len(line)} bytes was dropped")
                continue
            yield event


def run_name(folder: str | os.PathLike[str]) -> str:
    """What a run is called in lists, tables, bundles and addresses: its folder's name, as the folder is called now.

    So a copy is a run of its own, and a folder that was renamed is the same run under another name. `run` in
    `run.json` is the name that it was recorded under.
    """
    return Path(os.path.abspath(folder)).name


def check_writable(out: Path) -> Path:
    """`out`, made if need be; raises `TraceError` where nothing can be written, before any work is done."""
    with _Disk(out):
        out.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=out).close()
    return out


def list_runs(out: str | os.PathLike[str]) -> list[Path]:
    """Run folders under `out` by name, the last first: the newest, but where names do not begin with the time."""
    try:
        with os.scandir(out) as found:
            names = [one.name for one in found if os.path.exists(f"{one.path}/run.json")]
    except OSError:  # no such folder, or none to look into
        return []
    return [Path(out, name) for name in sorted(names, reverse=True)]


def finite(value: float) -> float | None:
    """A number for JSON: None where it is NaN or infinite."""
    return value if math.isfinite(value) else None


def mean_acceptance_length(accepted: int, rounds: int) -> float | None:
    """Tokens that a round's one target forward is good for: 1 + accepted / rounds; None without a round.

    The 1 is the bonus, which counts even in a last round that a stop rule cut before it.
    """
    return 1 + accepted / rounds if rounds else None


def _new_folder(out: Path, name: str) -> Path:
    for suffix in ("", *(f"-{n}" for n in range(2, 1000))):
        try:
            (out / (name + suffix)).mkdir()
        except FileExistsError:
            continue
        return out / (name + suffix)
    raise TraceError(f"{out / name} exists a thousand times over; choose another folder")


class _Disk:
    """Turns an `OSError` into a `TraceError` that says what to do."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if not isinstance(error, OSError):
            return
        if error.errno == errno.ENOSPC:
            way_out = "the disk is full: free some space or choose another folder; rounds already written are kept"
        else:
            way_out = f"{error.strerror or error}: choose a folder that can be written"
        raise TraceError(f"cannot write {self._path}: {way_out}") from error
