"""SQL over the tables of many runs, by DuckDB on their Parquet files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import duckdb
import pandas as pd
import pyarrow as pa

from analysis.load import parquet_files, tables_of
from gsd.errors import InputError
from gsd.tables import NAMES, SCHEMAS


def query(folders: Sequence[Path], sql: str) -> pd.DataFrame:
    """The answer to one SELECT over the seven tables of the given run folders.

    The tables are views of the same names, all columns as in docs/tables.md; `runs.status` tells which
    runs are complete. SQL can neither write nor read any file but those tables.

    Raises `InputError` with DuckDB's words for SQL that it refuses, `TraceError` where a folder is no run.
    """
    files: dict[str, list[str]] = {name: [] for name in NAMES}
    unfinished: dict[str, list[pa.Table]] = {name: [] for name in NAMES}
    for folder in folders:
        found = parquet_files(Path(folder))
        for name, part in (found or tables_of(Path(folder))).items():
            files[name].append(str(part.resolve())) if found else unfinished[name].append(part)
    with duckdb.connect() as connection:
        _make_views(connection, files, unfinished)
        _close_off(connection, [file for group in files.values() for file in group])
        return _answer(connection, sql)


def _make_views(
    connection: duckdb.DuckDBPyConnection, files: dict[str, list[str]], unfinished: dict[str, list[pa.Table]]
) -> None:
    """A view a table: its Parquet files, and what was rebuilt from the events of runs without them."""
    for name in NAMES:
        connection.register(f"_{name}", pa.concat_tables([SCHEMAS[name].empty_table(), *unfinished[name]]))
        parts = [f"SELECT * FROM _{name}"]
        if files[name]:
            parts.append(f"SELECT * FROM read_parquet({_literals(files[name])})")
        connection.execute(f"CREATE VIEW {name} AS {' UNION ALL '.join(parts)}")


def _close_off(connection: duckdb.DuckDBPyConnection, files: list[str]) -> None:
    """From here on no file but `files`, no variable of this process, no setting can be reached from SQL."""
    connection.execute("SET python_enable_replacements = false")
    connection.execute(f"SET allowed_paths = {_literals(files)}")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")


def _answer(connection: duckdb.DuckDBPyConnection, sql: str) -> pd.DataFrame:
    try:
        statements = connection.extract_statements(sql)
        if [one.type for one in statements] != [duckdb.StatementType.SELECT]:  # COPY could write to allowed files
            raise InputError(f"SQL {sql.strip()!r}: give one SELECT, over the tables {', '.join(NAMES)}")
        return connection.execute(statements[0]).df()
    except duckdb.Error as error:
        line = str(error).splitlines()[0]
        raise InputError(f"SQL {sql.strip()!r}: {line}; the tables are {', '.join(NAMES)}") from None


def _literals(texts: list[str]) -> str:
    """An SQL list of strings."""
    return "[" + ", ".join("'" + text.replace("'", "''") + "'" for text in texts) + "]"
