"""Turn the engine's values into the plain values of the trace. Schema: docs/trace.md."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from gsd.drafting.choices import DrawTest
from gsd.drafting.graph import TokenGraph

if TYPE_CHECKING:
    from gsd.trace.recorded_round import RecordedRound
    from gsd.trace.round import Round

ENOUGH = 64  # first choices, before a draft is judged by them
AT_CHANCE = 0.05  # of them taken, or less: chance takes one in the size of the vocabulary, any real draft one in four
LEAST_LOGP = math.log(0.5)
Texts = Callable[[list[int]], list[str]]  # of several tokens, each on its own


def round_record(round_: Round, texts: Texts, new_texts: list[str], *, detail: bool) -> dict[str, Any]:
    """The `round` line of a round. `new_texts` are the texts of its new tokens in their place."""
    return {
        "round": round_.number,
        "position": round_.position,
        "graph": graph_columns(round_.graph, texts) if detail else None,
        "merges": merge_columns(round_.graph, texts) if detail else None,
        "decisions": decision_columns(round_.graph, texts) if detail else None,
        "tree": _tree(round_, texts) if detail else None,
        "draws": _draws(round_.choices.tests, texts) if detail and round_.choices.tests else None,
        "accepted": round_.accepted,
        "new_tokens": round_.new_tokens,
        "new_texts": new_texts,
        "origins": _origins(round_),
        "bonus": len(round_.new_tokens) > len(round_.accepted),
        "drafted_nodes": len(round_.graph) - 1,
        "verified_nodes": len(round_.tree) - 1,
        "merged": len(round_.graph.merges),
        "draft_forwards": round_.draft_forwards,
        "target_forwards": round_.target_forwards,
        "ms": {**asdict(round_.times), "total": round_.times.total},
        "stop": round_.stop,
    }


def graph_columns(graph: TokenGraph, texts: Texts) -> dict[str, list]:
    """The nodes as columns of equal length."""
    return {
        "token": graph.tokens,
        "text": texts(graph.tokens),
        "parent": graph.parents,
        "depth": graph.depths,
        "logq": graph.logq,
        "path_logq": graph.path_logq,
        "source": graph.sources,
        "expanded": graph.expanded,
        "forward": graph.forwards,
    }


def merge_columns(graph: TokenGraph, texts: Texts) -> dict[str, list]:
    """The merge edges."""
    return {
        "parent": [merge.parent for merge in graph.merges],
        "node": [merge.node for merge in graph.merges],
        "logq": [merge.logq for merge in graph.merges],
        "depth_shift": [merge.depth_shift for merge in graph.merges],
        "ngram": [list(merge.ngram) for merge in graph.merges],
        "ngram_text": ["".join(texts(list(merge.ngram))) for merge in graph.merges],
    }


def decision_columns(graph: TokenGraph, texts: Texts) -> dict[str, list]:
    """What became of each candidate."""
    decisions = graph.decisions
    return {
        "parent": [decision.parent for decision in decisions],
        "token": [decision.token for decision in decisions],
        "text": texts([decision.token for decision in decisions]),
        "logq": [decision.logq for decision in decisions],
        "kind": [decision.kind for decision in decisions],
        "node": [decision.node for decision in decisions],
        "rule": [decision.rule for decision in decisions],
        "value": [finite(decision.value) for decision in decisions],
        "limit": [finite(decision.limit) for decision in decisions],
    }


def _tree(round_: Round, texts: Texts) -> dict[str, list]:
    tree, choices = round_.tree, round_.choices
    assert choices.logp is not None and choices.node_logp is not None, "a round is recorded in full or not at all"
    return {
        "token": tree.tokens,
        "text": texts(tree.tokens),
        "node": tree.nodes,
        "parent": tree.parents,
        "depth": tree.depths,
        "merged": tree.merged,
        "logq": tree.logq,
        "target_logp": [None, *map(finite, choices.node_logp[1:])],
        "choice": choices.tokens,
        "choice_text": texts(choices.tokens),
        "choice_logp": [finite(logp) for logp in choices.logp],
    }


def _draws(tests: list[DrawTest], texts: Texts) -> dict[str, list]:
    return {
        "parent": [test.node for test in tests],
        "rank": [test.rank for test in tests],
        "token": [test.token for test in tests],
        "text": texts([test.token for test in tests]),
        "u": [test.u for test in tests],
        "p": [test.p for test in tests],
        "q": [test.q for test in tests],
        "verdict": [test.verdict for test in tests],
    }


def _origins(round_: Round) -> list[str]:
    """Where each new token came from: its source, but behind a merge edge everything is owed to the merge."""
    origins = []
    merged = False
    for i in round_.accepted:
        merged = merged or round_.tree.merged[i]
        origins.append("merge" if merged else round_.graph.sources[round_.tree.nodes[i]])
    if len(round_.new_tokens) > len(origins):
        origins.append("bonus" if len(round_.tree) > 1 else "target")
    return origins


@dataclass(slots=True)
class Tally:
    """Sums over the rounds of a run; `totals` has the keys of the trace's `end` line."""

    new_tokens: int = 0
    rounds: int = 0
    draft_forwards: int = 0
    target_forwards: int = 0
    drafted_nodes: int = 0
    verified_nodes: int = 0
    merges: int = 0
    accepted: int = 0
    longest_path: int = 0
    wall_ms: float = 0.0
    draft_ms: float = 0.0
    verify_ms: float = 0.0

    def add(self, round_: Round) -> None:
        """Count one round."""
        self.new_tokens += len(round_.new_tokens)
        self.rounds += 1
        self.draft_forwards += round_.draft_forwards
        self.target_forwards += round_.target_forwards
        self.drafted_nodes += len(round_.graph) - 1
        self.verified_nodes += len(round_.tree) - 1
        self.merges += len(round_.graph.merges)
        self.accepted += len(round_.accepted)
        self.longest_path += max(round_.tree.depths)
        self.wall_ms += round_.times.total
        self.draft_ms += round_.times.draft
        self.verify_ms += round_.times.verify

    def add_recorded(self, round_: RecordedRound) -> None:
        """Count one round as it was read back; one of counts alone does not say its longest path."""
        self.new_tokens += len(round_.new_tokens)
        self.rounds += 1
        self.draft_forwards += round_.draft_forwards
        self.target_forwards += round_.target_forwards
        self.drafted_nodes += round_.drafted_nodes
        self.verified_nodes += round_.verified_nodes
        self.merges += round_.merged
        self.accepted += len(round_.accepted)
        self.longest_path += max(round_.tree.depths, default=0)
        self.wall_ms += round_.ms.total
        self.draft_ms += round_.ms.draft
        self.verify_ms += round_.ms.verify

    def totals(self) -> dict[str, float | int | None]:
        """Counts, rates and times; a rate without a denominator is None."""
        sums = asdict(self)
        accepted, longest_path = sums.pop("accepted"), sums.pop("longest_path")
        return {
            **sums,
            "mean_acceptance_length": mean_acceptance_length(accepted, self.rounds),
            "draft_acceptance_rate": _ratio(accepted, self.verified_nodes),
            "acceptance_rate_longest_path": _ratio(accepted, longest_path),
            "acceptance_rate_drafted": _ratio(accepted, self.drafted_nodes),
            "overhead_ms": self.wall_ms - self.draft_ms - self.verify_ms,
            "tokens_per_s": _ratio(1e3 * self.new_tokens, self.wall_ms),
        }


@dataclass(slots=True)
class FirstChoices:
    """Counts how often the target picks the draft's most probable token.

    `greedy`: every pick is the target's most probable token. A sampled pick counts only if its probability was at
    least one half, because no draft can foresee the others.
    """

    greedy: bool
    asked: int = 0
    picked: int = 0

    def add(self, round_: Round) -> None:
        """Count one round: the root, and what was accepted behind it."""
        tree, choices = round_.tree, round_.choices
        first: dict[int, int] = {}  # flat node -> its likeliest drafted child
        for child in range(1, len(tree)):
            if round_.graph.sources[tree.nodes[child]] == "draft":
                parent = tree.parents[child]
                if parent not in first or tree.logq[child] > tree.logq[first[parent]]:
                    first[parent] = child
        for node in (0, *round_.accepted):
            if node in first and (self.greedy or (choices.logp and choices.logp[node] > LEAST_LOGP)):
                self.asked += 1
                self.picked += tree.tokens[first[node]] == choices.tokens[node]

    def note(self) -> str | None:
        """A note for the user if the draft is hardly better than chance. Else None."""
        if self.asked < ENOUGH or self.picked > AT_CHANCE * self.asked:
            return None
        return (
            f"the target picked the draft's first choice at {self.picked} of {self.asked} tokens, hardly more than by "
            "chance: the draft may be damaged or of another family, and plain decoding (method ar) would be faster"
        )


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def finite(value: float) -> float | None:
    """A number for JSON: None where it is NaN or infinite."""
    return value if math.isfinite(value) else None


def mean_acceptance_length(accepted: int, rounds: int) -> float | None:
    """Mean tokens per round: 1 + accepted / rounds. None without a round.

    The 1 is the bonus. It also counts in a last round that a stop rule cut before it.
    """
    return 1 + accepted / rounds if rounds else None
