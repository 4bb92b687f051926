"""Replay settings over the texts of an atlas: exactly what they would have done, without a model.

The emitted text does not depend on the drafter. So the target's pick after every accepted token is
known: a round accepts the longest path of its tree that spells the text. The engine's own `TokenGraph`
grows the graph of a round from recorded candidates, and its own `flatten` flattens it. If a node was
never expanded, nothing is guessed: from there on the setting is not covered.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from gsd.drafting.graph import ROOT, TokenGraph
from gsd.drafting.tree import FlatTree, flatten
from gsd.lab.atlas import Atlas, AtlasText, DraftTree, Regrowth
from gsd.methods import MethodSettings
from gsd.spec import PREFILL_CHUNK
from gsd.trace.records import mean_acceptance_length


@dataclass(frozen=True, slots=True)
class Round:
    """One replayed round. `forwards`: tokens in each of its draft forwards, a prompt's chunks included."""

    at: int  # new tokens before it
    forwards: tuple[int, ...]
    drafted_nodes: int
    verified_nodes: int
    merges: int
    accepted: int
    new_tokens: int


@dataclass(frozen=True, slots=True)
class TextReplay:
    """One text under one setting. `wanted`: position -> nodes of its tree that would have to be expanded."""

    id: str
    kind: str | None
    length: int  # tokens of the whole text
    rounds: list[Round]
    wanted: dict[int, set[int]] = field(default_factory=dict)

    @property
    def coverage(self) -> float:
        """Share of the text's tokens that were replayed."""
        return sum(one.new_tokens for one in self.rounds) / self.length

    @property
    def mean_acceptance_length(self) -> float | None:
        """1 + accepted / rounds, as in a run."""
        return mean_acceptance_length(sum(one.accepted for one in self.rounds), len(self.rounds))

    def counts(self) -> dict[str, int]:
        """Sums over the rounds, under the names of a run's totals."""
        sums = {name: sum(getattr(one, name) for one in self.rounds)
                for name in ("drafted_nodes", "verified_nodes", "merges")}  # fmt: skip
        forwards = sum(len(one.forwards) for one in self.rounds)
        return {"rounds": len(self.rounds), "draft_forwards": forwards, **sums}


@dataclass(frozen=True, slots=True)
class WholeRound:
    """One round in full. `recorded`: the node of `drafted`, the atlas's tree, behind each node of `graph`."""

    graph: TokenGraph
    tree: FlatTree
    accepted: list[int]  # flat indices
    recorded: list[int]
    drafted: DraftTree


class Replayer:
    """Replays settings over an atlas. Settings that differ in depth or budget alone share their graphs."""

    def __init__(self, atlas: Atlas) -> None:
        self.atlas = atlas
        self._shared: dict[str, Any] | None = None  # what the graphs in `_graphs` have in common
        self._graphs: dict[tuple[int, int], _Graph] = {}

    def replay(self, spec: MethodSettings) -> list[TextReplay]:
        """Replay `spec` on every text. Raises `InputError` if it exceeds a bound of the atlas."""
        self.atlas.bounds.check(spec)
        return [self._text(number, spec) for number in range(len(self.atlas.texts))]

    def wanted(self, settings: Iterable[MethodSettings]) -> dict[int, dict[int, set[int]]]:
        """Nodes to expand before the replays can go on: text number -> position -> nodes of its tree."""
        wanted: dict[int, dict[int, set[int]]] = {}
        for spec in settings:
            for number, replay in enumerate(self.replay(spec)):
                for at, nodes in replay.wanted.items():
                    wanted.setdefault(number, {}).setdefault(at, set()).update(nodes)
        return wanted

    def round(self, number: int, at: int, spec: MethodSettings) -> WholeRound | None:
        """The round of text `number` that starts behind its first `at` tokens; None where a node is wanted."""
        text = self.atlas.texts[number]
        depth = self._depth(text, at, spec)
        regrowth = Regrowth(text.trees[at], text.committed(at), spec, depth)
        graph = _Graph(regrowth)
        levels = graph.levels(depth)
        if levels is None:
            return None
        tree = graph.flattened(levels, _budget(spec), text.room(at) - 1)
        return WholeRound(regrowth.graph, tree, _walk(tree, text, at), regrowth.recorded, text.trees[at])

    def _depth(self, text: AtlasText, at: int, spec: MethodSettings) -> int:
        """How deep a draft goes there, as in the engine."""
        return max(
            0, min(getattr(spec, "depth", 0), text.room(at) - 1, self.atlas.draft_context - len(text.prompt) - at)
        )

    def _graph(self, number: int, at: int, spec: MethodSettings) -> _Graph:
        """The graph of text `number` behind position `at`, as far as it has been grown."""
        shared = spec.model_dump(exclude={"depth", "budget"})
        if shared != self._shared:
            self._shared, self._graphs = shared, {}
        if (number, at) not in self._graphs:
            text = self.atlas.texts[number]
            deepest = spec.model_copy(update={"depth": self.atlas.bounds.depth} if hasattr(spec, "depth") else {})
            regrowth = Regrowth(text.trees[at], text.committed(at), deepest, self.atlas.bounds.depth)
            self._graphs[number, at] = _Graph(regrowth)
        return self._graphs[number, at]

    def _text(self, number: int, spec: MethodSettings) -> TextReplay:
        text = self.atlas.texts[number]
        replay = TextReplay(text.id, text.kind, len(text.tokens), [])
        at, pending = 0, len(text.prompt)
        while at < replay.length:
            room = text.room(at)
            graph = self._graph(number, at, spec)
            levels = graph.levels(self._depth(text, at, spec))
            if levels is None:
                replay.wanted[at] = set(graph.wanted)
                break
            tree = graph.flattened(levels, _budget(spec), room - 1)
            walked = _walk(tree, text, at)
            new = min(len(walked) + 1, replay.length - at)
            replay.rounds.append(Round(
                at, draft_forwards(pending, graph.sizes(levels)), graph.drafted(levels), len(tree) - 1,
                graph.merges(levels), min(len(walked), new), new,
            ))  # fmt: skip
            if levels:
                pending = new - graph.cached(tree, walked[:new], levels)
            at += new
        return replay


class _Graph:
    """One position's graph under one setting but for depth and budget, grown as deep as was asked so far."""

    def __init__(self, regrowth: Regrowth) -> None:
        self.wanted: list[int] = []
        self._regrowth = regrowth
        self._frontiers: list[list[int]] = []  # nodes expanded by level
        self._nodes = [1]  # nodes after so many levels
        self._merges = [0]

    def levels(self, depth: int) -> int | None:
        """Levels that a draft of `depth` has: fewer where the frontier runs dry; None where a node is wanted."""
        one = self._regrowth
        while len(self._frontiers) < depth and one.frontier:
            self.wanted = one.wanted()
            if self.wanted:
                return None
            self._frontiers.append(one.frontier)
            one.grow()
            self._nodes.append(len(one.graph))
            self._merges.append(len(one.graph.merges))
        return min(depth, len(self._frontiers))

    def sizes(self, levels: int) -> list[int]:
        """Nodes expanded in each level."""
        return [len(frontier) for frontier in self._frontiers[:levels]]

    def drafted(self, levels: int) -> int:
        """Nodes without the root."""
        return self._nodes[levels] - 1

    def merges(self, levels: int) -> int:
        """Merge edges."""
        return self._merges[levels]

    def flattened(self, levels: int, budget: int, max_depth: int) -> FlatTree:
        """The tree that a draft of so many levels would have had verified."""
        return flatten(self._regrowth.graph, budget, max_depth, expanded=self._expanded(levels))

    def cached(self, tree: FlatTree, accepted: list[int], levels: int) -> int:
        """Accepted nodes whose cache entries the draft keeps: expanded ones before the first merge edge."""
        return cached_nodes(accepted, tree.merged, tree.nodes, self._expanded(levels))

    def _expanded(self, levels: int) -> set[int]:
        return {node for frontier in self._frontiers[:levels] for node in frontier}


def _budget(spec: MethodSettings) -> int:
    """Drafted nodes that a round may have verified."""
    return getattr(spec, "budget", 0)


def draft_forwards(pending: int, sizes: list[int]) -> tuple[int, ...]:
    """Tokens in each draft forward: the committed ones that are not cached, in chunks, then level by level.

    `sizes`: nodes expanded by each; the root, the last of the pending tokens, is one of the first.
    """
    if not sizes:
        return ()
    chunks = (pending - 1) // PREFILL_CHUNK
    return (*[PREFILL_CHUNK] * chunks, pending - chunks * PREFILL_CHUNK + sizes[0] - 1, *sizes[1:])


def cached_nodes(accepted: Sequence[int], merged: Sequence[bool], nodes: Sequence[int], expanded: set[int]) -> int:
    """Accepted flat nodes that the draft keeps in its cache: expanded ones before the first merge edge."""
    kept = 0
    for i in accepted:
        if merged[i] or nodes[i] not in expanded:
            break
        kept += 1
    return kept


def _walk(tree: FlatTree, text: AtlasText, at: int) -> list[int]:
    """Flat indices of the longest path that spells how the text goes on."""
    walked: list[int] = []
    node, rest = ROOT, text.tokens
    for i in range(1, len(tree)):  # a child always comes behind its parent
        if at == len(rest):
            break
        if tree.parents[i] == node and tree.tokens[i] == rest[at]:
            walked.append(i)
            node, at = i, at + 1
    return walked
