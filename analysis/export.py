"""Export runs: tables and metrics as CSV with a README of their columns, or tables as Parquet."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from analysis import acceptance, edges, overlap, similarity, speed, syntax
from analysis.load import Frames, as_frames, distinct, load_tables
from gsd.errors import TraceError
from gsd.trace import columns
from gsd.trace.csvfile import csv_text, of_arrow, of_frame
from gsd.trace.read import RunTrace, read_run
from gsd.trace.tables import NAMES

README = "README.md"
MODULES = (
    overlap,
    edges,
    similarity,
    acceptance,
    speed,
)  # each with METRICS, its frame functions, and COLUMNS, their columns


def export_csv(runs: Sequence[Path], folder: Path, *, bom: bool = False) -> list[Path]:
    """Write tables, metrics and a README of their columns to `folder`, replacing files of the same names.

    Averages are over complete runs only. Tables and metrics by run contain all runs, with their status in `runs.csv`.
    `bom`: begin each CSV file with a byte-order mark, so that Excel reads it as UTF-8.
    Raises `TraceError` if a run cannot be read or the folder cannot be written.
    """
    return _written(folder, csv_files(runs, bom=bom), "--csv")


def export_parquet(runs: Sequence[Path], folder: Path) -> list[Path]:
    """Write the seven tables of `runs` to `folder`, one Parquet file each, all runs end to end."""
    return _written(folder, _parquet_files(runs), "--parquet")


def zip_csv(runs: Sequence[Path]) -> bytes:
    """The files of `export_csv` in one zip archive."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as bundle:
        for name, content in csv_files(runs):
            bundle.writestr(name, content)
    return archive.getvalue()


def csv_files(runs: Sequence[Path], *, bom: bool = False) -> Iterator[tuple[str, bytes]]:
    """Name and content of every file of an export: the README, the tables, the metrics."""
    runs = distinct(runs)
    tables = load_tables(runs)
    yield README, readme().encode()
    for name, table in tables.items():
        yield f"{name}.csv", csv_text(of_arrow(table), bom=bom).encode()
    frames = as_frames(tables)
    for name, metric in metrics().items():
        yield f"{name}.csv", csv_text(of_frame(metric(frames)), bom=bom).encode()
    for name, table in from_events(frames, [read_run(folder) for folder in runs]).items():
        yield f"{name}.csv", csv_text(of_frame(table), bom=bom).encode()


def metrics() -> dict[str, Callable[[Frames], pd.DataFrame]]:
    """Every metric that needs no more than the tables, by name."""
    return {name: metric for module in MODULES for name, metric in module.METRICS.items()}


def from_events(frames: Frames, traces: Sequence[RunTrace]) -> dict[str, pd.DataFrame]:
    """Metrics that need more than the tables, by name: speed-up of runs with a baseline, and syntax."""
    timed = {run.name: speed.ar_ms_per_token(run) for run in traces if run.end and run.end["baseline"]}
    tokens = pd.concat(
        [syntax.committed_tokens(run, syntax.language_of(run)) for run in traces] or [_no_tokens()], ignore_index=True
    )
    return {
        "speedup_by_round": speed.speedup_by_round(frames, timed),
        "committed_tokens": tokens,
        "drafted_by_syntax": syntax.drafted_by_syntax(tokens),
    }


def readme() -> str:
    """The README of an export: its files, and their columns with units."""
    parts = [
        "# Columns\n\nOne fact a row. Empty: not recorded, or 0 / 0. `nat` is a natural logarithm of a probability.\n"
        "Text is in quotes; where it begins with an apostrophe, that is to be taken off: docs/tables.md of GSD lab.\n"
        "Only complete runs are averaged; `runs.csv` has the status of each. Formulas: docs/metrics.md of GSD lab.\n"
    ]
    for name in NAMES:
        parts.append(f"## {name}.csv\n\n{columns.described(columns.COLUMNS[name])}\n")
    empty = as_frames(load_tables([]))
    for module in MODULES:
        for name, metric in module.METRICS.items():
            parts.append(_section(name, metric, metric(empty), module.COLUMNS))
    made = from_events(empty, [])
    for module, metric in ((speed, speed.speedup_by_round), (syntax, syntax.committed_tokens),
                           (syntax, syntax.drafted_by_syntax)):  # fmt: skip
        parts.append(_section(metric.__name__, metric, made[metric.__name__], module.COLUMNS))
    return "\n".join(parts)


def _section(name: str, metric: Callable[..., pd.DataFrame], table: pd.DataFrame, described: dict[str, str]) -> str:
    """What one file of a metric holds, and its columns."""
    about = " ".join((metric.__doc__ or "").split("\n\n")[0].split())
    return f"## {name}.csv\n\n{about}\n\n{columns.described({name: described[name] for name in table})}\n"


def _no_tokens() -> pd.DataFrame:
    return pd.DataFrame(columns=syntax.TOKEN_COLUMNS)


def _parquet_files(runs: Sequence[Path]) -> Iterator[tuple[str, bytes]]:
    for name, table in load_tables(runs).items():
        sink = pa.BufferOutputStream()
        with pq.ParquetWriter(sink, table.schema, compression="zstd") as writer:
            if len(table):  # an empty row group, which write_table makes, is more than `datasets` can read
                writer.write_table(table)
        yield f"{name}.parquet", sink.getvalue().to_pybytes()


def _written(folder: Path, files: Iterator[tuple[str, bytes]], option: str) -> list[Path]:
    paths = []
    for name, content in files:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
        except OSError as error:
            reason = error.strerror or error
            raise TraceError(f"cannot write {folder}: {reason}; choose another {option} folder") from error
        paths.append(folder / name)
    return paths
