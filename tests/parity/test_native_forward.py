"""The forward of our own gives what transformers' own gives, and takes only models for which it does."""

import copy

import numpy as np
import pytest
import torch
from torch import nn
from transformers import AutoModelForCausalLM, LlamaConfig, MistralConfig, Qwen2Config, Qwen3Config
from transformers.models.qwen2.modeling_qwen2 import Qwen2RMSNorm

from gsd.models.hf import HFModel
from gsd.models.native import Norm, has_native_forward
from gsd.models.pack import PackedLinear, pack
from gsd.models.quantize import Int4Linear, Int8Linear, quantize
from gsd.spec import ModelSpec

SIZES = {
    "vocab_size": 40, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 3, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 64, "initializer_range": 0.25,
}  # fmt: skip
LLAMA3 = {"rope_type": "llama3", "rope_theta": 1e4, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
          "original_max_position_embeddings": 16}  # fmt: skip
YARN = {"rope_type": "yarn", "rope_theta": 1e4, "factor": 4.0, "original_max_position_embeddings": 16}
MODELS = {
    "llama": LlamaConfig(**SIZES),
    "llama with biases": LlamaConfig(**SIZES, attention_bias=True, mlp_bias=True),
    "llama, tied head": LlamaConfig(**SIZES, tie_word_embeddings=True),
    "llama, every head its own": LlamaConfig(**SIZES | {"num_key_value_heads": 4}),
    "llama, one head for all": LlamaConfig(**SIZES | {"num_key_value_heads": 1}),
    "llama, linear rope": LlamaConfig(**SIZES, rope_parameters={"rope_type": "linear", "rope_theta": 1e4, "factor": 2}),
    "llama 3": LlamaConfig(**SIZES, rope_parameters=LLAMA3),
    "qwen2": Qwen2Config(**SIZES),
    "qwen2, yarn, tied head": Qwen2Config(**SIZES, rope_parameters=YARN, tie_word_embeddings=True),
    "qwen3": Qwen3Config(**SIZES, head_dim=16),
    "mistral": MistralConfig(**SIZES, sliding_window=None, head_dim=16),
}
# Prefix 3 1; branches 4-(5, 9) and 2, verified together.
TREE = np.array([[1, 0, 0, 0], [1, 1, 0, 0], [1, 0, 1, 0], [0, 0, 0, 1]], dtype=bool)


def model_of(config) -> nn.Module:
    """A random model whose norms and biases are not all ones and noughts."""
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(copy.deepcopy(config)).eval().requires_grad_(False)
    for name, weight in model.named_parameters():
        if "norm" in name or "bias" in name:
            weight.add_(0.3 * torch.randn(weight.shape))
    return model


def served(model, *, native: bool = True) -> HFModel:
    return HFModel(model, ModelSpec(source="random"), native=native)


def answers(model: HFModel) -> list[torch.Tensor]:
    """Logits of a prompt, of a tree behind it, of a token behind one of its branches, and of a chain behind that."""
    model.reset(24)
    forwards = [model.forward([3, 1, 7], [0, 1, 2], torch.clone, rows=2)]
    forwards.append(model.forward([4, 5, 9, 2], [3, 4, 4, 3], torch.clone, rows=4, mask=TREE))
    model.keep(3, [0, 2])
    forwards.append(model.forward([8], [5], torch.clone))
    forwards.append(model.forward([6, 0, 6, 0], [6, 7, 8, 9], torch.clone, rows=3))
    return forwards


@pytest.mark.parametrize("name", MODELS)
def test_logits_are_those_of_transformers_own_forward(name):
    """In float32 to its rounding: logits here are of size 10, and the largest relative difference seen is 1e-6."""
    model = model_of(MODELS[name])
    theirs, ours = answers(served(model, native=False)), answers(served(model))
    assert served(model).describe()["forward"] == "native"
    for own, other in zip(ours, theirs, strict=True):
        assert own.shape == other.shape
        assert (own - other).abs().max() <= 1e-5 * other.abs().max()


def test_logits_are_the_same_however_attention_lays_out_what_it_returns(monkeypatch):
    """Kernels of CUDA devices have the heads as the inner dimension, those of a CPU the rows."""
    model = served(model_of(MODELS["qwen2"]))
    rows_inside = answers(model)
    attention = torch.nn.functional.scaled_dot_product_attention
    monkeypatch.setattr(
        torch.nn.functional,
        "scaled_dot_product_attention",
        lambda *args, **kwargs: attention(*args, **kwargs).transpose(1, 2).contiguous().transpose(1, 2),
    )
    for own, other in zip(answers(model), rows_inside, strict=True):
        assert torch.equal(own, other)


@pytest.mark.parametrize("name", ["llama with biases", "qwen2, yarn, tied head", "qwen3"])
def test_packed_logits_are_the_same(name):
    model = model_of(MODELS[name])
    theirs = answers(served(model, native=False))
    ours = served(model)
    ours.convert(pack)
    assert {type(layer) for layer in (ours.decoder.head, ours.decoder.layers[0].qkv)} == {PackedLinear}
    for own, other in zip(answers(ours), theirs, strict=True):
        assert (own - other).abs().max() <= 1e-5 * other.abs().max()


@pytest.mark.parametrize(("bits", "made"), [("int8", Int8Linear), ("int4", Int4Linear)])
def test_fused_layers_are_quantised_as_their_parts_are(bits, made):
    """Scales belong to an output or to a part of one, so a fused layer's products are its parts', to the bit."""
    config = LlamaConfig(**SIZES | {"hidden_size": 64})
    ours, stock = (served(model_of(config).to(torch.bfloat16), native=native) for native in (True, False))
    for one in (ours, stock):
        one.convert(lambda module: quantize(module, bits))
    x = torch.randn(5, 64, dtype=torch.bfloat16)
    for fused, whole in zip(ours.decoder.layers, stock.model.model.layers, strict=True):
        q, k, v = (getattr(whole.self_attn, name)(x) for name in ("q_proj", "k_proj", "v_proj"))
        assert torch.equal(fused.qkv(x), torch.cat((q, k, v), -1))
        assert torch.equal(fused.gate_up(x), torch.cat((whole.mlp.gate_proj(x), whole.mlp.up_proj(x)), -1))
        assert {type(layer.few) for layer in (fused.qkv, fused.out, fused.gate_up, fused.down)} == {made}
    assert type(ours.decoder.head) is Int8Linear


@pytest.mark.parametrize("size", [1e-4, 1.0, 1e3])
def test_a_norm_is_rounded_once(size):
    """In bfloat16 the exact result, rounded; were the normalised number rounded as well, a quarter would differ."""
    torch.manual_seed(0)
    norm = Qwen2RMSNorm(64, eps=1e-6).to(torch.bfloat16).requires_grad_(False)
    norm.weight.copy_(1 + 0.3 * torch.randn(64))
    x = (size * torch.randn(50, 64)).to(torch.bfloat16)
    x[7] = 0
    mean = x.double().square().mean(-1, keepdim=True)
    exact = (x.double() * norm.weight.double() / (mean + 1e-6).sqrt()).to(torch.bfloat16)
    made = Norm(norm)(x)
    assert (made == exact).double().mean() > 0.995  # float32's own rounding may tip what is nearly half-way
    torch.testing.assert_close(made, exact)


def test_a_fused_weight_is_held_once_and_the_model_it_came_from_still_works():
    model = model_of(MODELS["qwen2"])
    tokens = torch.tensor([[3, 1, 4]])
    before = model(tokens).logits
    layer = served(model).decoder.layers[1]
    storage = layer.qkv.weight.untyped_storage().data_ptr()
    attention = model.model.layers[1].self_attn
    assert {part.weight.untyped_storage().data_ptr() for part in (attention.q_proj, attention.v_proj)} == {storage}
    torch.testing.assert_close(model(tokens).logits, before)


def test_a_replaced_weight_is_let_go():
    model = model_of(MODELS["llama"])
    packed = served(model)
    packed.convert(pack)
    assert {weight.device.type for weight in model.parameters()} == {"meta"}
    assert packed.model.config.vocab_size == packed.describe()["vocab_size"] == 40


def test_tables_grow_with_what_is_asked_for():
    """The rotary tables reach as far as the cache; a longer text needs longer ones."""
    model = model_of(MODELS["llama"])
    ours, theirs = served(model), served(model, native=False)
    for one in (ours, theirs):
        one.reset(4)
        one.reset(40)
    text = [i % 40 for i in range(40)]
    own, other = (one.forward(text, list(range(40)), torch.clone, rows=40) for one in (ours, theirs))
    assert (own - other).abs().max() <= 1e-5 * other.abs().max()


class Adapted(nn.Linear):
    """As an adapter or another quantiser puts in the place of a layer."""


def other_activation(model):
    model.config.hidden_act = "gelu"


def dynamic_rope(model):
    model.config.rope_parameters["rope_type"] = "dynamic"


def window(model):
    model.config.layer_types = ["full_attention", "sliding_attention", "full_attention"]
    model.config.sliding_window = 8


def adapter(model):
    model.model.layers[2].mlp.up_proj = Adapted(32, 64)


def further_norm(model):
    model.model.layers[1].mlp_norm = nn.LayerNorm(32)


def mixed_dtypes(model):
    model.model.norm.double()


@pytest.mark.parametrize("change", [other_activation, dynamic_rope, window, adapter, further_norm, mixed_dtypes])
def test_what_is_not_known_goes_through_transformers_own_forward(change):
    model = model_of(MODELS["qwen2"])
    assert has_native_forward(model)
    change(model)
    assert not has_native_forward(model)


def test_a_kind_that_only_looks_alike_is_not_taken():
    class Scaled(type(model_of(MODELS["llama"]))):
        """Has the parts of a Llama, and computes something else."""

    assert not has_native_forward(Scaled(MODELS["llama"]))


def test_transformers_own_forward_can_be_asked_for():
    assert served(model_of(MODELS["llama"]), native=False).describe()["forward"] == "transformers"
