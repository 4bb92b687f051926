"""Where a round's nodes came from: the draft, or tokens seen before, where some methods look, too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gsd.drafting.lookup import Lookup
from gsd.methods import METHODS

ASKED = {"root", "draft"}  # sources that are none to look in
FOUND: dict[str, str] = {  # the others that installed methods have, and where each looks
    name: where for one in METHODS.values() for name, where in one.sources.items() if name not in ASKED
}


def is_found(source: str) -> bool:
    """Whether such nodes come from another source than the draft."""
    return source not in ASKED


def draft_logq(step: dict[str, Any]) -> list[float | None]:
    """By node, the natural log of what the draft gave it behind its tree path; None where the draft did not say.

    In the trace a node that was looked up has the estimate of its source; the draft's word about it, if it was
    asked later and thought of it, too, is a decision.
    """
    graph, decisions = step["graph"], step["decisions"]
    columns = zip(decisions["node"], decisions["rule"], decisions["logq"])
    said = {node: logq for node, rule, logq in columns if rule == "source"}
    return [said.get(node) if is_found(source) else logq
            for node, (source, logq) in enumerate(zip(graph["source"], graph["logq"]))]  # fmt: skip


def matched_tokens(before: Sequence[int], drafted: Sequence[int]) -> int | None:
    """How many tokens at the end of a text and what was drafted behind it stood in the text before; None for none."""
    index = Lookup()
    index.extend(before)
    found = index.find([*before, *drafted], 1)
    return found.matched if found else None
