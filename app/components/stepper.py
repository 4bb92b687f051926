"""From round to round: buttons, arrow keys, and what the round on show brought."""

from __future__ import annotations

import streamlit as st

from app.state import OpenRun, Session, open_run, session
from gsd.trace.recorded_step import RecordedStep

CUT = 24  # tokens of a round that its line shows
AS_TREE = "The target is shown a tree: a merged node stands in it once for each path to it."


def shown_step(state: Session) -> int | None:
    """Index of the round on show: the chosen one, else the newest."""
    if not state.run.steps:
        return None
    return len(state.run.steps) - 1 if state.step is None else state.step


def go(step: int) -> None:
    """Show a round, with nothing selected in it."""
    state = session()
    state.step, state.node = step, None


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
        go(next(i for i, step in enumerate(state.run.steps) if step.round == round))
    state.node = node
    st.switch_page("views/graph.py")


def step_buttons(run: OpenRun, index: int) -> None:
    """First, previous, next, last; the arrow keys are the middle two."""
    last = len(run.steps) - 1
    moves = [("First round", "first_page", None, -index), ("Previous round", "chevron_left", "Left", -1),
             ("Next round", "chevron_right", "Right", 1), ("Last round", "last_page", None, last - index)]  # fmt: skip
    for label, icon, shortcut, by in moves:
        st.button("", key=label, icon=f":material/{icon}:", help=label, shortcut=shortcut, on_click=_move, args=(by,),
                  disabled=by == 0 or not 0 <= index + by <= last)  # fmt: skip


def round_line(run: OpenRun, index: int, said: str | None = None) -> None:
    """What the round drafted, verified and committed; `said` is HTML in place of the counts alone."""
    step = run.steps[index]
    tokens = "".join(step.new_texts.html[:CUT])
    more = f"<span>and {len(step.new_texts) - CUT} more</span>" if len(step.new_texts) > CUT else ""
    count = f"<b>Round {index + 1}</b> of {len(run.steps)}"
    st.html(f'<div class="round">{count}<span>{said or outcome(step)}</span>{tokens}{more}</div>', width="stretch")


def outcome(step: RecordedStep) -> str:
    """How many nodes the round drafted, merged, verified and accepted, as HTML."""
    merges = f", {step.merged:,} merge{'s' if step.merged > 1 else ''}" if step.merged else ""
    as_tree = f' <abbr title="{AS_TREE}">as a tree</abbr>' if step.merged else ""
    return (f"{step.drafted_nodes:,} drafted{merges} → {step.verified_nodes:,} verified{as_tree} → "
            f"<b>{len(step.accepted)} accepted</b>")  # fmt: skip


def _move(by: int) -> None:
    """By so many rounds from where we are now, which may be further than what the browser shows yet."""
    state = session()
    go(max(0, min(shown_step(state) + by, len(state.run.steps) - 1)))
