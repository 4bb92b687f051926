"""Runs are found by name without a look at all others, and lists are as the folders are now."""

import shutil

import pytest
from fixtures.recorded import record_run

from analysis.catalog import retitle
from analysis.load import load
from app import library
from gsd.errors import TraceError


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """Three runs in a folder of the user's."""
    monkeypatch.setenv("GSD_RUNS", str(tmp_path / "runs"))
    return [record_run(tmp_path / "runs") for _ in range(3)]


def test_one_run_is_found_read_and_dated_without_a_scan_of_all(runs, monkeypatch):
    first, second, _ = runs
    before = library.version([second.name, first.name])
    monkeypatch.setattr(library, "entries", lambda: pytest.fail("all runs were looked at"))
    assert library.find(first.name).folder == first
    assert library.frames([first.name]).nodes.equals(load([first]).nodes)
    with (first / "events.jsonl").open("a") as events:
        events.write("\n")
    assert len(before) == 2 and library.version([second.name, first.name]) != before


def test_what_is_read_together_stands_as_in_the_list_and_each_once(runs):
    sample = next(entry.name for entry in library.entries() if entry.sample)
    names = [sample, runs[0].name, runs[2].name, runs[0].name]
    assert library.frames(names).runs["run"].tolist() == [runs[2].name, runs[0].name, sample]
    assert [entry.name for entry in library.entries()][:3] == [run.name for run in reversed(runs)]
    with pytest.raises(TraceError, match="nonesuch"):
        library.frames([runs[0].name, "nonesuch"])


@pytest.mark.parametrize("name", ["", ".", "..", "../runs", "/etc", "a/b", "zero\0byte", "n" * 5000, "nonesuch"])
def test_a_name_leads_nowhere_else(runs, name):
    assert library.find(name) is None


def test_an_absolute_name_and_one_with_a_way_in_it_are_no_names(runs):
    assert library.find(str(runs[0])) is None and library.find(f"../runs/{runs[0].name}") is None
    assert library.find(f"{runs[0].name}/") is None


def test_what_comes_is_renamed_and_goes_is_seen_at_once(runs, tmp_path):
    first, second, third = runs
    made = tmp_path / "runs" / "begun"
    made.mkdir()
    assert library.find("begun") is None and len([entry for entry in library.entries() if not entry.sample]) == 3
    shutil.copy(first / "run.json", made)
    assert library.find("begun").folder == made
    retitle(first, "a title")
    second.rename(second.with_name("renamed"))
    shutil.rmtree(third)
    own = {entry.name: entry.head.title for entry in library.entries() if not entry.sample}
    assert own == {"begun": "", first.name: "a title", "renamed": ""}
    assert library.find(second.name) is None and library.find(third.name) is None


def test_a_run_hides_the_sample_of_its_name(runs, tmp_path):
    sample = next(entry for entry in library.entries() if entry.sample)
    shutil.copytree(sample.folder, tmp_path / "runs" / sample.name)
    assert not library.find(sample.name).sample
    assert [entry.sample for entry in library.entries() if entry.name == sample.name] == [False]
