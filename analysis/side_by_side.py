"""Two runs at the same place of the text, which is the same number of committed tokens, not the same round.

A position counts the new tokens that are committed. The round of a position is the one that committed it.
Rounds are those of the trace.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Any

import pandas as pd

from gsd.trace.recorded_round import RecordedRound
from gsd.trace.records import Tally

Rounds = Sequence[RecordedRound]
COUNTS = {"draft_forwards": "draft forwards", "target_forwards": "target forwards", "drafted_nodes": "drafted nodes",
          "verified_nodes": "verified nodes", "merged": "merges"}  # fmt: skip


def ends(rounds: Rounds) -> list[int]:
    """New tokens that are committed after each round."""
    return list(accumulate(len(round_.new_tokens) for round_ in rounds))


def round_at(rounds: Rounds, position: int) -> int:
    """Index of the round that committed the `position`-th new token, or of the last round if the text is shorter."""
    return min(bisect_left(ends(rounds), position), len(rounds) - 1)


def divergence(a: Rounds, b: Rounds) -> int | None:
    """The number of new tokens before the two texts differ. None if one text begins with the other."""
    pairs = zip(_committed(a), _committed(b))
    return next((count for count, (one, other) in enumerate(pairs) if one != other), None)


def boundaries(a: Rounds, b: Rounds) -> list[int]:
    """Positions at which a round of either run ends, in order."""
    return sorted({*ends(a), *ends(b)})


def lanes(a: Rounds, b: Rounds) -> pd.DataFrame:
    """A row for each round of both.

    `run` (A or B), `round` (from 0, as in the trace), `start` and `end` (positions), counts, `elapsed_ms`.
    """
    rows = [row for run, rounds in (("A", a), ("B", b)) for row in _lane(run, rounds)]
    return pd.DataFrame(rows, columns=["run", "round", "start", "end", "accepted", *COUNTS, "ms", "elapsed_ms"])


def so_far(rounds: Rounds, index: int) -> dict[str, float]:
    """Sums over the rounds up to one, by label: counts and measured milliseconds."""
    tally = Tally()
    for round_ in rounds[: index + 1]:
        tally.add_recorded(round_)
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


def _lane(run: str, rounds: Rounds) -> list[dict[str, Any]]:
    rows, start, elapsed = [], 0, 0.0
    for index, round_ in enumerate(rounds):
        end, elapsed = start + len(round_.new_tokens), elapsed + round_.ms.total
        counts = {name: getattr(round_, name) for name in COUNTS}
        rows.append({"run": run, "round": index, "start": start, "end": end, "accepted": len(round_.accepted),
                     **counts, "ms": round_.ms.total, "elapsed_ms": elapsed})  # fmt: skip
        start = end
    return rows


def _committed(rounds: Rounds) -> Iterator[tuple[int, str]]:
    """Each new token and its text."""
    return ((token, text) for round_ in rounds for token, text in zip(round_.new_tokens, round_.new_texts.raw))
