"""What a benchmark keeps while it runs: read back as it was, torn and cut ends dropped, other settings refused."""

import csv
import json
import signal
import subprocess
import sys
import time
from subprocess import PIPE

import pytest

from gsd.decode.runner import Runner
from gsd.errors import InputError
from gsd.lab.bench import Measurement, PromptResult, store, summary
from gsd.lab.bench.contenders import ExternalMethod
from gsd.lab.bench.divergence import Divergence
from gsd.lab.bench.measuring import Turn
from gsd.lab.bench.store import COLUMNS, Kept, differences, log_of
from gsd.spec import Prompt
from gsd.trace.round import Times

METHODS, REPEATS = ["ar", "hf-greedy", "graph"], 2
PROMPTS = [Prompt(id=one, prompt="x", kind=kind) for one, kind in (("p", "code"), ('q, "x"\nö', None), ("r", "chat"))]
SETTINGS = {"settings": {"repeats": 2, "sampling": {"seed": 0}}, "machine": {"threads": 2}}


def measured(seed, method):
    """A call with times as they come, no round figures."""
    if method == "hf-greedy":
        return Measurement(3, 10.1 / (seed + 3), 3, 0, 0, 3)
    times, first = (Times(*(share / (seed + phase) for phase in range(3, 9))) for share in (2.0, 1.0))
    return Measurement(3, 7.7 / (seed + 1), 2, 1, 1, 2, 4, 4, times, first)


def keep(kept, number, failures=None, divergences=None):
    """One prompt, all turns; those in `failures` fail in their second."""
    calls = {name: [] for name in METHODS}
    for repeat in range(REPEATS):
        for name in METHODS:
            failed = repeat and (failures or {}).get(name)
            outcome = failed or measured(number + repeat, name)
            kept.call(Turn(number, name, repeat, outcome))
            calls[name].append(outcome)
    calls = {name: [] if name in (failures or {}) else of_method for name, of_method in calls.items()}
    kept.whole(number, PromptResult(calls, divergences or dict.fromkeys(METHODS), failures or {}))


def opened(file, *, resume=True, settings=SETTINGS):
    kept = Kept(PROMPTS, METHODS, REPEATS)
    try:
        kept.keep_in(file, settings, resume=resume)
    except InputError:
        kept.close()
        raise
    return kept


@pytest.fixture
def begun(tmp_path):
    """A file with two whole prompts, and the results in it."""
    file = tmp_path / "calls.csv"
    kept = opened(file, resume=False)
    keep(kept, 0, {"graph": "no, room"}, {**dict.fromkeys(METHODS), "ar": Divergence(3, 0.125, 0.125, 0.5)})
    keep(kept, 1)
    kept.close()
    return file, kept.results


def rows(file):
    with file.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def test_what_is_read_back_makes_the_same_report(begun):
    file, results = begun
    kept = opened(file)
    kept.close()
    assert kept.notes == [] and kept.results == results
    kinds = ["code", None]
    assert summary(list(kept.results.values()), kinds, "hf-greedy") == summary(
        list(results.values()), kinds, "hf-greedy"
    )


def test_every_call_is_on_the_disk_as_soon_as_it_is_measured(tmp_path):
    file = tmp_path / "calls.csv"
    kept = opened(file, resume=False)
    for repeat in range(2):
        kept.call(Turn(2, "ar", repeat, measured(0, "ar")))
        assert len(rows(file)) == repeat + 1
    assert rows(file)[0].keys() == set(COLUMNS) and rows(file)[0]["prompt"] == "r"
    kept.close()


@pytest.mark.parametrize("tail", ["r,chat,ar,0,3,7", 'r,chat,"a', "r,chat,ar,0" + "," * (len(COLUMNS) - 4), "\xc3"])
def test_a_torn_last_line_is_dropped_and_told(begun, tail):
    file, results = begun
    whole = file.read_bytes()
    file.write_bytes(whole + tail.encode("latin-1"))
    log = log_of(file).read_bytes()
    log_of(file).write_bytes(log + b'{"prompt": "r", "diver')
    kept = opened(file)
    kept.close()
    assert sorted(note.partition(": ")[2] for note in kept.notes) == ["a torn last line was dropped"] * 2
    assert (file.read_bytes(), log_of(file).read_bytes(), kept.results) == (whole, log, results)


def test_a_prompt_whose_turns_were_cut_is_dropped_and_measured_anew(begun):
    file, results = begun
    whole = file.read_bytes()
    cut = opened(file)
    cut.call(Turn(2, "ar", 0, measured(5, "ar")))
    cut.close()
    kept = opened(file)
    assert (file.read_bytes(), kept.results) == (whole, results)
    assert len(kept.notes) == 1 and kept.notes[0].startswith("r: 1 call dropped")
    keep(kept, 2)
    kept.close()
    assert len(rows(file)) == 3 * len(METHODS) * REPEATS and opened(file).results.keys() == {0, 1, 2}


def test_a_prompt_that_lacks_a_call_is_not_whole_whatever_the_log_says(begun):
    file, results = begun
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    file.write_text("".join(lines[:1] + lines[2:]), encoding="utf-8")
    assert opened(file).results == {1: results[1]}


def test_calls_are_not_overwritten_unasked(begun):
    file, _ = begun
    before = file.read_bytes(), log_of(file).read_bytes()
    with pytest.raises(InputError, match=r"holds calls.*--resume"):
        opened(file, resume=False)
    assert (file.read_bytes(), log_of(file).read_bytes()) == before


def test_calls_with_other_settings_are_not_gone_on_with_and_what_differs_is_named(begun):
    file, _ = begun
    other = {"settings": {"repeats": 3, "sampling": {"seed": 0}}, "machine": {"threads": 1}}
    with pytest.raises(InputError, match=r"settings\.repeats 2, now 3; machine\.threads 2, now 1: "):
        opened(file, settings=other)
    assert list(differences({"a": 1}, {"b": [2]})) == ["a 1, now null", "b null, now [2]"]


@pytest.mark.parametrize("head", ["", "no JSON\n", '{"schema": 99, "settings": {}}\n', "[]\n"])
def test_calls_of_which_nothing_says_how_they_were_measured_are_refused(begun, head):
    file, _ = begun
    log_of(file).write_text(head)
    with pytest.raises(InputError, match="does not say"):
        opened(file)


def test_another_table_is_refused(begun):
    file, _ = begun
    file.write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match="not what this version"):
        opened(file)


def test_one_benchmark_at_a_time_writes_to_a_file(begun):
    file, _ = begun
    first = opened(file)
    with pytest.raises(InputError, match="another benchmark"):
        opened(file)
    first.close()
    opened(file).close()


def test_a_disk_that_refuses_is_told_in_one_line(tmp_path):
    (tmp_path / "calls.csv").mkdir()
    with pytest.raises(InputError, match=r"cannot write .*calls\.csv"):
        opened(tmp_path / "calls.csv")


def asked(tmp_path, *more, prompts=3):
    """The options of a small benchmark."""
    file = tmp_path / "prompts.jsonl"
    file.write_text("".join(f'{{"id": "p{n}", "prompt": "def f{n}():"}}\n' for n in range(prompts)))
    return ["bench", "--prompts", file, "--max-new-tokens", 4, "--repeats", 2, *more]


def fails_on(monkeypatch, owner, name, places):
    """Calls of a function fail at `places`, from 0."""
    function, calls = getattr(owner, name), iter(range(10**6))

    def failing(*args, **kwargs):
        if next(calls) in places:
            raise ValueError("heads differ")
        return function(*args, **kwargs)

    monkeypatch.setattr(owner, name, failing)


def test_an_external_method_that_fails_is_left_out_alone_and_told(gsd, tmp_path, monkeypatch):
    generate = ExternalMethod.measure

    def padded(self, prompt):
        if self._external.assistant is not None:
            raise ValueError("heads differ")
        return generate(self, prompt)

    monkeypatch.setattr(ExternalMethod, "measure", padded)
    csv_file = tmp_path / "calls.csv"
    more = ["--methods", "graph,hf-assisted", "--csv", csv_file]
    code, out, err = gsd(*asked(tmp_path, *more, "--json"))
    report = json.loads(out)
    assert code == 0 and report["methods"]["graph"]["speedup"] and report["methods"]["hf-assisted"]["speedup"] is None
    assert report["methods"]["hf-assisted"]["failures"] == ["ValueError: heads differ"] * 3
    assert err.count("hf-assisted failed on p0: ValueError: heads differ") == 1
    assert [row["method"] for row in rows(csv_file) if row["error"]] == ["hf-assisted"] * 3
    code, out, _ = gsd(*asked(tmp_path, *more, "--resume"))  # all is there: nothing is decoded
    assert code == 0 and "hf-assisted failed on 3 of 3 (p0, p1, p2), which its means leave out" in out


def test_an_external_method_whose_models_cannot_be_loaded_fails_alone(gsd, tmp_path, monkeypatch):
    monkeypatch.setattr("gsd.lab.external.load_stock", lambda *_: (_ for _ in ()).throw(ValueError("no such layer")))
    code, out, _ = gsd(*asked(tmp_path, "--methods", "graph", "--json"))
    report = json.loads(out)
    assert code == 0 and report["methods"]["graph"]["speedup"] and report["best_external"] is None
    assert report["methods"]["hf-greedy"]["failures"] == ["ValueError: no such layer"] * 3
    assert report["methods"]["graph"]["matches"] is None


def test_a_method_of_ours_that_fails_ends_with_1_after_the_rest(gsd, tmp_path, monkeypatch):
    fails_on(monkeypatch, Runner, "rounds", {3})  # warm-up: ar and graph on two prompts
    fails_on(monkeypatch, ExternalMethod, "measure", {1})
    code, out, err = gsd(*asked(tmp_path, "--methods", "graph"))
    assert code == 0 and "failed" not in err  # while warming up nothing is measured
    fails_on(monkeypatch, Runner, "rounds", {4})
    code, out, err = gsd(*asked(tmp_path, "--methods", "graph"))
    assert code == 1 and " failed on 1 of 3 (p0), which its means leave out: ValueError: heads differ" in out


def test_a_line_a_prompt_says_how_far_it_is(gsd, tmp_path):
    _, _, err = gsd(*asked(tmp_path, "--methods", "ar"))
    lines = [line for line in err.splitlines() if line.startswith("prompts ")]
    assert [line[:14] for line in lines] == [f"prompts {n} of 3" for n in (1, 2, 3)]
    assert "about" in lines[0] and "p0" in lines[0] and "about" not in lines[2]


def test_resume_needs_a_file_of_calls(gsd, tmp_path):
    code, out, err = gsd(*asked(tmp_path, "--resume"))
    assert (code, out) == (2, "") and "--csv" in err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_benchmark_in_the_background_ends_when_it_is_told_to_and_goes_on_where_it_was(tmp_path, number):
    """As a shell's `&` starts it: with SIGINT ignored. SIGTERM comes twice, as `timeout` sends it."""
    file = tmp_path / "calls.csv"
    command = [sys.executable, "-m", "gsd", *asked(tmp_path, "--methods", "ar", "--json", "--csv", file)]
    command = [str(part) for part in command]
    process = subprocess.Popen(command, stdout=PIPE, stderr=PIPE, text=True,
                               preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN))  # fmt: skip
    while process.poll() is None and not (log_of(file).exists() and "p0" in log_of(file).read_text()):
        time.sleep(0.001)
    for _ in range(1 + (number == signal.SIGTERM)):
        process.send_signal(number)
    out, err = process.communicate(timeout=120)
    report = json.loads(out)
    assert process.returncode == 130 and "interrupted" in err and "Traceback" not in err
    assert not report["complete"] and 1 <= len(report["prompts"]) < report["prompts_given"] == 3
    before = [row for row in rows(file) if row["prompt"] == "p0"]
    resumed = subprocess.run([*command, "--resume"], capture_output=True, text=True, timeout=240)
    after = json.loads(resumed.stdout)
    assert resumed.returncode == 0 and after["complete"] and len(after["prompts"]) == 3
    assert len(rows(file)) == 3 * 2 * 2 and [row for row in rows(file) if row["prompt"] == "p0"] == before
    assert after["methods"]["ar"]["speedups_over_transformers"][0] == report["methods"]["ar"][
        "speedups_over_transformers"][0]  # fmt: skip


def test_a_prompt_whose_name_a_spreadsheet_would_run_is_read_back_by_its_name(tmp_path):
    """And what was read back is written as it was: numbers stay numbers."""
    file = tmp_path / "calls.csv"
    row = dict.fromkeys(store.COLUMNS) | {"prompt": "=1+1", "kind": "-", "method": "ar", "repeat": 0, "new_tokens": 7,
                                          "wall_ms": 1.5}  # fmt: skip
    store._replace(file, [row])
    written = file.read_bytes()
    assert b'\n"\'=1+1","\'-","ar",0,7,1.5,' in written
    kept = store.Kept([], [], 1)
    assert kept._read_rows(file) == [row]
    store._replace(file, kept._read_rows(file))
    assert file.read_bytes() == written
