"""Widgets for a method's settings, drawn from what it declares: no method and no setting is named here.

A setting that several methods have is one widget as long as they agree on its default, so that a method can be changed
with the rest as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import streamlit as st

from analysis.words import setting as shown
from gsd.methods import METHODS, MethodSettings, drafting, known, settings_of
from gsd.methods.setting import Setting, settings_in

MOST_CONTEXTS = 16  # values of an optional number that a list shows


def key_of(method: str, name: str) -> str:
    """The key of a setting's widget."""
    own = settings_in(METHODS[method].Settings)[name]
    return name if own.default == known()[name].default else f"{method} {name}"


def defaults() -> dict[str, Any]:
    """The value of every widget, by key, before anything was chosen."""
    return {key_of(method, name): setting.default
            for method, one in METHODS.items() for name, setting in settings_of(one).items()}  # fmt: skip


def taken(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Values of widgets, by key, that stand for a method's settings; those of the others stay as they are."""
    method = settings["method"]
    own = settings_of(METHODS[method])
    return {"method": method, **{key_of(method, name): settings[name] for name in own}}


def chosen() -> MethodSettings:
    """What the widgets say. Raises `InputError` naming the setting that is wrong."""
    method = st.session_state["method"]
    own = settings_of(METHODS[method])
    return drafting(method, **{name: st.session_state[key_of(method, name)] for name in own})


def method_settings(method: str) -> None:
    """Draw the settings of a method: numbers side by side, then the others; without numbers folded away."""
    own = settings_of(METHODS[method])
    numbers = {name: one for name, one in own.items() if _is_number(one)}
    others = {name: one for name, one in own.items() if name not in numbers}
    if numbers:
        left, right = st.columns(2, gap="small", wrap=False)
        for i, (name, one) in enumerate(numbers.items()):
            with (left, right)[i % 2]:
                widget(one, key_of(method, name))
        _others(method, others)
    elif others:
        with st.expander(f"What {method} goes by"):
            _others(method, others)


def _others(method: str, settings: Mapping[str, Setting]) -> None:
    for name, one in settings.items():
        widget(one, key_of(method, name))


def _is_number(one: Setting) -> bool:
    return one.kind in (int, float) and not one.optional


def widget(one: Setting, key: str, **more: Any) -> Any:
    """The widget of a setting, which gives its value."""
    return _drawn_by(one)(one.words.label, key=key, help=one.words.help, **more)


def _drawn_by(one: Setting) -> Callable[..., Any]:
    """What draws it, but for label, key and help."""
    if one.kind is bool:
        return st.checkbox
    if one.choices:
        return lambda label, **more: st.segmented_control(label, one.choices, required=True, **more)
    if one.optional:
        values = [None, *range(int(one.low or 0), int(min(one.high or MOST_CONTEXTS, MOST_CONTEXTS)) + 1)]
        return lambda label, **more: st.selectbox(label, values, format_func=shown, **more)
    if one.kind is str:
        return st.text_input
    whole = one.kind is int
    return lambda label, **more: st.number_input(
        label,
        one.low,
        one.high,
        step=one.words.step or (1 if whole else 0.01),
        format="%d" if whole else "%.3g",
        **more,
    )
