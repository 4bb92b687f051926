"""What the loop asks of a model: one protocol, so that any backend can stand behind it."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
import torch

from gsd.errors import OutOfMemory
from gsd.spec import PREFILL_CHUNK

T = TypeVar("T")

# How the allocators of host and device, cuBLAS and cuDNN say that memory ran out, where no class of error says it.
_MEMORY_RAN_OUT = ("allocate memory", "not enough memory", "CUDA error: out of memory", "STATUS_ALLOC_FAILED")


@dataclass(slots=True)
class Counter:
    """Forwards made and milliseconds spent in them, until their reduced result was on the host."""

    forwards: int = 0
    ms: float = 0.0


class LanguageModel(Protocol):
    """A causal language model with a KV cache of its own.

    Slots are cache entries in order of arrival; a position counts the tokens of the text before. `length` counts valid
    slots.
    """

    vocab_size: int
    context_length: int
    counter: Counter

    @property
    def length(self) -> int:
        """Valid cache slots."""

    def reset(self, capacity: int) -> None:
        """Forget everything and hold room for `capacity` slots."""

    def forward(
        self,
        tokens: list[int],
        positions: list[int],
        reduce: Callable[[torch.Tensor], T],
        *,
        rows: int = 1,
        mask: np.ndarray | None = None,
    ) -> T:
        """Append `tokens` to the cache; return `reduce` of the logits of the last `rows`, [rows, V].

        `reduce` brings its result to the host, the one transfer of a forward, and is timed with it. Where
        it finds the logits not finite, it raises `FloatingPointError`, which becomes a `ModelError`.

        `mask` [N, T] bool says which of the last T slots (the N new ones included) each new token
        sees; every slot before those is seen by all. None: a plain causal chain.
        """

    def keep(self, base: int, slots: list[int]) -> None:
        """Keep the first `base` slots, then `base + s` for each s of `slots` (rising), drop the rest."""


def catch_up(model: LanguageModel, committed: list[int]) -> list[int]:
    """Run what `model` has not cached of the committed text in chunks; return the rest, root last.

    At most `PREFILL_CHUNK` tokens are left, which the round's own forward takes along.
    """
    while len(committed) - model.length > PREFILL_CHUNK:
        start = model.length
        chunk = known(model, committed[start : start + PREFILL_CHUNK])
        model.forward(chunk, list(range(start, start + PREFILL_CHUNK)), _nothing)
    return known(model, committed[model.length :])


def known(model: LanguageModel, tokens: list[int]) -> list[int]:
    """`tokens`, 0 in place of any that a draft has no row for: its target may be padded wider."""
    return [token if token < model.vocab_size else 0 for token in tokens]


def require_finite(values: Iterable[float]) -> None:
    """Raise `FloatingPointError` where one of `values`, a reduction's result on the host, is NaN or infinite."""
    if not all(map(math.isfinite, values)):
        raise FloatingPointError("logits are not finite")


@contextlib.contextmanager
def out_of_memory(advice: str) -> Iterator[None]:
    """Turn running out of host or device memory, whoever says it, into an `OutOfMemory` with `advice`."""
    try:
        yield
    except (MemoryError, OSError, RuntimeError) as error:
        reason = str(error).strip().partition("\n")[0]
        said = isinstance(error, (MemoryError, torch.OutOfMemoryError))
        if not said and not any(sign in str(error) for sign in _MEMORY_RAN_OUT):
            raise
        raise OutOfMemory(f"out of memory: {advice} ({reason or type(error).__name__})") from error


def _nothing(_: torch.Tensor) -> None:
    """The reduction of a forward of which only the cache entries are wanted."""
