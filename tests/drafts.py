"""Random token graphs, grown through the real rules; few tokens, so that they merge a lot."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field

from hypothesis import strategies as st
from settings import of_method

from gsd.drafting.graph import ROOT, TokenGraph
from gsd.methods import MethodSettings

NAMES = {"width", "depth", "merge_context", "sibling_threshold", "prob_threshold", "prob_rule", "prob_action",
         "frontier", "budget"}  # fmt: skip


@dataclass
class Grown:
    """A graph with what went into it."""

    graph: TokenGraph
    spec: MethodSettings
    context: list[int]
    candidates: int = 0
    frontiers: list[list[int]] = field(default_factory=list)  # by level, the next one


def specs(max_width: int = 4, max_depth: int = 6) -> st.SearchStrategy[MethodSettings]:
    """Settings of every kind."""
    return st.builds(
        of_method,
        width=st.integers(1, max_width),
        depth=st.integers(1, max_depth),
        merge_context=st.sampled_from([None, 0, 0, 1, 1, 2, 3]),
        sibling_threshold=st.sampled_from([0.0, 0.0, 0.05, 0.3, 1.0]),
        prob_threshold=st.sampled_from([0.0, 0.0, 0.001, 0.05, 0.3]),
        prob_rule=st.sampled_from(["path", "local"]),
        prob_action=st.sampled_from(["leaf", "drop"]),
        frontier=st.sampled_from([1, 2, 4, 8]),
        budget=st.sampled_from([1, 2, 5, 16, 128]),
    )


def drafts(max_width: int = 4, max_depth: int = 6) -> st.SearchStrategy[Grown]:
    """Graphs grown from random laws over 2 to 6 tokens."""
    return st.builds(grow, specs(max_width, max_depth), st.integers(2, 6), st.integers(0, 2**32))


def grow(spec: MethodSettings, vocabulary: int, seed: int) -> Grown:
    """Grow a graph whose draft is a random number generator."""
    rng = random.Random(seed)
    context = [rng.randrange(vocabulary) for _ in range(rng.randint(1, 5))]
    graph = TokenGraph(context[-(spec.merge_context or 0) - 1 :], spec.merge_context)
    grown = Grown(graph, spec, context)
    frontier = [ROOT]
    for _ in range(spec.depth):
        rows = [_row(rng, vocabulary) for _ in frontier]
        grown.candidates += sum(min(spec.width, len(tokens)) for tokens, _ in rows)
        frontier = graph.grow(frontier, [tokens for tokens, _ in rows], [logq for _, logq in rows], spec)
        grown.frontiers.append(frontier)
        if not frontier:
            break
    return grown


def _row(rng: random.Random, vocabulary: int) -> tuple[list[int], list[float]]:
    weights = [rng.choice((0.1, 1.0, 1.0, 8.0)) * rng.random() + 1e-6 for _ in range(vocabulary)]
    total = sum(weights)
    order = sorted(range(vocabulary), key=lambda token: -weights[token])
    return order, [math.log(weights[token] / total) for token in order]
