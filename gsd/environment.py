"""What times were measured on."""

from __future__ import annotations

import functools
import math
import os
import platform
import subprocess
import time
from collections.abc import Callable, Collection
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import transformers

import gsd

LEAST_LOAD = 0.75  # of others, from which they count: a process that has run for a minute makes 0.6, one for long 1
GLANCES, GLANCE_S = 5, 0.004
CACHE_VARIABLE = "GSD_CACHE"

if TYPE_CHECKING:
    from gsd.models.hf import HFModel
    from gsd.runner import Runner


def machine(runner: Runner) -> dict[str, Any]:
    """Hardware and software, for a benchmark's result."""
    return {
        "gsd": commit() or gsd.__version__,
        **hardware(runner.target),
        "platform": f"{platform.system()} {platform.machine()}",  # results are shown: no name of a kernel's build
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "scikit_learn": find_spec("sklearn") is not None,  # changes how transformers' assistant stops
    }


def hardware(target: HFModel) -> dict[str, Any]:
    """What times hang on: the processor, torch's threads, and the GPUs that hold the target, if any."""
    gpus = [torch.cuda.get_device_name(device) for device in target.devices if device.type == "cuda"]
    return {"processor": processor(), "threads": torch.get_num_threads(), "gpu": ", ".join(gpus) or None, **manners()}


def manners() -> dict[str, Any]:
    """How this process gets on with others: its niceness, 0 to 19, and whether waiting threads spin or sleep."""
    niceness = os.nice(0) if hasattr(os, "nice") else None  # not on Windows
    return {"niceness": niceness, "waits": os.environ.get("OMP_WAIT_POLICY", "active").lower()}


def crowd() -> str | None:
    """One line where other processes want the cores that forwards are about to take; None where none is seen."""
    if not hasattr(os, "getloadavg"):  # on Windows
        return None
    load = os.getloadavg()[0]
    cores, threads = len(_affinity()), torch.get_num_threads()
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


def cache_folder() -> Path:
    """What is worth keeping between processes is here: $GSD_CACHE, else `gsd` in the user's cache folder."""
    if own := os.environ.get(CACHE_VARIABLE):
        return Path(own).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gsd"


def commit() -> str | None:
    """The commit that is measured, `-dirty` where files differ from it; None where the code is in no repository."""
    root = Path(gsd.__file__).parents[1]
    if not (root / ".git").exists():  # installed, maybe inside of somebody else's repository
        return None
    try:
        describe = ["git", "describe", "--always", "--dirty"]
        told = subprocess.run(describe, cwd=root, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return told.stdout.strip() or None


# Names of what matters to products, by the flags of /proc/cpuinfo on x86 and on ARM.
_INSTRUCTIONS = {
    "avx2": "AVX2", "avx512f": "AVX-512", "avx512_bf16": "AVX512_BF16", "amx_bf16": "AMX",
    "asimd": "NEON", "sve": "SVE", "bf16": "BF16", "i8mm": "I8MM",
}  # fmt: skip
# Variables that keep a library from instructions that are there.
_LIMITS = {"ATEN_CPU_CAPABILITY": "torch", "ONEDNN_MAX_CPU_ISA": "oneDNN", "DNNL_MAX_CPU_ISA": "oneDNN"}


def instruction_sets() -> tuple[str, ...]:
    """The instruction sets that products of matrices can use here, by name, and what keeps a library from some."""
    flags = _of_cpuinfo("flags", "Features").split()
    found = [name for flag, name in _INSTRUCTIONS.items() if flag in flags]
    limits = [f"{who} kept to {os.environ[name]}" for name, who in _LIMITS.items() if os.environ.get(name)]
    return (*(found or [torch.backends.cpu.get_cpu_capability()]), *limits)


@functools.cache
def processor() -> str:
    """The processor's name as Linux gives it, else what Python knows."""
    return _of_cpuinfo("model name") or platform.processor()


@functools.cache
def _of_cpuinfo(*names: str) -> str:
    """The first line of one of these names in Linux's description of the processor; empty where there is none."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.partition(":")[0].strip() in names), "")


_own = OwnLoad()  # from the import on, as a load average is of the past
