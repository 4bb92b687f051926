"""Weights: safetensors and GGUF are read, pickled ones are refused, and what is no model is said."""

import numpy as np
import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    LlamaConfig,
    LlamaForCausalLM,
    Qwen2Config,
)

from gsd.errors import ModelError
from gsd.models.loading import load_model
from gsd.spec import ModelSpec

SIZES = {"vocab_size": 32, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
         "num_key_value_heads": 1, "intermediate_size": 64}  # fmt: skip


def test_pickled_weights_are_refused_with_the_reason(tmp_path):
    model = LlamaForCausalLM(LlamaConfig(**SIZES))
    model.config.save_pretrained(tmp_path)
    torch.save(model.state_dict(), tmp_path / "pytorch_model.bin")
    with pytest.raises(ModelError, match=r"safetensors.*pickled"):
        load_model(ModelSpec(source=str(tmp_path)), "cpu")


def test_a_shard_that_is_lacking_is_not_called_pickled(tmp_path):
    LlamaForCausalLM(LlamaConfig(**SIZES)).save_pretrained(tmp_path, max_shard_size="10KB")
    lost = sorted(tmp_path.glob("*.safetensors"))[1]
    lost.unlink()
    with pytest.raises(ModelError) as error:
        load_model(ModelSpec(source=str(tmp_path)), "cpu")
    assert "pickled" not in str(error.value) and lost.name in str(error.value)


def test_a_folder_that_is_no_model_is_refused(tmp_path):
    with pytest.raises(ModelError, match=r"config\.json"):
        load_model(ModelSpec(source=str(tmp_path)), "cpu")
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ModelError, match=str(tmp_path)):
        load_model(ModelSpec(source=str(tmp_path)), "cpu")


def test_a_layered_sliding_window_is_refused(tmp_path):
    """Gemma 3 mixes windowed and full layers."""
    config = Gemma3TextConfig(
        **SIZES, head_dim=16, sliding_window=8, layer_types=["sliding_attention", "full_attention"]
    )
    Gemma3ForCausalLM(config).save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="sliding window"):
        load_model(ModelSpec(source=str(tmp_path)), "cpu")


def test_a_gguf_file_decodes_as_the_model_it_was_written_from(tmp_path):
    gguf = pytest.importorskip("gguf")
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(Qwen2Config(**SIZES, initializer_range=0.3)).eval()
    path = tmp_path / "small.gguf"
    _write_gguf(gguf, model, path)
    loaded = load_model(ModelSpec(source=str(path)), "cpu", "float32")
    tokens = [1, 5, 9, 2]
    loaded.reset(8)
    ours = loaded.forward(tokens, [0, 1, 2, 3], lambda logits: logits.clone(), rows=4)
    with torch.inference_mode():
        torch.testing.assert_close(ours, model(torch.tensor([tokens])).logits[0], atol=1e-4, rtol=1e-3)


def _write_gguf(gguf, model, path) -> None:
    """The model in float32, by the names of llama.cpp."""
    names = {
        "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm", "self_attn.q_proj": "attn_q",
        "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output",
        "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
    }  # fmt: skip
    config = model.config
    writer = gguf.GGUFWriter(path, "qwen2")
    writer.add_context_length(64)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(10000.0)
    writer.add_vocab_size(config.vocab_size)
    for name, weight in model.state_dict().items():
        name = name.removeprefix("model.").replace("embed_tokens", "token_embd").replace("lm_head", "output")
        name = "output_norm.weight" if name == "norm.weight" else name.replace("layers.", "blk.")
        for theirs, own in names.items():
            name = name.replace(theirs, own)
        writer.add_tensor(name, weight.numpy().astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
