"""Explain in words what happened to one thing in the graph of a round. HTML, with escaped token texts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from analysis.explain_merge import explain_merge
from analysis.explain_node import explain_node
from analysis.explanation import Drafted, Explanation, drafted_by, raw
from analysis.story import story
from analysis.words import percent
from gsd.trace.recorded_round import AFTER_END, RecordedRound
from gsd.wording import counted


def explain(round_: RecordedRound, meta: dict[str, Any], id: str, before: Sequence[int] = ()) -> Explanation | None:
    """Explain `n7`, `m2`, `c5`, `h3` or `b` of a round. None if the round has no such thing.

    `round_` holds its graph, `meta` the run's run.json, `before` the ids of the text up to
    the round's root, as far as it is known.
    """
    kind, number = id[:1], id[1:]
    if id == "b" and round_.bonus:
        return _bonus(round_)
    index = int(number) if number.isdecimal() else -1
    sizes = {"n": len(round_.graph), "m": len(round_.merges), "c": len(round_.decisions), "h": len(round_.tree.leaves)}
    if not 0 <= index < sizes.get(kind, 0):
        return None
    if kind == "n":
        return explain_node(round_, drafted_by(meta), index, before)
    told = {"m": explain_merge, "c": _candidate, "h": _hypothesis}[kind]
    return told(round_, drafted_by(meta), index)


def tell(round_: RecordedRound, meta: dict[str, Any], id: str | None, before: Sequence[int] = ()) -> Explanation:
    """Explain what is selected, or else the round."""
    return explain(round_, meta, id or "", before) or story(round_, meta)


def _hypothesis(round_: RecordedRound, settings: Drafted, index: int) -> Explanation:
    tree = round_.tree
    nodes = tree.hypotheses[index]
    accepted = sum(i in round_.accepted for i in nodes)
    crossing = sum(tree.merged[i] for i in nodes)
    text = "".join(tree.texts.html[i] for i in nodes)
    merges = f", {counted(crossing, 'merge edge')} among them" if crossing else ""
    said = [f"Hypothesis {index + 1}: {counted(len(nodes), 'token')} from the root to a leaf{merges}."]
    if accepted == len(nodes):
        said.append("<b>Accepted to its end.</b>")
    else:
        at, other = nodes[accepted - 1] if accepted else 0, nodes[accepted]
        followed = f"The target followed it for <b>{counted(accepted, 'token')}</b>. Then "
        ended = round_.verdicts[other] == AFTER_END
        said.append(f"{followed}the text ended." if ended else f"{followed}it wanted "
                    f"{tree.choice_texts.html[at]} (p = {percent(tree.choice_logp[at])}), not "
                    f"{tree.texts.html[other]} (p = {percent(tree.target_logp[other])}).")  # fmt: skip
    return Explanation(f"{text} <i>hypothesis</i>", said, {
        "estimate" if settings.estimates else "path q": tree.logq[nodes[-1]]})  # fmt: skip


def _candidate(round_: RecordedRound, settings: Drafted, index: int) -> Explanation:
    decisions = round_.decisions
    value, limit = percent(decisions.values[index]), percent(decisions.limits[index])
    if decisions.rules[index] == "sibling":
        reason = (
            f"q = {value} is below {settings.values['sibling_threshold']:g} × its best sibling's, which is {limit}."
        )
    else:
        reason = f"{value} is below the limit of {limit}."
    parent, rule = round_.graph.texts.html[decisions.parents[index]], raw(decisions.rules[index])
    return Explanation(f"{decisions.texts.html[index]} <i>pruned</i>", [
        f"A candidate after {parent}, dropped by the {rule} rule: {reason}"])  # fmt: skip


def _bonus(round_: RecordedRound) -> Explanation:
    verified = round_.verified_nodes > 0
    nothing = f"Nothing was {'verified' if round_.drafted_nodes else 'drafted'} in this round"
    cost = ("It costs no forward: the one that verified the draft gave it, too." if verified
            else f"{nothing}, so its forward gave this one token.")  # fmt: skip
    word = "bonus" if verified else "the target's own"
    p = percent(round_.tree.choice_logp[round_.last])
    return Explanation(f"{round_.new_texts.html[-1]} <i>{word}</i>",
                       [f"The target's own token after the accepted path, p = {p}. {cost}"])  # fmt: skip
