"""A setting as options, forms, tables and documentation need it, read from its pydantic field. No torch."""

from __future__ import annotations

import types
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from gsd.spec import Spec, Words


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting of a method.

    `kind`         int, float, bool or str
    `optional`     whether it may be None, which options and grids write as none
    `choices`      the allowed values, if they are named
    `low`, `high`  bounds of a number; None: no bound
    `words`        label and help; None if the setting is fixed, so that nobody can set it
    """

    name: str
    kind: type
    optional: bool
    choices: tuple[Any, ...]
    low: float | None
    high: float | None
    default: Any
    words: Words | None

    @property
    def metavar(self) -> str:
        """The form of its value in the help of the command line: `INT|none`, `path|local`."""
        named = "|".join(map(str, self.choices)) or (self.words.form if self.words else "")
        form = named or {int: "INT", float: "NUMBER", bool: "yes|no"}.get(self.kind, "TEXT")
        return f"{form}|none" if self.optional else form


def settings_in(spec: type[Spec]) -> dict[str, Setting]:
    """All fields of a method's settings except `method`, by name and in order."""
    return {name: _setting(name, field) for name, field in spec.model_fields.items() if name != "method"}


def _setting(name: str, field: FieldInfo) -> Setting:
    words = next((one for one in field.metadata if isinstance(one, Words)), None)
    kinds, choices, optional, limits = _unfolded(field.annotation)
    limits += field.metadata
    low = next((one.ge for one in limits if hasattr(one, "ge")), None)
    high = next((one.le for one in limits if hasattr(one, "le")), None)
    kind = next(iter(kinds), type(None))
    return Setting(name, kind, optional, choices if words else (), low, high, field.default, words)


def _unfolded(annotation: Any) -> tuple[list[type], tuple[Any, ...], bool, list[Any]]:
    """Kinds, named values, whether None is among them, and what else an annotation says of its value."""
    if annotation is None or annotation is type(None):
        return [], (), True, []
    origin = get_origin(annotation)
    if origin is Annotated:
        inner, *told = get_args(annotation)
        kinds, choices, optional, limits = _unfolded(inner)
        for one in told:  # a pydantic Field holds its bounds inside
            limits += getattr(one, "metadata", [one])
        return kinds, choices, optional, limits
    if origin in (Union, types.UnionType):
        parts = [_unfolded(part) for part in get_args(annotation)]
        return (
            [kind for kinds, *_ in parts for kind in kinds], tuple(one for _, choices, *_ in parts for one in choices),
            any(optional for *_, optional, _ in parts), [one for *_, limits in parts for one in limits],
        )  # fmt: skip
    if origin is Literal:
        values = get_args(annotation)
        named = tuple(value for value in values if value is not None)
        return list({type(value) for value in named}), named, None in values, []
    return [annotation], (), False, []
