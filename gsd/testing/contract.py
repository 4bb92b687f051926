"""What every method owes the loop, as tests to inherit. They need pytest's collection and nothing else of it.

    class TestPair(MethodContract):
        method = Pair()

Texts are decoded with tables in place of networks, so that plain decoding is known exactly. A method that reads the
target (`Need.TARGET`) gets small random networks. A random test says how often a right method fails it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Generator, Mapping
from functools import partial
from itertools import product
from typing import Any, ClassVar

import numpy as np
from scipy import stats

from gsd.decode.engine import Engine
from gsd.decode.stops import StopRules
from gsd.drafting.base import Drafter, Parts
from gsd.methods.base import Method, MethodSettings, Need
from gsd.models.hf import HFModel
from gsd.models.port import TargetPort
from gsd.spec import Keeps, SamplingSpec, keeps_text
from gsd.testing import oracle, table_model
from gsd.testing.networks import network_pair
from gsd.testing.table_model import TableModel, random_table, table_pair
from gsd.trace.records import round_record
from gsd.trace.round import Round

Target = TableModel | HFModel
Pair = tuple[TableModel, TableModel] | tuple[HFModel, HFModel]

GREEDY = SamplingSpec()
ALARM = 1e-6  # odds that a right method fails one test of a law
TEXTS = 40  # random pairs of tables, and prompts, in each test of texts
DRAWS = 1500  # sampled texts in a test of a law
SAMPLINGS = (
    SamplingSpec(),
    SamplingSpec(temperature=0.8, seed=1),
    SamplingSpec(temperature=1.0, top_k=2, seed=2),
    SamplingSpec(temperature=1.5, top_p=0.7, seed=3),
)


class MethodContract:
    """Inherit it, and name your method; `values` are settings that differ from its defaults, such as merge a lot."""

    method: ClassVar[Method]
    values: ClassVar[Mapping[str, Any]] = {}

    def pair(self, vocabulary: int, seed: int) -> Pair:
        """A target and a draft that agree often."""
        return (network_pair if Need.TARGET in self.method.needs else table_pair)(vocabulary, seed)

    def settings(self) -> MethodSettings:
        """Those that the tests decode with."""
        return self.method.Settings(**self.values)

    def test_it_says_what_a_person_needs(self) -> None:
        """A name, a title, what it does, and of each setting that is not fixed a label and a help."""
        told = self.method.described()
        assert told["name"] == self.method.Settings.model_validate({}).method and told["title"] and told["summary"]
        assert json.loads(json.dumps(told)) == told

    def test_its_text_is_plain_decoding_s(self) -> None:
        """Token for token, whatever the draft: greedy and sampled, or greedy alone where it keeps the law."""
        kept = [one for one in SAMPLINGS if keeps_text(self.method.keeps, one.temperature)]
        for seed in range(TEXTS if kept else 0):
            sampling = kept[seed % len(kept)]
            target, draft = self.pair(2 + seed % 5, seed)
            prompt = [token % target.vocab_size for token in range(seed, seed + 1 + seed % 4)]
            tokens = [
                token for round_ in self._decode(target, draft, prompt, sampling, 14) for token in round_.new_tokens
            ]
            assert tokens == plain_text(target, prompt, 14, sampling), f"seed {seed}"

    def test_its_law_is_the_target_s(self) -> None:
        """Of one that keeps text or law: chi-square of three tokens. A right one fails once in a million runs."""
        if self.method.keeps not in (Keeps.TEXT, Keeps.LAW):
            return
        target, draft = self.pair(3, 5)
        found: Counter[tuple[int, ...]] = Counter()
        for seed in range(DRAWS):
            sampling = SamplingSpec(temperature=1.0, seed=seed)
            rounds = self._decode(target, draft, [1, 2], sampling, 3)
            found[tuple(token for round_ in rounds for token in round_.new_tokens)] += 1
        law = exact_law(target, [1, 2], SamplingSpec(temperature=1.0), 3)
        observed, expected = zip(*((found[text], DRAWS * share) for text, share in law.items()))
        assert stats.chisquare(observed, expected).pvalue > ALARM

    def test_each_round_is_one_target_forward_and_its_forwards_are_counted(self) -> None:
        """What a drafter counts is what its model did; it has no more nodes verified than it said."""
        target, draft = self.pair(5, 3)
        drafter = self._drafter(target, draft)
        before = draft.counter.forwards
        rounds = list(self._rounds(target, drafter, [1, 2, 3], SamplingSpec(), StopRules(30)))
        assert all(round_.target_forwards == 1 for round_ in rounds)
        assert all(len(round_.tree) - 1 <= drafter.slots for round_ in rounds)
        if Need.DRAFT in self.method.needs:
            assert sum(round_.draft_forwards for round_ in rounds) == draft.counter.forwards - before

    def test_nothing_comes_after_the_end_of_the_text(self) -> None:
        """Neither past an end token that was drafted, nor past the last token that was asked for."""
        target, draft = self.pair(4, 7)
        free = plain_text(target, [1, 2], 24, SamplingSpec())
        end = free[len(free) // 2]
        stops = StopRules(24, frozenset({end}))
        rounds = list(self._rounds(target, self._drafter(target, draft), [1, 2], SamplingSpec(), stops))
        tokens = [token for round_ in rounds for token in round_.new_tokens]
        assert tokens == free[: free.index(end) + 1] or not keeps_text(self.method.keeps, 0.0)
        assert tokens.index(end) == len(tokens) - 1 and rounds[-1].stop == "eos"

    def test_a_text_that_was_broken_off_leaves_nothing_behind(self) -> None:
        """The next one is as if it were the first."""
        target, draft = self.pair(5, 11)
        drafter = self._drafter(target, draft)
        broken = self._rounds(target, drafter, [4, 3, 2, 1], SamplingSpec(), StopRules(30))
        next(broken)
        broken.close()
        rounds = self._rounds(target, drafter, [1, 2], SamplingSpec(), StopRules(12))
        tokens = [token for round_ in rounds for token in round_.new_tokens]
        assert tokens == plain_text(target, [1, 2], 12, SamplingSpec()) or not keeps_text(self.method.keeps, 0.0)

    def test_its_trace_is_whole(self) -> None:
        """Every round becomes a record of plain values, whose nodes come from sources that the method has named."""
        target, draft = self.pair(5, 13)
        known = {"root", *self.method.sources}
        for round_ in self._decode(target, draft, [1, 2, 3], SamplingSpec(), 20):
            record = round_record(round_, _texts, _texts(round_.new_tokens), detail=True)
            assert json.loads(json.dumps(record, allow_nan=False)) == record
            assert set(record["graph"]["source"]) <= known
            assert len(record["new_tokens"]) == len(record["accepted"]) + record["bonus"]

    def _decode(
        self, target: Target, draft: Target, prompt: list[int], sampling: SamplingSpec, count: int
    ) -> list[Round]:
        return list(self._rounds(target, self._drafter(target, draft, sampling), prompt, sampling, StopRules(count)))

    def _drafter(self, target: Target, draft: Target, sampling: SamplingSpec = GREEDY) -> Drafter:
        port, memory = self._port(target), self.method.memory()
        parts = Parts(port, draft, target.vocab_size, record=True, memory=memory, sampling=sampling)
        return self.method.drafter(self.settings(), parts)

    def _port(self, target: Target) -> TargetPort | None:
        if Need.TARGET not in self.method.needs:
            return None
        if not isinstance(target, HFModel):
            raise TypeError(f"{self.method.name} reads its target: give it networks by `pair`")
        return TargetPort(target)

    def _rounds(
        self, target: Target, drafter: Drafter, prompt: list[int], sampling: SamplingSpec, stops: StopRules
    ) -> Generator[Round, None, None]:
        engine = Engine(target, drafter, self.method.rule(self.settings()), sampling, detail=True)
        return engine.decode(prompt, stops)


def plain_text(target: Target, prompt: list[int], count: int, sampling: SamplingSpec) -> list[int]:
    """What plain decoding writes, without a cache or a mask."""
    return oracle.written(partial(_logits_after, target), prompt, count, sampling)


def exact_law(target: Target, prompt: list[int], sampling: SamplingSpec, count: int) -> dict[tuple[int, ...], float]:
    """The probability of every continuation of `count` tokens."""
    law = {}
    for text in product(range(target.vocab_size), repeat=count):
        before, share = list(prompt), 1.0
        for token in text:
            share *= float(oracle.law(_logits_after(target, before), sampling)[token])
            before.append(token)
        law[text] = share
    return law


def _logits_after(target: Target, text: list[int]) -> np.ndarray:
    """The target's logits [V] behind a text."""
    if isinstance(target, TableModel):
        return table_model.logits_after(target.table, text)
    return oracle.logits_after(target.model, text)


def _texts(tokens: list[int]) -> list[str]:
    return [f" {token}" for token in tokens]


__all__ = ["MethodContract", "TableModel", "random_table", "table_pair"]
