"""A checkpoint that lacks weights, or has some that its model has no place for, is refused by name."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM, Qwen2Config

from gsd.errors import ModelError
from gsd.models.loading import load_model, load_stock
from gsd.spec import ModelSpec

SIZES = {
    "vocab_size": 16, "hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "num_key_value_heads": 2,
    "intermediate_size": 16,
}  # fmt: skip


def saved(tmp_path, change, **config):
    """A small Llama whose weights `change` has altered before they were written."""
    LlamaForCausalLM(LlamaConfig(**SIZES, **config)).save_pretrained(tmp_path)
    weights = change(load_file(tmp_path / "model.safetensors"))
    save_file(weights, tmp_path / "model.safetensors", {"format": "pt"})
    return ModelSpec(source=str(tmp_path))


def without(part):
    return lambda weights: {name: value for name, value in weights.items() if part not in name}


def renamed(rename):
    return lambda weights: {rename(name): value for name, value in weights.items()}


def eagle(weights):
    """As EAGLE's checkpoints: a layer without its first norm, a product that joins two states, no head."""
    kept = {name.removeprefix("model."): value for name, value in weights.items() if "layers.0" in name}
    del kept["layers.0.input_layernorm.weight"]
    return kept | {"fc.weight": torch.zeros(16, 32), "embed_tokens.weight": weights["model.embed_tokens.weight"]}


def whole_eagle(weights):
    """One with every weight that a model of one layer has, and that product."""
    kept = {name: value for name, value in weights.items() if "layers.1" not in name and "layers.2" not in name}
    return kept | {"fc.weight": torch.zeros(16, 32)}


FAULTS = {
    "a missing layer": (without("layers.1."), {}, r"9 of the weights of a LlamaForCausalLM are missing .*layers\.1\."),
    "a missing last layer": (without("layers.2."), {}, r"are missing .*layers\.2\."),
    "no head": (without("lm_head"), {}, r"1 of the weights .* missing \(lm_head\.weight\)"),
    "no embedding": (without("embed_tokens"), {}, r"missing \(model\.embed_tokens\.weight\)"),
    "neither of two tied": (without("embed_tokens"), {"tie_word_embeddings": True}, r"embed_tokens\.weight"),
    "other names": (renamed(lambda name: name.replace("layers", "blocks")), {}, "missing .*no place in"),
    "a wrapper's names": (renamed(lambda name: "_orig_mod." + name), {}, "saved by a wrapper, with '_orig_mod'"),
    "an EAGLE head": (eagle, {}, r"fc\.weight.*EAGLE"),
    "an EAGLE head with all else": (whole_eagle, {"num_hidden_layers": 1}, r"no place .*fc\.weight.*EAGLE"),
    "more layers than configured": (lambda weights: weights, {"num_hidden_layers": 2}, r"no place .*layers\.2\."),
    "biases": (lambda weights: weights | {"model.layers.0.self_attn.q_proj.bias": torch.zeros(16)}, {},
               r"no place .*q_proj\.bias"),
    "another size": (lambda weights: weights | {"lm_head.weight": torch.zeros(20, 16)}, {},
                     "lm_head.weight is 20 x 16 where its configuration says 16 x 16"),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
@pytest.mark.parametrize("load", [load_model, load_stock])
def test_what_is_not_the_whole_model_is_refused_by_name(name, load, tmp_path):
    change, config, said = FAULTS[name]
    spec = saved(tmp_path, change, **{key: value for key, value in config.items() if key != "num_hidden_layers"})
    if "num_hidden_layers" in config:
        settings = json.loads((tmp_path / "config.json").read_text())
        (tmp_path / "config.json").write_text(json.dumps(settings | config))
    with pytest.raises(ModelError, match=said) as error:
        load(spec, "cpu")
    assert "\n" not in str(error.value) and str(tmp_path) in str(error.value)


ALLOWED = {
    "a tied head": (without("lm_head"), {"tie_word_embeddings": True}),
    "a head saved although it is tied": (lambda weights: weights, {"tie_word_embeddings": True}),
    "rotary tables of each layer": (
        lambda weights: weights | {f"model.layers.{i}.self_attn.rotary_emb.inv_freq": torch.zeros(4) for i in range(3)},
        {},
    ),
    "prediction of more tokens": (lambda weights: weights | {"mtp.fc.weight": torch.zeros(2, 2)}, {}),
    "prediction of more tokens, as a layer": (
        lambda weights: weights | {"model.layers.3.eh_proj.weight": torch.zeros(2, 2)}, {"num_nextn_predict_layers": 1},
    ),
    "a value head": (lambda weights: weights | {"v_head.summary.weight": torch.zeros(1, 16)}, {}),
    "no prefix": (renamed(lambda name: name.removeprefix("model.")), {}),
}  # fmt: skip


@pytest.mark.parametrize("name", ALLOWED)
def test_what_is_tied_or_unused_is_loaded(name, tmp_path):
    change, config = ALLOWED[name]
    assert load_model(saved(tmp_path, change, **config), "cpu").vocab_size == 16


def test_the_configuration_of_another_architecture_is_refused(tmp_path):
    """Qwen2's weights under Llama's name would be computed without their biases."""
    AutoModelForCausalLM.from_config(Qwen2Config(**SIZES)).save_pretrained(tmp_path)
    settings = json.loads((tmp_path / "config.json").read_text()) | {"model_type": "llama"}
    (tmp_path / "config.json").write_text(json.dumps(settings | {"architectures": ["LlamaForCausalLM"]}))
    with pytest.raises(ModelError, match=r"9 weights have no place in a LlamaForCausalLM .*bias"):
        load_model(ModelSpec(source=str(tmp_path)), "cpu")


def test_a_shard_that_is_not_there_is_named(tmp_path):
    LlamaForCausalLM(LlamaConfig(**SIZES)).save_pretrained(tmp_path, max_shard_size="4KB")
    shard = sorted(tmp_path.glob("model-*.safetensors"))[1]
    shutil.move(shard, tmp_path / "elsewhere")
    with pytest.raises(ModelError, match=rf"files of weights are missing, such as {shard.name}: download"):
        load_model(ModelSpec(source=str(tmp_path)), "cpu")
