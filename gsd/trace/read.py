"""Read the trace of a run, without torch. Schema: docs/trace.md."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gsd.errors import TraceError
from gsd.methods import METHODS, read_by
from gsd.trace.recorded_round import RecordedRound

SCHEMA = 4
READABLE = (1, 2, 3, SCHEMA)
LINES = ("round", "step")  # what the line of a round is called; up to schema 3 it was a step
UNREADABLE = "an unreadable line"  # so begins the note of one that was dropped


@dataclass(frozen=True, slots=True)
class RunTrace:
    """One run, read from its folder. `end` is None while the run is unfinished. `notes` say what was dropped."""

    folder: Path
    meta: dict[str, Any]
    rounds: list[RecordedRound]
    end: dict[str, Any] | None
    notes: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The run's name, see `run_name`."""
        return run_name(self.folder)

    @property
    def status(self) -> str:
        """`complete`, `cancelled`, `failed`, or `incomplete` if there is no `end` line."""
        return self.end["status"] if self.end else "incomplete"


def read_run(folder: str | os.PathLike[str]) -> RunTrace:
    """Read a run folder, finished or not. Raises `TraceError` if it is not a run.

    Values are not checked here; `gsd.trace.form` does that.
    """
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
    rounds = [as_round(event, folder, number) for number, event in enumerate(events, 1)]
    return RunTrace(folder, meta, rounds, end, notes)


def as_round(event: dict[str, Any], folder: Path, number: int) -> RecordedRound:
    """One event of a run as its round `number`, from 1. Raises `TraceError` if it is not a round."""
    try:
        if event["type"] not in LINES:
            raise TypeError(f"its type is {event['type']!r}")
        return RecordedRound.of(event)
    except (LookupError, TypeError, AttributeError, RecursionError) as error:
        raise TraceError(f"{folder}: not a trace of gsd (round {number} of events.jsonl: "
                         f"{type(error).__name__}: {str(error)[:200]}); leave it out") from None  # fmt: skip


def as_of_today(meta: dict[str, Any], schema: int) -> dict[str, Any]:
    """The settings of a recording of any readable schema, as this version writes them.

    Schema 1 drew tokens by an inverse cumulative law and did not record that. Up to schema 2, drafting had the settings
    of all methods; those that its method does not read are left out.
    """
    if schema >= 3:
        return meta
    spec = meta["spec"]
    sampling = spec["sampling"]
    if schema == 1 and sampling["temperature"]:
        sampling = {**sampling, "draw": "inverse"}
    drafting = read_by(spec["drafting"], options=False)
    spec = {**spec, "sampling": sampling, "drafting": drafting.model_dump(mode="json")}
    return {**meta, "spec": spec, "method": METHODS[drafting.method].described()}


def other_version(schema: object) -> str:
    """The message for a schema that is not among `READABLE`."""
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
    """The name of a run in lists, tables, bundles and addresses: the present name of its folder.

    So a copied folder is a run of its own, and a renamed one has the new name. `run` in `run.json` is the name at
    the time of recording.
    """
    return Path(os.path.abspath(folder)).name


def list_runs(out: str | os.PathLike[str]) -> list[Path]:
    """Run folders under `out` by name, in falling order: the newest first if names begin with the time."""
    try:
        with os.scandir(out) as found:
            names = [one.name for one in found if os.path.exists(f"{one.path}/run.json")]
    except OSError:  # no such folder, or none to look into
        return []
    return [Path(out, name) for name in sorted(names, reverse=True)]
