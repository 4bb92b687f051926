"""The drafter of method `auto`: it drafts and verifies only what is likely to save more time than it takes.

The graph grows best-first instead of level by level. Each draft forward expands the nodes that are most likely to be
reached, at any depth, as long as `Planner` says that this pays. So a sure draft becomes a long chain, and an unsure
one branches. If no draft pays, none is made.

Continuations found in the text so far are attached before the draft is asked, and with `history` also those found
among rejected hypotheses. They stand behind the text, and later behind the likely child of each node that the draft
was asked about. They compete with the draft's own candidates. A draft forward of several nodes takes little longer
than of one.
"""

from __future__ import annotations

import math

from gsd.drafting.base import Parts
from gsd.drafting.choices import Choices
from gsd.drafting.graph import ROOT, TokenGraph, tree_path
from gsd.drafting.lookup import LONGEST_MATCH, Lookup
from gsd.drafting.model_fed import ModelFed
from gsd.drafting.planner import LARGEST, Planner
from gsd.drafting.settings import PlannedSettings
from gsd.drafting.tree import FlatTree, flatten

MOST_FORWARDS = 32  # of the draft, in one round
TOGETHER = 8  # nodes expanded in one forward, at most
LONGEST_FOUND = 24  # tokens of a continuation that is looked up behind the text
LONGEST_GUESS = 4  # and behind a hypothesis
LIKELY = 0.2  # estimate that the walk reaches a hypothesis, from which on it is looked up what may follow it
LEAST = 1e-4  # the lowest estimate of a probability
CATCHING_UP = 32  # tokens of the text in a round's first draft forward, beyond which it says little of other rounds


class AutoDrafter(ModelFed[PlannedSettings]):
    """Drafts with a draft model and look-ups. Depth, frontier and budget follow from costs and acceptance."""

    def __init__(self, parts: Parts, settings: PlannedSettings) -> None:
        super().__init__(parts, settings)
        self._planner: Planner = parts.memory
        self._sources = {name: Lookup() for name in ("lookup", "history") if getattr(settings, name)}
        self._read = 0  # committed tokens in the index
        self._first = True  # whether the round is the text's first, whose target forward takes the prompt along
        self._typical = False  # whether the round's time says what others will take: no long text was run along
        self._graph = TokenGraph([0], None)
        self._trying = False  # whether this round drafts only as that is overdue
        self._edges: list[list[tuple[int, float]]] = []  # by node: child, log of the estimate that it is picked there
        self._reach: list[float] = []  # by node: log of the estimate that the walk reaches it, by the likeliest way
        self._found: dict[int, tuple[str, int]] = {}  # looked-up node -> source, and the length of the match before it
        self._asked: dict[int, dict[int, float]] = {}  # expanded node -> what the draft said: token -> log q

    def start(self, capacity: int) -> None:
        """Begin a new text of at most `capacity` tokens."""
        self._model.reset(capacity + MOST_FORWARDS * TOGETHER)
        self._sources = {name: Lookup() for name in self._sources}
        self._read, self._first = 0, True

    def draft(self, committed: list[int], max_depth: int) -> TokenGraph:
        """Grow best-first while it pays, at most `max_depth` levels and within the context of the draft."""
        max_depth = min(max_depth, self.settings.depth)
        self._planner.begin()
        graph = self._graph = self._new_graph(committed)
        self._edges, self._reach, self._found, self._asked = [], [], {}, {}
        self._typical, self._first = not self._first, False
        self._index(committed)
        self._estimate(graph, [ROOT, *self._look_up(graph, ROOT, committed, min(LONGEST_FOUND, max_depth))])
        depth = min(max_depth, self._model.context_length - len(committed))
        nodes = self._worthwhile(graph, depth)
        self._trying = not nodes and depth > 0 and self._planner.overdue
        if self._trying:
            nodes = [ROOT]
        while nodes and graph.forwards_made < MOST_FORWARDS:
            self._ask(graph, nodes, committed)
            self._look_ahead(graph, nodes, committed, max_depth)
            nodes = self._worthwhile(graph, depth)
        return graph

    def flatten(self, graph: TokenGraph, max_depth: int) -> FlatTree:
        """The nodes whose verification pays, the most probable first."""
        tree = flatten(graph, min(self.settings.budget, LARGEST - 1), max_depth, edges=self._edges.__getitem__)
        return tree.first(self._planner.worth_verifying(tree.logq[1:]))

    def observe(self, tree: FlatTree, choices: Choices, accepted: list[int], new_tokens: list[int]) -> None:
        """Keep the cache valid, and learn from what the target picked after every node that it reached."""
        super().observe(tree, choices, accepted, new_tokens)
        for node, picked in zip((ROOT, *(tree.nodes[i] for i in accepted)), new_tokens):
            self._learn(node, picked)
        if "history" in self._sources:
            self._remember(tree, accepted)
        if self._trying:
            self._planner.tried(any(tree.nodes[i] not in self._found for i in accepted))
        elif self._asked:
            self._planner.drafted_as_planned()
        else:
            self._planner.idle()
        if self._typical:
            found = sum(self._only_found(tree.nodes[i]) for i in accepted)
            self._planner.end(len(tree), len(new_tokens), found=2 * found > len(new_tokens))

    def _only_found(self, node: int) -> bool:
        """Whether a node was looked up where the draft was not asked, which may have said the same."""
        return node in self._found and self._graph.parents[node] not in self._asked

    def _index(self, committed: list[int]) -> None:
        """Index what was committed since the last round."""
        if "lookup" in self._sources:
            self._sources["lookup"].extend(committed[self._read :])
            self._read = len(committed)

    def _look_up(self, graph: TokenGraph, behind: int, text: list[int], most: int) -> list[int]:
        """Attach what the sources find behind a node, at which `text` ends; the nodes, parents first."""
        attached: list[int] = []
        for name, source in self._sources.items():
            found = source.find(text, most)
            if found is None:
                continue
            trust = [math.log(self._planner.found[name].estimate(found.matched + i)) for i in range(len(found.tokens))]
            for i, node in enumerate(graph.attach(found.tokens, trust, name, behind)):
                self._found.setdefault(node, (name, found.matched + i))
                attached.append(node)
        return attached

    def _look_ahead(self, graph: TokenGraph, nodes: list[int], committed: list[int], depth: int) -> None:
        """Look up what may follow the best child of each of `nodes`, where it is likely and nothing follows it yet."""
        for node in nodes:
            best, _ = max(self._edges[node], key=lambda edge: edge[1], default=(ROOT, 0.0))
            if best == ROOT or graph.out_edges[best] or self._reach[best] < math.log(LIKELY):
                continue
            text = committed[-LONGEST_MATCH:] + graph.path(best)
            if attached := self._look_up(graph, best, text, min(LONGEST_GUESS, depth - graph.depths[best])):
                self._estimate(graph, [best, *attached])

    def _worthwhile(self, graph: TokenGraph, depth: int) -> list[int]:
        """The nodes to expand together next, parents first; none where it does not pay."""
        expanded, depths = graph.expanded, graph.depths
        open_nodes = [node for node in range(len(graph)) if not expanded[node] and depths[node] < depth]
        nodes = sorted(open_nodes, key=self._reach.__getitem__, reverse=True)[:TOGETHER]
        return nodes[: self._planner.worth_expanding([self._gain(node) for node in nodes])]

    def _gain(self, node: int) -> float:
        """Expected tokens from expanding `node`: the path reaches it, and continues to none of its present children.

        Where it has some, looked up, the draft's word is worth more than a token: it may be another one, which opens a
        chain. Where it has none that makes no difference, since a chain pays only where its first token does.
        """
        reach = math.exp(self._reach[node])
        if not self._edges[node]:
            return reach * self._planner.hit
        there = min(sum(math.exp(logp) for _, logp in self._edges[node]), 1.0)
        return reach * max(self._planner.hit - there, 0.0) + (1 - there) * self._planner.beyond(reach)

    def _ask(self, graph: TokenGraph, nodes: list[int], committed: list[int]) -> None:
        """Expand `nodes` in one draft forward."""
        before = self._model.length
        if nodes[0] == ROOT and len(committed) - before > CATCHING_UP:
            self._typical = False
        self._planner.begin_forward()
        candidates = self._expand(graph, nodes, committed)
        graph.grow(nodes, candidates.tokens, candidates.logq, self.settings)
        for node, tokens, logq in zip(nodes, candidates.tokens, candidates.logq):
            self._asked[node] = dict(zip(tokens, logq))
        self._estimate(graph, nodes)
        self._planner.end_forward(self._model.length - before)

    def _estimate(self, graph: TokenGraph, nodes: list[int]) -> None:
        """Estimate the edges out of `nodes`, and how probably the walk reaches what hangs on them."""
        new = len(graph) - len(self._reach)
        self._reach += [-math.inf] * new
        self._reach[ROOT] = 0.0
        self._edges += [[] for _ in range(new)]
        for node in nodes:
            self._edges[node] = [
                (child, math.log(self._share(graph, node, child))) for child, _ in graph.out_edges[node]
            ]
        stale = list(nodes)  # parents first, so that what hangs on a node is estimated by what holds of it now
        for node in stale:
            for child, logp in self._edges[node]:
                through = self._reach[node] + logp
                if child in self._found or through > self._reach[child]:  # the draft may have lowered what was found
                    self._reach[child] = through
                    stale.append(child)

    def _share(self, graph: TokenGraph, node: int, child: int) -> float:
        """How probably the target picks `child` behind `node`."""
        found = self._found.get(child) if graph.parents[child] == node else None
        trust = self._planner.found[found[0]].estimate(found[1]) if found else 0.0
        if node not in self._asked:
            return trust
        q = math.exp(self._asked[node].get(graph.tokens[child], -math.inf))
        if not self.settings.calibrated:
            return max(q, trust, LEAST)
        return self._planner.confirmed.estimate(_agreed(q, trust)) if found else self._planner.drafted.estimate(q)

    def _learn(self, node: int, picked: int) -> None:
        """The walk reached `node`, and the target picked this token there."""
        graph, asked, came_true = self._graph, self._asked.get(node), False
        for child, _ in graph.out_edges[node]:
            hit = graph.tokens[child] == picked
            came_true |= hit
            found = self._found.get(child) if graph.parents[child] == node else None
            if found:
                trust = self._planner.found[found[0]]
                if asked is not None:
                    q = math.exp(asked.get(graph.tokens[child], -math.inf))
                    self._planner.confirmed.learn(_agreed(q, trust.estimate(found[1])), hit)
                trust.learn(found[1], hit)
            elif asked is not None:
                self._planner.drafted.learn(math.exp(asked[graph.tokens[child]]), hit)
        if asked is not None:
            self._planner.learn_hit(came_true)

    def _remember(self, tree: FlatTree, accepted: list[int]) -> None:
        """Index the longest hypothesis that was verified and not accepted to its end."""
        last = max(range(len(tree)), key=tree.depths.__getitem__)
        if len(tree) == 1 or last in accepted:
            return
        self._sources["history"].extend([tree.tokens[i] for i in (ROOT, *tree_path(tree.parents, last))])
        self._sources["history"].end()


def _agreed(q: float, trust: float) -> float:
    """The combined log-probability of a token that was looked up and also judged by the draft, which counts twice."""
    return max(q, (2 * q + trust) / 3)
