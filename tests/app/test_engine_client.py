"""The client's side of the engine process: states, cancelling, crashes."""

import os
import signal
import sys
import threading
from pathlib import Path

import pytest
from fixtures.recorded import run_spec
from fixtures.waiting import wait_until

from app import engine_client
from app.engine_client import EngineClient, Job, _held, _moved
from gsd.spec import ModelSpec, Prompt
from gsd.trace.read import read_run

FAKE_WORKER = (sys.executable, str(Path(__file__).parents[1] / "fixtures" / "fake_worker.py"))


def submit(client, out, prompt="x", **changes):
    return client.submit(run_spec(prompt=Prompt(prompt=prompt), **changes), out)


def ended(client, job):
    wait_until(lambda: not client.job(job).pending)
    return client.job(job)


def test_a_run_goes_from_queued_to_finished_and_names_its_folder(client, tmp_path):
    job = submit(client, tmp_path)
    done = ended(client, job)
    assert done.state == "finished"
    assert read_run(done.folder).status == "complete"
    wait_until(client.memory)
    assert client.memory() == {"host_bytes": 1, "device_bytes": {}}


WAITING = """
import pathlib, runpy, sys, time
while not pathlib.Path(sys.argv[1]).exists():
    time.sleep(0.01)
runpy.run_path(sys.argv[2], run_name="__main__")
"""


def test_a_batch_larger_than_a_pipe_waits_for_the_process_and_holds_up_nobody(tmp_path):
    """The process reads nothing before there is a file `go`; a pipe holds 64 KB, the three runs take 150."""
    python, worker = FAKE_WORKER
    client, go, jobs = EngineClient([python, "-c", WAITING, str(tmp_path / "go"), worker]), tmp_path / "go", []
    specs = [run_spec(prompt=Prompt(prompt="slow" + "x" * 50_000)) for _ in range(3)]
    try:
        asks = threading.Thread(target=lambda: jobs.extend(client.submit_all(specs, tmp_path / "runs")), daemon=True)
        asks.start()
        asks.join(10)
        assert [client.job(job).state for job in jobs] == ["queued"] * 3
        client.cancel(jobs[1])
    finally:
        go.touch()
    assert [ended(client, job).state for job in jobs] == ["finished", "cancelled", "finished"]
    client.close()


def test_a_running_job_can_be_cancelled(client, tmp_path):
    job = submit(client, tmp_path, "slow", max_new_tokens=100_000)
    wait_until(lambda: client.job(job).state == "running")
    client.cancel(job)
    assert ended(client, job).state == "cancelled"


def test_a_failure_brings_its_line(client, tmp_path):
    done = ended(client, submit(client, tmp_path, target=ModelSpec(source="missing")))
    assert (done.state, done.error) == ("failed", "missing: no such model")


def test_a_crash_is_told_with_the_last_output_and_the_next_run_works(client, tmp_path):
    done = ended(client, submit(client, tmp_path, "crash"))
    assert done.state == "crashed"
    assert "signal 9" in done.error
    assert done.output == "about to die\n"
    assert len(read_run(done.folder).rounds) == 2
    assert ended(client, submit(client, tmp_path)).state == "finished"


def test_a_run_submitted_the_moment_the_process_dies_is_never_lost_in_silence(client, tmp_path):
    client.start()
    for _ in range(5):
        os.kill(client._process.pid, signal.SIGKILL)
        first = ended(client, submit(client, tmp_path))
        assert first.state in ("finished", "crashed")
        assert ended(client, submit(client, tmp_path)).state == "finished"


def test_a_queued_run_behind_a_crash_is_reported_too(client, tmp_path):
    first, second = submit(client, tmp_path, "slow crash"), submit(client, tmp_path)
    assert ended(client, first).state == ended(client, second).state == "crashed"


def test_what_was_asked_for_in_one_go_is_known_by_any_run_of_it(client, tmp_path):
    jobs = client.submit_all([run_spec(), run_spec()], tmp_path)
    alone = submit(client, tmp_path)
    assert client.batch(jobs[0]) == client.batch(jobs[1]) == jobs
    assert client.batch(alone) == [alone]
    assert client.batch("nobody's") == []


def test_of_ended_jobs_the_last_are_known_with_what_was_asked_for_beside_them(client, tmp_path, monkeypatch):
    """One run, then two in one go; with one ended job to keep, its go stays whole, and the first goes."""
    monkeypatch.setattr(engine_client, "KEPT", 1)
    first = submit(client, tmp_path)
    ended(client, first)
    both = client.submit_all([run_spec(), run_spec()], tmp_path)
    ended(client, both[1])
    last = submit(client, tmp_path)
    assert client.job(first).state == "failed" and "not known any more" in client.job(first).error
    assert [client.job(job).state for job in both] == ["finished"] * 2 and client.batch(both[0]) == both
    client.cancel(first)
    ended(client, last)
    assert client.batch(first) == [] and client.job(last).state == "finished"


def test_no_ended_job_holds_a_process(client, tmp_path):
    ended(client, submit(client, tmp_path, "crash"))
    ended(client, submit(client, tmp_path))
    assert client._owners == {}


def test_cancelling_what_has_ended_does_nothing(client, tmp_path):
    job = submit(client, tmp_path)
    assert ended(client, job).state == "finished"
    client.cancel(job)
    assert client.job(job).state == "finished"


@pytest.mark.parametrize("prompt", ["noise", "x"])
def test_unloading_keeps_the_process(client, tmp_path, prompt):
    ended(client, submit(client, tmp_path, prompt))
    process = client._process
    client.unload()
    assert ended(client, submit(client, tmp_path)).state == "finished"
    assert client._process is process


def test_pauses_are_left_out_of_the_time_that_a_run_takes():
    """Decoding from 10 to 100 s, held from 20 to 50 s and from 90 s until it was cancelled: 50 s."""
    job = _moved(Job("a", "x"), "running", {}, 10.0)
    for held, now in ((True, 20.0), (True, 30.0), (False, 50.0), (True, 90.0)):
        job = _held(job, held, now)
    done = _moved(job, "cancelled", {}, 100.0)
    assert (done.seconds, done.since, done.held) == (50.0, 100.0, False)
