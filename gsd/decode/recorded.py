"""The settings of a recording, to be run again, and which of its models need the user's consent. No torch."""

from __future__ import annotations

import shlex
from collections.abc import Collection
from typing import Any

from gsd.config import RunSpec
from gsd.errors import InputError
from gsd.models.pairs import pair
from gsd.models.places import BUNDLED, is_path, local_path
from gsd.spec import LARGE, ModelSpec, build


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
    """The settings of a recording, to be run again here. The models of a preset are looked up on this machine.

    A recording may come from somebody else. So code that comes with its models is never trusted, whatever the recording
    says. Raises `InputError` for invalid settings.
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
    """The models of a recording that need consent: those at a path on this machine, except the bundled ones."""
    if spec.pair is not None:
        return []
    models = {model.name: model for model in models_of(spec).values() if model}
    places = [(model, place) for model in models.values() if (place := local_path(model.source))]
    return [model for model, place in places if BUNDLED.resolve() not in place.resolve().parents]


def agreed(settings: dict[str, Any], load: Collection[str] = (), *, trust: bool = False) -> RunSpec:
    """The settings of a recording, to be run again from the command line, if the user agreed to its models by name.

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
    """The run with trust in the code of the models of these names."""
    update = {role: model.model_copy(update={"trust_remote_code": True})
              for role, model in models_of(spec).items() if model and model.name in names}  # fmt: skip
    return spec.model_copy(update=update)
