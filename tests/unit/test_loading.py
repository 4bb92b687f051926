"""What cannot be decoded losslessly is refused when it is loaded, with the reason."""

import json
from urllib.error import URLError

import pytest
import torch
from transformers import (
    AutoTokenizer,
    Gemma2Config,
    Gemma2ForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    MambaConfig,
    MambaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    T5Config,
    T5ForConditionalGeneration,
)

from gsd.config import ModelSpec
from gsd.errors import ModelError, PairError
from gsd.models.cache import KVCache, LayerShape
from gsd.models.hf import load_model
from gsd.pairs import BUNDLED, available, located, pair
from gsd.runner import Runner

SIZES = {"vocab_size": 16, "hidden_size": 16, "num_hidden_layers": 2}
HEADS = {"num_attention_heads": 2, "num_key_value_heads": 2, "intermediate_size": 16}
REFUSED = {
    "encoder-decoder": lambda: T5ForConditionalGeneration(
        T5Config(vocab_size=16, d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2)
    ),
    "sliding window": lambda: MistralForCausalLM(MistralConfig(**SIZES, **HEADS, sliding_window=8)),
    "a sliding window": lambda: Gemma2ForCausalLM(Gemma2Config(**SIZES, **HEADS, head_dim=8, sliding_window=8)),
    "recurrent": lambda: MambaForCausalLM(MambaConfig(**SIZES, state_size=4, intermediate_size=32)),
}


@pytest.mark.parametrize("reason", REFUSED)
def test_an_unsupported_architecture_is_refused_with_its_reason(reason, tmp_path):
    REFUSED[reason]().save_pretrained(tmp_path)
    with pytest.raises(ModelError, match=reason) as error:
        load_model(ModelSpec(source=str(tmp_path)), "cpu")
    assert str(tmp_path) in str(error.value)


def test_a_file_that_is_no_gguf_is_refused(tmp_path):
    path = tmp_path / "weights.bin"
    path.write_bytes(b"1")
    with pytest.raises(ModelError, match=r"weights\.bin"):
        load_model(ModelSpec(source=str(path)), "cpu")
    broken = tmp_path / "weights.gguf"
    broken.write_bytes(b"GGUF, not really")
    with pytest.raises(ModelError, match=r"weights\.gguf"):
        load_model(ModelSpec(source=str(broken)), "cpu")


def test_a_device_that_is_not_here_is_refused():
    with pytest.raises(ModelError, match="cuda:77"):
        load_model(ModelSpec(source=str(BUNDLED / "draft")), "cuda:77")


def test_another_vocabulary_is_refused_by_name(tmp_path):
    target = AutoTokenizer.from_pretrained(BUNDLED / "target")
    vocabulary = json.loads((BUNDLED / "draft" / "tokenizer.json").read_text())["model"]["vocab"]
    first, second = list(vocabulary)[300:302]
    text = (BUNDLED / "draft" / "tokenizer.json").read_text()
    data = json.loads(text)
    data["model"]["vocab"][first], data["model"]["vocab"][second] = vocabulary[second], vocabulary[first]
    target.save_pretrained(tmp_path)
    (tmp_path / "tokenizer.json").write_text(json.dumps(data))
    config = LlamaConfig(vocab_size=len(target), hidden_size=16, num_hidden_layers=1, **HEADS)
    LlamaForCausalLM(config).save_pretrained(tmp_path)
    with pytest.raises(PairError, match="different vocabularies"):
        Runner.load(ModelSpec(source=str(BUNDLED / "target")), ModelSpec(source=str(tmp_path)), device="cpu")


def test_dtype_is_as_asked():
    spec = ModelSpec(source=str(BUNDLED / "draft"))
    assert load_model(spec, "cpu").dtype == torch.float32
    assert load_model(spec, "cpu", "bfloat16").dtype == torch.bfloat16


def test_local_models_are_found_by_the_name_of_their_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("GSD_MODELS", str(tmp_path))
    qwen = pair("qwen2.5-coder")
    assert not available(qwen)
    for model in (qwen.target, qwen.draft):
        (tmp_path / model.source.rsplit("/", 1)[-1].lower()).mkdir()
    assert located(qwen.target) == tmp_path / "qwen2.5-coder-1.5b-instruct"
    assert available(qwen)


@pytest.mark.parametrize("source", ["someone/no-such-model", "no/such/folder"])
def test_what_is_not_here_is_refused_at_once_where_the_hub_cannot_be_reached(monkeypatch, source):
    def no_way(*_, **__):
        raise URLError("no network")

    monkeypatch.setattr("gsd.models.hf.urlopen", no_way)
    with pytest.raises(ModelError, match=rf"{source}.*no network.*GSD_MODELS"):
        load_model(ModelSpec(source=source))


def test_a_hub_model_of_which_only_the_configuration_is_cached_is_not_here(monkeypatch, tmp_path):
    """As after a look at the configuration, or a download that was broken off."""
    (tmp_path / "config.json").write_text("{}")
    monkeypatch.delenv("GSD_MODELS", raising=False)
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *_, **__: str(tmp_path / "config.json"))
    spec = ModelSpec(source="someone/some-model")
    assert located(spec) is None
    (tmp_path / "model.safetensors.index.json").write_text(
        '{"weight_map": {"a": "one.safetensors", "b": "two.safetensors"}}'
    )
    (tmp_path / "one.safetensors").write_text("")
    assert located(spec) is None
    (tmp_path / "two.safetensors").write_text("")
    assert located(spec) == tmp_path


def test_a_cache_that_did_not_fit_is_allocated_anew(monkeypatch):
    cache = KVCache([LayerShape(1, 2, torch.float32, torch.device("cpu"))])
    cache.reset(4)
    allocate = KVCache._allocate

    def full(self, capacity):
        raise torch.OutOfMemoryError("full")

    monkeypatch.setattr(KVCache, "_allocate", full)
    with pytest.raises(torch.OutOfMemoryError):
        cache.reset(8)
    monkeypatch.setattr(KVCache, "_allocate", allocate)
    cache.reset(3)
    assert cache.layers[0].keys.shape == (1, 1, 3, 2)
