"""One recorded round with other settings, computed from its recording without a model and without guesses.

The decisions of a round contain every candidate of every expanded node. So the drafter's own rules can
grow the graph again with narrower settings. The text of the run is the target's own, whatever is drafted
(fixed seed), so it tells what would have been accepted. The setting is not covered if it needs the
continuation of a node that was never drafted, or text beyond the end of an unfinished run.

Method auto planned by its times, which cannot be repeated. For its rounds this shows what method graph would have
done with the same candidates of the draft, without looked-up tokens.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from analysis.replay import Replayer, WholeRound
from gsd.drafting.graph import TokenGraph, tree_path
from gsd.errors import InputError
from gsd.lab.atlas import Atlas, AtlasText, Bounds, DraftTree, Regrowth
from gsd.methods import MethodSettings, drafting, read_by_usual
from gsd.methods.graph import Graph
from gsd.spec import Keeps
from gsd.trace.parts import DecisionColumns, GraphColumns, MergeColumns, TreeColumns, by_depth
from gsd.trace.recorded_round import RecordedRound
from gsd.trace.texts import Texts

_COLUMNS = [one.name for one in fields(GraphColumns) if one.name != "texts"]
MOST = 1024  # levels and nodes to which no bound is set
BROKEN_OFF = (None, "cancelled")  # what the last round of a run says whose text would have gone on


@dataclass(frozen=True, slots=True)
class Counts:
    """Counts of one round."""

    accepted: int
    drafted: int
    verified: int
    merges: int
    levels: int  # each a draft forward


@dataclass(frozen=True, slots=True)
class Changed:
    """A round before and after. `round`: both graphs in one, verified and accepted as after.

    `marks`: `lost` or `gained` for each node of `round`, empty where it is in both. Ids of recorded nodes stay;
    probabilities that the run did not record are NaN.
    """

    round: RecordedRound
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


class RoundReplay:
    """One round of a run, ready to be grown again. Raises `InputError` where its recording cannot be.

    `start`  the settings to begin with: the run's own, or of method auto the default ones
    `most`   the same with width, depth and frontier as far as the recording may reach
    """

    def __init__(self, meta: dict[str, Any], rounds: Sequence[RecordedRound], index: int) -> None:
        self._recorded = rounds[index]
        self._texts = _texts(meta, rounds)
        if not self._recorded.detailed:
            raise InputError("this run recorded counts alone: record every node (detail: full) to ask what if")
        if meta["method"]["keeps"] != Keeps.TEXT:
            raise InputError(f"method {meta['method']['name']} keeps only the law of texts, so with other settings the "
                             "text would change; choose a run of the graph, tree or chain method")  # fmt: skip
        if meta["draft"] is None:
            raise InputError("this run drafted nothing: open one of the graph, tree or chain method to ask what if")
        self.start, self.most = _settings(meta, self._recorded)
        self._tree = _draft_tree(self._recorded)
        self._text = _rest_of_text(meta, rounds, index, self._tree)
        self._broken_off = rounds[-1].stop in BROKEN_OFF
        bounds = Bounds(self.most.width, MOST, MOST)
        self._replayer = Replayer(Atlas(bounds, meta["draft"]["context_length"], {}, [self._text]))
        again = None if not is_replayed(meta) else self._replayer.round(0, 0, self.start)
        self.as_recorded = again is not None and _same(again.graph, self._recorded)
        if not (self.as_recorded or not is_replayed(meta)):
            raise InputError("this round was drafted by rules other than those of a graph: no setting of it can be "
                             "replayed; choose a run of the graph, tree or chain method")  # fmt: skip

    def under(self, spec: MethodSettings) -> Changed | Uncovered:
        """The round with settings `spec`. Raises `InputError` if their width was not recorded."""
        self._replayer.atlas.bounds.check(spec)
        after = self._replayer.round(0, 0, spec)
        if after is None:
            return Uncovered(self._missing(spec))
        if self._broken_off and len(after.accepted) == len(self._text.tokens):
            return Uncovered(["".join(self._text.texts)], "target")
        return _Union(self._recorded, after, self._text, self._texts).changed()

    def _missing(self, spec: MethodSettings) -> list[str]:
        """The paths, as text, that the next level would have to be drafted behind."""
        regrowth = Regrowth(self._tree, self._text.prompt, spec, MOST)
        while not regrowth.wanted():
            regrowth.grow()
        return [_path_text(self._tree, node, self._texts) for node in regrowth.wanted()]


def is_replayed(meta: dict[str, Any]) -> bool:
    """Whether a run's method grows by settings alone, so that its rounds can be grown anew."""
    return meta["method"]["replayed"]


def _settings(meta: dict[str, Any], round_: RecordedRound) -> tuple[Graph.Settings, Graph.Settings]:
    """`start` and `most` of a round, by the name `graph`: a tree is a graph that never merges."""
    spec = read_by_usual(meta["spec"]["drafting"], options=False)
    if is_replayed(meta):
        return spec, spec
    depths = [depth for depth, was in zip(round_.graph.depths, round_.graph.expanded) if was]
    if not depths:
        raise InputError("the draft was not asked in this round: choose one in which it drafted to ask "
                         "what if")  # fmt: skip
    reach = {"width": spec.width, "depth": max(depths) + 1, "frontier": max(Counter(depths).values())}
    usual = drafting(merge_context=spec.merge_context)
    start = usual.model_copy(update={name: min(getattr(usual, name), most) for name, most in reach.items()})
    return start, start.model_copy(update=reach)


def _draft_tree(round_: RecordedRound) -> DraftTree:
    """Every candidate of every expanded node, unmerged; not what was looked up and the draft did not think of."""
    graph, decisions = round_.graph, round_.decisions
    candidates: dict[int, tuple[list[int], list[float]]] = {}
    for parent, token, logq, kind in zip(decisions.parents, decisions.tokens, decisions.logq, decisions.kinds):
        if kind != "capped":  # says again of an added node that it will not be expanded
            tokens, row = candidates.setdefault(parent, ([], []))
            tokens.append(token)
            row.append(logq)
    tree = DraftTree(graph.tokens[0])
    recorded: list[int | None] = [0]
    for node in range(len(graph)):
        if node:
            above = recorded[graph.parents[node]]
            recorded.append(None if above is None else tree.child(above, graph.tokens[node]))
        at = recorded[node]
        if node in candidates and at is not None:
            tree.expand(at, *candidates[node])
    return tree


def _rest_of_text(meta: dict[str, Any], rounds: Sequence[RecordedRound], index: int, tree: DraftTree) -> AtlasText:
    """What the target went on with from this round, behind all that was committed before it."""
    earlier, later = rounds[:index], rounds[index:]
    prompt = [*meta["prompt_tokens"], *(token for round_ in earlier for token in round_.new_tokens)]
    tokens = [token for round_ in later for token in round_.new_tokens]
    texts = [text for round_ in later for text in round_.new_texts.raw]
    capacity = min(len(meta["prompt_tokens"]) + meta["spec"]["max_new_tokens"], meta["target"]["context_length"])
    return AtlasText("round", None, prompt, tokens, texts, capacity, [tree])


def _texts(meta: dict[str, Any], rounds: Sequence[RecordedRound]) -> dict[int, str]:
    """The text of every token that the run names, candidates of all rounds included."""
    named = [
        (meta["prompt_tokens"], meta["prompt_texts"]),
        *((round_.new_tokens, round_.new_texts.raw) for round_ in rounds),
    ]
    named += [(part.tokens, part.texts.raw) for round_ in rounds for part in (round_.graph, round_.decisions)]
    return {token: text for tokens, texts in named for token, text in zip(tokens, texts)}


def _same(graph: TokenGraph, round_: RecordedRound) -> bool:
    """Whether a graph grown again is the recorded one."""
    return (
        graph.tokens == round_.graph.tokens
        and graph.parents == round_.graph.parents
        and [(merge.parent, merge.node) for merge in graph.merges] == round_.merges.edges
    )


def _path_text(tree: DraftTree, node: int, texts: dict[int, str]) -> str:
    return "".join(texts[tree.tokens[one]] for one in tree_path(tree.parents, node))


class _Union:
    """The recorded graph and the one grown again in one round; a node is the same by its tree path."""

    def __init__(self, round_: RecordedRound, after: WholeRound, text: AtlasText, texts: dict[int, str]) -> None:
        self._recorded, self._after, self._text, self._texts = round_, after, text, texts
        self._graph = {name: list(getattr(round_.graph, name)) for name in _COLUMNS}
        self._at = self._place_nodes()  # node after -> node of the union
        for node, forward in zip(self._at, after.graph.forwards):
            if forward:  # what only the recorded one expanded has what is lost behind it
                self._graph["forwards"][node] = forward

    def changed(self) -> Changed:
        """Both, with their counts."""
        kept, known = set(self._at), len(self._recorded.graph)
        count = len(self._graph["tokens"])
        marks = ["gained" if node >= known else "" if node in kept else "lost" for node in range(count)]
        return Changed(self._round(), marks, self._before_counts(), self._after_counts())

    def _place_nodes(self) -> list[int]:
        graph, parents = self._after.graph, self._graph["parents"]
        index = {(parent, token): node for node, (parent, token) in enumerate(zip(parents, self._graph["tokens"]))}
        at = [0]
        for node in range(1, len(graph)):
            key = at[graph.parents[node]], graph.tokens[node]
            at.append(index[key] if key in index else self._add(*key, node))
        return at

    def _add(self, parent: int, token: int, node: int) -> int:
        """A node that the recorded graph lacks: a candidate that was merged or dropped there."""
        graph = self._after.graph
        row = {"tokens": token, "parents": parent, "depths": graph.depths[node], "logq": graph.logq[node],
               "path_logq": graph.path_logq[node], "sources": "draft", "expanded": graph.expanded[node],
               "forwards": graph.forwards[node]}  # fmt: skip
        for name in self._graph:
            self._graph[name].append(row[name])
        return len(self._graph["tokens"]) - 1

    def _round(self) -> RecordedRound:
        """A round as far as faces, layout and picture read one; it has no decisions."""
        recorded, after, tokens = self._recorded, self._after, self._text.texts
        new = min(len(after.accepted) + 1, len(tokens))
        added = self._graph["tokens"][len(recorded.graph) :]
        texts = Texts([*recorded.graph.texts.raw, *(self._texts[token] for token in added)])
        return replace(
            recorded, graph=GraphColumns(texts=texts, **self._graph), merges=self._merges(),
            decisions=DecisionColumns([], [], Texts([]), [], [], [], [], [], []), tree=self._tree(),
            accepted=after.accepted, new_texts=Texts(tokens[:new]), new_tokens=self._text.tokens[:new],
            bonus=new > len(after.accepted), drafted_nodes=len(after.graph) - 1, verified_nodes=len(after.tree) - 1,
            merged=len(after.graph.merges),
        )  # fmt: skip

    def _merges(self) -> MergeColumns:
        merges = self._after.graph.merges
        return MergeColumns(
            [self._at[merge.parent] for merge in merges], [self._at[merge.node] for merge in merges],
            [merge.logq for merge in merges], [merge.depth_shift for merge in merges],
            [list(merge.ngram) for merge in merges],
            Texts(["".join(self._texts[token] for token in merge.ngram) for merge in merges]),
        )  # fmt: skip

    def _tree(self) -> TreeColumns:
        """The tree verified after, with what the target said of the paths that it saw."""
        tree, seen = self._after.tree, self._recorded.tree
        index = {(parent, token): i for i, (parent, token) in enumerate(zip(seen.parents, seen.tokens))}
        flat = [0]
        for i in range(1, len(tree)):
            flat.append(index.get((flat[tree.parents[i]], tree.tokens[i]), -1))

        def said(column: list[Any], unknown: Any) -> list[Any]:
            return [column[i] if i >= 0 else unknown for i in flat]

        return TreeColumns(
            tree.tokens, Texts([self._texts[token] for token in tree.tokens]), [self._at[node] for node in tree.nodes],
            tree.parents, tree.depths, tree.merged, tree.logq, said(seen.target_logp, math.nan),
            said(seen.choices, None), Texts(said(seen.choice_texts.raw, "")), said(seen.choice_logp, math.nan),
        )  # fmt: skip

    def _before_counts(self) -> Counts:
        round_ = self._recorded
        return Counts(
            len(round_.accepted), round_.drafted_nodes, round_.verified_nodes, round_.merged, round_.graph.levels
        )

    def _after_counts(self) -> Counts:
        graph = self._after.graph
        levels = max(by_depth(graph.depths, graph.expanded), default=0)
        return Counts(len(self._after.accepted), len(graph) - 1, len(self._after.tree) - 1, len(graph.merges), levels)
