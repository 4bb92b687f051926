"""What happened to a node of a round's graph, in words. HTML; texts of tokens come escaped from the round."""

from __future__ import annotations

from collections.abc import Sequence

from analysis.explain_draws import tests_of_draws
from analysis.explain_merge import choice_number, merges_into
from analysis.explanation import Drafted, Explanation, raw
from analysis.faces import face, fates
from analysis.sources import is_found, matched_tokens
from analysis.words import percent
from gsd.drafting.graph import tree_path
from gsd.trace.parts import GraphColumns
from gsd.trace.recorded_round import AFTER_END, RecordedRound


def explain_node(round_: RecordedRound, settings: Drafted, node: int, before: Sequence[int]) -> Explanation:
    """How a node came into the graph, and what the target made of it; `before` as of `explain`."""
    graph = round_.graph
    if node == 0:
        text = "The last committed token. Everything drafted in this round continues from here."
        return Explanation(f"{graph.texts.html[0]} <i>root</i>", [text])
    outcome = fates(round_, face(round_))[node]
    q = round_.draft_logq[node]
    found = is_found(graph.sources[node])
    looked_up = _found(round_, settings, node, before) if found else ""
    drafted = _drafted(round_, node, q) if settings.asks or not found else ""
    paragraphs = [
        f"Node {node}, depth {raw(graph.depths[node])}, token id {raw(graph.tokens[node])}. {looked_up}{drafted}",
        _why_there(round_, settings, node),
        *merges_into(round_, settings, node),
        *_verification(round_, settings, node),
    ]
    measures: dict[str, float | None] = {"estimate": graph.logq[node]} if found else {}
    measures |= {} if q is None else {"q": q}
    measures |= {"path estimate" if _looked_up_before(graph, node) else "path q": graph.path_logq[node]}
    flat = face(round_).flat[node]
    if flat >= 0:
        measures["p"] = round_.tree.target_logp[flat]
    return Explanation(f"{graph.texts.html[node]} <i>{outcome}</i>", paragraphs, measures)


def _found(round_: RecordedRound, settings: Drafted, node: int, before: Sequence[int]) -> str:
    """Where a node was looked up, and what that was held to be worth; by the method's own words, where it has some."""
    graph = round_.graph
    source, start = graph.sources[node], node
    where = settings.sources.get(source, raw(source))
    if "found" in settings.reasons:
        worth = percent(graph.logq[node])
        return f"<b>Found {where}</b>; {settings.reasons['found']} it was estimated at {worth}. "
    while graph.sources[start] in (source, "lookup"):  # what was rejected is looked up last, and runs along
        start = graph.parents[start]
    drafted = [graph.tokens[one] for one in tree_path(graph.parents, start)]
    matched = matched_tokens(before, drafted) if source == "lookup" else None
    tokens = "tokens" if not matched else "token" if matched == 1 else f"{matched} tokens"
    same = f"the same last {tokens}"
    same += f" up to {graph.texts.html[start]}" if start else ""
    number = graph.depths[node] - graph.depths[start]
    place = "" if number == 1 else f", as number {number} of what follows there"
    return (f"<b>Found {where}</b>, behind {same}{place}; by how often such finds came true it was estimated at "
            f"{percent(graph.logq[node])}. ")  # fmt: skip


def _drafted(round_: RecordedRound, node: int, q: float | None) -> str:
    """What the draft said of a node."""
    graph = round_.graph
    parent, found = graph.parents[node], is_found(graph.sources[node])
    if q is not None:
        asked = "Asked afterwards, " if found else ""
        return (f"{asked}{'after' if asked else 'After'} {graph.texts.html[parent]} the draft gave it "
                f"<b>q = {percent(q)}</b>{choice_number(round_, parent, graph.tokens[node])}.")  # fmt: skip
    if graph.expanded[parent]:
        return f"Asked afterwards, the draft did not think of it after {graph.texts.html[parent]}."
    return "The draft was not asked about it."


def _looked_up_before(graph: GraphColumns, node: int) -> bool:
    """Whether a node or one on its tree path was looked up, so that estimates stand in for q there."""
    while node and not is_found(graph.sources[node]):
        node = graph.parents[node]
    return node > 0


def _why_there(round_: RecordedRound, settings: Drafted, node: int) -> str:
    """How the candidate became a node, and whether it was expanded."""
    decisions = round_.decisions
    own = [i for i, n in enumerate(decisions.nodes) if n == node and decisions.kinds[i] != "merged"]
    kinds = {decisions.kinds[i]: i for i in own}
    sentences = []
    if any(decisions.rules[i] == "cycle" for i in own):
        sentences.append("It matched a node already there, but merging into it would have closed a cycle.")
    if "leaf" in kinds:
        i = kinds["leaf"]
        sentences.append(f"Kept as a leaf by the probability rule: {percent(decisions.values[i])} is below the "
                         f"limit of {percent(decisions.limits[i])}, so nothing was drafted behind it.")  # fmt: skip
    elif "capped" in kinds:
        sentences.append(f"Not expanded: it was not among the {settings.values['frontier']} most probable nodes of its "
                         "level (frontier).")  # fmt: skip
    elif round_.graph.expanded[node]:
        sentences.append("Added as a new node and expanded: the draft went on from here.")
    else:
        sentences.append(settings.reasons["unexpanded"])
    return " ".join(sentences)


def _verification(round_: RecordedRound, settings: Drafted, node: int) -> list[str]:
    tree = round_.tree
    copies = [i for i, n in enumerate(tree.nodes) if n == node]
    if not copies:
        return [settings.reasons["unverified"]]
    count = "" if len(copies) == 1 else f"It stands in the verified tree {len(copies)} times, once for each way to it. "
    accepted = [i for i in copies if i in round_.reached]
    became, drawn = round_.verdicts, face(round_).flat[node]
    contested = [i for i in copies if tree.parents[i] in round_.reached and became[i] != AFTER_END]
    if became[drawn] == AFTER_END:
        return [f"{count}<b>After the end:</b> the text had ended here, with {tree.texts.html[round_.last]}. So it was "
                "neither accepted nor rejected."]  # fmt: skip
    if (accepted or contested) and (tests := tests_of_draws(round_, (accepted or contested)[0])):
        return tests
    if accepted:
        flat = accepted[0]
        parent = tree.parents[flat]
        came_from = f", by the merge edge from {tree.texts.html[parent]} (node {raw(tree.nodes[parent])})"
        way = came_from if tree.merged[flat] else ""
        return [f"{count}<b>Accepted</b>{way}: the target picked this very token, with p = "
                f"{percent(tree.target_logp[flat])}."]  # fmt: skip
    if contested:
        parent = tree.parents[contested[0]]
        return [f"{count}<b>Rejected:</b> after {tree.texts.html[parent]} the target gave it p = "
                f"{percent(tree.target_logp[contested[0]])} and picked {tree.choice_texts.html[parent]} "
                f"(p = {percent(tree.choice_logp[parent])}) instead."]  # fmt: skip
    return [f"{count}<b>Rejected:</b> the walk had left its path before it got here. The target's p for it was "
            f"{percent(tree.target_logp[drawn])}."]  # fmt: skip
