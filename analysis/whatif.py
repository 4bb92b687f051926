"""One step under another setting, and what merging saved and changed: questions to an atlas, no model asked.

Counterfactuals with common random numbers (after 2310.00603): the text and every candidate of the draft
stay as they are, only the setting changes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pandas as pd

from analysis.replay import Replayer, Step
from analysis.tune import modelled_ms
from gsd.errors import InputError
from gsd.lab.cost import Costs
from gsd.spec import DraftSpec

Path = tuple[int, ...]  # tokens behind the root


@dataclass(frozen=True, slots=True)
class Difference:
    """A step under two settings. Paths are those of the verified trees, a node each, without the root."""

    before: Step
    after: Step
    gained: list[Path]
    lost: list[Path]

    @property
    def accepted(self) -> tuple[int, int]:
        """Accepted tokens before and after."""
        return len(self.before.accepted), len(self.after.accepted)


def difference(replayer: Replayer, number: int, at: int, before: DraftSpec, after: DraftSpec) -> Difference:
    """The step of text `number` behind its first `at` tokens under both settings.

    Raises `InputError` where there is no such step, or a setting lies beyond the atlas or needs a node that it
    does not hold.
    """
    _check_place(replayer, number, at)
    steps = [_step(replayer, number, at, spec) for spec in (before, after)]
    paths = [dict.fromkeys(_paths(step)) for step in steps]
    return Difference(*steps, [path for path in paths[1] if path not in paths[0]],
                      [path for path in paths[0] if path not in paths[1]])  # fmt: skip


def _check_place(replayer: Replayer, number: int, at: int) -> None:
    texts = replayer.atlas.texts
    if not 0 <= number < len(texts):
        raise InputError(f"text {number}: the atlas holds {len(texts)}, numbered from 0")
    tokens = len(texts[number].tokens)
    if not 0 <= at < tokens:
        raise InputError(
            f"position {at}: text {texts[number].id!r} has {tokens} tokens, so name one from 0 to {tokens - 1}"
        )


def _step(replayer: Replayer, number: int, at: int, spec: DraftSpec) -> Step:
    replayer.atlas.bounds.check(spec)
    step = replayer.step(number, at, spec.as_drafted())
    if step is None:
        raise InputError(f"the atlas lacks nodes that {spec.model_dump()} needs there: gsd probe --fill expands them")
    return step


def _paths(step: Step) -> Iterator[Path]:
    """The tokens of each verified node's path; copies of a merged node have paths of their own."""
    tree = step.tree
    paths: list[Path] = [()]
    for i in range(1, len(tree)):
        paths.append((*paths[tree.parents[i]], tree.tokens[i]))
        yield paths[i]


def merging_saved(replayer: Replayer, spec: DraftSpec, costs: Costs | None) -> pd.DataFrame:
    """What merging saved on each text against the tree grown with the same settings: tree minus graph.

    Columns: `text`, `kind`, `rounds`, `draft_forwards`, `drafted_nodes`, `verified_nodes` (counts) and
    `modelled_ms`; negative where merging cost more. Texts that either does not cover have no figures.
    """
    tree = spec.model_copy(update={"method": "tree"})
    counts = ["rounds", "draft_forwards", "drafted_nodes", "verified_nodes"]
    rows = []
    for text, merged, plain in zip(replayer.atlas.texts, replayer.replay(spec), replayer.replay(tree)):
        row: dict[str, Any] = {"text": text.id, "kind": text.kind}
        if not (merged.wanted or plain.wanted):
            row |= {name: plain.counts()[name] - merged.counts()[name] for name in counts}
            row["modelled_ms"] = modelled_ms(text, plain, costs) - modelled_ms(text, merged, costs) if costs else None
        rows.append(row)
    return pd.DataFrame(rows, columns=["text", "kind", *counts, "modelled_ms"])


def shared_continuations(replayer: Replayer, spec: DraftSpec) -> pd.DataFrame:
    """The q that a shared continuation has where it was drafted, beside the q under the prefix that merged into it.

    A row for each token behind a merge edge whose own prefix the atlas holds expanded, over all rounds of the texts
    that the setting is covered on; a text that is not has no rows, as its first rounds do not stand for the whole:
    `text`, `at`, `context` (tokens matched before the merged one), `depth_shift`, `q_shared` (as drafted),
    `q_own` (under the new prefix; missing where it is not among the recorded candidates, so below the least).
    """
    rows = []
    spec = spec.as_drafted()
    for number, replay in enumerate(replayer.replay(spec)):
        for one in replay.rounds if not replay.wanted else ():
            step = replayer.step(number, one.at, spec)
            for row in _continuations(step):
                rows.append({"text": replay.id, "at": one.at, **row})
    columns = ["text", "at", "context", "depth_shift", "q_shared", "q_own"]
    return pd.DataFrame(rows, columns=columns)


def _continuations(step: Step) -> Iterator[dict[str, Any]]:
    graph, drafted = step.graph, step.drafted
    for merge in graph.merges:
        own = drafted.child(step.recorded[merge.parent], graph.tokens[merge.node])
        if drafted.first_child[own] < 0:
            continue
        for child, logq in graph.out_edges[merge.node]:
            found = drafted.child(own, graph.tokens[child])
            yield {"context": len(merge.ngram) - 1, "depth_shift": merge.depth_shift, "q_shared": math.exp(logq),
                   "q_own": None if found is None else math.exp(drafted.logq[found])}  # fmt: skip
