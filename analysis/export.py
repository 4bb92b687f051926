"""Runs as CSV: one file per table."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pa_csv

from analysis.load import load_tables
from gsd.errors import TraceError


def export_csv(runs: Sequence[Path], folder: Path) -> list[Path]:
    """Write the seven tables of `runs` to `folder`, replacing files of the same names; returns their paths.

    Raises `TraceError` where a run cannot be read or the folder cannot be written.
    """
    tables = load_tables(runs)
    files = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, table in tables.items():
            files.append(folder / f"{name}.csv")
            pa_csv.write_csv(flat(table), files[-1])
    except OSError as error:
        raise TraceError(f"cannot write {folder}: {error.strerror or error}; choose another --csv folder") from error
    return files


def zip_csv(runs: Sequence[Path]) -> bytes:
    """The seven CSV files of `runs` in one zip archive."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as bundle:
        for name, table in load_tables(runs).items():
            bundle.writestr(f"{name}.csv", _csv(table))
    return archive.getvalue()


def _csv(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    pa_csv.write_csv(flat(table), sink)
    return sink.getvalue().to_pybytes()


def flat(table: pa.Table) -> pa.Table:
    """The table with its lists as text, numbers separated by spaces: CSV has no lists."""
    for at, field in enumerate(table.schema):
        if pa.types.is_list(field.type):
            texts = [" ".join(map(str, values)) for values in table[field.name].to_pylist()]
            table = table.set_column(at, field.name, pa.array(texts, pa.string()))
    return table
