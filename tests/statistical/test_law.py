"""Over many seeds, the next three tokens have the target's own law, enumerated exactly.

Each test compares counts over all 6^3 triples with their exact probabilities by a chi-square test,
rare triples pooled, and fails below p = 1e-6: a correct sampler is called wrong once in a million.
"""

import itertools
from collections import Counter
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from settings import of_method
from transformers import LlamaConfig, LlamaForCausalLM

from gsd.drafting import drawn
from gsd.drafting.model_fed import Candidates
from gsd.methods import MethodSettings
from gsd.spec import SamplingSpec
from gsd.testing import oracle
from gsd.verifying import ratio
from gsd.verifying.match import Match
from gsd.verifying.sampling import pick
from tests.models import adapted, decode, half_agreeing, tokens_of

VOCABULARY = 6
PROMPT = [1, 4, 2, 1]
ALARM = 1e-6
MERGING = of_method(width=4, depth=3, merge_context=0, frontier=6, prob_threshold=0.0, sibling_threshold=0.0)
LAWS = [SamplingSpec(temperature=1.0), SamplingSpec(temperature=0.7, top_k=5, top_p=0.95)]


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(3)
    config = LlamaConfig(vocab_size=VOCABULARY, hidden_size=16, intermediate_size=16, num_hidden_layers=1,
                         num_attention_heads=2, max_position_embeddings=32, initializer_range=0.5)  # fmt: skip
    return LlamaForCausalLM(config).eval()


@torch.inference_mode()
def exact_law(model, spec: SamplingSpec) -> dict[tuple[int, ...], float]:
    """The probability of every triple after the prompt."""

    @cache
    def after(text: tuple[int, ...]) -> np.ndarray:
        return oracle.law(model(input_ids=torch.tensor([[*PROMPT, *text]])).logits[0, -1].numpy(), spec)

    return {triple: float(np.prod([after(triple[:i])[token] for i, token in enumerate(triple)]))
            for triple in itertools.product(range(VOCABULARY), repeat=3)}  # fmt: skip


def p_value(law: dict[tuple[int, ...], float], drawn: list[tuple[int, ...]]) -> float:
    """Chi-square with triples of an expected count below 8 pooled; 0 where an impossible one was drawn."""
    if any(law[triple] == 0.0 for triple in drawn):
        return 0.0
    expected = np.array(list(law.values())) * len(drawn)
    counts = Counter(drawn)
    observed = np.array([counts[triple] for triple in law], dtype=float)
    common = expected >= 8
    expected = np.append(expected[common], max(expected[~common].sum(), 1e-9))
    observed = np.append(observed[common], observed[~common].sum())
    statistic = ((observed - expected) ** 2 / expected).sum()
    degrees = torch.tensor((len(expected) - 1) / 2, dtype=torch.float64)
    return torch.special.gammaincc(degrees, torch.tensor(statistic / 2, dtype=torch.float64)).item()


def draw(target, draft, spec: MethodSettings, sampling: SamplingSpec, count: int):
    """Triples for `count` seeds, and how many accepted paths crossed a merge edge."""
    triples, crossed = [], 0
    for seed in range(count):
        rounds = decode(target, draft, PROMPT, spec, sampling.model_copy(update={"seed": seed}), 3, detail=False)
        triples.append(tuple(tokens_of(rounds)))
        crossed += sum(any(round_.tree.merged[i] for i in round_.accepted) for round_ in rounds)
    return triples, crossed


@pytest.mark.parametrize("sampling", LAWS, ids=["plain", "filtered"])
def test_merged_graphs_keep_the_law(model, sampling):
    triples, crossed = draw(adapted(model), adapted(half_agreeing(model, 0.5)), MERGING, sampling, 2500)
    assert crossed > 50
    assert p_value(exact_law(model, sampling), triples) > ALARM


@pytest.mark.parametrize("method", ["ar", "chain", "tree", "auto", "mcsd"])
def test_every_method_keeps_the_law(model, method):
    spec = of_method(**{**MERGING.model_dump(), "method": method})
    triples, _ = draw(adapted(model), adapted(half_agreeing(model, 0.5)), spec, LAWS[0], 1200)
    assert p_value(exact_law(model, LAWS[0]), triples) > ALARM


@pytest.mark.parametrize(("sampling", "settings"), [(LAWS[0], {"replacement": True}), (LAWS[1], {"widths": "5,2"})],
                         ids=["with replacement", "filtered"])  # fmt: skip
def test_draws_that_are_tested_by_ratios_keep_the_law(model, sampling, settings):
    spec = of_method("mcsd", **settings)
    triples, _ = draw(adapted(model), adapted(half_agreeing(model, 0.5)), spec, sampling, 1000)
    assert p_value(exact_law(model, sampling), triples) > ALARM


def twice(monkeypatch):
    """The residual of a rejection is taken twice."""
    once = ratio.residual
    monkeypatch.setattr(ratio, "residual", lambda p, q: once(once(p, q), q))


def as_it_was(monkeypatch):
    """q is not normalised again once a token is gone."""
    test = ratio.recursive_rejection
    monkeypatch.setattr(ratio, "law_left", lambda scores: scores.exp())
    monkeypatch.setattr(
        ratio, "recursive_rejection", lambda p, q, *rest, **how: test(p, q.log_softmax(-1), *rest, **how)
    )


def pruned(monkeypatch):
    """A draw of little q is dropped once it was seen."""
    whole = drawn._possible

    def likely(host, count):
        found = whole(host, count)
        kept = [[i for i, own in enumerate(row) if own > -1.6] for row in found.logq]
        parts = ([[row[i] for i in at] for row, at in zip(part, kept)] for part in (found.tokens, found.logq))
        return Candidates(*parts)

    monkeypatch.setattr(drawn, "_possible", likely)


@pytest.mark.parametrize("fault", [twice, as_it_was, pruned])
def test_a_wrong_test_of_draws_is_noticed(model, monkeypatch, fault):
    fault(monkeypatch)
    spec = of_method("mcsd", widths="4,4")
    triples, _ = draw(adapted(model), adapted(half_agreeing(model, 1.0)), spec, LAWS[0], 1000)
    assert p_value(exact_law(model, LAWS[0]), triples) < ALARM


@pytest.mark.parametrize("sampling", LAWS, ids=["plain", "filtered"])
def test_draws_from_a_vocabulary_of_many_blocks_have_the_law(sampling):
    """20,000 positions, one row of logits of 1,000 tokens; and a law that is 10 % off is noticed."""
    logits = 2 * torch.randn(1, 1000, generator=torch.Generator().manual_seed(0))
    drawn = pick(logits.expand(20_000, -1), sampling, list(range(20_000))).tokens
    p = oracle.law(logits[0].numpy(), sampling)
    assert p_value({(token,): probability for token, probability in enumerate(p)}, [(one,) for one in drawn]) > ALARM
    off = p * np.where(np.argsort(np.argsort(-p)) % 2, 1.1, 0.9)
    off /= off.sum()
    assert p_value({(token,): probability for token, probability in enumerate(off)}, [(one,) for one in drawn]) < ALARM


def test_a_wrong_sampler_is_noticed(model):
    """The test can fail: a temperature of 0.8 passed off as 1.0 is found out."""
    wrong = SamplingSpec(temperature=0.8)
    triples, _ = draw(adapted(model), adapted(model), MERGING, wrong, 1200)
    assert p_value(exact_law(model, LAWS[0]), triples) < ALARM


def test_a_wrong_acceptance_rule_is_noticed(model, monkeypatch):
    """One verdict for all copies of a merged node, as if a prefix did not matter, is found out."""
    verdict = Match.verdict

    def once_per_node(rule, tree, choices):
        first = {}
        shared = [choices.tokens[first.setdefault(node, i)] for i, node in enumerate(tree.nodes)]
        return verdict(rule, tree, replace(choices, tokens=shared))

    monkeypatch.setattr(Match, "verdict", once_per_node)
    triples, _ = draw(adapted(model), adapted(half_agreeing(model, 0.5)), MERGING, LAWS[0], 2500)
    assert p_value(exact_law(model, LAWS[0]), triples) < ALARM
