"""A recorded round, made from its line of `events.jsonl`. Schema: docs/trace.md.

    round_ = read_run(folder).rounds[0]
    round_.graph.texts.raw     [" the", " cat", …]   by node of the token graph
    round_.verdicts            ["root", "accepted", "rejected", …]   by index of the verified tree

Derived values are computed when first used, and kept.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

from gsd.trace.parts import DecisionColumns, DrawColumns, GraphColumns, MergeColumns, Milliseconds, Record, TreeColumns
from gsd.trace.texts import Texts

ROOT, ACCEPTED, REJECTED, AFTER_END = "root", "accepted", "rejected", "after the end"
OWN = ("root", "draft")  # sources whose `logq` is the draft's own word
Args = ParamSpec("Args")
Value = TypeVar("Value")


@dataclass(frozen=True)
class RecordedRound:
    """One round. If only counts were recorded, `graph`, `merges`, `decisions` and `tree` are empty."""

    number: int  # from 0
    position: int  # of the root in the text, prompt included
    graph: GraphColumns
    merges: MergeColumns
    decisions: DecisionColumns
    tree: TreeColumns
    accepted: list[int]  # flat, the root not counted
    new_tokens: list[int]
    new_texts: Texts
    origins: list[str]  # of each new token
    bonus: bool  # the last new token is the target's own
    drafted_nodes: int
    verified_nodes: int
    merged: int  # merge edges
    draft_forwards: int
    target_forwards: int
    ms: Milliseconds
    stop: str | None
    draws: DrawColumns = field(default_factory=lambda: DrawColumns.of(None))  # none unless the rule tests draws
    _made: dict[Any, Any] = field(default_factory=dict, init=False, repr=False, compare=False)  # see `once`

    @classmethod
    def of(cls, record: Record) -> RecordedRound:
        """Make a round of a `round` line. Raises `LookupError` or `TypeError` for others. Values are not checked."""
        graph, merges, decisions, tree = (record[name] for name in ("graph", "merges", "decisions", "tree"))
        if graph is merges is decisions is tree is None:
            graph = merges = decisions = tree = defaultdict(list)
        return cls(
            record["round"], record["position"], GraphColumns.of(graph), MergeColumns.of(merges),
            DecisionColumns.of(decisions), TreeColumns.of(tree), record["accepted"], record["new_tokens"],
            Texts(record["new_texts"]), record["origins"], record["bonus"], record["drafted_nodes"],
            record["verified_nodes"], record["merged"], record["draft_forwards"], record["target_forwards"],
            Milliseconds.of(record["ms"]), record["stop"], DrawColumns.of(record.get("draws")),
        )  # fmt: skip

    @property
    def detailed(self) -> bool:
        """Whether nodes and decisions were recorded, not only counts. (A graph has at least its root.)"""
        return len(self.graph) > 0

    @property
    def last(self) -> int:
        """Flat index of the end of the accepted path. 0, the root, if nothing was accepted."""
        return self.accepted[-1] if self.accepted else 0

    @cached_property
    def reached(self) -> frozenset[int]:
        """Flat indices of the root and the accepted path."""
        return frozenset((0, *self.accepted))

    @property
    def rejected(self) -> bool:
        """Whether the target chose another token where drafted ones stood. Unknown if only counts were recorded."""
        return self.bonus and self.last in self.tree.parents

    @cached_property
    def verdicts(self) -> list[str]:
        """What became of each node of the verified tree: root, accepted, rejected or after the end.

        If a stop rule cut the path, the target's pick after it was not committed. Nodes below that place were neither
        accepted nor rejected.
        """
        made, last = [ROOT], self.last
        for i, parent in enumerate(self.tree.parents[1:], 1):
            ended = made[parent] == AFTER_END or (parent == last and not self.bonus)
            made.append(AFTER_END if ended else ACCEPTED if i in self.reached else REJECTED)
        return made

    @cached_property
    def tested(self) -> list[int]:
        """The flat nodes that a committed pick of the target decided about: the children of the nodes with such a pick.

        Those nodes are the root and the accepted path, without its end if a stop rule cut it there.
        """
        walked = set([0, *self.accepted][: len(self.new_tokens)])
        return [i for i, parent in enumerate(self.tree.parents) if parent in walked]

    @cached_property
    def walked_merges(self) -> dict[tuple[int, int], int]:
        """Merge edges (parent, node) of the accepted path, each with how many tokens were accepted behind its own."""
        tree, path = self.tree, self.accepted
        return {tree.edge(i): len(path) - 1 - place for place, i in enumerate(path) if tree.merged[i]}

    @cached_property
    def node_ranks(self) -> list[int]:
        """By node, its rank among the candidates of its parent. -1 if it was no candidate."""
        ranks = self.decisions.ranks()
        return [ranks.get(edge, -1) for edge in zip(self.graph.parents, range(len(self.graph)))]

    @cached_property
    def merge_ranks(self) -> list[int]:
        """By merge edge, the rank of the merged candidate among those of its parent."""
        ranks = self.decisions.ranks()
        return [ranks[edge] for edge in self.merges.edges]

    @cached_property
    def draft_logq(self) -> list[float | None]:
        """By node, the natural log of the draft's q after its tree path. None if the draft gave none.

        In the trace a looked-up node has the estimate of its source. If the draft proposed the same token later, its q
        is in a decision.
        """
        graph, decisions = self.graph, self.decisions
        columns = zip(decisions.nodes, decisions.rules, decisions.logq)
        said = {node: logq for node, rule, logq in columns if rule == "source"}
        return [logq if source in OWN else said.get(node)
                for node, (source, logq) in enumerate(zip(graph.sources, graph.logq))]  # fmt: skip

    def out_edges(self) -> list[list[tuple[int, float]]]:
        """By node, its children along tree and then merge edges, each with the natural log of its q. Not kept."""
        graph, merges = self.graph, self.merges
        edges: list[list[tuple[int, float]]] = [[] for _ in graph.tokens]
        for node, (parent, logq) in enumerate(zip(graph.parents, graph.logq)):
            if parent >= 0:
                edges[parent].append((node, logq))
        for parent, node, logq in zip(merges.parents, merges.nodes, merges.logq):
            edges[parent].append((node, logq))
        return edges


def once(
    make: Callable[Concatenate[RecordedRound, Args], Value],
) -> Callable[Concatenate[RecordedRound, Args], Value]:
    """Decorator for a derived value of a round: `make(round_, *args)` is called once for each round and arguments."""

    @wraps(make)
    def kept(round_: RecordedRound, *args: Args.args, **named: Args.kwargs) -> Value:
        key = (make, args, *named.items())
        if key not in round_._made:
            round_._made[key] = make(round_, *args, **named)
        return round_._made[key]

    return kept
