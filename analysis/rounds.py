"""Rounds worth a look."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gsd.trace.recorded_step import RecordedStep


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


def landmarks(steps: Sequence[RecordedStep]) -> Landmarks:
    """The rounds to jump to; of a run that recorded counts alone there are no rejections to tell."""
    gain = [(len(step.accepted), -step.drafted_nodes) for step in steps]
    return Landmarks(
        [i for i, step in enumerate(steps) if "merge" in step.origins],
        [i for i, step in enumerate(steps) if step.rejected],
        gain.index(max(gain)) if gain else None,
        gain.index(min(gain)) if gain else None,
    )


def after(rounds: list[int], index: int) -> int | None:
    """The next of `rounds` behind `index`, from the start again at the end; None where there is no other."""
    others = [i for i in rounds if i != index]
    return min(others, key=lambda i: (i < index, i)) if others else None
