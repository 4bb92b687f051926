"""Plain autoregressive decoding: the same loop with an empty draft."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from gsd.methods.base import Method, MethodSettings

if TYPE_CHECKING:
    from gsd.drafting.base import Drafter, Parts
    from gsd.drafting.graph import TokenGraph
    from gsd.drafting.growth import Growth


class Ar(Method):
    """Plain decoding: one token per target forward."""

    name, title = "ar", "Autoregressive"
    summary = "no draft: the baseline"
    sources = {}

    class Settings(MethodSettings):
        """No settings."""

        method: Literal["ar"] = "ar"

    def drafter(self, settings: Any, parts: Parts) -> Drafter:
        """A drafter that proposes nothing."""
        from gsd.drafting.null import NullDrafter

        return NullDrafter()

    def growth(self, settings: Any, graph: TokenGraph, depth: int) -> Growth:
        """A growth that never asks the draft."""
        from gsd.drafting.growth import NoGrowth

        return NoGrowth()
