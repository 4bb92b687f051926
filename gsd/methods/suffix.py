"""What followed the end of the text before is the draft, with counts. After Oliaro et al., 2411.04975."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from gsd.drafting.settings import Budget, FreeDepth
from gsd.methods.base import UNASKED, Method, MethodSettings
from gsd.spec import Words

if TYPE_CHECKING:
    from gsd.drafting.base import Drafter, Parts


class Suffix(Method):
    """No draft model: a suffix automaton over the prompt and what is written."""

    name, title, paper = "suffix", "Suffix", "2411.04975"
    summary = "no draft model: what followed the longest matches of the end of the text, the most frequent first"
    fixed_work = False  # with `earlier` it goes by the texts before
    judges = "estimate"
    not_replayed = "it drafts from the text alone and asks no draft model; name graph, tree or chain"
    sources = {"suffix": "behind the same tokens earlier in the text"}
    reasons = {
        **UNASKED,
        "found": "by how often it followed there",
        "undrafted": "The last token had not stood in the text before, or no more than one token was to come.",
    }

    class Settings(MethodSettings):
        """How much is drafted, and from which matches."""

        method: Literal["suffix"] = "suffix"
        depth: FreeDepth = 32
        budget: Budget = 60
        shorter: Annotated[
            int,
            Field(ge=0, le=16),
            Words("Shorter matches", "So many shorter matches count besides the longest one, each for less.", 1,
                  "count"),
        ] = 2  # fmt: skip
        earlier: Annotated[
            bool, Words("Look in earlier texts", "Remember the texts of the pair, and look there as well.")
        ] = False  # fmt: skip

    def drafter(self, settings: Any, parts: Parts) -> Drafter:
        """One that reads along."""
        from gsd.drafting.suffix import SuffixDrafter

        return SuffixDrafter(parts, **settings.model_dump(exclude={"method"}))

    def memory(self) -> Any:
        """The texts, for who looks in them."""
        from gsd.drafting.suffix import Texts

        return Texts()
