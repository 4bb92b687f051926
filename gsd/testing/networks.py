"""Small random networks, for methods that read more of a target than what a table has."""

from __future__ import annotations

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from gsd.models.hf import HFModel
from gsd.spec import ModelSpec

NOISE = 0.15  # of a draft's weights, in standard deviations of the target's


def network_pair(vocabulary: int, seed: int, layers: int = 4) -> tuple[HFModel, HFModel]:
    """A target in float32 on the CPU, and a draft that agrees with it in part."""
    config = LlamaConfig(
        vocab_size=vocabulary, hidden_size=16, intermediate_size=32, num_hidden_layers=layers, num_attention_heads=2,
        max_position_embeddings=256, initializer_range=0.5, bos_token_id=None, eos_token_id=None, pad_token_id=None,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        target, draft = LlamaForCausalLM(config), LlamaForCausalLM(config)
        draft.load_state_dict(target.state_dict())
        with torch.no_grad():
            for weight in draft.parameters():
                weight.add_(NOISE * weight.std() * torch.randn(weight.shape))
    return HFModel(target, ModelSpec(source="random")), HFModel(draft, ModelSpec(source="random"))
