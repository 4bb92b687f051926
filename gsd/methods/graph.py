"""Method `graph`: graph-structured speculative decoding. Gong et al., 2407.16207.

A tree is a graph that never merges, and a chain is a tree of width 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from gsd.drafting.settings import LevelSettings
from gsd.methods.base import Method, MethodSettings, Need

if TYPE_CHECKING:
    from gsd.drafting.base import Drafter, Parts
    from gsd.drafting.graph import TokenGraph
    from gsd.drafting.growth import Growth


class LevelMethod(Method):
    """Base of methods that draft level by level, with one draft forward per level."""

    needs = frozenset({Need.DRAFT})

    def drafter(self, settings: Any, parts: Parts) -> Drafter:
        """A drafter that asks the draft model for what the growth wants."""
        from gsd.drafting.model_fed import GrowingDrafter

        return GrowingDrafter(parts, settings, self.growth)

    def growth(self, settings: Any, graph: TokenGraph, depth: int) -> Growth:
        """Growth level by level."""
        from gsd.drafting.growth import Levels

        return Levels(graph, settings, depth)


class Graph(LevelMethod):
    """A graph of hypotheses that fork and merge."""

    name, title, paper = "graph", "Graph", "2407.16207"
    summary = "hypotheses that share continuations (this is GSD)"
    # `paper`: the authors' code: width 4, repeat_threshold 1, prob_threshold 0.3 (local), 100 nodes.
    presets = {
        "paper": {"width": 4, "depth": 8, "merge_context": 1, "sibling_threshold": 0.3, "prob_threshold": 0.3,
                  "prob_rule": "local", "frontier": 100, "budget": 100},
        "fast": {},  # the defaults: long where the draft is sure, and no level that does not pay for its forward
        "wide": {"width": 6, "depth": 6, "merge_context": 0, "sibling_threshold": 0.02, "prob_threshold": 0.005,
                 "frontier": 16, "budget": 64},
    }  # fmt: skip

    class Settings(LevelSettings, MethodSettings):
        """Settings of the paper."""

        method: Literal["graph"] = "graph"


def without(presets: Mapping[str, Mapping[str, Any]], *names: str) -> dict[str, dict[str, Any]]:
    """The presets without the settings of these names, for a method that does not read them."""
    return {preset: {name: value for name, value in values.items() if name not in names}
            for preset, values in presets.items()}  # fmt: skip
