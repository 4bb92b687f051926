"""Prompts longer than a prefill chunk, and counting: what is reported is what was run."""

import dataclasses
import random

import pytest
from transformers import AutoModelForCausalLM

from gsd.config import PREFILL_CHUNK, DraftSpec
from tests import oracle
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
    for method in ("ar", "graph"):
        steps = decode(target, draft, prompt, DraftSpec(method=method), count=6)
        assert tokens_of(steps) == expected
        assert steps[0].target_forwards == 1 + (length - 1) // PREFILL_CHUNK


@pytest.mark.parametrize("method", ["ar", "chain", "tree", "graph"])
def test_forwards_reported_are_forwards_made(long_models, method):
    """Counted by a hook on the models themselves; one target forward a round, one draft forward a level."""
    _, target, draft = long_models
    made = {"target": 0, "draft": 0}

    def count(name):
        def hook(*_):
            made[name] += 1

        return hook

    handles = [target.model.register_forward_hook(count("target")), draft.model.register_forward_hook(count("draft"))]
    spec = DraftSpec(method=method, depth=4, prob_threshold=0.0)
    steps = decode(target, draft, [1, 2, 3], spec, count=30)
    for handle in handles:
        handle.remove()
    assert sum(step.target_forwards for step in steps) == made["target"] == len(steps)
    assert sum(step.draft_forwards for step in steps) == made["draft"]
    for step in steps:
        assert step.target_forwards == 1
        assert step.draft_forwards == max(step.graph.depths) <= spec.depth


def test_phases_sum_up_and_none_is_negative(long_models):
    _, target, draft = long_models
    for step in decode(target, draft, [1, 2, 3], DraftSpec()):
        phases = dataclasses.asdict(step.times)
        assert min(phases.values()) >= 0.0
        assert step.times.total == pytest.approx(sum(phases.values()))
