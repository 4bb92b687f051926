"""The parts of a recorded round as columns: its graph, merges, decisions, verified tree, draws and times.

Columns are lists of equal length and never change. Derived values are computed when first used, and kept. Names are
plural where the schema's are singular: `graph.parents` is `graph.parent` in docs/trace.md.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from gsd.drafting.graph import tree_path
from gsd.trace.texts import Texts

Record = Mapping[str, Any]


@dataclass(frozen=True)
class GraphColumns:
    """The token graph, by node; node 0 is the root.

    `logq` is the natural log of the draft's probability behind the node's own tree path; of a node that was looked up,
    its source's estimate. `forwards[i]`: the draft forward of the round that expanded node i, from 1; 0: none.
    """

    tokens: list[int]
    texts: Texts
    parents: list[int]  # along tree edges, -1 for the root
    depths: list[int]
    logq: list[float]
    path_logq: list[float]
    sources: list[str]
    expanded: list[bool]
    forwards: list[int]

    @classmethod
    def of(cls, graph: Record) -> GraphColumns:
        """From the part of a line. An older one does not say `forward`: each forward expanded one depth."""
        forwards = graph["forward"] if "forward" in graph else by_depth(graph["depth"], graph["expanded"])
        return cls(graph["token"], Texts(graph["text"]), graph["parent"], graph["depth"], graph["logq"],
                   graph["path_logq"], graph["source"], graph["expanded"], forwards)  # fmt: skip

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def levels(self) -> int:
        """Number of draft forwards in the round, usually one per depth. The last may have added only merges."""
        return max(self.forwards, default=0)

    @cached_property
    def drafted_in(self) -> list[int]:
        """By node, the draft forward of the round behind which it was there, from 1; 0: before the draft was asked.

        What was looked up came with what it stands behind, what was drafted by the forward that expanded its parent.
        """
        came = [0]
        for parent, source in zip(self.parents[1:], self.sources[1:]):
            came.append(self.forwards[parent] if source == "draft" else came[parent])
        return came


@dataclass(frozen=True)
class MergeColumns:
    """The merge edges (parent, node). `logq`: the merged candidate's own; `ngrams`: the tokens that agreed."""

    parents: list[int]
    nodes: list[int]
    logq: list[float]
    depth_shifts: list[int]
    ngrams: list[list[int]]
    ngram_texts: Texts

    @classmethod
    def of(cls, merges: Record) -> MergeColumns:
        """From the part of a line."""
        return cls(merges["parent"], merges["node"], merges["logq"], merges["depth_shift"], merges["ngram"],
                   Texts(merges["ngram_text"]))  # fmt: skip

    def __len__(self) -> int:
        return len(self.nodes)

    @cached_property
    def edges(self) -> list[tuple[int, int]]:
        """The edges as (parent, node)."""
        return list(zip(self.parents, self.nodes))


@dataclass(frozen=True)
class DecisionColumns:
    """Every candidate of the draft, by parent and falling q, and what became of it."""

    parents: list[int]
    tokens: list[int]
    texts: Texts
    logq: list[float]
    kinds: list[str]
    nodes: list[int]  # added, merged into or capped; -1: none
    rules: list[str]
    values: list[float | None]
    limits: list[float | None]

    @classmethod
    def of(cls, decisions: Record) -> DecisionColumns:
        """From the part of a line."""
        return cls(decisions["parent"], decisions["token"], Texts(decisions["text"]), decisions["logq"],
                   decisions["kind"], decisions["node"], decisions["rule"], decisions["value"],
                   decisions["limit"])  # fmt: skip

    def __len__(self) -> int:
        return len(self.kinds)

    def ranks(self) -> dict[tuple[int, int], int]:
        """The rank of each edge (parent, node) among the parent's candidates by q, from 0. Dropped candidates count."""
        seen: Counter[int] = Counter()
        ranks = {}
        for parent, node, kind in zip(self.parents, self.nodes, self.kinds):
            if kind != "capped":  # no candidate: it says again of an added node that it will not be expanded
                ranks[parent, node] = seen[parent]
                seen[parent] += 1
        return ranks


@dataclass(frozen=True)
class TreeColumns:
    """The flattened tree that was verified, by flat index; 0 is the root.

    `logq`: the estimate that the walk arrives; `target_logp`: of the token at its parent, None where it is log 0, NaN
    where it is not known. `choices` and what follows: the target's pick *after* the node.
    """

    tokens: list[int]
    texts: Texts
    nodes: list[int]  # of the graph
    parents: list[int]  # flat, -1 for the root
    depths: list[int]
    merged: list[bool]  # reached by a merge edge
    logq: list[float]
    target_logp: list[float | None]
    choices: list[int | None]
    choice_texts: Texts
    choice_logp: list[float | None]

    @classmethod
    def of(cls, tree: Record) -> TreeColumns:
        """From the part of a line."""
        return cls(tree["token"], Texts(tree["text"]), tree["node"], tree["parent"], tree["depth"], tree["merged"],
                   tree["logq"], tree["target_logp"], tree["choice"], Texts(tree["choice_text"]),
                   tree["choice_logp"])  # fmt: skip

    def __len__(self) -> int:
        return len(self.tokens)

    def edge(self, i: int) -> tuple[int, int]:
        """The graph's edge (parent, node) by which flat node i was reached."""
        return self.nodes[self.parents[i]], self.nodes[i]

    @cached_property
    def leaves(self) -> list[int]:
        """The leaves in flat order. A tree of the root alone has none."""
        inner = {0, *self.parents}
        return [i for i in range(len(self.parents)) if i not in inner]

    @cached_property
    def hypotheses(self) -> list[list[int]]:
        """For each leaf, the flat indices from the root's child to it."""
        return [tree_path(self.parents, leaf) for leaf in self.leaves]


@dataclass(frozen=True)
class DrawColumns:
    """Every draw of a draft's law, by flat node and rank, and how the rule of acceptance tested it.

    Empty if the rule tests no draws, or if the trace is older. A draw is accepted if `u` < `p` / `q`. These are None if
    it was not tested.
    """

    parents: list[int]  # flat
    ranks: list[int]  # among the draws behind the parent, from 0
    tokens: list[int]
    texts: Texts
    u: list[float | None]
    p: list[float | None]
    q: list[float | None]
    verdicts: list[str]

    @classmethod
    def of(cls, draws: Record | None) -> DrawColumns:
        """From the part of a line."""
        if draws is None:
            return cls([], [], [], Texts([]), [], [], [], [])
        return cls(draws["parent"], draws["rank"], draws["token"], Texts(draws["text"]), draws["u"], draws["p"],
                   draws["q"], draws["verdict"])  # fmt: skip

    def __len__(self) -> int:
        return len(self.tokens)

    def behind(self, flat: int) -> list[int]:
        """Which rows are the draws behind a flat node, in the order of the draws."""
        return [row for row, parent in enumerate(self.parents) if parent == flat]


@dataclass(frozen=True, slots=True)
class Milliseconds:
    """Times of a round by phase; `draft` and `verify` are inside the models' forwards, `total` is the sum."""

    draft: float
    verify: float
    grow: float
    flatten: float
    commit: float
    other: float
    total: float

    @classmethod
    def of(cls, ms: Record) -> Milliseconds:
        """From the part of a line."""
        return cls(ms["draft"], ms["verify"], ms["grow"], ms["flatten"], ms["commit"], ms["other"], ms["total"])


def by_depth(depths: list[int], expanded: list[bool]) -> list[int]:
    """The draft forward that expanded each node, from 1 (0: none), where each forward expands one depth."""
    return [(depth + 1) * was for depth, was in zip(depths, expanded)]
