"""From round to round: buttons, arrow keys, and what the round on show brought."""

from __future__ import annotations

import streamlit as st

from app.state import OpenRun, Session, open_run, session
from gsd.trace.recorded_round import RecordedRound
from gsd.wording import counted

CUT = 24  # tokens of a round that its line shows
AS_TREE = "The target is shown a tree: a merged node stands in it once for each path to it."


def shown_round(state: Session) -> int | None:
    """Index of the round on show: the chosen one, else the newest."""
    if not state.run.rounds:
        return None
    return len(state.run.rounds) - 1 if state.round is None else state.round


def go(round_: int) -> None:
    """Show a round, with nothing selected in it."""
    state = session()
    state.round, state.node = round_, None


def open_in_graph(name: str, round: int | None = None, node: str | None = None) -> None:
    """Go to the Graph view of a run, at one of its rounds, by number, and at a node.

    Without a round: at its most telling one, or where it stands if it is open. By the session, as an address is read
    only where a session begins.
    """
    state = session()
    if state.run is None or state.run.name != name:
        open_run(name)
    if round is not None and state.run:
        state.run.poll()  # it may have grown
        go(next(i for i, round_ in enumerate(state.run.rounds) if round_.number == round))
    state.node = node
    st.switch_page("views/graph.py")


def round_buttons(run: OpenRun, index: int) -> None:
    """First, previous, next, last; the arrow keys are the middle two."""
    last = len(run.rounds) - 1
    moves = [("First round", "first_page", None, -index), ("Previous round", "chevron_left", "Left", -1),
             ("Next round", "chevron_right", "Right", 1), ("Last round", "last_page", None, last - index)]  # fmt: skip
    for label, icon, shortcut, by in moves:
        st.button("", key=label, icon=f":material/{icon}:", help=label, shortcut=shortcut, on_click=_move, args=(by,),
                  disabled=by == 0 or not 0 <= index + by <= last)  # fmt: skip


def round_line(run: OpenRun, index: int, said: str | None = None) -> None:
    """What the round drafted, verified and committed; `said` is HTML in place of the counts alone."""
    round_ = run.rounds[index]
    tokens = "".join(round_.new_texts.html[:CUT])
    more = f"<span>and {len(round_.new_texts) - CUT} more</span>" if len(round_.new_texts) > CUT else ""
    count = f"<b>Round {index + 1}</b> of {len(run.rounds)}"
    st.html(f'<div class="round">{count}<span>{said or outcome(round_)}</span>{tokens}{more}</div>', width="stretch")


def outcome(round_: RecordedRound) -> str:
    """How many nodes the round drafted, merged, verified and accepted, as HTML."""
    merges = f", {counted(round_.merged, 'merge')}" if round_.merged else ""
    as_tree = f' <abbr title="{AS_TREE}">as a tree</abbr>' if round_.merged else ""
    return (f"{round_.drafted_nodes:,} drafted{merges} → {round_.verified_nodes:,} verified{as_tree} → "
            f"<b>{len(round_.accepted)} accepted</b>")  # fmt: skip


def _move(by: int) -> None:
    """By so many rounds from where we are now, which may be further than what the browser shows yet."""
    state = session()
    go(max(0, min(shown_round(state) + by, len(state.run.rounds) - 1)))
