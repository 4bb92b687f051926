"""The methods, by name: those of this package, then those of others, by the entry points `gsd.methods`.

A new one is a file here and a line below; one of another package is a line in its `pyproject.toml`:

    [project.entry-points."gsd.methods"]
    pair = "my_package:Pair"

What belongs to no method in particular asks what a method needs or keeps, never its name. No torch.
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

BASELINE = "ar"  # what the others are measured against
USUAL = "graph"  # where none is named
GROUP = "gsd.methods"
OWN = (
    "gsd.methods.graph:Graph",
    "gsd.methods.tree:Tree",
    "gsd.methods.chain:Chain",
    "gsd.methods.auto:Auto",
    "gsd.methods.cape:Cape",
    "gsd.methods.eagle2_tree:Eagle2Tree",
    "gsd.methods.sequoia:Sequoia",
    "gsd.methods.ar:Ar",
)


def _made(place: str) -> Method:
    """The method at `module:class`."""
    module, _, name = place.partition(":")
    return getattr(import_module(module), name)()


def _checked(entry: EntryPoint, own: Mapping[str, Method]) -> Method | str:
    """Somebody else's method, or why it cannot be used."""
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
    """A method by name; raises `InputError` with those that there are."""
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
    """A method's settings. Raises `InputError`, naming the setting, where one is not read or its value is not allowed.

    drafting("graph", width=3, depth=5)
    """
    chosen = method_named(method)
    if unread := settings.keys() - chosen.Settings.model_fields.keys():
        raise InputError(unread_words(chosen, min(unread), "--" if options else ""))
    return build(chosen.Settings, settings, options=options)


def read_by(values: Mapping[str, Any], *, options: bool = True) -> MethodSettings:
    """The same of a mapping that may hold settings which its method does not read, as a grid or an older trace does.

    Those of other methods are left out; a name that no method knows is refused.
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
    """The settings of a recording, whose method need not be installed."""
    if isinstance(name := values.get("method", USUAL), str) and name not in METHODS:
        return build(ForeignSettings, dict(values), options=False)
    return drafting(**values, options=False)


def settings_of(one: Method) -> dict[str, Setting]:
    """What is the user's to set in a method, by name."""
    return {name: setting for name, setting in settings_in(one.Settings).items() if setting.words}


def known() -> dict[str, Setting]:
    """Every setting of every method by name, in order; of several the first that is the user's to set."""
    found: dict[str, Setting] = {}
    for one in METHODS.values():
        for name, setting in settings_in(one.Settings).items():
            if name not in found or (setting.words and not found[name].words):
                found[name] = setting
    return found


def unread_words(one: Method, name: str, option: str) -> str:
    """Why a setting is refused, and what there is."""
    read = ", ".join(sorted(settings_of(one))) or "no setting"
    return f"{option}{name.replace('_', '-')}: {one.name} does not read it; it reads {read}"


def preset(name: str) -> dict[str, Any]:
    """The draft settings of a preset, by option name."""
    if name not in PRESETS:
        raise InputError(f"unknown preset {name!r}; choose one of {', '.join(PRESETS)}")
    return dict(PRESETS[name])
