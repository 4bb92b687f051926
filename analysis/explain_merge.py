"""What became of a merge in a round's graph, in words. HTML; texts of tokens come escaped from the round."""

from __future__ import annotations

from analysis.explanation import Drafted, Explanation, raw
from analysis.faces import shared_by_merges
from analysis.sources import is_found
from analysis.words import percent
from gsd.trace.recorded_round import RecordedRound
from gsd.wording import counted


def explain_merge(round_: RecordedRound, settings: Drafted, index: int) -> Explanation:
    """Which candidate joined which node, and whether the accepted path went that way."""
    merges, texts = round_.merges, round_.graph.texts.html
    parent, node = merges.parents[index], merges.nodes[index]
    tree = round_.tree
    flat = [i for i, merged in enumerate(tree.merged)
            if merged and tree.nodes[i] == node and tree.nodes[tree.parents[i]] == parent]  # fmt: skip
    if not flat:
        outcome = "No copy behind this edge was verified."
    elif set(flat) & set(round_.accepted):
        outcome = "<b>The accepted path went through it.</b>"
    else:
        outcome = "Its copy was verified, but the accepted path did not go through it."
    shared = shared_by_merges(round_, settings.depth)[index]
    number = choice_number(round_, parent, round_.graph.tokens[node])
    name = "estimate" if is_found(round_.graph.sources[node]) else "q"
    measures: dict[str, float | None] = {name: merges.logq[index]}
    if flat:
        measures["p"] = tree.target_logp[flat[0]]
    return Explanation(f"{texts[parent]} ⇢ {texts[node]} <i>merge edge</i>", [
        f"The candidate {texts[node]} after node {parent}{number}, was "
        f"merged into <b>node {node}</b>: {_agreed(round_, index)}.",
        f"{_shared(shared)} {_shift(merges.depth_shifts[index])} {outcome}",
    ], measures)  # fmt: skip


def merges_into(round_: RecordedRound, settings: Drafted, node: int) -> list[str]:
    """A paragraph for each candidate that was merged into a node."""
    merges, texts = round_.merges, round_.graph.texts.html
    if node not in merges.nodes:
        return []
    shared = shared_by_merges(round_, settings.depth)
    return [
        f"<b>Merged into it:</b> a candidate of {texts[merges.parents[i]]} (node {raw(merges.parents[i])}, "
        f"{_worth(round_, i)}): {_agreed(round_, i)}. {_shared(shared[i])} "
        f"{_shift(merges.depth_shifts[i])}"
        for i, target in enumerate(merges.nodes)
        if target == node
    ]


def choice_number(round_: RecordedRound, parent: int, token: int) -> str:
    """Which choice of the draft a candidate was; candidates stand by falling q."""
    decisions = round_.decisions
    row = [decisions.tokens[i] for i, one in enumerate(decisions.parents)
           if one == parent and decisions.kinds[i] != "capped"]  # fmt: skip
    return f", its choice number {row.index(token) + 1} of {len(row)}" if token in row else ""


def _worth(round_: RecordedRound, index: int) -> str:
    """What a merged candidate was held to be worth, by the draft or by what looked it up."""
    found = is_found(round_.graph.sources[round_.merges.nodes[index]])
    return f"{'estimated at' if found else 'q ='} {percent(round_.merges.logq[index])}"


def _agreed(round_: RecordedRound, index: int) -> str:
    """Which tokens made a candidate be a node already there."""
    merges = round_.merges
    tokens = len(merges.ngrams[index])
    same = "same token" if tokens == 1 else f"same last {tokens} tokens"
    return f"{same} {merges.ngram_texts.html[index]}"


def _shared(nodes: int) -> str:
    return f"They share {counted(nodes, 'node')}" + (": its own and those behind it." if nodes > 1 else ".")


def _shift(shift: int) -> str:
    if shift == 0:
        return "Both stand at the same depth."
    levels = counted(abs(shift), "level")
    return f"Along the new edge it comes {levels} {'later' if shift < 0 else 'earlier'} than where it was drafted."
