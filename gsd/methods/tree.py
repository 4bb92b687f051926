"""A token tree: the graph without merging. Miao et al., 2305.09781."""

from __future__ import annotations

from typing import Literal

from gsd.drafting.settings import LevelSettings
from gsd.methods.base import MethodSettings
from gsd.methods.graph import Graph, LevelMethod, without


class Tree(LevelMethod):
    """A tree of hypotheses: they fork and never merge."""

    name, title, paper = "tree", "Tree", "2305.09781"
    summary = "hypotheses that fork, without merging"
    presets = without(Graph.presets, "merge_context")

    class Settings(LevelSettings, MethodSettings):
        """Settings of a graph, without merging."""

        method: Literal["tree"] = "tree"
        merge_context: Literal[None] = None
