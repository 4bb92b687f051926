"""One greedy line, standard speculative decoding. Leviathan et al., 2211.17192."""

from __future__ import annotations

from typing import Literal

from gsd.drafting.settings import LevelSettings, NoThreshold
from gsd.methods.base import MethodSettings
from gsd.methods.graph import Graph, LevelMethod, without


class Chain(LevelMethod):
    """A draft of one hypothesis."""

    name, title, paper = "chain", "Chain", "2211.17192"
    summary = "one greedy line: standard speculative decoding"
    presets = without(Graph.presets, "width", "merge_context", "sibling_threshold", "frontier")

    class Settings(LevelSettings, MethodSettings):
        """Settings: depth, budget, and the threshold at which to stop."""

        method: Literal["chain"] = "chain"
        width: Literal[1] = 1
        merge_context: Literal[None] = None
        sibling_threshold: NoThreshold = 0.0
        frontier: Literal[1] = 1
