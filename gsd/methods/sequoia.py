"""Trees of the shape that acceptance by rank and the cost of a forward ask for. Chen et al., 2402.12374."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from gsd.drafting.settings import Budget, Depth, RankedSettings, Width
from gsd.methods.base import MethodSettings
from gsd.methods.graph import LevelMethod
from gsd.spec import Words

if TYPE_CHECKING:
    from gsd.drafting.base import Drafter, Parts

DraftCost = Annotated[
    float,
    Field(ge=0.0, le=10.0),
    Words(
        "Cost of a level", "Time of a draft forward, in target forwards. `gsd calibrate` measures both.", 0.05, "ratio"
    ),
]
NodeCost = Annotated[
    float,
    Field(ge=0.0, le=1.0),
    Words("Cost of a node", "Time that one more verified node takes, in forwards of the target.", 0.005, "ratio"),
]


class Sequoia(LevelMethod):
    """The shape is settled before a text begins: most tokens for the time, by how often each rank was accepted."""

    name, title, paper = "sequoia", "Sequoia", "2402.12374"
    summary = "a tree of one shape for a whole text: the best for the acceptance of each rank that earlier texts saw"
    fixed_work = False
    not_replayed = "its shape goes by the acceptance that earlier texts saw; name graph, tree or chain"
    reasons = {
        "undrafted": "No tree pays for its forwards at these costs.",
        "unexpanded": "Not expanded: the shape has no children here.",
    }  # fmt: skip

    class Settings(RankedSettings, MethodSettings):
        """The largest shape, and what it costs."""

        method: Literal["sequoia"] = "sequoia"
        width: Width = 8
        depth: Depth = 12
        frontier: Literal[1024] = 1024
        budget: Budget = 64
        draft_cost: DraftCost = 0.2
        node_cost: NodeCost = 0.01

    def drafter(self, settings: Any, parts: Parts) -> Drafter:
        """The draft model, asked for a template's nodes."""
        from gsd.drafting.template import TemplateDrafter

        return TemplateDrafter(parts, settings)

    def memory(self) -> Any:
        """How often each rank was accepted."""
        from gsd.drafting.template import AcceptanceByRank

        return AcceptanceByRank()
