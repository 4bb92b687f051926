"""Writing and reading CSV. Every value is read back unchanged, and a spreadsheet runs no cell as a formula.

Text is in quotes. Numbers, true and false are not. A missing value is an empty cell:

    "run","text","logq"
    "a","'=",-0.5

A spreadsheet takes a text that begins with =, +, - or @ for a formula. Such a text gets an apostrophe in front. So does
a text that is empty, or begins with an apostrophe, a tab or a line break. A reader takes one apostrophe off.
docs/tables.md shows how to read such a file with pandas.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from numbers import Integral, Real
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gsd.errors import InputError

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

BOM = "\ufeff"  # by which Excel knows that a file is UTF-8
# What a cell may not begin with, the wide forms that East Asian spreadsheets take for the same included.
_MARKED = ("=", "+", "-", "@", "\t", "\r", "\n", "'", "＝", "＋", "－", "＠")
_CELL = re.compile(r'(?:"((?:[^"]|"")*)"|([^",\n]*))(,|\n)')
_WHOLE = re.compile(r"-?\d+")
_YES_OR_NO = {"true": True, "false": False}


def csv_text(columns: Mapping[str, Sequence[Any]], *, bom: bool = False) -> str:
    """Columns of plain values as CSV text. None and NaN are missing values. `bom`: begin with a byte-order mark."""
    return (BOM if bom else "") + csv_line(columns) + "".join(map(csv_line, zip(*columns.values(), strict=True)))


def csv_line(values: Iterable[Any]) -> str:
    """One row of a CSV file, its line end included."""
    return ",".join(map(_cell, values)) + "\n"


def of_frame(table: pd.DataFrame) -> dict[str, list[Any]]:
    """A frame's columns as plain values."""
    import pandas as pd

    return {
        str(name): [None if pd.api.types.is_scalar(value) and pd.isna(value) else value for value in values.tolist()]
        for name, values in table.items()
    }


def of_arrow(table: pa.Table) -> dict[str, list[Any]]:
    """An Arrow table's columns as plain values; lists as text, numbers separated by spaces: CSV has no lists."""
    columns = {name: table[name].to_pylist() for name in table.column_names}
    return {name: [" ".join(map(str, value)) if isinstance(value, list) else value for value in values]
            for name, values in columns.items()}  # fmt: skip


def parse_csv(text: str, name: str = "the text") -> dict[str, list[Any]]:
    """The columns of a text that `csv_text` made. Raises `InputError` for anything else."""
    rows: list[list[Any]] = [[]]
    at, text = 0, text.removeprefix(BOM)
    while at < len(text):
        found = _CELL.match(text, at)
        if found is None:
            raise InputError(f"{name}: no CSV of gsd at character {at}: {text[at : at + 20]!r}")
        quoted, bare, end = found.groups()
        rows[-1].append(_value(bare, name) if quoted is None else quoted.replace('""', '"').removeprefix("'"))
        at = found.end()
        if end == "\n":
            rows.append([])
    header, *body = rows[:-1] or [[]]
    if any(len(row) != len(header) for row in body):
        raise InputError(f"{name}: no CSV of gsd, as its rows are not equally long")
    return {column: list(values) for column, values in zip(header, zip(*body) if body else [[]] * len(header))}


def read_csv(file: str | Path) -> pd.DataFrame:
    """Read a CSV file of an export as a frame. Raises `InputError` for other files."""
    import pandas as pd

    try:
        return pd.DataFrame(parse_csv(Path(file).read_bytes().decode("utf-8"), str(file)))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{file} cannot be read: {error}") from None


def _cell(value: Any) -> str:
    kind = type(value)
    if kind is str:
        return _text(value)
    if kind is int:
        return str(value)
    if value is None:
        return ""
    if hasattr(value, "dtype") and hasattr(value, "item"):  # numpy's own kinds of flags and numbers
        return _cell(value.item())
    if kind is bool:
        return "true" if value else "false"
    if kind is not float and isinstance(value, Integral):  # of numpy
        return str(int(value))
    if kind is float or isinstance(value, Real):
        return "" if math.isnan(value) else repr(float(value))
    return _text(str(value))


def _text(value: str) -> str:
    marked = f"'{value}" if not value or value.startswith(_MARKED) else value
    return '"' + marked.replace('"', '""') + '"'


def _value(bare: str, name: str) -> Any:
    if not bare:
        return None
    if bare in _YES_OR_NO:
        return _YES_OR_NO[bare]
    try:
        return int(bare) if _WHOLE.fullmatch(bare) else float(bare)
    except ValueError:
        raise InputError(f"{name}: no CSV of gsd, which has text in quotes and not {bare!r}") from None
