"""Acceptance rules: pure functions from what was drafted and what the target picked."""

from __future__ import annotations

from dataclasses import dataclass

from gsd.drafting.tree import FlatTree
from gsd.verifying.sampling import Choices


@dataclass(frozen=True, slots=True)
class Verdict:
    """The accepted path (flat indices, the root not counted) and the target's own token behind it."""

    accepted: list[int]
    bonus: int


def match(tree: FlatTree, choices: Choices) -> Verdict:
    """Follow the child that bears the target's pick, as long as there is one.

    Every emitted token is the target's own pick, so the output has exactly the target's law,
    whatever the draft proposed, copies of merged nodes included.
    """
    children = {(parent, token): i for i, (parent, token) in enumerate(zip(tree.parents, tree.tokens))}
    accepted: list[int] = []
    node = 0
    while (child := children.get((node, choices.tokens[node]))) is not None:
        accepted.append(child)
        node = child
    return Verdict(accepted, choices.tokens[node])
