"""Runs in one file: traces, tables and metrics as CSV, settings and versions; read back anywhere."""

from __future__ import annotations

import json
import os
import shutil
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from analysis.catalog import read_head
from analysis.export import csv_files
from analysis.load import tables_of
from gsd.errors import InputError, TraceError
from gsd.tables import write_tables
from gsd.trace import RunTrace, check_writable, read_run

FORMAT = "gsd-bundle"
VERSION = 1
HEAD = "bundle.json"
PACKED = {zipfile.ZIP_STORED: "stored", zipfile.ZIP_DEFLATED: "deflated"}  # how entries may be packed
MOST_GROWTH = 100  # unpacked over packed size; of traces it is 5 to 20, of a file made to fill the disk 1,000


@dataclass(frozen=True, slots=True)
class Taken:
    """Runs that a bundle brought, and those that were there already and stay as they are, by name."""

    new: list[str]
    known: list[str]


def write_bundle(runs: Sequence[Path], file: Path) -> Path:
    """Write `file`: `bundle.json` (settings and versions by run), `runs/<run>/…` (the traces), `csv/…`.

    `file` appears whole or not at all. Raises `TraceError` where a run cannot be read, stands there twice,
    or `file` cannot be written.
    """
    traces = {}
    for folder in runs:
        trace = read_run(folder)
        name = trace.meta["run"]
        if name in traces:
            raise TraceError(f"{folder}: run {name} is there twice; name each run once")
        traces[name] = trace
    partial = file.with_name(f"{file.name}.{os.getpid()}.partial")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as bundle:
            _fill(bundle, traces)
        partial.replace(file)
    except OSError as error:
        raise TraceError(f"cannot write {file}: {error.strerror or error}; choose another --bundle file") from error
    finally:
        with suppress(OSError):  # gone, or it never was
            partial.unlink()
    return file


def read_bundle(file: Path, out: Path) -> list[Path]:
    """Unpack the runs of a bundle under `out`: all of them, or none; returns their folders.

    Raises `InputError` for a file that is no bundle, is damaged, or has entries that belong nowhere in one;
    `TraceError` for runs of another version and for a run that `out` has already, which is left as it is.
    """
    with _opened(file) as bundle:
        _check_packing(bundle, file)
        names = _run_names(bundle, file)
        entries = _entries(bundle, names, file)
        staging = out / f".{file.stem}.{os.getpid()}.partial"
        try:
            for name in names:
                if (out / name).exists():
                    raise TraceError(f"{out / name} exists already; choose another folder to unpack to")
            for info, path in entries:
                (staging / path).parent.mkdir(parents=True, exist_ok=True)
                with bundle.open(info) as packed, (staging / path).open("wb") as unpacked:
                    shutil.copyfileobj(packed, unpacked)
            for name in names:
                _check_run(staging / name, file)
            return [(staging / name).rename(out / name) for name in names]
        except OSError as error:
            raise TraceError(f"cannot write {out}: {error.strerror or error}; choose another folder") from error
        finally:
            shutil.rmtree(staging, ignore_errors=True)


def take_in(bundle: Path, out: Path, known: Collection[str] = ()) -> Taken:
    """Unpack the runs of a bundle under `out`: all that are new, or none. Tables are made anew from the events.

    Runs that `out` has already, or that are in `known`, are left out. Raises `InputError` for a file that is no
    bundle, `TraceError` for runs that this version cannot read.
    """
    with tempfile.TemporaryDirectory(dir=check_writable(out), prefix=".import-") as place:
        folders = read_bundle(bundle, Path(place))
        new = [folder for folder in folders if folder.name not in known and not (out / folder.name).exists()]
        for folder in new:
            _check(folder)
        return Taken([folder.rename(out / folder.name).name for folder in new],
                     [folder.name for folder in folders if folder not in new])  # fmt: skip


def _check(folder: Path) -> None:
    """Raise `TraceError` for a run that no view could show; believe its events alone."""
    shutil.rmtree(folder / "tables", ignore_errors=True)
    run, head = read_run(folder), read_head(folder)
    if head.spec is None:
        raise TraceError(f"{folder.name}: {head.why}")
    if run.meta["run"] != folder.name:
        raise TraceError(f"{folder.name}: its run.json is that of {run.meta['run']!r}; bundle the run anew")
    try:
        tables_of(folder)
    except TraceError as error:
        raise TraceError(str(error).replace(str(folder), folder.name)) from None
    if run.end:
        write_tables(run, folder / "tables")


def _fill(bundle: zipfile.ZipFile, traces: dict[str, RunTrace]) -> None:
    bundle.writestr(HEAD, json.dumps(_head(traces), indent=1))
    for name, trace in traces.items():
        for path in sorted(path for path in trace.folder.rglob("*") if path.is_file() and not path.is_symlink()):
            bundle.write(path, f"runs/{name}/{path.relative_to(trace.folder).as_posix()}")
    for name, content in csv_files([trace.folder for trace in traces.values()]):
        bundle.writestr(f"csv/{name}", content)


def _head(traces: dict[str, RunTrace]) -> dict[str, Any]:
    keys = ("digest", "spec", "versions")
    runs = {name: {"status": trace.status, **{key: trace.meta[key] for key in keys}} for name, trace in traces.items()}
    return {"format": FORMAT, "version": VERSION, "runs": runs}


@contextmanager
def _opened(file: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(file) as bundle:
            yield bundle
    except FileNotFoundError:
        raise InputError(f"{file}: no such file; name a bundle that `gsd export --bundle` wrote") from None
    except (zipfile.BadZipFile, zlib.error, EOFError, IsADirectoryError, UnicodeError, RuntimeError) as error:
        raise _no_bundle(file, str(error)) from None


def _check_packing(bundle: zipfile.ZipFile, file: Path) -> None:
    """Refuse what would fill disk or memory, and what only other packers write. Sizes are those that zipfile heeds."""
    for info in bundle.infolist():
        if info.compress_type not in PACKED or info.flag_bits & 0x1:
            raise _no_bundle(file, f"entry {info.filename!r} is encrypted or neither {' nor '.join(PACKED.values())}")
    size, packed = sum(info.file_size for info in bundle.infolist()), file.stat().st_size
    if size > MOST_GROWTH * packed:
        raise _no_bundle(file, f"its {packed:,} bytes would unpack to {size:,}, as no trace does")


def _check_run(folder: Path, file: Path) -> None:
    try:
        read_run(folder)
    except (LookupError, TypeError, AttributeError) as error:
        raise _no_bundle(file, f"run {folder.name} is no trace ({type(error).__name__}: {error})") from None


def _run_names(bundle: zipfile.ZipFile, file: Path) -> list[str]:
    """Names of the runs, as the head has them; each is one plain folder name."""
    try:
        head = json.loads(bundle.read(HEAD))
        found, names = (head["format"], head["version"]), list(head["runs"].keys())
    except (KeyError, TypeError, ValueError, AttributeError):
        raise _no_bundle(file, f"its {HEAD} is missing or unreadable") from None
    if found != (FORMAT, VERSION):
        raise _no_bundle(file, f"{HEAD} says {found[0]} {found[1]}, this version reads {FORMAT} {VERSION}")
    for name in names:
        if not name or PurePosixPath(name).name != name or name.startswith(".") or "\\" in name or ":" in name:
            raise _no_bundle(file, f"a run is named {name!r}")
    return names


def _entries(bundle: zipfile.ZipFile, names: Sequence[str], file: Path) -> list[tuple[zipfile.ZipInfo, PurePosixPath]]:
    """Entries of the runs with their paths below `out`. Any entry that could land elsewhere refuses the whole file."""
    entries = []
    for info in bundle.infolist():
        path = PurePosixPath(info.filename)
        parts = path.parts
        escapes = path.is_absolute() or ".." in parts or "\\" in info.filename or ":" in info.filename
        if escapes or stat.S_ISLNK(info.external_attr >> 16):
            raise _no_bundle(file, f"entry {info.filename!r} leads out of it")
        if parts[:1] == ("runs",) and not info.is_dir():
            if len(parts) < 3 or parts[1] not in names:
                raise _no_bundle(file, f"entry {info.filename!r} belongs to none of its runs")
            entries.append((info, PurePosixPath(*parts[1:])))
    return entries


def _no_bundle(file: Path, reason: str) -> InputError:
    return InputError(f"{file} is no readable bundle: {reason}; name a file that `gsd export --bundle` wrote")
