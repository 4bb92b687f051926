"""Plain autoregressive decoding: the same loop with an empty draft."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from gsd.methods.base import Method, MethodSettings

if TYPE_CHECKING:
    from gsd.drafting.base import Drafter, Parts
    from gsd.drafting.graph import TokenGraph
    from gsd.drafting.growth import Growth


class Ar(Method):
    """One token a target forward."""

    name, title = "ar", "Autoregressive"
    summary = "no draft at all, the baseline"
    sources = {}

    class Settings(MethodSettings):
        """Nothing to set."""

        method: Literal["ar"] = "ar"

    def drafter(self, settings: Any, parts: Parts) -> Drafter:
        """One that proposes nothing."""
        from gsd.drafting.null import NullDrafter

        return NullDrafter()

    def growth(self, settings: Any, graph: TokenGraph, depth: int) -> Growth:
        """None at all."""
        from gsd.drafting.growth import NoGrowth

        return NoGrowth()
