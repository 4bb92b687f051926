"""Two runs at the same place of the text, and the methods of one benchmark."""

from __future__ import annotations

import streamlit as st

from app.components.leaderboard import leaderboard
from app.components.page import head
from app.components.side_by_side import pick_two, side_by_side
from app.components.theme import follow_theme
from app.state import session, write_address

TWO, ALL = "Two runs", "Leaderboard"
SHOWN = "compare shown"


def page() -> None:
    """The whole page."""
    session()
    follow_theme()
    if SHOWN not in st.session_state:
        st.session_state[SHOWN] = ALL if st.query_params.get("show") == "leaderboard" else TWO
    head("Compare", "Two runs at the same place of the text, or the methods of one benchmark.",
         lambda: st.segmented_control("Show", [TWO, ALL], key=SHOWN, required=True, label_visibility="collapsed",
                                      width="content", persist_state="session"))  # fmt: skip
    if st.session_state[SHOWN] == ALL:
        leaderboard()
        write_address(session(), show="leaderboard")
        return
    chosen = pick_two()
    if chosen:
        st.fragment(side_by_side)(*chosen)


page()
