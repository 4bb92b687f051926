"""A decoder of the Llama kind with little around its linear layers.

A forward of few tokens is bound by reading weights, and what a general library does between two products
takes about as long again. Here queries, keys and values are one product, gate and up another; the rotary
tables are made once and read once a forward; keys and values go straight into the cache, and the query
heads that share a key-value head are rows of one product with it. The plain twin is transformers' own forward.

Symbols: N tokens, S cache slots up to the last of them, E hidden size, D head dimension, H key-value heads,
G query heads to each, V vocabulary.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeGuard, cast

import torch
import torch.nn.functional as F
from torch import nn
from transformers import (
    DynamicCache,
    LlamaForCausalLM,
    MistralForCausalLM,
    PreTrainedConfig,
    PreTrainedModel,
    Qwen2ForCausalLM,
    Qwen3ForCausalLM,
)
from transformers.cache_utils import DynamicLayer

from gsd.models.cache import KeysValues, KVCache, Point, Taps
from gsd.models.llama_parts import Attention, DecoderLayer, LlamaLike, NormedAttention, RootMeanSquare

MODELS = (LlamaForCausalLM, MistralForCausalLM, Qwen2ForCausalLM, Qwen3ForCausalLM)
KINDS = "Llama, Mistral, Qwen2, Qwen3"  # their names
ROPE_TYPES = ("default", "linear", "llama3", "yarn")  # whose angles depend on the position alone
_LINEAR = {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}
_OTHERS = {"input_layernorm", "self_attn", "post_attention_layernorm", "mlp", "act_fn"}
_HEAD_NORMS = {"q_norm", "k_norm"}
Cached = Iterable[tuple[KeysValues, KeysValues]]  # by layer, where new ones are written, and what is read


def has_native_forward(model: PreTrainedModel) -> TypeGuard[LlamaLike]:
    """Whether `NativeDecoder` computes what `model` does: its class, its configuration and its parts are all known."""
    if type(model) not in MODELS:
        return False
    body, config = model.model, model.config
    return (
        config.hidden_act == "silu"
        and config.rope_parameters.get("rope_type") in ROPE_TYPES
        and all(type(layer) is DynamicLayer for layer in DynamicCache(config=config).layers)  # full attention
        and len({(weight.dtype, weight.device) for weight in model.parameters()}) == 1
        and type(body.embed_tokens) is nn.Embedding
        and type(model.lm_head) is nn.Linear
        and all(_is_known(layer) for layer in body.layers)
    )


def _is_known(layer: nn.Module) -> bool:
    """Whether a layer has the parts that `NativeLayer` computes, the linear ones whole, and no others."""
    children = (part.named_children() for part in (layer, layer.get_submodule("self_attn"), layer.get_submodule("mlp")))
    parts = {name: type(part) for named in children for name, part in named}
    known = _LINEAR | _OTHERS
    return set(parts) in (known, known | _HEAD_NORMS) and all(parts[name] is nn.Linear for name in _LINEAR)


class Layer(Protocol):
    """What a decoder runs one after the other."""

    def forward(self, x: torch.Tensor, place: Place, new: KeysValues, valid: KeysValues) -> torch.Tensor:
        """[N, E] -> [N, E]; see `NativeLayer.forward`."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the N tokens of a forward stand, the same for every layer."""

    cos: torch.Tensor  # [N, 1, D]
    sin: torch.Tensor  # [N, 1, D], the first half negated
    mask: torch.Tensor | None  # [N x G, S], added to the scores
    slots: torch.Tensor | None  # [N] to write, of more; None: all, in order


class NativeDecoder(nn.Module):
    """The forward of `model`, for which `has_native_forward` holds, on its own weights.

    Fused weights are new tensors, of which the model's become views, layer by layer: it goes on working, and
    nothing is held twice.
    """

    kind = "native"

    def __init__(self, model: LlamaLike) -> None:
        super().__init__()
        body = model.model
        self.embedding = nn.Embedding.from_pretrained(body.embed_tokens.weight)
        layers = nn.ModuleList(NativeLayer(layer, model.config) for layer in body.layers)
        self.layers = cast(Sequence[NativeLayer], layers)  # to torch's types they are modules of any kind
        self.norm = Norm(body.norm)
        self.head = _linear(model.lm_head.weight, model.lm_head.bias)
        self._rotary = copy.deepcopy(body.rotary_emb)
        self._angles = torch.empty(0)  # [positions, 2, 1, D]: cosines, signed sines

    def reserve(self, positions: int) -> None:
        """Have the rotary tables of all positions below `positions`."""
        if positions <= len(self._angles):
            return
        weight = self.embedding.weight
        cos, sin = self._rotary(weight, torch.arange(positions, device=weight.device)[None])  # [1, positions, D]
        first, second = sin.chunk(2, -1)
        self._angles = torch.stack((cos[0], torch.cat((-first, second), -1)[0]), 1)[:, :, None]

    def rotary(self, positions: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
        """Cosines and sines of these positions, [N, D] each, as transformers has them: both halves alike."""
        weight = self.embedding.weight
        places = torch.tensor(positions, device=weight.device)
        if max(positions, default=0) >= len(self._angles):  # the table stays where it is: recorded forwards read it
            cos, sin = self._rotary(weight, places[None])
            return cos[0], sin[0]
        cos, signed = self._angles.index_select(0, places)[:, :, 0].unbind(1)
        return cos, signed.chunk(2, -1)[1].repeat(1, 2)

    def forward(
        self,
        tokens: torch.Tensor,
        positions: torch.Tensor,
        mask: torch.Tensor | None,
        rows: int,
        cache: KVCache,
        *,
        layers: Sequence[Layer] | None = None,
    ) -> torch.Tensor:
        """Write the [N] tokens behind the cache's valid slots; give the logits of the last `rows`, [rows, V].

        `mask` [1, 1, N, S] is added to the scores; `positions` [N] are below what was reserved. `layers` stand in for
        the decoder's own, see `gsd.models.skipping`.
        """
        start, stop = cache.length, cache.length + len(tokens)
        slots = zip(cache.span(start, stop), cache.span(0, stop))
        flat = None if mask is None else mask[0, 0]
        return self.run(tokens, positions, flat, rows, slots, taps=cache.taps(start, stop), layers=layers)

    def run(
        self,
        tokens: torch.Tensor,
        positions: torch.Tensor,
        mask: torch.Tensor | None,
        rows: int,
        cached: Cached,
        slots: torch.Tensor | None = None,
        *,
        taps: Taps | None = None,
        layers: Sequence[Layer] | None = None,
    ) -> torch.Tensor:
        """[N] tokens -> logits of the last `rows`, [rows, V].

        `cached`: by layer, where new keys and values are written, and what is read. What is written are all of the
        former's slots, or those of indices `slots` [N]. `mask` [N, S] is added to the scores over the latter.
        `taps`: by point, where hidden states are written, to all slots or those of `slots` alike.
        """
        cos, sin = self._angles.index_select(0, positions).unbind(1)
        if mask is not None:
            mask = mask.repeat_interleave(self.layers[0].group, 0)
        place = Place(cos, sin, mask, slots)
        x = self.embedding(tokens)  # [N, E]
        if taps is not None:
            return self.head(self._tapped(x, place, layers or self.layers, cached, taps)[len(tokens) - rows :])
        for layer, (new, valid) in zip(layers or self.layers, cached):
            x = layer.forward(x, place, new, valid)
        return self.head(self.norm(x[len(tokens) - rows :]))

    def _tapped(
        self,
        x: torch.Tensor,
        place: Place,
        layers: Sequence[Layer],
        cached: Cached,
        taps: Taps,
    ) -> torch.Tensor:
        """[N, E] -> what the head takes of all N tokens; hidden states are written on the way."""

        def write(point: Point, hidden: torch.Tensor) -> None:
            if point not in taps:
                return
            if place.slots is None:
                taps[point].copy_(hidden)
            else:
                taps[point].index_copy_(0, place.slots, hidden)

        for j, (layer, (new, valid)) in enumerate(zip(layers, cached)):
            write(j, x)
            x = layer.forward(x, place, new, valid)
        write(len(layers), x)
        x = self.norm(x)
        write("final", x)
        return x

    def get_output_embeddings(self) -> nn.Module:
        """The head, by the name that transformers has for it."""
        return self.head


class NativeLayer(nn.Module):
    """Attention and a gated perceptron, each behind a norm and added to what came in.

    A part's `forward` is called itself, as what a module's call does besides takes as long as a small operation.
    """

    def __init__(self, layer: DecoderLayer, config: PreTrainedConfig) -> None:
        super().__init__()
        attention, mlp = layer.self_attn, layer.mlp
        self.heads, self.dim, self.scale = config.num_key_value_heads, attention.head_dim, attention.scaling
        self.group = config.num_attention_heads // self.heads
        self.attention_norm, self.mlp_norm = Norm(layer.input_layernorm), Norm(layer.post_attention_layernorm)
        self.head_norm = HeadNorm(attention, self.heads, self.group) if _has_head_norms(attention) else None
        self.qkv = _fused(attention.q_proj, attention.k_proj, attention.v_proj)
        self.out = _linear(attention.o_proj.weight, attention.o_proj.bias)
        self.gate_up = _fused(mlp.gate_proj, mlp.up_proj)
        self.down = _linear(mlp.down_proj.weight, mlp.down_proj.bias)

    def forward(self, x: torch.Tensor, place: Place, new: KeysValues, valid: KeysValues) -> torch.Tensor:
        """[N, E] -> [N, E]; the new keys and values are written to `new`, all are read from `valid`."""
        return self.perceive(self.attend(x, place, new, valid))

    def attend(self, x: torch.Tensor, place: Place, new: KeysValues, valid: KeysValues) -> torch.Tensor:
        """The first sublayer: what came in and what attention makes of it."""
        qkv = self.qkv.forward(self.attention_norm(x))
        return x + self.out.forward(self._attended(qkv, place, new, valid))

    def perceive(self, x: torch.Tensor) -> torch.Tensor:
        """The second: what came in and what the perceptron makes of it."""
        gate, up = self.gate_up.forward(self.mlp_norm(x)).chunk(2, -1)
        return x + self.down.forward(F.silu(gate).mul_(up))

    def _attended(self, qkv: torch.Tensor, place: Place, new: KeysValues, valid: KeysValues) -> torch.Tensor:
        """[N, (H x G + 2 H) x D] -> what each query head took from the values, [N, H x G x D]."""
        count, queries = len(qkv), self.heads * self.group
        heads = qkv.view(count, -1, self.dim)
        rotated, values = heads[:, : queries + self.heads], heads[:, queries + self.heads :]
        if self.head_norm is not None:
            rotated = self.head_norm.forward(rotated)
        rotated = _rotate(rotated, place)
        for cached, made in zip(new, (rotated[:, queries:], values)):
            if place.slots is None:
                cached.copy_(made.transpose(0, 1))
            else:
                cached.index_copy_(1, place.slots, made.transpose(0, 1))
        q = rotated[:, :queries].view(count, self.heads, self.group * self.dim).transpose(0, 1)
        rows = q.reshape(1, self.heads, count * self.group, self.dim)  # a row for each query head of a group
        taken = F.scaled_dot_product_attention(
            rows, valid[0][None], valid[1][None], attn_mask=place.mask, scale=self.scale
        )
        # However the kernel laid it out in memory: on a CUDA device the heads may be the inner dimension.
        return taken.view(self.heads, count, self.group, self.dim).transpose(0, 1).reshape(count, -1)


class Norm:
    """`x · w / √(mean(x²) + ε)` of each row of E numbers, computed in float32 and rounded once.

    A GPU has one kernel for it. On a CPU torch's own is a longer chain of small operations, of up to twice the time.
    """

    def __init__(self, norm: RootMeanSquare) -> None:
        self._weight, self._epsilon = norm.weight.clone(), norm.variance_epsilon
        self._scaled = norm.weight.float() * math.sqrt(len(norm.weight))  # √mean = length / √E
        self._least = torch.tensor(math.sqrt(len(norm.weight) * norm.variance_epsilon), device=norm.weight.device)

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """[N, E] -> the same."""
        if x.device.type != "cpu":
            return F.rms_norm(x, self._weight.shape, self._weight, self._epsilon)
        wide = x.float()
        length = torch.linalg.vector_norm(wide, dim=-1, keepdim=True)
        return (wide / torch.hypot(length, self._least)).mul_(self._scaled).to(x.dtype)


class HeadNorm(nn.Module):
    """The norms of query and key heads, in one: the same but for their weights."""

    weight: torch.Tensor

    def __init__(self, attention: NormedAttention, heads: int, group: int) -> None:
        super().__init__()
        q, k = attention.q_norm, attention.k_norm
        self._shape, self._epsilon = q.weight.shape, q.variance_epsilon
        weights: list[torch.Tensor] = [*[q.weight] * (heads * group), *[k.weight] * heads]
        self.register_buffer("weight", torch.stack(weights))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[N, H x G + H, D] -> the same."""
        return F.rms_norm(x, self._shape, eps=self._epsilon) * self.weight


def _has_head_norms(attention: Attention) -> TypeGuard[NormedAttention]:
    return hasattr(attention, "q_norm")


def _rotate(x: torch.Tensor, place: Place) -> torch.Tensor:
    """[N, heads, D] turned by the angles of the tokens' positions; the halves of D are the two coordinates."""
    return torch.addcmul(x * place.cos, x.roll(x.shape[-1] // 2, -1), place.sin)


def _linear(weight: torch.Tensor, bias: nn.Parameter | None) -> nn.Linear:
    """A layer of its own on these weights."""
    made = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None, device="meta")
    made.weight = weight
    if bias is not None:
        made.bias = bias
    return made


def _fused(*linears: nn.Linear) -> nn.Linear:
    """One layer that gives the outputs of all, side by side; their weights become views of its own."""
    weight = nn.Parameter(torch.cat([linear.weight for linear in linears]), requires_grad=False)
    for linear, part in zip(linears, weight.split([linear.out_features for linear in linears])):
        linear.weight = nn.Parameter(part, requires_grad=False)
    biases: list[torch.Tensor] = [linear.bias for linear in linears if linear.bias is not None]
    return _linear(weight, nn.Parameter(torch.cat(biases), requires_grad=False) if biases else None)
