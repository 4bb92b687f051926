"""The token graph: hypotheses that share continuations. It stays acyclic whatever is merged.

A node has one *tree parent*, the prefix for which the draft computed it. It may also have merge
parents, which share it as their continuation. Plain Python without torch, so that a recorded draft
can be grown again with other settings and without a model. Source: Gong et al., 2407.16207, section 3.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from gsd.drafting.settings import LevelSettings

ROOT = 0


@dataclass(frozen=True, slots=True)
class Merge:
    """A merge edge: candidate `token` of `parent` is node `node`, so it shares that node's continuation."""

    parent: int
    node: int
    logq: float  # natural log of q(token | parent's path), the candidate's own
    depth_shift: int  # depth of `node` minus the depth that the candidate would have had
    ngram: tuple[int, ...]  # the matched tokens, oldest first


@dataclass(frozen=True, slots=True)
class Decision:
    """What became of one candidate, and why. A node that missed the next frontier has a second one, `capped`.

    `kind`   added | merged | leaf | pruned | capped
    `rule`   for leaf and pruned: sibling or probability; for capped: frontier; for an added
             candidate that matched nodes it could not merge into: cycle; for an added one that
             another source had proposed before the draft did: source; else empty
    `value`  the number that was compared, and `limit` what it was compared with, both natural logs: for
             frontier the node's path_logq, and that of the least probable node of its level that got in
    `node`   the node added, merged into or capped; -1 when there is none
    """

    parent: int
    token: int
    logq: float
    kind: str
    node: int = -1
    rule: str = ""
    value: float = math.nan
    limit: float = math.nan


class Drafted(Protocol):
    """What a draft forward reads of the nodes that it expands, of a graph or an unmerged tree alike."""

    tokens: list[int]
    parents: list[int]
    depths: list[int]


class TokenGraph:
    """A directed acyclic graph of drafted tokens, stored as columns indexed by node id.

    Node 0 is the root, the last committed token. `context` holds the committed tokens that end
    with the root; n-grams reach back into it. `record=False` skips the list of decisions.
    """

    def __init__(self, context: Sequence[int], merge_context: int | None, *, record: bool = True) -> None:
        self.tokens = [context[-1]]
        self.parents = [-1]
        self.depths = [0]
        self.logq = [0.0]  # log q(token | own tree path)
        self.path_logq = [0.0]  # sum of logq along the tree path
        self.sources = ["root"]
        self.expanded = [False]
        self.forwards_made = 0
        self.forwards = [0]  # the draft forward that expanded the node, counted from 1; 0: none
        self.out_edges: list[list[tuple[int, float]]] = [[]]  # (child or merge target, logq)
        self.merges: list[Merge] = []
        self.decisions: list[Decision] = []
        self.draws: dict[int, list[int]] = {}  # behind a node, in draw order; a token drawn twice stands there twice
        self._record = record
        self._merge_context = merge_context
        self._ancestors = [0]  # bit a of entry n: node a reaches node n, by edges of either kind
        keep = (merge_context or 0) + 1
        self._ngrams = [tuple(context[-keep:])]
        self._index: dict[tuple[int, ...], list[int]] = {}
        if merge_context is not None and len(self._ngrams[0]) == keep:
            self._index[self._ngrams[0]] = [ROOT]

    def __len__(self) -> int:
        return len(self.tokens)

    def reaches(self, ancestor: int, node: int) -> bool:
        """Whether `node` lies on a continuation of `ancestor`; O(1)."""
        return bool(self._ancestors[node] >> ancestor & 1)

    def path(self, node: int) -> list[int]:
        """The tokens from the root's child down to `node`, along tree edges."""
        return [self.tokens[one] for one in tree_path(self.parents, node)]

    def grow(
        self,
        frontier: Sequence[int],
        tokens: Sequence[Sequence[int]],
        logq: Sequence[Sequence[float]],
        spec: LevelSettings,
    ) -> list[int]:
        """Add one level. Returns the next frontier, the most probable node first.

        `tokens` and `logq` are [len(frontier)][>= width], each row by falling probability.
        """
        grown: list[int] = []
        self.forwards_made += 1
        for parent, row, row_logq in zip(frontier, tokens, logq, strict=True):
            self.expanded[parent] = True
            self.forwards[parent] = self.forwards_made
            self._expand(parent, row[: spec.width], row_logq, spec, grown)
        grown.sort(key=lambda node: (-self.path_logq[node], node))
        for node in grown[spec.frontier :]:
            self._decide(self.parents[node], self.tokens[node], self.logq[node], "capped", node,
                         "frontier", self.path_logq[node], self.path_logq[grown[spec.frontier - 1]])  # fmt: skip
        return grown[: spec.frontier]

    def attach(self, tokens: Sequence[int], logq: Sequence[float], source: str, behind: int = ROOT) -> list[int]:
        """Add a chain of tokens below a node, from another source than the draft. Returns its nodes.

        As far as nodes are there already it runs along them. `logq` are that source's own estimates. Nothing merges
        into the new nodes: the draft was not asked what follows them.
        """
        chain = [behind]
        for token, own in zip(tokens, logq, strict=True):
            parent = chain[-1]
            there = self._child(parent, token)
            chain.append(
                self._add(parent, token, own, self._ngram(parent, token), source, shared=False)
                if there is None
                else there
            )
        return chain[1:]

    def offer(self, parent: int, token: int, logq: float, source: str) -> int:
        """Add one candidate of another source than the draft, by the rules of merging; return the node that it is.

        That is a child which bears the token already, the node that the candidate merges into, or a new one. `logq` is
        the source's own estimate; whoever offers does so by falling estimates, so that decisions stand in that order.
        """
        if (there := self._child(parent, token)) is not None:
            return there
        ngram = self._ngram(parent, token)
        if (twin := self._twin(parent, ngram)) is not None:
            self._merge(parent, twin, logq, ngram)
            self._decide(parent, token, logq, "merged", twin)
            return twin
        matched = ngram in self._index
        node = self._add(parent, token, logq, ngram, source)
        self._decide(parent, token, logq, "added", node, "cycle" if matched else "")
        return node

    def draw(self, parent: int, tokens: Sequence[int], logq: Sequence[float]) -> list[int]:
        """Add what was drawn behind a node, in draw order; return the new nodes.

        Every draw counts, and none is dropped: a token that was drawn again is one node and one more draw. `logq` is
        that of one draw by itself. Whoever draws behind several nodes in one forward counts it by `forwards_made`.
        """
        self.expanded[parent] = True
        self.forwards[parent] = self.forwards_made
        self.draws[parent] = list(tokens)
        nodes = []
        for token, own in dict(zip(tokens, logq, strict=True)).items():
            nodes.append(self._add(parent, token, own, self._ngram(parent, token), "draft"))
            self._decide(parent, token, own, "added", nodes[-1])
        return nodes

    def _expand(
        self, parent: int, tokens: Sequence[int], logq: Sequence[float], spec: LevelSettings, grown: list[int]
    ) -> None:
        """Judge the candidates of one node, in order of probability."""
        there = {self.tokens[child]: child for child, _ in self.out_edges[parent]}  # from another source
        sibling_limit = _log(spec.sibling_threshold) + logq[0]
        prob_limit = _log(spec.prob_threshold)
        base = self.path_logq[parent] if spec.prob_rule == "path" else 0.0
        for token, own in zip(tokens, logq):
            if token in there:
                self._decide(parent, token, own, "added", there[token], "source")
                continue
            if own < sibling_limit:
                self._decide(parent, token, own, "pruned", -1, "sibling", own, sibling_limit)
                continue
            improbable = base + own < prob_limit
            if improbable and spec.prob_action == "drop":
                self._decide(parent, token, own, "pruned", -1, "probability", base + own, prob_limit)
                continue
            ngram = self._ngram(parent, token)
            matched, twin = ngram in self._index, self._twin(parent, ngram)
            if twin is not None:
                self._merge(parent, twin, own, ngram)
                self._decide(parent, token, own, "merged", twin)
                continue
            node = self._add(parent, token, own, ngram, "draft")
            if improbable:
                self._decide(parent, token, own, "leaf", node, "probability", base + own, prob_limit)
            else:
                self._decide(parent, token, own, "added", node, "cycle" if matched else "")
                grown.append(node)

    def _child(self, parent: int, token: int) -> int | None:
        """What already follows `parent` with this token, by an edge of either kind."""
        return next((child for child, _ in self.out_edges[parent] if self.tokens[child] == token), None)

    def _twin(self, parent: int, ngram: tuple[int, ...]) -> int | None:
        """The node that a candidate behind `parent` merges into: the first of the same n-gram that closes no cycle."""
        return next((n for n in self._index.get(ngram, ()) if n != parent and not self.reaches(n, parent)), None)

    def _ngram(self, parent: int, token: int) -> tuple[int, ...]:
        return (*self._ngrams[parent], token)[-(self._merge_context or 0) - 1 :]

    def _add(
        self, parent: int, token: int, logq: float, ngram: tuple[int, ...], source: str, *, shared: bool = True
    ) -> int:
        node = len(self.tokens)
        self.tokens.append(token)
        self.parents.append(parent)
        self.depths.append(self.depths[parent] + 1)
        self.logq.append(logq)
        self.path_logq.append(self.path_logq[parent] + logq)
        self.sources.append(source)
        self.expanded.append(False)
        self.forwards.append(0)
        self.out_edges.append([])
        self.out_edges[parent].append((node, logq))
        self._ancestors.append(self._ancestors[parent] | 1 << parent)
        self._ngrams.append(ngram)
        if shared and self._merge_context is not None and len(ngram) == self._merge_context + 1:
            self._index.setdefault(ngram, []).append(node)
        return node

    def _merge(self, parent: int, node: int, logq: float, ngram: tuple[int, ...]) -> None:
        shift = self.depths[node] - self.depths[parent] - 1
        self.merges.append(Merge(parent, node, logq, shift, ngram))
        self.out_edges[parent].append((node, logq))
        gained = self._ancestors[parent] | 1 << parent
        stale = [node]
        while stale:  # everything behind the edge is now reached from the parent, too
            n = stale.pop()
            if gained & ~self._ancestors[n]:
                self._ancestors[n] |= gained
                stale.extend(child for child, _ in self.out_edges[n])

    def _decide(self, *fields: Any) -> None:
        """Keep the `Decision` of these fields; where none is recorded it is not even made."""
        if self._record:
            self.decisions.append(Decision(*fields))


def tree_path(parents: Sequence[int], node: int) -> list[int]:
    """The nodes from the root's child down to `node` along tree edges. Empty for the root."""
    path = []
    while node != ROOT:
        path.append(node)
        node = parents[node]
    return path[::-1]


def _log(probability: float) -> float:
    return math.log(probability) if probability > 0.0 else -math.inf
