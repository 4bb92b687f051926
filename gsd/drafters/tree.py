"""SpecInfer-like tree drafting: the graph with merging off."""

from __future__ import annotations

from gsd.config import DraftSpec
from gsd.drafters.graph import GraphDrafter
from gsd.models.base import LanguageModel


class TreeDrafter(GraphDrafter):
    """`width` candidates per node, nothing shared. Source: Miao et al., 2305.09781."""

    def __init__(self, model: LanguageModel, spec: DraftSpec, *, vocab_size: int, record: bool) -> None:
        unmerged = spec.model_copy(update={"merge_context": None})
        super().__init__(model, unmerged, vocab_size=vocab_size, record=record)
