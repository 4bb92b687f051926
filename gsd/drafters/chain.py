"""Standard speculative decoding: one greedy chain of drafted tokens."""

from __future__ import annotations

from gsd.config import DraftSpec
from gsd.drafters.graph import GraphDrafter
from gsd.models.base import LanguageModel


class ChainDrafter(GraphDrafter):
    """`depth` tokens, or fewer where the probability rule ends the chain. Source: Leviathan et al., 2211.17192."""

    def __init__(self, model: LanguageModel, spec: DraftSpec, *, vocab_size: int, record: bool) -> None:
        chain = spec.model_copy(update={"width": 1, "frontier": 1, "merge_context": None})
        super().__init__(model, chain, vocab_size=vocab_size, record=record)
