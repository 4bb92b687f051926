"""The nodes of a round as a table: the same as the graph, for keyboard and screen reader."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable

import pandas as pd
import streamlit as st

from analysis.faces import face, fates
from analysis.words import PERCENT
from app.components.rows import table_height
from gsd.trace.recorded_round import RecordedRound


def node_frame(round_: RecordedRound) -> pd.DataFrame:
    """One row per graph node: token, fate, depth, q, p, path q, source, merge edges into it, copies verified."""
    graph, tree = round_.graph, round_.tree
    nodes = range(len(graph))
    target = {node: tree.target_logp[i] for node, i in enumerate(face(round_).flat) if i > 0}
    merges, copies = Counter(round_.merges.nodes), Counter(tree.nodes)
    return pd.DataFrame({
        "node": list(nodes),
        "token": graph.texts.visible,
        "fate": fates(round_, face(round_)),
        "depth": graph.depths,
        "q": [None if logq is None else math.exp(logq) for logq in round_.draft_logq],
        "p": [_share(target[node]) if node in target else None for node in nodes],
        "path_q": [_share(logq) for logq in graph.path_logq],
        "source": graph.sources,
        "merges": [merges[node] for node in nodes],
        "copies": [copies[node] for node in nodes],
    })  # fmt: skip


def node_table(round_: RecordedRound, *, selected: int | None, key: str, on_pick: Callable[[], None]) -> None:
    """Draw the table with the selected node's row marked; picking a row calls `on_pick`."""
    st.session_state[key] = {"selection": {"rows": [] if selected is None else [selected]}}
    share, frame = {"format": PERCENT}, node_frame(round_)
    frame[["q", "path_q", "p"]] *= 100
    st.dataframe(
        frame, key=key, on_select=on_pick, selection_mode="single-row", hide_index=True,
        height=table_height(len(frame)), placeholder="–",
        column_config={
            "node": st.column_config.NumberColumn("Node", width=44),
            "token": st.column_config.TextColumn("Token", width=84),
            "fate": st.column_config.TextColumn("Fate", width=72),
            "depth": st.column_config.NumberColumn("Depth", width=46),
            "source": st.column_config.TextColumn("Source", width=60, help="`draft`, or what it was looked up in: "
                                                  "`lookup` is the text so far, `history` rejected hypotheses; others "
                                                  "are the method's own"),
            "q": st.column_config.NumberColumn("q", **share, width=58, help="The draft's probability, given its path; "
                                               "none where it was not asked or did not think of it"),
            "path_q": st.column_config.NumberColumn("Path q", **share, width=60, help="Product of q from the root; of "
                                                    "what was looked up, of its estimates"),
            "p": st.column_config.NumberColumn("p", **share, width=58, help="The target's probability"),
            "merges": st.column_config.NumberColumn("Merges", width=54, help="Merge edges into this node"),
            "copies": st.column_config.NumberColumn("Copies", width=54, help="Times it stands in the verified tree"),
        },
    )  # fmt: skip


def _share(logp: float | None) -> float:
    return 0.0 if logp is None else math.exp(logp)
