"""External methods: transformers' own `generate`, with models as transformers loads them.

With scikit-learn installed, transformers tunes the confidence at which its assistant stops while it decodes;
without, that confidence stays at its default. Nothing here changes which of the two is measured.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import psutil
import torch
from transformers import GenerationConfig, PreTrainedModel

from gsd.config import RunSpec
from gsd.decode.runner import Runner
from gsd.errors import InputError, OutOfMemory
from gsd.models.hf import input_device
from gsd.models.loading import draft_device, load_stock
from gsd.spec import ModelSpec, SamplingSpec

GB = 1e9
HELD_TWICE = "transformers holds the models once more, beside the engine's: use a smaller pair, or --dtype bfloat16"


@dataclass(frozen=True, slots=True)
class ExternalSpec:
    """One way to call transformers' `generate`.

    `assistant`  the draft as its files give it, or quantised like ours
    `length`     tokens that the assistant drafts a round; None: transformers' own schedule
    `lookup`     tokens that prompt lookup copies at most; None: no prompt lookup
    """

    assistant: Literal["given", "quantised"] | None = None
    length: int | None = None
    lookup: int | None = None


# As people use them, and with other lengths, so that each can be shown at its best.
EXTERNAL: dict[str, ExternalSpec] = {
    "hf-greedy": ExternalSpec(),
    "hf-sample": ExternalSpec(),
    "hf-assisted": ExternalSpec("given"),
    **{f"hf-assisted-{n}": ExternalSpec("given", n) for n in (2, 4, 6, 8, 12)},
    "hf-assisted-q": ExternalSpec("quantised"),
    **{f"hf-assisted-q-{n}": ExternalSpec("quantised", n) for n in (2, 4, 6, 8, 12)},
    "hf-lookup": ExternalSpec(lookup=8),
    **{f"hf-lookup-{n}": ExternalSpec(lookup=n) for n in (2, 4, 12, 16, 24)},
}


def plain_external(sampling: SamplingSpec) -> str:
    """The name of transformers' plain decoding: `hf-greedy`, or `hf-sample` with a temperature."""
    return "hf-sample" if sampling.temperature else "hf-greedy"


def check_assistant(name: str, spec: RunSpec) -> None:
    """Raise `InputError` if a method needs a draft that the run does not have."""
    kind = EXTERNAL[name].assistant
    if kind is None:
        return
    if spec.draft is None:
        raise InputError(f"method {name!r} needs a draft model: name one with --draft")
    if kind == "quantised" and spec.draft.quantization == "none":
        raise InputError(f"method {name!r} quantises its draft like ours, and ours is whole: give --draft-quant")


class StockModels:
    """The models of a run as transformers loads them. Each is loaded when it is first used.

    A checkpoint's own generation defaults (a repetition penalty, say), on which `generate` falls back, are taken
    out: with them it would decode by another law. Raises `OutOfMemory` where there is no room for another copy.
    """

    def __init__(self, runner: Runner, spec: RunSpec) -> None:
        self._runner = runner
        self._spec = spec

    @cached_property
    def target(self) -> PreTrainedModel:
        """The target, in memory a second time."""
        return self._load(self._spec.target, self._spec.device, self._runner.target.parameters)

    def assistant(self, name: str) -> PreTrainedModel | None:
        """The draft that a method uses, if any. Raises `InputError` where the run has none such."""
        check_assistant(name, self._spec)
        kind = EXTERNAL[name].assistant
        if kind is None:
            return None
        return self._given if kind == "given" else self._quantised

    @cached_property
    def _given(self) -> PreTrainedModel:
        return self._load_draft({"quantization": "none"})

    @cached_property
    def _quantised(self) -> PreTrainedModel:
        return self._load_draft({})

    def _load_draft(self, otherwise: dict[str, str]) -> PreTrainedModel:
        spec, draft = self._spec.draft, self._runner.draft
        assert spec is not None and draft is not None, "see `check_assistant`"
        return self._load(spec.model_copy(update=otherwise), draft_device(self._spec.device), draft.parameters)

    def _load(self, spec: ModelSpec, device: str, parameters: int) -> PreTrainedModel:
        if self._runner.target.device.type == "cpu":  # where the system would end the process instead of refusing
            _require_room(spec, parameters * self._runner.target.dtype.itemsize)
        try:
            model = load_stock(spec, device, self._spec.dtype, self._runner.settled.held)
        except OutOfMemory as error:
            raise OutOfMemory(f"{error}; {HELD_TWICE}") from error
        model.generation_config = _plain(model)
        return model


class External:
    """A method of transformers, ready to generate. Raises `InputError` if it needs a draft that the run lacks."""

    def __init__(self, stock: StockModels, name: str, spec: RunSpec, eos: frozenset[int]) -> None:
        self._length = EXTERNAL[name].length
        self.assistant = stock.assistant(name)
        self.target: Any = stock.target  # its type does not say that it can `generate`
        self._seed = spec.sampling.seed
        ends = sorted(eos)
        self._config = GenerationConfig(
            max_new_tokens=spec.max_new_tokens,
            repetition_penalty=1.0,
            eos_token_id=ends,
            pad_token_id=ends[0] if ends else 0,
            prompt_lookup_num_tokens=EXTERNAL[name].lookup,
            **_law(spec.sampling),
        )

    @torch.inference_mode()
    def generate(self, prompt: list[int]) -> list[int]:
        """The new tokens, end-of-sequence included; the same ones each time."""
        ids = torch.tensor([prompt], device=input_device(self.target))
        if self.assistant is not None:
            self.assistant.generation_config = _drafting(self.assistant, self._length)
        torch.manual_seed(self._seed)
        output = self.target.generate(
            ids, attention_mask=torch.ones_like(ids), generation_config=self._config, assistant_model=self.assistant
        )
        return output[0, len(prompt) :].tolist()


@contextlib.contextmanager
def counted(model: PreTrainedModel | None) -> Iterator[list[int]]:
    """Count a model's forwards by a hook; the list's one entry is the count."""
    count = [0]
    if model is None:
        yield count
        return

    def add(*_: object) -> None:
        count[0] += 1

    handle = model.register_forward_hook(add)
    try:
        yield count
    finally:
        handle.remove()


def _law(sampling: SamplingSpec) -> dict[str, object]:
    if not sampling.temperature:
        return {"do_sample": False}
    return {
        "do_sample": True,
        "temperature": sampling.temperature,
        "top_k": sampling.top_k,
        "top_p": sampling.top_p,
    }


def _plain(model: PreTrainedModel, **options: object) -> GenerationConfig:
    """Transformers' defaults but for the tokens that end and fill a text."""
    kept = model.generation_config
    return GenerationConfig(eos_token_id=kept.eos_token_id, pad_token_id=kept.pad_token_id, **options)


def _drafting(assistant: PreTrainedModel, length: int | None) -> GenerationConfig:
    """How much to draft, which `generate` reads from the assistant's defaults; a fixed length ends for nothing else."""
    if length is None:
        return _plain(assistant)
    return _plain(
        assistant,
        num_assistant_tokens=length,
        num_assistant_tokens_schedule="constant",
        assistant_confidence_threshold=0.0,
    )


def _require_room(spec: ModelSpec, needed_bytes: int) -> None:
    free = psutil.virtual_memory().available
    if free < needed_bytes:
        raise OutOfMemory(
            f"{spec.source} takes {needed_bytes / GB:.1f} GB and {free / GB:.1f} GB of memory are free; {HELD_TWICE}"
        )
