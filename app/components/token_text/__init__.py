"""The text with each token marked by where it came from; a click on a token picks its round."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from analysis.sources import FOUND, is_found
from gsd.trace.recorded_round import RecordedRound, once

ORIGINS = {
    "draft": "drafted, and the target agreed",
    "merge": "drafted behind a merge edge",
    "bonus": "the target's own, after a draft was walked",
    "target": "the target's own, no draft was verified",
    **{source: f"found {where}, and the target agreed" for source, where in FOUND.items()},
}

_HERE = Path(__file__).parent
_mount = st.components.v2.component(
    "gsd_token_text",
    html='<div class="token-text"></div>',
    css=(_HERE / "token_text.css").read_text(),
    js=(_HERE / "token_text.js").read_text(),
)


def token_text(data: dict[str, Any], *, key: str, on_pick: Callable[[], None]) -> None:
    """Draw `data` (from `text_data`); a click leaves `{"round", "seq"}` in `st.session_state[key]["pick"]`."""
    _mount(data=data, key=key, on_pick_change=on_pick)


def text_data(
    run: str, prompt: str, rounds: Sequence[RecordedRound], *, selected: int | None, live: bool
) -> dict[str, Any]:
    """What the component draws, as columns over the tokens of the continuation."""
    tokens: dict[str, list] = {"text": [], "origin": [], "round": [], "q": [], "p": [], "rank": []}
    for index, round_ in enumerate(rounds):
        tokens["text"] += round_.new_texts.raw
        tokens["origin"] += round_.origins
        tokens["round"] += [index] * len(round_.new_texts)
        logq, logp, rank = _about(round_)
        tokens["q"] += [_share(value) for value in logq]
        tokens["p"] += [_share(value) for value in logp]
        tokens["rank"] += rank
    origins = {name: words for name, words in ORIGINS.items() if name not in FOUND or name in tokens["origin"]}
    origins |= {name: "looked up, and the target agreed" for name in tokens["origin"] if name not in ORIGINS}
    return {
        "key": run,
        "prompt": prompt,
        "tokens": tokens,
        "origins": origins,
        "selected": selected,
        "live": live,
    }


Column = list[float | None]


@once
def _about(round_: RecordedRound) -> tuple[Column, Column, list[int | None]]:
    """The draft's log q, log p and rank among its siblings of each new token; None where there is none, or not kept."""
    if not round_.detailed:
        none = [None] * len(round_.new_tokens)
        return none, none, none
    tree, merges = round_.tree, {edge: i for i, edge in enumerate(round_.merges.edges)}
    logq: Column = []
    rank: list[int | None] = []
    for i in round_.accepted:
        if tree.merged[i]:
            merge = merges[tree.edge(i)]
            found = is_found(round_.graph.sources[tree.nodes[i]])
            logq.append(None if found else round_.merges.logq[merge])
            rank.append(round_.merge_ranks[merge])
        else:
            logq.append(round_.draft_logq[tree.nodes[i]])
            rank.append(round_.node_ranks[tree.nodes[i]] if round_.node_ranks[tree.nodes[i]] >= 0 else None)
    logp = [tree.target_logp[i] for i in round_.accepted]
    if round_.bonus:
        logq.append(None)
        logp.append(tree.choice_logp[round_.last])
        rank.append(None)
    return logq, logp, rank


def _share(logp: float | None) -> float | None:
    return None if logp is None else round(math.exp(logp), 4)
