"""One round of a run under other settings, from its own recording: nothing is guessed, no model is asked.

A round's decisions hold every candidate of every node that was expanded, so its drafter's own rules can
grow the graph again under narrower settings. The text that the run went on with is the target's whatever
is drafted (fixed seed), so it says what would have been accepted. A node whose continuation was never
drafted is never guessed at, nor is the text behind the last round of a run that was cut off or is still
going: the setting is then not covered.

Method auto went by its times, which cannot be had again: of its rounds it is told what method graph would have
done, from the same candidates of the draft and without what was looked up.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import Any

from analysis.faces import levels
from analysis.replay import Replayer, Step
from analysis.rounds import expanded_in
from gsd.drafting.graph import TokenGraph, tree_path
from gsd.errors import InputError
from gsd.lab.atlas import Atlas, AtlasText, Bounds, DraftTree, Regrowth
from gsd.methods import MethodSettings, drafting, read_by

MOST = 1024  # levels and nodes to which no bound is set
BROKEN_OFF = (None, "cancelled")  # what the last round of a run says whose text would have gone on


@dataclass(frozen=True, slots=True)
class Counts:
    """What a round did."""

    accepted: int
    drafted: int
    verified: int
    merges: int
    levels: int  # each a draft forward


@dataclass(frozen=True, slots=True)
class Changed:
    """A round before and after. `step`: a record of both graphs, verified and accepted as after.

    `marks`: `lost` or `gained` for each node of `step`, empty where it is in both. Ids of recorded nodes stay;
    probabilities that the run did not record are NaN.
    """

    step: dict[str, Any]
    marks: list[str]
    before: Counts
    after: Counts


@dataclass(frozen=True, slots=True)
class Uncovered:
    """The setting needs what a model says after these texts, which this run does not hold.

    `model` is `draft`, which was never asked there, or `target`: the run's text breaks off there.
    """

    texts: list[str]
    model: str = "draft"


class StepReplay:
    """One round of a run, ready to be grown again. Raises `InputError` where its recording cannot be.

    `start`  the settings to begin with: the run's own, or of method auto the default ones
    `most`   the same with width, depth and frontier as far as the recording may reach
    """

    def __init__(self, meta: dict[str, Any], steps: list[dict[str, Any]], index: int) -> None:
        self._record = steps[index]
        self._texts = _texts(meta, steps)
        if self._record["graph"] is None:
            raise InputError("this run recorded counts alone: record every node (detail: full) to ask what if")
        if meta["draft"] is None:
            raise InputError("this run drafted nothing: open one of the graph, tree or chain method to ask what if")
        self.start, self.most = _settings(meta, self._record)
        self._tree = _draft_tree(self._record)
        self._text = _rest_of_text(meta, steps, index, self._tree)
        self._broken_off = steps[-1]["stop"] in BROKEN_OFF
        bounds = Bounds(self.most.width, MOST, MOST)
        self._replayer = Replayer(Atlas(bounds, meta["draft"]["context_length"], {}, [self._text]))
        again = None if not is_replayed(meta) else self._replayer.step(0, 0, self.start)
        self.as_recorded = again is not None and _same(again.graph, self._record)
        if not (self.as_recorded or not is_replayed(meta)):
            raise InputError("this round was drafted by rules other than those of a graph: no setting of it can be "
                             "replayed; choose a run of the graph, tree or chain method")  # fmt: skip

    def under(self, spec: MethodSettings) -> Changed | Uncovered:
        """The round under `spec`. Raises `InputError` where its width was never recorded."""
        self._replayer.atlas.bounds.check(spec)
        after = self._replayer.step(0, 0, spec)
        if after is None:
            return Uncovered(self._missing(spec))
        if self._broken_off and len(after.accepted) == len(self._text.tokens):
            return Uncovered(["".join(self._text.texts)], "target")
        return _Union(self._record, after, self._text, self._texts).changed()

    def _missing(self, spec: MethodSettings) -> list[str]:
        """The paths, as text, that the next level would have to be drafted behind."""
        regrowth = Regrowth(self._tree, self._text.prompt, spec, MOST)
        while not regrowth.wanted():
            regrowth.step()
        return [_path_text(self._tree, node, self._texts) for node in regrowth.wanted()]


def is_replayed(meta: dict[str, Any]) -> bool:
    """Whether a run's method grows by settings alone, so that its rounds can be grown anew."""
    return meta["method"]["replayed"]


def _settings(meta: dict[str, Any], record: dict[str, Any]) -> tuple[MethodSettings, MethodSettings]:
    """`start` and `most` of a round, by the name `graph`: a tree is a graph that never merges."""
    recorded = {name: value for name, value in meta["spec"]["drafting"].items() if name != "method"}
    spec = read_by(recorded, options=False)
    if is_replayed(meta):
        return spec, spec
    depths = [depth for depth, was in zip(record["graph"]["depth"], record["graph"]["expanded"]) if was]
    if not depths:
        raise InputError("the draft was not asked in this round: choose one in which it drafted to ask "
                         "what if")  # fmt: skip
    reach = {"width": spec.width, "depth": max(depths) + 1, "frontier": max(Counter(depths).values())}
    usual = drafting(merge_context=spec.merge_context)
    start = usual.model_copy(update={name: min(getattr(usual, name), most) for name, most in reach.items()})
    return start, start.model_copy(update=reach)


def _draft_tree(record: dict[str, Any]) -> DraftTree:
    """Every candidate of every expanded node, unmerged; not what was looked up and the draft did not think of."""
    graph, decisions = record["graph"], record["decisions"]
    candidates: dict[int, tuple[list[int], list[float]]] = {}
    for parent, token, logq, kind in zip(*(decisions[name] for name in ("parent", "token", "logq", "kind"))):
        if kind != "capped":  # says again of an added node that it will not be expanded
            tokens, row = candidates.setdefault(parent, ([], []))
            tokens.append(token)
            row.append(logq)
    tree = DraftTree(graph["token"][0])
    recorded: list[int | None] = [0]
    for node in range(len(graph["token"])):
        if node:
            parent = recorded[graph["parent"][node]]
            recorded.append(None if parent is None else tree.child(parent, graph["token"][node]))
        if node in candidates and recorded[node] is not None:
            tree.expand(recorded[node], *candidates[node])
    return tree


def _rest_of_text(meta: dict[str, Any], steps: list[dict[str, Any]], index: int, tree: DraftTree) -> AtlasText:
    """What the target went on with from this round, behind all that was committed before it."""
    earlier, later = steps[:index], steps[index:]
    prompt = [*meta["prompt_tokens"], *(token for step in earlier for token in step["new_tokens"])]
    tokens = [token for step in later for token in step["new_tokens"]]
    texts = [text for step in later for text in step["new_texts"]]
    capacity = min(len(meta["prompt_tokens"]) + meta["spec"]["max_new_tokens"], meta["target"]["context_length"])
    return AtlasText("round", None, prompt, tokens, texts, capacity, [tree])


def _texts(meta: dict[str, Any], steps: list[dict[str, Any]]) -> dict[int, str]:
    """The text of every token that the run names, candidates of all rounds included."""
    named = [
        (meta["prompt_tokens"], meta["prompt_texts"]),
        *((step["new_tokens"], step["new_texts"]) for step in steps),
    ]
    named += [
        (step[part]["token"], step[part]["text"]) for step in steps for part in ("graph", "decisions") if step[part]
    ]
    return {token: text for tokens, texts in named for token, text in zip(tokens, texts)}


def _same(graph: TokenGraph, record: dict[str, Any]) -> bool:
    """Whether a graph grown again is the recorded one."""
    merges = list(zip(record["merges"]["parent"], record["merges"]["node"]))
    return (
        graph.tokens == record["graph"]["token"]
        and graph.parents == record["graph"]["parent"]
        and [(merge.parent, merge.node) for merge in graph.merges] == merges
    )


def _path_text(tree: DraftTree, node: int, texts: dict[int, str]) -> str:
    return "".join(texts[tree.tokens[one]] for one in tree_path(tree.parents, node))


class _Union:
    """The recorded graph and the one grown again as one record; a node is the same by its tree path."""

    def __init__(self, record: dict[str, Any], after: Step, text: AtlasText, texts: dict[int, str]) -> None:
        self._record, self._after, self._text, self._texts = record, after, text, texts
        self._graph = {name: list(column) for name, column in record["graph"].items()}
        self._graph["forward"] = list(expanded_in(record["graph"]))
        self._at = self._place_nodes()  # node after -> node of the union
        for node, forward in zip(self._at, after.graph.forwards):
            if forward:  # what only the recorded one expanded has what is lost behind it
                self._graph["forward"][node] = forward

    def changed(self) -> Changed:
        """Both, with their counts."""
        kept = set(self._at)
        known = len(self._record["graph"]["token"])
        count = len(self._graph["token"])
        marks = ["gained" if node >= known else "" if node in kept else "lost" for node in range(count)]
        return Changed(self._step(), marks, self._before_counts(), self._after_counts())

    def _place_nodes(self) -> list[int]:
        graph, parents = self._after.graph, self._graph["parent"]
        index = {(parent, token): node for node, (parent, token) in enumerate(zip(parents, self._graph["token"]))}
        at = [0]
        for node in range(1, len(graph)):
            key = at[graph.parents[node]], graph.tokens[node]
            at.append(index[key] if key in index else self._add(*key, node))
        return at

    def _add(self, parent: int, token: int, node: int) -> int:
        """A node that the recorded graph lacks: a candidate that was merged or dropped there."""
        graph = self._after.graph
        row = {"token": token, "text": self._texts[token], "parent": parent, "depth": graph.depths[node],
               "logq": graph.logq[node], "path_logq": graph.path_logq[node], "source": "draft",
               "expanded": graph.expanded[node], "forward": graph.forwards[node]}  # fmt: skip
        for name in self._graph:
            self._graph[name].append(row[name])
        return len(self._graph["token"]) - 1

    def _step(self) -> dict[str, Any]:
        """A step record as far as faces, layout and picture read one."""
        accepted, tokens = self._after.accepted, self._text.texts
        new = min(len(accepted) + 1, len(tokens))
        empty: dict[str, list] = {name: [] for name in self._record["decisions"]}
        return self._record | {
            "graph": self._graph, "merges": self._merges(), "decisions": empty, "tree": self._tree(),
            "accepted": accepted, "new_texts": tokens[:new], "new_tokens": self._text.tokens[:new],
            "bonus": new > len(accepted), "drafted_nodes": len(self._after.graph) - 1,
            "verified_nodes": len(self._after.tree) - 1, "merged": len(self._after.graph.merges),
        }  # fmt: skip

    def _merges(self) -> dict[str, list[Any]]:
        merges = self._after.graph.merges
        return {
            "parent": [self._at[merge.parent] for merge in merges], "node": [self._at[merge.node] for merge in merges],
            "logq": [merge.logq for merge in merges], "depth_shift": [merge.depth_shift for merge in merges],
            "ngram": [list(merge.ngram) for merge in merges],
            "ngram_text": ["".join(self._texts[token] for token in merge.ngram) for merge in merges],
        }  # fmt: skip

    def _tree(self) -> dict[str, list[Any]]:
        """The tree verified after, with what the target said of the paths that it saw."""
        tree, seen = self._after.tree, self._record["tree"]
        index = {(parent, token): i for i, (parent, token) in enumerate(zip(seen["parent"], seen["token"]))}
        flat = [0]
        for i in range(1, len(tree)):
            flat.append(index.get((flat[tree.parents[i]], tree.tokens[i]), -1))
        said = {name: [seen[name][i] if i >= 0 else unknown for i in flat]
                for name, unknown in (("target_logp", math.nan), ("choice", None), ("choice_text", None),
                                      ("choice_logp", math.nan))}  # fmt: skip
        return said | {
            "token": tree.tokens, "text": [self._texts[token] for token in tree.tokens],
            "node": [self._at[node] for node in tree.nodes], "parent": tree.parents, "depth": tree.depths,
            "merged": tree.merged, "logq": tree.logq,
        }  # fmt: skip

    def _before_counts(self) -> Counts:
        record = self._record
        return Counts(len(record["accepted"]), record["drafted_nodes"], record["verified_nodes"], record["merged"],
                      levels(record))  # fmt: skip

    def _after_counts(self) -> Counts:
        graph = self._after.graph
        return Counts(len(self._after.accepted), len(graph) - 1, len(self._after.tree) - 1, len(graph.merges),
                      levels({"graph": {"depth": graph.depths, "expanded": graph.expanded}}))  # fmt: skip
