"""Where a model is: a path of this machine, a folder of models, the cache of the hub. No torch."""

from __future__ import annotations

import json
import os
from pathlib import Path

from gsd.errors import ModelError
from gsd.spec import ModelSpec

BUNDLED = Path(__file__).parent / "tiny"
MODELS_VARIABLE = "GSD_MODELS"


def located(spec: ModelSpec) -> Path | None:
    """The local folder or file of a model, or None where a hub download would be needed.

    Looked for, in order: `source` as a path; where it can be a hub id, a folder of the model's name, in any case,
    under $GSD_MODELS, and the Hugging Face cache. Raises `ModelError` where a revision of one of the first two is
    asked for.
    """
    path = local_path(spec.source)
    local = path if path else None if is_path(spec.source) else _under_models_folder(spec)
    if local is None:
        return _in_hub_cache(spec)
    if spec.revision is not None:
        raise ModelError(
            f"{spec.source} is taken from {local}, which has no revision {spec.revision!r}: leave the revision out, "
            f"or give the id of a hub model that is not under ${MODELS_VARIABLE}"
        )
    return local


def local_path(source: str) -> Path | None:
    """A source as a path of this machine; None where there is nothing, or where it can be none."""
    try:
        path = Path(source).expanduser()
        return path if path.exists() else None
    except (OSError, RuntimeError, ValueError):  # too long a name, no such user, a zero byte
        return None


def is_path(source: str) -> bool:
    """Whether it cannot be a hub id, which is a name or `owner/name`."""
    return source.startswith(("/", ".", "~")) or source.count("/") > 1


def _under_models_folder(spec: ModelSpec) -> Path | None:
    folder = os.environ.get(MODELS_VARIABLE)
    if not folder or not Path(folder).is_dir():
        return None
    name = spec.source.rsplit("/", 1)[-1].lower()
    return next((path for path in Path(folder).iterdir() if path.name.lower() == name), None)


def _in_hub_cache(spec: ModelSpec) -> Path | None:
    from huggingface_hub.constants import HF_HUB_CACHE

    if local_path(f"{HF_HUB_CACHE}/models--{spec.source.replace('/', '--')}") is None:
        return None  # known without the rest of that library, which takes a tenth of a second to import
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        found = try_to_load_from_cache(spec.source, "config.json", revision=spec.revision)
    except HFValidationError:  # not the form of a hub id
        return None
    return Path(found).parent if isinstance(found, str) and _whole(Path(found).parent) else None


def _whole(snapshot: Path) -> bool:
    """Whether the weights are there, too: a look at the configuration alone caches that alone."""
    index = snapshot / "model.safetensors.index.json"
    files = json.loads(index.read_text())["weight_map"].values() if index.exists() else ["model.safetensors"]
    return all((snapshot / file).exists() for file in files)
