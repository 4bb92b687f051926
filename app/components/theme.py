"""The theme that the page is shown in, and what is drawn for one theme made anew in the other."""

from __future__ import annotations

import streamlit as st

from analysis.svg import DARK, LIGHT, Tones

ASKED_EVERY_S = 2.0


def page_tones() -> Tones:
    """The colours of the theme that the page is shown in."""
    return DARK if st.context.theme.type == "dark" else LIGHT


def follow_theme() -> None:
    """Draw the page anew once its theme changes. Once a page with charts or pictures, which are made for one theme."""
    st.fragment(_redraw_in, run_every=ASKED_EVERY_S)(st.context.theme.type)


def _redraw_in(drawn: str | None) -> None:
    if st.context.theme.type != drawn:
        st.rerun()
