"""A native decoder with some of its sublayers left out, on the same weights, tables and cache.

Without the attention of layer 1 and the perceptron of layer 2 a decoder of four layers runs 0, the second half of 1,
the first half of 2, and 3. A layer whose attention is left out reads and writes no keys and values.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import torch
from torch import nn

from gsd.models.cache import KeysValues, KVCache, Taps
from gsd.models.native import Cached, NativeDecoder, NativeLayer, Place


@dataclass(frozen=True, slots=True)
class PartialLayer:
    """A layer of which only one sublayer runs, or none."""

    layer: NativeLayer
    attention: bool
    mlp: bool

    def forward(self, x: torch.Tensor, place: Place, new: KeysValues, valid: KeysValues) -> torch.Tensor:
        """[N, E] -> [N, E], as `NativeLayer.forward`."""
        if self.attention:
            x = self.layer.attend(x, place, new, valid)
        return self.layer.perceive(x) if self.mlp else x


class SkippingDecoder:
    """`whole` without the attention and the perceptrons of these layers. What is made of `whole` later shows here."""

    kind = NativeDecoder.kind

    def __init__(self, whole: NativeDecoder, attention: Collection[int], mlp: Collection[int]) -> None:
        self._whole = whole
        self._layers = [
            PartialLayer(layer, j not in attention, j not in mlp) if j in attention or j in mlp else layer
            for j, layer in enumerate(whole.layers)
        ]

    @property
    def embedding(self) -> nn.Embedding:
        """That of the whole decoder."""
        return self._whole.embedding

    @property
    def head(self) -> nn.Module:
        """The same of its head."""
        return self._whole.head

    def reserve(self, positions: int) -> None:
        """Have the rotary tables of all positions below `positions`."""
        self._whole.reserve(positions)

    def __call__(
        self, tokens: torch.Tensor, positions: torch.Tensor, mask: torch.Tensor | None, rows: int, cache: KVCache
    ) -> torch.Tensor:
        """See `NativeDecoder.forward`."""
        return self._whole.forward(tokens, positions, mask, rows, cache, layers=self._layers)

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
    ) -> torch.Tensor:
        """See `NativeDecoder.run`."""
        return self._whole.run(tokens, positions, mask, rows, cached, slots, taps=taps, layers=self._layers)
