"""A run's figures, each with its formula."""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import Any, Literal

import streamlit as st

from app.state import OpenRun
from gsd.trace.records import Tally
from gsd.wording import counted

PHASES = (("draft", "draft forwards"), ("verify", "target forwards"), ("overhead", "engine"))
CUT = " A last round that a stop rule cut counts one too many."  # of the mean acceptance length
# Of the tokens per second, where `cold` stands below them.
COLD = (" *Cold*: the recorded run itself. *Warm*: decoded again, untraced and in turn with `ar`; `warm = speed-up × "
        "tokens per second of ar`.")  # fmt: skip
NO_BASELINE = "tick “Measure a baseline”"
NOTE: dict[str, Any] = {"delta_color": "off", "delta_arrow": "off"}  # words below a figure, no difference


def figures(run: OpenRun) -> dict[str, Any]:
    """The totals of the end line, or the same of the rounds so far."""
    if run.end and run.end["totals"]:
        return run.end["totals"]
    tally = Tally()
    for round_ in run.rounds:
        tally.add_recorded(round_)
    return tally.totals()


def metrics(run: OpenRun, pinned: OpenRun | None = None) -> None:
    """One row of figures, each with its difference from the pinned run, then where the time went."""
    total, before = figures(run), figures(pinned) if pinned else {}
    baseline = warm_baseline(run.end)
    row = [
        Figure("Tokens per second", "tokens_per_s", "{:.1f}", "normal",
                "`new tokens ÷ wall time of the rounds`, the prompt's own forward included."
                + (COLD if baseline else "")),
        Figure("Mean acceptance length", "mean_acceptance_length", "{:.2f}", "normal",
                "`1 + accepted ÷ rounds`: tokens that one target forward yields on average, its own token included."
                + CUT),
        Figure("Acceptance rate", "draft_acceptance_rate", "{:.1%}", "off",
                "`accepted ÷ verified nodes`. A wide graph verifies many nodes of which one path can be accepted, so "
                "it lowers this rate and may be faster all the same."),
        Figure("Target forwards", "target_forwards", "{:,.0f}", "inverse",
                f"One a round; without a draft one a token, {total['new_tokens']} in all."),
        Figure("Draft forwards", "draft_forwards", "{:,.0f}", "inverse",
                "One for each set of nodes expanded together, most often a level."),
    ]  # fmt: skip
    with st.container(horizontal=True, border=True, key="metrics"):
        for one in row:
            one.draw(total, before, "than A", cold(baseline) if baseline and one.name == "tokens_per_s" else None)
        speedup(run)
    _time_bar(total)


@dataclass(frozen=True, slots=True)
class Figure:
    """A metric: its name in the totals, how it is written, whether more of it is better, and its formula."""

    label: str
    name: str
    form: str
    delta_color: Literal["normal", "inverse", "off"]
    formula: str

    def draw(
        self, here: dict[str, Any], reference: dict[str, Any], against: str | None = None, note: str | None = None
    ) -> None:
        """The figure, and its difference from the reference where it has another; `against` names the reference.

        A `note` stands below, or behind the difference.
        """
        value, old = self.written(here), self.written(reference)
        delta = None
        if "–" not in (value, old) and value != old:
            apart = here[self.name] - reference[self.name]
            delta = ("-" if apart < 0 else "+") + self.form.format(abs(apart))  # `st.metric` knows a plain minus
            delta = delta.replace("%", " points")
        behind = " · ".join(filter(None, (against, note))) if delta else None
        noted = {"delta_color": self.delta_color} if delta else NOTE
        st.metric(self.label, value, delta or note, help=self.formula, width="content", delta_description=behind,
                  **noted)  # fmt: skip

    def written(self, totals: dict[str, Any]) -> str:
        """As it is shown; a dash where there is none."""
        return _written(totals.get(self.name), self.form)


def warm_baseline(end: dict[str, Any] | None) -> dict[str, Any] | None:
    """What a run measured against `ar` in warm repeats, of its end line; None where it did not."""
    baseline = end and end["baseline"]
    return baseline if baseline and baseline["speedup"] is not None else None


def warm(low: float, high: float, count: int, noun: str) -> str:
    """What stands behind a median of warm ratios: their range and how many there are."""
    return f"{low:.2f}–{high:.2f}, {counted(count, f'warm {noun}')}" if count > 1 else f"1 warm {noun}"


def cold(baseline: dict[str, Any]) -> str:
    """Behind the tokens per second of a recorded run, which was cold: the warm ones, whose ratio is its speed-up."""
    plain_speed = baseline["tokens_per_s"]
    return f"cold; warm {baseline['speedup'] * plain_speed:.1f}, ar {plain_speed:.1f}"


def speedup(run: OpenRun) -> None:
    """The ratio to `ar` that this very run measured; where it measured none, how to get one."""
    label, formula = "Speed-up, measured", (
        "`tokens per second of this method ÷ those of ar`, *measured* on the same prompt in the same warm process, the "
        "two in turn: the median of the ratios. Tick “Measure a baseline” before a run to get it.")  # fmt: skip
    baseline = warm_baseline(run.end)
    if baseline is None:
        st.metric(label, "–", NO_BASELINE if run.end else None, help=formula, width="content", **NOTE)
        return
    same = {True: "identical to", False: "different from", None: "of the same law as"}[baseline["matches_baseline"]]
    found = warm(baseline["speedup_low"], baseline["speedup_high"], baseline["repeats"], "repeat")
    st.metric(label, f"{baseline['speedup']:.2f}×", found, help=f"{formula} The text is {same} the baseline's.",
              width="content", **NOTE)  # fmt: skip


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
    st.html(f'<div class="time-bar"><div class="bar" aria-hidden="true">{bar}</div>'
            f'<div class="key"><b>{_milliseconds(wall)}</b>{key}</div></div>')  # fmt: skip


def _milliseconds(ms: float) -> str:
    return f"{ms / 1e3:.2f} s" if ms >= 1e3 else f"{ms:.0f} ms" if ms >= 10 else f"{ms:.1f} ms"


def _written(value: float | None, form: str) -> str:
    return "–" if value is None else form.format(value)
