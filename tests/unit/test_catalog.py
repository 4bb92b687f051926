"""A list of runs costs two small reads each, never fails over one of them, and takes in only what can be shown."""

import json
import random
import zipfile

import pytest
from fixtures.recorded import end_record, meta, record_run, rounds, run_spec

from analysis import catalog
from analysis.bundle import take_in, write_bundle
from analysis.catalog import delete, matches, read_head, retitle, run_info
from analysis.load import load, parquet_files
from gsd.errors import InputError, TraceError
from gsd.spec import Prompt
from gsd.trace.writer import TraceWriter


def info(folder):
    return run_info(read_head(folder))


def events(folder):
    return [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("end", ["complete", "cancelled"])
def test_a_run_that_ended_is_listed_by_its_end_line(tmp_path, end):
    run = record_run(tmp_path, end=end)
    totals, found = events(run)[-1]["totals"], info(run)
    assert found.status == end and bool(found.why) == (end == "cancelled")
    assert (found.tokens, found.rounds) == (totals["new_tokens"], totals["rounds"])
    assert (found.acceptance_length, found.tokens_per_s) == (totals["mean_acceptance_length"], totals["tokens_per_s"])
    assert found.bytes == sum(path.stat().st_size for path in run.rglob("*") if path.is_file())


def test_a_failure_says_why(tmp_path):
    spec = run_spec()
    made = [next(rounds(spec))]
    with TraceWriter(tmp_path, "x", meta(spec)) as writer:
        writer.round(made[0].record)
        writer.end(end_record("failed", made, "the device ran out of memory"))
    found = info(writer.folder)
    assert (found.why, found.tokens) == ("the device ran out of memory", None)


@pytest.mark.parametrize("torn", ["", '{"type":"st'])
def test_a_run_without_an_end_is_counted_by_its_last_whole_round(tmp_path, torn):
    run = record_run(tmp_path, end=None, count=4)
    rounds = events(run)
    with (run / "events.jsonl").open("a") as file:
        file.write(torn)
    found, tokens = info(run), sum(len(round_["new_tokens"]) for round_ in rounds)
    assert (found.status, found.rounds, found.tokens, found.tokens_per_s) == ("incomplete", 4, tokens, None)
    assert found.acceptance_length == 1 + sum(len(round_["accepted"]) for round_ in rounds) / 4


def test_a_run_before_its_first_round_has_no_tokens(tmp_path):
    found = info(record_run(tmp_path, end=None, count=0))
    assert (found.status, found.rounds, found.tokens) == ("incomplete", 0, 0)


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_last_line_longer_than_the_first_read_is_read_whole(tmp_path, monkeypatch, size):
    run = record_run(tmp_path, end=None, count=2)
    before = info(run)
    monkeypatch.setattr(catalog, "TAIL_BYTES", size)
    assert info(run) == before


@pytest.mark.parametrize(("change", "status"), [
    ({"schema": 99}, "other version"), ({"spec": {}}, "unreadable"), ({"spec": None}, "unreadable"),
    ({"schema": None}, "other version"), ({"prompt_tokens": None}, "unreadable")])  # fmt: skip
def test_what_cannot_be_read_is_listed_with_the_reason(tmp_path, change, status):
    run = record_run(tmp_path, end=None)
    head = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps(head | change))
    found = info(run)
    assert found.status == status and found.why and "\n" not in found.why


@pytest.mark.parametrize("name", ["run.json", "events.jsonl"])
@pytest.mark.parametrize("content", [b"", b"\xff\xfe\n", b"[]\n", b"1\n", b"[" * 100_000 + b"\n", b'{"type":"end"}\n'])
def test_whatever_the_files_hold_the_list_stands(tmp_path, name, content):
    run = record_run(tmp_path)
    (run / name).write_bytes(content)
    assert info(run).status in ("unreadable", "incomplete")
    assert info(run).why


def test_words_are_looked_for_in_title_name_prompt_and_text(tmp_path):
    run = record_run(tmp_path, prompt=Prompt(id="sort", prompt="def Quicksort(items):"))
    retitle(run, "My best run")
    found = info(run)
    assert all(matches(found, words) for words in ("", "quicksort", "BEST run", run.name, "sort best"))
    assert matches(found, events(run)[-1]["text"].split()[0])
    assert not matches(found, "best nonesuch")


def test_a_title_changes_nothing_that_was_recorded(tmp_path):
    run = record_run(tmp_path)
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    retitle(run, "  two\n words ")
    assert read_head(run).title == "two words"
    assert {path: path.read_bytes() for path in before} == before
    retitle(run, "")
    assert read_head(run).title == "" and sorted(path for path in run.rglob("*") if path.is_file()) == sorted(before)
    with pytest.raises(InputError, match="81 characters"):
        retitle(run, "x" * 81)


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"x" * 10_000, b"a\nb\r\n\x00", "𐏿ש".encode()])
def test_a_foreign_title_is_one_short_line(tmp_path, content):
    run = record_run(tmp_path, count=1)
    (run / "title.txt").write_bytes(content)
    assert len(read_head(run).title) <= 80 and len(read_head(run).title.splitlines()) <= 1


def test_deleting_takes_the_folder_and_of_a_link_the_link_alone(tmp_path):
    run = record_run(tmp_path / "a")
    (tmp_path / "b").mkdir()
    link = tmp_path / "b" / run.name
    link.symlink_to(run)
    delete(link)
    assert not link.exists() and (run / "run.json").exists()
    delete(run)
    assert not run.exists()
    with pytest.raises(TraceError, match="cannot delete"):
        delete(run)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    out = tmp_path_factory.mktemp("runs")
    return [record_run(out), record_run(out, end=None, count=2)]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory, runs):
    return write_bundle(runs, tmp_path_factory.mktemp("bundles") / "b.zip")


def test_runs_come_back_from_a_bundle_with_tables_made_from_their_events(tmp_path, runs, bundle):
    taken = take_in(bundle, tmp_path)
    assert taken.new == [run.name for run in runs] and taken.known == []
    for run in runs:
        assert (tmp_path / run.name / "events.jsonl").read_bytes() == (run / "events.jsonl").read_bytes()
    assert parquet_files(tmp_path / runs[0].name) and not parquet_files(tmp_path / runs[1].name)
    assert load([tmp_path / run.name for run in runs]).nodes.equals(load(runs).nodes)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(run.name for run in runs)


def test_runs_that_are_there_stay_and_the_others_come(tmp_path, runs, bundle):
    (tmp_path / runs[0].name).mkdir()
    taken = take_in(bundle, tmp_path)
    assert (taken.new, taken.known) == ([runs[1].name], [runs[0].name])
    assert not list((tmp_path / runs[0].name).iterdir())
    assert take_in(bundle, tmp_path, [run.name for run in runs]).new == []


def spoilt(bundle, to, name, change):
    """A copy of a bundle with one file of its first run changed."""
    with zipfile.ZipFile(bundle) as old, zipfile.ZipFile(to, "w") as new:
        target = next(info.filename for info in old.infolist() if info.filename.endswith(name))
        for one in old.infolist():
            content = old.read(one)
            new.writestr(one.filename, change(content) if one.filename == target else content)
    return to


@pytest.mark.parametrize(("name", "old", "new", "words"), [
    ("run.json", b'"max_new_tokens": 40', b'"max_new_tokens": -4', "max-new-tokens"),
    ("events.jsonl", b'"position":1,', b'"position":"x",', "not a trace"),
    ("events.jsonl", b'"text":["', b'"text":[7,"', "not a trace"),
    ("events.jsonl", b'"rounds":6', b'"rounds":7', "6 of 7 rounds"),
])  # fmt: skip
def test_a_run_that_no_view_could_show_refuses_the_whole_file(tmp_path, bundle, name, old, new, words):
    def change(content):
        assert old in content
        return content.replace(old, new, 1)

    with pytest.raises(InputError, match=words) as caught:
        take_in(spoilt(bundle, tmp_path / "bad.zip", name, change), tmp_path / "out")
    assert "\n" not in str(caught.value) and ".import" not in str(caught.value)
    assert list((tmp_path / "out").iterdir()) == []


def test_the_name_of_a_run_is_that_of_its_folder_and_not_what_its_run_json_says(tmp_path, runs, bundle):
    spoilt(bundle, tmp_path / "b.zip", "run.json", lambda content: content.replace(b'"run": "2', b'"run": "3', 1))
    taken = take_in(tmp_path / "b.zip", tmp_path / "out")
    assert load([tmp_path / "out" / taken.new[0]]).nodes["run"].unique() == [runs[0].name]


def test_tables_of_the_bundle_are_not_believed(tmp_path, runs, bundle):
    taken = take_in(spoilt(bundle, tmp_path / "b.zip", "nodes.parquet", lambda _: b"junk"), tmp_path / "out")
    assert load([tmp_path / "out" / taken.new[0]]).nodes.equals(load(runs[:1]).nodes)


def test_random_damage_is_refused_in_one_line_or_does_no_harm(tmp_path, bundle):
    dice, whole = random.Random(1), bundle.read_bytes()
    refused = 0
    for i in range(120):
        data = bytearray(whole)
        for _ in range(dice.choice([1, 3, 30])):
            data[dice.randrange(len(data))] = dice.randrange(256)
        (tmp_path / "b.zip").write_bytes(data[: dice.choice([len(data), dice.randrange(len(data))])])
        try:
            take_in(tmp_path / "b.zip", tmp_path / str(i))
        except InputError as error:
            refused += 1
            assert "\n" not in str(error)
            assert not (tmp_path / str(i)).exists() or list((tmp_path / str(i)).iterdir()) == []
    assert refused > 60
