"""The app: `streamlit run app/main.py`. Navigation only."""

from pathlib import Path

import streamlit as st

VIEWS = Path(__file__).resolve().parent / "views"

st.set_page_config(
    page_title="GSD lab", page_icon=str(VIEWS.parent / "icon.png"), layout="wide", initial_sidebar_state=340
)
st.navigation([
    st.Page(VIEWS / "playground.py", title="Playground", icon=":material/play_circle:", default=True),
]).run()  # fmt: skip
