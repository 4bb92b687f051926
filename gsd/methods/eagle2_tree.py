"""The dynamic tree of EAGLE-2, drafted with any model. Li et al., 2406.16858."""

from __future__ import annotations

from typing import Literal

from gsd.drafting.settings import Budget, Depth, Frontier, RankedSettings, Width
from gsd.methods.base import MethodSettings
from gsd.methods.graph import LevelMethod


class Eagle2Tree(LevelMethod):
    """A tree whose levels expand the k most probable nodes; the most probable nodes of all levels are verified."""

    name, title, paper = "eagle2-tree", "EAGLE-2 tree", "2406.16858"
    summary = "a tree that expands the most probable nodes of each level, as EAGLE-2 does"

    class Settings(RankedSettings, MethodSettings):
        """Settings of the authors' code: k = 10, 60 nodes with the root, 6 levels, no thresholds."""

        method: Literal["eagle2-tree"] = "eagle2-tree"
        width: Width = 10
        depth: Depth = 6
        frontier: Frontier = 10
        budget: Budget = 59
