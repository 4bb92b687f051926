"""An explanation in words, and what a run was drafted by, as far as its words go. HTML."""

from __future__ import annotations

import html
import math
from dataclasses import dataclass, field
from typing import Any

from analysis.words import percent


@dataclass(frozen=True, slots=True)
class Explanation:
    """A heading, probabilities by name as natural logs (None: log 0), and paragraphs; all text as HTML."""

    heading: str
    paragraphs: list[str]
    measures: dict[str, float | None] = field(default_factory=dict)


def as_html(found: Explanation) -> str:
    """As one element, read out by screen readers when it changes."""
    bars = "".join(
        f'<span>{name}</span><i style="--share:{_share(logp):.4f}"></i><b>{percent(logp)}</b>'
        for name, logp in found.measures.items()
        if logp is None or not math.isnan(logp)
    )
    measures = f'<div class="measures">{bars}</div>' if bars else ""
    paragraphs = "".join(f"<p>{paragraph}</p>" for paragraph in found.paragraphs)
    return f'<div class="words" role="status"><h4>{found.heading}</h4>{measures}{paragraphs}</div>'


def _share(logp: float | None) -> float:
    return 0.0 if logp is None else math.exp(logp)


@dataclass(frozen=True, slots=True)
class Drafted:
    """What a run was drafted by: its settings, those that its method has, and the method's own words, escaped."""

    values: dict[str, Any]
    sources: dict[str, str]  # beside the draft
    reasons: dict[str, str]
    judges: str
    asks: bool  # whether the method has a draft that could be asked

    @property
    def estimates(self) -> bool:
        """Whether the verified tree stands by estimates of the method's own, not by q."""
        return self.judges != "q"

    @property
    def depth(self) -> int:
        """Levels at most; 0 of a method that has none."""
        return self.values.get("depth", 0)


def drafted_by(meta: dict[str, Any]) -> Drafted:
    """A run's drafting, by its run.json."""
    told = meta["method"]
    sources, reasons = ({name: raw(text) for name, text in told[part].items()} for part in ("sources", "reasons"))
    asks = sources.pop("draft", None) is not None
    return Drafted(meta["spec"]["drafting"], sources, reasons, told["judges"], asks)


def raw(value: object) -> str:
    """A recorded number or word, as HTML: a trace may hold anything in its place."""
    return html.escape(str(value))
