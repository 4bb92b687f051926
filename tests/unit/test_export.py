"""Exports hold every table and metric, with each column explained beside them."""

import io
import json
import re
import zipfile

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fixtures.recorded import record_run
from settings import of_method

from analysis.export import MODULES, export_csv, export_parquet, metrics, readme, zip_csv
from analysis.load import load, load_tables
from gsd.errors import TraceError
from gsd.trace.columns import COLUMNS, tables_page
from gsd.trace.csvfile import BOM, parse_csv, read_csv
from gsd.trace.read import read_run
from gsd.trace.tables import NAMES, SCHEMAS

FROM_EVENTS = ("speedup_by_round", "committed_tokens", "drafted_by_syntax")


@pytest.fixture
def runs(tmp_path):
    return [record_run(tmp_path / "runs"), record_run(tmp_path / "runs", end=None, count=2)]


def test_every_column_of_every_table_has_a_unit_and_a_meaning():
    assert set(COLUMNS) == set(NAMES)
    for name, columns in COLUMNS.items():
        assert list(columns) == SCHEMAS[name].names
        assert all(unit and meaning for unit, meaning in (text.split(": ", 1) for text in columns.values()))


def test_the_documented_tables_are_those_of_the_code(pytestconfig):
    assert (pytestconfig.rootpath / "docs" / "tables.md").read_text() == tables_page()


def test_every_rule_source_and_kind_that_is_recorded_is_documented(tmp_path, pytestconfig):
    """By a run of auto, whose draft also proposes what was looked up, and one of graph, which cuts at its frontier."""
    drafting = [of_method(method="auto"), of_method(width=4, depth=6, frontier=2, prob_threshold=0.05)]
    frames = load([record_run(tmp_path, drafting=one) for one in drafting])
    trace = (pytestconfig.rootpath / "docs" / "trace.md").read_text()
    for table, column, some in [("decisions", "rule", "source"), ("decisions", "kind", "capped"),
                                ("nodes", "source", "lookup")]:  # fmt: skip
        recorded = set(getattr(frames, table)[column]) - {""}
        assert some in recorded
        assert recorded <= set(re.findall(r"\w+", COLUMNS[table][column]))
        assert all(f"`{value}`" in trace for value in recorded)


def test_every_column_of_every_metric_is_explained(runs):
    frames, text = load(runs), readme()
    for module in MODULES:
        for name, metric in module.METRICS.items():
            section = text.split(f"## {name}.csv\n")[1].split("\n## ")[0]
            for column in metric(frames).columns:
                unit, meaning = module.COLUMNS[column].split(": ", 1)
                assert f"| `{column}` | {unit} | {meaning} |" in section


def test_an_export_is_tables_metrics_and_their_readme(tmp_path, runs):
    files = export_csv(runs, tmp_path / "csv")
    names = [*NAMES, *metrics(), *FROM_EVENTS]
    assert [file.name for file in files] == ["README.md", *(f"{name}.csv" for name in names)]
    assert len(set(files)) == len(files)
    frames = load(runs)
    for name, metric in metrics().items():
        table = pd.read_csv(tmp_path / "csv" / f"{name}.csv")
        assert table.columns.tolist() == metric(frames).columns.tolist()
        assert len(table) == len(metric(frames))
    with zipfile.ZipFile(io.BytesIO(zip_csv(runs))) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == {f.name: f.read_bytes() for f in files}


def test_the_speed_up_of_rounds_and_the_syntax_stand_in_csv_too(tmp_path):
    """The first run was timed against `ar`, the other one was not: it has no speed-up, but its tokens."""
    timed, untimed = record_run(tmp_path / "runs", count=3), record_run(tmp_path / "runs", count=2)
    add_baseline(timed, ms_per_token=10.0)
    export_csv([timed, untimed], tmp_path / "csv")
    speed, tokens, syntax = (pd.read_csv(tmp_path / "csv" / f"{name}.csv") for name in FROM_EVENTS)
    assert speed["run"].tolist() == [timed.name] * 3
    assert (speed["ar_ms"] / speed["new_tokens"]).tolist() == pytest.approx([10.0] * 3)
    new = sum(len(round_.new_tokens) for run in (timed, untimed) for round_ in read_run(run).rounds)
    assert len(tokens) == syntax["tokens"].sum() == new
    explained = readme()
    for name, table in zip(FROM_EVENTS, (speed, tokens, syntax)):
        section = explained.split(f"## {name}.csv\n")[1].split("\n## ")[0]
        assert all(f"| `{column}` |" in section for column in table)


def add_baseline(run, ms_per_token):
    """Say in the run's last event that `ar` was measured."""
    lines = (run / "events.jsonl").read_text().splitlines()
    end = json.loads(lines[-1])
    end["baseline"] = end["totals"] | {"new_tokens": 7, "wall_ms": 7 * ms_per_token, "speedup": 1.0,
                                       "matches_baseline": True}  # fmt: skip
    (run / "events.jsonl").write_text("\n".join([*lines[:-1], json.dumps(end)]) + "\n")


def test_lists_are_text_in_csv(tmp_path, runs):
    export_csv(runs, tmp_path / "csv")
    texts = read_csv(tmp_path / "csv" / "hypotheses.csv")["tokens"]
    assert [[int(token) for token in text.split()] for text in texts] == load_tables(runs)["hypotheses"][
        "tokens"
    ].to_pylist()


def test_runs_without_detail_export_empty_files_with_their_columns(tmp_path):
    run = record_run(tmp_path, detail="counters")
    export_csv([run], tmp_path / "csv")
    assert (tmp_path / "csv" / "nodes.csv").read_text().strip().split(",")[0] == '"run"'
    assert pd.read_csv(tmp_path / "csv" / "hypothesis_pairs.csv").empty


def test_parquet_reads_back_as_the_tables(tmp_path, runs):
    files = export_parquet(runs, tmp_path / "parquet")
    assert [file.stem for file in files] == list(NAMES)
    for file in files:
        assert pq.read_table(file).equals(load_tables(runs)[file.stem])


def test_a_table_without_rows_has_no_row_group_and_still_its_columns(tmp_path):
    """`datasets` takes the first row group's length for its batches: 0 is one that it cannot read."""
    files = export_parquet([record_run(tmp_path / "runs", detail="counters")], tmp_path / "parquet")
    for file in files:
        rows, groups = pq.read_metadata(file).num_rows, pq.read_metadata(file).num_row_groups
        assert (rows == 0) == (groups == 0) and pq.read_schema(file).equals(SCHEMAS[file.stem])
    assert pq.read_metadata(tmp_path / "parquet" / "nodes.parquet").num_rows == 0


def test_parquet_holds_only_types_that_every_reader_of_it_knows(tmp_path, runs):
    """Numbers, text, yes or no, and lists of numbers: `datasets` and pandas load them as they are."""
    plain = {pa.int64(), pa.float64(), pa.string(), pa.bool_()}
    for file in export_parquet(runs, tmp_path / "parquet"):
        schema = pq.read_schema(file)
        types = [field.type.value_type if pa.types.is_list(field.type) else field.type for field in schema]
        assert set(types) <= plain and schema.metadata is None


@pytest.mark.parametrize("export", [export_csv, export_parquet])
def test_a_folder_that_cannot_be_is_refused_by_name(tmp_path, runs, export):
    (tmp_path / "file").touch()
    with pytest.raises(TraceError, match=r"file.*choose another"):
        export(runs, tmp_path / "file" / "out")


def test_every_value_of_an_export_comes_back_as_it_was(tmp_path, runs):
    """Of the tables and of every metric, by our own reader."""
    export_csv(runs, tmp_path / "csv")
    for name, table in load_tables(runs).items():
        back = read_csv(tmp_path / "csv" / f"{name}.csv")
        for column in back:
            values = table[column].to_pylist()
            assert back[column].astype(object).where(back[column].notna(), None).tolist() == [
                " ".join(map(str, value)) if isinstance(value, list) else value for value in values
            ]
    frames = load(runs)
    for name, metric in metrics().items():
        back, table = parse_csv((tmp_path / "csv" / f"{name}.csv").read_text()), metric(frames)
        assert {one: [None if pd.isna(value) else value for value in table[one].tolist()] for one in table} == back


def test_a_mark_for_spreadsheets_is_an_option(gsd, tmp_path, runs):
    sql = "SELECT round, text FROM rounds"
    for given, mark in (((), False), (("--excel",), True)):
        assert gsd("export", *runs, "--csv", tmp_path / "csv", *given)[0] == 0
        assert gsd("query", sql, *runs, "--csv", tmp_path / "rounds.csv", *given)[0] == 0
        files = [*(tmp_path / "csv").glob("*.csv"), tmp_path / "rounds.csv"]
        assert {file.read_text().startswith(BOM) for file in files} == {mark}
        assert not (tmp_path / "csv" / "README.md").read_text().startswith(BOM)
        assert read_csv(tmp_path / "rounds.csv").columns.tolist() == ["round", "text"]
    code, _, err = gsd("export", *runs, "--parquet", tmp_path / "parquet", "--excel")
    assert code == 2 and "--csv" in err
