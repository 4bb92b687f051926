"""Forwards of fixed shapes, each recorded once and then replayed: how a GPU runs small forwards at speed.

A forward of few tokens launches hundreds of kernels, each over before the next is launched. A recorded graph launches
them all at once, but keeps its shapes and addresses. So tokens are padded to the next of a few counts, attention reads
the cache up to the next of a few lengths, and what is padded is written to a slot that nobody reads. The plain twin is
the decoder's own `forward`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

from gsd.models.cache import KVCache
from gsd.models.native import NativeDecoder
from gsd.models.skipping import SkippingDecoder

COUNTS = (1, 2, 4, 8, 16, 32, 64, 128)  # tokens; more are run as they come, as launching then costs little
FEWEST_SLOTS = 256  # that attention reads; then twice as many each, up to a step
STEP = 1024  # slots by which a long cache grows

Replay = Callable[[], torch.Tensor]


@dataclass(slots=True)
class Shape:
    """The inputs of one shape, N tokens and S slots, and what runs them."""

    index: torch.Tensor  # [3, N] token ids, positions, slots to write
    mask: torch.Tensor  # [N, S], added to the scores
    replay: Replay | None = None  # recorded at the first forward, once the inputs are there


class StaticForwards:
    """The forwards of a `NativeDecoder` on a cache, in fixed shapes. `record` makes a replay of a function."""

    def __init__(
        self, decoder: NativeDecoder | SkippingDecoder, cache: KVCache, record: Callable[[Replay], Replay]
    ) -> None:
        self._decoder, self._cache, self._record = decoder, cache, record
        self._shapes: dict[tuple[int, int, bool], Shape] = {}  # by tokens, slots, and whether hidden states are written
        self._seen = cache.moves, cache.captures

    def of(self, decoder: SkippingDecoder) -> StaticForwards:
        """The same for another decoder on this cache."""
        return StaticForwards(decoder, self._cache, self._record)

    def takes(self, count: int) -> bool:
        """Whether forwards of so many tokens have a fixed shape."""
        return count <= COUNTS[-1]

    def room(self, capacity: int) -> int:
        """Slots to hold where so many are needed: rounded up by less than `STEP`, so that it seldom moves.

        Twice as many each, as are read of a short cache, would waste up to half of the memory of a long one.
        """
        return _doubled(capacity) if capacity <= STEP else _multiple(capacity, STEP)

    def read(self, valid: int) -> int:
        """Slots to read where so many are valid: rounded up, so that few shapes serve all, above `STEP` by less than ¼.

        From there on there are four lengths for each doubling: steps that do not grow would make a shape, with a mask
        and a graph of its own, of each.
        """
        rounded = _doubled(valid) if valid <= STEP else _multiple(valid, _doubled(valid) // 8)
        return min(rounded, self._cache.capacity)

    def prepare(
        self, tokens: list[int], positions: list[int], mask: np.ndarray | None, rows: int
    ) -> Callable[[], torch.Tensor]:
        """What writes the N tokens behind the cache's valid slots and gives the logits of the last `rows`, [rows, V].

        `mask` [N, T] bool says what is seen of the last T slots; None: all. The logits hold until the next forward.
        """
        self._forget_what_moved()
        count, start = len(tokens), self._cache.length
        shape = self._shape(next(most for most in COUNTS if count <= most), self.read(start + count))
        padding = shape.index.shape[1] - count
        slots = [*range(start, start + count), *[self._cache.spare] * padding]
        shape.index.copy_(torch.tensor([[*tokens, *[0] * padding], [*positions, *[0] * padding], slots]))
        shape.mask.copy_(_additive(mask, shape.mask, start, count))
        return lambda: self._replayed(shape)[count - rows : count]

    def _forget_what_moved(self) -> None:
        """Drop the shapes whose buffers are gone: all, or those that write hidden states."""
        seen = self._cache.moves, self._cache.captures
        if seen != self._seen:
            stays = seen[0] == self._seen[0]
            self._shapes = {key: shape for key, shape in self._shapes.items() if stays and not key[2]}
            self._seen = seen

    def _shape(self, count: int, slots: int) -> Shape:
        key = count, slots, self._cache.captures > 0
        if key not in self._shapes:
            weight = self._decoder.embedding.weight
            with torch.inference_mode(False):  # to be written to in any mode
                index = torch.zeros((3, count), dtype=torch.long, device=weight.device)
                mask = torch.zeros((count, slots), dtype=weight.dtype, device=weight.device)
            self._shapes[key] = Shape(index, mask)
        return self._shapes[key]

    def _replayed(self, shape: Shape) -> torch.Tensor:
        if shape.replay is None:
            shape.replay = self._record(partial(self._run, shape))
        return shape.replay()

    def _run(self, shape: Shape) -> torch.Tensor:
        """[N, V] logits of all tokens, the padded ones too."""
        tokens, positions, slots = shape.index
        cache, end = self._cache, self._cache.spare + 1
        cached = zip(cache.span(0, end), cache.span(0, shape.mask.shape[1]))
        return self._decoder.run(tokens, positions, shape.mask, len(tokens), cached, slots, taps=cache.taps(0, end))


def cuda_graphs(device: torch.device) -> Callable[[Replay], Replay]:
    """A recorder of CUDA graphs on one device that share their memory, so that a result holds until the next replay."""
    with torch.cuda.device(device):
        pool, side = torch.cuda.graph_pool_handle(), torch.cuda.Stream()

    def record(function: Replay) -> Replay:
        # Streams and graphs are of the current device, whichever the tensors are on: on another nothing is recorded.
        with torch.cuda.device(device):
            side.wait_stream(torch.cuda.current_stream())
            # Libraries set themselves up at a stream's first call, which cannot be recorded: so it is made before,
            # on that same stream.
            with torch.cuda.stream(side):
                function()
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, pool=pool, stream=side):
                result = function()
            torch.cuda.current_stream().wait_stream(side)

        def replay() -> torch.Tensor:
            with torch.cuda.device(device):
                graph.replay()
            return result

        return replay

    return record


def _doubled(count: int) -> int:
    """The least power of two that holds so many, `FEWEST_SLOTS` or more."""
    return max(FEWEST_SLOTS, 1 << (count - 1).bit_length())


def _multiple(count: int, step: int) -> int:
    """The least multiple of `step` that holds so many."""
    return -(-count // step) * step


def _additive(mask: np.ndarray | None, like: torch.Tensor, start: int, count: int) -> torch.Tensor:
    """[N, S] on the host: 0 where a token sees a slot, else the least number. Padded tokens see all, finitely."""
    additive = torch.zeros(like.shape, dtype=like.dtype)
    hidden = torch.finfo(like.dtype).min
    additive[:count, start + count :] = hidden
    if mask is not None:
        seen = torch.from_numpy(mask)
        additive[:count, start + count - mask.shape[1] : start + count].masked_fill_(~seen, hidden)
    return additive
