"""Drafters that use a draft model: one forward per level, with a cache that stays valid for the text."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
import torch

from gsd.drafting.base import Parts
from gsd.drafting.choices import Choices
from gsd.drafting.graph import ROOT, Drafted, TokenGraph
from gsd.drafting.growth import Growth
from gsd.drafting.settings import LevelSettings
from gsd.drafting.tree import FlatTree, flatten
from gsd.models.base import catch_up, known, require_finite

S = TypeVar("S", bound=LevelSettings)


@dataclass(frozen=True, slots=True)
class Candidates:
    """The most probable tokens after each frontier node, and their log q, by falling probability: [F][K].

    K is `width`, or the size of the smaller vocabulary of draft and target if that is less.
    """

    tokens: list[list[int]]
    logq: list[list[float]]


class ModelFed(Generic[S]):
    """Asks a draft model what follows the nodes of a `TokenGraph`, and keeps the cache of that model valid.

    A cache entry is valid for the committed text only while the accepted path follows tree edges.
    Entries behind a merge edge were computed under another prefix. They are dropped, and the next
    round's first forward computes them again together with the new root.
    """

    top = 0

    def __init__(self, parts: Parts, settings: S) -> None:
        model = parts.needed_draft()
        self.counter = model.counter
        self.settings = settings
        self.slots = settings.budget
        self._model = model
        self._vocab_size = min(parts.vocab_size, model.vocab_size)
        self._record = parts.record
        self._base = 0  # cache slots of the committed text in this round
        self._lineage: dict[int, list[int]] = {}  # expanded node -> slots of its tree path behind the base

    def start(self, capacity: int) -> None:
        """Begin a new text of at most `capacity` tokens."""
        self._model.reset(capacity + self.settings.depth * self.settings.frontier)

    def observe(self, tree: FlatTree, choices: Choices, accepted: list[int], new_tokens: list[int]) -> None:
        """Keep the cache entries of the accepted path up to its first merge edge or unexpanded node."""
        slots = []
        for i in accepted:
            if tree.merged[i] or tree.nodes[i] not in self._lineage:
                break
            slots.append(self._lineage[tree.nodes[i]][-1])
        self._model.keep(self._base, slots)

    def _new_graph(self, committed: list[int]) -> TokenGraph:
        """The root, in a cache that holds nothing but committed text."""
        self._base, self._lineage = self._model.length, {}
        merge_context = self.settings.merge_context
        return TokenGraph(committed[-(merge_context or 0) - 1 :], merge_context, record=self._record)

    def _expand(
        self,
        graph: Drafted,
        nodes: list[int],
        committed: list[int],
        reduce: Callable[[torch.Tensor], Candidates] | None = None,
    ) -> Candidates:
        """Run `nodes` in one forward, each seeing its own tree path; parents are run already or come before.

        The root comes with whatever of the committed text is not cached. `reduce` takes candidates from the logits
        [F, V]; None: the most probable.
        """
        tokens, positions, pending = [], [], 0
        if nodes[0] == ROOT:
            tokens = catch_up(self._model, committed)
            pending = len(tokens)
            positions = list(range(len(committed) - pending, len(committed)))
            self._base, self._lineage[ROOT] = self._model.length + pending, []
        drafted = nodes[1:] if pending else nodes
        for slot, node in enumerate(drafted, self._model.length + pending - self._base):
            self._lineage[node] = [*self._lineage[graph.parents[node]], slot]
        tokens = tokens + known(self._model, [graph.tokens[node] for node in drafted])
        positions += [len(committed) - 1 + graph.depths[node] for node in drafted]
        mask = self._mask(drafted, pending) if drafted else None
        return self._model.forward(tokens, positions, reduce or self._most_probable, rows=len(nodes), mask=mask)

    def _mask(self, nodes: list[int], pending: int) -> np.ndarray | None:
        """[N, T] over the slots behind the base, with `pending` tokens in a chain before it. None: a lone chain."""
        slots = self._lineage[nodes[-1]][-1] + 1
        if len(nodes) == 1 and not pending and len(self._lineage[nodes[0]]) == slots:
            return None
        mask = np.zeros((pending + len(nodes), pending + slots), dtype=bool)
        for row in range(pending):
            mask[row, : row + 1] = True
        mask[pending:, :pending] = True
        for row, node in enumerate(nodes, pending):
            mask[row, [pending + slot for slot in self._lineage[node]]] = True
        return mask

    def _most_probable(self, logits: torch.Tensor) -> Candidates:
        """[F, V] -> the `width` most probable tokens of each row, in one transfer."""
        logq = logits[:, : self._vocab_size].float().log_softmax(-1)
        top = logq.topk(min(self.settings.width, self._vocab_size))
        host = torch.cat([top.indices.double(), top.values.double()], -1).tolist()
        width = top.indices.shape[-1]
        require_finite(row[width] for row in host)
        return Candidates([[int(token) for token in row[:width]] for row in host], [row[width:] for row in host])


class GrowingDrafter(ModelFed[S]):
    """Drafts what a growth wants. The most probable nodes are verified."""

    def __init__(self, parts: Parts, settings: S, growth: Callable[[S, TokenGraph, int], Growth]) -> None:
        super().__init__(parts, settings)
        self._growth = growth

    def draft(self, committed: list[int], max_depth: int) -> TokenGraph:
        """Grow until the growth wants nothing more, at most `max_depth` levels."""
        graph = self._new_graph(committed)
        growth = self._growth(self.settings, graph, min(max_depth, self._model.context_length - len(committed)))
        while nodes := growth.wanted():
            candidates = self._expand(graph, nodes, committed)
            growth.give(candidates.tokens, candidates.logq)
        return graph

    def flatten(self, graph: TokenGraph, max_depth: int) -> FlatTree:
        """The tree of the `budget` most probable nodes."""
        return flatten(graph, self.slots, max_depth)
