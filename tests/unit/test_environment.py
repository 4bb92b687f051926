"""What times were measured on, and beside whom."""

import os
import subprocess
import sys

import pytest

from gsd import environment
from gsd.environment import OwnLoad, is_crowded


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
    monkeypatch.setattr(environment, "_affinity", lambda: range(2))
    monkeypatch.setattr(environment, "_own", OwnLoad())
    monkeypatch.setattr(environment, "_others_run_now", lambda: True)
    said = environment.crowd()
    assert "9.5 of 2 cores" in said and "\n" not in said
    monkeypatch.setattr(environment, "_others_run_now", lambda: False)
    assert environment.crowd() is None
    monkeypatch.setattr(environment, "_others_run_now", lambda: True)
    monkeypatch.setattr(os, "getloadavg", lambda: (0.3, 0, 0))
    assert environment.crowd() is None


def test_a_process_says_its_niceness_and_how_its_threads_wait():
    code = "from gsd.environment import manners; import os; os.nice(3); print(*manners().values())"
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
