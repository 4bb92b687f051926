"""Graph-structured speculative decoding, Gong et al., 2407.16207; a chain and a tree are graphs that never merge."""

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
    """A draft model grows it by a `Growth`, one forward a level; the likeliest nodes are verified."""

    needs = frozenset({Need.DRAFT})

    def drafter(self, settings: Any, parts: Parts) -> Drafter:
        """The draft model, asked for what its growth wants."""
        from gsd.drafting.model_fed import GrowingDrafter

        return GrowingDrafter(parts, settings, self.growth)

    def growth(self, settings: Any, graph: TokenGraph, depth: int) -> Growth:
        """Level by level."""
        from gsd.drafting.growth import Levels

        return Levels(graph, settings, depth)


class Graph(LevelMethod):
    """Hypotheses that share continuations."""

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
        """Those of the paper."""

        method: Literal["graph"] = "graph"


def without(presets: Mapping[str, Mapping[str, Any]], *names: str) -> dict[str, dict[str, Any]]:
    """Presets for a method that does not read the settings of these names."""
    return {preset: {name: value for name, value in values.items() if name not in names}
            for preset, values in presets.items()}  # fmt: skip
