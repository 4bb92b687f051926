"""Method `auto`: a graph that grows only while that is likely to save time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from gsd.drafting.settings import PlannedSettings
from gsd.methods.base import Method, MethodSettings, Need

if TYPE_CHECKING:
    from gsd.drafting.base import Drafter, Parts


class Auto(Method):
    """A graph that grows best-first. It learns costs and outcomes, and stops where drafting no longer pays."""

    name, title, paper = "auto", "Auto", None
    summary = (
        "a graph that grows only while that saves time, with nothing to set. It learns from measured times and "
        "outcomes, so the same settings may draft differently, with the same text"
    )
    needs = frozenset({Need.DRAFT})
    fixed_work = False
    judges = "estimate"
    not_replayed = "it plans by times measured while it runs, which no atlas holds; name graph, tree or chain"
    sources = {
        "draft": "the draft model",
        "lookup": "in the text so far",
        "history": "among rejected hypotheses",
    }

    reasons = {
        "asked": "forward",
        "undrafted": "Nothing was likely to pay for its time.",
        "unexpanded": "Not expanded: another draft forward was not likely to pay for its time here.",
        "unverified": "Not verified: it was not likely enough to be reached to pay for the time that this takes.",
        "none verified": "None was likely to pay for the time that its verification takes.",
    }

    class Settings(PlannedSettings, MethodSettings):
        """Which sources it uses besides the draft model."""

        method: Literal["auto"] = "auto"

    def drafter(self, settings: Any, parts: Parts) -> Drafter:
        """The drafter that plans by cost."""
        from gsd.drafting.auto import AutoDrafter

        return AutoDrafter(parts, settings)

    def memory(self) -> Any:
        """The planner: measured costs of forwards, and outcomes of drafts."""
        from gsd.drafting.planner import Planner

        return Planner()
