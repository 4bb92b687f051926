"""What a view looks at: one round, one run or several. Views that share it keep the choice."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import pandas as pd
import streamlit as st

from analysis.load import Frames, of_round
from analysis.words import plain
from app.components.stepper import round_buttons, round_line, shown_round
from app.library import entries, frames, labels, version
from app.state import OpenRun, session
from gsd.errors import TraceError

Kind = Literal["round", "run", "runs"]
WORDS: dict[Kind, str] = {"round": "This round", "run": "This run", "runs": "Several runs"}
WHOLE_RUN: Kind = "run"  # unless chosen otherwise
SCOPE, RUNS, TAB = "scope", "runs", "tab"  # names in the address; the first two are widget keys as well
KEPT_TABLES = 256


@dataclass(frozen=True, slots=True)
class Scope:
    """The runs on show and their frames.

    `round`    where it is one round of the open run
    `changed`  when each run last grew
    `marked`   round to bring out among all of them
    """

    kind: Kind
    names: tuple[str, ...]
    round: int | None
    frames: Frames
    changed: tuple[float, ...]
    marked: int | None = None

    @classmethod
    def of(cls, kind: Kind, names: tuple[str, ...], round: int | None = None, *, marked: int | None = None) -> Scope:
        """Read the runs. Raises `TraceError` where one cannot be read."""
        found = frames(names)
        part = found if round is None else of_round(found, names[0], round)
        return cls(kind, names, round, part, version(names), marked)

    def whole(self) -> Scope:
        """All rounds of the runs, that of a round marked among them."""
        return Scope.of(self.kind, self.names, marked=self.round)

    def together(self, rows: pd.DataFrame) -> pd.DataFrame:
        """The rows that may be put together: of several runs those of the complete ones, of one run all."""
        if len(self.names) == 1:
            return rows
        runs = self.frames.runs
        return rows[rows["run"].isin(runs.loc[runs["status"] == "complete", "run"])]

    def table(self, metric: Callable[[Frames], pd.DataFrame]) -> pd.DataFrame:
        """A metric's rows, computed once for as long as the runs stay as they are."""
        name = f"{metric.__module__}.{metric.__qualname__}"
        return _table(name, self.names, self.changed, self.round, metric, self.frames)


def scope_bar(run: OpenRun) -> Scope:
    """Let the user choose; a run that cannot be read is told, and ends the page."""
    _from_address(SCOPE, list(WORDS), WHOLE_RUN)
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="scope-bar"):
        kind = st.segmented_control("Scope", WORDS, key=SCOPE, format_func=WORDS.get, required=True,
                                    persist_state="session", label_visibility="collapsed")  # fmt: skip
        if kind == "round" and run.rounds:
            round_buttons(run, shown_round(session()))
            round_line(run, shown_round(session()))
    names = _several(run) if kind == "runs" else (run.name,)
    round = run.rounds[shown_round(session())].number if kind == "round" and run.rounds else None
    try:
        return Scope.of(kind, names, round)
    except TraceError as error:
        st.error(plain(str(error)))
        st.stop()


def _several(run: OpenRun) -> tuple[str, ...]:
    """The runs chosen, by default the open one and the samples; never none."""
    known = entries()
    options = labels(known)
    asked = st.session_state.get(RUNS, st.query_params.get(RUNS, "").split(","))
    samples = [one.name for one in known if one.sample]
    st.session_state[RUNS] = [name for name in asked if name in options] or list(dict.fromkeys([run.name, *samples]))
    chosen = st.multiselect("Runs", options, key=RUNS, format_func=options.get, label_visibility="collapsed",
                            placeholder="Choose runs", persist_state="session")  # fmt: skip
    return tuple(chosen)


def sections(key: str, names: Sequence[str]) -> Iterator[str]:
    """Tabs of which only the open one is computed; its name comes with the tab as the place to draw in."""
    _from_address(key, names, names[0], name=TAB)
    for name, tab in zip(names, st.tabs(names, key=key, on_change="rerun")):
        if tab.open:
            with tab:
                yield name


def address(scope: Scope, key: str, first: str) -> dict[str, str | None]:
    """What of a view's choices the address must say: those that are not as they would be without it."""
    return {
        SCOPE: None if scope.kind == WHOLE_RUN else scope.kind,
        RUNS: ",".join(scope.names) if scope.kind == "runs" else None,
        TAB: None if st.session_state.get(key, first) == first else st.session_state[key],
    }


def _from_address(key: str, options: Sequence[str], default: str, *, name: str | None = None) -> None:
    """A widget's first value: what the address asks for, if there is such an option.

    It is set each time: another view's widget of the same key shows nothing as chosen by what is only kept.
    """
    asked = st.query_params.get(name or key)
    st.session_state[key] = st.session_state.get(key, asked if asked in options else default)


@st.cache_data(show_spinner=False, max_entries=KEPT_TABLES)
def _table(
    name: str, names: tuple[str, ...], changed: tuple[float, ...], round: int | None,
    _metric: Callable[[Frames], pd.DataFrame], _frames: Frames,
) -> pd.DataFrame:  # fmt: skip
    return _metric(_frames)
