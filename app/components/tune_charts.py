"""What other settings would do: maps around the chosen one, the Pareto front, the best by kind of text."""

from __future__ import annotations

from functools import partial

import pandas as pd
import streamlit as st

from analysis.figures import tune as figures
from analysis.survey import Survey
from analysis.words import plain
from app.atlas import OpenAtlas
from app.components.chart import chart
from app.components.tune_settings import defaults, take
from gsd.errors import InputError
from gsd.methods import MethodSettings

REDRAWN_EVERY_S = 2.0  # while settings are replayed in the background
SPEEDUP = (
    "*Modelled* speed-up: `time of plain decoding ÷ time of the replayed rounds`, both by the atlas's cost curves, the "
    "mean over its texts."
)
FRONT = f"{SPEEDUP} A setting is on the front where no other is faster with as few verified nodes."


def tune_charts(opened: OpenAtlas, spec: MethodSettings) -> None:
    """Draw them with what there is, and again as the background goes on."""
    pending = not all(survey.finished for survey in _surveys(opened, spec))
    st.fragment(_charts, run_every=REDRAWN_EVERY_S if pending else None)(opened, spec, pending)


def _surveys(opened: OpenAtlas, spec: MethodSettings) -> tuple[Survey, Survey]:
    """All over the atlas, and around the setting: asked for last, these come first."""
    return opened.front(), opened.maps(spec)


def _charts(opened: OpenAtlas, spec: MethodSettings, drawn_pending: bool) -> None:
    """They redraw themselves alone. A rerun of the page could drop what a slider that is pressed meanwhile draws."""
    front, maps = _surveys(opened, spec)
    if drawn_pending and front.finished and maps.finished:
        st.rerun()  # once, which ends the redrawing
    _progress(maps, front)
    _maps(opened, maps, spec)
    left, right = st.columns(2, gap="medium")
    with left:
        _front(opened, front, spec)
    with right:
        _kinds(opened, front, spec)


def _progress(maps: Survey, front: Survey) -> None:
    """How far the background is."""
    for survey, which in ((maps, "around this one"), (front, "all over the atlas")):
        if not survey.finished:
            count = len(survey.settings)
            st.progress(survey.done / count, f"Replaying settings {which}: {survey.done} of {count}")
            return


def _maps(opened: OpenAtlas, survey: Survey, spec: MethodSettings) -> None:
    table = survey.outcome().settings
    value = "modelled_speedup" if opened.costs else "mean_acceptance_length"
    try:
        figure = figures.maps(table, opened.summary(spec), value)
    except InputError as error:
        _nothing(survey, error)
        return
    chart(figure, _table(table), name="maps", help=SPEEDUP, on_pick=partial(_take_point, "maps", opened))


def _front(opened: OpenAtlas, survey: Survey, spec: MethodSettings) -> None:
    if not survey.finished:
        st.caption("Here come the fastest settings, once they are all replayed.")
        return
    table = survey.outcome().settings
    try:
        figure = figures.front(table, opened.summary(spec), opened.summary(defaults(opened.atlas.bounds)))
    except InputError as error:
        _nothing(survey, error)
        return
    chart(figure, _table(table), name="front", help=FRONT, on_pick=partial(_take_point, "front", opened))


def _kinds(opened: OpenAtlas, survey: Survey, spec: MethodSettings) -> None:
    """Speed-up by kind of text; a click on a kind's best takes it."""
    reference = defaults(opened.atlas.bounds)
    table = figures.kinds(opened.replayed(spec), opened.replayed(reference), survey.outcome().best)
    try:
        figure = figures.by_kind(table)
    except InputError as error:
        _nothing(survey, error)
        return
    chart(figure, _table(table), name="kinds", help=SPEEDUP, on_pick=partial(_take_point, "kinds", opened))


def _table(rows: pd.DataFrame) -> pd.DataFrame:
    """As it is shown: a column holds one type."""
    return rows.astype({"merge_context": str})


def _nothing(survey: Survey, error: InputError) -> None:
    """Why there is no chart, once it is known that there is none."""
    if survey.finished:
        st.info(plain(str(error)))


def _take_point(name: str, opened: OpenAtlas) -> None:
    points = st.session_state[f"chart {name}"]["selection"]["points"]
    if points and points[0].get("customdata"):
        take(figures.picked(points[0]["customdata"]), opened.atlas.bounds)
        st.rerun()  # the sliders are not of the charts' fragment
