"""Write the trace of a run while it runs. Schema: docs/trace.md.

A run folder only grows while the run is alive. If the run is killed, every finished line can
still be read.
"""

from __future__ import annotations

import contextlib
import errno
import json
import re
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gsd.errors import TraceError
from gsd.trace.read import SCHEMA, read_run


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

    def round(self, record: dict[str, Any]) -> None:
        """Append one round."""
        self._line({"type": "round", **record})

    def end(self, record: dict[str, Any]) -> None:
        """Append the closing line, then write `tables/`."""
        from gsd.trace.tables import write_tables

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


def check_writable(out: Path) -> Path:
    """Make the folder `out` if needed, and return it. Raises `TraceError` if nothing can be written there."""
    with _Disk(out):
        out.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=out).close()
    return out


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
