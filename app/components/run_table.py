"""Many runs as one table: status, counts and size of each; rows are ticked, one is opened at a click."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass
from typing import Any

import pandas as pd
import streamlit as st

from analysis.catalog import RunInfo
from analysis.words import setting, shortened
from app.components.metrics import CUT
from app.components.rows import table_height
from app.components.settings import preset_of
from gsd.methods import METHODS, settings_of
from gsd.spec import SamplingSpec, Spec

RUNNING = "running"
SIGNS = {"complete": "●", "running": "▶", "incomplete": "◐", "cancelled": "◼", "failed": "✕", "other version": "≠",
         "unreadable": "?"}  # fmt: skip
ROW_HEIGHT = 36  # pixels
TITLE_WIDTH = 196  # pixels; the columns from title to status then fit on a page of 900, and the cut next one says more
TITLE_LETTERS = 28  # that fit into it; the sheet would cut a longer one through a letter
OPEN, KEY = "open of table", "run table"  # widget keys
TICKED = "ticked runs"


@dataclass(frozen=True, slots=True)
class Line:
    """A run in the table. `writing`: it grows just now, here or by another program."""

    info: RunInfo
    sample: bool
    writing: bool

    @property
    def name(self) -> str:
        """The run's name."""
        return self.info.name

    @property
    def status(self) -> str:
        """As recorded, or that it is running."""
        return RUNNING if self.writing else self.info.status

    @property
    def title(self) -> str:
        """The title that it was given, or else the prompt's beginning."""
        spec = self.info.head.spec
        return self.info.head.title or (" ".join(spec["prompt"]["prompt"].split())[:200] if spec else self.name)

    @property
    def method(self) -> str | None:
        """How it drafted."""
        return self.info.head.spec and self.info.head.spec["drafting"]["method"]

    @property
    def drafted(self) -> str | None:
        """The method, with the temperature where that is not 0: they tell runs of one prompt apart most often."""
        temperature = self.info.head.spec and self.info.head.spec["sampling"]["temperature"]
        return f"{self.method} T {temperature:g}" if temperature else self.method

    @property
    def settings(self) -> str:
        """What else the method heeds, or its preset, and sampling where there is any, as far as not the defaults."""
        spec = self.info.head.spec
        if spec is None:
            return ""
        drafting, sampling = spec["drafting"], spec["sampling"]
        changed = drafted_otherwise(drafting)
        if changed and (preset := preset_of(drafting)):
            changed = {"preset": preset}
        if sampling["temperature"]:
            changed |= _changed(sampling, SamplingSpec(), {"top_k", "top_p", "seed"})
        return " · ".join(f"{name.replace('_', ' ')} {setting(value)}"
                          for name, value in changed.items())  # fmt: skip

    @property
    def pair(self) -> str | None:
        """The preset, or the target of an own pair by the last part of its name."""
        spec = self.info.head.spec
        return spec and (spec["pair"] or spec["target"]["source"].rstrip("/").split("/")[-1])

    @property
    def kind(self) -> str | None:
        """The prompt's kind, where it has one."""
        return self.info.head.spec and self.info.head.spec["prompt"]["kind"]

    @property
    def readable(self) -> bool:
        """Whether it can be opened and exported."""
        return self.info.head.spec is not None and self.info.status != "unreadable"

    @property
    def deletable(self) -> bool:
        """Samples stay, and nobody takes a run away from under its writer."""
        return not self.sample and not self.writing


def drafted_otherwise(drafting: dict[str, Any]) -> dict[str, Any]:
    """The settings of a draft that are not its method's defaults; of a method that is not installed none are known."""
    method = METHODS.get(drafting["method"])
    return _changed(drafting, method.Settings(), settings_of(method).keys()) if method else {}


def _changed(values: dict[str, Any], plain: Spec, names: Set[str]) -> dict[str, Any]:
    """Of the settings of those names the ones that differ, in the order of the plain ones."""
    return {name: values[name] for name, value in plain.model_dump().items() if name in names and values[name] != value}


def run_frame(lines: Sequence[Line]) -> pd.DataFrame:
    """One row a run, in the order given."""
    infos = [line.info for line in lines]
    return pd.DataFrame({
        "open": [":material/visibility:" if line.readable else "" for line in lines],
        "title": [shortened(f"Sample · {line.title}" if line.sample else line.title, TITLE_LETTERS) for line in lines],
        "tokens": pd.array([info.tokens for info in infos], "Int64"),
        "acceptance_length": pd.array([info.acceptance_length for info in infos], "Float64"),
        "tokens_per_s": pd.array([info.tokens_per_s for info in infos], "Float64"),
        "rounds": pd.array([info.rounds for info in infos], "Int64"),
        "method": [line.drafted for line in lines],
        "status": [f"{SIGNS[line.status]} {line.status}" for line in lines],
        "settings": [line.settings for line in lines],
        "kind": [line.kind for line in lines],
        "pair": [line.pair for line in lines],
        "created": pd.to_datetime([info.head.created for info in infos], utc=True, errors="coerce", format="ISO8601"),
        "bytes": [info.bytes for info in infos],
    })  # fmt: skip


def run_table(lines: Sequence[Line]) -> tuple[list[Line], Line | None]:
    """Draw the table; returns the runs that are ticked, and the one whose eye was just clicked.

    A run that goes out of the list loses its tick.
    """
    drawn, _ = st.session_state.get("listed runs", ([], 0))
    key, chosen = _key([line.name for line in lines]), st.session_state.get(TICKED, set())
    if not lines:
        st.session_state[TICKED] = set()
        return [], None
    default = [i for i, line in enumerate(lines) if line.name in chosen]
    picked = st.dataframe(
        run_frame(lines), key=key, on_select="rerun", selection_mode="multi-row", hide_index=True, placeholder="–",
        selection_default={"selection": {"rows": default}}, column_config=_columns(lines), alt="Recorded runs",
        row_height=ROW_HEIGHT, height=table_height(len(lines), ROW_HEIGHT),
    )  # fmt: skip
    ticked = [lines[i] for i in picked["selection"]["rows"] if i < len(lines)]
    st.session_state[TICKED] = {line.name for line in ticked}
    clicked = st.session_state.get(OPEN)
    name = drawn[clicked["row"]] if clicked and clicked["row"] < len(drawn) else None  # of the list that was clicked
    return ticked, next((line for line in lines if line.name == name), None)


def _key(names: list[str]) -> str:
    """Another key for another list: rows are ticked by number, and a tick must never move to another run."""
    before, count = st.session_state.get("listed runs", ([], 0))
    count += before != names
    st.session_state["listed runs"] = names, count
    return f"{KEY} {count}"


def _columns(lines: Sequence[Line]) -> dict:
    column = st.column_config
    longest = max((line.info.acceptance_length or 1.0 for line in lines), default=1.0)
    return {
        "open": column.ButtonColumn("", width=44, type="tertiary", key=OPEN, help="Open in the Playground"),
        "title": column.TextColumn("Run", width=TITLE_WIDTH, help="Its title, or the prompt's beginning"),
        "status": column.TextColumn("Status", width=108, help="A run with no end line is incomplete; select one row to "
                                    "read why a run failed."),
        "method": column.TextColumn("Method", width=86, help="And the temperature T where it is not 0"),
        "settings": column.TextColumn("Settings", width=130, help="Those of the method and of sampling that are not "
                                      "the defaults"),
        "tokens": column.NumberColumn("Tokens", width=66, format="localized", help="New ones, without the prompt"),
        "acceptance_length": column.ProgressColumn(
            "Acceptance length", width=122, format="%.2f", min_value=0, max_value=longest,
            help="`1 + accepted ÷ rounds`: tokens that one target forward yields on average." + CUT),
        "tokens_per_s": column.NumberColumn("Tokens/s", width=78, format="%.1f", help="`new tokens ÷ wall time of the "
                                            "rounds`, measured on the machine that recorded the run"),
        "rounds": column.NumberColumn("Rounds", width=68, format="localized", help="Each is one target forward"),
        "kind": column.TextColumn("Kind", width=80, help="What the prompt asks for, where it says"),
        "pair": column.TextColumn("Pair", width=104),
        "created": column.DatetimeColumn("Created (UTC)", width=118, format="YYYY-MM-DD HH:mm", timezone="UTC"),
        "bytes": column.NumberColumn("Size", width=74, format="bytes", help="On disk, its tables included"),
    }  # fmt: skip
