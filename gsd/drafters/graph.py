"""Graph-structured drafting: one draft forward a level, recurring n-grams merged. Source: 2407.16207.

A chain and a tree are graphs that never merge, so they are drafted here, too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from gsd.config import DraftSpec
from gsd.graph import ROOT, TokenGraph
from gsd.models.base import LanguageModel, catch_up, require_finite
from gsd.tree import FlatTree


@dataclass(frozen=True, slots=True)
class Candidates:
    """The most probable tokens after each frontier node and their log q, [F][width], falling."""

    tokens: list[list[int]]
    logq: list[list[float]]


class GraphDrafter:
    """Grows a `TokenGraph` with a draft model, and keeps that model's cache true.

    A cache entry is valid for the committed text only while the accepted path follows tree edges.
    What lies behind a merge edge was computed under another prefix: it is dropped, and the next
    round's first forward recomputes it together with the new root.
    """

    def __init__(self, model: LanguageModel, spec: DraftSpec, *, vocab_size: int, record: bool) -> None:
        self.counter = model.counter
        self.spec = spec.as_drafted()
        self._model = model
        self._vocab_size = min(vocab_size, model.vocab_size)
        self._record = record
        self._base = 0  # cache slots of the committed text in this round
        self._lineage: dict[int, list[int]] = {}  # node -> slots behind the base of its tree path, its own last

    def start(self, capacity: int) -> None:
        """Begin a new text of at most `capacity` tokens."""
        self._model.reset(capacity + self.spec.depth * self.spec.frontier)

    def draft(self, committed: list[int], max_depth: int) -> TokenGraph:
        """Grow level by level until nothing is left to expand, `depth` or `max_depth`."""
        spec = self.spec
        graph = TokenGraph(committed[-(spec.merge_context or 0) - 1 :], spec.merge_context, record=self._record)
        depth = min(spec.depth, max_depth, self._model.context_length - len(committed))
        self._base, self._lineage = self._model.length, {ROOT: []}
        frontier = [ROOT]
        for level in range(depth):
            candidates = self._expand(graph, frontier, committed) if level else self._expand_root(committed)
            frontier = graph.grow(frontier, candidates.tokens, candidates.logq, spec)
            if not frontier:
                break
        return graph

    def observe(self, tree: FlatTree, accepted: list[int]) -> None:
        """Keep the cache entries of the accepted path up to its first merge edge or unexpanded node."""
        slots = []
        for i in accepted:
            if tree.merged[i] or tree.nodes[i] not in self._lineage:
                break
            slots.append(self._lineage[tree.nodes[i]][-1])
        self._model.keep(self._base, slots)

    def _expand_root(self, committed: list[int]) -> Candidates:
        """The first level: whatever of the committed text is not cached, and the root, in one forward."""
        pending = catch_up(self._model, committed)
        positions = list(range(len(committed) - len(pending), len(committed)))
        known = [token if token < self._model.vocab_size else 0 for token in pending]  # a target may be padded wider
        candidates = self._model.forward(known, positions, self._most_probable)
        self._base = self._model.length
        return candidates

    def _expand(self, graph: TokenGraph, frontier: list[int], committed: list[int]) -> Candidates:
        """A further level: the frontier in one forward, each node seeing its own tree path."""
        first = self._model.length - self._base
        for slot, node in enumerate(frontier, first):
            self._lineage[node] = [*self._lineage[graph.parents[node]], slot]
        tokens = [graph.tokens[node] for node in frontier]
        positions = [len(committed) - 1 + graph.depths[node] for node in frontier]
        return self._model.forward(
            tokens, positions, self._most_probable, rows=len(frontier), mask=self._mask(frontier)
        )

    def _mask(self, frontier: list[int]) -> np.ndarray | None:
        """[F, T] over the slots behind the base: each frontier node sees its tree path. None: a lone chain."""
        slots = self._lineage[frontier[-1]][-1] + 1
        if len(frontier) == 1 and len(self._lineage[frontier[0]]) == slots:
            return None
        mask = np.zeros((len(frontier), slots), dtype=bool)
        for row, node in enumerate(frontier):
            mask[row, self._lineage[node]] = True
        return mask

    def _most_probable(self, logits: torch.Tensor) -> Candidates:
        """[F, V] -> the `width` most probable tokens of each row, in one transfer."""
        logits = logits[:, : self._vocab_size].float()
        top = logits.topk(min(self.spec.width, self._vocab_size))
        logq = top.values - logits.logsumexp(-1, keepdim=True)
        host = torch.cat([top.indices.double(), logq.double()], -1).tolist()
        width = top.indices.shape[-1]
        require_finite(row[width] for row in host)
        return Candidates([[int(token) for token in row[:width]] for row in host], [row[width:] for row in host])
