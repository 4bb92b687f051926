"""What a browser session has open, and its address: `?run=&round=&node=`."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import streamlit as st

from app.library import find, runs_folder
from gsd.config import RunSpec
from gsd.decode.recorded import as_settled
from gsd.errors import InputError, TraceError
from gsd.spec import build
from gsd.trace.form import check_run
from gsd.trace.read import EventTail, as_round, read_run
from gsd.trace.recorded_round import RecordedRound


@dataclass(slots=True)
class OpenRun:
    """A run that is being looked at, finished or still growing; `poll` takes in what was written since."""

    folder: Path
    meta: dict[str, Any]
    tail: EventTail
    rounds: list[RecordedRound] = field(default_factory=list)
    end: dict[str, Any] | None = None

    @classmethod
    def read(cls, folder: Path) -> OpenRun:
        """Open a run folder. Raises `TraceError` where it is none of ours, or not what views can believe."""
        meta = check_run(read_run(folder), whole=False).meta
        try:
            meta["spec"] = build(RunSpec, as_settled(meta)).model_dump(mode="json")  # what came later at its default
        except (InputError, LookupError, TypeError) as error:
            raise TraceError(f"{folder}: its settings cannot be read ({error})") from None
        run = cls(folder, meta, EventTail(folder))
        run.poll()
        return run

    @property
    def name(self) -> str:
        """The folder's name, which is the run's."""
        return self.folder.name

    def poll(self) -> None:
        """Take in new events."""
        for event in self.tail.poll():
            if event["type"] == "end":
                self.end = event
            else:
                self.rounds.append(as_round(event, self.folder, len(self.rounds) + 1))

    def before(self, round_: RecordedRound) -> list[int]:
        """Ids of the tokens up to a round's root, prompt included."""
        new = (token for one in self.rounds for token in one.new_tokens)
        return [*self.meta["prompt_tokens"], *new][: round_.position + 1]

    def telling_round(self) -> int | None:
        """The round to look at first: where the accepted path crossed a merge edge, and then the longest path."""
        weights = [("merge" in round_.origins, len(round_.accepted)) for round_ in self.rounds]
        return weights.index(max(weights)) if weights else None


@dataclass(slots=True)
class Session:
    """One browser tab's state. `round` None follows the newest round of a live run."""

    run: OpenRun | None = None
    round: int | None = None
    node: str | None = None
    jobs: list[str] = field(default_factory=list)  # runs that were asked for in one go
    following: bool = False  # each of them is opened as it starts; not once another run was opened by hand
    before: tuple[OpenRun, int | None, str | None] | None = None  # run, round and node until one of them has started
    problem: str = ""  # why the run asked for could not be opened


def session() -> Session:
    """This tab's state; at its first call what the address asks for is opened."""
    if "session" not in st.session_state:
        st.session_state["session"] = state = Session()
        if name := st.query_params.get("run"):
            open_run(name)
            _go_where_the_address_says(state)
    return st.session_state["session"]


def open_run(name: str) -> None:
    """Open a run by its folder's name, one of those under the runs folder or a sample, and no other."""
    state = st.session_state["session"]
    state.run, state.round, state.node, state.problem, state.following = None, None, None, "", False
    state.before = None
    entry = find(name)
    if entry is None:
        state.problem = f"There is no run {name!r} under {runs_folder()}."
        return
    try:
        state.run = OpenRun.read(entry.folder)
    except TraceError as error:
        state.problem = str(error)
        return
    state.round = state.run.telling_round()


def follow(folder: Path) -> None:
    """Open the run that has just started, at its newest round; one that is gone again is said to be."""
    state = st.session_state["session"]
    state.run, state.round, state.node, state.problem, state.before = None, None, None, "", None
    try:
        state.run = OpenRun.read(folder)
    except TraceError as error:
        state.problem, state.following = str(error), False


def await_runs(jobs: list[str]) -> None:
    """Show these runs as they start, in place of what is open; `go_back` where none of them does."""
    state = session()
    state.before = (state.run, state.round, state.node) if state.run else None
    state.run, state.round, state.node, state.problem = None, None, None, ""
    state.jobs, state.following = jobs, True


def go_back() -> None:
    """Open again what was open before the runs that were asked for, none of which has come to its first round."""
    state = session()
    (state.run, state.round, state.node), state.before = state.before, None


def write_address(state: Session, **more: str | None) -> None:
    """Make the address say what is shown, and whatever `more` a view needs. A followed live run has no round."""
    wanted = {
        "run": state.run.name if state.run else None,
        "round": None if state.round is None else str(state.round + 1),
        "node": state.node,
        **more,
    }
    wanted = {name: value for name, value in wanted.items() if value is not None}
    if st.query_params.to_dict() != wanted:
        st.query_params.from_dict(wanted)


def _go_where_the_address_says(state: Session) -> None:
    round_ = st.query_params.get("round", st.query_params.get("step", ""))  # as older addresses call it
    if state.run and round_.isdecimal() and 1 <= int(round_) <= len(state.run.rounds):
        state.round = int(round_) - 1
        state.node = st.query_params.get("node")
