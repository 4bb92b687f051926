"""An atlas that is looked at: read once, its settings replayed once each, surveys of many in the background."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from analysis.replay import Replayer
from analysis.survey import Survey, Surveyor, around, broad
from analysis.tune import summary, tune
from gsd.errors import TraceError
from gsd.lab.atlas import Atlas
from gsd.lab.cost import COSTS_FILE, Costs
from gsd.methods import MethodSettings, drafting
from gsd.models.pairs import PAIRS, available


@dataclass(frozen=True, slots=True)
class OpenAtlas:
    """`changed`: when it was written. `costs`: None where it has none that can be read, and then why not."""

    name: str
    folder: Path
    changed: float
    atlas: Atlas
    costs: Costs | None
    why_no_costs: str

    @property
    def pair_here(self) -> str | None:
        """The preset that it was recorded with, where its models are on this machine."""
        name = self.atlas.meta.get("spec", {}).get("pair")
        return name if name in PAIRS and available(PAIRS[name]) else None

    def replayed(self, spec: MethodSettings) -> pd.DataFrame:
        """A row for each text, as of `analysis.tune.tune`."""
        return _replayed(self, str(self.folder), self.changed, spec.model_dump_json())

    def summary(self, spec: MethodSettings) -> dict[str, Any]:
        """What the setting does over all texts, as of `analysis.tune.summary`; what is missing is None."""
        table = summary(self.replayed(spec)).astype(object)
        return table.where(table.notna(), None).to_dict("records")[0]

    def maps(self, spec: MethodSettings) -> Survey:
        """Every width, depth and merge context around a setting, as far as they are replayed."""
        settings = around(spec, self.atlas.bounds)
        return self._survey(settings[0].model_dump_json(), settings)

    def front(self) -> Survey:
        """Settings all over the atlas, as far as they are replayed."""
        return self._survey("front", broad(self.atlas.bounds))

    def _survey(self, name: str, settings: list[MethodSettings]) -> Survey:
        return _surveyor().ask((self.folder, self.changed, name), self.atlas, self.costs, settings)


def open_atlas(name: str, folder: Path) -> OpenAtlas:
    """Read an atlas, once. Raises `TraceError` where it cannot be read."""
    files = [file for file in (folder, folder / "atlas.json", folder / COSTS_FILE) if file.exists()]
    return _read(name, folder, max((file.stat().st_mtime for file in files), default=0.0))


@st.cache_resource(show_spinner="Reading the atlas …", max_entries=4)
def _read(name: str, folder: Path, changed: float) -> OpenAtlas:
    atlas = Atlas.load(folder)
    try:
        return OpenAtlas(name, folder, changed, atlas, Costs.load(folder / COSTS_FILE), "")
    except TraceError as error:
        return OpenAtlas(name, folder, changed, atlas, None, str(error))


@st.cache_data(show_spinner=False, max_entries=2000)
def _replayed(_opened: OpenAtlas, folder: str, changed: float, settings: str) -> pd.DataFrame:
    return tune(Replayer(_opened.atlas), [drafting(**json.loads(settings))], _opened.costs)


@st.cache_resource(show_spinner=False)
def _surveyor() -> Surveyor:
    """One for all tabs."""
    return Surveyor()
