"""Examine this machine: what it has, and what is missing for which purpose."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

import gsd
from gsd.errors import InputError
from gsd.models.choice import Table, in_words
from gsd.models.pairs import PAIRS, available
from gsd.models.places import MODELS_VARIABLE

REQUIREMENTS = Path(gsd.__file__).parents[1] / "requirements.txt"
OPTIONAL = {"ray": "sweeps on a Ray cluster", "playwright": "browser tests"}


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
    findings += [_required(name, pinned) for name, pinned in _pinned().items()]
    findings += [_optional(name, purpose) for name, purpose in OPTIONAL.items()]
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


def weights() -> list[Table]:
    """Times of linear layers by precision: the saved tables, or one of a usual layer, which is then saved.

    Empty where torch is missing.
    """
    if _version("torch") is None:
        return []
    from gsd.models.weighing import USUAL, table_of, tables_here

    return tables_here() or [table_of(USUAL)]


def as_dict(findings: list[Finding], tables: list[Table]) -> dict[str, list[dict]]:
    """For `--json`."""
    return {"findings": [asdict(finding) for finding in findings],
            "weights": [{**table.model_dump(mode="json"), "auto": in_words(table)} for table in tables]}  # fmt: skip


def _pinned() -> dict[str, str]:
    """The versions that requirements.txt asks for, by package; raises `InputError` where it is not beside the code."""
    try:
        lines = REQUIREMENTS.read_text().splitlines()
    except OSError as error:
        raise InputError(f"{REQUIREMENTS} cannot be read ({error}): run doctor from a whole checkout") from None
    requirements = (line.partition("#")[0].strip() for line in lines)
    return dict(requirement.split("==") for requirement in requirements if "==" in requirement)


def _required(name: str, pinned: str) -> Finding:
    found = _version(name)
    if found is None:
        return Finding(name, "missing", f"pip install {name}=={pinned}")
    return Finding(name, found if found.partition("+")[0] == pinned else f"{found} (tested with {pinned})")


def _optional(name: str, purpose: str) -> Finding:
    found = _version(name)
    return Finding(name, found) if found else Finding(name, "missing", f"pip install {name} ({purpose})")


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _devices() -> list[Finding]:
    try:
        import torch
    except ImportError:
        return []
    from gsd.machine.environment import instruction_sets, processor

    sets = ", ".join(instruction_sets())
    devices = [Finding("cpu", f"{processor()}: {torch.get_num_threads()} threads, {sets}")]
    for index in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(index)
        devices.append(Finding(f"cuda:{index}", f"{properties.name}, {properties.total_memory / 2**30:.0f} GiB"))
    return devices
