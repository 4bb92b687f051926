"""Small randomly initialised models of every supported architecture, and drafts that half agree."""

from __future__ import annotations

import copy
from typing import Any

import torch
from transformers import AutoModelForCausalLM as Auto
from transformers import (
    GemmaConfig,
    GPT2Config,
    GPTNeoXConfig,
    LlamaConfig,
    MistralConfig,
    PreTrainedModel,
    Qwen2Config,
    Qwen3Config,
)

from gsd.decode.engine import Engine
from gsd.decode.stops import StopRules
from gsd.drafting.base import Drafter, Parts
from gsd.drafting.planner import Planner
from gsd.methods import METHODS, MethodSettings
from gsd.models.base import LanguageModel
from gsd.models.hf import HFModel
from gsd.spec import ModelSpec, SamplingSpec
from gsd.trace.round import Round

VOCABULARY = 40
_SIZES = {
    "vocab_size": VOCABULARY, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 256, "initializer_range": 0.25,
}  # fmt: skip
_HEADED = {**_SIZES, "head_dim": 8}
_PLAIN = {key: value for key, value in _SIZES.items() if key != "num_key_value_heads"}
CONFIGS = {
    "llama": LlamaConfig(**_SIZES),
    "qwen2": Qwen2Config(**_SIZES),
    "qwen3": Qwen3Config(**_HEADED),
    "mistral": MistralConfig(**_SIZES, sliding_window=None),
    "gpt2": GPT2Config(
        vocab_size=VOCABULARY,
        n_embd=32,
        n_layer=2,
        n_head=4,
        n_positions=256,
        initializer_range=0.25,
        bos_token_id=None,
        eos_token_id=None,
    ),
    "gpt_neox": GPTNeoXConfig(**_PLAIN),
    "gemma": GemmaConfig(**_HEADED, tie_word_embeddings=False),
}


def target_of(name: str, seed: int = 0) -> PreTrainedModel:
    """A random model of an architecture, in float32."""
    torch.manual_seed(seed)
    return Auto.from_config(CONFIGS[name]).eval()


def half_agreeing(model: PreTrainedModel, noise: float = 0.15, seed: int = 1) -> PreTrainedModel:
    """The model with noise on its weights: often the same first choice, not always."""
    generator = torch.Generator().manual_seed(seed)
    draft = copy.deepcopy(model)
    with torch.no_grad():
        for weight in draft.parameters():
            weight += noise * weight.std().nan_to_num() * torch.randn(weight.shape, generator=generator)
    return draft


def adapted(model: PreTrainedModel, name: str = "random") -> HFModel:
    """A model behind the engine's protocol."""
    return HFModel(model, ModelSpec(source=name))


class StillPlanner(Planner):
    """Costs and rate that no clock moves, so that method auto drafts the same again."""

    def __init__(self, rate: float = 0.02) -> None:
        self._still = rate
        super().__init__()
        for tokens in (1, 8, 128):
            self._draft.observe(tokens, 8.0 + tokens)
            self._target.observe(tokens, 100.0 + tokens)
        self._plan()

    rate = property(lambda self: self._still)

    def end(self, nodes: int, tokens: int, *, found: bool) -> None:
        """Nothing to learn of time."""

    def end_forward(self, tokens: int) -> None:
        """Nothing to learn of time."""


def make_drafter(
    draft: LanguageModel | None,
    settings: MethodSettings,
    *,
    vocab_size: int,
    record: bool,
    planner: Any = None,
    sampling: SamplingSpec | None = None,
) -> Drafter:
    """A method's drafter; `planner` is its memory, where that is one of its kind, else it gets a fresh one."""
    method = METHODS[settings.method]
    fresh = method.memory()
    memory = planner if isinstance(planner, type(fresh)) else fresh
    return method.drafter(settings, Parts(None, draft, vocab_size, record, memory, sampling or SamplingSpec()))


def decode(
    target: HFModel, draft: HFModel, prompt: list[int], spec: MethodSettings, sampling: SamplingSpec | None = None,
    count: int = 24, *, detail: bool = True, stops: StopRules | None = None,
) -> list[Round]:  # fmt: skip
    """All rounds of one text."""
    sampling = sampling or SamplingSpec()
    drafter = make_drafter(draft, spec, vocab_size=target.vocab_size, record=detail, planner=StillPlanner(),
                           sampling=sampling)  # fmt: skip
    rule = METHODS[spec.method].rule(spec)
    engine = Engine(target, drafter, rule, sampling, detail=detail)
    return list(engine.decode(prompt, stops or StopRules(count)))


def tokens_of(rounds: list[Round]) -> list[int]:
    """The emitted tokens."""
    return [token for round_ in rounds for token in round_.new_tokens]
