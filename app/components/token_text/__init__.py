"""The text with each token marked by where it came from; a click on a token picks its round."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from analysis.sources import FOUND
from gsd.trace.recorded_step import RecordedStep, once

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
    run: str, prompt: str, steps: Sequence[RecordedStep], *, selected: int | None, live: bool
) -> dict[str, Any]:
    """What the component draws, as columns over the tokens of the continuation."""
    tokens: dict[str, list] = {"text": [], "origin": [], "round": [], "q": [], "p": [], "rank": []}
    for index, step in enumerate(steps):
        tokens["text"] += step.new_texts.raw
        tokens["origin"] += step.origins
        tokens["round"] += [index] * len(step.new_texts)
        logq, logp, rank = _about(step)
        tokens["q"] += [_share(value) for value in logq]
        tokens["p"] += [_share(value) for value in logp]
        tokens["rank"] += rank
    origins = {name: words for name, words in ORIGINS.items() if name not in FOUND or name in tokens["origin"]}
    return {"key": run, "prompt": prompt, "tokens": tokens, "origins": origins, "selected": selected, "live": live}


Column = list[float | None]


@once
def _about(step: RecordedStep) -> tuple[Column, Column, list[int | None]]:
    """The draft's log q, log p and rank among its siblings of each new token; None where there is none, or not kept."""
    if not step.detailed:
        none = [None] * len(step.new_tokens)
        return none, none, none
    tree, merges = step.tree, {edge: i for i, edge in enumerate(step.merges.edges)}
    logq: Column = []
    rank: list[int | None] = []
    for i in step.accepted:
        if tree.merged[i]:
            merge = merges[tree.edge(i)]
            logq.append(step.merges.logq[merge])
            rank.append(step.merge_ranks[merge])
        else:
            logq.append(step.draft_logq[tree.nodes[i]])
            rank.append(step.node_ranks[tree.nodes[i]] if step.node_ranks[tree.nodes[i]] >= 0 else None)
    logp = [tree.target_logp[i] for i in step.accepted]
    if step.bonus:
        logq.append(None)
        logp.append(tree.choice_logp[step.last])
        rank.append(None)
    return logq, logp, rank


def _share(logp: float | None) -> float | None:
    return None if logp is None else round(math.exp(logp), 4)
