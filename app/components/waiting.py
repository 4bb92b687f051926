"""Something whose end is not known: what it is, and for how long it has been going."""

from __future__ import annotations

import streamlit as st


def waiting(what: str, seconds: float) -> None:
    """A ring that turns and one line; for a fragment that is drawn again and again."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="waiting"):
        st.html('<div class="waiting" aria-hidden="true"></div>', width="content")
        st.markdown(f"{what} · {duration(seconds)}", width="stretch")


def duration(seconds: float) -> str:
    """Seconds, or minutes where they are many."""
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
