"""The text with each token marked by where it came from; a click on a token picks its round."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import streamlit as st

from analysis.sources import FOUND, draft_logq
from gsd.trace.tables import candidate_ranks

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
    run: str, prompt: str, steps: list[dict[str, Any]], *, selected: int | None, live: bool
) -> dict[str, Any]:
    """What the component draws, as columns over the tokens of the continuation."""
    tokens: dict[str, list] = {"text": [], "origin": [], "round": [], "q": [], "p": [], "rank": []}
    for index, step in enumerate(steps):
        tokens["text"] += step["new_texts"]
        tokens["origin"] += step["origins"]
        tokens["round"] += [index] * len(step["new_texts"])
        logq, logp, rank = _about(step)
        tokens["q"] += [_share(value) for value in logq]
        tokens["p"] += [_share(value) for value in logp]
        tokens["rank"] += rank
    origins = {name: words for name, words in ORIGINS.items() if name not in FOUND or name in tokens["origin"]}
    return {"key": run, "prompt": prompt, "tokens": tokens, "origins": origins, "selected": selected, "live": live}


def _about(step: dict[str, Any]) -> tuple[list[float | None], list[float | None], list[int | None]]:
    """The draft's log q, log p and rank among its siblings of each new token; None where there is none, or not kept."""
    count = len(step["new_tokens"])
    if step["graph"] is None:
        return [None] * count, [None] * count, [None] * count
    tree, merges, drafted = step["tree"], step["merges"], draft_logq(step)
    merge_logq = dict(zip(zip(merges["parent"], merges["node"]), merges["logq"]))
    ranks = candidate_ranks(step["decisions"])
    logq, logp, rank = [], [], []
    for i in step["accepted"]:
        edge = (tree["node"][tree["parent"][i]], tree["node"][i])
        logq.append(merge_logq[edge] if tree["merged"][i] else drafted[edge[1]])
        logp.append(tree["target_logp"][i])
        rank.append(ranks.get(edge))
    if step["bonus"]:
        last = step["accepted"][-1] if step["accepted"] else 0
        logq.append(None)
        logp.append(tree["choice_logp"][last])
        rank.append(None)
    return logq, logp, rank


def _share(logp: float | None) -> float | None:
    return None if logp is None else round(math.exp(logp), 4)
