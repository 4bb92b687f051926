"""What happened to one thing in the graph of a round, in words. HTML, with every token escaped."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from app.components.graph_view import fates
from app.words import code, percent


@dataclass(frozen=True, slots=True)
class Explanation:
    """A heading and paragraphs, as HTML."""

    heading: str
    paragraphs: list[str]


def as_html(found: Explanation) -> str:
    """As one element, read out by screen readers when it changes."""
    paragraphs = "".join(f"<p>{paragraph}</p>" for paragraph in found.paragraphs)
    return f'<div class="words" role="status"><h4>{found.heading}</h4>{paragraphs}</div>'


def explain(step: dict[str, Any], spec: dict[str, Any], id: str) -> Explanation | None:
    """Explain `n7`, `m2`, `c5` or `b` of a round; None where the round has no such thing.

    `step` is a record with its graph, `spec` the run's `RunSpec` as in run.json.
    """
    kind, number = id[:1], id[1:]
    if id == "b" and step["bonus"]:
        return _bonus(step)
    index = int(number) if number.isdecimal() else -1
    sizes = {"n": len(step["graph"]["token"]), "m": len(step["merges"]["node"]), "c": len(step["decisions"]["kind"])}
    if not 0 <= index < sizes.get(kind, 0):
        return None
    if kind == "n":
        return _node(step, spec, index)
    return _merge(step, index) if kind == "m" else _candidate(step, spec, index)


def _node(step: dict[str, Any], spec: dict[str, Any], node: int) -> Explanation:
    graph = step["graph"]
    if node == 0:
        text = "The last committed token. Everything drafted in this round continues from here."
        return Explanation(f"{code(graph['text'][0])} <i>root</i>", [text])
    outcome = fates(step)[node]
    word = {"unverified": "not verified"}.get(outcome, outcome)
    parent = graph["parent"][node]
    drafted = (
        f"Node {node}, depth {graph['depth'][node]}. After {code(graph['text'][parent])} the draft gave it "
        f"<b>q = {percent(graph['logq'][node])}</b>; its path from the root has {percent(graph['path_logq'][node])}."
    )
    paragraphs = [drafted, _why_there(step, spec, node), *_merges_into(step, node), *_verification(step, spec, node)]
    return Explanation(f"{code(graph['text'][node])} <i>{word}</i>", paragraphs)


def _why_there(step: dict[str, Any], spec: dict[str, Any], node: int) -> str:
    """How the candidate became a node, and whether it was expanded."""
    decisions = step["decisions"]
    own = [i for i, n in enumerate(decisions["node"]) if n == node and decisions["kind"][i] != "merged"]
    kinds = {decisions["kind"][i]: i for i in own}
    sentences = []
    if any(decisions["rule"][i] == "cycle" for i in own):
        sentences.append("It matched a node already there, but merging into it would have closed a cycle.")
    if "leaf" in kinds:
        i = kinds["leaf"]
        sentences.append(f"Kept as a leaf by the probability rule: {percent(decisions['value'][i])} is below the "
                         f"limit of {percent(decisions['limit'][i])}, so nothing was drafted behind it.")  # fmt: skip
    elif "capped" in kinds:
        sentences.append(f"Not expanded: it was not among the {spec['drafting']['frontier']} most probable nodes "
                         "of its level (frontier).")  # fmt: skip
    elif step["graph"]["expanded"][node]:
        sentences.append("Added as a new node and expanded: the draft went on from here.")
    else:
        sentences.append("Added as a new node; drafting ended at this level.")
    return " ".join(sentences)


def _merges_into(step: dict[str, Any], node: int) -> list[str]:
    merges, text = step["merges"], step["graph"]["text"]
    return [
        f"<b>Merged:</b> a candidate of {code(text[merges['parent'][i]])} (node {merges['parent'][i]}, "
        f"q = {percent(merges['logq'][i])}) was found to be this node, since {code(merges['ngram_text'][i])} agrees. "
        f"{_shift(merges['depth_shift'][i])}"
        for i, target in enumerate(merges["node"])
        if target == node
    ]


def _verification(step: dict[str, Any], spec: dict[str, Any], node: int) -> list[str]:
    tree = step["tree"]
    copies = [i for i, n in enumerate(tree["node"]) if n == node]
    if not copies:
        return [f"Not verified: the budget of {spec['drafting']['budget']} nodes went to paths that the draft "
                "thought likelier to be reached."]  # fmt: skip
    reached = {0, *step["accepted"]}
    count = "" if len(copies) == 1 else f"It stands in the verified tree {len(copies)} times, once for each way to it. "
    accepted = [i for i in copies if i in reached]
    contested = [i for i in copies if tree["parent"][i] in reached]
    if accepted:
        flat = accepted[0]
        parent = tree["parent"][flat]
        came_from = f", by the merge edge from {code(tree['text'][parent])} (node {tree['node'][parent]})"
        way = came_from if tree["merged"][flat] else ""
        return [f"{count}<b>Accepted</b>{way}: the target picked this very token, with p = "
                f"{percent(tree['target_logp'][flat])}."]  # fmt: skip
    if contested:
        parent = tree["parent"][contested[0]]
        return [f"{count}<b>Rejected:</b> after {code(tree['text'][parent])} the target gave it p = "
                f"{percent(tree['target_logp'][contested[0]])} and picked {code(tree['choice_text'][parent])} "
                f"(p = {percent(tree['choice_logp'][parent])}) instead."]  # fmt: skip
    return [f"{count}<b>Rejected:</b> the walk had left its path before it got here. The target's p for it was "
            f"{percent(tree['target_logp'][copies[0]])}."]  # fmt: skip


def _merge(step: dict[str, Any], index: int) -> Explanation:
    merges, text = step["merges"], step["graph"]["text"]
    parent, node = merges["parent"][index], merges["node"][index]
    tokens = len(merges["ngram"][index])
    tree = step["tree"]
    walked = any(
        tree["merged"][i] and tree["node"][i] == node and tree["node"][tree["parent"][i]] == parent
        for i in step["accepted"]
    )
    agreed = "the token agrees" if tokens == 1 else f"the last {tokens} tokens agree"
    outcome = "The accepted path went through it." if walked else "The accepted path did not go through it."
    return Explanation(f"{code(text[parent])} ⇢ {code(text[node])} <i>merge edge</i>", [
        f"Candidate {code(text[node])} of node {parent} (q = {percent(merges['logq'][index])}) was found to be "
        f"node {node}: {agreed}, {code(merges['ngram_text'][index])}. No node was added; the continuation drafted "
        "there is shared.",
        f"{_shift(merges['depth_shift'][index])} {outcome}",
    ])  # fmt: skip


def _candidate(step: dict[str, Any], spec: dict[str, Any], index: int) -> Explanation:
    decisions = step["decisions"]
    value, limit = percent(decisions["value"][index]), percent(decisions["limit"][index])
    if decisions["rule"][index] == "sibling":
        share = spec["drafting"]["sibling_threshold"]
        reason = f"q = {value} is below {share:g} × its best sibling's, which is {limit}."
    else:
        reason = f"{value} is below the limit of {limit}."
    parent = step["graph"]["text"][decisions["parent"][index]]
    return Explanation(f"{code(decisions['text'][index])} <i>pruned</i>", [
        f"A candidate after {code(parent)}, dropped by the {decisions['rule'][index]} rule: {reason}"])  # fmt: skip


def _bonus(step: dict[str, Any]) -> Explanation:
    last = step["accepted"][-1] if step["accepted"] else 0
    drafted = step["drafted_nodes"] > 0
    cost = ("It costs no forward: the one that verified the draft gave it, too." if drafted
            else "Nothing was drafted in this round, so its forward gave this one token.")  # fmt: skip
    word = "bonus" if drafted else "the target's own"
    p = percent(step["tree"]["choice_logp"][last])
    return Explanation(f"{code(step['new_texts'][-1])} <i>{word}</i>",
                       [f"The target's own token after the accepted path, p = {p}. {cost}"])  # fmt: skip


def _shift(shift: int) -> str:
    if shift == 0:
        return "Both stand at the same depth."
    levels = f"{abs(shift)} level{'s' if abs(shift) > 1 else ''}"
    return f"Along the new edge it comes {levels} {'later' if shift < 0 else 'earlier'} than where it was drafted."
