"""What happened in a round, in words. HTML; texts of tokens come escaped from the round."""

from __future__ import annotations

from collections import Counter
from typing import Any

from analysis.explain_draws import residual_of_draws
from analysis.explanation import Drafted, Explanation, drafted_by, raw
from analysis.faces import unrolled_nodes
from analysis.words import percent
from gsd.trace.recorded_round import RecordedRound
from gsd.wording import counted


def story(round_: RecordedRound, meta: dict[str, Any]) -> Explanation:
    """What happened in a round, from the draft to the target's own token."""
    settings = drafted_by(meta)
    if not round_.drafted_nodes:
        why = settings.reasons["undrafted"]
        return Explanation("Nothing was drafted", [f"{why} The target's forward gave one token, its own.".strip()])
    drafted = _proposed(round_, settings)
    if round_.merged:
        unrolled = counted(unrolled_nodes(round_, settings.depth), "node")
        drafted += (f" {counted(round_.merged, 'candidate')} merged into a node already there; unrolled, each path "
                    f"for itself, the graph holds {unrolled}.")  # fmt: skip
    if not round_.verified_nodes:
        return Explanation(_gain(round_), [drafted, settings.reasons["none verified"],
                                         _end_of_walk(round_, settings)])  # fmt: skip
    verified = f"The target looked at <b>{raw(round_.verified_nodes)}</b> in one forward"
    verified += ", a merged node once for each path to it" if round_.merged else ""
    budget = settings.values.get("budget")
    verified += f"; the budget of {budget} allows no more." if round_.verified_nodes == budget else "."
    return Explanation(_gain(round_), [drafted, verified, _end_of_walk(round_, settings)])


def _proposed(round_: RecordedRound, settings: Drafted) -> str:
    """How many nodes there were, and who brought them."""
    sources = Counter(round_.graph.sources)
    said = []
    if round_.graph.levels:
        times = f"{'in' if settings.estimates else 'on'} {counted(round_.graph.levels, settings.reasons['asked'])}"
        said.append(f"The draft proposed <b>{counted(sources['draft'], 'node')}</b> {times}.")
    said += [f"<b>{counted(sources[source], 'node')}</b> {'was' if sources[source] == 1 else 'were'} found {where}."
             for source, where in settings.sources.items() if sources[source]]  # fmt: skip
    return " ".join(said)


def _gain(round_: RecordedRound) -> str:
    accepted, bonus = len(round_.accepted), " and one of the target's own" if round_.bonus else ""
    return f"{counted(accepted, 'drafted token')} accepted{bonus}" if accepted else "No drafted token accepted"


def _end_of_walk(round_: RecordedRound, settings: Drafted) -> str:
    """Why the accepted path ended where it did."""
    tree, last = round_.tree, round_.last
    offered = [i for i, parent in enumerate(tree.parents) if parent == last]
    if not round_.bonus:
        return "The text ended there."
    wanted = f"{tree.choice_texts.html[last]} (p = {percent(tree.choice_logp[last])})"
    place = "At the root" if last == 0 else f"After {tree.texts.html[last]}"
    if not offered:
        return f"{place} nothing was left to verify; the target went on with {wanted}, its own."
    if residual := residual_of_draws(round_):
        return residual
    best = max(offered, key=lambda i: tree.logq[i])
    share = percent(tree.logq[best] - tree.logq[last])
    share = f"estimated at {share}" if settings.estimates else f"q = {share}"
    return (f"{place} the target wanted {wanted}, which was not among what it was shown; likeliest there was "
            f"{tree.texts.html[best]} ({share}).")  # fmt: skip
