"""Sliders for every setting that an atlas can answer. They end where the atlas does."""

from __future__ import annotations

from typing import Any

import streamlit as st

from analysis.survey import CONTEXTS
from analysis.words import setting
from app.components.method_settings import widget
from gsd.lab.atlas import Bounds
from gsd.methods import METHODS, USUAL, MethodSettings, drafting, known, read_by, settings_of
from gsd.methods.setting import Setting

PREFIX = "tune "  # of the widgets' keys: "tune width" and so on
KEPT = "tuned"  # the setting, while another view is shown
BUDGET = 128  # most nodes to verify that the slider offers; an atlas sets no bound to it
REPLAYED = {name: one for name, one in METHODS.items() if one.not_replayed is None and settings_of(one)}
METHOD_HELP = " ".join(f"**{name}**: {one.summary}." for name, one in REPLAYED.items())


def tune_settings(bounds: Bounds) -> MethodSettings:
    """Draw the sliders and read them."""
    st.segmented_control("Method", REPLAYED, key=PREFIX + "method", required=True, help=METHOD_HELP)
    for name, one in settings_of(METHODS[st.session_state[PREFIX + "method"]]).items():
        _slider(one, PREFIX + name, _most(bounds).get(name))
    spec = st.session_state[KEPT] = _chosen()
    return spec


def defaults(bounds: Bounds) -> MethodSettings:
    """The engine's defaults as far as the atlas goes: what every setting is compared with."""
    return within(drafting(), bounds)


def take(values: dict[str, Any], bounds: Bounds) -> None:
    """Move sliders, by option name as in a table of settings ("none" never merges), no further than they go."""
    named = {name: value for name, value in values.items() if value is not None and name in ("method", *known())}
    _move(within(read_by(_chosen().model_dump() | named), bounds))


def place_sliders(start: MethodSettings, bounds: Bounds) -> None:
    """Where they were when another view was shown, at first where `start` says, and no further than they go."""
    drawn = PREFIX + "width" in st.session_state  # a widget's value goes with its widget
    _move(within(_chosen() if drawn else st.session_state.get(KEPT, start), bounds))


def within(spec: MethodSettings, bounds: Bounds) -> MethodSettings:
    """The setting with what lies beyond the sliders' ends set to them; a method that no atlas replays is the usual."""
    if spec.method not in REPLAYED:
        spec = read_by(spec.model_dump() | {"method": USUAL})
    own = settings_of(METHODS[spec.method])
    most = _most(bounds) | {"merge_context": CONTEXTS[-1]}
    ends = {name: min(getattr(spec, name), end) for name, end in most.items()
            if name in own and getattr(spec, name) is not None}  # fmt: skip
    return spec.model_copy(update=ends)


def _chosen() -> MethodSettings:
    method = st.session_state[PREFIX + "method"]
    return drafting(method, **{name: st.session_state[PREFIX + name] for name in settings_of(METHODS[method])})


def _move(spec: MethodSettings) -> None:
    """Set the widgets; of those that this method does not have, such as have no value yet to their defaults."""
    for name, value in {**_defaults(), **spec.model_dump()}.items():
        is_own = name == "method" or name in settings_of(METHODS[spec.method])
        if PREFIX + name not in st.session_state or (is_own and st.session_state[PREFIX + name] != value):
            st.session_state[PREFIX + name] = value


def _defaults() -> dict[str, Any]:
    return {name: one.default for name, one in known().items() if one.words}


def _most(bounds: Bounds) -> dict[str, int]:
    return {"width": bounds.width, "depth": bounds.depth, "frontier": bounds.frontier, "budget": BUDGET}


def _slider(one: Setting, key: str, most: int | None) -> None:
    """A setting as a slider, where it is a number; `most`: as far as the atlas goes."""
    if one.kind is int and not one.optional and most:
        why = "" if one.name == "budget" else f" This atlas was probed with {one.name} {most}; it holds nothing beyond."
        st.slider(one.words.label, 1, max(most, 2), key=key, help=one.words.help + why, disabled=most == 1)
    elif one.optional:
        st.select_slider(one.words.label, CONTEXTS, key=key, help=one.words.help, format_func=setting)
    elif one.kind is float:
        st.slider(one.words.label, one.low, one.high, step=one.words.step, key=key, help=one.words.help)
    else:
        widget(one, key)
