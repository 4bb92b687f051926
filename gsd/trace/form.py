"""Check that a trace has the form of docs/trace.md, for runs from elsewhere. Views rely on it afterwards.

Indices, numbers and texts have their types, paths end, and graphs have no cycle. Unknown keys are ignored. A run that
was recorded here needs no check.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

from gsd.errors import TraceError
from gsd.methods.base import REASONS
from gsd.trace.parts import DecisionColumns, DrawColumns, GraphColumns, MergeColumns, Milliseconds, TreeColumns
from gsd.trace.read import UNREADABLE, RunTrace
from gsd.trace.recorded_round import RecordedRound
from gsd.trace.texts import Texts

MOST_NODES = 1 << 17  # of a round; a graph of the widest settings that pays has some hundreds
MOST_COUNT = 2**53  # that every reader holds exactly
MOST_LOG = 0.01  # log of a probability, with room for rounding
COUNTS = ("rounds", "draft_forwards", "target_forwards", "drafted_nodes", "verified_nodes", "merges")
IDENTITY = ("architecture", "parameters", "layers", "vocab_size")  # not the source: a local folder has another path
STATUS = ("complete", "cancelled", "failed")
_WORD = re.compile(r"[a-z0-9_-]{0,32}")
Check = Callable[[Any], bool]


class _Wrong(Exception):
    """What is not as it should be, in a few words."""


def check_run(run: RunTrace, *, whole: bool = True) -> RunTrace:
    """Check a run. Raises `TraceError` with one line that says what is wrong.

    With `whole` no line before its end may be missing or unreadable.
    """
    place = "events.jsonl"
    try:
        _need(not whole or not any(UNREADABLE in note for note in run.notes), "; ".join(run.notes))
        place = "run.json"
        _check_head(run.meta)
        before, position = -1, len(run.meta["prompt_tokens"]) - 1
        for number, round_ in enumerate(run.rounds, 1):
            place = f"round {number} of events.jsonl"
            _check_round(round_)
            gap = (round_.number - before - 1, round_.position - position)
            _need(gap == (0, 0) or (not whole and min(gap) >= 0), "it does not follow from what is before")
            before, position = round_.number, round_.position + len(round_.new_tokens)
        if run.end is not None:
            place = "the end line"
            _check_end(run.end)
    except (_Wrong, LookupError, TypeError, AttributeError, RecursionError) as error:
        reason = str(error) if isinstance(error, _Wrong) else f"{type(error).__name__}: {error}"
        raise TraceError(f"{run.folder}: not a trace of gsd ({place}: {reason[:200]}); leave it out") from None
    return run


def _check_round(round_: RecordedRound) -> None:
    """One round by itself."""
    _need(_is_count(round_.number) and _is_count(round_.position), "round or position is no count")
    for name in ("drafted_nodes", "verified_nodes", "merged", "draft_forwards", "target_forwards"):
        _need(_is_count(getattr(round_, name)), f"{name} is no count")
    _need(all(_is_number(getattr(round_.ms, one.name)) for one in fields(Milliseconds)), "ms are no milliseconds")
    _need(round_.stop is None or _is_word(round_.stop), "stop is no word")
    _columns(vars(round_), "the new tokens", {"new_tokens": _is_count, "new_texts": _is_text, "origins": _is_word})
    accepted, bonus = round_.accepted, round_.bonus
    _need(isinstance(bonus, bool) and isinstance(accepted, list), "accepted or bonus is none")
    _need(len(round_.new_tokens) == len(accepted) + bonus, "accepted and new tokens do not go together")
    if round_.detailed:
        _check_graph(round_.graph, round_.merges, round_.decisions)
        _check_tree(round_.tree, round_.graph, round_.merges, accepted)
        _check_draws(round_.draws, round_.tree)
    else:
        parts = (round_.merges, round_.decisions, round_.tree, round_.draws)
        _need(not any(parts), "a round without a graph has merges, a tree or draws")
        _need(all(map(_is_count, accepted)), "accepted are no nodes")


def _check_graph(graph: GraphColumns, merges: MergeColumns, decisions: DecisionColumns) -> None:
    count = _columns(vars(graph), "graph", {
        "tokens": _is_count, "texts": _is_text, "parents": _is_index, "depths": _is_count, "logq": _is_log,
        "path_logq": _is_log, "sources": _is_word, "expanded": _is_flag, "forwards": _is_count})  # fmt: skip
    _need(0 < count <= MOST_NODES, f"a graph of {count:,} nodes")
    _need(graph.sources[0] == "root", "node 0 is no root")
    _check_parents(graph.parents, "graph")
    _columns(vars(merges), "merges", {"parents": _index(count), "nodes": _index(count), "logq": _is_log,
                                      "depth_shifts": _is_index, "ngram_texts": _is_text,
                                      "ngrams": _is_ngram})  # fmt: skip
    _columns(vars(decisions), "decisions", {
        "parents": _index(count), "tokens": _is_count, "texts": _is_text, "logq": _is_log, "kinds": _is_word,
        "nodes": _index(count, -1), "rules": _is_word, "values": _is_log, "limits": _is_log})  # fmt: skip
    _check_acyclic(graph.parents, merges)


def _check_tree(tree: TreeColumns, graph: GraphColumns, merges: MergeColumns, accepted: list[Any]) -> None:
    count = _columns(vars(tree), "tree", {
        "tokens": _is_count, "texts": _is_text, "nodes": _index(len(graph)), "parents": _is_index,
        "depths": _is_count, "merged": _is_flag, "logq": _is_log, "target_logp": _is_log, "choices": _is_count,
        "choice_texts": _is_text, "choice_logp": _is_log})  # fmt: skip
    _need(0 < count <= MOST_NODES and tree.nodes[0] == 0, "a tree without a root, or with too many nodes")
    _check_parents(tree.parents, "tree")
    joined = set(merges.edges)
    for node, parent, merged in zip(tree.nodes[1:], tree.parents[1:], tree.merged[1:]):
        above = tree.nodes[parent]
        _need((above, node) in joined if merged else graph.parents[node] == above, "the tree has edges of its own")
    last = 0
    for flat in accepted:
        _need(_index(count)(flat) and tree.parents[flat] == last and flat > 0, "accepted is no path of the tree")
        last = flat


def _check_draws(draws: DrawColumns, tree: TreeColumns) -> None:
    _columns(vars(draws), "draws", {
        "parents": _index(len(tree)), "ranks": _is_count, "tokens": _is_count, "texts": _is_text, "u": _is_share,
        "p": _is_share, "q": _is_share, "verdicts": _is_word})  # fmt: skip
    for row in range(len(draws)):
        numbers = (draws.u[row], draws.p[row], draws.q[row])
        _need(numbers.count(None) in (0, 3) and draws.q[row] != 0.0, "a draw is tested in part, or by q = 0")


def _check_acyclic(parents: list[int], merges: MergeColumns) -> None:
    """No way along tree and merge edges leads back; without a merge edge there is none, as parents come first."""
    if not merges.nodes:
        return
    children: list[list[int]] = [[] for _ in parents]
    above = [0] * len(parents)
    for parent, node in (*zip(parents[1:], range(1, len(parents))), *merges.edges):
        children[parent].append(node)
        above[node] += 1
    free, seen = [node for node, count in enumerate(above) if not count], 0
    while free:
        seen += 1
        for child in children[free.pop()]:
            above[child] -= 1
            if not above[child]:
                free.append(child)
    _need(seen == len(parents), "its merge edges close a cycle")


def _check_parents(parents: list[int], what: str) -> None:
    _need(parents[0] == -1 and all(0 <= parent < node for node, parent in enumerate(parents[1:], 1)),
          f"{what}.parent: a node comes before its parent")  # fmt: skip


def _check_head(meta: Mapping[str, Any]) -> None:
    for name in ("run", "created", "digest"):
        _need(_is_text(meta[name]), f"{name} is no text")
    _columns(meta, "the prompt", {"prompt_tokens": _is_count, "prompt_texts": _is_text})
    _need(bool(meta["prompt_tokens"]) and _is_column(meta["eos"], None, _is_count), "no prompt, or eos are no tokens")
    for name in ("target", "draft"):
        model = meta[name]
        known = _is_flat(model) and _is_text(model["source"]) and model.keys() >= {*IDENTITY}
        _need(known or (name == "draft" and model is None), f"{name} is no model")
    _need(_is_column(meta.get("notes", []), None, _is_text), "notes are no lines")
    _check_method(meta["method"])
    for name in ("versions", "machine"):
        _need(_is_flat(meta.get(name, {})), f"{name} are no names with values")


def _check_method(told: Any) -> None:
    """What a method says of itself, which may be one that is not installed."""
    _need(isinstance(told, dict) and all(_is_word(told.get(name)) for name in ("name", "keeps", "judges")),
          "the method does not say its name, what it keeps and what it judges by")  # fmt: skip
    _need(all(isinstance(told.get(name), bool) for name in ("fixed_work", "replayed")), "the method's flags are none")
    for part in ("sources", "reasons"):
        _need(_is_flat(told.get(part)) and all(map(_is_text, told[part].values())), f"the method's {part} are no texts")
    _need(told["reasons"].keys() >= REASONS.keys(), f"the method lacks reasons: {', '.join(sorted(REASONS))}")


def _check_end(end: Mapping[str, Any]) -> None:
    _need(end["status"] in STATUS, f"status {end['status']!r}")
    _need(end["stop"] is None or _is_word(end["stop"]), "stop is no word")
    _need(all(end.get(name) is None or _is_text(end[name]) for name in ("text", "error")), "text or error is no text")
    for name in ("totals", "baseline"):
        values = end[name]
        _need(values is None or all(value is None or _is_flag(value) or _is_number(value) for value in values.values()),
              f"{name} are no numbers")  # fmt: skip
    _need(_is_column(end.get("notes", []), None, _is_text), "notes are no lines")
    counted = isinstance(end["totals"], dict) and all(_is_count(end["totals"].get(name)) for name in COUNTS)
    _need(end["status"] == "failed" or counted, "it has no totals")


def _columns(table: Mapping[str, Any], what: str, checks: Mapping[str, Check]) -> int:
    """How many rows a part has whose columns must be equally long."""
    first = table[next(iter(checks))]
    _need(isinstance(first, list), f"{what} has no columns")
    for name, check in checks.items():
        values = table[name].raw if isinstance(table[name], Texts) else table[name]
        _need(_is_column(values, len(first), check), f"{what}: {name}")
    return len(first)


def _is_column(values: Any, count: int | None, check: Check) -> bool:
    return isinstance(values, list) and count in (None, len(values)) and all(map(check, values))


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < MOST_COUNT


def _is_index(value: Any) -> bool:
    return type(value) is int and -MOST_COUNT < value < MOST_COUNT


def _index(count: int, least: int = 0) -> Check:
    return lambda value: type(value) is int and least <= value < count


def _is_flag(value: Any) -> bool:
    return value is True or value is False


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) < MOST_COUNT  # which neither NaN nor infinity is


def _is_log(value: Any) -> bool:
    return value is None or (type(value) in (int, float) and math.isfinite(value) and value <= MOST_LOG)


def _is_share(value: Any) -> bool:
    return value is None or (type(value) in (int, float) and 0.0 <= value <= 1.0 + MOST_LOG)


def _is_text(value: Any) -> bool:
    """Text that can be written as UTF-8: JSON can hold halves of characters."""
    return isinstance(value, str) and (value.isascii() or not any("\ud800" <= char <= "\udfff" for char in value))


def _is_word(value: Any) -> bool:
    return isinstance(value, str) and _WORD.fullmatch(value) is not None


def _is_ngram(value: Any) -> bool:
    return _is_column(value, None, _is_count) and len(value) > 0


def _is_flat(value: Any) -> bool:
    """Names with plain values, or lists of texts."""
    return isinstance(value, dict) and all(
        one is None or _is_flag(one) or _is_number(one) or _is_text(one) or _is_column(one, None, _is_text)
        for one in value.values()
    )


def _need(holds: bool, words: str) -> None:
    if not holds:
        raise _Wrong(words)
