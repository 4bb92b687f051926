"""What a drafter may read of the target: embedding, norm, head, rotary tables, keys and values, hidden states.

    port = TargetPort(target)
    port.capture({6, "final"})            # from the next reset on
    target.reset(64)
    target.forward([3, 1, 4], [0, 1, 2], reduce)
    port.features("final")                # [3, E]: row i belongs to token i
    port.head(port.features("final"))     # [3, V]: the target's logits
    keys, values = port.keys_values(0)    # [H, 3, D] each

Nothing is stored and no forward takes longer where nobody asks. Symbols: N tokens, E hidden size, V vocabulary,
H key-value heads, S valid slots, D head dimension, L layers.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import torch

from gsd.errors import InputError, ModelError
from gsd.models.base import LanguageModel
from gsd.models.cache import Captured, KeysValues, Point
from gsd.models.hf import HFModel
from gsd.models.native import KINDS, NativeDecoder
from gsd.models.skipping import SkippingDecoder


class TargetPort:
    """A read-only handle on a target. What it gives are the target's own weights and views of its cache.

    All of it works for the kinds of models that have a forward of ours (`HFModel.is_native`). Of any other there are
    `embed`, `head` and `keys_values`, and features up to the last layer and behind the final norm; the rest raises
    `ModelError`.
    """

    def __init__(self, model: HFModel) -> None:
        self._model = model
        self._layers = len(model.cache.layers)

    def embed(self, tokens: Sequence[int]) -> torch.Tensor:
        """What the embedding layer gives for these tokens, [N, E]; without positions that a model adds to it."""
        return self._model.decoder.embedding(torch.tensor(tokens, dtype=torch.long, device=self._model.device))

    def norm(self, hidden: torch.Tensor) -> torch.Tensor:
        """The final norm of each row, [N, E] -> [N, E]."""
        return self._native("its final norm").norm(hidden)

    def head(self, hidden: torch.Tensor) -> torch.Tensor:
        """Logits of hidden states behind the final norm, [N, E] -> [N, V].

        They are the head's alone, where transformers' own forward scales or caps them afterwards.
        """
        return self._model.decoder.head(hidden)

    def rotary(self, positions: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor]:
        """Cosines and sines of these positions, [N, D] each, scaled as the target's attention scales them.

        A head x [D] at position i is turned to `x · cos[i] + rotate_half(x) · sin[i]`, where `rotate_half` of halves
        (a, b) is (−b, a). The target's cached keys are turned so already.
        """
        return self._native("its rotary tables").rotary(list(positions))

    def keys_values(self, layer: int) -> KeysValues:
        """Keys, rotated already, and values of a layer in the valid slots: views [H, S, D], until the next forward."""
        return self._model.cache.valid(layer)

    def capture(self, points: Collection[Point]) -> None:
        """From the next `reset` on store hidden states of every token at these points, instead of any asked for before.

        Point j is the residual stream before layer j, L what leaves the last layer; "final" is behind the final norm.
        No points: nothing is stored. Raises `InputError` where the target has no such point.
        """
        if odd := [point for point in points if point != "final" and point not in range(self._layers + 1)]:
            raise InputError(
                f"point {odd[0]!r} is none of {self._model.spec.source}, which has {self._layers} layers: give 0 to "
                f"{self._layers}, or final"
            )
        if self._layers in points:
            self._native("its last layer's output before the norm")
        last: tuple[Point, ...] = ("final",) if "final" in points else ()
        ordered = (*sorted(point for point in set(points) if point != "final"), *last)
        model = self._model
        model.cache.capture(Captured(ordered, model.hidden_size, model.dtype, model.device) if ordered else None)

    def features(self, point: Point) -> torch.Tensor:
        """Hidden states in the valid slots at a captured point: a view [S, E], until the next forward.

        After a round's commit row i is that of token i of the text. Raises `LookupError` where nobody asked for it
        before the last `reset`.
        """
        taps = self._model.cache.taps(0, self._model.length)
        if taps is None or point not in taps:
            raise LookupError(f"hidden states at point {point!r} are not stored: ask for them by capture, before reset")
        return taps[point]

    def skipping(self, attention: Collection[int], mlp: Collection[int]) -> LanguageModel:
        """The target without the attention and without the perceptrons of these layers, counted apart.

        It has the target's weights and its cache: it goes on from the committed text, writes its tokens behind it and
        leaves no keys and values in layers whose attention it skips. So the text must be cached first, by the target
        itself, and before the target's next forward all that was drafted goes: `keep(base, [])`. Its hidden states
        are captured like the target's.

        Hold on to what this returns: on a GPU its forwards are recorded anew for each. Raises `InputError` where the
        target has no such layer.
        """
        decoder = self._native("a part of its layers")
        if odd := [layer for layer in (*attention, *mlp) if layer not in range(self._layers)]:
            raise InputError(
                f"layer {odd[0]!r} cannot be skipped: {self._model.spec.source} has layers 0 to {self._layers - 1}"
            )
        return self._model.through(SkippingDecoder(decoder, frozenset(attention), frozenset(mlp)))

    def _native(self, wanted: str) -> NativeDecoder:
        """The decoder, where it is one whose parts are known."""
        if isinstance(self._model.decoder, NativeDecoder):
            return self._model.decoder
        raise ModelError(
            f"{self._model.spec.source}: of a {type(self._model.model).__name__} that runs by transformers' own "
            f"forward a drafter cannot use {wanted}; take a model of these kinds: {KINDS}"
        )
