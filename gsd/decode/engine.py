"""The loop: draft, flatten, forward, verify, commit. One target forward per round.

Autoregressive decoding is the same loop with an empty draft. Nothing here knows a method's name.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from time import perf_counter

import numpy as np
import torch

from gsd.decode.stops import StopRules
from gsd.drafting.base import Drafter
from gsd.drafting.choices import Choices
from gsd.drafting.tree import FlatTree
from gsd.errors import PromptError
from gsd.models.base import Counter, LanguageModel, catch_up
from gsd.spec import SamplingSpec
from gsd.trace.round import Round, Times
from gsd.verifying.base import Rule


class Engine:
    """A target and a drafter that decode one text at a time."""

    def __init__(
        self, target: LanguageModel, drafter: Drafter, rule: Rule, sampling: SamplingSpec, *, detail: bool
    ) -> None:
        self._target = target
        self._rule = rule
        self._drafter = drafter
        self._sampling = sampling
        self._detail = detail

    def decode(self, prompt: list[int], stops: StopRules) -> Generator[Round, None, None]:
        """Yield one `Round` a round until a stop rule holds. Closing the iterator cancels.

        Raises `PromptError` if the prompt leaves no room for a token.
        """
        committed = list(prompt)
        self._start(len(prompt), stops)
        stop: str | None = None
        rounds = 0
        while stop is None:
            with torch.inference_mode():  # entered anew each round, as a caller's own code runs in between
                round_ = self._round(rounds, committed, stops)
            committed += round_.new_tokens
            stop = round_.stop
            rounds += 1
            yield round_

    def _round(self, number: int, committed: list[int], stops: StopRules) -> Round:
        """Draft, flatten, forward, verify, commit."""
        target, drafter = self._target, self._drafter
        clock = _Clock(target.counter, drafter.counter)
        room = stops.room(len(committed))  # tokens that may still come, the bonus among them
        graph = drafter.draft(committed, room - 1)
        clock.mark("grow")
        tree = drafter.flatten(graph, room - 1)
        clock.mark("flatten")
        choices, base = self._forward(tree, committed)
        verdict = self._rule.verdict(tree, choices)
        clock.mark("verify")
        path, bonus = verdict.shared()
        emitted = [tree.tokens[i] for i in path]
        new_tokens, stop = stops.cut(emitted if bonus is None else [*emitted, bonus], len(committed))
        accepted = path[: len(new_tokens)]
        target.keep(base, [i - 1 for i in accepted])
        drafter.observe(tree, choices, accepted, new_tokens)
        clock.mark("commit")
        return Round(
            number=number,
            position=len(committed) - 1,
            graph=graph,
            tree=tree,
            choices=choices,
            accepted=accepted,
            new_tokens=new_tokens,
            stop=stop,
            draft_forwards=clock.draft.forwards,
            target_forwards=clock.target.forwards,
            times=clock.times(),
        )

    def _start(self, prompt_length: int, stops: StopRules) -> None:
        limit = self._target.context_length
        if prompt_length >= limit:
            raise PromptError(
                f"the prompt has {prompt_length} tokens and the context holds {limit}, so no room is left: shorten it"
            )
        stops.start(prompt_length, limit)
        capacity = stops.capacity
        self._target.reset(capacity + self._drafter.slots)
        self._drafter.start(capacity)

    def _forward(self, tree: FlatTree, committed: list[int]) -> tuple[Choices, int]:
        """Verify the tree in one target forward; with the cache slots of the committed text behind it."""
        pending = catch_up(self._target, committed)
        chain, nodes, root = len(pending), len(tree), len(committed) - 1
        base = self._target.length + chain
        positions = [*range(root + 1 - chain, root + 1), *(root + depth for depth in tree.depths[1:])]
        after = [root + 1 + depth for depth in tree.depths]  # positions of the tokens to pick

        def reduce(logits: torch.Tensor) -> Choices:
            top = self._drafter.top
            return self._rule.reduce(logits, self._sampling, after, tree, detail=self._detail, top=top)

        tokens = pending + tree.tokens[1:]
        mask = _verification_mask(tree, chain) if nodes > 1 else None
        return self._target.forward(tokens, positions, reduce, rows=nodes, mask=mask), base


def _verification_mask(tree: FlatTree, chain: int) -> np.ndarray:
    """[N, N] over `chain` pending tokens, the root last, and the tree behind them: a chain, then ancestors."""
    inside = tree.ancestor_mask()
    if chain == 1:
        return inside
    mask = np.tri(chain - 1 + len(tree), dtype=bool)
    mask[chain - 1 :, chain - 1 :] = inside
    return mask


class _Clock:
    """Splits the wall time of a round into phases. The models' own time does not count in the phase it falls in."""

    def __init__(self, target: Counter, draft: Counter) -> None:
        self._target, self._draft = target, draft
        self._before = replace(target), replace(draft)
        self._marks: dict[str, float] = {}
        self._last = perf_counter()

    @property
    def target(self) -> Counter:
        """What the target did since the round began."""
        return _difference(self._target, self._before[0])

    @property
    def draft(self) -> Counter:
        """What the draft did since the round began."""
        return _difference(self._draft, self._before[1])

    def mark(self, phase: str) -> None:
        """The phase that ends now."""
        now = perf_counter()
        self._marks[phase] = (now - self._last) * 1e3
        self._last = now

    def times(self) -> Times:
        """The phases so far."""
        draft_ms, verify_ms, marks = self.draft.ms, self.target.ms, self._marks
        return Times(
            draft=draft_ms,
            grow=max(marks["grow"] - draft_ms, 0.0),
            flatten=marks["flatten"],
            verify=verify_ms,
            commit=marks["commit"],
            other=max(marks["verify"] - verify_ms, 0.0),
        )


def _difference(now: Counter, before: Counter) -> Counter:
    return Counter(now.forwards - before.forwards, now.ms - before.ms)
