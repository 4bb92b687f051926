"""What the figures were measured on."""

from __future__ import annotations

import platform
import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
import transformers

import gsd
from gsd.runner import Runner


def machine(runner: Runner) -> dict[str, Any]:
    """What the figures were measured on."""
    gpus = [torch.cuda.get_device_name(device) for device in runner.target.devices if device.type == "cuda"]
    return {
        "gsd": commit() or gsd.__version__,
        "processor": processor(),
        "threads": torch.get_num_threads(),
        "gpu": ", ".join(gpus) or None,
        "platform": f"{platform.system()} {platform.machine()}",  # results are shown: no name of a kernel's build
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "scikit_learn": find_spec("sklearn") is not None,  # changes how transformers' assistant stops
    }


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


def processor() -> str:
    """The processor's name as Linux gives it, else what Python knows."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor())
