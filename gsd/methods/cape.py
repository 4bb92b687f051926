"""CaPE: a greedy chain whose steps offer more first choices the less sure the draft is. Du et al., 2402.02082."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from gsd.drafting.settings import Depth, LevelSettings, NoThreshold
from gsd.methods.base import MethodSettings
from gsd.methods.graph import LevelMethod

if TYPE_CHECKING:
    from gsd.drafting.graph import TokenGraph
    from gsd.drafting.growth import Growth

OFFERED = ((0.3, 8), (0.6, 6), (0.8, 4), (math.inf, 2))  # candidates of a step whose best has a q below the first


class Cape(LevelMethod):
    """A chain with siblings: leaves that save the round where the target picks one of them."""

    name, title, paper = "cape", "CaPE", "2402.02082"
    summary = "one greedy line, and beside each token the more leaves the less sure the draft is of it"

    class Settings(LevelSettings, MethodSettings):
        """Of the authors' code: the chain's length; 8, 6, 4 or 2 candidates a step, and all are verified."""

        method: Literal["cape"] = "cape"
        width: Literal[8] = 8
        depth: Depth = 4
        merge_context: Literal[None] = None
        sibling_threshold: NoThreshold = 0.0
        prob_threshold: NoThreshold = 0.0
        prob_rule: Literal["path"] = "path"
        prob_action: Literal["leaf"] = "leaf"
        frontier: Literal[1] = 1
        budget: Literal[512] = 512

    def growth(self, settings: Any, graph: TokenGraph, depth: int) -> Growth:
        """Level by level, each as wide as the draft is unsure."""
        from gsd.drafting.growth import Levels

        class Siblings(Levels):
            """The chain and its leaves."""

            def give(self, tokens: Sequence[Sequence[int]], logq: Sequence[Sequence[float]]) -> None:
                """Grow the chain by the best candidate, with as many beside it as its q asks for."""
                count = offered(math.exp(logq[0][0]))
                super().give([row[:count] for row in tokens], [row[:count] for row in logq])

        return Siblings(graph, settings, depth)


def offered(q: float) -> int:
    """Candidates of a step whose best has this probability."""
    return next(count for below, count in OFFERED if q < below)
