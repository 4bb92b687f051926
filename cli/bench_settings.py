"""The settings of each method of `gsd bench`, from its --preset and --set options."""

from __future__ import annotations

from collections.abc import Sequence

from cli import options
from gsd.errors import InputError
from gsd.methods import BASELINE, METHODS, PRESETS, MethodSettings, known, settings_of


def settings_by_method(
    names: Sequence[str], preset_name: str | None, given: Sequence[str]
) -> dict[str, MethodSettings]:
    """The settings of each method: first those for all, then its own. External methods have none.

    A name that fixes settings, such as `paper`, takes only its own. Raises `InputError` for a bad `--set`.
    """
    from gsd.lab.bench import OWN
    from gsd.lab.external import EXTERNAL

    shared, own = _assigned(names, given)
    made = {}
    for name in names:
        fixed = dict(OWN[BASELINE] if name in EXTERNAL else OWN[name])
        method = fixed.pop("method")
        if fixed or name in PRESETS:
            made[name] = options.drafting(None, method, {**fixed, **own[name]}, f"--set {name}.")
            continue
        read = {option: value for option, value in shared.items() if option in settings_of(METHODS[method])}
        made[name] = options.drafting(preset_name, method, {**read, **own[name]}, f"--set {name}.")
    return made


def _assigned(names: Sequence[str], given: Sequence[str]) -> tuple[dict[str, str], dict[str, dict[str, str]]]:
    """The values of several --set: those for all methods, and those of single methods by name."""
    from gsd.lab.external import EXTERNAL

    shared: dict[str, str] = {}
    own: dict[str, dict[str, str]] = {name: {} for name in names}
    for setting in given:
        option, equals, value = setting.partition("=")
        method, dot, name = option.rpartition(".")
        if not equals or (dot and method not in own):
            raise InputError(f"--set {setting!r}: give OPTION=VALUE or METHOD.OPTION=VALUE with a method that is run")
        if name == "method" or method in EXTERNAL:
            raise InputError(f"--set {setting!r}: only the draft settings of our own methods can be set")
        (own[method] if dot else shared)[name.replace("-", "_")] = value
    if unknown := shared.keys() - known().keys():
        raise InputError(f"--set {min(unknown)}: no method reads it; there are {', '.join(known())}")
    return shared, own
