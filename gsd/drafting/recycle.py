"""Token Recycling: what the target thought likeliest after a token is what is drafted behind it the next time.

Every verification gives the target's likeliest tokens after each node, also after the rejected ones, and all but one
are thrown away. Here they are kept, a row of eight ids a token, and followed from row to row. Luo et al., 2408.08696.

Three things differ from the paper's code. A row that was never written ends a branch, where the code's zeros draft
token 0. In place of a fixed tree the likeliest nodes are drafted, by how often tokens of each rank came true. And a
token that was verified at several nodes gets the row of one that is named, see `RecycleDrafter.observe`.

The prompt leaves no rows: the engine reduces the logits of the verified tree alone. So the first round of a pair's
first text has nothing to draft.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from gsd.drafting.base import Parts
from gsd.drafting.best_first import grow_best_first
from gsd.drafting.choices import Choices
from gsd.drafting.graph import ROOT, TokenGraph
from gsd.drafting.null import NullDrafter
from gsd.drafting.tree import FlatTree, flatten

SOURCE = "recycled"
ROW = 8  # tokens kept of each row, as in the paper
MOST_PAIRS = 1 << 16  # rows of two tokens that are kept; then the oldest go


class RankRates:
    """How often the target's pick was the token of each rank in the row at hand, by the node's depth.

    Each depth goes by its own outcomes, and as far as they are few by those of all depths, which begin with a prior.
    """

    PRIOR = (0.5, 0.12, 0.06, 0.04, 0.03, 0.02, 0.015, 0.01)  # by rank, before anything was seen
    WEIGHT = 20.0  # outcomes that what is backed off to is worth
    MOST = 2000.0  # outcomes of one depth that are remembered; then the old ones count half: texts differ

    def __init__(self) -> None:
        self._all = [self.WEIGHT * share for share in self.PRIOR]
        self._all_seen = self.WEIGHT
        self._hits: dict[int, list[float]] = {}  # depth -> picks by rank
        self._seen: dict[int, float] = {}  # depth -> nodes

    def at(self, depth: int) -> list[float]:
        """[ROW] Probability that the target picks the token of each rank behind a node of that depth."""
        pooled = [hits / self._all_seen for hits in self._all]
        hits, seen = self._hits.get(depth, [0.0] * ROW), self._seen.get(depth, 0.0)
        return [(own + self.WEIGHT * share) / (seen + self.WEIGHT) for own, share in zip(hits, pooled)]

    def learn(self, depth: int, rank: int | None) -> None:
        """At a node of that depth the target picked the token of this rank; None: one that was not in the row."""
        hits = self._hits.setdefault(depth, [0.0] * ROW)
        if self._seen.get(depth, 0.0) >= self.MOST:
            hits[:] = [one / 2 for one in hits]
            self._seen[depth] /= 2
        if self._all_seen >= self.MOST:
            self._all = [one / 2 for one in self._all]
            self._all_seen /= 2
        self._seen[depth] = self._seen.get(depth, 0.0) + 1
        self._all_seen += 1
        if rank is not None:
            hits[rank] += 1
            self._all[rank] += 1


class Matrix:
    """The target's likeliest tokens by what they followed, and how such guesses fared. It lasts from text to text.

    `rows` are kept by a token, `pairs` by two; ids by falling probability. `rates` by how many tokens the row is of.
    """

    def __init__(self) -> None:
        self.rows: dict[int, tuple[int, ...]] = {}
        self.pairs: dict[tuple[int, int], tuple[int, ...]] = {}
        self.rates = {1: RankRates(), 2: RankRates()}

    def write(self, before: int | None, token: int, likeliest: Sequence[int]) -> None:
        """What the target thinks likeliest behind `token` now; of the two as well, where there is one `before` it."""
        row = tuple(likeliest[:ROW])
        self.rows[token] = row
        if before is not None:
            self.pairs.pop((before, token), None)  # so that the oldest stand first
            self.pairs[before, token] = row
            if len(self.pairs) > MOST_PAIRS:
                del self.pairs[next(iter(self.pairs))]

    def row(self, before: int | None, token: int) -> tuple[tuple[int, ...], int]:
        """The row of two tokens, or else that of the last; with how many it is of. Empty where none was written."""
        if before is not None and (pair := self.pairs.get((before, token))):
            return pair, 2
        return self.rows.get(token, ()), 1


class RecycleDrafter(NullDrafter):
    """Drafts from row to row, best-first, and writes the rows of what was verified."""

    top = ROW

    def __init__(self, parts: Parts, *, depth: int, budget: int, merge_context: int | None, by_two: bool) -> None:
        super().__init__()
        self.slots = budget
        self._depth = depth
        self._merge_context = merge_context
        self._by_two = by_two
        self._record = parts.record
        self._matrix: Matrix = parts.memory
        self._before: int | None = None  # the token before the root

    def draft(self, committed: list[int], max_depth: int) -> TokenGraph:
        """Follow the rows from the last token on, at most `max_depth` deep; the root alone where it has no row."""
        self._before = committed[-2] if len(committed) > 1 else None
        graph = TokenGraph(committed[-(self._merge_context or 0) - 1 :], self._merge_context, record=self._record)

        def following(node: int) -> list[tuple[int, float]]:
            before = self._before if node == ROOT else graph.tokens[graph.parents[node]]
            row, tokens = self._row(before, graph.tokens[node])
            return list(zip(row, map(math.log, self._matrix.rates[tokens].at(graph.depths[node]))))

        grow_best_first(graph, self.slots, min(max_depth, self._depth), SOURCE, following)
        return graph

    def flatten(self, graph: TokenGraph, max_depth: int) -> FlatTree:
        """The `budget` nodes that the walk reaches most probably."""
        return flatten(graph, self.slots, max_depth)

    def observe(self, tree: FlatTree, choices: Choices, accepted: list[int], new_tokens: list[int]) -> None:
        """Count which ranks came true on the walk, then write the rows of all verified nodes.

        Of a token that was verified at several nodes the deepest accepted one counts, else the first: the others are
        written before.
        """
        walk = [ROOT, *accepted]
        for i, picked in zip(walk, new_tokens):
            row, tokens = self._row(self._token_before(tree, i), tree.tokens[i])
            if row:
                self._matrix.rates[tokens].learn(tree.depths[i], row.index(picked) if picked in row else None)
        walked = set(walk)
        for i in [*(i for i in reversed(range(len(tree))) if i not in walked), *walk]:
            before = self._token_before(tree, i) if self._by_two else None
            self._matrix.write(before, tree.tokens[i], choices.top[i])

    def _row(self, before: int | None, token: int) -> tuple[tuple[int, ...], int]:
        return self._matrix.row(before if self._by_two else None, token)

    def _token_before(self, tree: FlatTree, i: int) -> int | None:
        return tree.tokens[tree.parents[i]] if i else self._before
