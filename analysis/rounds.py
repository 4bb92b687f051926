"""Rounds worth a look, and one round in short."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


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


def landmarks(steps: list[dict[str, Any]]) -> Landmarks:
    """The rounds to jump to; of a run that recorded counts alone there are no rejections to tell."""
    gain = [(len(step["accepted"]), -step["drafted_nodes"]) for step in steps]
    return Landmarks(
        [i for i, step in enumerate(steps) if "merge" in step["origins"]],
        [i for i, step in enumerate(steps) if rejected(step)],
        gain.index(max(gain)) if gain else None,
        gain.index(min(gain)) if gain else None,
    )


def rejected(step: dict[str, Any]) -> bool:
    """Whether drafted tokens stood where the target chose another one."""
    last = step["accepted"][-1] if step["accepted"] else 0
    return bool(step["tree"] and step["bonus"] and last in step["tree"]["parent"])


def expanded_in(graph: dict[str, list[Any]]) -> list[int]:
    """By node, which draft forward of the round expanded it, from 1; 0: none.

    Where a recording does not say, it is of a method that expands a depth at a time.
    """
    if "forward" in graph:
        return graph["forward"]
    return [(depth + 1) * expanded for depth, expanded in zip(graph["depth"], graph["expanded"])]


def drafted_in(graph: dict[str, list[Any]]) -> list[int]:
    """By node, the draft forward of the round behind which it was there, from 1; 0: before the draft was asked.

    What was looked up came with what it stands behind, what was drafted by the forward that expanded its parent.
    """
    asked, came = expanded_in(graph), [0]
    for parent, source in zip(graph["parent"][1:], graph["source"][1:]):
        came.append(asked[parent] if source == "draft" else came[parent])
    return came


def after(rounds: list[int], index: int) -> int | None:
    """The next of `rounds` behind `index`, from the start again at the end; None where there is no other."""
    others = [i for i in rounds if i != index]
    return min(others, key=lambda i: (i < index, i)) if others else None
