"""A preallocated KV cache in the form that transformers' models take, compacted in place."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from transformers import Cache
from transformers.cache_utils import CacheLayerMixin

Point = int | Literal["final"]  # before layer j; j = number of layers: behind the last; final: behind the last norm
KeysValues = tuple[torch.Tensor, torch.Tensor]  # [H, slots, D] each, views of the cache
Taps = dict[Point, torch.Tensor]  # by point, hidden states [slots, E], views of the cache


@dataclass(frozen=True, slots=True)
class Captured:
    """The hidden states to store of every token: at which points, E numbers each."""

    points: tuple[Point, ...]
    width: int
    dtype: torch.dtype
    device: torch.device


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
        self.let_go()

    def let_go(self) -> None:
        """Hold nothing of the buffer."""
        self.keys = self.values = torch.empty(0)

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

    Hidden states lie beside keys and values where somebody asks for them (`capture`): in one more buffer
    [points, S, E], by the same slots, and compacted with them.

    `moves` counts the allocations of keys and values, `captures` is the number of the buffer of hidden states, 0
    where there is none: who keeps addresses compares them.
    """

    def __init__(self, shapes: list[LayerShape]) -> None:
        self._windows = [SlotLayer(self) for _ in shapes]
        super().__init__(layers=list(self._windows))
        self.length = 0
        self.capacity = 0
        self.moves = 0
        self.captures = 0
        self._shapes = shapes
        self._buffers: list[torch.Tensor] = []
        self._wanted: Captured | None = None
        self._held: Captured | None = None
        self._hidden: torch.Tensor | None = None  # [points, S, E]
        self._made = 0  # buffers of hidden states so far

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
            for window in self._windows:
                window.let_go()
            self._hidden, self._held, self.captures = None, None, 0
            self._allocate(capacity)
        if self._wanted != self._held:
            self._hold_hidden()

    def capture(self, captured: Captured | None) -> None:
        """From the next `reset` on hold these hidden states; None: none."""
        self._wanted = captured

    def _hold_hidden(self) -> None:
        """Room for the hidden states that are wanted now, in place of those before."""
        self._hidden, self._held, self.captures = None, None, 0
        if (wanted := self._wanted) is not None:
            shape = len(wanted.points), self.capacity + 1, wanted.width
            self._hidden = torch.zeros(shape, dtype=wanted.dtype, device=wanted.device)
            self._held = wanted
            self._made += 1
            self.captures = self._made

    def clear(self) -> None:
        """Forget everything, for good: forwards of fixed shapes read old slots, too, and a NaN is not to be masked."""
        self.length = 0
        for buffer in self._buffers:
            buffer.zero_()

    def _allocate(self, capacity: int) -> None:
        for shape in dict.fromkeys(self._shapes):
            windows = [window for window, own in zip(self._windows, self._shapes) if own == shape]
            buffer = torch.zeros(
                2 * len(windows), shape.heads, capacity + 1, shape.dim, dtype=shape.dtype, device=shape.device
            )
            for i, window in enumerate(windows):
                window.keys, window.values = buffer[2 * i, None], buffer[2 * i + 1, None]
                window.is_initialized = True
            self._buffers.append(buffer)
        self.capacity = capacity
        self.moves += 1

    def advance(self, count: int) -> None:
        """The forward wrote `count` slots behind the valid ones; they are valid now."""
        self.length += count

    def valid(self, layer: int) -> KeysValues:
        """Keys and values [H, S, D] of a layer in the valid slots, views."""
        window = self._windows[layer]
        return window.keys[0, :, : self.length], window.values[0, :, : self.length]

    def span(self, start: int, stop: int) -> Iterator[KeysValues]:
        """Keys and values [H, stop - start, D] of each layer in these slots, views; for layers all of one shape."""
        (buffer,) = self._buffers
        views = buffer[:, :, start:stop].unbind(0)
        return zip(views[::2], views[1::2])

    def taps(self, start: int, stop: int) -> Taps | None:
        """The hidden states [stop - start, E] of these slots at each point, views; None where none are held."""
        if self._hidden is None or self._held is None:
            return None
        return dict(zip(self._held.points, self._hidden[:, start:stop].unbind(0)))

    def keep(self, base: int, slots: list[int]) -> None:
        """Keep slots [0, base) and `base + s` for each s of `slots`, rising, moved up to follow them."""
        moved = next((i for i, slot in enumerate(slots) if slot != i), len(slots))
        if moved < len(slots):
            start, stop = base + moved, base + len(slots)
            for buffer in self._buffers:
                source = torch.tensor(slots[moved:], device=buffer.device) + base
                buffer[:, :, start:stop] = buffer.index_select(2, source)
            if self._hidden is not None:
                source = torch.tensor(slots[moved:], device=self._hidden.device) + base
                self._hidden[:, start:stop] = self._hidden.index_select(1, source)
        self.length = base + len(slots)
