"""What times were measured on."""

from __future__ import annotations

import functools
import os
import platform
import subprocess
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
import transformers

import gsd
from gsd.machine.crowd import WAITS

CACHE_VARIABLE = "GSD_CACHE"


def machine(devices: Iterable[torch.device]) -> dict[str, Any]:
    """Hardware and software, for a benchmark's result; the target is on these devices."""
    return {
        "gsd": commit() or gsd.__version__,
        **hardware(devices),
        "platform": f"{platform.system()} {platform.machine()}",  # results are shown: no name of a kernel's build
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "scikit_learn": find_spec("sklearn") is not None,  # changes how transformers' assistant stops
    }


def hardware(devices: Iterable[torch.device]) -> dict[str, Any]:
    """What times hang on: the processor, torch's threads, and the GPUs among the target's devices, if any."""
    gpus = [torch.cuda.get_device_name(device) for device in devices if device.type == "cuda"]
    return {"processor": processor(), "threads": torch.get_num_threads(), "gpu": ", ".join(gpus) or None, **manners()}


def manners() -> dict[str, Any]:
    """How this process gets on with others: its niceness, 0 to 19, and whether waiting threads spin or sleep."""
    niceness = os.nice(0) if hasattr(os, "nice") else None  # not on Windows
    return {"niceness": niceness, "waits": os.environ.get(WAITS, "active").lower()}


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
