"""What this machine has, and what is missing for which purpose."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
from dataclasses import asdict, dataclass

from gsd.pairs import MODELS_VARIABLE, PAIRS, available

REQUIRED = (
    "torch",
    "transformers",
    "safetensors",
    "accelerate",
    "streamlit",
    "pandas",
    "pyarrow",
    "networkx",
    "plotly",
)
OPTIONAL = {"gguf": "models from GGUF files", "pyvis": "explorable graphs", "playwright": "browser tests"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report. `fix` is what to do about it, where something is missing."""

    what: str
    value: str
    fix: str | None = None


def examine() -> list[Finding]:
    """Versions, devices, models and tools."""
    findings = [Finding("python", platform.python_version()), Finding("platform", platform.platform())]
    findings.append(Finding("memory", f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.1f} GiB"))
    findings += [_package(name, "gsd itself") for name in REQUIRED]
    findings += [_package(name, purpose) for name, purpose in OPTIONAL.items()]
    findings += _devices()
    for pair in PAIRS.values():
        here = available(pair)
        fix = None if here else f"name a folder that holds both in {MODELS_VARIABLE}, or let the run download them"
        findings.append(Finding(f"pair {pair.name}", "here" if here else "not here", fix))
    browser = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    findings.append(
        Finding("chromium", browser or "missing", None if browser else "apt-get install chromium (browser tests)")
    )
    return findings


def as_dict(findings: list[Finding]) -> dict[str, list[dict]]:
    """For `--json`."""
    return {"findings": [asdict(finding) for finding in findings]}


def _package(name: str, purpose: str) -> Finding:
    try:
        return Finding(name, importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
        return Finding(name, "missing", f"pip install {name} ({purpose})")


def _devices() -> list[Finding]:
    try:
        import torch
    except ImportError:
        return []
    devices = [Finding("cpu", f"{torch.get_num_threads()} threads, {torch.backends.cpu.get_cpu_capability()}")]
    for index in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(index)
        devices.append(Finding(f"cuda:{index}", f"{properties.name}, {properties.total_memory / 2**30:.0f} GiB"))
    return devices
