"""Who else wants the cores: other processes, whose load makes forwards wait for one another. No torch.

On free cores a thread that waits spins, as sleeping and waking takes longer than what it waits for. On crowded ones a
spinning thread keeps a core from those that it waits for. So waits are to be settled by what is seen before torch is
loaded, which reads `OMP_WAIT_POLICY` then. What each costs: benchmarks/notes.md.
"""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Callable, Collection
from pathlib import Path

LEAST_LOAD = 0.75  # of others, from which they count: a process that has run for a minute makes 0.6, one for long 1
GLANCES, GLANCE_S = 5, 0.004
WAITS = "OMP_WAIT_POLICY"


def settle_waits() -> None:
    """Wait asleep where others want the cores; what the user has set stays. Once torch is loaded it is too late."""
    if "torch" not in sys.modules and crowd(len(_affinity())):
        os.environ.setdefault(WAITS, "passive")


def crowd(threads: int) -> str | None:
    """One line where other processes want the cores that forwards of so many threads are about to take, else None."""
    if not hasattr(os, "getloadavg"):  # on Windows
        return None
    load, cores = os.getloadavg()[0], len(_affinity())
    others = load - _own.load()
    if not is_crowded(others, threads, cores) or not _others_run_now():
        return None
    return (f"other processes keep about {others:.1f} of {cores} cores busy (load {load:.1f}): forwards of {threads} "
            f"thread{'s' * (threads > 1)} may take several times as long, so trust no times")  # fmt: skip


def is_crowded(others: float, threads: int, cores: int) -> bool:
    """Whether others' load and our own threads together are above the cores; less than a process counts as none."""
    return others >= LEAST_LOAD and others + threads > cores + 0.5


class OwnLoad:
    """What this process adds to the load average of the last minute: its processor time, averaged as the kernel does.

    `clock` and `used` give seconds: since whenever, and of the processor so far.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, used: Callable[[], float] = time.process_time):
        self._clock, self._used = clock, used
        self._then, self._spent, self._load = clock(), used(), 0.0

    def load(self) -> float:
        """Up to now."""
        now, spent = self._clock(), self._used()
        if now > self._then:
            kept = math.exp(-(now - self._then) / 60)
            self._load = kept * self._load + (1 - kept) * (spent - self._spent) / (now - self._then)
            self._then, self._spent = now, spent
        return self._load


def _others_run_now() -> bool:
    """Whether anybody else is running at this moment: an average also tells of those that have just ended.

    True where the system does not say.
    """
    for _ in range(GLANCES):
        try:
            running = int(Path("/proc/loadavg").read_text().split()[3].partition("/")[0])
        except (OSError, ValueError, IndexError):
            return True
        if running > 1:  # this process reads the file
            return True
        time.sleep(GLANCE_S)
    return False


def _affinity() -> Collection[int]:
    """The cores that this process may use."""
    return os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)


_own = OwnLoad()  # from the import on, as a load average is of the past
