"""Record an atlas with models: decode the text once, then expand the draft's wide tree at each position."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import groupby
from pathlib import PurePath
from typing import Any

import torch

from gsd.config import RunSpec
from gsd.decode.runner import Runner
from gsd.drafting.base import Parts
from gsd.drafting.graph import ROOT
from gsd.drafting.model_fed import Candidates, ModelFed
from gsd.errors import InputError
from gsd.lab.atlas import SLACK, AtlasText, Bounds, DraftTree, Regrowth
from gsd.methods import BASELINE, drafting
from gsd.methods.graph import Graph
from gsd.models.base import LanguageModel
from gsd.models.hf import HFModel
from gsd.trace.form import IDENTITY

_COMPARED = (*IDENTITY, "dtype")


class Prober(ModelFed[Graph.Settings]):
    """Expands, at one position after another, the union of what narrower settings would expand.

    A wide setting's frontier cap can leave out a node that a narrower one keeps. So the levels of
    every width are grown side by side, with a frontier some times the bound, and what any of them
    wants is expanded, in one draft forward a level.
    """

    def __init__(self, model: LanguageModel, bounds: Bounds, *, vocab_size: int) -> None:
        widest = drafting(
            width=bounds.width, depth=bounds.depth, frontier=SLACK * bounds.frontier, merge_context=None,
            sibling_threshold=0.0, prob_threshold=0.0,
        )  # fmt: skip
        super().__init__(Parts(None, model, vocab_size, record=False), widest)
        self._family = [widest.model_copy(update={"width": width}) for width in range(1, bounds.width + 1)]

    def start(self, capacity: int) -> None:
        """Begin a new text of at most `capacity` tokens."""
        levels = self.settings.depth * self.settings.frontier * len(self._family)
        self._model.reset(capacity + levels)

    def tree(self, committed: list[int], depth: int) -> DraftTree:
        """The draft's tree behind `committed`, `depth` levels deep."""
        tree = DraftTree(committed[-1])
        self._base, self._lineage = self._model.length, {}
        narrower = [Regrowth(tree, committed, settings, depth) for settings in self._family]
        for _ in range(depth):
            wanted = sorted({node for one in narrower for node in one.wanted()})
            _add(tree, wanted, self._expand(tree, wanted, committed))
            for one in narrower:
                one.grow()
        self._model.keep(self._base, [])
        return tree

    def fill(self, tree: DraftTree, wanted: Iterable[int], committed: list[int]) -> None:
        """Expand `wanted` nodes of a recorded tree: their ancestors are computed again, level by level."""
        wanted = set(wanted)
        self._expand(tree, [ROOT], committed)
        needed = sorted(_with_ancestors(tree, wanted), key=lambda node: (tree.depths[node], node))
        for _, level in groupby(needed, key=tree.depths.__getitem__):
            nodes = list(level)
            candidates = self._expand(tree, nodes, committed)
            new = [i for i, node in enumerate(nodes) if node in wanted]
            _add(tree, [nodes[i] for i in new], Candidates([candidates.tokens[i] for i in new],
                                                                   [candidates.logq[i] for i in new]))  # fmt: skip
        self._model.keep(self._base, [])


def _add(tree: DraftTree, nodes: list[int], candidates: Candidates) -> None:
    for node, tokens, logq in zip(nodes, candidates.tokens, candidates.logq):
        tree.expand(node, tokens, logq)


def _with_ancestors(tree: DraftTree, nodes: Iterable[int]) -> set[int]:
    found: set[int] = set()
    for node in nodes:
        while node != ROOT and node not in found:
            found.add(node)
            node = tree.parents[node]
    return found


def probe_text(runner: Runner, spec: RunSpec, bounds: Bounds) -> AtlasText:
    """Decode one prompt with plain decoding, then record the draft's tree at every position of the text.

    `spec` is that of the run; its drafting settings are not used, as the text does not depend on them.
    """
    prompt = runner.encode(spec.prompt)
    plain = spec.model_copy(update={"drafting": drafting(BASELINE), "detail": "counters"})
    tokens = [token for round_ in runner.rounds(plain, prompt) for token in round_.new_tokens]
    capacity = min(len(prompt) + spec.max_new_tokens, runner.target.context_length)
    one = spec.prompt
    text = AtlasText(one.id, one.kind, prompt, tokens, runner.token_texts(tokens), capacity, given=one.prompt,
                     chat=one.chat)  # fmt: skip
    prober, context = _prober(runner, bounds, capacity), draft_of(runner).context_length
    with torch.inference_mode():
        for at in range(len(tokens)):
            committed = text.committed(at)
            room = min(capacity - len(committed) - 1, context - len(committed))
            text.trees.append(prober.tree(committed, max(0, min(bounds.depth, room))))
    return text


def fill_text(
    runner: Runner,
    bounds: Bounds,
    text: AtlasText,
    wanted: dict[int, set[int]],
    *,
    progress: Callable[[], None] = lambda: None,
) -> None:
    """Expand `wanted` nodes, by position, of a recorded text; `progress` is called after each position."""
    prober = _prober(runner, bounds, text.capacity)
    with torch.inference_mode():
        for at in sorted(wanted):
            prober.fill(text.trees[at], wanted[at], text.committed(at))
            progress()


def check_models(recorded: dict[str, Any], now: dict[str, Any]) -> None:
    """Raise `InputError` if the loaded models are not those of the atlas.

    Both are as `Runner.meta` describes them. A folder may have moved, so of where it came from the last part alone
    counts; revisions only where both are known.
    """
    for role in ("target", "draft"):
        was, here = recorded[role], now[role]
        pairs: dict[str, tuple[Any, Any]] = {name: (was.get(name), here[name]) for name in _COMPARED}
        pairs["name"] = _last_part(was), _last_part(here)
        if was["revision"] and here["revision"]:
            pairs["revision"] = was["revision"], here["revision"]
        for name, (then, is_now) in pairs.items():
            if then != is_now:
                raise InputError(
                    f"the atlas was probed with a {role} of {name} {then}, the one at hand has {is_now}: "
                    "fill it where its own models are, or probe anew"
                )


def _last_part(model: dict[str, Any]) -> str:
    return PurePath(model["source"]).name.lower()


def draft_of(runner: Runner) -> HFModel:
    """The draft that an atlas records. Raises `InputError` where none is loaded."""
    if runner.draft is None:
        raise InputError("probing records what a draft says: name one with --draft")
    return runner.draft


def _prober(runner: Runner, bounds: Bounds, capacity: int) -> Prober:
    prober = Prober(draft_of(runner), bounds, vocab_size=runner.target.vocab_size)
    prober.start(capacity)
    return prober
