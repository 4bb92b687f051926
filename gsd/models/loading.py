"""Hugging Face models from the hub, a folder or a GGUF file: loaded, or refused with the reason and the way out."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

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
from gsd.errors import GsdError, ModelError, PairError
from gsd.models.base import out_of_memory
from gsd.models.choice import Held
from gsd.models.hf import HFModel
from gsd.models.pack import can_pack, pack
from gsd.models.quantize import quantize
from gsd.models.static import cuda_graphs
from gsd.pairs import is_path, located

HUB_TIMEOUT_S = 5
SAFETENSORS = ("model.safetensors", "model.safetensors.index.json")


def load_model(
    spec: ModelSpec,
    device: str = "auto",
    dtype: Dtype = "auto",
    *,
    lean: bool = True,
    packed: bool = False,
    recorded: bool = True,
    held: Held = Held(),  # noqa: B008
) -> HFModel:
    """Load one model, or raise `ModelError` with the reason and the way out.

    `device` auto: all CUDA devices there are, else the CPU. `dtype` auto: bfloat16 on CUDA (float16 where the
    device computes no bfloat16), float32 on the CPU. A quantised model's other weights are as `held`
    says. `lean` false keeps to transformers' own forward. `packed` lays whole weights out for the CPU, where that is
    possible.
    `recorded` lets a GPU replay lean forwards of few tokens as graphs.
    """
    model = _read(spec, device, dtype, held)
    with _refusals(spec):
        packs = packed and can_pack(model)
        known = spec.model_copy(update={"revision": _commit(spec, model.config)})
        record = cuda_graphs(model.device) if recorded and model.device.type == "cuda" else None
        loaded = HFModel(model, known, lean=lean, record=record)
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
    model = _read(spec, device, dtype, held).eval()
    if spec.quantization != "none":
        with _refusals(spec):
            quantize(model, spec.quantization, held.few)
    return model


def skeleton(spec: ModelSpec) -> PreTrainedModel:
    """The model without its weights, to see its layers' shapes. Raises `ModelError` as loading does."""
    config = _config(spec, _source_kwargs(spec))
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
    kwargs = _source_kwargs(spec)
    with _refusals(spec):
        return AutoTokenizer.from_pretrained(**kwargs)


def check_pair(target: ModelSpec, draft: ModelSpec, target_tokenizer: object, draft_tokenizer: object) -> None:
    """Refuse a draft whose token ids do not mean what the target's mean."""
    mine, theirs = target_tokenizer.get_vocab(), draft_tokenizer.get_vocab()
    if mine == theirs:
        return
    odd = next((token for token in mine if theirs.get(token) != mine[token]), None) or next(
        iter(theirs.keys() - mine.keys())
    )
    raise PairError(
        f"target {target.source} and draft {draft.source} have different vocabularies "
        f"({len(mine)} and {len(theirs)} tokens; {odd!r} is {mine.get(odd)} and {theirs.get(odd)}): "
        "choose a draft of the target's family"
    )


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


def _source_kwargs(spec: ModelSpec) -> dict[str, object]:
    """Arguments of `from_pretrained` that say where the model is: hub id, folder or GGUF file."""
    path = located(spec)
    common = {"trust_remote_code": spec.trust_remote_code}
    if path is not None and path.is_file():
        if path.suffix != ".gguf":
            raise ModelError(f"{path} is a file but no .gguf: name a folder, a GGUF file or a hub id")
        return {"pretrained_model_name_or_path": str(path.parent), "gguf_file": path.name, **common}
    if path is None:
        if is_path(spec.source):
            raise ModelError(f"there is no folder or file {spec.source}: name one that is here, or a hub id")
        _require_hub(spec)
    if path is not None and Path(spec.source).expanduser() == path and not (path / "config.json").exists():
        raise ModelError(f"{path} is no model folder: it has no config.json")
    return {"pretrained_model_name_or_path": str(path or spec.source), "revision": spec.revision, **common}


def _commit(spec: ModelSpec, config: PreTrainedConfig) -> str | None:
    """The hub's commit of what was loaded: the name of its folder in the cache, or what a download said."""
    path = located(spec)
    if path is not None and path.parent.name == "snapshots":
        return path.name
    return getattr(config, "_commit_hash", None)


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


def _config(spec: ModelSpec, kwargs: dict[str, object]) -> PreTrainedConfig:
    """The model's configuration, or a refusal of what cannot be decoded."""
    with _refusals(spec):
        config = AutoConfig.from_pretrained(**kwargs)
    _refuse_cache(config, spec)
    _refuse_positions(config, spec)
    return config


def _read(spec: ModelSpec, device: str, dtype: Dtype, held: Held) -> PreTrainedModel:
    """Configuration, checks, then weights, in the dtype in which they are computed with."""
    device_map = _device_map(device)
    torch_dtype = _torch_dtype(held.dtype if spec.quantization != "none" else dtype, device_map)
    kwargs = _source_kwargs(spec)
    _config(spec, kwargs)
    with _refusals(spec):
        model = AutoModelForCausalLM.from_pretrained(
            **kwargs,
            **_weights_kwargs(spec, kwargs),
            dtype=torch_dtype,
            device_map=device_map,
            attn_implementation="sdpa",
        )
        if device_map == "auto":
            _refuse_offload(model, spec)
    return model


@contextlib.contextmanager
def _refusals(spec: ModelSpec) -> Iterator[None]:
    """Turn what transformers says of an unusable source, or of memory that ran out, into one line."""
    try:
        with out_of_memory("use a smaller model, or --dtype bfloat16"):
            yield
    except GsdError:
        raise
    except Exception as error:  # whatever a foreign file makes a foreign library raise
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        if "safetensors" in str(error) and not _has_safetensors(spec):
            reason = "it has no safetensors weights (pickled ones can run code); convert it to safetensors"
        raise ModelError(f"{spec.source} cannot be loaded: {reason}") from error


def _has_safetensors(spec: ModelSpec) -> bool:
    """Whether such weights are here, all of them or a part."""
    folder = located(spec)
    return folder is not None and any((folder / name).exists() for name in SAFETENSORS)
