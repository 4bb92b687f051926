"""Query the tables of many runs by SQL, with DuckDB on their Parquet files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import duckdb
import pandas as pd
import pyarrow as pa

from analysis.load import distinct, parquet_files, tables_of
from gsd.errors import InputError
from gsd.trace.tables import NAMES, SCHEMAS

GLOB = frozenset("*?[{")  # in a path, DuckDB takes these for patterns: such files are read before


def query(folders: Sequence[Path], sql: str) -> pd.DataFrame:
    """Run one SELECT over the seven tables of the given run folders. Each folder counts once.

    The tables are views of the same names, all columns as in docs/tables.md; `runs.status` tells which
    runs are complete. SQL can neither write nor read any file but those tables.

    Raises `InputError` with DuckDB's words for SQL that it refuses, `TraceError` where a folder is no run, and
    where two have one name.
    """
    files: dict[str, list[str]] = {name: [] for name in NAMES}
    read: dict[str, list[pa.Table]] = {name: [] for name in NAMES}
    for folder in distinct(folders):
        found = None if GLOB & set(os.path.abspath(folder)) else parquet_files(folder)
        for name, part in (found or tables_of(folder)).items():
            files[name].append(os.path.abspath(part)) if found else read[name].append(part)
    with duckdb.connect() as connection:
        _make_views(connection, files, read)
        _close_off(connection, [file for group in files.values() for file in group])
        return _answer(connection, sql)


def _make_views(
    connection: duckdb.DuckDBPyConnection, files: dict[str, list[str]], read: dict[str, list[pa.Table]]
) -> None:
    """A view a table: its Parquet files, and what was read already. A run's name is that of its folder, as ever."""
    for name in NAMES:
        connection.register(f"_{name}", pa.concat_tables([SCHEMAS[name].empty_table(), *read[name]]))
        parts = [f"SELECT * FROM _{name}"]
        if files[name]:
            found = f"read_parquet({_literals(files[name])}, filename = true)"
            parts.append(f"SELECT * EXCLUDE filename REPLACE (parse_path(filename, 'system')[-3] AS run) FROM {found}")
        connection.execute(f"CREATE VIEW {name} AS {' UNION ALL '.join(parts)}")
    connection.execute("CREATE VIEW steps AS SELECT * FROM rounds")  # its name up to schema 3


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
