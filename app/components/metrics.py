"""A run's figures, each with its formula."""

from __future__ import annotations

import html
from typing import Any

import streamlit as st

from app.state import OpenRun

PHASES = (("draft", "draft forwards"), ("verify", "target forwards"), ("overhead", "engine"))


def figures(run: OpenRun) -> dict[str, Any]:
    """The totals of the end line, or the same of the rounds so far."""
    if run.end and run.end["totals"]:
        return run.end["totals"]
    steps = run.steps
    accepted = sum(len(step["accepted"]) for step in steps)
    new, verified = sum(len(step["new_tokens"]) for step in steps), sum(step["verified_nodes"] for step in steps)
    wall, draft, verify = (sum(step["ms"][phase] for step in steps) for phase in ("total", "draft", "verify"))
    return {
        "new_tokens": new, "rounds": len(steps), "wall_ms": wall, "draft_ms": draft, "verify_ms": verify,
        "overhead_ms": wall - draft - verify, "tokens_per_s": 1e3 * new / wall if wall else None,
        "mean_acceptance_length": 1 + accepted / len(steps) if steps else None,
        "draft_acceptance_rate": accepted / verified if verified else None,
        "draft_forwards": sum(step["draft_forwards"] for step in steps),
        "target_forwards": sum(step["target_forwards"] for step in steps),
    }  # fmt: skip


def metrics(run: OpenRun) -> None:
    """One row of figures, then where the time went."""
    total = figures(run)
    row = [
        ("Tokens per second", _number(total["tokens_per_s"], "{:.1f}"),
         "`new tokens ÷ wall time of the rounds`, the prompt's own forward included."),
        ("Mean acceptance length", _number(total["mean_acceptance_length"], "{:.2f}"),
         "`1 + accepted ÷ rounds`: tokens that one target forward yields on average, its own token included."),
        ("Acceptance rate", _number(total["draft_acceptance_rate"], "{:.1%}"),
         "`accepted ÷ verified nodes`. A wide graph verifies many nodes of which one path can be accepted, so it "
         "lowers this rate and may be faster all the same."),
        ("Target forwards", f"{total['target_forwards']:,}",
         f"One a round; without a draft {total['new_tokens']} tokens need as many forwards."),
        ("Draft forwards", f"{total['draft_forwards']:,}", "One for each level of each round's graph."),
        _speedup(run),
    ]  # fmt: skip
    with st.container(horizontal=True, border=True, key="metrics"):
        for label, value, formula in row:
            st.metric(label, value, help=formula, width="content")
    _time_bar(total)


def _speedup(run: OpenRun) -> tuple[str, str, str]:
    formula = ("`tokens per second of this method ÷ those of ar`, *measured* on the same prompt in the same warm "
               "process, the two in turn: the median of the ratios. Tick “Measure a baseline” before a run to get "
               "it.")  # fmt: skip
    baseline = run.end["baseline"] if run.end else None
    if not baseline or baseline["speedup"] is None:
        return "Speed-up, measured", "–", formula
    same = "identical to" if baseline["matches_baseline"] else "different from"
    found = f"{baseline['repeats']} ratios from {baseline['speedup_low']:.2f} to {baseline['speedup_high']:.2f}."
    return "Speed-up, measured", f"{baseline['speedup']:.2f}×", f"{formula} {found} The text is {same} the baseline's."


def _time_bar(total: dict[str, Any]) -> None:
    """Shares of the wall time as one bar; widths are numbers of ours, so nothing needs escaping but the labels."""
    wall = total["wall_ms"]
    if not wall:
        return
    shares = [(phase, label, total[f"{phase}_ms"]) for phase, label in PHASES]
    bar = "".join(f'<i class="{phase}" style="width:{100 * max(ms, 0) / wall:.2f}%"></i>' for phase, _, ms in shares)
    key = "".join(
        f'<span><i class="{phase}"></i>{html.escape(label)} {_milliseconds(ms)} · {ms / wall:.0%}</span>'
        for phase, label, ms in shares
    )
    st.html(f'<div class="time-bar" role="img" aria-label="Time by phase"><div class="bar">{bar}</div>'
            f'<div class="key"><b>{_milliseconds(wall)}</b>{key}</div></div>')  # fmt: skip


def _milliseconds(ms: float) -> str:
    return f"{ms / 1e3:.2f} s" if ms >= 1e3 else f"{ms:.0f} ms" if ms >= 10 else f"{ms:.1f} ms"


def _number(value: float | None, form: str) -> str:
    return "–" if value is None else form.format(value)
