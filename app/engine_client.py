"""The engine process as the app sees it: submit, cancel, ask how it stands. No torch, no st.* in threads."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
import time
import uuid
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from queue import SimpleQueue
from typing import Any, TextIO

import streamlit as st

from gsd.config import RunSpec

COMMAND = (sys.executable, "-m", "gsd.decode.worker")
STDERR_LINES = 12  # shown when the process dies
KEPT = 500  # jobs that have ended and are still known
FORGOTTEN = "How this run ended is not known any more, as many have come since. What it recorded is among the runs."

Outbox = SimpleQueue[str | None]  # lines to write; None: no more
PENDING = ("queued", "loading", "preparing", "running")
STATE_AFTER = {"loading": "loading", "loaded": "preparing", "started": "running", "finished": "finished",
               "failed": "failed", "cancelled": "cancelled"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Job:
    """How one submitted run stands.

    `prompt`  the prompt's own id
    `baseline` whether it is compared with `ar` once the text is there
    `state`   queued | loading | preparing (loaded, no trace yet) |
              running | finished | failed | cancelled | crashed (the engine process died)
    `error`   one line, with failed and crashed
    `output`  the last lines that the process wrote to standard error, with crashed
    `since`   when its present state began, by `time.monotonic`
    `held`    it was asked to pause, `held_since` so long; `paused_s` seconds of pauses that are over
    `started` when its decoding began; `seconds` that it took, pauses left out
    """

    id: str
    prompt: str
    baseline: bool = False
    state: str = "queued"
    folder: Path | None = None
    error: str = ""
    output: str = ""
    since: float = 0.0
    held: bool = False
    held_since: float = 0.0
    paused_s: float = 0.0
    started: float | None = None
    seconds: float | None = None

    @property
    def pending(self) -> bool:
        """Whether it may still change."""
        return self.state in PENDING


class EngineClient:
    """Owns one engine process, shared by all sessions; starts it again after it died.

    Every method may be called from any thread, and none but `close` waits for the process: what is sent to it goes
    through an outbox, as a pipe takes 64 KB and the process reads none of it while it imports torch.
    """

    def __init__(self, command: Sequence[str] = COMMAND) -> None:
        self._command = list(command)
        self._lock = threading.RLock()
        self._process: subprocess.Popen[str] | None = None
        self._outbox: Outbox = SimpleQueue()  # of the present process
        self._jobs: dict[str, Job] = {}
        self._owners: dict[str, subprocess.Popen[str]] = {}  # pending job -> the process it was given to
        self._batches: dict[str, list[str]] = {}  # job -> what was asked for in one go with it, in order
        self._memory: dict[str, Any] = {}

    def start(self) -> None:
        """Start the process unless it is up, so that its imports are done before the first run."""
        with self._lock:
            if self._process is None or self._process.poll() is not None:
                self._process, self._outbox = _spawn(self._command), SimpleQueue()
                for work, of in ((_deliver, (self._outbox, self._process.stdin)),
                                 (self._follow, (self._process, self._outbox))):  # fmt: skip
                    threading.Thread(target=work, args=of, daemon=True).start()

    def submit(self, spec: RunSpec, out: Path, *, baseline: bool = False) -> str:
        """Queue a run whose trace goes under `out`; returns the job's id."""
        return self.submit_all([spec], out, baseline=baseline)[0]

    def submit_all(self, specs: Sequence[RunSpec], out: Path, *, baseline: bool = False) -> list[str]:
        """Queue runs in order, with nobody else's in between; returns the jobs' ids."""
        with self._lock:
            self._forget()
            jobs = [self._submit(spec, out, baseline) for spec in specs]
            self._batches |= dict.fromkeys(jobs, jobs)
        return jobs

    def cancel(self, job: str) -> None:
        """Ask for the run's end after its current round."""
        with self._lock:
            if self.job(job).pending:
                self._send({"do": "cancel", "id": job})

    def pause(self, job: str) -> None:
        """Hold the run after its current round; its models and its place stay."""
        self._hold(job, True)

    def resume(self, job: str) -> None:
        """Let a run that is held go on."""
        self._hold(job, False)

    def unload(self) -> None:
        """Give the models' memory back."""
        with self._lock:
            if self._process is not None:
                self._send({"do": "unload"})

    def job(self, job: str) -> Job:
        """How a run stands now; of one that ended more than `KEPT` jobs ago that is not known any more."""
        with self._lock:
            return self._jobs.get(job) or Job(job, "", state="failed", error=FORGOTTEN)

    def batch(self, job: str) -> list[str]:
        """What was asked for in one go with this run, in order and itself included; empty where it is not known."""
        with self._lock:
            return list(self._batches.get(job, []))

    def writing(self, folder: Path) -> Job | None:
        """The pending job whose trace is `folder`, if any: a tab that was reloaded finds its run by it."""
        with self._lock:
            return next((job for job in self._jobs.values() if job.pending and job.folder == folder), None)

    def current(self, jobs: Sequence[str]) -> Job | None:
        """Of runs that were asked for in this order: the first still pending, else the last."""
        found = [self.job(name) for name in jobs]
        return next((job for job in found if job.pending), found[-1] if found else None)

    def ahead(self, job: str) -> int:
        """How many pending runs come before this one."""
        with self._lock:
            before = list(self._jobs)[: list(self._jobs).index(job)]
            return sum(self._jobs[name].pending for name in before)

    def memory(self) -> dict[str, Any]:
        """The process's last word on its memory: `host_bytes`, `device_bytes`; empty before its first run."""
        with self._lock:
            return dict(self._memory)

    def close(self) -> None:
        """End the process; a run that is going is cancelled."""
        with self._lock:
            process = self._process
            self._outbox.put(None)
        if process is not None:
            process.wait()

    def _forget(self) -> None:
        """Drop the jobs that have ended but for the last `KEPT`, and none of what was asked for in one go with those.

        Runs end in order, so where the last of such a go has ended, all have.
        """
        ended = [job for job, batch in self._batches.items() if not self._jobs[batch[-1]].pending]
        old = set(ended[:-KEPT])
        for job in old:
            if self._batches[job][-1] in old:
                del self._jobs[job], self._batches[job]

    def _submit(self, spec: RunSpec, out: Path, baseline: bool) -> str:
        job = Job(uuid.uuid4().hex, spec.prompt.id, baseline, since=time.monotonic())
        self.start()
        self._jobs[job.id], self._owners[job.id] = job, self._process
        self._send({"do": "run", "id": job.id, "spec": spec.model_dump(mode="json"), "out": str(out),
                    "baseline": baseline})  # fmt: skip
        return job.id

    def _hold(self, job: str, held: bool) -> None:
        with self._lock:
            if self.job(job).pending:
                self._jobs[job] = _held(self._jobs[job], held, time.monotonic())
                self._send({"do": "pause" if held else "resume", "id": job})

    def _send(self, command: dict[str, Any]) -> None:
        """A process that has just died cannot read; `_follow` then reports the crash of whatever was pending."""
        self._outbox.put(json.dumps(command) + "\n")

    def _follow(self, process: subprocess.Popen[str], outbox: Outbox) -> None:
        """Take in the process's events until it ends, then say so. Runs in a thread."""
        last_lines: deque[str] = deque(maxlen=STDERR_LINES)
        errors = threading.Thread(target=last_lines.extend, args=(process.stderr,), daemon=True)
        errors.start()
        for line in process.stdout:
            if line.endswith("\n"):  # the last one is torn where the process was killed as it wrote
                self._take(json.loads(line))
        code = process.wait()
        outbox.put(None)
        errors.join()
        with self._lock:
            if self._process is process:
                self._process, self._memory = None, {}
            self._crash(process, _how_it_ended(code), "".join(last_lines))

    def _take(self, event: dict[str, Any]) -> None:
        kind = event["event"]
        with self._lock:
            if kind == "memory":
                self._memory = {key: value for key, value in event.items() if key != "event"}
            elif kind in STATE_AFTER and event["id"] in self._jobs:
                job = self._jobs[event["id"]]
                self._jobs[job.id] = _moved(job, STATE_AFTER[kind], event, time.monotonic())
                if not self._jobs[job.id].pending:
                    self._owners.pop(job.id, None)

    def _crash(self, process: subprocess.Popen[str], error: str, output: str) -> None:
        for job in [job for job, owner in self._owners.items() if owner is process]:
            del self._owners[job]
            self._jobs[job] = replace(self._jobs[job], state="crashed", error=error, output=output)


@st.cache_resource(show_spinner=False)
def engine() -> EngineClient:
    """The one engine of this app, whatever the number of browser tabs."""
    client = EngineClient(COMMAND)
    client.start()
    return client


def _moved(job: Job, state: str, event: dict[str, Any], now: float) -> Job:
    """The job after an event of its own, at the time `now`."""
    folder = Path(event["folder"]) if "folder" in event else job.folder
    started = now if state == "running" else job.started
    seconds = None
    if started is not None and state not in PENDING:
        job = _held(job, False, now)
        seconds = now - started - job.paused_s
    return replace(job, state=state, folder=folder, error=event.get("error", ""), since=now, started=started,
                   seconds=seconds)  # fmt: skip


def _held(job: Job, held: bool, now: float) -> Job:
    """The job held or let go at the time `now`; a pause counts once it is over."""
    if held == job.held:
        return job
    paused_s = job.paused_s + (0.0 if held else now - job.held_since)
    return replace(job, held=held, held_since=now, paused_s=paused_s)


def _deliver(outbox: Outbox, pipe: TextIO) -> None:
    """Write what is put into the outbox, in order, until its end or the process's. Runs in a thread."""
    with contextlib.suppress(BrokenPipeError):
        for line in iter(outbox.get, None):
            pipe.write(line)
            pipe.flush()
    with contextlib.suppress(BrokenPipeError):  # what was not written is tried once more
        pipe.close()


def _spawn(command: list[str]) -> subprocess.Popen[str]:
    """In a session of its own, so that Ctrl-C in the terminal ends it by its closing input, not in mid-write."""
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, encoding="utf-8", errors="replace", start_new_session=True,
    )  # fmt: skip


def _how_it_ended(code: int) -> str:
    reason = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
    hint = "; out of memory is the usual cause: choose a smaller pair or budget" if code == -9 else ""
    return f"The engine process {reason}{hint}. The next run starts it again."
