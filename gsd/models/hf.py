"""Hugging Face causal models behind the `LanguageModel` protocol: loaded, checked, decoded.

No model file is forked: tree attention is an explicit 4-D mask, rotary positions are given, and
the cache is ours. Whatever cannot be decoded losslessly that way is refused when it is loaded.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from time import perf_counter
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import numpy as np
import torch
from huggingface_hub.constants import ENDPOINT
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    DynamicCache,
    PreTrainedConfig,
    PreTrainedModel,
)
from transformers.cache_utils import DynamicLayer

from gsd.config import Dtype, ModelSpec
from gsd.errors import GsdError, ModelError, OutOfMemory, PairError
from gsd.models.base import Counter, T
from gsd.models.cache import KVCache, LayerShape
from gsd.pairs import located

HUB_TIMEOUT_S = 5


class HFModel:
    """A transformers causal model with a preallocated cache. See `LanguageModel` for the contract."""

    def __init__(self, model: PreTrainedModel, spec: ModelSpec) -> None:
        self.model = model.eval().requires_grad_(False)  # nothing is recorded, in inference mode or not
        self.spec = spec
        config = model.config.get_text_config(decoder=True)
        self.vocab_size: int = model.get_output_embeddings().weight.shape[0]
        self.context_length: int = getattr(config, "max_position_embeddings", None) or 1 << 20
        self.device = model.get_input_embeddings().weight.device
        self.dtype = model.dtype
        self.counter = Counter()
        self._cache = KVCache(_layer_shapes(model, spec))

    @property
    def length(self) -> int:
        """Valid cache slots."""
        return self._cache.length

    def reset(self, capacity: int) -> None:
        """Forget everything and hold room for `capacity` slots."""
        with out_of_memory("--max-new-tokens, the prompt, or use --dtype bfloat16"):
            self._cache.reset(capacity)

    def forward(
        self,
        tokens: list[int],
        positions: list[int],
        reduce: Callable[[torch.Tensor], T],
        *,
        rows: int = 1,
        mask: np.ndarray | None = None,
    ) -> T:
        """Append `tokens`; return `reduce` of the logits of the last `rows`, [rows, V]."""
        count = len(tokens)
        if mask is None and count > 1 and self.length:
            mask = np.tri(count, dtype=bool)  # an explicit one: the library's own is slow to build
        inputs = torch.tensor([tokens, positions], device=self.device)  # [2, N]
        additive = None if mask is None else self._additive(mask, count)
        # Indices, not a number: of a slice, which is not contiguous, the head would be copied whole to multiply.
        kept = rows if rows == count else torch.arange(count - rows, count, device=self.device)
        start = perf_counter()
        with out_of_memory("--budget, --frontier, the prompt, or use --dtype bfloat16"):
            output = self.model(
                input_ids=inputs[:1],
                position_ids=inputs[1:],
                attention_mask=additive,
                past_key_values=self._cache,
                use_cache=True,
                logits_to_keep=kept,
            )
            self._cache.advance(count)
            reduced = reduce(output.logits[0])
        self.counter.ms += (perf_counter() - start) * 1e3
        self.counter.forwards += 1
        return reduced

    def keep(self, base: int, slots: list[int]) -> None:
        """Keep the first `base` slots, then `base + s` for each s of `slots`, drop the rest."""
        self._cache.keep(base, slots)

    def _additive(self, mask: np.ndarray, count: int) -> torch.Tensor:
        """[N, T] bool over the last T slots -> [1, 1, N, S] to add to the scores, over all S slots."""
        total = self._cache.length + count
        additive = np.zeros((1, 1, count, total), dtype=np.float32)  # numpy: a third of torch's time at this size
        additive[0, 0, :, total - mask.shape[1] :][~mask] = torch.finfo(self.dtype).min
        return torch.from_numpy(additive).to(device=self.device, dtype=self.dtype)

    def describe(self) -> dict[str, object]:
        """What the trace says of this model."""
        return {
            "source": self.spec.source,
            "revision": self.spec.revision,
            "architecture": type(self.model).__name__,
            "parameters": self.model.num_parameters(),
            "layers": len(self._cache.layers),
            "vocab_size": self.vocab_size,
            "context_length": self.context_length,
            "dtype": str(self.dtype).removeprefix("torch."),
            "device": str(self.device),
        }


def load_model(spec: ModelSpec, device: str = "auto", dtype: Dtype = "auto") -> HFModel:
    """Load one model, or raise `ModelError` with the reason and the way out.

    `device` auto: all CUDA devices there are, else the CPU. `dtype` auto: bfloat16 on CUDA, float32 on the CPU.
    """
    device_map = _device_map(device)
    torch_dtype = _torch_dtype(dtype, device_map)
    kwargs = _source_kwargs(spec)
    with _refusals(spec):
        config = AutoConfig.from_pretrained(**kwargs)
    _refuse_config(config, spec)
    with _refusals(spec), out_of_memory("the model (a smaller one) or use --dtype bfloat16"):
        model = AutoModelForCausalLM.from_pretrained(
            **kwargs,
            **_weights_kwargs(spec, kwargs),
            dtype=torch_dtype,
            device_map=device_map,
            attn_implementation="sdpa",
        )
    return HFModel(model, spec)


def load_tokenizer(spec: ModelSpec):
    """The tokenizer that comes with a model."""
    kwargs = _source_kwargs(spec)
    with _refusals(spec):
        return AutoTokenizer.from_pretrained(**kwargs)


def check_pair(target: HFModel, draft: HFModel, target_tokenizer: object, draft_tokenizer: object) -> None:
    """Refuse a draft whose token ids do not mean what the target's mean."""
    mine, theirs = target_tokenizer.get_vocab(), draft_tokenizer.get_vocab()
    if mine == theirs:
        return
    odd = next((token for token in mine if theirs.get(token) != mine[token]), None) or next(
        iter(theirs.keys() - mine.keys())
    )
    raise PairError(
        f"target {target.spec.source} and draft {draft.spec.source} have different vocabularies "
        f"({len(mine)} and {len(theirs)} tokens; {odd!r} is {mine.get(odd)} and {theirs.get(odd)}): "
        "choose a draft of the target's family"
    )


@contextlib.contextmanager
def out_of_memory(lower: str) -> Iterator[None]:
    """Turn running out of device or host memory into an `OutOfMemory` that names what to lower."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise OutOfMemory(f"out of memory: lower {lower} ({str(error).splitlines()[0]})") from error
    except MemoryError as error:
        raise OutOfMemory(f"out of memory: lower {lower}") from error
    except RuntimeError as error:
        if "can't allocate memory" not in str(error):
            raise
        raise OutOfMemory(f"out of memory: lower {lower}") from error


def _device_map(device: str) -> str:
    if device == "auto":
        return "auto" if torch.cuda.is_available() else "cpu"
    if device.startswith("cuda"):
        count = torch.cuda.device_count()
        if int(device.partition(":")[2] or 0) >= count:
            raise ModelError(f"device {device!r} is not here ({count} CUDA devices found): use --device cpu or auto")
    return device


def _torch_dtype(dtype: Dtype, device_map: str) -> torch.dtype:
    if dtype == "auto":
        return torch.float32 if device_map == "cpu" else torch.bfloat16
    return getattr(torch, dtype)


def _source_kwargs(spec: ModelSpec) -> dict[str, object]:
    """Arguments of `from_pretrained` that say where the model is: hub id, folder or GGUF file."""
    path = located(spec)
    common = {"trust_remote_code": spec.trust_remote_code}
    if path is not None and path.is_file():
        if path.suffix != ".gguf":
            raise ModelError(f"{path} is a file but no .gguf: name a folder, a GGUF file or a hub id")
        return {"pretrained_model_name_or_path": str(path.parent), "gguf_file": path.name, **common}
    if path is None:
        _require_hub(spec)
    if path is not None and Path(spec.source).expanduser() == path and not (path / "config.json").exists():
        raise ModelError(f"{path} is no model folder: it has no config.json")
    return {"pretrained_model_name_or_path": str(path or spec.source), "revision": spec.revision, **common}


def _require_hub(spec: ModelSpec) -> None:
    """Refuse at once what would be downloaded where there is no way to the hub; the library tries for a minute."""
    try:
        urlopen(Request(ENDPOINT, method="HEAD"), timeout=HUB_TIMEOUT_S).close()
    except HTTPError:
        return  # it answered
    except OSError as error:
        raise ModelError(
            f"{spec.source} is not on this machine, and {ENDPOINT} cannot be reached ({error}): name a local folder "
            "or a GGUF file, or put a folder of the model's name under $GSD_MODELS"
        ) from None


def _weights_kwargs(spec: ModelSpec, kwargs: dict[str, object]) -> dict[str, object]:
    if "gguf_file" not in kwargs:
        return {"use_safetensors": True}  # pickled weights can run code
    try:
        from transformers import GgufConfig  # since 5.2x GGUF stays packed unless told otherwise
    except ImportError:
        return {}
    return {"quantization_config": GgufConfig(dequantize=True)}


def _refuse_config(config: PreTrainedConfig, spec: ModelSpec) -> None:
    """Refuse, before any weight is read, what keeps something else than keys and values of every token."""
    kind = config.model_type
    if config.is_encoder_decoder:
        raise ModelError(f"{spec.source}: {kind} is an encoder-decoder model; use a decoder-only one")
    odd = next(
        (type(layer).__name__ for layer in DynamicCache(config=config).layers if type(layer) is not DynamicLayer), None
    )
    if odd:
        what = "a sliding window" if "Sliding" in odd else "a recurrent or indexed state"
        raise ModelError(
            f"{spec.source}: {kind} caches {what} ({odd}), from which rejected tokens cannot be taken back; "
            "use a model with full attention in every layer"
        )


@contextlib.contextmanager
def _refusals(spec: ModelSpec) -> Iterator[None]:
    """Turn what transformers says of an unusable source into one line."""
    try:
        yield
    except GsdError:
        raise
    except Exception as error:  # whatever a foreign file makes a foreign library raise
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        if "safetensors" in str(error):
            reason = "it has no safetensors weights (pickled ones can run code); convert it to safetensors"
        raise ModelError(f"{spec.source} cannot be loaded: {reason}") from error


@torch.inference_mode()
def _layer_shapes(model: PreTrainedModel, spec: ModelSpec) -> list[LayerShape]:
    """Ask the model itself what it caches, by one forward over one token."""
    cache = DynamicCache(config=model.config)
    device = model.get_input_embeddings().weight.device
    model(input_ids=torch.zeros(1, 1, dtype=torch.long, device=device), past_key_values=cache, use_cache=True)
    shapes = []
    for layer in cache.layers:
        if not layer.is_initialized or layer.keys.shape != layer.values.shape:
            raise ModelError(f"{spec.source}: {model.config.model_type} keeps no plain key-value cache in every layer")
        _, heads, _, dim = layer.keys.shape
        shapes.append(LayerShape(heads, dim, layer.keys.dtype, layer.keys.device))
    return shapes
