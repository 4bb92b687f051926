"""A draft model whose candidates are drawn from its law, so many behind each node of a level, in a fixed shape.

What a rule of acceptance that compares laws needs: the draws in their order, none left out, and the very law that they
were drawn from. Yang et al., 2401.06706.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import torch

from gsd.drafting.base import Parts
from gsd.drafting.graph import ROOT, TokenGraph
from gsd.drafting.model_fed import Candidates, ModelFed
from gsd.drafting.settings import LevelSettings, nodes_by_level
from gsd.drafting.tree import Draws, FlatTree, flatten
from gsd.models.base import require_finite
from gsd.noise import noise_at

STREAM = "draft"  # of the noise of draws


class DrawnDrafter(ModelFed):
    """Draws `widths[d]` tokens behind every node of depth d, at the temperature of the target's own law.

    The draft's law is not filtered by top-k and top-p: whatever it is, it is what the rule compares with. At
    temperature 0 nothing is drawn: the likeliest tokens stand in the place of draws, and any rule takes the target's.
    """

    def __init__(self, parts: Parts, widths: Sequence[int], *, replacement: bool) -> None:
        levels = nodes_by_level(widths)
        shape = LevelSettings(
            width=max(widths), depth=len(widths), frontier=max([1, *levels[:-1]]), budget=sum(levels),
            merge_context=None, sibling_threshold=0.0, prob_threshold=0.0,
        )  # fmt: skip
        super().__init__(parts, shape)
        self._widths, self._replacement, self._sampling = widths, replacement, parts.sampling
        self._scores: list[torch.Tensor] = []  # of each level of the round, [F, V]

    def draft(self, committed: list[int], max_depth: int) -> TokenGraph:
        """The whole shape, at most `max_depth` deep; the shape alone ends a list of draws."""
        graph, self._scores = self._new_graph(committed), []
        room = min(max_depth, self._model.context_length - len(committed))
        level = [ROOT]
        for depth, width in enumerate(self._widths[: max(room, 0)]):
            found = self._expand(graph, level, committed, partial(self._taken, len(committed) + depth, width))
            graph.forwards_made += 1
            drawn = zip(level, found.tokens, found.logq, strict=True)
            level = [node for parent, tokens, logq in drawn for node in graph.draw(parent, tokens, logq)]
        return graph

    def flatten(self, graph: TokenGraph, max_depth: int) -> FlatTree:
        """All of it, the draws and their laws beside it."""
        tree = flatten(graph, self.slots, max_depth)
        if not self._scores or not self._sampling.temperature:
            return tree
        flat = {node: i for i, node in enumerate(tree.nodes)}
        drawn = Draws([flat[node] for node in graph.draws], list(graph.draws.values()), torch.cat(self._scores),
                      self._replacement)  # fmt: skip
        return replace(tree, draws=drawn)

    def _taken(self, position: int, count: int, logits: torch.Tensor) -> Candidates:
        """[F, V] -> `count` draws of each row for this position of the text, and their log q, in one transfer."""
        scores = logits[:, : self._vocab_size].float() / (self._sampling.temperature or 1.0)  # logits may be reused
        tokens = self._drawn(scores, position, count) if self._sampling.temperature else _likeliest(scores, count)
        logq = scores.log_softmax(-1).gather(-1, tokens)
        host = torch.cat([tokens.double(), logq.double()], -1).tolist()
        self._scores.append(scores)
        return _possible(host, tokens.shape[-1])

    def _drawn(self, scores: torch.Tensor, position: int, count: int) -> torch.Tensor:
        """[F, V] -> [F, K], in draw order; nodes of one depth share their noise, as one of them at most is walked.

        Without replacement the largest of log q + Gumbel noise, in falling order, are draws one after another (Vieira
        2014; Kool et al., 1903.06059). With it each draw has noise of its own.
        """
        if not self._replacement:
            return _likeliest(scores.double() + self._noise(scores, position, STREAM), count)
        ranks = [scores.double() + self._noise(scores, position, f"{STREAM}:{rank}") for rank in range(count)]
        return torch.stack([one.argmax(-1) for one in ranks], -1)

    def _noise(self, scores: torch.Tensor, position: int, stream: str) -> torch.Tensor:
        """[V] float64."""
        tokens = torch.arange(scores.shape[-1], device=scores.device)
        noise = noise_at(self._sampling.seed, [position], len(tokens), scores.device, stream)
        return noise.gumbel(torch.zeros_like(tokens), tokens)


def _likeliest(scores: torch.Tensor, count: int) -> torch.Tensor:
    """The best tokens of each row, falling, [F, V] -> [F, K]."""
    return scores.topk(min(count, scores.shape[-1])).indices


def _possible(host: list[list[float]], count: int) -> Candidates:
    """The draws of rows of tokens and then log q, without those that the law cannot give, which come last if at all."""
    tokens, logq = [], []
    for row in host:
        drawn = [(int(token), own) for token, own in zip(row[:count], row[count:]) if own != -math.inf]
        require_finite(own for _, own in drawn)
        tokens.append([token for token, _ in drawn])
        logq.append([own for _, own in drawn])
    return Candidates(tokens, logq)
