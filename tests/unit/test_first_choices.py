"""A draft that guesses no better than chance gets a line; others do not."""

import json
from dataclasses import replace

import pytest
import torch
from settings import of_method
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, LlamaConfig

from gsd.models.places import BUNDLED
from gsd.spec import SamplingSpec
from gsd.trace.read import read_run
from gsd.trace.records import AT_CHANCE, ENOUGH, FirstChoices
from tests.models import CONFIGS, adapted, decode, half_agreeing, tokens_of

PROMPT = [5, 9, 2, 31, 7, 7, 12]
METHODS = [
    of_method(method="chain", depth=4, prob_threshold=0.0),
    of_method(width=3, depth=4, merge_context=0, prob_threshold=0.0),
    of_method(method="auto"),
]


@pytest.fixture(scope="module")
def models():
    """(target, a draft that half agrees, one with nothing in common but the vocabulary)."""
    model, other = (seeded(seed) for seed in (0, 9))
    return adapted(model), adapted(half_agreeing(model)), adapted(other)


def seeded(seed):
    """A model of 400 tokens, of which chance takes one in 400."""
    torch.manual_seed(seed)
    return AutoModelForCausalLM.from_config(LlamaConfig(**CONFIGS["llama"].to_dict() | {"vocab_size": 400})).eval()


def counted(target, draft, spec, sampling=None, count=200):
    first = FirstChoices(greedy=sampling is None)
    rounds = decode(target, draft, PROMPT, spec, sampling, count)
    for round_ in rounds:
        first.add(round_)
    return first, rounds


@pytest.mark.parametrize("spec", METHODS, ids=lambda spec: spec.method)
def test_a_draft_that_half_agrees_gets_no_line(models, spec):
    target, draft, _ = models
    first, _ = counted(target, draft, spec)
    assert first.asked >= ENOUGH and first.picked > 2 * AT_CHANCE * first.asked
    assert first.note() is None


@pytest.mark.parametrize("spec", METHODS[:2], ids=lambda spec: spec.method)
def test_a_stranger_gets_a_line_with_its_figures(models, spec):
    target, _, stranger = models
    first, rounds = counted(target, stranger, spec)
    expected = sum(  # of a chain's or graph's first drafted token, by hand
        round_.tree.tokens[1 + max(range(len(round_.tree) - 1), key=lambda i: (round_.tree.parents[i + 1] == 0,
                                                                             round_.tree.logq[i + 1]))]
        == round_.choices.tokens[0]
        for round_ in rounds if len(round_.tree) > 1
    )  # fmt: skip
    assert first.picked >= expected  # at roots alone
    assert first.asked >= ENOUGH
    assert f"at {first.picked} of {first.asked} tokens" in first.note()


def test_few_tokens_say_nothing(models):
    target, _, stranger = models
    first, _ = counted(target, stranger, METHODS[0], count=20)
    assert first.asked < ENOUGH and first.note() is None


def test_picks_that_nobody_foresees_do_not_count(models):
    """At a high temperature even the target itself is a poor draft; it is none that is damaged."""
    target, _, _ = models
    hot = SamplingSpec(temperature=3.0, seed=1)
    first, rounds = counted(target, adapted(seeded(0)), METHODS[0], hot)
    assert len(tokens_of(rounds)) == 200 and sum(len(round_.accepted) for round_ in rounds) < 100
    assert first.note() is None
    blind = FirstChoices(greedy=False)
    for round_ in rounds:  # a record of counts alone has no probabilities to go by
        blind.add(replace(round_, choices=replace(round_.choices, logp=None)))
    assert blind.asked == 0


def test_a_stranger_is_told_of_on_standard_error_and_in_the_trace(gsd, tmp_path, monkeypatch):
    monkeypatch.setattr("gsd.trace.records.ENOUGH", 16)  # the text is short
    source = BUNDLED / "draft"
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(source)).save_pretrained(tmp_path / "draft")
    AutoTokenizer.from_pretrained(source).save_pretrained(tmp_path / "draft")
    ways = ("generate", "--target", BUNDLED / "target", "--method", "chain", "--prompt", "def add(first, second):")
    for draft, said in ((tmp_path / "draft", True), (source, False)):
        code, out, err = gsd(*ways, "--draft", draft, "--max-new-tokens", 90, "--prob-threshold", 0, "--out", tmp_path,
                             "--json")  # fmt: skip
        assert code == 0 and ("note: the target picked the draft's first choice at" in err) == said
        end = read_run(tmp_path / json.loads(out)["run"]).end
        assert [line for line in end["notes"] if "first choice" in line] == ([end["notes"][0]] if said else [])
