"""How high a table is: as high as its rows, and of many cut through a row, so that one sees that it scrolls."""

from __future__ import annotations

from typing import Literal

ROWS = 12  # drawn before a table scrolls
ROW_HEIGHT = 35  # pixels; the head is a row, too


def table_height(rows: int, row_height: int = ROW_HEIGHT) -> int | Literal["content"]:
    """The `height` of an `st.dataframe` of so many rows."""
    return "content" if rows <= ROWS else int(row_height * (ROWS + 1.5))
