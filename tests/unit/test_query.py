"""SQL sees the seven tables of the runs, says what is wrong with it, and reaches nothing else."""

import pytest
from fixtures.recorded import record_run

from analysis.load import load
from analysis.query import query
from gsd.errors import InputError, TraceError
from gsd.trace.tables import NAMES, SCHEMAS


@pytest.fixture
def runs(tmp_path):
    """A finished run with Parquet files, and one cut off that has its events alone; one name with a quote."""
    return [record_run(tmp_path / "it's"), record_run(tmp_path, end=None, count=2)]


def test_every_table_is_a_view_of_the_same_rows_as_the_frames(runs):
    frames = load(runs)
    for name in NAMES:
        answer = query(runs, f"SELECT * FROM {name}")
        assert answer.columns.tolist() == SCHEMAS[name].names
        assert len(answer) == len(getattr(frames, name)) > 0


def test_a_join_over_runs_gives_what_pandas_gives(runs):
    sql = "SELECT status, sum(accepted) AS accepted FROM rounds JOIN runs USING (run) GROUP BY status ORDER BY status"
    frames = load(runs)
    by_hand = frames.rounds.merge(frames.runs[["run", "status"]]).groupby("status")["accepted"].sum()
    assert dict(query(runs, sql).to_numpy().tolist()) == by_hand.to_dict()


@pytest.mark.parametrize(("sql", "words"), [
    ("SELEC 1", "syntax error"),
    ("SELECT nonesuch FROM nodes", "nonesuch"),
    ("SELECT * FROM nonesuch", "nonesuch"),
    ("", "one SELECT"),
    ("SELECT 1; SELECT 2", "one SELECT"),
    ("DROP VIEW nodes", "one SELECT"),
    ("SET threads = 1", "one SELECT"),
])  # fmt: skip
def test_bad_sql_is_refused_in_one_line_with_what_was_wrong(runs, sql, words):
    with pytest.raises(InputError) as caught:
        query(runs, sql)
    message = str(caught.value)
    assert words in message and repr(sql) in message and "hypotheses" in message
    assert "\n" not in message


def test_sql_reaches_no_file_but_the_tables_and_writes_none(tmp_path, runs):
    secret = tmp_path / "secret.csv"
    secret.write_text("a\n1\n")
    table = runs[0] / "tables" / "runs.parquet"
    before = table.read_bytes()
    for sql in (f"SELECT * FROM '{secret}'", f"SELECT * FROM read_text('{secret}')", f"ATTACH '{tmp_path}/x.db'",
                f"COPY (SELECT 1) TO '{tmp_path}/out.csv'", f"COPY (SELECT 1 AS a) TO '{table}'",
                "SELECT * FROM secret"):  # fmt: skip
        with pytest.raises(InputError):
            query(runs, sql)
    assert table.read_bytes() == before
    assert not (tmp_path / "out.csv").exists()


def test_a_folder_that_is_no_run_is_named(tmp_path):
    with pytest.raises(TraceError, match="nowhere"):
        query([tmp_path / "nowhere"], "SELECT 1")
