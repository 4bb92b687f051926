"""The whole loop against a table for a model: any setting, any drafter, thousands of cases."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from models import make_drafter
from settings import of_method

from gsd.decode.engine import Engine
from gsd.decode.stops import StopRules
from gsd.drafting.auto import MOST_FORWARDS
from gsd.methods import METHODS
from gsd.models.hf import HFModel
from gsd.spec import Keeps, SamplingSpec
from gsd.testing.table_model import plain_text, table_pair
from gsd.verifying.match import Match
from tests.drafts import specs
from tests.models import StillPlanner, adapted, decode, half_agreeing, target_of, tokens_of

SAMPLINGS = st.sampled_from([
    SamplingSpec(), SamplingSpec(), SamplingSpec(temperature=0.8, seed=1),
    SamplingSpec(temperature=1.0, top_k=2, seed=2), SamplingSpec(temperature=1.5, top_p=0.7, seed=3),
])  # fmt: skip


KEEPING = sorted(name for name, one in METHODS.items() if one.keeps == Keeps.TEXT)  # whatever is sampled


@settings(max_examples=1200)
@given(
    specs(), st.sampled_from(KEEPING), SAMPLINGS, st.integers(0, 10_000), st.integers(1, 14),
    st.sampled_from([0.0, 0.001, 0.01, 0.1]),
)  # fmt: skip
def test_any_setting_emits_the_plain_text(spec, method, sampling, seed, count, rate):
    """The table model also checks that each forward shows every token one whole text, no more and no less."""
    target, draft = table_pair(2 + seed % 5, seed)
    prompt = [token % target.vocab_size for token in range(seed, seed + 1 + seed % 4)]
    own = of_method(**{**spec.model_dump(), "method": method})
    drafter = make_drafter(draft, own, vocab_size=target.vocab_size, record=False, planner=StillPlanner(rate))
    engine = Engine(target, drafter, METHODS[method].rule(own), sampling, detail=False)
    emitted = []
    for round_ in engine.decode(prompt, StopRules(count)):
        emitted += round_.new_tokens
        assert round_.target_forwards == 1 and round_.draft_forwards == max(round_.graph.forwards)
        assert round_.draft_forwards <= (getattr(own, "depth", 0) if METHODS[method].fixed_work else MOST_FORWARDS)
        assert len(round_.tree) <= drafter.slots + 1
    assert emitted == plain_text(target.table, prompt, count, sampling)


@pytest.mark.parametrize("order", [0, 1, 2])
def test_texts_that_cross_merge_edges_often_are_plain_too(order):
    """Wide graphs over three tokens: the claim above is not made of rounds without a merge."""
    spec = of_method(
        width=3, depth=5, merge_context=order, prob_threshold=0, sibling_threshold=0, frontier=6, budget=60
    )
    crossed = long = 0
    for seed in range(40):
        target, draft = table_pair(3, seed)
        sampling = SamplingSpec(temperature=seed % 2 * 1.0, seed=seed)
        rounds = decode(target, draft, [seed % 3, 1, 2], spec, sampling, 30, detail=False)
        crossed += sum(any(round_.tree.merged[i] for i in round_.accepted) for round_ in rounds)
        long += sum(len(round_.accepted) > 2 for round_ in rounds)
        assert tokens_of(rounds) == plain_text(target.table, [seed % 3, 1, 2], 30, sampling)
    assert crossed > 60 and long > 100


def rows(model: HFModel) -> list[torch.Tensor]:
    """The valid keys and values of every layer."""
    return [part[:, :, : model.length] for layer in model._cache.layers for part in (layer.keys, layer.values)]


def recomputed(model: HFModel, text: list[int]) -> list[torch.Tensor]:
    """What a fresh cache holds of a text."""
    fresh = adapted(model.model)
    fresh.reset(len(text))
    fresh.forward(text, list(range(len(text))), lambda logits: None)
    return rows(fresh)


@pytest.mark.parametrize("name", ["qwen3", "gpt2"])
def test_after_every_round_both_caches_are_what_a_recomputation_gives(name):
    """Rounds that crossed a merge edge included: what the draft computed behind it is dropped, not kept."""
    model = target_of(name)
    spec = of_method(width=3, depth=5, merge_context=0, sibling_threshold=0, prob_threshold=0, frontier=6, budget=40)
    target, draft = adapted(model), adapted(half_agreeing(model))
    crossed = 0
    for seed in range(5):
        committed = [(7 * seed + 3 * i * i) % 40 for i in range(5)]
        drafter = make_drafter(draft, spec, vocab_size=target.vocab_size, record=False)
        engine = Engine(target, drafter, Match(), SamplingSpec(), detail=False)
        for round_ in engine.decode(list(committed), StopRules(30)):
            committed += round_.new_tokens
            merged = [round_.tree.merged[i] for i in round_.accepted]
            if any(merged):
                crossed += 1
                assert draft.length <= round_.position + 1 + merged.index(True)
            for own in (target, draft):
                for ours, plain in zip(rows(own), recomputed(own, committed[: own.length])):
                    torch.testing.assert_close(ours, plain, atol=2e-4, rtol=1e-3)
    assert crossed >= 3


def test_one_seed_gives_the_same_rounds_twice():
    model = target_of("gpt2")
    target, draft = adapted(model), adapted(half_agreeing(model))
    spec = of_method(merge_context=0, prob_threshold=0.0)
    sampling = SamplingSpec(temperature=1.0, seed=2)
    one, two = (decode(target, draft, [1, 2, 3], spec, sampling) for _ in range(2))
    for a, b in zip(one, two, strict=True):
        assert a.tree == b.tree and a.choices == b.choices and a.new_tokens == b.new_tokens
        assert a.graph.decisions == b.graph.decisions or str(a.graph.decisions) == str(b.graph.decisions)
