"""Tables end with their last row, and a long one is cut through a row: both are seen."""

from app.components.rows import ROW_HEIGHT, ROWS, table_height


def test_a_table_is_as_high_as_its_rows_until_it_scrolls():
    assert table_height(1) == table_height(ROWS) == "content"
    assert table_height(ROWS + 1) == table_height(900) == (1 + ROWS) * ROW_HEIGHT + ROW_HEIGHT // 2


def test_rows_may_be_higher():
    assert table_height(ROWS + 1, 2 * ROW_HEIGHT) == int((ROWS + 1.5) * 2 * ROW_HEIGHT)
