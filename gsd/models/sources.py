"""Where a model's files are: a folder, a GGUF file or the hub; what is no model, is refused before it is read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from huggingface_hub import constants
from transformers import PreTrainedConfig

from gsd.errors import ModelError
from gsd.models.places import MODELS_VARIABLE, is_path, located
from gsd.spec import ModelSpec

HUB_TIMEOUT_S = 5
ADAPTER = "adapter_config.json"


def source_options(spec: ModelSpec) -> dict[str, Any]:
    """Arguments of `from_pretrained` that say where the model is: hub id, folder or GGUF file."""
    path = located(spec)
    common = {"trust_remote_code": spec.trust_remote_code}
    if path is None:
        if is_path(spec.source):
            raise ModelError(f"there is no folder or file {spec.source}: name one that is here, or a hub id")
        _require_hub(spec)
    elif path.is_file():
        if path.suffix.lower() != ".gguf":
            raise ModelError(f"{path} is a file but no .gguf: name a folder, a GGUF file or a hub id")
        return {"pretrained_model_name_or_path": str(path.parent), "gguf_file": path.name, **common}
    else:
        _refuse_folder(path, by_path=Path(spec.source).expanduser() == path)
    return {"pretrained_model_name_or_path": str(path or spec.source), "revision": spec.revision, **common}


def weights_options(kwargs: dict[str, Any]) -> dict[str, Any]:
    """Arguments of `from_pretrained` for the weights, given those of `source_options`."""
    if "gguf_file" not in kwargs:
        return {"use_safetensors": True}  # pickled weights can run code
    try:
        from transformers import GgufConfig  # since 5.2x GGUF stays packed unless told otherwise
    except ImportError:
        return {}
    return {"quantization_config": GgufConfig(dequantize=True)}


def commit(spec: ModelSpec, config: PreTrainedConfig) -> str | None:
    """The hub's commit of what was loaded: the name of its folder in the cache, or what a download said."""
    path = located(spec)
    if path is not None and path.parent.name == "snapshots":
        return path.name
    return getattr(config, "_commit_hash", None)


def _refuse_folder(folder: Path, *, by_path: bool) -> None:
    """Refuse a folder that holds an adapter, GGUF files, or nothing that says what model it is."""
    if (folder / "config.json").exists():
        return
    if (folder / ADAPTER).exists():
        raise ModelError(
            f"{folder} is an adapter (LoRA) for {_base(folder)}, no model of its own: merge it into that "
            "(peft: merge_and_unload, then save_pretrained) and name the merged folder"
        )
    if files := sorted(file.name for file in folder.iterdir() if file.suffix.lower() == ".gguf"):
        raise ModelError(f"{folder} holds GGUF files: name one of them, such as {folder / files[0]}")
    if by_path:
        raise ModelError(f"{folder} is no model folder: it has no config.json")


def _base(folder: Path) -> str:
    """The model that an adapter belongs to, as it says."""
    try:
        return str(json.loads((folder / ADAPTER).read_text())["base_model_name_or_path"])
    except (OSError, ValueError, KeyError, TypeError):
        return f"a model that its {ADAPTER} does not name"


def _require_hub(spec: ModelSpec) -> None:
    """Refuse at once what would be downloaded where there is no way to the hub; the library tries for a minute."""
    way_out = f"name a local folder or a GGUF file, or put a folder of the model's name under ${MODELS_VARIABLE}"
    if constants.HF_HUB_OFFLINE:
        raise ModelError(
            f"{spec.source} is not on this machine, and the hub is not asked offline (HF_HUB_OFFLINE is set): unset "
            f"it, {way_out}"
        )
    try:
        urlopen(Request(constants.ENDPOINT, method="HEAD"), timeout=HUB_TIMEOUT_S).close()
    except HTTPError:
        return  # it answered
    except OSError as error:
        raise ModelError(
            f"{spec.source} is not on this machine, and {constants.ENDPOINT} cannot be reached ({error}): {way_out}"
        ) from None
