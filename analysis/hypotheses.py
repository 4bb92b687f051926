"""The hypotheses of one round: the paths from the root to the leaves of its verified tree."""

from __future__ import annotations

import math

import pandas as pd

from gsd.trace.recorded_round import RecordedRound


def hypothesis_frame(round_: RecordedRound) -> pd.DataFrame:
    """A row each: `hypothesis` (its number), `leaf`, `tokens` (their texts), `probability` (the draft's estimate
    that the walk comes to the leaf), `accepted` (tokens, from its start), `length` (tokens), `merged` (edges crossed).

    Sorted by accepted tokens, then by probability.
    """
    tree, rows = round_.tree, []
    for number, nodes in enumerate(tree.hypotheses):
        rows.append({
            "hypothesis": number, "leaf": nodes[-1], "tokens": [tree.texts.raw[i] for i in nodes],
            "probability": math.exp(tree.logq[nodes[-1]]), "accepted": sum(i in round_.reached for i in nodes),
            "length": len(nodes), "merged": sum(tree.merged[i] for i in nodes),
        })  # fmt: skip
    frame = pd.DataFrame(rows, columns=["hypothesis", "leaf", "tokens", "probability", "accepted", "length", "merged"])
    return frame.sort_values(["accepted", "probability"], ascending=False, kind="stable", ignore_index=True)


def through(round_: RecordedRound, node: int) -> int | None:
    """The number of the hypothesis with a graph node. Of several, the one accepted farthest, then the most probable."""
    tree = round_.tree
    best: tuple[int, float, int] | None = None
    for number, way in enumerate(tree.hypotheses):
        rank = (sum(i in round_.reached for i in way), tree.logq[way[-1]], -number)
        if any(tree.nodes[i] == node for i in way) and (best is None or rank > best):
            best = rank
    return None if best is None else -best[2]
