"""Explain in words what happened to one thing in the graph of a round. HTML, with escaped token texts."""

from __future__ import annotations

import html
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from analysis.faces import face, fates, shared_by_merges, unrolled_nodes
from analysis.sources import is_found, matched_tokens
from analysis.words import percent
from gsd.drafting.graph import tree_path
from gsd.trace.parts import GraphColumns
from gsd.trace.recorded_round import AFTER_END, RecordedRound


@dataclass(frozen=True, slots=True)
class Explanation:
    """A heading, probabilities by name as natural logs (None: log 0), and paragraphs; all text as HTML."""

    heading: str
    paragraphs: list[str]
    measures: dict[str, float | None] = field(default_factory=dict)


def as_html(found: Explanation) -> str:
    """As one element, read out by screen readers when it changes."""
    bars = "".join(
        f'<span>{name}</span><i style="--share:{_share(logp):.4f}"></i><b>{percent(logp)}</b>'
        for name, logp in found.measures.items()
        if logp is None or not math.isnan(logp)
    )
    measures = f'<div class="measures">{bars}</div>' if bars else ""
    paragraphs = "".join(f"<p>{paragraph}</p>" for paragraph in found.paragraphs)
    return f'<div class="words" role="status"><h4>{found.heading}</h4>{measures}{paragraphs}</div>'


def _share(logp: float | None) -> float:
    return 0.0 if logp is None else math.exp(logp)


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
        return _node(round_, drafted_by(meta), index, before)
    if kind == "h":
        return _hypothesis(round_, drafted_by(meta), index)
    return _merge(round_, drafted_by(meta), index) if kind == "m" else _candidate(round_, drafted_by(meta), index)


def tell(round_: RecordedRound, meta: dict[str, Any], id: str | None, before: Sequence[int] = ()) -> Explanation:
    """Explain what is selected, or else the round."""
    return explain(round_, meta, id or "", before) or story(round_, meta)


@dataclass(frozen=True, slots=True)
class Drafted:
    """The drafting of a run: its settings, and the texts of its method, escaped."""

    values: dict[str, Any]
    sources: dict[str, str]  # beside the draft
    reasons: dict[str, str]
    judges: str

    @property
    def estimates(self) -> bool:
        """Whether the verified tree stands by estimates of the method's own, not by q."""
        return self.judges != "q"

    @property
    def depth(self) -> int:
        """Levels at most; 0 of a method that has none."""
        return self.values.get("depth", 0)


def drafted_by(meta: dict[str, Any]) -> Drafted:
    """The drafting of a run, from its run.json."""
    told = meta["method"]
    sources, reasons = ({name: _raw(text) for name, text in told[part].items()} for part in ("sources", "reasons"))
    sources.pop("draft", None)
    return Drafted(meta["spec"]["drafting"], sources, reasons, told["judges"])


def story(round_: RecordedRound, meta: dict[str, Any]) -> Explanation:
    """Tell a round, from the draft to the target's own token."""
    settings = drafted_by(meta)
    if not round_.drafted_nodes:
        why = settings.reasons["undrafted"]
        return Explanation("Nothing was drafted", [f"{why} The target's forward gave one token, its own.".strip()])
    drafted = _proposed(round_, settings)
    if round_.merged:
        unrolled = _counted(unrolled_nodes(round_, settings.depth), "node")
        drafted += (f" {_counted(round_.merged, 'candidate')} merged into a node already there; unrolled, each path "
                    f"for itself, the graph holds {unrolled}.")  # fmt: skip
    if not round_.verified_nodes:
        return Explanation(_gain(round_), [drafted, settings.reasons["none verified"],
                                         _end_of_walk(round_, settings)])  # fmt: skip
    verified = f"The target looked at <b>{_raw(round_.verified_nodes)}</b> in one forward"
    verified += ", a merged node once for each path to it" if round_.merged else ""
    budget = settings.values.get("budget")
    verified += f"; the budget of {budget} allows no more." if round_.verified_nodes == budget else "."
    return Explanation(_gain(round_), [drafted, verified, _end_of_walk(round_, settings)])


def _proposed(round_: RecordedRound, settings: Drafted) -> str:
    """How many nodes there were, and who brought them."""
    sources = Counter(round_.graph.sources)
    said = []
    if round_.graph.levels:
        times = f"{'in' if settings.estimates else 'on'} {_counted(round_.graph.levels, settings.reasons['asked'])}"
        said.append(f"The draft proposed <b>{_counted(sources['draft'], 'node')}</b> {times}.")
    said += [f"<b>{_counted(sources[source], 'node')}</b> {'was' if sources[source] == 1 else 'were'} found {where}."
             for source, where in settings.sources.items() if sources[source]]  # fmt: skip
    return " ".join(said)


def _gain(round_: RecordedRound) -> str:
    accepted, bonus = len(round_.accepted), " and one of the target's own" if round_.bonus else ""
    return f"{_counted(accepted, 'drafted token')} accepted{bonus}" if accepted else "No drafted token accepted"


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
    best = max(offered, key=lambda i: tree.logq[i])
    share = percent(tree.logq[best] - tree.logq[last])
    share = f"estimated at {share}" if settings.estimates else f"q = {share}"
    return (f"{place} the target wanted {wanted}, which was not among what it was shown; likeliest there was "
            f"{tree.texts.html[best]} ({share}).")  # fmt: skip


def _node(round_: RecordedRound, settings: Drafted, node: int, before: Sequence[int]) -> Explanation:
    graph = round_.graph
    if node == 0:
        text = "The last committed token. Everything drafted in this round continues from here."
        return Explanation(f"{graph.texts.html[0]} <i>root</i>", [text])
    outcome = fates(round_, face(round_))[node]
    q = round_.draft_logq[node]
    found = is_found(graph.sources[node])
    paragraphs = [
        f"Node {node}, depth {_raw(graph.depths[node])}, token id {_raw(graph.tokens[node])}. "
        f"{_found(round_, settings, node, before) if found else ''}{_drafted(round_, node, q)}",
        _why_there(round_, settings, node),
        *_merges_into(round_, settings, node),
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
    """Where a node was looked up, and what that was held to be worth."""
    graph = round_.graph
    source, start = graph.sources[node], node
    while graph.sources[start] in (source, "lookup"):  # what was rejected is looked up last, and runs along
        start = graph.parents[start]
    drafted = [graph.tokens[one] for one in tree_path(graph.parents, start)]
    matched = matched_tokens(before, drafted) if source == "lookup" else None
    same = f"the same last {matched} tokens" if matched else "the same last tokens"
    same += f" up to {graph.texts.html[start]}" if start else ""
    number = graph.depths[node] - graph.depths[start]
    place = "" if number == 1 else f", as number {number} of what follows there"
    where = settings.sources.get(source, _raw(source))
    return (f"<b>Found {where}</b>, behind {same}{place}; by how often such finds came true it was estimated at "
            f"{percent(graph.logq[node])}. ")  # fmt: skip


def _drafted(round_: RecordedRound, node: int, q: float | None) -> str:
    """What the draft said of a node."""
    graph = round_.graph
    parent, found = graph.parents[node], is_found(graph.sources[node])
    if q is not None:
        asked = "Asked afterwards, " if found else ""
        return (f"{asked}{'after' if asked else 'After'} {graph.texts.html[parent]} the draft gave it "
                f"<b>q = {percent(q)}</b>{_rank(round_, parent, graph.tokens[node])}.")  # fmt: skip
    if graph.expanded[parent]:
        return f"Asked afterwards, the draft did not think of it after {graph.texts.html[parent]}."
    return "The draft was not asked about it."


def _looked_up_before(graph: GraphColumns, node: int) -> bool:
    """Whether a node or one on its tree path was looked up, so that estimates stand in for q there."""
    while node and not is_found(graph.sources[node]):
        node = graph.parents[node]
    return node > 0


def _rank(round_: RecordedRound, parent: int, token: int) -> str:
    """Which choice of the draft a candidate was; candidates stand by falling q."""
    decisions = round_.decisions
    row = [decisions.tokens[i] for i, one in enumerate(decisions.parents)
           if one == parent and decisions.kinds[i] != "capped"]  # fmt: skip
    return f", its choice number {row.index(token) + 1} of {len(row)}" if token in row else ""


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


def _merges_into(round_: RecordedRound, settings: Drafted, node: int) -> list[str]:
    merges, texts = round_.merges, round_.graph.texts.html
    if node not in merges.nodes:
        return []
    shared = shared_by_merges(round_, settings.depth)
    return [
        f"<b>Merged into it:</b> a candidate of {texts[merges.parents[i]]} (node {_raw(merges.parents[i])}, "
        f"q = {percent(merges.logq[i])}): {_agreed(round_, i)}. {_shared(shared[i])} "
        f"{_shift(merges.depth_shifts[i])}"
        for i, target in enumerate(merges.nodes)
        if target == node
    ]


def _agreed(round_: RecordedRound, index: int) -> str:
    """Which tokens made a candidate be a node already there."""
    merges = round_.merges
    tokens = len(merges.ngrams[index])
    same = "same token" if tokens == 1 else f"same last {tokens} tokens"
    return f"{same} {merges.ngram_texts.html[index]}"


def _shared(nodes: int) -> str:
    return f"They share {_counted(nodes, 'node')}" + (": its own and those behind it." if nodes > 1 else ".")


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


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
    if accepted:
        flat = accepted[0]
        parent = tree.parents[flat]
        came_from = f", by the merge edge from {tree.texts.html[parent]} (node {_raw(tree.nodes[parent])})"
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


def _merge(round_: RecordedRound, settings: Drafted, index: int) -> Explanation:
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
    measures: dict[str, float | None] = {"q": merges.logq[index]}
    if flat:
        measures["p"] = tree.target_logp[flat[0]]
    return Explanation(f"{texts[parent]} ⇢ {texts[node]} <i>merge edge</i>", [
        f"The candidate {texts[node]} after node {parent}{_rank(round_, parent, round_.graph.tokens[node])}, was "
        f"merged into <b>node {node}</b>: {_agreed(round_, index)}.",
        f"{_shared(shared)} {_shift(merges.depth_shifts[index])} {outcome}",
    ], measures)  # fmt: skip


def _hypothesis(round_: RecordedRound, settings: Drafted, index: int) -> Explanation:
    tree = round_.tree
    nodes = tree.hypotheses[index]
    accepted = sum(i in round_.accepted for i in nodes)
    crossing = sum(tree.merged[i] for i in nodes)
    text = "".join(tree.texts.html[i] for i in nodes)
    merges = f", {_counted(crossing, 'merge edge')} among them" if crossing else ""
    said = [f"Hypothesis {index + 1}: {_counted(len(nodes), 'token')} from the root to a leaf{merges}."]
    if accepted == len(nodes):
        said.append("<b>Accepted to its end.</b>")
    else:
        at, other = nodes[accepted - 1] if accepted else 0, nodes[accepted]
        followed = f"The target followed it for <b>{_counted(accepted, 'token')}</b>. Then "
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
    parent, rule = round_.graph.texts.html[decisions.parents[index]], _raw(decisions.rules[index])
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


def _raw(value: object) -> str:
    """A recorded number or word, as HTML: a trace may hold anything in its place."""
    return html.escape(str(value))


def _shift(shift: int) -> str:
    if shift == 0:
        return "Both stand at the same depth."
    levels = f"{abs(shift)} level{'s' if abs(shift) > 1 else ''}"
    return f"Along the new edge it comes {levels} {'later' if shift < 0 else 'earlier'} than where it was drafted."
