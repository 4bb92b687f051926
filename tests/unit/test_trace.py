"""The trace: whole rounds survive whatever happens, and what is wrong is said."""

import errno
import json
import os
import subprocess
import sys
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from fixtures.recorded import PHASES
from settings import of_method

from gsd.config import RunSpec
from gsd.errors import TraceError
from gsd.models.pairs import pair
from gsd.spec import Prompt, SamplingSpec
from gsd.trace.read import SCHEMA, EventTail, list_runs, read_run
from gsd.trace.writer import TraceWriter

ROOT = Path(__file__).parents[2]
META = {"digest": "0123456789abcdef"}
METHODS = ("ar", "chain", "tree", "graph")


@pytest.mark.parametrize(("kills", "seed"), [(12, 1), pytest.param(50, 2, marks=pytest.mark.slow)])
def test_killed_at_any_moment_every_whole_round_is_there(tmp_path, kills, seed):
    """Real decoding, SIGKILL at moments drawn by a fixed seed; what was acknowledged is read back."""
    script = ROOT / "tests" / "fixtures" / "decode_forever.py"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, script, tmp_path, str(kills), str(seed)], check=True, env=environment, timeout=300)
    interrupted = 0
    for number in range(kills):
        out = tmp_path / str(number)
        runs = [read_run(folder) for folder in list_runs(out)] if out.exists() else []
        for run in runs:
            assert [round_.number for round_ in run.rounds] == list(range(len(run.rounds)))
            whole = (run.folder / "events.jsonl").read_bytes().count(b"\n") if run.rounds else 0
            assert len(run.rounds) + (run.end is not None) == whole
            assert all(round_.detailed and round_.ms.total > 0 for round_ in run.rounds)
        assert all(run.status == "complete" for run in runs[1:])  # newest first: only it was going on
        interrupted += bool(runs and runs[0].status == "incomplete" and runs[0].rounds)
        acknowledged = tmp_path / f"{number}.acknowledged"
        if acknowledged.exists():
            assert sum(len(run.rounds) for run in runs) >= acknowledged.stat().st_size
    assert interrupted >= kills // 4  # the kills fell into runs


def bare(number):
    """A round that counted nothing."""
    counts = ("position", "drafted_nodes", "verified_nodes", "merged", "draft_forwards", "target_forwards")
    return {
        "round": number, **dict.fromkeys(counts, 0), **dict.fromkeys(("graph", "merges", "decisions", "tree", "stop")),
        "accepted": [], "new_tokens": [1], "new_texts": ["x"], "origins": ["target"], "bonus": True,
        "ms": dict.fromkeys(PHASES, 0.0),
    }  # fmt: skip


def written(tmp_path, rounds=3) -> Path:
    with TraceWriter(tmp_path, "a run", META) as writer:
        for number in range(rounds):
            writer.round(bare(number))
    return writer.folder


def test_a_torn_last_line_is_dropped_and_said(tmp_path):
    folder = written(tmp_path)
    events = folder / "events.jsonl"
    whole = events.read_bytes()
    for cut in range(len(whole) + 1):
        events.write_bytes(whole[:cut])
        run = read_run(folder)
        assert len(run.rounds) == whole[:cut].count(b"\n") and run.status == "incomplete"
        assert bool(run.notes) == (not (cut == 0 or whole[:cut].endswith(b"\n")))
        assert all("torn" in note for note in run.notes)


def test_an_unreadable_line_is_dropped_and_said(tmp_path):
    folder = written(tmp_path)
    events = folder / "events.jsonl"
    events.write_bytes(b"\xff\x00 no json\n" + events.read_bytes())
    run = read_run(folder)
    assert len(run.rounds) == 3 and "unreadable" in run.notes[0]


@pytest.mark.parametrize("schema", [SCHEMA + 1, 0, "1", None])
def test_another_schema_is_refused_naming_both(tmp_path, schema):
    folder = written(tmp_path)
    meta = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({**meta, "schema": schema}))
    with pytest.raises(TraceError, match=rf"{schema!r}.* {SCHEMA}\b"):
        read_run(folder)


@pytest.mark.parametrize("content", [None, "", "{", "[]", "null"])
def test_a_folder_that_is_no_run_is_refused(tmp_path, content):
    if content is not None:
        (tmp_path / "run.json").write_text(content)
    with pytest.raises(TraceError, match=str(tmp_path)):
        read_run(tmp_path)


def test_of_a_folder_of_runs_it_is_told_how_to_name_them(tmp_path):
    written(tmp_path)
    with pytest.raises(TraceError, match=rf"it holds runs, so name {tmp_path}/\*"):
        read_run(tmp_path)


class Full:
    """A file on a disk that is full after some bytes."""

    def __init__(self, file, room):
        self._file, self._room = file, room

    def write(self, text):
        if len(text) > self._room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._room -= len(text)
        return self._file.write(text)

    def __getattr__(self, name):
        return getattr(self._file, name)


def test_a_full_disk_is_an_error_that_says_so_and_keeps_the_rounds(tmp_path):
    with TraceWriter(tmp_path, "run", META) as writer:
        writer._events = Full(writer._events, 1000)
        with pytest.raises(TraceError, match=r"full.*another folder"):
            for number in range(100):
                writer.round(bare(number))
    rounds = read_run(writer.folder).rounds
    assert len(rounds) >= 2 and [round_.number for round_ in rounds] == list(range(len(rounds)))


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
def test_a_really_full_device_is_reported_and_the_writer_still_closes(tmp_path):
    """The kernel's own ENOSPC; closing meets it once more, and must not hide the error that names the way out."""
    with pytest.raises(TraceError, match="another folder") as error, TraceWriter(tmp_path, "run", META) as writer:
        writer.round(bare(0))
        writer._events.close()
        writer._events = Path("/dev/full").open("a", encoding="ascii")  # noqa: SIM115
        writer.round(bare(1))
    assert isinstance(error.value.__context__, OSError)
    assert len(read_run(writer.folder).rounds) == 1


def test_a_folder_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(TraceError, match="folder that can be written"):
        TraceWriter(tmp_path / "file" / "runs", "run", META)


def test_runs_of_one_moment_get_a_folder_each(tmp_path, monkeypatch):
    class Still(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime(2026, 1, 2, tzinfo=tz)

    monkeypatch.setattr("gsd.trace.writer.datetime", Still)
    first, *others = (written(tmp_path).name for _ in range(3))
    assert others == [f"{first}-2", f"{first}-3"]


def test_runs_one_after_another_get_a_folder_each_and_the_newest_is_listed_first(tmp_path):
    folders = [written(tmp_path) for _ in range(5)]
    assert len(set(folders)) == 5 and list_runs(tmp_path) == folders[::-1]


def test_a_tail_sees_each_round_once(tmp_path):
    with TraceWriter(tmp_path, "run", META) as writer:
        tail = EventTail(writer.folder)
        assert tail.poll() == []
        for number in range(3):
            writer.round(bare(number))
            assert [event["round"] for event in tail.poll()] == [number]
        assert tail.poll() == []


def recorded(tiny, tmp_path, method, temperature=0.0):
    names = pair("tiny")
    spec = RunSpec(
        target=names.target, draft=names.draft, prompt=Prompt(prompt="class Stack:\n"), max_new_tokens=20,
        drafting=of_method(method=method, merge_context=0), sampling=SamplingSpec(temperature=temperature, seed=4),
    )  # fmt: skip
    result = tiny.run(spec, tmp_path)
    return result, read_run(result.folder)


def untimed(run):
    return [replace(round_, ms=None) for round_ in run.rounds]


@pytest.mark.parametrize("temperature", [0.0, 0.9])
def test_one_seed_gives_one_trace_but_for_times_and_one_text_whatever_the_method(tiny, tmp_path, temperature):
    texts = set()
    for method in METHODS:
        (first, one), (_, two) = (recorded(tiny, tmp_path, method, temperature) for _ in range(2))
        assert one.meta["digest"] == two.meta["digest"] and one.status == "complete"
        for run in (one, two):
            assert all(round_.ms.total > 0 for round_ in run.rounds)
        assert untimed(one) == untimed(two)
        texts.add(first.text)
        assert [token for round_ in one.rounds for token in round_.new_tokens] == first.tokens
    assert len(texts) == 1
