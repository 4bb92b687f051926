"""Load the tables of run folders, as Arrow tables or pandas frames."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from gsd.errors import TraceError
from gsd.trace.read import READABLE, RunTrace, read_run, run_name
from gsd.trace.tables import NAMES, SCHEMAS, tables

# What foreign JSON leads to.
_MALFORMED = (LookupError, TypeError, AttributeError, ValueError, OverflowError, pa.ArrowException)


@dataclass(frozen=True, slots=True)
class Frames:
    """The seven tables as pandas frames. Rows are in the order of the given runs."""

    runs: pd.DataFrame
    rounds: pd.DataFrame
    nodes: pd.DataFrame
    edges: pd.DataFrame
    merges: pd.DataFrame
    decisions: pd.DataFrame
    hypotheses: pd.DataFrame


def load(folders: Sequence[Path]) -> Frames:
    """Load frames of run folders, each once. Raises `TraceError` if one is not a run, or two have one name."""
    return as_frames(load_tables(folders))


def load_tables(folders: Sequence[Path]) -> dict[str, pa.Table]:
    """The seven Arrow tables of the given run folders, each once, end to end. Raises `TraceError` as `load`."""
    return _joined([tables_of(folder) for folder in distinct(folders)])


def distinct(folders: Sequence[Path]) -> list[Path]:
    """The folders in their order, each once, by whatever path it is named: no run is to be counted twice.

    Raises `TraceError` where two folders have the same name, by which tables and bundles tell runs apart.
    """
    places: dict[object, Path] = {}
    names: dict[str, Path] = {}
    for folder in map(Path, folders):
        place, name = _place(folder), run_name(folder)
        if place in places:
            continue
        if name in names:
            raise TraceError(
                f"{folder} and {names[name]} are two runs of one name: rename one of the folders, or leave it out"
            )
        places[place] = names[name] = folder
    return list(places.values())


def _place(folder: Path) -> object:
    """The same for all paths of one folder, links among them; a folder that is not there stands for itself."""
    try:
        found = folder.stat()
        return found.st_dev, found.st_ino
    except OSError:
        return folder


def complete(frames: Frames) -> Frames:
    """The frames of complete runs only. Only these may be averaged."""
    runs = frames.runs.loc[frames.runs["status"] == "complete", "run"]
    parts = {field.name: getattr(frames, field.name) for field in fields(Frames)}
    return Frames(**{name: part[part["run"].isin(runs)].reset_index(drop=True) for name, part in parts.items()})


def of_round(frames: Frames, run: str, round: int) -> Frames:
    """The frames of one round of one run. `runs` keeps the row of the run, with the totals of the whole run."""

    def rows(part: pd.DataFrame) -> pd.DataFrame:
        here = part["run"] == run
        if "round" in part:
            here &= part["round"] == round
        return part[here].reset_index(drop=True)

    return Frames(**{field.name: rows(getattr(frames, field.name)) for field in fields(Frames)})


def as_frames(tables: dict[str, pa.Table]) -> Frames:
    """Arrow tables as pandas frames."""
    return Frames(**{name: table.to_pandas() for name, table in tables.items()})


def tables_of(folder: Path) -> dict[str, pa.Table]:
    """From Parquet where a finished run left it all, from the events otherwise (a run still going, or cut off).

    The rows bear the name that the folder has now. Raises `TraceError` where the folder is no run, or its events are
    damaged.
    """
    files = parquet_files(folder)
    if files is not None:
        return {name: _named(file, run_name(folder)) for name, file in files.items()}
    try:
        run = read_run(folder)
        _check_whole(run)
        return tables(run)
    except TraceError:
        raise
    except _MALFORMED as error:
        raise TraceError(f"{folder}: not a trace of gsd ({type(error).__name__}: {error}); leave it out") from None


def _check_whole(run: RunTrace) -> None:
    """Raise `TraceError` for a run that ended and yet lacks rounds: its averages would be wrong."""
    totals = run.end and run.end["totals"]
    if totals and totals["rounds"] != len(run.rounds):
        notes = "; ".join(run.notes) or "lines are missing"
        raise TraceError(
            f"{run.folder}: {len(run.rounds)} of {totals['rounds']} rounds can be read ({notes}); rerun it"
        )


def parquet_files(folder: Path) -> dict[str, Path] | None:
    """The Parquet files of a finished run; None where one is missing, broken or of another version's schema."""
    files = {name: folder / "tables" / f"{name}.parquet" for name in NAMES}
    if not all(file.exists() for file in files.values()):
        return None
    try:
        if json.loads((folder / "run.json").read_bytes())["schema"] not in READABLE:
            return None
        same = all(pq.read_schema(file).equals(SCHEMAS[name]) for name, file in files.items())
    except (OSError, *_MALFORMED):
        return None
    return files if same else None


def _named(file: Path, run: str) -> pa.Table:
    """A table of a run under this name; the file has the one that the folder had when it was written."""
    table = pq.read_table(file, columns=pq.read_schema(file).names[1:])
    return table.add_column(0, "run", pa.repeat(pa.scalar(run, pa.string()), len(table)))


def _joined(parts: Sequence[dict[str, pa.Table]]) -> dict[str, pa.Table]:
    return {name: pa.concat_tables([SCHEMAS[name].empty_table(), *(part[name] for part in parts)]) for name in NAMES}
