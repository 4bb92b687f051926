"""What there is to look at: recorded runs and atlases, the user's own and those that come with the app."""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import streamlit as st

from analysis.catalog import Head, RunInfo, read_head, run_info
from analysis.words import shortened
from gsd.errors import TraceError
from gsd.methods import USUAL

if TYPE_CHECKING:
    from analysis.load import Frames

RUNS_VARIABLE = "GSD_RUNS"
SAMPLES = Path(__file__).resolve().parent / "samples"  # recorded runs and an atlas that come with the app
LOADED_RUNS = 64  # runs whose frames are kept in memory
LISTED_RUNS = 4096  # runs whose lines in lists are kept in memory
LABELLED = 36  # letters of a prompt in its run's label


def runs_folder() -> Path:
    """Where runs are written and looked for: $GSD_RUNS, or `runs` in the working folder."""
    return Path(os.environ.get(RUNS_VARIABLE, "runs"))


@dataclass(frozen=True, slots=True)
class Entry:
    """One run as lists show it."""

    head: Head
    sample: bool

    @property
    def folder(self) -> Path:
        """The run folder."""
        return self.head.folder

    @property
    def name(self) -> str:
        """The folder's name, which is the run's."""
        return self.head.folder.name

    @property
    def spec(self) -> dict[str, Any] | None:
        """Its settings, defaults included; None for a run that this version cannot read."""
        return self.head.spec

    @property
    def created(self) -> str:
        """When it was started, UTC, ISO 8601; empty for a run that does not say."""
        return self.head.created

    @property
    def label(self) -> str:
        """Date, method and the prompt's first words, or the title that it was given."""
        created = self.created[:19].replace("T", " ")
        if self.spec is None:
            return f"{self.head.title or created or self.name} · {self.head.status}"
        prompt = shortened(self.spec["prompt"]["prompt"], LABELLED)
        kind = self.spec["prompt"]["kind"]
        when = f"Sample{f', {kind}' if kind else ''}" if self.sample else created
        return f"{when} · {self.spec['drafting']['method']} · {self.head.title or prompt}"


def entries() -> list[Entry]:
    """All runs, the user's newest first, then the samples of which the user has no copy.

    One look at each folder, and at what is in those that have changed: for one run take `find`.
    """
    own = _own_in_order(_in(runs_folder(), sample=False))
    names = {entry.name for entry in own}
    return own + _samples_in_order(entry for entry in _in(SAMPLES, sample=True) if entry.name not in names)


def _in(place: Path, *, sample: bool) -> list[Entry]:
    """The runs in a folder, the last name first; none where it is not there."""
    found = []
    with contextlib.suppress(OSError), os.scandir(place) as folders:
        for one in sorted(folders, key=lambda folder: folder.name, reverse=True):
            with contextlib.suppress(OSError):  # no run, or gone
                found.append(_read(one.path, one.stat().st_mtime_ns, sample))
    return found


def _own_in_order(found: Iterable[Entry]) -> list[Entry]:
    return sorted(found, key=lambda entry: entry.created, reverse=True)  # runs of a sweep have names that say no time


def _samples_in_order(found: Iterable[Entry]) -> list[Entry]:
    return sorted(found, key=lambda entry: entry.spec["drafting"]["method"] != USUAL)  # what the lab is about


def info(entry: Entry) -> RunInfo:
    """How a run ended, and its counts."""
    return _info(str(entry.folder), _stamp(entry.folder), _stamp(entry.folder / "events.jsonl"))


def find(name: str) -> Entry | None:
    """The run of that name, among those known and no other: names come from addresses."""
    if not name or Path(name).name != name or name == "..":
        return None
    for place, sample in ((runs_folder(), False), (SAMPLES, True)):
        with contextlib.suppress(OSError, ValueError):  # of an address with a zero byte
            return _read(str(place / name), (place / name).stat().st_mtime_ns, sample)
    return None


def _named(names: Iterable[str]) -> list[Entry]:
    """Those of the runs that are there, each once, in the order of `entries`, without looking at all others."""
    found = [entry for name in sorted(set(names), reverse=True) if (entry := find(name))]
    own, samples = ([entry for entry in found if entry.sample == sample] for sample in (False, True))
    return _own_in_order(own) + _samples_in_order(samples)


def labels(found: Sequence[Entry]) -> dict[str, str]:
    """Name → label, no two alike: a selectbox tells its options apart by what they show."""
    made: dict[str, str] = {}
    seen: Counter[str] = Counter()
    for entry in found:
        label = entry.label
        seen[label] += 1
        made[entry.name] = label if seen[label] == 1 else f"{label} ({seen[label]})"
    return made


def atlases() -> dict[str, Path]:
    """Atlases by name: folders with an atlas.json beside the runs, then those that come with the app."""
    own, samples = (sorted(path.parent for path in place.glob("*/atlas.json")) for place in (runs_folder(), SAMPLES))
    names = {folder.name for folder in own}
    return {folder.name: folder for folder in (*own, *(one for one in samples if one.name not in names))}


def atlas_labels(found: Mapping[str, Path]) -> dict[str, str]:
    """Name → label, which says how many prompts probing left undone."""
    pending = {
        name: _pending(folder, max(_stamp(folder), _stamp(folder / "atlas.json"))) for name, folder in found.items()
    }
    return {name: f"{name} · {count} not probed" if count else name for name, count in pending.items()}


def frames(names: Sequence[str]) -> Frames:
    """The tables of runs by name. Raises `TraceError` where one cannot be read."""
    folders = [entry.folder for entry in _named(names)]
    if missing := set(names) - {folder.name for folder in folders}:
        raise TraceError(f"there is no run {sorted(missing)[0]!r} under {runs_folder()}")
    return _frames(tuple(map(str, folders)), tuple(_changed(folder) for folder in folders))


def version(names: Sequence[str]) -> tuple[int, ...]:
    """When the named runs last grew: what is computed from them holds until this changes."""
    return tuple(_changed(entry.folder) for entry in _named(names))


@st.cache_resource(show_spinner=False, max_entries=LOADED_RUNS)
def _frames(folders: tuple[str, ...], changed: tuple[int, ...]) -> Frames:
    """Cached by what the runs held when they were read; shared, so nobody may change them."""
    from analysis.load import load  # with pandas: a third of a second that the first page need not wait for

    return load([Path(folder) for folder in folders])


def _changed(folder: Path) -> int:
    """When the run last grew."""
    return max(_stamp(folder), _stamp(folder / "events.jsonl"))


def _stamp(path: Path) -> int:
    """When a file last changed, or what a folder lists; 0 where it is gone."""
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return 0


@lru_cache(maxsize=LISTED_RUNS)
def _read(folder: str, changed: int, sample: bool) -> Entry:
    """Cached by what the folder lists: `run.json` and the title appear whole, in place of what was there.

    Raises `OSError` where there is no `run.json`, which is not kept: one that is just being made has the same date.
    """
    os.stat(f"{folder}/run.json")
    return Entry(read_head(Path(folder)), sample)


@lru_cache(maxsize=LISTED_RUNS)
def _info(folder: str, listed: int, written: int) -> RunInfo:
    """Cached by when the tables appeared and the events grew."""
    return run_info(read_head(Path(folder)))


@lru_cache(maxsize=LISTED_RUNS)
def _pending(folder: Path, changed: int) -> int:
    """Prompts of an atlas that are still to be probed; 0 of one that cannot be read, of which its view says why."""
    from gsd.lab.atlas import Atlas  # with pyarrow, which not every page waits for

    try:
        return Atlas.pending_in(folder)
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return 0
