"""Sequences of tokens that hypotheses share, and where in the rounds one of them stands."""

from __future__ import annotations

from functools import partial
from typing import Any

import pandas as pd
import streamlit as st

from analysis import overlap
from analysis.merged import merged_sequences, merges_of, nodes_of
from app.components.panels import grid, panel
from app.components.scope import Scope
from app.components.stepper import open_in_graph
from app.library import entries, labels
from gsd.trace.texts import code, visible
from gsd.wording import counted

SEQUENCES_OF = "sequences of"  # key of the choice among several runs
JOINED, APART = "Merged", "Drafted twice"
LISTED = 12  # places of a sequence that have a link
CUT = 60  # characters of a sequence in a list
TAIL = 22  # characters of what leads to a place of it


def sequences(scope: Scope) -> None:
    """Sequences that recur; one that is chosen shows where, with links into the graph."""
    joined = scope.table(merged_sequences)
    listed = {JOINED: joined, APART: scope.table(overlap.recurring_sequences)}
    with st.container(horizontal=True, vertical_alignment="center"):
        st.session_state.setdefault("sequences", JOINED if len(joined) else APART)
        kind = st.segmented_control("Sequences", list(listed), key="sequences", required=True,
                                    label_visibility="collapsed", on_change=_forget_sequence)  # fmt: skip
        name = _run_of_several(scope)
        rows = listed[kind][listed[kind]["run"] == name]
        n = _length(kind, sorted(rows["n"].unique()))
    if n is None:
        st.info(f"No sequence was {kind.lower()} here. Choose another scope, or a run that drafts wider.")
        return
    of_length = rows[rows["n"] == n]
    with grid("sequences"):
        metric = "merged_sequences" if kind == JOINED else "recurring_sequences"
        panel(scope, metric, rows=rows, n=n, on_pick=partial(_pick_sequence, metric, of_length["text"].tolist()))
        with st.container(border=True, key="places"):
            text = _chosen_sequence(of_length)
            _places(scope, name, kind, n, text)


def _run_of_several(scope: Scope) -> str:
    if len(scope.names) == 1:
        return scope.names[0]
    known = labels([entry for entry in entries() if entry.name in scope.names])
    if st.session_state.get(SEQUENCES_OF) not in known:
        st.session_state[SEQUENCES_OF] = scope.names[0]
    return st.selectbox("Run", known, key=SEQUENCES_OF, format_func=known.get, label_visibility="collapsed",
                        width=340)  # fmt: skip


def _length(kind: str, lengths: list[int]) -> int | None:
    """Tokens in the sequences listed."""
    if not lengths:
        return None
    if len(lengths) == 1:
        st.caption(f"{counted(lengths[0], 'token')} long", width="content")
        return lengths[0]
    key = f"n of {kind} {lengths}"  # another choice of lengths is another widget
    return st.segmented_control("Tokens", lengths, default=lengths[min(1, len(lengths) - 1)], key=key,
                                format_func=lambda n: f"n = {n}", required=True, label_visibility="collapsed",
                                on_change=_forget_sequence)  # fmt: skip


def _forget_sequence() -> None:
    st.session_state["sequence"] = None


def _pick_sequence(metric: str, texts: list[str]) -> None:
    """A click on a bar chooses its sequence."""
    if points := st.session_state[f"chart {metric}"]["selection"]["points"]:
        st.session_state["sequence"] = texts[points[0]["point_index"]]


def _chosen_sequence(rows: pd.DataFrame) -> str:
    """The sequence to look into: the one clicked, or else the most frequent."""
    counts = dict(zip(rows["text"], rows["count"]))
    if st.session_state.get("sequence") not in counts:
        st.session_state["sequence"] = next(iter(counts))
    return st.selectbox("Where does it stand? Choose here, or click a bar", counts, key="sequence",
                        format_func=lambda text: f"{visible(text)[:CUT]}  ({counts[text]}×)")  # fmt: skip


def _places(scope: Scope, run: str, kind: str, n: int, text: str) -> None:
    """Each place of a sequence in one line, that leads into the graph."""
    if kind == JOINED:
        places = _accepted_first(merges_of(scope.frames, run, n, text))
        lines = [(row.round, f"m{row.merge}", _merge_line(row)) for row in places.itertuples()]
    else:
        rounds = scope.table(overlap.recurring_sequences).query("run == @run and n == @n and text == @text")
        within = {int(round) for round in rounds["in_rounds"].iloc[0].split()}
        places = _accepted_first(nodes_of(scope.frames, run, n, text))
        lines = [(row.round, f"n{row.node}", _node_line(row)) for row in places.itertuples() if row.round in within]
    with st.container(key="place-list", gap=None):
        for round, node, words in lines[:LISTED]:
            with st.container(horizontal=True, vertical_alignment="center", gap="small"):
                if st.button(f"Round {round + 1}", key=f"place {round} {node}", type="tertiary",
                             icon=":material/account_tree:", help="Open this place in the graph"):  # fmt: skip
                    open_in_graph(run, round, node)
                st.html(f'<div class="place">{words}</div>')
    if kind == JOINED:
        st.caption("Candidate → node that it joined, each with the text that leads to it; +1 is one level deeper.")
    if len(lines) > LISTED:
        table = "merges" if kind == JOINED else "nodes"
        st.caption(f"and {len(lines) - LISTED} more; all are in the table of {table} of the run's CSV export")


def _accepted_first(places: pd.DataFrame) -> pd.DataFrame:
    return places.sort_values(["accepted", "tested"], ascending=False, kind="stable")


def _merge_line(row: Any) -> str:
    shift = f" {row.depth_shift:+}".replace("-", "−") if row.depth_shift else ""
    return f"{_tail(row.candidate)} → {_tail(row.into)}{shift} {_fate(row)}"


def _node_line(row: Any) -> str:
    return f"{_tail(row.into)} {_fate(row)}"


def _tail(text: str) -> str:
    return code(text if len(text) <= TAIL else "…" + text[-TAIL:])


def _fate(row: Any) -> str:
    if not row.tested:
        return "<i>not tested</i>"
    return "<b>accepted</b>" if row.accepted else "<i>rejected</i>"
