"""The worker's protocol, in a process of its own with a made-up pair."""

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from fixtures.recorded import run_spec
from fixtures.waiting import wait_until

from gsd.decode import worker
from gsd.spec import ModelSpec, Prompt
from gsd.trace.read import read_run

FAKE = [sys.executable, str(Path(__file__).parents[1] / "fixtures" / "fake_worker.py")]

DEADLINE_S = 60.0  # for everything that one test asks of a worker


class Talk:
    """A worker process and its two pipes."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            FAKE, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def say(self, **command) -> None:
        self.raw(json.dumps(command))

    def raw(self, line: str) -> None:
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def run(self, name: str, out: Path, prompt: str = "x", **changes) -> None:
        spec = run_spec(prompt=Prompt(prompt=prompt), **changes)
        self.say(do="run", id=name, spec=spec.model_dump(mode="json"), out=str(out), baseline=False)

    def until(self, *events: str) -> list[dict]:
        """Every event up to the first of `events`."""
        heard = []
        while not heard or heard[-1]["event"] not in events:
            line = self.process.stdout.readline()
            assert line, f"the worker ended; heard {heard}; {self.process.stderr.read()}"
            heard.append(json.loads(line))
        return heard


@pytest.fixture
def talk():
    worker = Talk()
    deadline = threading.Timer(DEADLINE_S, worker.process.kill)  # one that never answers fails its test
    deadline.start()
    assert worker.until("ready")[-1] == {"event": "ready"}
    yield worker
    deadline.cancel()
    worker.process.kill()
    worker.process.wait()
    for pipe in (worker.process.stdin, worker.process.stdout, worker.process.stderr):
        pipe.close()


def test_a_run_is_announced_from_loading_to_memory(talk, tmp_path):
    talk.run("a", tmp_path)
    heard = talk.until("memory")
    assert [event["event"] for event in heard] == ["loading", "loaded", "started", "finished", "memory"]
    assert heard[3]["folder"] == heard[2]["folder"]
    assert read_run(heard[2]["folder"]).status == "complete"


def test_models_stay_loaded_for_the_next_run_and_another_pair_is_loaded_anew(talk, tmp_path):
    talk.run("a", tmp_path)
    talk.until("memory")
    talk.run("b", tmp_path)
    assert [event["event"] for event in talk.until("memory")] == ["started", "finished", "memory"]
    talk.run("c", tmp_path, target=ModelSpec(source="another"))
    assert talk.until("memory")[0] == {"event": "loading", "id": "c", "target": "another", "draft": "made/up-draft"}
    talk.say(do="unload")
    assert talk.until("memory")[0] == {"event": "unloaded"}
    talk.run("d", tmp_path, target=ModelSpec(source="another"))
    assert talk.until("memory")[0]["event"] == "loading"


def test_a_paused_run_holds_between_rounds_and_goes_on_to_the_same_end(talk, tmp_path):
    talk.run("a", tmp_path, "slow", max_new_tokens=40)
    folder = talk.until("started")[-1]["folder"]
    talk.say(do="pause", id="a")
    held = rounds_at_rest(folder)
    assert read_run(folder).status == "incomplete", "the run went on to its end instead of being held"
    talk.say(do="resume", id="a")
    assert talk.until("finished")[-1]["id"] == "a"
    assert read_run(folder).status == "complete" and len(read_run(folder).rounds) > held


def rounds_at_rest(folder, pause=0.4):
    """The rounds of a run once none has come for as long as several take."""
    counts = [-1]

    def rests():
        counts.append(len(read_run(folder).rounds))
        time.sleep(pause)
        return counts[-1] == counts[-2]

    wait_until(rests)
    return counts[-1]


def test_a_paused_run_can_be_cancelled(talk, tmp_path):
    talk.run("a", tmp_path, "slow", max_new_tokens=100_000)
    talk.until("started")
    talk.say(do="pause", id="a")
    talk.say(do="cancel", id="a")
    assert talk.until("cancelled")[-1]["id"] == "a"


def test_a_cancelled_run_ends_early_and_keeps_its_rounds(talk, tmp_path):
    talk.run("a", tmp_path, "slow", max_new_tokens=100_000)
    talk.until("started")
    talk.say(do="cancel", id="a")
    last = talk.until("cancelled", "finished")[-1]
    assert last["event"] == "cancelled"
    trace = read_run(last["folder"])
    assert trace.status == "cancelled"
    assert len(trace.rounds) >= 1


def test_a_queued_run_can_be_cancelled_before_it_starts(talk, tmp_path):
    talk.run("a", tmp_path, "slow", max_new_tokens=100_000)
    talk.run("b", tmp_path)
    talk.say(do="cancel", id="b")
    talk.until("started")
    talk.say(do="cancel", id="a")
    assert talk.until("cancelled")[-1]["id"] == "a"
    assert talk.until("cancelled", "started")[-1] == {"event": "cancelled", "id": "b"}


@pytest.mark.parametrize("order", ["cancel", "pause"])
def test_an_order_for_a_run_that_has_ended_is_forgotten(talk, tmp_path, order):
    """Were it kept, the next run of that id would be cancelled before it starts, or held for ever."""
    talk.run("a", tmp_path)
    talk.until("memory")
    talk.say(do=order, id="a")
    talk.run("a", tmp_path)
    assert talk.until("finished", "cancelled")[-1]["event"] == "finished"


@pytest.mark.parametrize(
    ("prompt", "changes", "error"),
    [
        ("fail", {}, "the draft's vocabulary differs: 10 and 12 tokens"),
        ("x", {"target": ModelSpec(source="missing")}, "missing: no such model"),
    ],
)
def test_a_failure_is_one_line_and_the_next_run_works(talk, tmp_path, prompt, changes, error):
    talk.run("a", tmp_path, prompt, **changes)
    assert talk.until("failed")[-1] == {"event": "failed", "id": "a", "error": error}
    talk.run("b", tmp_path)
    assert talk.until("finished")[-1]["id"] == "b"


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("no json", "not a command"),
        ("[1]", "not a command"),
        ('{"do": "dance"}', "unknown command 'dance'"),
        ('{"do": "run", "id": "a"}', "lacks out, spec"),
    ],
)
def test_a_line_that_is_no_command_is_answered(talk, tmp_path, line, error):
    talk.raw(line)
    heard = talk.until("failed")[-1]
    assert heard["id"] is None
    assert error in heard["error"]
    talk.run("b", tmp_path)
    talk.until("finished")


def test_settings_that_are_wrong_fail_the_run_by_name(talk, tmp_path):
    spec = run_spec().model_dump(mode="json") | {"max_new_tokens": 0}
    talk.say(do="run", id="a", spec=spec, out=str(tmp_path))
    assert "--max-new-tokens 0" in talk.until("failed")[-1]["error"]


def test_what_libraries_print_stays_out_of_the_protocol(talk, tmp_path):
    talk.run("a", tmp_path, "noise")
    assert talk.until("memory")[-2]["event"] == "finished"
    talk.process.stdin.close()
    errors = talk.process.stderr.read()
    assert "a library says hello" in errors
    assert "and so does its C part" in errors


def test_it_exits_when_its_parent_is_gone_even_in_the_middle_of_a_run(talk, tmp_path):
    talk.run("a", tmp_path, "slow", max_new_tokens=100_000)
    talk.until("started")
    talk.process.stdin.close()
    assert talk.process.wait(timeout=30) == 0, "it had to be ended by force"
    [folder] = tmp_path.iterdir()
    assert read_run(folder).status == "cancelled"


def test_decoding_gives_way_to_the_app_on_the_same_cores():
    """Ten steps of niceness below the process that starts it, and threads that wait asleep, as told before torch."""
    say = (
        "from gsd.decode import worker; worker.give_way(); import os; print(os.nice(0), os.environ['OMP_WAIT_POLICY'])"
    )
    free = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    done = subprocess.run([sys.executable, "-c", say], capture_output=True, text=True, check=True, env=free)
    assert done.stdout.split() == [str(min(os.nice(0) + worker.NICENESS, 19)), "passive"]
