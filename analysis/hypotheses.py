"""The hypotheses of one round: the ways from the root to a leaf of its verified tree."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from gsd.drafting.graph import tree_path


def leaves(step: dict[str, Any]) -> list[int]:
    """Flat indices of the leaves, in flat order; a tree of the root alone has none."""
    inner = {0, *step["tree"]["parent"]}
    return [i for i in range(len(step["tree"]["parent"])) if i not in inner]


def path(step: dict[str, Any], leaf: int) -> list[int]:
    """Flat indices from the root's child to a leaf."""
    return tree_path(step["tree"]["parent"], leaf)


def hypothesis_frame(step: dict[str, Any]) -> pd.DataFrame:
    """A row each: `hypothesis` (its number), `leaf`, `tokens` (their texts), `probability` (the draft's estimate
    that the walk comes to the leaf), `accepted` (tokens, from its start), `length` (tokens), `merged` (edges crossed).

    Accepted most first, then the likeliest.
    """
    tree, accepted = step["tree"], set(step["accepted"])
    rows = []
    for number, leaf in enumerate(leaves(step)):
        nodes = path(step, leaf)
        rows.append({
            "hypothesis": number, "leaf": leaf, "tokens": [tree["text"][i] for i in nodes],
            "probability": math.exp(tree["logq"][leaf]), "accepted": sum(i in accepted for i in nodes),
            "length": len(nodes), "merged": sum(tree["merged"][i] for i in nodes),
        })  # fmt: skip
    frame = pd.DataFrame(rows, columns=["hypothesis", "leaf", "tokens", "probability", "accepted", "length", "merged"])
    return frame.sort_values(["accepted", "probability"], ascending=False, kind="stable", ignore_index=True)


def through(step: dict[str, Any], node: int) -> int | None:
    """The number of the hypothesis that holds a graph node: of those accepted farthest the likeliest."""
    tree, accepted = step["tree"], set(step["accepted"])
    best: tuple[int, float, int] | None = None
    for number, leaf in enumerate(leaves(step)):
        way = path(step, leaf)
        rank = (sum(i in accepted for i in way), tree["logq"][leaf], -number)
        if any(tree["node"][i] == node for i in way) and (best is None or rank > best):
            best = rank
    return None if best is None else -best[2]
