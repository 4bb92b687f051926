"""A run named twice counts once, and a copied or renamed folder is the run that its name says, everywhere."""

import shutil
import zipfile

import pytest
from fixtures.recorded import record_run
from settings import of_method

from analysis import overlap
from analysis.bundle import read_bundle, take_in, write_bundle
from analysis.export import csv_files, export_csv, export_parquet
from analysis.load import distinct, load, of_round
from analysis.query import query
from analysis.twins import merging_saved
from gsd.errors import TraceError
from gsd.trace.read import read_run
from gsd.trace.tables import NAMES


@pytest.fixture
def run(tmp_path):
    return record_run(tmp_path / "runs")


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """A run that no test changes, and the files of its export."""
    run = record_run(tmp_path_factory.mktemp("shared") / "runs")
    return run, dict(csv_files([run]))


@pytest.fixture(params=["again", "slash", "dots", "link", "relative"])
def twice(request, shared, tmp_path, monkeypatch):
    """The shared run by its path, and once more by another way to write it."""
    run, _ = shared
    if request.param == "link":
        (tmp_path / "link").symlink_to(run, target_is_directory=True)
    monkeypatch.chdir(run.parent)
    ways = {"again": run, "slash": f"{run}/", "dots": run / ".." / run.name, "link": tmp_path / "link",
            "relative": run.name}  # fmt: skip
    return [run, ways[request.param]]


def test_a_run_named_twice_is_taken_once(shared, twice, tmp_path):
    run, once = shared
    assert distinct(twice) == [run]
    alone, both = load([run]), load(twice)
    for name in NAMES:
        rows = len(getattr(alone, name))
        assert len(query(twice, f"SELECT * FROM {name}")) == len(getattr(both, name)) == rows
    assert dict(csv_files(twice)) == once
    export_csv(twice, tmp_path / "csv")
    export_parquet(twice, tmp_path / "parquet")
    with zipfile.ZipFile(write_bundle(twice, tmp_path / "b.zip")) as bundle:
        names = bundle.namelist()
    assert len(names) == len(set(names)) and f"runs/{run.name}/run.json" in names


def test_two_runs_of_one_name_are_refused_in_one_line_that_names_both(run, tmp_path):
    other = record_run(tmp_path / "elsewhere")
    other = other.rename(other.with_name(run.name))
    for ask in (load, lambda runs: query(runs, "SELECT 1"), lambda runs: list(csv_files(runs)),
                lambda runs: write_bundle(runs, tmp_path / "b.zip")):  # fmt: skip
        with pytest.raises(TraceError, match="one name: rename") as caught:
            ask([run, other])
        assert str(run) in str(caught.value) and str(other) in str(caught.value) and "\n" not in str(caught.value)


def test_a_copy_stands_beside_its_original_in_every_table(run):
    copy = run.with_name("a copy, it's 2")
    shutil.copytree(run, copy)
    for name in NAMES:
        found = query([run, copy], f"SELECT run, count(*) AS rows FROM {name} GROUP BY run").set_index("run")["rows"]
        assert found[run.name] == found[copy.name] == len(getattr(load([copy]), name)) > 0
    assert read_run(copy).name == copy.name


@pytest.mark.parametrize("end", ["complete", None])
@pytest.mark.parametrize("name", ["renamed", "with [2] and *", "täxt"])
def test_a_renamed_run_is_known_by_its_new_name(run, tmp_path, name, end):
    """With Parquet files, which hold the old name, and without; in names DuckDB's patterns are no patterns."""
    run = record_run(tmp_path / "more", end=end)
    neighbour = record_run(tmp_path / "more").rename(tmp_path / "more" / "with 2 and anything")
    rounds = len(load([run]).rounds)
    new = run.rename(run.with_name(name))
    frames = load([new, neighbour])
    for table in NAMES:
        assert set(getattr(frames, table)["run"]) <= {name, neighbour.name}
        found = query([new], f"SELECT DISTINCT run FROM {table}")["run"].tolist()
        assert found == [name] or (not found and end is None)
    assert len(frames.rounds.query("run == @name")) == rounds
    assert not of_round(load([new]), name, 1).nodes.empty
    assert set(overlap.redundancy_by_round(load([new]))["run"]) == {name}


def test_what_merging_saved_is_told_of_renamed_runs(tmp_path):
    merging = record_run(tmp_path)
    plain = record_run(tmp_path, drafting=of_method(method="tree", width=4, depth=6, frontier=5, budget=24))
    merging, plain = merging.rename(tmp_path / "a"), plain.rename(tmp_path / "b")
    assert merging_saved(load([merging, plain]).runs, "a", "b").notna().all()


def test_a_bundle_of_a_copy_and_its_original_brings_both_back(run, tmp_path):
    copy = run.with_name("copy")
    shutil.copytree(run, copy)
    bundle = write_bundle([run, copy], tmp_path / "b.zip")
    assert [folder.name for folder in read_bundle(bundle, tmp_path / "out")] == [run.name, "copy"]
    assert take_in(bundle, tmp_path / "in").new == [run.name, "copy"]
    assert set(load([tmp_path / "in" / "copy"]).nodes["run"]) == {"copy"}


@pytest.mark.parametrize("name", [".hidden", "a:b", "a\\b"])
def test_a_name_that_no_bundle_takes_is_refused_when_it_is_written(run, tmp_path, name):
    with pytest.raises(TraceError, match="rename its folder"):
        write_bundle([run.rename(run.with_name(name))], tmp_path / "b.zip")
    assert not (tmp_path / "b.zip").exists()
