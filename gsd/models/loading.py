"""Hugging Face models from the hub, a folder or a GGUF file: loaded, or refused with the reason and the way out."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    DynamicCache,
    PreTrainedConfig,
    PreTrainedModel,
)
from transformers.cache_utils import DynamicLayer

from gsd.errors import GsdError, ModelError
from gsd.models.base import out_of_memory
from gsd.models.choice import Held
from gsd.models.completeness import check_complete
from gsd.models.diagnosis import explained
from gsd.models.exactness import Proof, prove, prove_loaded
from gsd.models.hf import HFModel
from gsd.models.miniature import with_attention
from gsd.models.pack import can_pack, pack
from gsd.models.quantize import quantize
from gsd.models.reads import marking_what_is_read
from gsd.models.sources import commit, source_options, weights_options
from gsd.models.static import cuda_graphs
from gsd.spec import Dtype, ModelSpec


@dataclass(frozen=True, slots=True)
class _Read:
    """A model as transformers read it, and whether trees are proven exact for its architecture."""

    model: PreTrainedModel
    proof: Proof


def load_model(
    spec: ModelSpec,
    device: str = "auto",
    dtype: Dtype = "auto",
    *,
    native: bool = True,
    packed: bool = False,
    recorded: bool = True,
    held: Held = Held(),  # noqa: B008
) -> HFModel:
    """Load one model, or raise `ModelError` with the reason and the way out.

    `device` auto: all CUDA devices there are, else the CPU. `dtype` auto: bfloat16 on CUDA (float16 where the
    device computes no bfloat16), float32 on the CPU. A quantised model's other weights are as `held`
    says. `native` false keeps to transformers' own forward. `packed` lays whole weights out for the CPU, where that is
    possible.
    `recorded` lets a GPU replay native forwards of few tokens as graphs.
    """
    read = _read(spec, device, dtype, held, native=native)
    model = read.model
    with _refusals(spec):
        packs = packed and can_pack(model)
        known = spec.model_copy(update={"revision": commit(spec, model.config)})
        record = cuda_graphs(model.device) if recorded and model.device.type == "cuda" else None
        try:
            loaded = HFModel(model, known, native=native, record=record)
        except (TypeError, ValueError, LookupError, AttributeError) as error:  # its forward wants more than text
            raise ModelError(
                f"{spec.source}: {type(model).__name__} cannot go on from tokens and a cache alone "
                f"({type(error).__name__}: {error}); use a decoder-only text model"
            ) from error
        if not read.proof.proven:
            prove_loaded(loaded)
        if spec.quantization != "none":
            loaded.convert(lambda module: quantize(module, spec.quantization, held.few))
        if packs:
            loaded.convert(pack)
        return loaded


def load_stock(
    spec: ModelSpec,
    device: str = "auto",
    dtype: Dtype = "auto",
    held: Held = Held(),  # noqa: B008
) -> PreTrainedModel:
    """The model just as transformers loads it, for those who measure or check against transformers.

    Arguments and errors are those of `load_model`. Quantised in place where the spec says so. Weights are not frozen:
    torch would copy all of a frozen head, in every forward that wants but the last of several tokens' logits.
    """
    model = _read(spec, device, dtype, held).model.eval()
    if spec.quantization != "none":
        with _refusals(spec):
            with torch.inference_mode(), marking_what_is_read(model):
                model(input_ids=torch.zeros(1, 1, dtype=torch.long, device=model.device))
            quantize(model, spec.quantization, held.few)
    return model


def skeleton(spec: ModelSpec) -> PreTrainedModel:
    """The model without its weights, to see its layers' shapes. Raises `ModelError` as loading does."""
    config = _config(spec, source_options(spec))
    with _refusals(spec), torch.device("meta"):
        return AutoModelForCausalLM.from_config(config, trust_remote_code=spec.trust_remote_code)


def draft_device(device: str) -> str:
    """Where the draft of a target on `device` goes: with `auto`, one device, the one that has the first layers.

    A draft is small and its forwards many: divided between devices it would wait for transfers.
    """
    if device == "auto":
        return "cuda:0" if torch.cuda.is_available() else "cpu"
    return device


def load_tokenizer(spec: ModelSpec):
    """The tokenizer that comes with a model."""
    kwargs = source_options(spec)
    with _refusals(spec):
        return AutoTokenizer.from_pretrained(**kwargs)


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
        if device_map == "cpu":
            return torch.float32
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    return getattr(torch, dtype)


def _refuse_cache(config: PreTrainedConfig, spec: ModelSpec) -> None:
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


def _refuse_positions(config: PreTrainedConfig, spec: ModelSpec) -> None:
    """Refuse what takes a token's place from elsewhere than the position that it is given."""
    text = config.get_text_config(decoder=True)
    rope = getattr(text, "rope_parameters", None) or getattr(text, "rope_scaling", None) or {}
    scalings = [scaling for scaling in (rope, *rope.values()) if isinstance(scaling, dict)]  # one, or one a layer type
    kinds = [str(scaling.get("rope_type") or scaling.get("type")) for scaling in scalings]
    odd = next((kind for kind in kinds if kind == "longrope" or "dynamic" in kind), None)
    if odd:
        raise ModelError(
            f"{spec.source}: {text.model_type} rotates by the length of the text (rope type {odd!r}), so what is "
            "cached would not be what an uncached forward computes; use a model of another rope type"
        )
    alibi = text.model_type in ("bloom", "mpt") or getattr(text, "alibi", False)
    if alibi:
        raise ModelError(
            f"{spec.source}: {text.model_type} tells positions by a bias on distances (ALiBi), which takes a tree's "
            "branches for one text; use a model with rotary or learned positions"
        )


def _refuse_offload(model: PreTrainedModel, spec: ModelSpec) -> None:
    """Refuse a placement that keeps weights off the GPUs: each forward would copy them there."""
    places = {str(place) for place in getattr(model, "hf_device_map", {}).values()}
    if off := sorted(places & {"cpu", "disk"}):
        raise ModelError(
            f"{spec.source} does not fit the GPUs: a part of it would stay on {' and '.join(off)} and be copied for "
            "each forward; use a smaller model, more GPUs, or --device cpu"
        )


def _config(spec: ModelSpec, kwargs: dict[str, Any]) -> PreTrainedConfig:
    """The model's configuration, or a refusal of what cannot be decoded."""
    with _refusals(spec):
        config = AutoConfig.from_pretrained(**kwargs)
        _refuse_cache(config, spec)
        _refuse_positions(config, spec)
    return config


def _read(spec: ModelSpec, device: str, dtype: Dtype, held: Held, *, native: bool = False) -> _Read:
    """Configuration, checks, then weights, in the dtype in which they are computed with."""
    device_map = _device_map(device)
    torch_dtype = _torch_dtype(held.dtype if spec.quantization != "none" else dtype, device_map)
    kwargs = source_options(spec)
    config = _config(spec, kwargs)
    with _refusals(spec):
        proof = prove(config, spec, native=native)

    def load(**options: Any) -> Any:  # (model, report), as of `output_loading_info`
        return AutoModelForCausalLM.from_pretrained(
            **kwargs,
            **weights_options(kwargs),
            **options,
            dtype=torch_dtype,
            device_map=device_map,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # refused below, by name
        )

    with _refusals(spec):
        model, report = with_attention(load)
        check_complete(model, report, spec)
        if device_map == "auto":
            _refuse_offload(model, spec)
    return _Read(model, proof)


@contextlib.contextmanager
def _refusals(spec: ModelSpec) -> Iterator[None]:
    """Turn what transformers says of an unusable source, or of memory that ran out, into one line."""
    try:
        with out_of_memory("use a smaller model, or --dtype bfloat16"):
            yield
    except GsdError:
        raise
    except Exception as error:  # whatever a foreign file makes a foreign library raise
        raise ModelError(f"{spec.source} cannot be loaded: {explained(error, spec)}") from error
