"""Cost curves that atlases bring, and those of a run's own models and machine."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import streamlit as st

from analysis.modelled import difference
from app.library import atlases
from gsd.errors import TraceError
from gsd.lab.cost import COSTS_FILE, Costs


@dataclass(frozen=True, slots=True)
class Calibrated:
    """Cost curves, and the models and the machine that they are of, as in a run's `run.json`."""

    costs: Costs
    meta: dict[str, Any]


def calibrated() -> dict[str, Calibrated]:
    """Atlases with cost curves, by name; Tune says why an atlas cannot be read."""
    files = {name: folder / COSTS_FILE for name, folder in atlases().items()}
    found = {name: _load(file, file.stat().st_mtime) for name, file in files.items() if file.exists()}
    return {name: one for name, one in found.items() if one}


def costs_of(meta: dict[str, Any]) -> tuple[str, Costs] | None:
    """The first atlas, and its curves, that was made with the models of a run's `run.json` on its machine."""
    return next(((atlas, one.costs) for atlas, one in calibrated().items() if not difference(meta, one.meta)), None)


@st.cache_resource(show_spinner=False)
def _load(file: Path, changed: float) -> Calibrated | None:
    try:
        costs = Costs.load(file)
        meta = json.loads((file.parent / "atlas.json").read_text())["meta"]
        return Calibrated(costs, meta | {"machine": costs.machine})
    except (TraceError, OSError, ValueError, KeyError):
        return None
