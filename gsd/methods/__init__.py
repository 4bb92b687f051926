"""The table of methods: those of this package, then those that other packages register.

A new method is a file here and a line in `OWN`. Another package registers one in its `pyproject.toml`:

    [project.entry-points."gsd.methods"]
    pair = "my_package:Pair"

Code outside this package asks what a method needs or keeps, never what it is called. No torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any, overload

from gsd.errors import InputError
from gsd.methods.base import ForeignSettings, Method, MethodSettings
from gsd.methods.graph import Graph
from gsd.methods.setting import Setting, settings_in
from gsd.spec import build

BASELINE = "ar"  # the method that others are measured against
USUAL = "graph"  # the method if none is named
GROUP = "gsd.methods"
OWN = (
    "gsd.methods.graph:Graph",
    "gsd.methods.tree:Tree",
    "gsd.methods.chain:Chain",
    "gsd.methods.auto:Auto",
    "gsd.methods.cape:Cape",
    "gsd.methods.eagle2_tree:Eagle2Tree",
    "gsd.methods.sequoia:Sequoia",
    "gsd.methods.mcsd:Mcsd",
    "gsd.methods.recycle:Recycle",
    "gsd.methods.suffix:Suffix",
    "gsd.methods.ar:Ar",
)


def _made(place: str) -> Method:
    """The method at `module:class`."""
    module, _, name = place.partition(":")
    return getattr(import_module(module), name)()


def _checked(entry: EntryPoint, own: Mapping[str, Method]) -> Method | str:
    """A method of another package, or the reason why it cannot be used."""
    try:
        made = entry.load()()
    except Exception as error:  # somebody else's code: whatever it raises, the others go on
        return f"{entry.value} does not load: {type(error).__name__}: {error}"
    if not isinstance(made, Method):
        return f"{entry.value} is no gsd.methods.base.Method"
    if made.name != entry.name:
        return f"{entry.value} calls itself {made.name!r}: entry point and method need one name"
    if made.name in own:
        return f"{entry.value}: {made.name!r} is a method of this package; choose another name"
    return made


_own = {made.name: made for made in map(_made, OWN)}
_found = {entry.name: _checked(entry, _own) for entry in entry_points(group=GROUP)}
METHODS: dict[str, Method] = {**_own, **{name: one for name, one in _found.items() if isinstance(one, Method)}}
BROKEN: dict[str, str] = {name: why for name, why in _found.items() if isinstance(why, str)}
PRESETS: dict[str, Mapping[str, Any]] = dict(METHODS[USUAL].presets)


def method_named(name: object) -> Method:
    """A method by name. Raises `InputError` that lists the known methods."""
    if name in METHODS:
        return METHODS[name]
    if name in BROKEN:
        raise InputError(f"method {name!r}: {BROKEN[name]}")
    raise InputError(f"unknown method {name!r}; choose one of {', '.join(METHODS)}")


@overload
def drafting(*, options: bool = True, **settings: Any) -> Graph.Settings: ...
@overload
def drafting(method: str, *, options: bool = True, **settings: Any) -> MethodSettings: ...
def drafting(method: str = USUAL, *, options: bool = True, **settings: Any) -> MethodSettings:
    """The settings of a method. Raises `InputError` if it does not read one of them, or if a value is not allowed.

    drafting("graph", width=3, depth=5)
    """
    chosen = method_named(method)
    if unread := settings.keys() - chosen.Settings.model_fields.keys():
        raise InputError(unread_words(chosen, min(unread), "--" if options else ""))
    return build(chosen.Settings, settings, options=options)


def read_by(values: Mapping[str, Any], *, options: bool = True) -> MethodSettings:
    """The settings of a mapping that may also hold those of other methods, as a grid or an older trace does.

    Settings of other methods are left out. Raises `InputError` for a name that no method knows.
    """
    chosen = method_named(values.get("method", USUAL))
    return drafting(chosen.name, options=options, **_read_of(chosen, values))


def read_by_usual(values: Mapping[str, Any], *, options: bool = True) -> Graph.Settings:
    """The same as the usual method reads it, whichever the mapping names."""
    return drafting(options=options, **_read_of(METHODS[USUAL], values))


def _read_of(one: Method, values: Mapping[str, Any]) -> dict[str, Any]:
    """What a method reads of a mapping, and what none knows."""
    own = {name: value for name, value in values.items() if name in settings_of(one) or name not in known()}
    return {name: value for name, value in own.items() if name != "method"}


def settings_as_recorded(values: Mapping[str, Any]) -> MethodSettings:
    """The settings of a recording. Its method need not be installed."""
    if isinstance(name := values.get("method", USUAL), str) and name not in METHODS:
        return build(ForeignSettings, dict(values), options=False)
    return drafting(**values, options=False)


def settings_of(one: Method) -> dict[str, Setting]:
    """The settings of a method that the user can set, by name."""
    return {name: setting for name, setting in settings_in(one.Settings).items() if setting.words}


def known() -> dict[str, Setting]:
    """All settings of all methods, by name. If several methods share a name, the first that can be set counts."""
    found: dict[str, Setting] = {}
    for one in METHODS.values():
        for name, setting in settings_in(one.Settings).items():
            if name not in found or (setting.words and not found[name].words):
                found[name] = setting
    return found


def unread_words(one: Method, name: str, option: str) -> str:
    """The message for a setting that a method does not read: it lists those that it reads."""
    read = ", ".join(sorted(settings_of(one))) or "no setting"
    return f"{option}{name.replace('_', '-')}: {one.name} does not read it; it reads {read}"


def preset(name: str) -> dict[str, Any]:
    """The settings of a preset, by option name. Raises `InputError` for an unknown preset."""
    if name not in PRESETS:
        raise InputError(f"unknown preset {name!r}; choose one of {', '.join(PRESETS)}")
    return dict(PRESETS[name])
