"""Two runs at the same place of the text: not the same round, but the same number of committed tokens.

A position counts the new tokens that are committed. The round of a position is the one that committed it.
Steps are those of the trace.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Any

import pandas as pd

from gsd.trace.recorded_step import RecordedStep
from gsd.trace.records import Tally

Steps = Sequence[RecordedStep]
COUNTS = {"draft_forwards": "draft forwards", "target_forwards": "target forwards", "drafted_nodes": "drafted nodes",
          "verified_nodes": "verified nodes", "merged": "merges"}  # fmt: skip


def ends(steps: Steps) -> list[int]:
    """New tokens that are committed after each round."""
    return list(accumulate(len(step.new_tokens) for step in steps))


def round_at(steps: Steps, position: int) -> int:
    """Index of the round that committed the `position`-th new token; the last one where the text is shorter."""
    return min(bisect_left(ends(steps), position), len(steps) - 1)


def divergence(a: Steps, b: Steps) -> int | None:
    """New tokens that both texts have in common before they differ; None where one begins with the other."""
    pairs = zip(_committed(a), _committed(b))
    return next((count for count, (one, other) in enumerate(pairs) if one != other), None)


def boundaries(a: Steps, b: Steps) -> list[int]:
    """Positions at which a round of either run ends, in order: what one steps through."""
    return sorted({*ends(a), *ends(b)})


def lanes(a: Steps, b: Steps) -> pd.DataFrame:
    """A row for each round of both.

    `run` (A or B), `round` (from 0, as in the trace), `start` and `end` (positions), counts, `elapsed_ms`.
    """
    rows = [row for run, steps in (("A", a), ("B", b)) for row in _lane(run, steps)]
    return pd.DataFrame(rows, columns=["run", "round", "start", "end", "accepted", *COUNTS, "ms", "elapsed_ms"])


def so_far(steps: Steps, index: int) -> dict[str, float]:
    """What the rounds up to that one took in all, by words: counts, and measured milliseconds."""
    tally = Tally()
    for step in steps[: index + 1]:
        tally.add_recorded(step)
    totals = tally.totals() | {"merged": tally.merges}  # as a round calls them
    named = {"new_tokens": "tokens", "rounds": "rounds", "mean_acceptance_length": "mean acceptance length", **COUNTS,
             "wall_ms": "measured ms", "tokens_per_s": "tokens per second"}  # fmt: skip
    return {words: float("nan") if (value := totals[name]) is None else value for name, words in named.items()}


def differences(a: dict[str, float], b: dict[str, float]) -> pd.DataFrame:
    """A row for each figure of `so_far`: `figure`, `A`, `B`, `B − A` and `B ÷ A`."""
    table = pd.DataFrame({"figure": list(a), "A": [*map(float, a.values())], "B": [float(b[name]) for name in a]})
    table["B − A"] = table["B"] - table["A"]
    table["B ÷ A"] = (table["B"] / table["A"]).where(table["A"] != 0)
    return table


def _lane(run: str, steps: Steps) -> list[dict[str, Any]]:
    rows, start, elapsed = [], 0, 0.0
    for index, step in enumerate(steps):
        end, elapsed = start + len(step.new_tokens), elapsed + step.ms.total
        counts = {name: getattr(step, name) for name in COUNTS}
        rows.append({"run": run, "round": index, "start": start, "end": end, "accepted": len(step.accepted),
                     **counts, "ms": step.ms.total, "elapsed_ms": elapsed})  # fmt: skip
        start = end
    return rows


def _committed(steps: Steps) -> Iterator[tuple[int, str]]:
    """Each new token and its text."""
    return ((token, text) for step in steps for token, text in zip(step.new_tokens, step.new_texts.raw))
