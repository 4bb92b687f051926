"""What times were measured on."""

from __future__ import annotations

import functools
import platform
import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import transformers

import gsd

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
    return {"processor": processor(), "threads": torch.get_num_threads(), "gpu": ", ".join(gpus) or None}


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


@functools.cache
def processor() -> str:
    """The processor's name as Linux gives it, else what Python knows."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor())
