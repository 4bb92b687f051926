"""What times were measured on, and beside whom."""

import os
import subprocess
import sys

import pytest

from gsd.machine import crowd as crowded_by
from gsd.machine import environment
from gsd.machine.crowd import OwnLoad, is_crowded


@pytest.mark.parametrize(("others", "threads", "cores", "crowded"), [
    (2.0, 2, 2, True),  # another process with two threads
    (1.0, 2, 2, True),  # and one with one: it holds up both of ours
    (1.0, 1, 2, False),  # a core for each
    (0.6, 2, 2, False),  # what is left in an average of a process that has ended
    (9.0, 4, 16, False),
    (13.0, 4, 16, True),
])  # fmt: skip
def test_the_cores_are_crowded_where_others_and_our_threads_are_more(others, threads, cores, crowded):
    assert is_crowded(others, threads, cores) == crowded


def test_our_own_work_of_the_last_minute_is_no_other_s():
    """Two threads for two minutes make a load of two, which fades when they stop; as the kernel's average does."""
    now, used = [0.0], [0.0]
    own = OwnLoad(lambda: now[0], lambda: used[0])
    assert own.load() == 0.0
    for _ in range(12):
        now[0] += 10
        used[0] += 20
        load = own.load()
    assert load == pytest.approx(2 * (1 - 2.718281828 ** (-2)), rel=1e-6)
    now[0] += 600
    assert own.load() < 0.01


def test_a_crowd_is_told_in_one_line_and_only_while_it_is_there(monkeypatch):
    monkeypatch.setattr(os, "getloadavg", lambda: (9.5, 0, 0))
    monkeypatch.setattr(crowded_by, "_affinity", lambda: range(2))
    monkeypatch.setattr(crowded_by, "_own", OwnLoad())
    monkeypatch.setattr(crowded_by, "_others_run_now", lambda: True)
    said = crowded_by.crowd(threads=2)
    assert "9.5 of 2 cores" in said and "\n" not in said
    monkeypatch.setattr(crowded_by, "_others_run_now", lambda: False)
    assert crowded_by.crowd(threads=2) is None
    monkeypatch.setattr(crowded_by, "_others_run_now", lambda: True)
    monkeypatch.setattr(os, "getloadavg", lambda: (0.3, 0, 0))
    assert crowded_by.crowd(threads=2) is None


@pytest.mark.parametrize(("load", "asked", "waits"), [
    (0.2, None, None),  # spinning is faster on free cores
    (9.5, None, "passive"),
    (9.5, "active", "active"),
])  # fmt: skip
def test_the_command_line_waits_asleep_where_others_want_the_cores(load, asked, waits):
    say = f"""if True:
        import os
        os.getloadavg = lambda: ({load}, 0, 0)
        from cli import main as cli
        from gsd.machine import crowd
        crowd._others_run_now = lambda: True
        cli.main(["pairs", "--json"])
        import sys
        print(os.environ.get("OMP_WAIT_POLICY"), "torch" in sys.modules, file=sys.stderr)"""
    free = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    env = free if asked is None else free | {"OMP_WAIT_POLICY": asked}
    done = subprocess.run([sys.executable, "-c", say], capture_output=True, text=True, check=True, env=env)
    assert done.stderr.split() == [str(waits), "False"]


def test_waits_are_not_said_to_be_others_than_torch_was_loaded_with(monkeypatch):
    import torch  # noqa: F401

    monkeypatch.setattr(crowded_by, "crowd", lambda threads: "others")
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    crowded_by.settle_waits()
    assert "OMP_WAIT_POLICY" not in os.environ


def test_a_process_says_its_niceness_and_how_its_threads_wait():
    code = "from gsd.machine.environment import manners; import os; os.nice(3); print(*manners().values())"
    env = os.environ | {"OMP_WAIT_POLICY": "PASSIVE"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env)
    assert done.stdout.split() == [str(min(os.nice(0) + 3, 19)), "passive"]


def test_instruction_sets_are_named_and_so_is_what_keeps_a_library_from_them(monkeypatch):
    flags = {"flags": "fpu avx2 avx512f avx512_bf16 amx_bf16", "Features": ""}
    monkeypatch.setattr(environment, "_of_cpuinfo", lambda *names: flags[names[0]])
    for name in environment._LIMITS:
        monkeypatch.delenv(name, raising=False)
    assert environment.instruction_sets() == ("AVX2", "AVX-512", "AVX512_BF16", "AMX")
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    assert environment.instruction_sets()[-1] == "oneDNN kept to AVX2"
    flags["flags"] = ""
    assert environment.instruction_sets()[0]  # where the system names none, what torch says
