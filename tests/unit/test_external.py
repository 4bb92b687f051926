"""Transformers' own ways on the bundled pair, as transformers loads it: what they draft with, and refusals."""

from types import SimpleNamespace

import pytest
import torch

from gsd.config import RunSpec
from gsd.errors import InputError, OutOfMemory
from gsd.lab import external
from gsd.lab.bench import ExternalMethod
from gsd.lab.external import External, StockModels, counted
from gsd.models.pairs import PAIRS
from gsd.models.quantize import Int8Linear
from gsd.spec import Prompt, SamplingSpec

PROMPT = Prompt(prompt="def add(first, second):\n")
TINY = PAIRS["tiny"]


def spec(count=16, **changes):
    values = {"target": TINY.target, "draft": TINY.draft, "prompt": PROMPT, "max_new_tokens": count}
    return RunSpec(**(values | {"device": "cpu", "dtype": "float32"} | changes))


def quantised():
    return spec(draft=TINY.draft.model_copy(update={"quantization": "int8"}))


def holds_int8(model):
    return any(isinstance(module, Int8Linear) for module in model.modules())


@pytest.fixture(scope="module")
def stock(tiny):
    return StockModels(tiny, spec())


def made(stock, tiny, name, run=None):
    return External(stock, name, run or spec(), tiny.eos)


def test_a_method_without_a_draft_has_an_acceptance_length_of_one(tiny, stock):
    found = ExternalMethod(made(stock, tiny, "hf-greedy", spec(6))).measure(tiny.encode(PROMPT))
    assert (found.rounds, found.accepted) == (len(found.tokens), 0)


def test_assistants_use_the_draft_and_draft_no_more_than_they_were_told(tiny, stock):
    prompt = tiny.encode(PROMPT)
    calls = {}
    greedy = made(stock, tiny, "hf-greedy").generate(prompt)
    for name in ("hf-assisted-2", "hf-assisted-8", "hf-assisted"):
        one = made(stock, tiny, name)
        with counted(one.assistant) as draft, counted(one.target) as target:
            assert one.generate(prompt) == greedy
        calls[name] = draft[0] / target[0]
    assert calls["hf-assisted"] > 0
    assert calls["hf-assisted-2"] <= 2
    assert calls["hf-assisted-8"] > 2


def test_they_decode_with_models_of_their_own_each_loaded_when_one_needs_it(tiny):
    stock = StockModels(tiny, quantised())
    greedy = External(stock, "hf-greedy", quantised(), tiny.eos)
    ours = {weight.data_ptr() for weight in tiny.target.decoder.parameters()}
    assert ours and not ours & {weight.data_ptr() for weight in greedy.target.parameters()}
    assert greedy.assistant is None and not {"_given", "_quantised"} & vars(stock).keys()
    given = External(stock, "hf-assisted-4", quantised(), tiny.eos)
    assert given.target is greedy.target and not holds_int8(given.assistant) and "_quantised" not in vars(stock)


def test_the_quantised_assistant_is_quantised_like_ours_and_writes_the_same_text(tiny):
    stock = StockModels(tiny, quantised())
    one = External(stock, "hf-assisted-q", quantised(), tiny.eos)
    assert holds_int8(one.assistant) and not holds_int8(one.target)
    prompt = tiny.encode(PROMPT)
    assert one.generate(prompt) == External(stock, "hf-greedy", quantised(), tiny.eos).generate(prompt)


def test_a_sampled_text_is_the_same_each_time_and_follows_the_seed(tiny, stock):
    prompt = tiny.encode(PROMPT)
    hot = [spec(sampling=SamplingSpec(temperature=2.0, seed=seed)) for seed in (1, 1, 2)]
    first, again, other = (made(stock, tiny, "hf-sample", run).generate(prompt) for run in hot)
    assert first == again != other


@pytest.mark.parametrize(
    ("name", "run", "words"),
    [
        ("hf-assisted", spec(draft=None, drafting={"method": "ar"}), "--draft"),
        ("hf-assisted-q", spec(), "--draft-quant"),
    ],
)
def test_an_assisted_method_without_its_draft_is_refused(tiny, name, run, words):
    with pytest.raises(InputError, match=words):
        External(StockModels(tiny, run), name, run, tiny.eos)


def test_too_little_memory_for_a_second_copy_is_said_before_it_is_loaded(tiny, monkeypatch):
    monkeypatch.setattr(external.psutil, "virtual_memory", lambda: SimpleNamespace(available=1_000_000))
    with pytest.raises(OutOfMemory, match="once more"):
        _ = StockModels(tiny, spec()).target


def test_memory_that_runs_out_while_loading_is_said_to_be_that_of_a_second_copy(tiny, monkeypatch):
    def full(*_):
        raise OutOfMemory("out of memory")

    monkeypatch.setattr(external, "load_stock", full)
    with pytest.raises(OutOfMemory, match="once more"):
        _ = StockModels(tiny, spec()).target


def test_a_checkpoints_own_defaults_change_nothing(tiny, stock):
    """A repetition penalty in the checkpoint would make plain greedy another law."""
    assert stock.target.generation_config.repetition_penalty in (None, 1.0)
    with torch.inference_mode():
        ids = torch.tensor([tiny.encode(PROMPT)])
        first = stock.target(input_ids=ids).logits[0, -1].argmax().item()
    assert made(stock, tiny, "hf-greedy", spec(1)).generate(ids[0].tolist()) == [first]
