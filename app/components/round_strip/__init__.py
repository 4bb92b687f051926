"""All rounds of a run as small bars: how much was accepted, where merges were. A click shows the round."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from gsd.trace.pieces import joined
from gsd.trace.recorded_round import RecordedRound
from gsd.trace.texts import visible

_HERE = Path(__file__).parent
_mount = st.components.v2.component(
    "gsd_round_strip",
    html='<div class="round-strip"></div>',
    css=(_HERE / "round_strip.css").read_text(),
    js=(_HERE / "round_strip.js").read_text(),
)


def round_strip(data: dict[str, Any], *, key: str, on_pick: Callable[[], None]) -> None:
    """Draw `data` (from `strip_data`); a click leaves `{"round", "seq"}` in `st.session_state[key]["pick"]`."""
    _mount(data=data, key=key, on_pick_change=on_pick)


def strip_data(run: str, rounds: Sequence[RecordedRound], selected: int) -> dict[str, Any]:
    """Columns over the rounds. `merge` is 2 where the accepted path crosses a merge edge, 1 where some were drawn."""
    return {
        "key": run, "selected": selected,
        "accepted": [len(round_.accepted) for round_ in rounds],
        "verified": [round_.verified_nodes for round_ in rounds],
        "merges": [round_.merged for round_ in rounds],
        "merge": [2 if "merge" in round_.origins else int(round_.merged > 0) for round_ in rounds],
        "text": [visible(joined(round_.new_texts.raw))[:60] for round_ in rounds],
    }  # fmt: skip
