"""A small random model of a configuration's architecture: what it does with masks and positions, in milliseconds.

Layers, widths, experts and vocabulary are cut; what decides how tokens see one another (kinds of layers, heads'
dimension, rotation, flags) stays. Windows are cut as well, so that a few tokens reach beyond them. Weights are
random and large, so that every token and position shows in every logit.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import torch
from transformers import AutoModelForCausalLM, PreTrainedConfig, PreTrainedModel

Loaded = TypeVar("Loaded")  # a model, or one and what loading it reports
VOCABULARY = 64
LAYERS = 2  # or as many as show every kind
WINDOW = 5  # tokens; the proof's paths are longer
WIDE = 256  # hidden size above which it is cut
MOST_WIDE = 1024  # that it is cut to, where one key-value head and its queries are not wider
KEPT = (4, 2, 1)  # key-value heads, as many as fit
INNER = 64  # of a perceptron or an expert
EXPERTS = 8
MOST_PARAMETERS = 50_000_000  # that are made at load time
_INNER = ("intermediate_size", "ffn_dim", "ffn_hidden_size", "n_inner", "inner_dim")
_EXPERTS = ("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts")
_GROUPS = ("n_group", "topk_group")
_CHOSEN = ("num_experts_per_tok", "moe_topk", "moe_k", "top_k")


class NoMiniature(Exception):
    """The configuration cannot be made small enough."""


def miniature(config: PreTrainedConfig) -> PreTrainedConfig:
    """A copy of `config`, made small. Raises `NoMiniature` where it holds several models' configurations."""
    small = copy.deepcopy(config)
    if small.get_text_config(decoder=True) is not small:
        raise NoMiniature(f"{config.model_type} is made of several configurations")
    for name, value in (("_name_or_path", ""), ("quantization_config", None), ("vocab_size", VOCABULARY)):
        if value is not None or hasattr(small, name):
            setattr(small, name, value)
    _cut_ids(small)
    _cut_windows(small)
    _cut_layers(small)
    _cut_inner(small)
    _cut_heads(small)
    return small


def build(small: PreTrainedConfig, *, trust: bool) -> PreTrainedModel:
    """A float32 model of a small configuration, with loud weights. Raises `NoMiniature` where it is not small."""

    def made(**options: Any) -> PreTrainedModel:
        copied = copy.deepcopy(small)
        return AutoModelForCausalLM.from_config(copied, trust_remote_code=trust, dtype=torch.float32, **options)

    with torch.device("meta"):
        size = sum(weight.numel() for weight in with_attention(made).parameters())
    if size > MOST_PARAMETERS:
        raise NoMiniature(f"{size:,} parameters")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = with_attention(made).eval()
        with torch.no_grad():
            for weight in model.parameters():
                if weight.ndim > 1:
                    weight.normal_(0.0, _loudness(model, weight))
    return model


def with_attention(load: Callable[..., Loaded]) -> Loaded:
    """What `load` gives with torch's fused attention, or where an architecture has no such, with the plain one."""
    try:
        return load(attn_implementation="sdpa")
    except ValueError as error:
        if "scaled_dot_product_attention" not in str(error):
            raise
    return load(attn_implementation="eager")


def _loudness(model: PreTrainedModel, weight: torch.Tensor) -> float:
    """Standard deviation: 1 in a table of tokens or positions, else one that keeps a product's size."""
    table = any(weight is module.weight for module in model.modules() if isinstance(module, torch.nn.Embedding))
    return 1.0 if table else weight.shape[-1] ** -0.5


def _numbers(config: PreTrainedConfig) -> Iterator[tuple[str, int]]:
    """Attributes that are whole numbers."""
    for name, value in list(vars(config).items()):
        if type(value) is int:
            yield name, value


def _cut_ids(config: PreTrainedConfig) -> None:
    for name, value in _numbers(config):
        if name.endswith("token_id") and value >= VOCABULARY:
            setattr(config, name, 0)
    if isinstance(getattr(config, "eos_token_id", None), list):
        config.eos_token_id = 0


def _cut_windows(config: PreTrainedConfig) -> None:
    """All windows that hold less than the longest text."""
    longest = getattr(config, "max_position_embeddings", None) or 1 << 62
    for name, value in _numbers(config):
        if "window" in name and WINDOW < value < longest:
            setattr(config, name, WINDOW)


def _cut_layers(config: PreTrainedConfig) -> None:
    """The first layers, so many that every kind is among them; lists with an entry a layer likewise."""
    count = config.num_hidden_layers
    lists = {name: value for name, value in vars(config).items() if isinstance(value, list) and len(value) == count}
    kept = min(LAYERS, count)
    for value in lists.values():
        kinds = [str(entry) for entry in value]
        kept = max(kept, *(kinds.index(kind) + 1 for kind in set(kinds)))
    config.num_hidden_layers = kept
    for name, value in lists.items():
        setattr(config, name, value[:kept])


def _cut_inner(config: PreTrainedConfig) -> None:
    for name, value in _numbers(config):
        if any(name.endswith(one) for one in _INNER) and value > INNER:
            setattr(config, name, INNER)
        elif name in _EXPERTS and value > EXPERTS:
            setattr(config, name, EXPERTS)
        elif name in _GROUPS:
            setattr(config, name, 1)
        elif name in _CHOSEN and value > 2:
            setattr(config, name, 2)


def _cut_heads(config: PreTrainedConfig) -> None:
    """A few key-value heads with the query heads that share each; their dimension stays."""
    hidden, heads = config.hidden_size, config.num_attention_heads
    shared = getattr(config, "num_key_value_heads", None) or heads
    if hidden <= WIDE or not all(type(one) is int for one in (hidden, heads, shared)) or hidden % heads:
        return
    kept = next((few for few in KEPT if few <= shared and few * heads // shared * (hidden // heads) <= MOST_WIDE), 1)
    queries = kept * (heads // shared)
    if queries >= heads:
        return
    for name, value in _numbers(config):
        if value == hidden:
            setattr(config, name, hidden // heads * queries)
    config.num_attention_heads = queries
    if getattr(config, "num_key_value_heads", None) is not None:
        config.num_key_value_heads = kept
