"""Token Recycling: the target's likeliest tokens of earlier rounds are the draft. Luo et al., 2408.08696."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import field_validator

from gsd.drafting.settings import Budget, FreeDepth, MergeContext, none_in_words
from gsd.methods.base import UNASKED, Method, MethodSettings
from gsd.spec import Words

if TYPE_CHECKING:
    from gsd.drafting.base import Drafter, Parts


class Recycle(Method):
    """No draft model: a matrix from each token to what the target thought likeliest behind it."""

    name, title, paper = "recycle", "Token Recycling", "2408.08696"
    summary = "no draft model: what the target last found most probable after each token, kept from text to text"
    fixed_work = False
    judges = "estimate"
    not_replayed = "it drafts what the target said of earlier drafts, which no atlas holds; name graph, tree or chain"
    sources = {"recycled": "among what the target last thought likeliest after the token before it"}
    reasons = {
        **UNASKED,
        "found": "by how often tokens of its rank came true",
        "undrafted": "The target was not asked about the last token before, or no more than one token was to come.",
    }

    class Settings(MethodSettings):
        """Of the paper: 6 levels and some 80 nodes; here they are chosen best-first."""

        method: Literal["recycle"] = "recycle"
        depth: FreeDepth = 6
        budget: Budget = 60
        merge_context: MergeContext = None
        by_two: Annotated[
            bool,
            Words("Rows of two tokens", "Keep what followed two tokens as well, and look there first."),
        ] = False  # fmt: skip

        _none_in_words = field_validator("merge_context", mode="before")(none_in_words)

    def drafter(self, settings: Any, parts: Parts) -> Drafter:
        """One that follows the matrix."""
        from gsd.drafting.recycle import RecycleDrafter

        return RecycleDrafter(parts, **settings.model_dump(exclude={"method"}))

    def memory(self) -> Any:
        """The matrix, and how its ranks fared."""
        from gsd.drafting.recycle import Matrix

        return Matrix()
