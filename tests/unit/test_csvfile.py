"""CSV gives back every value, by our reader and by the documented call of pandas, and no cell is a formula."""

import csv
import io
import math
import random

import numpy as np
import pandas as pd
import pytest

from gsd.errors import InputError
from gsd.trace.csvfile import BOM, csv_text, of_frame, parse_csv, read_csv

TEXTS = ["=", "-", "+", "@", "-0.5", "=1+1", "=cmd|' /C calc'!A0", "\t", "\r", "\n", "\r\n", "\tx", "'", "''", "'=",
         " =", "", " ", "nan", "null", "NA", "N/A", "None", "inf", "007", "1e5", "True", "false", ",", '"', '""',
         "a\nb", "é", "日本", "＝1", "＠x", "\x00", "\u2028", "🙂", BOM, "-"]  # fmt: skip
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def by_pandas(file):
    """As docs/tables.md has it."""
    cells = pd.read_csv(file, dtype="str", keep_default_na=False, na_values=[""])
    return cells.apply(lambda column: column.str.removeprefix("'"))


@pytest.mark.parametrize("bom", [False, True])
def test_texts_numbers_and_what_is_missing_come_back(tmp_path, bom):
    count = len(TEXTS)
    columns = {"text": TEXTS, "logq": [-0.5 / (n + 1) for n in range(count)], "node": list(range(-1, count - 1)),
               "accepted": [n % 2 == 0 for n in range(count)],
               "p": [None if n % 3 else 0.1 * n for n in range(count)],
               "kind": [None if n % 2 else "" for n in range(count)]}  # fmt: skip
    (tmp_path / "t.csv").write_bytes(csv_text(columns, bom=bom).encode())
    assert parse_csv((tmp_path / "t.csv").read_bytes().decode()) == columns
    assert [type(one) for one in read_csv(tmp_path / "t.csv")["node"].tolist()] == [int] * count
    back = by_pandas(tmp_path / "t.csv")
    assert back["text"].tolist() == TEXTS
    assert pd.to_numeric(back["logq"]).tolist() == columns["logq"]
    assert pd.to_numeric(back["node"]).tolist() == columns["node"]
    assert back["kind"].isna().tolist() == [value is None for value in columns["kind"]]
    assert [value for value in back["kind"] if value == ""] == [""] * (count - count // 2)


def test_no_text_begins_as_a_formula_and_numbers_stay_numbers():
    text = csv_text({"=header": TEXTS, "number": [-1.5] * len(TEXTS)})
    rows = list(csv.reader(io.StringIO(text, newline="")))
    assert not [row[0] for row in rows if row[0].startswith(FORMULA)]
    assert {row[1] for row in rows[1:]} == {"-1.5"}


def test_a_frame_gives_its_values_whatever_pandas_keeps_them_as():
    table = pd.DataFrame({
        "text": ["nan", None], "number": [np.nan, -2.0], "whole": pd.array([None, 3], "Int64"), "mixed": ["none", 0],
        "flag": np.array([True, False]), "flags": pd.array([None, True], "boolean"), "other": [np.float32(0.5), [1, 2]],
        "category": pd.Categorical(["-a", None]),
    })  # fmt: skip
    assert parse_csv(csv_text(of_frame(table))) == {
        "text": ["nan", None], "number": [None, -2.0], "whole": [None, 3], "mixed": ["none", 0],
        "flag": [True, False], "flags": [None, True], "other": [0.5, "[1, 2]"], "category": ["-a", None],
    }  # fmt: skip


def test_random_texts_come_back(tmp_path):
    dice = random.Random(3)
    texts = ["".join(dice.choices("=+-@'\"\t\r\n, a1é", k=dice.randrange(6))) for _ in range(3000)]
    (tmp_path / "t.csv").write_bytes(csv_text({"text": texts}).encode())
    assert parse_csv(csv_text({"text": texts})) == {"text": texts}
    assert by_pandas(tmp_path / "t.csv")["text"].tolist() == texts


def test_no_rows_and_a_number_without_end():
    assert parse_csv(csv_text({"a": [], "b": []})) == {"a": [], "b": []}
    assert parse_csv(csv_text({"a": [math.inf, math.nan]})) == {"a": [math.inf, None]}


@pytest.mark.parametrize("text", ['"a"\nx\n', '"a","b"\n1\n', '"a', '"a"\n1'])
def test_what_is_no_csv_of_ours_is_refused(tmp_path, text):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(InputError, match=r"t\.csv"):
        read_csv(tmp_path / "t.csv")


def test_numbers_and_flags_of_numpy_are_numbers_and_flags():
    assert csv_text({"a": [np.bool_(True), np.int64(3), np.float32(0.5), np.str_("-")]}) == '"a"\ntrue\n3\n0.5\n"\'-"\n'
