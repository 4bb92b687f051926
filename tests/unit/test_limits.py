"""What the machine cannot hold and what a dtype cannot hold are clear errors, wherever they show."""

import numpy as np
import pytest
import torch
from settings import of_method

from gsd.errors import ModelError, OutOfMemory
from gsd.models.base import out_of_memory
from gsd.models.cache import KVCache
from gsd.models.hf import HFModel
from gsd.models.loading import load_model
from gsd.models.places import BUNDLED
from gsd.spec import ModelSpec, SamplingSpec
from tests.models import adapted, decode, half_agreeing, target_of

SAID = {
    "torch on CUDA": torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    "torch on the CPU": RuntimeError("[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory"),
    "cuBLAS": RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    "the CUDA driver": RuntimeError("CUDA error: out of memory\nCUDA kernel errors might be reported later"),
    "Python": MemoryError(),
    "the system": OSError(12, "Cannot allocate memory"),
}


@pytest.fixture(scope="module")
def model():
    return target_of("llama")


@pytest.mark.parametrize("who", SAID)
def test_whoever_says_that_memory_ran_out_the_error_is_one_line_with_advice(who):
    with pytest.raises(OutOfMemory, match=r"^out of memory: use less \(.+\)$"), out_of_memory("use less"):
        raise SAID[who]


@pytest.mark.parametrize("error", [RuntimeError("shapes do not match"), OSError(2, "No such file"), KeyError("x")])
def test_other_errors_pass_unchanged(error):
    with pytest.raises(type(error)) as raised, out_of_memory("use less"):
        raise error
    assert raised.value is error


@pytest.mark.parametrize(
    ("place", "owner"), [("reset", KVCache), ("keep", KVCache), ("_additive", HFModel), ("advance", KVCache)]
)
def test_running_out_of_memory_anywhere_in_a_round_is_the_clear_error(model, monkeypatch, place, owner):
    """Allocating the cache, compacting it, building the mask, and inside the forward."""
    target, draft = adapted(model), adapted(half_agreeing(model))

    def full(*_):
        raise SAID["cuBLAS"]

    monkeypatch.setattr(owner, place, full)
    with pytest.raises(OutOfMemory, match=r"shorten the prompt.*ALLOC_FAILED"):
        decode(target, draft, [1, 2, 3], of_method(prob_threshold=0.0))


@pytest.mark.parametrize("place", ["AutoModelForCausalLM.from_pretrained", "HFModel"])
def test_running_out_of_memory_while_loading_names_a_smaller_model(monkeypatch, place):
    """Reading the weights, and the forward that asks the model what it caches."""

    def full(*_, **__):
        raise SAID["the CUDA driver"]

    monkeypatch.setattr(f"gsd.models.loading.{place}", full)
    with pytest.raises(OutOfMemory, match="smaller model"):
        load_model(ModelSpec(source=str(BUNDLED / "draft")), "cpu")


def damaged(model, value):
    """A copy whose head gives one token `value` times what it should."""
    copied = half_agreeing(model)
    with torch.no_grad():
        copied.get_output_embeddings().weight[7] *= value
    return copied


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("detail", [True, False], ids=["full", "counters"])
@pytest.mark.parametrize("temperature", [0.0, 0.7])
@pytest.mark.parametrize("whose", ["target", "draft"])
def test_logits_that_are_not_finite_end_the_run_and_name_model_and_dtype(model, whose, temperature, detail, value):
    target = adapted(damaged(model, value) if whose == "target" else model, "the-target")
    draft = adapted(damaged(model, value) if whose == "draft" else half_agreeing(model), "the-draft")
    spec, sampling = of_method(prob_threshold=0.0), SamplingSpec(temperature=temperature)
    with pytest.raises(ModelError, match=f"the-{whose} .*not finite in float32"):
        for start in range(8):  # an infinite weight times a negative sum is a logit of -inf, which is a law
            decode(target, draft, [start, 2, 3], spec, sampling, detail=detail)


def test_an_overflow_in_float16_names_the_dtypes_that_hold_it(model):
    target = adapted(damaged(model, 1e6).half(), "wide")
    with pytest.raises(ModelError, match=r"wide overflows in float16.*bfloat16 or float32"):
        for start in range(8):
            decode(target, adapted(model), [start, 2, 3], of_method(method="ar"))


def test_the_mask_adds_nothing_to_what_is_seen_and_the_lowest_number_elsewhere(model):
    """Two cached slots, then a root with two children: the second child does not see the first."""
    target = adapted(model)
    target.reset(8)
    target.forward([1, 2], [0, 1], lambda logits: None)
    tree = np.array([[1, 0, 0], [1, 1, 0], [1, 0, 1]], dtype=bool)
    low = torch.finfo(torch.float32).min
    expected = [[0, 0, 0, low, low], [0, 0, 0, 0, low], [0, 0, 0, low, 0]]
    torch.testing.assert_close(target._additive(tree, 3), torch.tensor(expected)[None, None])
