"""However cells are run and whatever is killed meanwhile, the folders are the same."""

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
import torch
from fixtures import sweep_pair
from fixtures.sweep_pair import HereAndNow

from analysis.load import load
from gsd.errors import InputError, MissingPackage
from gsd.lab.executors import ATTEMPTS, LocalExecutor, RayExecutor, pair_loader
from gsd.lab.sweep import SweepSpec, read_sweep, run_sweep
from gsd.trace.read import list_runs, read_run

FIXTURES = Path(__file__).parents[1] / "fixtures"


def made_up(out: Path, *prompts: str, pairs: tuple[str, ...] = ("t",)) -> SweepSpec:
    """A sweep for the made-up pair, which does what the prompts say."""
    return SweepSpec(
        pairs=[{"target": name, "draft": "d"} for name in pairs],
        prompts=[{"id": p, "prompt": p} for p in prompts],
        out=out,
    )


def bundled(folder: Path) -> Path:
    """The bundled sweep file in a folder of its own; its runs go to `folder`/out."""
    folder.mkdir(exist_ok=True)
    return Path(shutil.copy(FIXTURES / "sweep.yaml", folder))


def log_of(out: Path) -> list[str]:
    return (out / "log").read_text().splitlines()


def without_clocks(out: Path) -> dict[str, tuple]:
    """Everything of every run under `out`, but for dates, times, the machine, and what it was busy with meanwhile."""
    found = {}
    for folder in list_runs(out):
        trace = read_run(folder)
        head = {key: value for key, value in trace.meta.items() if key not in ("created", "machine", "notes")}
        rounds = [replace(round_, ms=None) for round_ in trace.rounds]
        totals = {key: value for key, value in trace.end["totals"].items() if not is_time(key)}
        found[folder.name] = head, rounds, trace.end | {"totals": totals}
    return found


def runs_table(out: Path):
    """The runs table but for its dates and times."""
    runs = load(sorted(list_runs(out))).runs
    return runs[[name for name in runs if name != "created" and not is_time(name)]]


def is_time(name: str) -> bool:
    return name.endswith("_ms") or name == "tokens_per_s"


def start(*arguments: str | Path) -> subprocess.Popen:
    """A sweep in a process group of its own, with two worker processes."""
    command = [sys.executable, FIXTURES / "sweep_run.py", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True, text=True)


def finish_off(process: subprocess.Popen, kill: Callable[[int, int], None]) -> None:
    """SIGKILL to the process, or to its group."""
    kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()


def workers(of: psutil.Process, what: str = "spawn_main") -> list[psutil.Process]:
    """Processes below `of` whose command line says `what`."""
    found = []
    for child in of.children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):  # it may end meanwhile
            found += [child] if what in " ".join(child.cmdline()) else []
    return found


def kill_workers(what: str = "spawn_main") -> list[psutil.Process]:
    """SIGKILL to the workers of this process; which they were."""
    found = workers(psutil.Process(), what)
    for worker in found:
        worker.kill()
    return found


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory, tiny):
    """The bundled sweep, run in this process to its end."""
    spec = read_sweep(bundled(tmp_path_factory.mktemp("uninterrupted")))
    assert len(run_sweep(spec, HereAndNow(tiny)).runs) == 8
    return spec.out


def test_an_error_in_a_cell_is_its_outcome_and_its_worker_goes_on(tmp_path):
    spec = made_up(tmp_path, "a", "fail", "bug", "b")
    result = run_sweep(spec, LocalExecutor(1, sweep_pair.loader))
    assert [read_run(folder).meta["spec"]["prompt"]["prompt"] for folder in result.runs] == ["a", "b"]
    assert list(result.failures.values()) == [
        "the draft's vocabulary differs: 10 and 12 tokens",
        "ZeroDivisionError: division by zero",
    ]
    assert log_of(tmp_path) == ["load t", "run a", "run fail", "run bug", "run b"]


def test_models_are_loaded_once_a_worker_for_all_cells_of_their_pair(tmp_path):
    run_sweep(made_up(tmp_path, "a", "b", "c", pairs=("t", "u")), LocalExecutor(1, sweep_pair.loader))
    assert [line for line in log_of(tmp_path) if line.startswith("load")] == ["load t", "load u"]


def test_a_killed_worker_is_replaced_and_its_cell_tried_again(tmp_path):
    result = run_sweep(made_up(tmp_path, "a", "crash once", "b"), LocalExecutor(1, sweep_pair.loader))
    assert len(result.runs) == 3
    assert not result.failures
    assert log_of(tmp_path) == ["load t", "run a", "run crash once", "load t", "run crash once", "run b"]


def test_a_cell_that_kills_every_worker_is_given_up_and_the_rest_goes_on(tmp_path):
    result = run_sweep(made_up(tmp_path, "a", "crash", "b", "c"), LocalExecutor(2, sweep_pair.loader))
    assert len(result.runs) == 3
    [error] = result.failures.values()
    assert "lost 3 times (exit code -9)" in error
    assert log_of(tmp_path).count("run crash") == ATTEMPTS == 3
    assert not list(tmp_path.glob(".staging*"))


def test_workers_killed_while_idle_or_busy_lose_no_cell(tmp_path):
    killed = []

    def kill_all(progress) -> None:
        if progress.done == 2:
            killed.extend(kill_workers())

    result = run_sweep(made_up(tmp_path, *"abcdef"), LocalExecutor(2, sweep_pair.loader), kill_all)
    assert killed
    assert (len(result.runs), result.failures) == (6, {})


def test_an_interrupted_sweep_leaves_no_worker_behind(tmp_path):
    def interrupt(progress) -> None:
        if progress.done == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_sweep(made_up(tmp_path, *"abcd"), LocalExecutor(2, sweep_pair.loader), interrupt)
    assert not workers(psutil.Process())
    assert {path.name for path in tmp_path.iterdir()} - {run.name for run in list_runs(tmp_path)} == {".lock", "log"}


def test_threads_are_divided_among_the_workers():
    before = torch.get_num_threads()
    try:
        for threads, share, expected in ((8, 2, 4), (7, 2, 3), (2, 4, 1), (3, 1, 3)):
            torch.set_num_threads(threads)
            pair_loader(share)
            assert torch.get_num_threads() == expected
    finally:
        torch.set_num_threads(before)


def test_a_sweep_killed_in_the_middle_and_resumed_gives_what_an_uninterrupted_one_gives(tmp_path, tiny, uninterrupted):
    file = bundled(tmp_path)
    process = start(file)
    assert [process.stdout.readline().strip() for _ in range(3)] == ["0", "1", "2"]
    finish_off(process, os.killpg)
    left = without_clocks(tmp_path / "out")
    assert 2 <= len(left) < 8

    dates = {run.name: read_run(run).meta["created"] for run in list_runs(tmp_path / "out")}
    result = run_sweep(read_sweep(file), HereAndNow(tiny))
    assert (len(result.runs), result.skipped, result.failures) == (8, len(left), {})
    assert all(read_run(tmp_path / "out" / name).meta["created"] == date for name, date in dates.items())
    assert without_clocks(tmp_path / "out") == without_clocks(uninterrupted)


def test_at_whatever_moment_a_sweep_is_killed_each_folder_is_whole_and_the_rest_is_done_later(tmp_path):
    """Three kills at random moments of a sweep of 40 quick cells, then the rest; as if never killed."""
    file, moments = bundled(tmp_path), random.Random(7)
    file.write_text(file.read_text().replace("[2, 4]", str([*range(1, 11)])))
    spec = read_sweep(file)
    for _ in range(3):
        process = start(file, "made-up")
        assert all(process.stdout.readline() for _ in range(moments.randrange(1, 10)))
        time.sleep(moments.random() * 0.05)
        finish_off(process, os.killpg)
        assert all(last["status"] == "complete" for _, _, last in without_clocks(spec.out).values())
    result = run_sweep(spec, HereAndNow(sweep_pair.MadeUpPair("t")))
    assert result.skipped > 0
    assert set(list_runs(spec.out)) == set(result.runs)
    assert len(result.runs) == 40
    there = without_clocks(spec.out)
    shutil.rmtree(spec.out)
    run_sweep(spec, HereAndNow(sweep_pair.MadeUpPair("t")))
    assert without_clocks(spec.out) == there


def test_workers_end_when_the_sweep_alone_is_killed(tmp_path):
    process = start(bundled(tmp_path), "made-up")
    assert [process.stdout.readline().strip() for _ in range(2)] == ["0", "1"]
    left = workers(psutil.Process(process.pid))
    assert len(left) == 2
    finish_off(process, os.kill)
    assert not psutil.wait_procs(left, timeout=30)[1]


def test_ray_that_is_not_installed_is_named_with_its_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingPackage, match=r"pip install -e '.\[ray\]'"):
        RayExecutor()


@pytest.fixture(scope="module")
def cluster():
    """A real Ray cluster on this machine, with room for two workers."""
    ray = pytest.importorskip("ray")
    ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False, object_store_memory=100_000_000)
    yield ray
    ray.shutdown()


@pytest.mark.slow
def test_ray_gives_the_same_runs_as_worker_processes(tmp_path, cluster):
    by_ray, by_processes = (read_sweep(bundled(tmp_path / name)) for name in ("ray", "local"))
    assert len(run_sweep(by_ray, RayExecutor()).runs) == len(run_sweep(by_processes, LocalExecutor(2)).runs) == 8
    assert without_clocks(by_ray.out) == without_clocks(by_processes.out)
    assert runs_table(by_ray.out).equals(runs_table(by_processes.out))


@pytest.mark.slow
def test_a_ray_worker_killed_in_the_middle_loses_no_cell(tmp_path, cluster, uninterrupted):
    spec, killed = read_sweep(bundled(tmp_path)), []

    def kill_all(progress) -> None:
        if progress.done == 2:
            killed.extend(kill_workers("ray::CellRunner"))

    result = run_sweep(spec, RayExecutor(), kill_all)
    assert killed
    assert (len(result.runs), result.failures) == (8, {})
    assert without_clocks(spec.out) == without_clocks(uninterrupted)


@pytest.mark.slow
def test_more_gpus_than_a_ray_cluster_has_are_refused(tmp_path, cluster):
    with pytest.raises(InputError, match=r"needs 0.5 GPU and the Ray cluster has 0"):
        run_sweep(made_up(tmp_path, "a"), RayExecutor(gpus=0.5))
