"""Landmarks of a run: rounds that are worth a look."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gsd.trace.recorded_round import RecordedRound


@dataclass(frozen=True, slots=True)
class Landmarks:
    """Indices of rounds. `longest` and `shortest` are None for a run without rounds.

    `merges`      the accepted path crosses a merge edge
    `rejections`  the target went another way where the draft had offered one
    `longest`     most accepted tokens; of equals the one with the fewest drafted nodes
    `shortest`    fewest accepted tokens; of equals the one with the most drafted nodes
    """

    merges: list[int]
    rejections: list[int]
    longest: int | None
    shortest: int | None


def landmarks(rounds: Sequence[RecordedRound]) -> Landmarks:
    """The rounds to jump to. A run that recorded only counts has no known rejections."""
    gain = [(len(round_.accepted), -round_.drafted_nodes) for round_ in rounds]
    return Landmarks(
        [i for i, round_ in enumerate(rounds) if "merge" in round_.origins],
        [i for i, round_ in enumerate(rounds) if round_.rejected],
        gain.index(max(gain)) if gain else None,
        gain.index(min(gain)) if gain else None,
    )


def after(rounds: list[int], index: int) -> int | None:
    """The next of `rounds` after `index`, starting over at the end. None if there is no other."""
    others = [i for i in rounds if i != index]
    return min(others, key=lambda i: (i < index, i)) if others else None
