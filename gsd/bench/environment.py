"""What the figures were measured on."""

from __future__ import annotations

import platform
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
import transformers

from gsd.runner import Runner


def machine(runner: Runner) -> dict[str, Any]:
    """What the figures were measured on."""
    gpus = [torch.cuda.get_device_name(device) for device in runner.target.devices if device.type == "cuda"]
    return {
        "processor": processor(),
        "threads": torch.get_num_threads(),
        "gpu": ", ".join(gpus) or None,
        "platform": platform.platform(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "scikit_learn": find_spec("sklearn") is not None,  # changes how transformers' assistant stops
    }


def processor() -> str:
    """The processor's name as Linux gives it, else what Python knows."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor())
