"""No setting to choose: what is likely to pay for its time is drafted and verified, and no more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from gsd.drafting.settings import PlannedSettings
from gsd.methods.base import Method, MethodSettings, Need

if TYPE_CHECKING:
    from gsd.drafting.base import Drafter, Parts


class Auto(Method):
    """A graph that grows best-first while that pays, by costs and outcomes that it learns."""

    name, title, paper = "auto", "Auto", None
    summary = (
        "drafts and verifies what is likely to pay for its time, and nothing need be set. It goes by times and "
        "outcomes that it has learned: the same settings may draft otherwise, to the same text"
    )
    needs = frozenset({Need.DRAFT})
    fixed_work = False
    judges = "estimate"
    not_replayed = "it goes by what forwards take while it runs, which no atlas holds; name graph, tree or chain"
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
        """Where to look beside the draft."""

        method: Literal["auto"] = "auto"

    def drafter(self, settings: Any, parts: Parts) -> Drafter:
        """The planned drafter."""
        from gsd.drafting.auto import AutoDrafter

        return AutoDrafter(parts, settings)

    def memory(self) -> Any:
        """What forwards cost, and how drafts fared."""
        from gsd.drafting.planner import Planner

        return Planner()
