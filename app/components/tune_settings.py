"""Sliders for every setting that an atlas can answer. They end where the atlas does."""

from __future__ import annotations

from typing import Any

import streamlit as st

from analysis.survey import CONTEXTS
from analysis.words import setting
from app.components.settings import HEEDED, NUMBERS
from gsd.lab.atlas import Bounds
from gsd.spec import DraftSpec

PREFIX = "tune "  # of the widgets' keys: "tune width" and so on
KEPT = "tuned"  # the setting, while another view is shown
BUDGET = 128  # most nodes to verify that the slider offers; an atlas sets no bound to it
METHODS = ("graph", "tree", "chain")
METHOD_HELP = "**graph** merges, **tree** does not, **chain** has one hypothesis."
CONTEXT_HELP = "Tokens before a candidate that must agree, too, for it to merge; `off` never merges."
RULE_HELP = "What the probability threshold looks at: q of the path, or the candidate's own."
ACTION_HELP = "A candidate below the threshold stays as a leaf, or is dropped."


def tune_settings(bounds: Bounds) -> DraftSpec:
    """Draw the sliders and read them."""
    st.segmented_control("Method", METHODS, key=PREFIX + "method", required=True, help=METHOD_HELP)
    for name in ("width", "depth"):
        _count(name, bounds)
    st.select_slider("Merge context", CONTEXTS, key=PREFIX + "merge_context", help=CONTEXT_HELP, format_func=setting,
                     disabled=not _heeded("merge_context"))  # fmt: skip
    for name in ("frontier", "budget"):
        _count(name, bounds)
    for name in ("sibling_threshold", "prob_threshold"):
        one = NUMBERS[name]
        st.slider(one.label, 0.0, 1.0, step=0.01, key=PREFIX + name, help=one.help, disabled=not _heeded(name))
    st.segmented_control("Probability rule", ["path", "local"], key=PREFIX + "prob_rule", required=True, help=RULE_HELP)
    st.segmented_control("Improbable candidates", ["leaf", "drop"], key=PREFIX + "prob_action", required=True,
                         help=ACTION_HELP)  # fmt: skip
    spec = st.session_state[KEPT] = _chosen()
    return spec


def defaults(bounds: Bounds) -> DraftSpec:
    """The engine's defaults as far as the atlas goes: what every setting is compared with."""
    return within(DraftSpec(), bounds)


def take(values: dict[str, Any], bounds: Bounds) -> None:
    """Move sliders, by option name as in a table of settings ("none" never merges), no further than they go."""
    merge = {"merge_context": None} if values.get("merge_context") == "none" else {}
    _move(within(DraftSpec(**_chosen().model_dump() | values | merge), bounds))


def place_sliders(start: DraftSpec, bounds: Bounds) -> None:
    """Where they were when another view was shown, at first where `start` says, and no further than they go."""
    drawn = PREFIX + "width" in st.session_state  # a widget's value goes with its widget
    _move(within(_chosen() if drawn else st.session_state.get(KEPT, start), bounds))


def within(spec: DraftSpec, bounds: Bounds) -> DraftSpec:
    """The setting with what lies beyond the sliders' ends set to them; a method that no atlas replays is `graph`."""
    ends = {name: min(getattr(spec, name), most) for name, most in _most(bounds).items()}
    if spec.merge_context is not None:
        ends["merge_context"] = min(spec.merge_context, CONTEXTS[-1])
    return spec.model_copy(update=ends | ({} if spec.method in METHODS else {"method": METHODS[0]}))


def _chosen() -> DraftSpec:
    return DraftSpec(**{name: st.session_state[PREFIX + name] for name in DraftSpec.model_fields})


def _move(spec: DraftSpec) -> None:
    for name, value in spec.model_dump().items():
        if PREFIX + name not in st.session_state or st.session_state[PREFIX + name] != value:
            st.session_state[PREFIX + name] = value


def _most(bounds: Bounds) -> dict[str, int]:
    return {"width": bounds.width, "depth": bounds.depth, "frontier": bounds.frontier, "budget": BUDGET}


def _count(name: str, bounds: Bounds) -> None:
    one, most = NUMBERS[name], _most(bounds)[name]
    why = "" if name == "budget" else f" This atlas was probed with {name} {most}; it holds nothing beyond."
    st.slider(one.label, 1, max(most, 2), key=PREFIX + name, help=one.help + why,
              disabled=most == 1 or not _heeded(name))  # fmt: skip


def _heeded(name: str) -> bool:
    return name in HEEDED[st.session_state[PREFIX + "method"]]
