"""Tables and frames of one or several run folders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from gsd.tables import NAMES, SCHEMAS, tables
from gsd.trace import read_run


@dataclass(frozen=True, slots=True)
class Frames:
    """The seven tables as pandas frames; rows of a run stand in the order of the runs asked for."""

    runs: pd.DataFrame
    steps: pd.DataFrame
    nodes: pd.DataFrame
    edges: pd.DataFrame
    merges: pd.DataFrame
    decisions: pd.DataFrame
    hypotheses: pd.DataFrame


def load(folders: Sequence[Path]) -> Frames:
    """Frames of the given run folders. Raises `TraceError` where one is no run."""
    return Frames(**{name: table.to_pandas() for name, table in load_tables(folders).items()})


def load_tables(folders: Sequence[Path]) -> dict[str, pa.Table]:
    """The seven Arrow tables of the given run folders, end to end."""
    parts = [_tables_of(Path(folder)) for folder in folders]
    return {name: pa.concat_tables([SCHEMAS[name].empty_table(), *(part[name] for part in parts)]) for name in NAMES}


def _tables_of(folder: Path) -> dict[str, pa.Table]:
    """From Parquet where a finished run left them all, from the events otherwise (a run still going, or cut off)."""
    files = {name: folder / "tables" / f"{name}.parquet" for name in NAMES}
    if not all(file.exists() for file in files.values()):
        return tables(read_run(folder))
    found = {name: pq.read_table(file) for name, file in files.items()}
    if any(found[name].schema != SCHEMAS[name] for name in NAMES):
        return tables(read_run(folder))  # written by another version of the tables; the events are the source
    return found
