"""What a bundle made by somebody else can do: bring traces that are such, under plain names, of bounded size."""

import json
import shutil
import struct
import zipfile

import pytest
from fixtures.recorded import record_run
from settings import of_method

from analysis import bundle as bundles
from analysis.bundle import read_bundle, take_in, write_bundle
from gsd.config import RunSpec, run_digest
from gsd.errors import InputError, TraceError
from gsd.spec import ModelSpec
from gsd.trace.form import check_run
from gsd.trace.read import read_run

WANTS = ModelSpec(source="made/up", revision="v1", trust_remote_code=True)
MERGING = of_method(width=6, depth=6, frontier=8, merge_context=0, prob_threshold=0.0, budget=40)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return record_run(tmp_path_factory.mktemp("runs"), drafting=MERGING, target=WANTS, draft=WANTS, pair=None)


@pytest.fixture
def bundle(tmp_path, run):
    return write_bundle([run], tmp_path / "b.zip")


def refused(bundle, out, *words):
    with pytest.raises(InputError) as caught:
        take_in(bundle, out)
    assert "\n" not in str(caught.value)
    assert all(word in str(caught.value) for word in words), caught.value
    assert not out.exists() or list(out.iterdir()) == []


def test_a_run_that_is_taken_in_trusts_no_code_and_its_digest_is_of_what_it_says(tmp_path, run, bundle):
    [name] = take_in(bundle, tmp_path / "out").new
    head = json.loads((tmp_path / "out" / name / "run.json").read_text())
    spec = RunSpec(**head["spec"])
    assert [model.trust_remote_code for model in (spec.target, spec.draft)] == [False, False]
    assert head["spec"]["target"]["revision"] == "v1" and read_run(run).meta["spec"]["target"]["trust_remote_code"]
    assert head["digest"] == run_digest(spec.digest(), head["prompt_tokens"]) != read_run(run).meta["digest"]


def with_files(bundle, **files):
    with zipfile.ZipFile(bundle, "a", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return bundle


def test_what_is_no_part_of_a_trace_stays_packed(tmp_path, run, bundle):
    """An atlas beside the run would be listed, and a file of settings might be read by whatever runs there."""
    stray = (f"runs/{run.name}/{name}" for name in ("atlas.json", ".env", ".streamlit/config.toml", "a/" * 1500 + "b"))
    take_in(with_files(bundle, **dict.fromkeys(stray, "{}")), tmp_path / "out")
    found = {path.name for path in (tmp_path / "out").rglob("*") if path.is_file() and path.suffix != ".parquet"}
    assert found == {"run.json", "events.jsonl"}


def test_an_entry_that_is_there_twice_is_refused(tmp_path, run, bundle):
    with pytest.warns(UserWarning, match="Duplicate"):
        with_files(bundle, **{f"runs/{run.name}/run.json": "{}"})
    refused(bundle, tmp_path / "out", "there twice")


@pytest.mark.parametrize("name", ["a\nb", "a\x1b[2J", "trailing.", "x" * 201, "what?", "a\u202eb", "*", "-rf"])
def test_a_run_with_an_odd_name_is_refused(tmp_path, run, name):
    path = tmp_path / "b.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("bundle.json", json.dumps({"format": "gsd-bundle", "version": 1, "runs": {name: {}}}))
    refused(path, tmp_path / "out", repr(name))
    copy = record_run(tmp_path / "copied")
    with pytest.raises(TraceError, match="a bundle takes no run named"):
        write_bundle([copy.rename(copy.with_name(name))], tmp_path / "c.zip")


def test_bytes_are_counted_as_they_are_unpacked_whatever_the_archive_says(tmp_path, bundle, monkeypatch):
    monkeypatch.setattr(bundles, "MOST_IN_ONE", 1000)
    refused(bundle, tmp_path / "out", "too large a bundle", "events.jsonl")
    monkeypatch.setattr(bundles, "MOST_IN_ONE", 1 << 30)
    monkeypatch.setattr(bundles, "MOST_BYTES", 1000)
    refused(bundle, tmp_path / "out", "too large a bundle")
    monkeypatch.setattr(bundles, "MOST_HEAD", 10)
    refused(bundle, tmp_path / "out", "too large a bundle", "bundle.json")


def test_an_entry_that_says_less_than_it_unpacks_to_gives_no_more(tmp_path, run, bundle):
    """Both records of the size of events.jsonl say ten bytes."""
    data = bytearray(bundle.read_bytes())
    with zipfile.ZipFile(bundle) as archive:
        info = archive.getinfo(f"runs/{run.name}/events.jsonl")
    real = struct.pack("<LL", info.compress_size, info.file_size)
    assert data.count(real) == 2
    bundle.write_bytes(data.replace(real, struct.pack("<LL", info.compress_size, 10)))
    refused(bundle, tmp_path / "out", "no readable bundle")


def test_an_archive_of_too_many_entries_is_refused_before_they_are_read(tmp_path, bundle, monkeypatch):
    monkeypatch.setattr(bundles, "MOST_ENTRIES", 20)
    with_files(bundle, **{f"csv/{number}": "" for number in range(40)})
    monkeypatch.setattr(zipfile, "ZipFile", None)  # not even opened
    refused(bundle, tmp_path / "out", "more than 20 entries")


@pytest.mark.parametrize("name", ["bundle.json", "run.json", "events.jsonl"])
def test_json_that_nests_without_end_is_refused(tmp_path, bundle, name):
    deep, spoilt = "[" * 200_000, tmp_path / "deep.zip"
    with zipfile.ZipFile(bundle) as old, zipfile.ZipFile(spoilt, "w") as new:
        for info in old.infolist():
            new.writestr(info.filename, deep + "\n" if info.filename.endswith(name) else old.read(info))
    refused(spoilt, tmp_path / "out")


def edited(tmp_path, change, line=0):
    """A trace of which one line is another."""
    copy = record_run(tmp_path / "runs", drafting=MERGING)
    lines = (copy / "events.jsonl").read_text().splitlines()
    event = json.loads(lines[line])
    change(event)
    lines[line] = json.dumps(event)
    (copy / "events.jsonl").write_text("\n".join(lines) + "\n")
    return copy


def cell(part, column, value, row=0):
    def change(event):
        event[part][column][row] = value

    return change


def close_a_cycle(event):
    """A merge edge from a node to the one it hangs on."""
    event["merges"]["parent"].append(1)
    event["merges"]["node"].append(0)
    for name, value in (("logq", -1.0), ("depth_shift", 0), ("ngram", [1]), ("ngram_text", "x")):
        event["merges"][name].append(value)


SCRIPT = "<img src=x onerror=alert(1)>"
SPOILT = {
    "rule": cell("decisions", "rule", SCRIPT), "kind": cell("decisions", "kind", SCRIPT),
    "depth": cell("graph", "depth", SCRIPT), "token": cell("graph", "token", SCRIPT, 1),
    "source": cell("graph", "source", SCRIPT, 1), "a root that was looked up": cell("graph", "source", "lookup"),
    "node of the tree": cell("tree", "node", SCRIPT, 1), "node out of range": cell("tree", "node", 10**6, 1),
    "a parent behind its child": cell("graph", "parent", 2, 1), "a root with a parent": cell("graph", "parent", 0),
    "half a character": cell("graph", "text", "\ud800"), "a text of the target": cell("tree", "choice_text", 7),
    "more than certain": cell("graph", "logq", 1e9, 1), "no number": cell("graph", "logq", float("nan"), 1),
    "infinite": cell("tree", "logq", float("inf"), 1), "huge": cell("graph", "token", 10**400, 1),
    "no merge": cell("merges", "node", -1), "a cycle": close_a_cycle,
    "short": lambda event: event["graph"]["depth"].pop(), "origins": lambda event: event["origins"].append("x"),
    "an accepted node beside the path": lambda event: event["accepted"].append(len(event["tree"]["node"])),
    "stop": lambda event: event.update(stop=SCRIPT), "ms": lambda event: event["ms"].update(total=SCRIPT),
    "drafted": lambda event: event.update(drafted_nodes=SCRIPT), "round": lambda event: event.update(round=7),
    "no merges": lambda event: event.update(merges=None),
}  # fmt: skip


@pytest.mark.parametrize("name", SPOILT)
def test_a_value_that_a_view_would_stumble_over_or_show_as_it_is_refuses_the_run(tmp_path, name):
    copy = edited(tmp_path, SPOILT[name])
    with pytest.raises(TraceError, match="not a trace of gsd"):
        check_run(read_run(copy))
    refused(write_bundle_of(copy, tmp_path), tmp_path / "out", "not a trace of gsd")


def write_bundle_of(copy, tmp_path):
    """As somebody makes it who does not use this program."""
    with zipfile.ZipFile(tmp_path / "b.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        head = {"format": "gsd-bundle", "version": 1, "runs": {copy.name: {}}}
        archive.writestr("bundle.json", json.dumps(head))
        for name in ("run.json", "events.jsonl"):
            archive.write(copy / name, f"runs/{copy.name}/{name}")
    return tmp_path / "b.zip"


@pytest.mark.parametrize("change", [
    {"prompt_tokens": "abc"}, {"prompt_tokens": []}, {"target": None}, {"target": {"source": ["x"]}}, {"created": 1},
    {"versions": {"gsd": {"a": 1}}}, {"machine": []}, {"eos": None}, {"digest": None}, {"spec": {"target": SCRIPT}},
    {"spec": []}, {"spec": SCRIPT},
])  # fmt: skip
def test_a_head_that_is_none_is_refused(tmp_path, change):
    copy = record_run(tmp_path / "runs")
    (copy / "run.json").write_text(json.dumps(json.loads((copy / "run.json").read_text()) | change))
    refused(write_bundle_of(copy, tmp_path), tmp_path / "out")


@pytest.mark.parametrize("change", [{"totals": {"rounds": SCRIPT}}, {"status": SCRIPT}, {"baseline": {"speedup": "x"}},
                                    {"text": "\ud800"}, {"error": 7}])  # fmt: skip
def test_an_end_that_is_none_is_refused(tmp_path, change):
    copy = edited(tmp_path, lambda event: event.update(change), line=-1)
    refused(write_bundle_of(copy, tmp_path), tmp_path / "out")


def test_what_is_recorded_here_is_what_a_trace_is(tmp_path):
    """Of every method, whole, cut off and without nodes; and the samples."""
    runs = [record_run(tmp_path, drafting=of_method(method=method)) for method in ("ar", "chain", "tree", "auto")]
    runs += [record_run(tmp_path, end=None), record_run(tmp_path, detail="counters", drafting=MERGING)]
    for folder in runs + sorted(bundles.Path("app/samples").glob("2*")):
        check_run(read_run(folder))


def test_a_lost_line_is_shown_where_a_run_was_cut_off_here_and_refused_where_it_comes_from_elsewhere(tmp_path):
    copy = record_run(tmp_path / "runs", end=None, count=4)
    lines = (copy / "events.jsonl").read_text().splitlines()
    (copy / "events.jsonl").write_text("\n".join([lines[0], lines[2], lines[3]]) + "\n")
    assert check_run(read_run(copy), whole=False).rounds
    refused(write_bundle_of(copy, tmp_path), tmp_path / "out", "does not follow")


def test_a_bundle_that_is_read_to_be_run_again_is_checked_as_well(tmp_path):
    copy = edited(tmp_path, SPOILT["rule"])
    with pytest.raises(InputError, match="not a trace"):
        read_bundle(write_bundle_of(copy, tmp_path), tmp_path / "out")


@pytest.mark.parametrize("lacking", ["architecture", "parameters", "layers", "vocab_size"])
def test_a_model_that_nothing_can_be_compared_with_is_refused(tmp_path, run, lacking):
    copy = shutil.copytree(run, tmp_path / run.name)
    head = json.loads((copy / "run.json").read_text())
    del head["target"][lacking]
    (copy / "run.json").write_text(json.dumps(head))
    with pytest.raises(TraceError, match="target is no model"):
        check_run(read_run(copy))


def test_totals_without_counts_are_refused(tmp_path, run):
    copy = shutil.copytree(run, tmp_path / run.name)
    *lines, last = (copy / "events.jsonl").read_text().splitlines()
    end = json.loads(last)
    del end["totals"]["merges"]
    (copy / "events.jsonl").write_text("\n".join([*lines, json.dumps(end)]) + "\n")
    with pytest.raises(TraceError, match="no totals"):
        check_run(read_run(copy))
