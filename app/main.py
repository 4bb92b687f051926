"""The app: `streamlit run app/main.py`. Navigation, and what all views share."""

from pathlib import Path

import streamlit as st

from app.components.settings import keep_settings

HERE = Path(__file__).resolve().parent

st.set_page_config(page_title="GSD lab", page_icon=str(HERE / "icon.png"), layout="wide", initial_sidebar_state=340)
st.html(HERE / "style.css")
keep_settings()
st.navigation([
    st.Page(HERE / "views" / "playground.py", title="Playground", icon=":material/play_circle:", default=True),
    st.Page(HERE / "views" / "graph.py", title="Graph", icon=":material/account_tree:"),
    st.Page(HERE / "views" / "overlap.py", title="Overlap", icon=":material/join_inner:"),
    st.Page(HERE / "views" / "speed.py", title="Speed", icon=":material/speed:"),
    st.Page(HERE / "views" / "tune.py", title="Tune", icon=":material/tune:"),
    st.Page(HERE / "views" / "compare.py", title="Compare", icon=":material/compare_arrows:"),
    st.Page(HERE / "views" / "runs.py", title="Runs", icon=":material/folder_open:"),
    st.Page(HERE / "views" / "guide.py", title="Guide", icon=":material/menu_book:"),
], position="top").run()  # fmt: skip
