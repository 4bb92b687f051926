"""The parts of transformers' models of the Llama kind, as types: a module of torch's does not say what its parts are.

For the type checker alone; `gsd.models.native.has_native_forward` says which models have them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from torch import nn
from transformers import PreTrainedConfig


class RootMeanSquare(Protocol):
    """A norm over the last dimension."""

    weight: nn.Parameter
    variance_epsilon: float


class Attention(Protocol):
    """Attention with grouped query heads."""

    q_proj: nn.Linear
    k_proj: nn.Linear
    v_proj: nn.Linear
    o_proj: nn.Linear
    head_dim: int
    scaling: float


class NormedAttention(Attention, Protocol):
    """The same with norms of query and key heads, as in Qwen3."""

    q_norm: RootMeanSquare
    k_norm: RootMeanSquare


class Perceptron(Protocol):
    """A gated perceptron."""

    gate_proj: nn.Linear
    up_proj: nn.Linear
    down_proj: nn.Linear


class DecoderLayer(Protocol):
    """Both, each behind its norm."""

    self_attn: Attention
    mlp: Perceptron
    input_layernorm: RootMeanSquare
    post_attention_layernorm: RootMeanSquare


class Body(Protocol):
    """All but the head."""

    embed_tokens: nn.Embedding
    layers: Sequence[DecoderLayer]
    norm: RootMeanSquare
    rotary_emb: nn.Module


class LlamaLike(Protocol):
    """A causal language model of the Llama kind."""

    config: PreTrainedConfig
    model: Body
    lm_head: nn.Linear
