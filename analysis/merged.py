"""The sequences that merging joined, and where they are in the rounds of a run.

`analysis.overlap.recurring_sequences` lists what was drafted twice all the same; what merging recognised
is no node, and stands here. Formulas: docs/metrics.md.
"""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

from analysis.load import Frames
from analysis.overlap import TOP

COLUMNS = {
    "n": "tokens: length of the sequence, the matched tokens and the merged one",
    "text": "text: the sequence's tokens, decoded one by one",
    "count": "edges: merge edges of the run that matched the sequence",
    "rounds": "count: rounds in which there are such edges",
    "in_rounds": "indices: those rounds, separated by spaces",
    "tested": "edges: those of them that the target's pick decided about",
    "accepted": "edges: those of them that the accepted path goes through",
    "merge": "index: merge edge of its round, from 0",
    "node": "index: node that ends the sequence, or that the edge leads to",
    "parent": "index: node that the edge comes from",
    "depth_shift": "tokens: how much deeper the edge leads",
    "candidate": "text: from the root's child to the merged token, along its own path",
    "into": "text: from the root's child to the node, along tree edges",
}

_ABOUT = ["run", "kind", "status"]


def merged_sequences(frames: Frames) -> pd.DataFrame:
    """The `TOP` sequences of every run and n that merged most often, with the rounds where they did.

    Of equally frequent ones the one in more rounds comes first, then the one merged earlier.
    """
    merges = frames.merges.assign(n=frames.merges["context"] + 1, text=frames.merges["ngram_text"])
    groups = merges.groupby(["run", "n", "text"], sort=False)
    counted = groups.agg(count=("round", "size"), rounds=("round", "nunique"), in_rounds=("round", _listed),
                         tested=("tested", "sum"), accepted=("accepted", "sum")).reset_index()  # fmt: skip
    ranked = counted.sort_values(["count", "rounds"], ascending=False, kind="stable")
    listed = ranked.groupby(["run", "n"], sort=False).head(TOP).sort_values(["run", "n"], kind="stable")
    return frames.runs[_ABOUT].merge(listed, on="run")


def merges_of(frames: Frames, run: str, n: int, text: str) -> pd.DataFrame:
    """The merge edges of one run that matched a sequence, in order.

    Columns: round, merge, parent, node, depth_shift, tested, accepted, `candidate` (the text that leads to the
    merged token) and `into` (the text that leads to the node), both from the root's child on.
    """
    merges = frames.merges[frames.merges["run"] == run]
    numbered = merges.assign(merge=merges.groupby("round").cumcount())
    found = numbered[(numbered["context"] + 1 == n) & (numbered["ngram_text"] == text)]
    nodes = _Nodes(frames, run)
    texts = [("".join([*nodes.path(row.round, row.parent), nodes.text(row.round, row.node)]),
              "".join(nodes.path(row.round, row.node))) for row in found.itertuples()]  # fmt: skip
    columns = ["round", "merge", "parent", "node", "depth_shift", "tested", "accepted"]
    return found[columns].reset_index(drop=True).assign(**dict(zip(("candidate", "into"), _columns(texts))))


def nodes_of(frames: Frames, run: str, n: int, text: str) -> pd.DataFrame:
    """The drafted nodes of one run that end a sequence of `n` tokens, in order.

    Columns: round, node, depth, tested, accepted and `into`, the text that leads to the node.
    """
    drafted = frames.nodes[(frames.nodes["run"] == run) & (frames.nodes["depth"] >= n)]
    nodes = _Nodes(frames, run)
    paths = [nodes.path(row.round, row.node) for row in drafted.itertuples()]
    found = drafted.assign(into=["".join(path) for path in paths])
    same = ["".join(path[-n:]) == text for path in paths]
    return found.loc[same, ["round", "node", "depth", "tested", "accepted", "into"]].reset_index(drop=True)


class _Nodes:
    """Texts and tree parents of a run's nodes."""

    def __init__(self, frames: Frames, run: str) -> None:
        nodes = frames.nodes[frames.nodes["run"] == run]
        self._nodes = {
            (round, node): (text, parent)
            for round, node, text, parent in nodes[["round", "node", "text", "parent"]].itertuples(index=False)
        }

    def text(self, round: int, node: int) -> str:
        return self._nodes[round, node][0]

    def path(self, round: int, node: int) -> list[str]:
        """The texts from the root's child to the node along tree edges."""
        texts = []
        while node:
            text, node = self._nodes[round, node]
            texts.append(text)
        return texts[::-1]


def _columns(pairs: list[tuple[str, str]]) -> list[list[str]]:
    return [list(column) for column in zip(*pairs)] or [[], []]


def _listed(rounds: pd.Series) -> str:
    return " ".join(map(str, rounds.unique()))


METRICS: dict[str, Callable[[Frames], pd.DataFrame]] = {"merged_sequences": merged_sequences}
