"""Bundles: runs in one zip file, with traces, CSV tables and metrics, settings and versions."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from analysis.catalog import TITLE, read_head
from analysis.export import csv_files
from analysis.load import distinct, tables_of
from gsd.config import RunSpec, run_digest
from gsd.errors import InputError, TraceError
from gsd.spec import build
from gsd.trace.form import check_run
from gsd.trace.read import RunTrace, as_of_today, read_run
from gsd.trace.tables import NAMES, write_tables
from gsd.trace.writer import check_writable

FORMAT = "gsd-bundle"
VERSION = 1
HEAD = "bundle.json"
PACKED = {zipfile.ZIP_STORED: "stored", zipfile.ZIP_DEFLATED: "deflated"}  # how entries may be packed
MOST_GROWTH = 100  # unpacked over packed size; of traces it is 5 to 20, of a file made to fill the disk 1,000
MOST_BYTES = 2 << 30  # unpacked; a token recorded in full takes up to 10 KB
MOST_IN_ONE = 512 << 20  # likewise of one file; a trace that is read takes some ten times its size in memory
MOST_HEAD = 64 << 20  # likewise of bundle.json, which is read at once
MOST_ENTRIES = 20_000  # some 2,000 runs
MOST_LISTED = 512  # bytes of an entry in the archive's directory
BLOCK = 1 << 20
_END, _MARK, _LARGE = struct.Struct("<4s4H2LH"), b"PK\5\6", b"PK\6\7"  # the record at an archive's end, as zip has it
_TAIL = _END.size + (1 << 16) + 20  # bytes where it is looked for: behind it is a comment, before it what is `_LARGE`
TRACE = {"run.json", "events.jsonl", TITLE, *(f"tables/{name}.parquet" for name in NAMES)}  # of a run, and no more
NAME = re.compile(r"\w[\w .,()+@=-]{0,199}")  # of a run: one plain folder


class BundleError(InputError):
    """A file that is not unpacked; `what` is wrong with it, without the file's name and what to do about it."""

    def __init__(self, file: Path, what: str, advice: str) -> None:
        super().__init__(f"{file} {what}; {advice}")
        self.what = what


class LargeBundle(BundleError):
    """A file that is a bundle, maybe, and would unpack to more than is taken in."""


@dataclass(frozen=True, slots=True)
class Taken:
    """The names of runs taken from a bundle, and of those that were here already and stay as they are."""

    new: list[str]
    known: list[str]


def write_bundle(runs: Sequence[Path], file: Path) -> Path:
    """Write `file`: `bundle.json` (settings and versions by run), `runs/<run>/…` (the traces), `csv/…`.

    Each run is written once, and the file appears only when it is complete. Raises `TraceError` if a run cannot be
    read, if its name is invalid or used twice, or if `file` cannot be written.
    """
    traces = {trace.name: trace for trace in map(read_run, distinct(runs))}
    for name, trace in traces.items():
        if not is_name(name):
            raise TraceError(f"{trace.folder}: a bundle takes no run named {name!r}; rename its folder")
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
    """Unpack the runs of a bundle under `out`: all of them, or none. Returns their folders.

    What is no part of a trace stays packed. Raises `InputError` for a file that is no bundle, is damaged, has entries
    that belong nowhere in one, or unpacks to more than `MOST_BYTES` or `MOST_ENTRIES`; `TraceError` for runs that are
    no traces or of another version, and for a run that `out` has already, which is left as it is.
    """
    _check_directory(file)
    with _opened(file) as bundle:
        _check_packing(bundle, file)
        names = _run_names(bundle, file)
        entries = _entries(bundle, names, file)
        staging = out / f".{file.stem}.{os.getpid()}.partial"
        try:
            for name in names:
                if (out / name).exists():
                    raise TraceError(f"{out / name} exists already; choose another folder to unpack to")
            left = MOST_BYTES
            for info, path in entries:
                (staging / path).parent.mkdir(parents=True, exist_ok=True)
                left -= _unpack(bundle, info, staging / path, min(left, MOST_IN_ONE), file)
            for name in names:
                _check_run(staging / name, file)
            return [(staging / name).rename(out / name) for name in names]
        except OSError as error:
            raise TraceError(f"cannot write {out}: {error.strerror or error}; choose another folder") from error
        finally:
            shutil.rmtree(staging, ignore_errors=True)


def take_in(bundle: Path, out: Path, known: Collection[str] = ()) -> Taken:
    """Unpack the runs of a bundle under `out`: all that are new, or none. Tables are made anew from the events.

    Runs that `out` has already, or that are in `known`, are left out, and so is a trust in code that comes with
    models: it is given by whoever runs them. Raises `InputError` for a file that is no
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
    head = read_head(folder)
    if head.spec is None:
        raise TraceError(f"{folder.name}: {head.why}")
    _take_trust_away(folder / "run.json")
    run = read_run(folder)
    try:
        tables_of(folder)
    except TraceError as error:
        raise TraceError(str(error).replace(str(folder), folder.name)) from None
    if run.end:
        write_tables(run, folder / "tables")


def _take_trust_away(file: Path) -> None:
    """A recording that had code of its models run says so no longer; its digest is that of what it says now."""
    head = json.loads(file.read_bytes())
    models = [model for role in ("target", "draft") if (model := head["spec"].get(role))]
    if not any([model.pop("trust_remote_code", False) for model in models]):
        return
    spec = build(RunSpec, as_of_today(head, head["schema"])["spec"])
    digest = run_digest(spec.digest(), head["prompt_tokens"])
    file.write_text(json.dumps(head | {"digest": digest}, indent=1))


def _fill(bundle: zipfile.ZipFile, traces: dict[str, RunTrace]) -> None:
    bundle.writestr(HEAD, json.dumps(_head(traces), indent=1))
    for name, trace in traces.items():
        for part in sorted(TRACE):
            if (path := trace.folder / part).is_file() and not path.is_symlink():
                bundle.write(path, f"runs/{name}/{part}")
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
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, UnicodeError, RuntimeError) as error:
        raise _no_bundle(file, str(error)) from None


def _check_packing(bundle: zipfile.ZipFile, file: Path) -> None:
    """Refuse what would fill disk or memory, and what only other packers write. Sizes are those that zipfile heeds."""
    for info in bundle.infolist():
        if info.compress_type not in PACKED or info.flag_bits & 0x1:
            raise _no_bundle(file, f"entry {info.filename!r} is encrypted or neither {' nor '.join(PACKED.values())}")
    size, packed = sum(info.file_size for info in bundle.infolist()), file.stat().st_size
    if size > MOST_GROWTH * packed:
        raise _no_bundle(file, f"its {packed:,} bytes would unpack to {size:,}, as no trace does")


def _check_directory(file: Path) -> None:
    """Refuse, before it is read, a directory of more entries than a bundle has; a larger one needs another format.

    It is found as `zipfile` finds it: by the record at the end of the file, or the last one before a comment.
    """
    try:
        with file.open("rb") as packed:
            packed.seek(-min(file.stat().st_size, _TAIL), os.SEEK_END)
            tail = packed.read()
    except OSError:
        return  # said when it is opened
    plain = len(tail) - _END.size
    at = plain if tail[plain : plain + 4] == _MARK and tail[-2:] == b"\0\0" else tail.rfind(_MARK)
    if at < 0 or at > plain:
        return  # no archive, which is said as well
    *_, count, size, _, _ = _END.unpack_from(tail, at)
    large = tail[max(at - 20, 0) : at].startswith(_LARGE)
    if large or count > MOST_ENTRIES or size > MOST_ENTRIES * MOST_LISTED:
        raise _no_bundle(file, f"it has more than {MOST_ENTRIES:,} entries")


def _unpack(bundle: zipfile.ZipFile, info: zipfile.ZipInfo, to: Path, most: int, file: Path) -> int:
    """Unpack one entry, and say how many bytes it was; counted as they come, whatever the entry says of its size."""
    count = 0
    with bundle.open(info) as packed, to.open("wb") as unpacked:
        while block := packed.read(BLOCK):
            count += len(block)
            if count > most:
                raise _too_large(file, info)
            unpacked.write(block)
    return count


def _too_large(file: Path, info: zipfile.ZipInfo) -> LargeBundle:
    return LargeBundle(file, f"is too large a bundle: {info.filename} goes beyond {MOST_IN_ONE >> 20:,} MiB, or all of "
                       f"it beyond {MOST_BYTES >> 20:,}", "bundle fewer runs, or copy their folders by hand if you "
                       "know who made them")  # fmt: skip


def _check_run(folder: Path, file: Path) -> None:
    try:
        check_run(read_run(folder))
    except TraceError as error:
        raise _no_bundle(file, f"run {folder.name} is no trace: {str(error).replace(str(folder), '')[2:]}") from None


def is_name(name: object) -> bool:
    """Whether a run of a bundle can be called so."""
    return isinstance(name, str) and NAME.fullmatch(name) is not None and not name.endswith((".", " "))


def _run_names(bundle: zipfile.ZipFile, file: Path) -> list[str]:
    """Names of the runs, as the head has them; each is one plain folder name."""
    try:
        with bundle.open(HEAD) as packed:
            content = packed.read(MOST_HEAD + 1)
        if len(content) > MOST_HEAD:
            raise _too_large(file, bundle.getinfo(HEAD))
        head = json.loads(content)
        found, names = (head["format"], head["version"]), list(head["runs"].keys())
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError):
        raise _no_bundle(file, f"its {HEAD} is missing or unreadable") from None
    if found != (FORMAT, VERSION):
        raise _no_bundle(file, f"{HEAD} says {found[0]} {found[1]}, this version reads {FORMAT} {VERSION}")
    for name in names:
        if not is_name(name):
            raise _no_bundle(file, f"a run is named {name!r}")
    return names


def _entries(bundle: zipfile.ZipFile, names: Sequence[str], file: Path) -> list[tuple[zipfile.ZipInfo, PurePosixPath]]:
    """Entries of the traces with their paths below `out`. Any that could land elsewhere refuses the whole file."""
    entries: dict[PurePosixPath, zipfile.ZipInfo] = {}
    for info in bundle.infolist():
        path = PurePosixPath(info.filename)
        parts = path.parts
        escapes = path.is_absolute() or ".." in parts or "\\" in info.filename or ":" in info.filename
        if escapes or stat.S_ISLNK(info.external_attr >> 16):
            raise _no_bundle(file, f"entry {info.filename!r} leads out of it")
        if parts[:1] != ("runs",) or info.is_dir():
            continue
        if len(parts) < 3 or parts[1] not in names:
            raise _no_bundle(file, f"entry {info.filename!r} belongs to none of its runs")
        if "/".join(parts[2:]) in TRACE:
            place = PurePosixPath(*parts[1:])
            if place in entries:
                raise _no_bundle(file, f"entry {info.filename!r} is there twice")
            entries[place] = info
    return [(info, place) for place, info in entries.items()]


def _no_bundle(file: Path, reason: str) -> BundleError:
    return BundleError(file, f"is no readable bundle: {reason}", "name a file that `gsd export --bundle` wrote")
