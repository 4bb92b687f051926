"""A preallocated KV cache in the form that transformers' models take, compacted in place."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from transformers import Cache
from transformers.cache_utils import CacheLayerMixin


@dataclass(frozen=True, slots=True)
class LayerShape:
    """What one attention layer stores per token: H key-value heads of D numbers, K and V alike."""

    heads: int
    dim: int
    dtype: torch.dtype
    device: torch.device


class SlotLayer(CacheLayerMixin):
    """One layer's window into the cache's buffer: keys and values are views, [1, H, S, D]."""

    is_sliding = False
    keys: torch.Tensor
    values: torch.Tensor

    def __init__(self, owner: KVCache) -> None:
        super().__init__()
        self._owner = owner

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        """Nothing to do: the owner allocates."""

    def update(self, key_states: torch.Tensor, value_states: torch.Tensor, *args: object, **kwargs: object):
        """Write [1, H, N, D] behind the valid slots and return everything up to them, the new ones included."""
        start = self._owner.length
        stop = start + key_states.shape[2]
        self.keys[:, :, start:stop] = key_states
        self.values[:, :, start:stop] = value_states
        return self.keys[:, :, :stop], self.values[:, :, :stop]

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        return self._owner.length + query_length, 0

    def get_seq_length(self) -> int:
        return self._owner.length

    def get_max_length(self) -> int:
        return self._owner.capacity

    get_max_cache_shape = get_max_length  # its name up to transformers 5.17


class KVCache(Cache):
    """The only owner of its length: forwards append through it, `keep` compacts it.

    Layers of one shape and device share one buffer [2 x layers, H, S, D], so that compaction is
    one copy however many layers there are. Behind the `capacity` slots there is a `spare` one, which is written
    by what is to leave no trace and never valid.
    """

    def __init__(self, shapes: list[LayerShape]) -> None:
        self._slots = [SlotLayer(self) for _ in shapes]
        super().__init__(layers=list(self._slots))
        self.length = 0
        self.capacity = 0
        self._shapes = shapes
        self._buffers: list[torch.Tensor] = []

    @property
    def spare(self) -> int:
        """The slot that nobody reads."""
        return self.capacity

    def reset(self, capacity: int = 0) -> None:
        """Forget everything; allocate anew only where `capacity` slots do not fit."""
        self.length = 0
        if capacity > self.capacity:
            self.capacity = 0  # until the new is there: it may not fit
            self._buffers.clear()  # free the old before taking the new
            for layer in self._slots:
                layer.keys = layer.values = torch.empty(0)
            self._allocate(capacity)

    def clear(self) -> None:
        """Forget everything, for good: forwards of fixed shapes read old slots, too, and a NaN is not to be masked."""
        self.length = 0
        for buffer in self._buffers:
            buffer.zero_()

    def _allocate(self, capacity: int) -> None:
        for shape in dict.fromkeys(self._shapes):
            layers = [layer for layer, own in zip(self._slots, self._shapes) if own == shape]
            buffer = torch.zeros(
                2 * len(layers), shape.heads, capacity + 1, shape.dim, dtype=shape.dtype, device=shape.device
            )
            for i, layer in enumerate(layers):
                layer.keys, layer.values = buffer[2 * i, None], buffer[2 * i + 1, None]
                layer.is_initialized = True
            self._buffers.append(buffer)
        self.capacity = capacity

    def advance(self, count: int) -> None:
        """The forward wrote `count` slots behind the valid ones; they are valid now."""
        self.length += count

    def span(self, start: int, stop: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Keys and values [H, stop - start, D] of each layer in these slots, views; for layers all of one shape."""
        (buffer,) = self._buffers
        views = buffer[:, :, start:stop].unbind(0)
        return zip(views[::2], views[1::2])

    def keep(self, base: int, slots: list[int]) -> None:
        """Keep slots [0, base) and `base + s` for each s of `slots`, rising, moved up to follow them."""
        moved = next((i for i, slot in enumerate(slots) if slot != i), len(slots))
        if moved < len(slots):
            start, stop = base + moved, base + len(slots)
            for buffer in self._buffers:
                source = torch.tensor(slots[moved:], device=buffer.device) + base
                buffer[:, :, start:stop] = buffer.index_select(2, source)
        self.length = base + len(slots)
