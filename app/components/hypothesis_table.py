"""The hypotheses of a round as a table: what each says, how likely it was, how far the target followed it."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import streamlit as st

from analysis.hypotheses import hypothesis_frame
from analysis.words import PERCENT
from app.components.rows import table_height
from gsd.trace.recorded_round import RecordedRound
from gsd.trace.texts import visible

END = " ┃ "  # of the accepted part


def hypothesis_table(
    round_: RecordedRound, *, selected: int | None, key: str, on_pick: Callable[[list[int]], None]
) -> None:
    """Draw the table, one hypothesis marked; a pick calls `on_pick` with the hypotheses in the order of the rows."""
    frame = hypothesis_frame(round_)
    order = frame["hypothesis"].tolist()
    st.session_state[key] = {"selection": {"rows": [order.index(selected)] if selected is not None else []}}
    shown = pd.DataFrame({
        "text": [_followed(tokens, accepted) for tokens, accepted in zip(frame["tokens"], frame["accepted"])],
        "probability": 100 * frame["probability"],
        "accepted": [f"{accepted} of {length}" for accepted, length in zip(frame["accepted"], frame["length"])],
        "merged": frame["merged"],
    })  # fmt: skip
    st.dataframe(
        shown, key=key, on_select=lambda: on_pick(order), selection_mode="single-row", hide_index=True,
        height=table_height(len(shown)),
        column_config={
            "text": st.column_config.TextColumn("Hypothesis", width="large", help=f"`{END}` stands where the target "
                                                "left it"),
            "probability": st.column_config.NumberColumn(
                "Probability", format=PERCENT, width=88, help="The draft's estimate that the walk comes to its end: "
                "the product of q along the path; across a merge edge the candidate's own q. Method auto corrects q "
                "by what became of tokens like it."),
            "accepted": st.column_config.TextColumn("Accepted", width=76, help="Tokens of it, from its start, that the "
                                                    "target chose itself"),
            "merged": st.column_config.NumberColumn("Merges", width=64, help="Merge edges that it crosses"),
        },
    )  # fmt: skip


def _followed(tokens: list[str], accepted: int) -> str:
    """The text, divided where the target left it."""
    parts = ["".join(map(visible, part)) for part in (tokens[:accepted], tokens[accepted:])]
    return END.join(parts) if all(parts) else "".join(parts)
