"""The drafted graphs of all steps as arrays, and what became of their tree edges.

A *step* is one round of one run with its graph recorded (`detail: full`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.load import Frames


@dataclass(frozen=True, slots=True)
class Steps:
    """The nodes of all steps as arrays over the rows of `Frames.nodes` [N]; the steps themselves [S]."""

    table: pd.DataFrame  # [S] run, round, first (row of the root)
    step: np.ndarray  # [N]
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

    def per_step(self, values: np.ndarray) -> np.ndarray:
        """[N] summed by step: [S]."""
        return np.bincount(self.step, values, minlength=len(self.table))


def steps_of(frames: Frames) -> Steps:
    nodes = frames.nodes
    node, parent = nodes["node"].to_numpy(), nodes["parent"].to_numpy()
    rows = np.arange(len(nodes))
    first = np.flatnonzero(node == 0)  # the rows of a step stand together, its root first
    step = np.cumsum(node == 0) - 1
    table = nodes.iloc[first][["run", "round"]].reset_index(drop=True).assign(first=first)
    parents = np.where(parent < 0, rows, rows - node + parent)
    return Steps(table, step, parents, nodes["depth"].to_numpy(), nodes["token"].to_numpy())


def tree_edges(frames: Frames) -> pd.DataFrame:
    """One row a drafted node, with the outcome of the edge from its tree parent and not of a merge edge into it.

    The columns are those of `Frames.nodes`; `tested`: the target's pick behind the tree parent is known;
    `accepted`: the accepted path came through this edge; `continued`: and at least one more token was
    accepted behind it. A node whose only copy in the verified tree stands behind a merge edge is tested,
    too, where its tree parent was walked, although the budget left out the copy that the pick was about.
    """
    steps, nodes = steps_of(frames), frames.nodes
    walked = frames.merges[frames.merges["accepted"]]
    entered = steps.rows(walked, "node")
    before = steps.parent.copy()  # the node that the accepted path came from
    before[entered] = steps.rows(walked, "parent")
    on_path = nodes["accepted"].to_numpy()
    left = np.zeros(len(nodes), dtype=bool)
    left[before[on_path]] = True
    by_tree = on_path.copy()
    by_tree[entered] = False
    known = nodes["tested"].to_numpy() & (on_path | steps.is_root)[steps.parent]
    return nodes.assign(tested=known, accepted=by_tree, continued=by_tree & left)[~steps.is_root]
