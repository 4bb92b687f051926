"""The tables say what the events say, and the CSV what the tables say."""

import csv
import io
import zipfile

import pyarrow.parquet as pq
import pytest
from fixtures.recorded import record_run

from analysis.export import export_csv, zip_csv
from analysis.load import load, load_tables
from gsd.errors import TraceError
from gsd.tables import NAMES, SCHEMAS, tables
from gsd.trace import read_run


@pytest.fixture
def run(tmp_path):
    return record_run(tmp_path / "runs")


def test_a_finished_run_left_the_same_tables_as_its_events_give(run):
    made = tables(read_run(run))
    assert set(made) == set(NAMES)
    for name in NAMES:
        assert pq.read_table(run / "tables" / f"{name}.parquet").equals(made[name])
    assert not list(run.glob("*.partial"))


def test_counts_agree_across_events_steps_and_rows(run):
    trace, frames = read_run(run), load([run])
    for step, row in zip(trace.steps, frames.steps.to_dict("records"), strict=True):
        nodes = frames.nodes[frames.nodes["round"] == step["round"]]
        merges = frames.merges[frames.merges["round"] == step["round"]]
        edges = frames.edges[frames.edges["round"] == step["round"]]
        decisions = frames.decisions[frames.decisions["round"] == step["round"]]
        assert len(nodes) == row["drafted_nodes"] + 1
        assert nodes["verified"].sum() == row["verified_nodes"] + 1  # the root is in the tree
        assert len(merges) == row["merges"] == (edges["kind"] == "merge").sum()
        assert len(edges) == row["drafted_nodes"] + row["merges"]
        assert len(decisions) == len(step["decisions"]["token"])
        assert row["accepted"] == len(step["accepted"]) == nodes["accepted"].sum()
        assert row["text"] == "".join(step["new_texts"])
        assert row["total_ms"] == step["ms"]["total"]


def test_an_accepted_merge_is_one_that_the_path_went_through(run):
    trace, frames = read_run(run), load([run])
    crossed = sum(step["tree"]["merged"][i] for step in trace.steps for i in step["accepted"])
    assert crossed > 0
    assert frames.merges["accepted"].sum() == crossed


def test_one_row_holds_settings_and_totals(run):
    [row] = load([run]).runs.to_dict("records")
    assert (row["method"], row["width"], row["merge_context"], row["budget"]) == ("graph", 4, 0, 24)
    assert (row["status"], row["stop"], row["device"], row["prompt_id"]) == ("complete", "length", "cpu", "quicksort")
    assert row["new_tokens"] == load([run]).steps["new_tokens"].sum()
    assert row["draft_acceptance_rate"] == pytest.approx(read_run(run).end["totals"]["draft_acceptance_rate"])


@pytest.mark.parametrize("end", [None, "failed"])
def test_a_run_without_totals_has_none_and_keeps_its_rounds_and_text(tmp_path, end):
    frames = load([record_run(tmp_path, end=end)])
    [row] = frames.runs.to_dict("records")
    assert row["status"] == (end or "incomplete")
    assert row["tokens_per_s"] != row["tokens_per_s"]  # NaN
    assert row["text"] == "".join(frames.steps["text"])
    assert len(frames.steps) == 6


def test_counters_alone_give_empty_tables_of_the_same_columns(tmp_path, run):
    bare = load_tables([record_run(tmp_path / "bare", detail="counters")])
    assert bare["steps"].num_rows == 6
    for name in ("nodes", "edges", "merges", "decisions"):
        assert bare[name].num_rows == 0
        assert bare[name].schema == SCHEMAS[name]
    assert load([run]).nodes.columns.tolist() == bare["nodes"].column_names


def test_several_runs_stand_in_the_order_asked_for(tmp_path, run):
    other = record_run(tmp_path / "other", count=2, end=None)
    assert load([other, run]).runs["run"].tolist() == [other.name, run.name]


def test_tables_of_another_version_are_not_believed(run):
    table = pq.read_table(run / "tables" / "steps.parquet")
    pq.write_table(table.drop_columns(["total_ms"]), run / "tables" / "steps.parquet")
    assert "total_ms" in load([run]).steps


def test_csv_reads_back_with_its_newlines_quotes_and_markup(tmp_path, run):
    files = export_csv([run], tmp_path / "csv")
    assert [file.name for file in files] == [f"{name}.csv" for name in NAMES]
    with files[2].open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["text"] for row in rows] == load([run]).nodes["text"].tolist()
    with zipfile.ZipFile(io.BytesIO(zip_csv([run]))) as bundle:
        assert bundle.read("nodes.csv") == files[2].read_bytes()


def test_a_csv_folder_that_cannot_be_is_refused_by_name(tmp_path, run):
    (tmp_path / "file").touch()
    with pytest.raises(TraceError, match=r"file.*choose another"):
        export_csv([run], tmp_path / "file" / "csv")
