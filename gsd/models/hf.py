"""Hugging Face causal models behind the `LanguageModel` protocol.

Tree attention is an explicit 4-D mask, positions are given, and the cache is ours. Models of the Llama kind
go through a forward of our own (`gsd.models.native`), all others through their own. Whatever cannot be decoded
losslessly that way, `gsd.models.loading` refuses.
"""

from __future__ import annotations

import copy
import ctypes
import inspect
import sys
from collections.abc import Callable
from functools import partial
from time import perf_counter
from typing import Protocol

import numpy as np
import torch
from torch import nn
from transformers import DynamicCache, PreTrainedModel

from gsd.errors import ModelError
from gsd.models.base import Counter, T, out_of_memory
from gsd.models.cache import KVCache, LayerShape, Taps
from gsd.models.native import KINDS, NativeDecoder, has_native_forward
from gsd.models.reads import marking_what_is_read
from gsd.models.skipping import SkippingDecoder
from gsd.models.static import Replay, StaticForwards
from gsd.spec import ModelSpec

LESS_MEMORY = (
    "shorten the prompt or ask for fewer new tokens; a lower budget or frontier, where the method has them, and "
    "bfloat16 in place of float32 take less as well"
)


class Decoder(Protocol):
    """What the forwards of a model go through: a native decoder, a part of one, or transformers' own."""

    kind: str

    @property
    def embedding(self) -> nn.Module:
        """The embedding layer."""

    @property
    def head(self) -> nn.Module:
        """The head over the vocabulary."""

    def reserve(self, positions: int) -> None:
        """Be ready for all positions below `positions`."""

    def __call__(
        self, tokens: torch.Tensor, positions: torch.Tensor, mask: torch.Tensor | None, rows: int, cache: KVCache
    ) -> torch.Tensor:
        """See `NativeDecoder.forward`."""


class HFModel:
    """A transformers causal model with a preallocated cache. See `LanguageModel` for the contract.

    The revision of `spec` is the commit that was loaded, None where there is no such thing. `native` false keeps to
    transformers' own forward. Either way `model` goes on working, until `convert`. `record` lets native forwards of
    few tokens be recorded and replayed, see `gsd.models.static`.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        spec: ModelSpec,
        *,
        native: bool = True,
        record: Callable[[Replay], Replay] | None = None,
    ) -> None:
        self.model = model.eval().requires_grad_(False)  # nothing is recorded, in inference mode or not
        self.spec = spec
        config = model.config.get_text_config(decoder=True)
        head = model.get_output_embeddings()
        if head is None:
            raise ModelError(
                f"{spec.source}: {type(model).__name__} has no head over a vocabulary; use a language model"
            )
        self.vocab_size: int = head.weight.shape[0]
        self.hidden_size: int = head.weight.shape[1]  # of what the head takes
        self.context_length: int = getattr(config, "max_position_embeddings", None) or 1 << 20
        self.device = input_device(model)
        self.devices = sorted({weight.device for weight in model.parameters()}, key=str)
        self.dtype = model.dtype
        self.parameters: int = model.num_parameters()
        self.counter = Counter()
        with marking_what_is_read(model):
            self._cache = KVCache(_layer_shapes(model, spec))
        own = NativeDecoder(model) if native and has_native_forward(model) else None
        self.decoder: Decoder = own or StockDecoder(model)
        self._static = StaticForwards(own, self._cache, record) if record and own else None

    @property
    def is_native(self) -> bool:
        """Whether forwards are those of `gsd.models.native`."""
        return isinstance(self.decoder, NativeDecoder)

    @property
    def cache(self) -> KVCache:
        """Keys and values of the text so far, to be read."""
        return self._cache

    @property
    def length(self) -> int:
        """Valid cache slots."""
        return self._cache.length

    @out_of_memory(LESS_MEMORY)
    def reset(self, capacity: int) -> None:
        """Forget everything and hold room for `capacity` slots."""
        if self._static and capacity > self._cache.capacity:
            capacity = self._static.room(capacity)
        self._cache.reset(capacity)
        self.decoder.reserve(capacity)

    def through(self, decoder: SkippingDecoder) -> HFModel:
        """This model by another decoder, on the same cache; its forwards are counted apart."""
        made = copy.copy(self)
        made.decoder, made.counter = decoder, Counter()
        made._static = self._static and self._static.of(decoder)
        return made

    def convert(self, replace: Callable[[nn.Module], None]) -> None:
        """Let `replace` put other layers in the place of linear ones: quantised, or packed.

        A native model's `.model` loses its weights, which would be held twice; its configuration stays. What is left
        of weights that lie in a mapped file is copied out of it: as long as one does, all that was read stays resident.
        """
        converted: nn.Module = self.model
        if isinstance(self.decoder, NativeDecoder):
            converted = self.decoder
            self.model.to("meta")
        replace(converted)
        for left in converted.parameters():
            if left.device.type == "cpu":
                left.data = left.data.clone()
        _return_freed_memory()

    @out_of_memory(LESS_MEMORY)
    def forward(
        self,
        tokens: list[int],
        positions: list[int],
        reduce: Callable[[torch.Tensor], T],
        *,
        rows: int = 1,
        mask: np.ndarray | None = None,
    ) -> T:
        """Append `tokens`; return `reduce` of the logits of the last `rows`, [rows, V].

        Raises `ModelError` where `reduce` finds them not finite.
        """
        count = len(tokens)
        if mask is None and count > 1:
            mask = np.tri(count, dtype=bool)  # an explicit one: the library's own is slow to build
        if self._static and self._static.takes(count):
            run = self._static.prepare(tokens, positions, mask, rows)
        else:
            ids, places = torch.tensor([tokens, positions]).to(self.device, non_blocking=True)  # [N] each
            additive = None if mask is None else self._additive(mask, count)
            run = partial(self.decoder, ids, places, additive, rows, self._cache)
        start = perf_counter()
        logits = run()
        self._cache.advance(count)
        try:
            reduced = reduce(logits)
        except FloatingPointError:
            self._cache.clear()
            raise self._not_finite() from None
        self.counter.ms += (perf_counter() - start) * 1e3
        self.counter.forwards += 1
        return reduced

    @out_of_memory(LESS_MEMORY)
    def keep(self, base: int, slots: list[int]) -> None:
        """Keep the first `base` slots, then `base + s` for each s of `slots`, drop the rest."""
        self._cache.keep(base, slots)
        for device in self.devices:
            if device.type == "cuda":
                torch.cuda.synchronize(device)  # no reduction follows, and the next phase shall not pay for this one

    def _not_finite(self) -> ModelError:
        """NaN or infinite logits, and what to do about them."""
        if self.dtype == torch.float16:
            return ModelError(
                f"{self.spec.source} overflows in float16 (its logits are not finite): use --dtype bfloat16 or float32"
            )
        return ModelError(
            f"{self.spec.source} gives logits that are not finite in {_name(self.dtype)}: its weights are damaged, or "
            "made for another dtype; try --dtype float32 or another copy"
        )

    def _additive(self, mask: np.ndarray, count: int) -> torch.Tensor:
        """[N, T] bool over the last T slots -> [1, 1, N, S] to add to the scores, over all S slots."""
        total = self._cache.length + count
        inside = np.where(mask, np.float32(0.0), np.float32(torch.finfo(self.dtype).min))  # what the host must say
        additive = torch.zeros((1, 1, count, total), dtype=self.dtype, device=self.device)
        additive[0, 0, :, total - mask.shape[1] :] = torch.from_numpy(inside)
        return additive

    def describe(self) -> dict[str, object]:
        """What the trace says of this model."""
        return {
            "source": self.spec.source,
            "revision": self.spec.revision,
            "architecture": type(self.model).__name__,
            "forward": f"{self.decoder.kind}, recorded" if self._static else self.decoder.kind,
            "parameters": self.parameters,
            "quantization": self.spec.quantization,
            "layers": len(self._cache.layers),
            "vocab_size": self.vocab_size,
            "context_length": self.context_length,
            "dtype": _name(self.dtype),
            "device": ", ".join(map(str, self.devices)),
        }


def input_device(model: PreTrainedModel) -> torch.device:
    """Where the tokens go: of a model divided between several devices, that of its first layer."""
    return next(model.get_input_embeddings().parameters()).device


class StockDecoder(nn.Module):
    """transformers' own forward, as `NativeDecoder.forward` is called."""

    kind = "transformers"

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        self._model = model
        self._takes_rows = "logits_to_keep" in inspect.signature(model.forward).parameters

    @property
    def embedding(self) -> nn.Module:
        """The embedding layer, without what the model may add to it, as positions."""
        return self._model.get_input_embeddings()

    @property
    def head(self) -> nn.Module:
        """The head, without what the model may do to its logits."""
        return self._model.get_output_embeddings()

    def reserve(self, positions: int) -> None:
        """Nothing to do: the model makes its own tables."""

    def forward(
        self, tokens: torch.Tensor, positions: torch.Tensor, mask: torch.Tensor | None, rows: int, cache: KVCache
    ) -> torch.Tensor:
        """[N] tokens -> logits of the last `rows`, [rows, V]."""
        count = len(tokens)
        taps = cache.taps(cache.length, cache.length + count)
        options: dict[str, int | torch.Tensor] = {} if taps is None else {"output_hidden_states": True}
        if self._takes_rows:
            # On a CPU indices, not a number: a slice is not contiguous, and the head would be copied whole to multiply
            # it. On a GPU a number: of a model divided between several the last layer is not where the tokens are.
            options["logits_to_keep"] = rows if rows == count or tokens.is_cuda else torch.arange(count - rows, count)
        output = self._model(
            input_ids=tokens[None],
            position_ids=positions[None],
            attention_mask=mask,
            past_key_values=cache,
            use_cache=True,
            **options,
        )
        if taps is not None:
            self._write(taps, output.hidden_states)
        return output.logits[0][-rows:]

    def _write(self, taps: Taps, hidden: tuple[torch.Tensor, ...] | None) -> None:
        """Copy what the model says it computed on the way, [1, N, E] before each layer and behind the final norm."""
        for point, row in taps.items():
            place = -1 if point == "final" else point
            if not hidden or hidden[place].shape[1:] != row.shape:
                raise ModelError(
                    f"{type(self._model).__name__} gives no hidden states: use a model of these kinds: {KINDS}"
                )
            row.copy_(hidden[place][0])


def _return_freed_memory() -> None:
    """Give the system what was freed, where the C library (glibc) has a call for it; else it keeps some for later."""
    if sys.platform == "linux" and (trim := getattr(ctypes.CDLL(None), "malloc_trim", None)):
        trim(0)


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


@torch.inference_mode()
def _layer_shapes(model: PreTrainedModel, spec: ModelSpec) -> list[LayerShape]:
    """Ask the model itself what it caches, by one forward over one token."""
    cache = DynamicCache(config=model.config)
    model(
        input_ids=torch.zeros(1, 1, dtype=torch.long, device=input_device(model)), past_key_values=cache, use_cache=True
    )
    shapes = []
    for layer in cache.layers:
        keys, values = getattr(layer, "keys", None), getattr(layer, "values", None)
        if keys is None or values is None or keys.shape != values.shape:
            raise ModelError(f"{spec.source}: {model.config.model_type} keeps no plain key-value cache in every layer")
        _, heads, _, dim = keys.shape
        shapes.append(LayerShape(heads, dim, keys.dtype, keys.device))
    return shapes
