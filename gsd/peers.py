"""What people use today, measured as they use it: transformers' own `generate`."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from transformers import GenerationConfig, PreTrainedModel

from gsd.errors import InputError
from gsd.runner import Runner

# As people use them, and with other lengths, so that each can be shown at its best.
PEERS: dict[str, dict] = {
    "hf-greedy": {},
    "hf-assisted": {"assistant": True},
    **{f"hf-assisted-{n}": {"assistant": True, "num_assistant_tokens": n} for n in (2, 4, 6, 8, 12)},
    "hf-lookup": {"prompt_lookup_num_tokens": 8},
    **{f"hf-lookup-{n}": {"prompt_lookup_num_tokens": n} for n in (2, 4, 12, 16, 24)},
}


class Peer:
    """One way of transformers' `generate`, greedy, on the runner's own models.

    Raises `InputError` where it needs a draft and there is none: it would be plain greedy under another name.
    """

    def __init__(self, runner: Runner, name: str, max_new_tokens: int) -> None:
        options = dict(PEERS[name])
        self._target = runner.target.model
        self._device = runner.target.device
        self._length = options.pop("num_assistant_tokens", None)
        self._draft = None
        if options.pop("assistant", False):
            if runner.draft is None:
                raise InputError(f"method {name!r} needs a draft model: name one with --draft")
            self._draft = runner.draft.model
        eos = sorted(runner.eos)
        # A checkpoint's own defaults (a repetition penalty, say) would make it another law than greedy.
        self._config = GenerationConfig(
            max_new_tokens=max_new_tokens,
            do_sample=False,
            repetition_penalty=1.0,
            eos_token_id=eos,
            pad_token_id=eos[0] if eos else 0,
            **options,
        )

    @torch.inference_mode()
    def generate(self, prompt: list[int]) -> list[int]:
        """The new tokens, end-of-sequence included."""
        ids = torch.tensor([prompt], device=self._device)
        with _drafting_length(self._draft, self._length):
            output = self._target.generate(
                ids, attention_mask=torch.ones_like(ids), generation_config=self._config, assistant_model=self._draft
            )
        return output[0, len(prompt) :].tolist()


@contextlib.contextmanager
def _drafting_length(draft: PreTrainedModel | None, length: int | None) -> Iterator[None]:
    """Let transformers draft `length` tokens a round (None: its own schedule), as set on the draft's own defaults."""
    if draft is None or length is None:
        yield
        return
    kept = draft.generation_config
    draft.generation_config = GenerationConfig(
        eos_token_id=kept.eos_token_id,
        pad_token_id=kept.pad_token_id,
        num_assistant_tokens=length,
        num_assistant_tokens_schedule="constant",
        assistant_confidence_threshold=0.0,
    )
    try:
        yield
    finally:
        draft.generation_config = kept


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


@contextlib.contextmanager
def plain_defaults(model: PreTrainedModel | None) -> Iterator[None]:
    """Take a checkpoint's sampling defaults out of the way, as `generate` falls back on them."""
    if model is None:
        yield
        return
    kept = model.generation_config
    model.generation_config = GenerationConfig(eos_token_id=kept.eos_token_id, pad_token_id=kept.pad_token_id)
    try:
        yield
    finally:
        model.generation_config = kept
