"""Executors run the cells of a sweep: worker processes on this machine, or Ray.

A worker runs one cell at a time and keeps the pair of its last one loaded. A worker that is lost is
replaced and its cell tried again; an error inside a cell is the cell's outcome, and no loss. No torch.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import traceback
from collections import deque
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gsd.config import RunSpec
from gsd.decode.holder import PairHolder
from gsd.errors import GsdError, InputError, MissingPackage
from gsd.lab.cells import run_cell

if TYPE_CHECKING:
    from gsd.decode.runner import Runner

ATTEMPTS = 3  # the first, and two more where the worker was lost
Load = Callable[[RunSpec], "Runner"]


class WorkerLost(Exception):
    """A worker ended without an answer; the message says how."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of a cell. `error` is None if its run is complete."""

    spec: RunSpec
    error: str | None


class CellRunner:
    """Runs cells inside a worker.

    `loader` is called there with `share`: how many workers have the machine's threads together.
    """

    def __init__(self, loader: Callable[[int], Load], share: int) -> None:
        self._pairs = PairHolder(loader(share))

    def run(self, spec: RunSpec, out: Path) -> str | None:
        """The error of a cell in one line, or None."""
        try:
            run_cell(self._pairs.get(spec), spec, out)
        except Exception as error:
            line = " ".join(str(error).split())
            if isinstance(error, GsdError):
                return line
            traceback.print_exc()
            return f"{type(error).__name__}: {line}"
        return None


def pair_loader(share: int) -> Load:
    """How a worker loads pairs: imports torch, and divides its threads by `share`."""
    import torch
    from transformers.utils import logging

    from gsd.decode.runner import Runner

    logging.disable_progress_bar()
    torch.set_num_threads(max(1, torch.get_num_threads() // share))
    return Runner.of


class LocalExecutor:
    """Worker processes of this machine, which share its threads equally."""

    def __init__(self, workers: int = 1, loader: Callable[[int], Load] = pair_loader) -> None:
        self._workers, self._loader = workers, loader

    def submit(self, cells: Sequence[RunSpec], out: Path) -> Generator[Outcome, None, None]:
        """Yield outcomes as they come. Closing the iterator stops the workers."""
        size = min(self._workers, len(cells))
        return _dispatch(cells, out, size, lambda: _Process(self._loader, size), wait)


class RayExecutor:
    """Workers on a Ray cluster, each with `gpus` GPUs (0.5: half of one), as many as find room.

    The cluster is the one that Ray is connected to or finds by its own rules ($RAY_ADDRESS), else one
    started on this machine. The folder of the runs must be storage that all its machines share.
    """

    def __init__(self, workers: int | None = None, gpus: float = 0.0) -> None:
        try:
            import ray
        except ImportError:
            raise MissingPackage("--executor ray needs Ray: pip install -e '.[ray]' in the checkout") from None
        self._ray, self._workers, self._gpus = ray, workers, gpus

    def submit(self, cells: Sequence[RunSpec], out: Path) -> Generator[Outcome, None, None]:
        """Yield outcomes as they come. Closing the iterator stops the workers."""
        ray, ours = self._ray, not self._ray.is_initialized()
        if ours:
            ray.init(log_to_driver=False)  # which would print to standard output
        try:
            size = min(self._room(), self._workers or len(cells))
            yield from _dispatch(
                cells, out, size, lambda: _Actor(ray, self._gpus), lambda refs: ray.wait(refs, num_returns=1)[0]
            )
        finally:
            if ours:
                ray.shutdown()

    def _room(self) -> int:
        kind, each = ("GPU", self._gpus) if self._gpus else ("CPU", 1)
        there = self._ray.cluster_resources().get(kind, 0)
        room = int(there / each + 1e-9)
        if not room:
            raise InputError(f"a worker needs {each:g} {kind} and the Ray cluster has {there:g}: ask for less (--gpus)")
        return room


def _dispatch(
    cells: Sequence[RunSpec], out: Path, size: int, new: Callable[[], Any], wait_any: Callable[[list], list]
) -> Generator[Outcome, None, None]:
    """Hand the cells, in order, to `size` workers made by `new`; `wait_any` gives handles that are ready.

    A worker has `start`, which gives a handle to wait for, `result`, which raises `WorkerLost`, and `stop`.
    """
    waiting = deque((spec, 1) for spec in cells)
    idle: list[Any] = []
    busy: dict[Any, tuple[Any, RunSpec, int]] = {}
    try:
        while waiting or busy:
            while waiting and (idle or len(busy) < size):
                worker = idle.pop() if idle else new()
                spec, attempt = waiting.popleft()
                busy[worker.start(spec, out)] = worker, spec, attempt
            worker, spec, attempt = busy.pop(wait_any(list(busy))[0])
            try:
                error = worker.result()
                idle.append(worker)
            except WorkerLost as lost:
                worker.stop()
                if attempt < ATTEMPTS:
                    waiting.appendleft((spec, attempt + 1))
                    continue
                error = f"its worker was lost {attempt} times ({lost}); if memory is short, use fewer workers"
            while idle and not waiting:
                idle.pop().stop()  # what it holds may be what another one waits for
            yield Outcome(spec, error)
    finally:
        for worker in [*idle, *(worker for worker, _, _ in busy.values())]:
            worker.stop()


class _Process:
    """A worker process and the pipe to it. Spawned: CUDA does not survive a fork."""

    def __init__(self, loader: Callable[[int], Load], share: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, loader, share), daemon=True)
        self._process.start()
        theirs.close()  # so that the pipe ends when the process does

    def start(self, spec: RunSpec, out: Path) -> Connection:
        with contextlib.suppress(OSError):  # a process that is gone is found out by `result`
            self._pipe.send((spec, out))
        return self._pipe

    def result(self) -> str | None:
        try:
            return self._pipe.recv()
        except (EOFError, OSError):
            self._process.join()
            raise WorkerLost(f"exit code {self._process.exitcode}") from None

    def stop(self) -> None:
        self._process.kill()
        self._process.join()
        self._pipe.close()


def _serve(pipe: Connection, loader: Callable[[int], Load], share: int) -> None:
    """The worker process: one cell after another, until nobody asks any more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which stops its workers
    os.dup2(2, 1)  # standard output is for results, and libraries print to it
    cells = CellRunner(loader, share)
    with contextlib.suppress(EOFError, OSError):
        while True:
            pipe.send(cells.run(*pipe.recv()))


class _Actor:
    """A Ray actor. Ray itself sets its threads and shows it its GPUs."""

    def __init__(self, ray: Any, gpus: float) -> None:
        self._ray = ray
        self._actor = ray.remote(num_cpus=1, num_gpus=gpus)(CellRunner).remote(pair_loader, 1)

    def start(self, spec: RunSpec, out: Path) -> Any:
        self._ref = self._actor.run.remote(spec, out)
        return self._ref

    def result(self) -> str | None:
        try:
            return self._ray.get(self._ref)
        except self._ray.exceptions.RayError as error:  # an error inside a cell would have come as its result
            raise WorkerLost(str(error).strip().splitlines()[-1].strip()) from None  # Ray ends with the reason

    def stop(self) -> None:
        self._ray.kill(self._actor)
