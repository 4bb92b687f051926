"""CaPE: a greedy chain with more leaves beside a token the less sure the draft is. Du et al., 2402.02082."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from gsd.drafting.settings import Depth, RankedSettings
from gsd.methods.base import MethodSettings
from gsd.methods.graph import LevelMethod

if TYPE_CHECKING:
    from gsd.drafting.graph import TokenGraph
    from gsd.drafting.growth import Growth

OFFERED = ((0.3, 8), (0.6, 6), (0.8, 4), (math.inf, 2))  # (bound on the best q, candidates of the level)


class Cape(LevelMethod):
    """A greedy chain with siblings as leaves. If the target picks a sibling, that token is accepted, too."""

    name, title, paper = "cape", "CaPE", "2402.02082"
    summary = "one greedy line, with more leaves beside a token the less sure the draft is"

    class Settings(RankedSettings, MethodSettings):
        """Settings of the authors' code: the length of the chain. A level has 8, 6, 4 or 2 candidates, all verified."""

        method: Literal["cape"] = "cape"
        width: Literal[8] = 8
        depth: Depth = 4
        frontier: Literal[1] = 1
        budget: Literal[512] = 512

    def growth(self, settings: Any, graph: TokenGraph, depth: int) -> Growth:
        """Growth level by level. A level is wider the less sure the draft is."""
        from gsd.drafting.growth import Levels

        class Siblings(Levels):
            """Levels of one chain node and its siblings."""

            def give(self, tokens: Sequence[Sequence[int]], logq: Sequence[Sequence[float]]) -> None:
                """Add the best candidate to the chain, and as many siblings as its q asks for."""
                count = offered(math.exp(logq[0][0]))
                super().give([row[:count] for row in tokens], [row[:count] for row in logq])

        return Siblings(graph, settings, depth)


def offered(q: float) -> int:
    """How many candidates a level has whose best one has probability `q`."""
    return next(count for below, count in OFFERED if q < below)
