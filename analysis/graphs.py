"""The drafted graphs of all rounds as arrays, with the outcome of each tree edge.

Only rounds recorded with `detail: full` have graphs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.load import Frames


@dataclass(frozen=True, slots=True)
class Graphs:
    """The nodes of all graphs as arrays over the rows of `Frames.nodes` [N]; the graphs themselves, one a round [R]."""

    table: pd.DataFrame  # [R] run, round, first (row of the root)
    round: np.ndarray  # [N]
    parent: np.ndarray  # [N] row of the tree parent; a root is its own
    depth: np.ndarray  # [N]
    token: np.ndarray  # [N]

    @property
    def is_root(self) -> np.ndarray:
        """[N] bool."""
        return self.depth == 0

    def rows(self, edges: pd.DataFrame, column: str) -> np.ndarray:
        """Rows of the nodes named in one column of `edges`, which has `run` and `round`, too."""
        first = edges[["run", "round"]].merge(self.table, on=["run", "round"], how="left")["first"]
        return first.to_numpy() + edges[column].to_numpy()

    def per_round(self, values: np.ndarray) -> np.ndarray:
        """[N] summed by round: [R]."""
        return np.bincount(self.round, values, minlength=len(self.table))


def graphs_of(frames: Frames) -> Graphs:
    nodes = frames.nodes
    node, parent = nodes["node"].to_numpy(), nodes["parent"].to_numpy()
    rows = np.arange(len(nodes))
    first = np.flatnonzero(node == 0)  # the rows of a round stand together, its root first
    round_ = np.cumsum(node == 0) - 1
    table = nodes.iloc[first][["run", "round"]].reset_index(drop=True).assign(first=first)
    parents = np.where(parent < 0, rows, rows - node + parent)
    return Graphs(table, round_, parents, nodes["depth"].to_numpy(), nodes["token"].to_numpy())


def tree_edges(frames: Frames) -> pd.DataFrame:
    """One row a drafted node, with the outcome of the edge from its tree parent and not of a merge edge into it.

    The columns are those of `Frames.nodes`; `tested`: the target's pick behind the tree parent is known;
    `accepted`: the accepted path came through this edge; `continued`: and at least one more token was
    accepted behind it. A node whose only copy in the verified tree stands behind a merge edge is tested,
    too, where its tree parent was walked, although the budget left out the copy that the pick was about.
    """
    graphs, nodes = graphs_of(frames), frames.nodes
    walked = frames.merges[frames.merges["accepted"]]
    entered = graphs.rows(walked, "node")
    before = graphs.parent.copy()  # the node that the accepted path came from
    before[entered] = graphs.rows(walked, "parent")
    on_path = nodes["accepted"].to_numpy()
    left = np.zeros(len(nodes), dtype=bool)
    left[before[on_path]] = True
    by_tree = on_path.copy()
    by_tree[entered] = False
    known = nodes["tested"].to_numpy() & (on_path | graphs.is_root)[graphs.parent]
    return nodes.assign(tested=known, accepted=by_tree, continued=by_tree & left)[~graphs.is_root]
