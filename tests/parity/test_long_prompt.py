"""Prompts longer than a prefill chunk, and counting: what is reported is what was run."""

import dataclasses
import random

import pytest
from settings import of_method
from transformers import AutoModelForCausalLM

from gsd.drafting.graph import TokenGraph
from gsd.drafting.model_fed import GrowingDrafter
from gsd.spec import PREFILL_CHUNK
from gsd.testing import oracle
from gsd.testing.table_model import TableModel, random_table
from gsd.verifying.match import Match
from tests.models import CONFIGS, VOCABULARY, adapted, decode, half_agreeing, tokens_of


@pytest.fixture(scope="module")
def long_models():
    config = CONFIGS["llama"].__class__(**{**CONFIGS["llama"].to_dict(), "max_position_embeddings": 2048})
    model = AutoModelForCausalLM.from_config(config).eval()
    return model, adapted(model), adapted(half_agreeing(model))


@pytest.mark.parametrize("length", [PREFILL_CHUNK - 1, PREFILL_CHUNK, PREFILL_CHUNK + 1, 2 * PREFILL_CHUNK + 37])
def test_a_long_prompt_is_prefilled_in_chunks(long_models, length):
    model, target, draft = long_models
    prompt = random.Random(length).choices(range(VOCABULARY), k=length)
    expected = oracle.generate(model, prompt, 6)
    for method in ("ar", "graph", "auto"):
        rounds = decode(target, draft, prompt, of_method(method=method), count=6)
        assert tokens_of(rounds) == expected
        assert rounds[0].target_forwards == 1 + (length - 1) // PREFILL_CHUNK


@pytest.mark.parametrize("method", ["ar", "chain", "tree", "graph"])
def test_forwards_reported_are_forwards_made(long_models, method):
    """Counted by a hook on the models themselves; one target forward a round, one draft forward a level."""
    _, target, draft = long_models
    made = {"target": 0, "draft": 0}

    def count(name):
        def hook(*_):
            made[name] += 1

        return hook

    handles = [
        model.decoder.register_forward_hook(count(name)) for name, model in (("target", target), ("draft", draft))
    ]
    spec = of_method(method=method, depth=4, prob_threshold=0.0)
    rounds = decode(target, draft, [1, 2, 3], spec, count=30)
    for handle in handles:
        handle.remove()
    assert sum(round_.target_forwards for round_ in rounds) == made["target"] == len(rounds)
    assert sum(round_.draft_forwards for round_ in rounds) == made["draft"]
    for round_ in rounds:
        assert round_.target_forwards == 1
        assert round_.draft_forwards == max(round_.graph.depths) <= getattr(spec, "depth", 0)


class TimedModel(TableModel):
    """A forward takes `ms` of a made-up clock, keeping slots 1 ms."""

    def __init__(self, table, clock, ms):
        super().__init__(table)
        self.clock, self.ms = clock, ms

    def forward(self, *arguments, **options):
        result = super().forward(*arguments, **options)
        self.clock.pass_ms(self.ms)
        self.counter.ms += self.ms
        return result

    def keep(self, base, slots):
        super().keep(base, slots)
        self.clock.pass_ms(1)


class Clock:
    """Time passes only where a test says so."""

    def __init__(self):
        self.now_s = 0.0

    def __call__(self):
        return self.now_s

    def pass_ms(self, ms):
        self.now_s += ms / 1e3

    def slow(self, function, ms):
        """The function, which takes `ms` now."""

        def slowed(*arguments, **options):
            self.pass_ms(ms)
            return function(*arguments, **options)

        return slowed


def test_each_phase_gets_its_own_time_and_together_they_are_the_round_s(monkeypatch):
    """A draft forward takes 2 ms, growing a level 4, flattening 3, the target's forward 5, its reduction apart 7.

    Both caches keep slots in the commit, 1 ms each; what the target's forward waits for outside it is `other`.
    """
    clock = Clock()
    monkeypatch.setattr("gsd.decode.engine.perf_counter", clock)
    monkeypatch.setattr(GrowingDrafter, "flatten", clock.slow(GrowingDrafter.flatten, 3))
    monkeypatch.setattr(Match, "verdict", clock.slow(Match.verdict, 7))
    monkeypatch.setattr(TokenGraph, "grow", clock.slow(TokenGraph.grow, 4))
    table = random_table(5, 0)
    target, draft = TimedModel(table, clock, 5), TimedModel(table + random_table(5, 1, 1.0), clock, 2)
    rounds = decode(target, draft, [1, 2, 3], of_method(depth=3, prob_threshold=0.0), detail=False)
    assert max(round_.draft_forwards for round_ in rounds) == 3
    for round_ in rounds:
        levels = round_.draft_forwards
        expected = {"draft": 2 * levels, "grow": 4 * levels, "flatten": 3, "verify": 5, "commit": 2, "other": 7}
        assert dataclasses.asdict(round_.times) == pytest.approx(expected)
    assert sum(round_.times.total for round_ in rounds) == pytest.approx(clock.now_s * 1e3)
