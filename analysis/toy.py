"""A draft and a target small enough to print, and one round of them: what the Guide shows live.

The draft is a bigram table over a few words, the target knows one sentence. Everything between is the
engine's own: `TokenGraph.grow` judges the candidates, `flatten` spends the budget. No model, no torch.
"""

from __future__ import annotations

import math

from gsd.drafting.graph import ROOT, TokenGraph
from gsd.drafting.settings import LevelSettings
from gsd.drafting.tree import FlatTree, flatten
from gsd.methods import drafting
from gsd.trace.parts import Record
from gsd.trace.recorded_round import RecordedRound
from gsd.trace.records import decision_columns, graph_columns, merge_columns

# After a word: the words that the draft thinks of, with q, the likeliest first.
LAW = {
    "The": {" cat": 0.46, " dog": 0.38, " mat": 0.16},
    " cat": {" sat": 0.66, " ran": 0.28, " and": 0.06},
    " dog": {" sat": 0.52, " ran": 0.42, " and": 0.06},
    " mat": {" and": 0.55, ".": 0.40, " ran": 0.05},
    " sat": {" on": 0.74, " and": 0.16, ".": 0.10},
    " ran": {" and": 0.50, " on": 0.36, ".": 0.14},
    " on": {" the": 0.92, " and": 0.05, ".": 0.03},
    " and": {" sat": 0.50, " ran": 0.42, " the": 0.08},
    " the": {" mat": 0.60, " dog": 0.22, " cat": 0.18},
    ".": {" The": 0.90, " and": 0.07, " the": 0.03},
    " The": {" cat": 0.46, " dog": 0.38, " mat": 0.16},
}
WORDS = tuple(LAW)
PROMPT = "The"
TARGET = (" dog", " sat", " on", " the", " mat", ".", " The", " cat")  # what the target writes
AGREED = math.log(0.9)  # p of each of its words; the others share the rest
SPEC = drafting(width=3, depth=4, frontier=6, merge_context=0, sibling_threshold=0.2, prob_threshold=0.02, budget=24)


NO_TIME = dict.fromkeys(("draft", "verify", "grow", "flatten", "commit", "other", "total"), 0.0)


def toy_round(spec: LevelSettings = SPEC) -> RecordedRound:
    """The toy's first round as if it had been recorded; it took no time."""
    graph = _draft(spec)
    tree = flatten(graph, spec.budget, len(TARGET) - 1)
    accepted = _verify(tree)
    behind = [any(tree.merged[j] for j in accepted[: i + 1]) for i in range(len(accepted))]
    new = [WORDS.index(word) for word in TARGET[: len(accepted) + 1]]
    return RecordedRound.of({
        "round": 0, "position": 0, "graph": graph_columns(graph, _texts), "merges": merge_columns(graph, _texts),
        "decisions": decision_columns(graph, _texts), "tree": _tree(tree), "accepted": accepted, "new_tokens": new,
        "new_texts": [WORDS[word] for word in new],
        "origins": [*("merge" if merged else "draft" for merged in behind), "bonus"], "bonus": True,
        "drafted_nodes": len(graph) - 1, "verified_nodes": len(tree) - 1, "merged": len(graph.merges),
        "draft_forwards": graph.forwards_made, "target_forwards": 1, "ms": NO_TIME, "stop": None,
    })  # fmt: skip


def _draft(spec: LevelSettings) -> TokenGraph:
    graph = TokenGraph([WORDS.index(PROMPT)], spec.merge_context)
    frontier = [ROOT]
    for _ in range(spec.depth):
        rows = [LAW[WORDS[graph.tokens[node]]] for node in frontier]
        tokens = [[WORDS.index(word) for word in row] for row in rows]
        frontier = graph.grow(frontier, tokens, [[math.log(q) for q in row.values()] for row in rows], spec)
        if not frontier:
            break
    return graph


def _verify(tree: FlatTree) -> list[int]:
    """Flat indices of the longest path that spells what the target writes."""
    accepted: list[int] = []
    last = 0
    for i in range(1, len(tree)):  # a child always comes behind its parent
        if tree.parents[i] == last and WORDS[tree.tokens[i]] == TARGET[len(accepted)]:
            accepted.append(i)
            last = i
    return accepted


def _choices(tree: FlatTree) -> list[int]:
    """The word that the target picks after each flat node; off its sentence, its first word."""
    picks = []
    on_path = {0, *_verify(tree)}
    for i, depth in enumerate(tree.depths):
        picks.append(WORDS.index(TARGET[depth] if i in on_path else TARGET[0]))
    return picks


def _tree(tree: FlatTree) -> Record:
    choices = _choices(tree)
    rest = math.log((1 - math.exp(AGREED)) / (len(WORDS) - 1))
    p = [
        None,
        *(AGREED if choices[parent] == token else rest for parent, token in zip(tree.parents[1:], tree.tokens[1:])),
    ]
    return {"token": tree.tokens, "text": _texts(tree.tokens), "node": tree.nodes, "parent": tree.parents,
            "depth": tree.depths, "merged": tree.merged, "logq": tree.logq, "target_logp": p, "choice": choices,
            "choice_text": _texts(choices), "choice_logp": [AGREED] * len(tree)}  # fmt: skip


def _texts(tokens: list[int]) -> list[str]:
    return [WORDS[token] for token in tokens]
