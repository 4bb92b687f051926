"""Every method emits the oracle's tokens, on every supported architecture, greedy and sampled."""

import itertools
import random

import pytest
from models import make_drafter
from settings import of_method

from gsd.spec import PREFILL_CHUNK, SamplingSpec
from gsd.testing import oracle
from tests.models import CONFIGS, VOCABULARY, adapted, decode, half_agreeing, target_of, tokens_of

NEW_TOKENS = 24
GREEDY = SamplingSpec()
SAMPLED = SamplingSpec(temperature=0.8, top_k=20, top_p=0.95, seed=11)
PROMPTS = [[5, 9, 2, 31, 7, 7, 12], [1, 2, 3, 1, 2, 3, 1, 2]]
SETTINGS = [
    of_method(method="ar"),
    of_method(method="chain", depth=5, prob_threshold=0.0),
    of_method(method="tree", width=3, depth=4, prob_threshold=0.0, sibling_threshold=0.0),
    of_method(width=3, depth=4, merge_context=0, prob_threshold=0.0, sibling_threshold=0.0),
    of_method(width=4, depth=6, merge_context=1, prob_threshold=0.001),
    of_method(width=2, depth=8, merge_context=2, frontier=2, prob_action="drop", budget=7),
    of_method(width=4, depth=3, merge_context=3, prob_rule="local", prob_threshold=0.3, budget=1),
    of_method(width=6, depth=5, merge_context=0, frontier=12, prob_threshold=0.0, budget=128),
    of_method(width=5, depth=5, merge_context=None, frontier=8, prob_threshold=0.0, budget=128),
    of_method(method="auto"),
    of_method(method="auto", merge_context=0, history=True, calibrated=False),
]


@pytest.fixture(scope="module", params=CONFIGS)
def models(request):
    """(oracle's model, target, draft) of one architecture."""
    model = target_of(request.param)
    return model, adapted(model), adapted(half_agreeing(model))


@pytest.mark.parametrize("sampling", [GREEDY, SAMPLED], ids=["greedy", "sampled"])
@pytest.mark.parametrize("detail", [True, False], ids=["full", "counters"])
def test_every_setting_emits_the_oracle_tokens(models, sampling, detail):
    model, target, draft = models
    for prompt in PROMPTS:
        expected = oracle.generate(model, prompt, NEW_TOKENS, sampling)
        for spec in SETTINGS:
            rounds = decode(target, draft, prompt, spec, sampling, NEW_TOKENS, detail=detail)
            assert tokens_of(rounds) == expected, spec


def test_merge_edges_are_walked_and_the_draft_is_repaired(models):
    """The claim that merged graphs are verified is empty unless paths cross merge edges: here they do.

    After each such round the draft proposes what a fresh draft, fed the committed text, would.
    """
    model, target, draft = models
    fresh = adapted(draft.model)
    spec = of_method(width=4, depth=5, merge_context=0, frontier=6, prob_threshold=0.0, sibling_threshold=0.0)
    fresh_drafter = make_drafter(fresh, spec, vocab_size=VOCABULARY, record=True)
    walked = 0
    for seed in range(4):
        prompt = random.Random(seed).choices(range(VOCABULARY), k=6)
        sampling = SamplingSpec(temperature=1.0, seed=seed)
        rounds = decode(target, draft, prompt, spec, sampling, 40)
        assert tokens_of(rounds) == oracle.generate(model, prompt, 40, sampling)
        for round_, after in itertools.pairwise(rounds):
            if not any(round_.tree.merged[i] for i in round_.accepted):
                continue
            walked += 1
            text = (prompt + tokens_of(rounds))[: after.position + 1]
            fresh_drafter.start(len(text) + spec.depth)
            again = fresh_drafter.draft(text, len(prompt) + 40 - len(text) - 1)
            assert again.tokens == after.graph.tokens
            assert again.logq == pytest.approx(after.graph.logq, abs=1e-3)
    assert walked > 0


def test_long_accepted_paths_occur(models):
    """The draft agrees often enough for parity to test something."""
    _, target, draft = models
    spec = of_method(width=4, depth=6, prob_threshold=0.0, sibling_threshold=0.0)
    rounds = [round_ for prompt in PROMPTS for round_ in decode(target, draft, prompt, spec)]
    assert max(len(round_.accepted) for round_ in rounds) >= 3
    assert sum(len(round_.graph.merges) for round_ in rounds) > 0


@pytest.mark.parametrize("chunk", [2, PREFILL_CHUNK])
@pytest.mark.parametrize("size", [24, 56])
def test_a_draft_padded_otherwise_than_the_target_changes_nothing(size, chunk, monkeypatch):
    """Fewer rows than the target's: prompt and text hold tokens unknown to the draft. More: never proposed."""
    monkeypatch.setattr("gsd.models.base.PREFILL_CHUNK", chunk)
    model = target_of("llama")
    resized = half_agreeing(model)
    resized.resize_token_embeddings(size)
    target, draft = adapted(model), adapted(resized)
    accepted = 0
    for prompt, sampling in itertools.product([[5, 39, 2, 31, 7], [1, 2, 3, 1, 2]], [GREEDY, SAMPLED]):
        expected = oracle.generate(model, prompt, NEW_TOKENS, sampling)
        for spec in [*SETTINGS[1:6], *SETTINGS[-2:]]:
            rounds = decode(target, draft, prompt, spec, sampling, NEW_TOKENS)
            assert tokens_of(rounds) == expected, spec
            drafted = [token for round_ in rounds for token, source in zip(round_.graph.tokens, round_.graph.sources)
                       if source == "draft"]  # fmt: skip
            assert max(drafted, default=0) < min(size, VOCABULARY)
            accepted += sum(len(round_.accepted) for round_ in rounds)
    assert accepted > 10
