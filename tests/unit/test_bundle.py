"""A bundle gives back the runs it was made of, writes nowhere else, and can be run again."""

import json
import shutil
import zipfile
from pathlib import Path

import pytest
from fixtures.recorded import record_run
from settings import of_method

from analysis.bundle import read_bundle, write_bundle
from analysis.catalog import read_head
from analysis.export import csv_files
from gsd.config import RunSpec
from gsd.errors import InputError, TraceError
from gsd.lab.rerun import rerun
from gsd.models.pairs import PAIRS
from gsd.spec import Prompt, SamplingSpec
from gsd.trace.form import COUNTS
from gsd.trace.read import read_run


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    out = tmp_path_factory.mktemp("runs")
    return [record_run(out), record_run(out, end=None, count=2)]


@pytest.fixture(scope="module")
def written(tmp_path_factory, runs):
    return write_bundle(runs, tmp_path_factory.mktemp("bundles") / "b.zip")


@pytest.fixture
def bundle(tmp_path, written):
    """A copy to spoil."""
    return Path(shutil.copy(written, tmp_path))


def files_of(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_what_comes_out_is_what_went_in(tmp_path, runs, bundle):
    back = read_bundle(bundle, tmp_path / "out")
    assert [folder.name for folder in back] == [run.name for run in runs]
    for before, after in zip(runs, back):
        assert files_of(before) == files_of(after)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(run.name for run in runs)


def test_it_carries_settings_versions_and_the_csv_files(runs, bundle):
    with zipfile.ZipFile(bundle) as archive:
        head = json.loads(archive.read("bundle.json"))
        for name, content in csv_files(runs):
            assert archive.read(f"csv/{name}") == content
    assert [one["status"] for one in head["runs"].values()] == ["complete", "incomplete"]
    for run in runs:
        meta = read_run(run).meta
        assert {key: head["runs"][run.name][key] for key in ("spec", "digest", "versions")} == {
            key: meta[key] for key in ("spec", "digest", "versions")
        }


def test_a_run_that_is_there_already_is_not_touched(tmp_path, runs, bundle):
    out = tmp_path / "out"
    (out / runs[1].name).mkdir(parents=True)
    with pytest.raises(TraceError, match="exists already"):
        read_bundle(bundle, out)
    assert [path.name for path in out.iterdir()] == [runs[1].name]
    assert files_of(out) == {}


@pytest.mark.parametrize("entry", ["../evil", "runs/../../evil", "/evil", "runs/nonesuch/run.json", "runs\\..\\evil",
                                   "runs/evil", "C:/evil"])  # fmt: skip
def test_an_entry_that_leads_out_refuses_the_whole_file(tmp_path, bundle, entry):
    with zipfile.ZipFile(bundle, "a") as archive:
        archive.writestr(entry, "x")
    refused(bundle, tmp_path / "out", "evil" if "evil" in entry else "nonesuch")


@pytest.mark.parametrize("name", ["..", "", "a/b", "/a", ".hidden"])
def test_a_run_with_the_name_of_another_place_is_refused(tmp_path, name):
    path = tmp_path / "b.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("bundle.json", json.dumps({"format": "gsd-bundle", "version": 1, "runs": {name: {}}}))
    refused(path, tmp_path / "out", repr(name))


@pytest.mark.parametrize("head", ["{}", "[]", "no json", '{"format": "gsd-bundle", "version": 2, "runs": {}}'])
def test_other_archives_and_other_versions_are_refused(tmp_path, head):
    path = tmp_path / "b.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("bundle.json", head)
    refused(path, tmp_path / "out", "bundle.json")


def test_no_archive_no_file_and_a_damaged_one_are_refused(tmp_path, bundle):
    (tmp_path / "text.zip").write_text("hello")
    refused(tmp_path / "text.zip", tmp_path / "out", "not a zip")
    refused(tmp_path / "nowhere.zip", tmp_path / "out", "no such file")
    data = bytearray(bundle.read_bytes())
    with zipfile.ZipFile(bundle) as archive:
        start = next(i.header_offset for i in archive.infolist() if i.filename.endswith("events.jsonl"))
    data[start + 200 : start + 260] = bytes(60)
    bundle.write_bytes(data)
    refused(bundle, tmp_path / "out", "no readable bundle")


def test_entries_that_are_said_to_begin_before_the_file_are_refused(tmp_path, bundle):
    data = bytearray(bundle.read_bytes())
    directory = int.from_bytes(data[-6:-2], "little")  # where the last record says that the directory begins
    data[-6:-2] = (directory + 100_000).to_bytes(4, "little")
    bundle.write_bytes(data)
    refused(bundle, tmp_path / "out", "no readable bundle")


def test_a_file_made_to_fill_the_disk_is_refused_before_it_is_unpacked(tmp_path, bundle):
    with zipfile.ZipFile(bundle) as archive:
        run = next(iter(json.loads(archive.read("bundle.json"))["runs"]))
    with zipfile.ZipFile(bundle, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"runs/{run}/zeros", bytes(150_000_000))
    refused(bundle, tmp_path / "out", "would unpack to 15")


@pytest.mark.parametrize("method", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_other_packings_are_refused(tmp_path, bundle, method):
    with zipfile.ZipFile(bundle, "a", method) as archive:
        archive.writestr("csv/more.csv", "1" * 100)
    refused(bundle, tmp_path / "out", "neither stored nor deflated")


@pytest.mark.parametrize("line", ["[]", "{}", "1", '{"type": "round"}\n{"kind": "end"}'])
def test_events_that_are_none_are_refused(tmp_path, line):
    run = record_run(tmp_path / "runs", count=1)
    file = write_bundle([run], tmp_path / "b.zip")
    with zipfile.ZipFile(file) as old, zipfile.ZipFile(tmp_path / "bad.zip", "w") as new:
        for info in old.infolist():
            new.writestr(info, line + "\n" if info.filename.endswith("events.jsonl") else old.read(info))
    refused(tmp_path / "bad.zip", tmp_path / "out", "is no trace")


def refused(file, out, words):
    with pytest.raises(InputError) as caught:
        read_bundle(file, out)
    assert words in str(caught.value) and str(file) in str(caught.value) and "\n" not in str(caught.value)
    assert not out.exists() or not list(out.iterdir())


def test_two_runs_of_one_name_or_a_file_that_cannot_be_are_refused_and_leave_nothing(tmp_path, runs):
    namesake = record_run(tmp_path / "other")
    with pytest.raises(TraceError, match="one name"):
        write_bundle([runs[0], namesake.rename(namesake.with_name(runs[0].name))], tmp_path / "twice.zip")
    (tmp_path / "file").touch()
    with pytest.raises(TraceError, match="choose another"):
        write_bundle(runs, tmp_path / "file" / "b.zip")
    assert not list(tmp_path.glob("*.partial")) and not (tmp_path / "twice.zip").exists()


@pytest.fixture(scope="module")
def recorded(tiny, tmp_path_factory):
    """A sampled run of the bundled pair."""
    pair = PAIRS["tiny"]
    spec = RunSpec(target=pair.target, draft=pair.draft, pair="tiny", prompt=Prompt(prompt="def total(items):"),
                   drafting=of_method(depth=4), sampling=SamplingSpec(temperature=0.8, seed=3), max_new_tokens=16,
                   device="cpu", dtype="float32")  # fmt: skip
    return tiny.run(spec, tmp_path_factory.mktemp("runs")).folder


def test_a_bundled_run_run_again_gives_the_same_tokens_and_counts(tmp_path, tiny, recorded):
    [run] = read_bundle(write_bundle([recorded], tmp_path / "b.zip"), tmp_path / "out")
    made = rerun(run, tiny)
    assert made.same and made.same_tokens and made.setup == {}
    assert made.same_counts == dict.fromkeys(COUNTS, True)


def edited(run, change):
    """The run's head and events, changed in place."""
    head = json.loads((run / "run.json").read_text())
    lines = [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]
    change(head, lines)
    (run / "run.json").write_text(json.dumps(head))
    (run / "events.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def test_what_is_not_the_same_is_named(tmp_path, tiny, recorded):
    [run] = read_bundle(write_bundle([recorded], tmp_path / "b.zip"), tmp_path / "out")

    def change(head, lines):
        lines[0]["new_tokens"][0] += 1
        lines[-1]["totals"]["merges"] += 1
        head["versions"]["gsd"] = "0.0"

    edited(run, change)
    made = rerun(run, tiny)
    assert not made.same and made.first_difference == 0
    assert [name for name, same in made.same_counts.items() if not same] == ["merges"]
    assert made.setup["gsd"][0] == "0.0" and list(made.setup) == ["gsd"]


@pytest.mark.parametrize(("method", "same"), [("auto", True), ("graph", False)])
def test_other_counts_are_held_against_a_method_whose_work_is_fixed_alone(tmp_path, tiny, recorded, method, same):
    """The run is taken for one of `method` that verified a node more."""

    def change(head, lines):
        head["spec"]["drafting"] = of_method(**{**head["spec"]["drafting"], "method": method}).model_dump()
        lines[-1]["totals"]["verified_nodes"] += 1

    [run] = read_bundle(write_bundle([recorded], tmp_path / "b.zip"), tmp_path / "out")
    edited(run, change)
    made = rerun(run, tiny)
    assert made.same_tokens and not made.same_counts["verified_nodes"]
    assert (made.same, made.fixed_work) == (same, not same)


def test_other_weights_and_another_forward_are_named(tmp_path, tiny, recorded):
    def change(head, lines):
        head["draft"]["quantization"] = "int8"
        head["target"]["forward"] = "transformers"

    [run] = read_bundle(write_bundle([recorded], tmp_path / "b.zip"), tmp_path / "out")
    edited(run, change)
    assert rerun(run, tiny).setup == {
        "draft quantization": ("int8", "none"),
        "target forward": ("transformers", tiny.target.describe()["forward"]),
    }


MONDAY, CLOSED = "It is Monday. {{ messages[0].content }}", "{{ raise_exception('closed') }}"


@pytest.mark.parametrize("template", [MONDAY, CLOSED, None])
def test_what_was_recorded_is_decoded_again_though_the_template_would_give_other_tokens(
    tmp_path, tiny, monkeypatch, template
):
    """A template that reads the clock, one that does not work any more, and none."""
    monkeypatch.setattr(tiny.tokenizer, "chat_template", "It is Sunday, the 3rd. {{ messages[0].content }}")
    pair = PAIRS["tiny"]
    spec = RunSpec(target=pair.target, draft=pair.draft, prompt=Prompt(prompt="def total(items):"), max_new_tokens=16,
                   device="cpu", dtype="float32")  # fmt: skip
    folder = tiny.run(spec, tmp_path).folder
    assert rerun(folder, tiny).prompt is None
    monkeypatch.setattr(tiny.tokenizer, "chat_template", template)
    made = rerun(folder, tiny)
    assert made.same and made.same_tokens
    if template != CLOSED:
        count = len(json.loads((folder / "run.json").read_text())["prompt_tokens"])
        assert f"would now be {len(tiny.encode(spec.prompt))} tokens, and was {count}" in made.prompt
    else:
        assert "closed" in made.prompt


def test_runs_of_other_prompt_tokens_are_not_known_by_one_digest(tmp_path, tiny, monkeypatch):
    pair = PAIRS["tiny"]
    spec = RunSpec(target=pair.target, draft=pair.draft, prompt=Prompt(prompt="x"), max_new_tokens=2)
    digests = []
    for day in ("Sunday", "Sunday", "Monday"):
        monkeypatch.setattr(tiny.tokenizer, "chat_template", day + " {{ messages[0].content }}")
        run = tiny.run(spec, tmp_path).folder
        digests.append((json.loads((run / "run.json").read_text())["digest"], read_head(run).prompt))
        assert run.name.endswith(digests[-1][0][:8]) or run.name.rpartition("-")[0].endswith(digests[-1][0][:8])
    assert digests[0] == digests[1]
    assert not set(digests[0]) & set(digests[2])


@pytest.mark.parametrize("token", [-1, 1_000_000, "3", None])
def test_a_recorded_prompt_that_holds_no_token_is_refused(tmp_path, tiny, recorded, token):
    [run] = read_bundle(write_bundle([recorded], tmp_path / "b.zip"), tmp_path / "out")
    edited(run, lambda head, lines: head["prompt_tokens"].append(token))
    with pytest.raises(InputError, match=repr(token)):
        rerun(run, tiny)


def test_an_unfinished_run_and_another_pair_are_refused(tmp_path, tiny, runs):
    with pytest.raises(InputError, match="incomplete"):
        rerun(runs[1], tiny)
    with pytest.raises(InputError, match="target made/up has architecture llama"):
        rerun(runs[0], tiny)
