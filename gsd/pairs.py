"""Target and draft pairs by name, whether their weights are on this machine, and the one that is loaded. No torch."""

from __future__ import annotations

import gc
import json
import os
import shlex
import sys
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar, get_args

from gsd.config import LARGE, ModelSpec, Quantization, RunSpec, build
from gsd.errors import InputError, ModelError

BUNDLED = Path(__file__).parent / "models" / "tiny"
MODELS_VARIABLE = "GSD_MODELS"

Loaded = TypeVar("Loaded")


@dataclass(frozen=True, slots=True)
class PairSpec:
    """A target and a draft that share one tokenizer."""

    name: str
    target: ModelSpec
    draft: ModelSpec
    note: str


def _hub(name: str, target: str, draft: str, note: str) -> PairSpec:
    return PairSpec(name, ModelSpec(source=target), ModelSpec(source=draft), note)


PAIRS: dict[str, PairSpec] = {
    pair.name: pair
    for pair in (
        PairSpec("tiny", ModelSpec(source=str(BUNDLED / "target")), ModelSpec(source=str(BUNDLED / "draft")),
                 "bundled; short Python functions"),
        _hub("qwen2.5-coder", "Qwen/Qwen2.5-Coder-1.5B-Instruct", "Qwen/Qwen2.5-Coder-0.5B-Instruct",
             "1.5B with 0.5B; runs on a CPU"),
        _hub("qwen3", "Qwen/Qwen3-8B", "Qwen/Qwen3-0.6B", "8B with 0.6B"),
        _hub("llama-3", "meta-llama/Llama-3.1-8B-Instruct", "meta-llama/Llama-3.2-1B-Instruct", "8B with 1B; gated"),
        _hub("llama-2-7b", "meta-llama/Llama-2-7b-chat-hf", "TinyLlama/TinyLlama-1.1B-Chat-v1.0",
             "7B with 1.1B, the paper's pair; gated"),
        _hub("llama-2-70b", "meta-llama/Llama-2-70b-chat-hf", "meta-llama/Llama-2-7b-chat-hf",
             "70B with 7B, the paper's large pair; gated"),
    )
}  # fmt: skip


class PairHolder(Generic[Loaded]):
    """The one loaded pair of a process, kept for the next run that names the same models, device and dtype.

    Another one is loaded after the last was dropped, so that both never need room. Callers keep no reference.
    """

    def __init__(self, load: Callable[[RunSpec], Loaded]) -> None:
        self._load = load
        self._held: tuple[str, Loaded] | None = None

    def holds(self, spec: RunSpec) -> bool:
        """Whether `get` will load nothing."""
        return self._held is not None and self._held[0] == _models_of(spec)

    def get(self, spec: RunSpec) -> Loaded:
        """The loaded pair of `spec`."""
        if not self.holds(spec):
            self.drop()
            self._held = _models_of(spec), self._load(spec)
        return self._held[1]

    def drop(self) -> None:
        """Give the memory back, that of the GPUs to the system."""
        self._held = None
        gc.collect()  # models hold reference cycles
        if torch := sys.modules.get("torch"):  # whoever held a model has imported it
            torch.cuda.empty_cache()


def _models_of(spec: RunSpec) -> str:
    return spec.model_dump_json(include={"target", "draft", "device", "dtype", "packed"})


def pair(name: str) -> PairSpec:
    """A preset by name; raises `InputError` with the known names."""
    if name not in PAIRS:
        raise InputError(f"unknown pair {name!r}; choose one of {', '.join(PAIRS)}, or give --target and --draft")
    return PAIRS[name]


def chosen_models(
    pair_name: str | None,
    target: str | None,
    draft: str | None,
    target_revision: str | None,
    draft_revision: str | None,
    trust: bool,
    draft_quant: str = "none",
) -> dict[str, Any]:
    """`pair`, `target` and `draft` of a `RunSpec`, by the options of these names; without any, the bundled pair."""
    found = _named(pair_name, target, draft, target_revision, draft_revision, trust)
    if draft_quant == "none" or (draft_quant == "auto" and found["draft"] is None):
        return found
    if found["draft"] is None:
        raise InputError(f"--draft-quant {draft_quant} needs a --draft")
    values = found["draft"].model_dump() | {"quantization": draft_quant}
    try:
        return found | {"draft": build(ModelSpec, values)}
    except InputError:
        raise InputError(f"--draft-quant {draft_quant!r}: choose {', '.join(get_args(Quantization))}") from None


def _named(
    pair_name: str | None,
    target: str | None,
    draft: str | None,
    target_revision: str | None,
    draft_revision: str | None,
    trust: bool,
) -> dict[str, Any]:
    for option, value in (("--pair", pair_name), ("--target", target), ("--draft", draft)):
        if value is not None and not value.strip():  # a variable of the shell that is not set
            raise InputError(f"{option} {value!r}: name one, or leave {option} out")
    if pair_name and (target or draft):
        raise InputError("give either --pair or --target and --draft")
    if not target:
        if draft:
            raise InputError("--draft needs a --target")
        if target_revision or draft_revision or trust:
            raise InputError("--target-revision, --draft-revision and --trust-remote-code need a --target")
        chosen = pair(pair_name or "tiny")
        return {"pair": chosen.name, "target": chosen.target, "draft": chosen.draft}
    return {
        "target": ModelSpec(source=target, revision=target_revision, trust_remote_code=trust),
        "draft": ModelSpec(source=draft, revision=draft_revision, trust_remote_code=trust) if draft else None,
    }


def as_settled(meta: dict[str, Any]) -> dict[str, Any]:
    """The settings that made a recording; `meta` is its head.

    Where a CPU measures for a large target, older recordings say no more than that its dtype was auto: it was what
    the target is described in.
    """
    settings, target = meta["spec"], meta.get("target")
    if not (isinstance(settings, dict) and isinstance(target, dict)):  # somebody else's, for `build` to refuse
        return settings
    parameters = target.get("parameters")
    if settings.get("dtype") == "auto" and target.get("device") == "cpu" and isinstance(parameters, int):
        return settings | ({"dtype": target.get("dtype")} if parameters >= LARGE else {})
    return settings


def as_recorded(settings: dict[str, Any]) -> RunSpec:
    """The settings of a recording, to be run again here: a preset's models are where they are on this machine.

    A recording may be somebody else's, so no code that comes with its models is trusted, whatever it says. Raises
    `InputError` for settings that are none.
    """
    spec = build(RunSpec, settings)
    if spec.pair is None:
        return spec.model_copy(update={role: model and model.untrusted() for role, model in models_of(spec).items()})
    found = pair(spec.pair)
    draft = spec.draft and found.draft.model_copy(update={"quantization": spec.draft.quantization})
    return spec.model_copy(update={"target": found.target, "draft": draft})


def models_of(spec: RunSpec) -> dict[str, ModelSpec | None]:
    """Target and draft by role."""
    return {"target": spec.target, "draft": spec.draft}


def to_agree(spec: RunSpec) -> list[ModelSpec]:
    """Models of a recording that are loaded only once somebody said so: those at a path of this machine.

    Those that come with this package are none of them, and a hub id is but a name.
    """
    if spec.pair is not None:
        return []
    found = {model.name: model for model in models_of(spec).values() if model and local_path(model.source)}
    return [model for model in found.values() if BUNDLED.resolve() not in local_path(model.source).resolve().parents]


def agreed(settings: dict[str, Any], load: Collection[str] = (), *, trust: bool = False) -> RunSpec:
    """A recording's settings, to be run again from the command line as far as that was agreed to by name.

    `load` holds models by `ModelSpec.name`; with `trust` the code that comes with those is run. Raises `InputError`
    for a model at a path of this machine that is not named, and for one that was recorded with code of its own where
    running that is not agreed to.
    """
    spec, recorded = as_recorded(settings), build(RunSpec, settings)
    if spec.pair is not None:
        return spec
    for model in filter(None, models_of(recorded).values()):
        lost = is_path(model.source) and local_path(model.source) is None  # which is said when it is to be loaded
        if model.trust_remote_code and not (trust and (model.name in load or lost)):
            raise InputError(f"{model.name} was recorded with code that comes with it: give --load "
                             f"{shlex.quote(model.name)} --trust-remote-code if that is to be run")  # fmt: skip
    for model in to_agree(spec):
        if model.name not in load:
            raise InputError(f"{model.name} is a path of this machine, named by the recording: give --load "
                             f"{shlex.quote(model.name)} if it is to be loaded")  # fmt: skip
    return trusting(spec, load) if trust else spec


def trusting(spec: RunSpec, names: Collection[str]) -> RunSpec:
    """The same run with the code that comes with the models of these names."""
    update = {role: model.model_copy(update={"trust_remote_code": True})
              for role, model in models_of(spec).items() if model and model.name in names}  # fmt: skip
    return spec.model_copy(update=update)


def available(spec: PairSpec) -> bool:
    """Whether both models can be loaded without a download."""
    return located(spec.target) is not None and located(spec.draft) is not None


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
