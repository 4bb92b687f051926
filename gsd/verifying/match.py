"""The default rule: accept the tokens that the target picks itself."""

from __future__ import annotations

import torch

from gsd.drafting.choices import Choices
from gsd.drafting.tree import FlatTree
from gsd.spec import Keeps, SamplingSpec
from gsd.verifying.base import Tail, Verdict
from gsd.verifying.sampling import choose, pick


class Match:
    """Accepts a drafted token if the target picks the same token after its parent.

    Every emitted token is the target's own pick. So the text is that of plain decoding, whatever was drafted. This
    includes copies of merged nodes.
    """

    keeps = Keeps.TEXT

    def reduce(
        self,
        logits: torch.Tensor,
        sampling: SamplingSpec,
        positions: list[int],
        tree: FlatTree,
        *,
        detail: bool,
        top: int = 0,
    ) -> Choices:
        """The target's picks (`gsd.verifying.sampling`)."""
        if detail:
            return choose(logits, sampling, positions, tree.tokens, tree.parents, top)
        return pick(logits, sampling, positions, top)

    def verdict(self, tree: FlatTree, choices: Choices) -> Verdict:
        """The path along the picks."""
        return Verdict((walk(tree, choices.tokens),))


def walk(tree: FlatTree, outcomes: list[int]) -> Tail:
    """Follow the child that equals a node's outcome as long as there is one. The first other outcome is the bonus."""
    children = {(parent, token): i for i, (parent, token) in enumerate(zip(tree.parents, tree.tokens))}
    path: list[int] = []
    node = 0
    while (child := children.get((node, outcomes[node]))) is not None:
        path.append(child)
        node = child
    return Tail(path, outcomes[node])
