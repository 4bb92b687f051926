"""A token tree: the graph without merging. Miao et al., 2305.09781."""

from __future__ import annotations

from typing import Literal

from gsd.drafting.settings import LevelSettings
from gsd.methods.base import MethodSettings
from gsd.methods.graph import Graph, LevelMethod, without


class Tree(LevelMethod):
    """Hypotheses that share beginnings alone."""

    name, title, paper = "tree", "Tree", "2305.09781"
    summary = "the same without merging"
    presets = without(Graph.presets, "merge_context")

    class Settings(LevelSettings, MethodSettings):
        """Those of a graph, but that nothing merges."""

        method: Literal["tree"] = "tree"
        merge_context: Literal[None] = None
