"""A quantised draft changes what is proposed and never what is emitted; and it hardly changes what is proposed."""

import pytest
import torch
from settings import of_method
from torch import nn

from gsd.models.loading import load_model
from gsd.models.pack import PackedLinear, can_pack
from gsd.models.pairs import pair
from gsd.spec import ModelSpec, SamplingSpec
from gsd.testing import oracle
from tests.models import decode, tokens_of

PROMPTS = [
    "def count_items(items):\n",
    "class SplitTool:\n",
    "# How to sort the words.\n",
    "def merge(first, second):\n",
]
NEW_TOKENS = 32


@pytest.fixture(scope="module", params=["int8", "int4"])
def draft(request):
    """The bundled draft with weights of so many bits."""
    spec = ModelSpec(**pair("tiny").draft.model_dump() | {"quantization": request.param})
    return load_model(spec, "cpu", "float32")


@pytest.mark.parametrize("sampling", [SamplingSpec(), SamplingSpec(temperature=0.9, seed=3)], ids=["greedy", "sampled"])
def test_the_text_is_the_oracles(tiny, stock, draft, sampling):
    for text in PROMPTS:
        prompt = tiny.tokenizer.encode(text)
        expected = oracle.generate(stock, prompt, NEW_TOKENS, sampling)
        for spec in (of_method(), of_method(method="chain", prob_threshold=0.0, depth=5)):
            rounds = decode(tiny.target, draft, prompt, spec, sampling, NEW_TOKENS, detail=True)
            assert tokens_of(rounds) == expected, spec


def test_acceptance_hardly_pays(tiny, draft):
    """Rounds over all prompts at the default settings: at most a fifth more than with the whole draft."""

    def rounds(model):
        prompts = map(tiny.tokenizer.encode, PROMPTS)
        return sum(len(decode(tiny.target, model, one, of_method(), SamplingSpec(), NEW_TOKENS, detail=False))
                   for one in prompts)  # fmt: skip

    assert rounds(draft) <= 1.2 * rounds(tiny.draft)


def test_what_the_trace_says_of_it(draft, tiny):
    described = draft.describe()
    assert described["quantization"] == draft.spec.quantization
    assert described["dtype"] == "bfloat16"
    assert described["parameters"] == tiny.draft.describe()["parameters"]


def test_the_whole_weights_beside_it_are_packed(draft):
    laid_out = load_model(draft.spec, "cpu", "float32", packed=True)
    for model, kept in (
        (draft, nn.Linear),
        (laid_out, PackedLinear if can_pack(nn.Linear(1, 1, dtype=torch.bfloat16)) else nn.Linear),
    ):
        assert {type(layer.down.whole) for layer in model.decoder.layers} == {kept}
