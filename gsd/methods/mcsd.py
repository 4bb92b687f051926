"""Multi-candidate speculative decoding: several draws at each node, tested by recursive rejection. 2401.06706."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import field_validator

from gsd.drafting.settings import nodes_by_level
from gsd.errors import InputError
from gsd.methods.base import Method, MethodSettings, Need
from gsd.spec import Keeps, SamplingSpec, Words

if TYPE_CHECKING:
    from gsd.drafting.base import Drafter, Parts
    from gsd.verifying.base import Rule

MOST_LEVELS, MOST_WIDTH, MOST_NODES = 8, 64, 512


class Mcsd(Method):
    """A tree of a fixed shape whose nodes are draws of the draft's law."""

    name, title, paper = "mcsd", "MCSD", "2401.06706"
    summary = "a tree of random draws from the draft, each accepted by the ratio of its probabilities, p over q"
    needs = frozenset({Need.DRAFT})
    keeps = Keeps.LAW
    not_replayed = "it draws its candidates by chance, and an atlas holds the likeliest; name graph, tree or chain"
    reasons = {"unexpanded": "Added as a new node; the shape ends at this level."}

    class Settings(MethodSettings):
        """Of the authors' code: 4, 2 and 2 draws, without replacement."""

        method: Literal["mcsd"] = "mcsd"
        widths: Annotated[
            str,
            Words("Widths", "Draws behind each node, level by level: `4,2,2` is three levels of 4 + 8 + 16 nodes.",
                  form="N,N,…"),
        ] = "4,2,2"  # fmt: skip
        replacement: Annotated[
            bool, Words("With replacement", "A token may be drawn again behind one node, which costs a draw.")
        ] = False
        rule: Annotated[
            Literal["ratio", "match"],
            Words("Rule", "`ratio` accepts a draw where `u < p / q`, and keeps the target's law; `match` where the "
                  "target picks the same token, and keeps the text."),
        ] = "ratio"  # fmt: skip

        @field_validator("widths", mode="before")
        @classmethod
        def _as_text(cls, widths: object) -> object:
            """One level may come as a number; blanks say nothing."""
            whole = isinstance(widths, int) and not isinstance(widths, bool)
            return "".join(str(widths).split()) if whole or isinstance(widths, str) else widths

        @field_validator("widths")
        @classmethod
        def _a_shape(cls, widths: str) -> str:
            made = [int(width) if re.fullmatch("[0-9]{1,2}", width) else 0 for width in widths.split(",")]
            if len(made) > MOST_LEVELS or not all(1 <= width <= MOST_WIDTH for width in made):
                raise ValueError(f"give up to {MOST_LEVELS} levels a width each, from 1 to {MOST_WIDTH}, as 4,2,2")
            if (nodes := sum(nodes_by_level(made))) > MOST_NODES:
                raise ValueError(f"that makes {nodes:,} nodes, and {MOST_NODES} are verified at most: give less")
            return ",".join(map(str, made))

        @property
        def shape(self) -> list[int]:
            """The widths as numbers."""
            return [int(width) for width in self.widths.split(",")]

    def unfit(self, settings: Any, sampling: SamplingSpec) -> str | None:
        """Draws with replacement are one token at temperature 0; the older way to draw is the rule of match's alone."""
        if settings.replacement and not sampling.temperature:
            return "at temperature 0 all draws with replacement are one token: leave replacement out, or sample"
        if settings.rule == "ratio" and sampling.draw == "inverse":
            return "rule ratio draws by Gumbel noise alone, not by an inverse cumulative law: choose rule match"
        return None

    def drafter(self, settings: Any, parts: Parts) -> Drafter:
        """The draft model, drawn from."""
        from gsd.drafting.drawn import DrawnDrafter

        if why := self.unfit(settings, parts.sampling):
            raise InputError(f"method {self.name!r}: {why}")
        return DrawnDrafter(parts, settings.shape, replacement=settings.replacement)

    def rule(self, settings: Any) -> Rule:
        """Recursive rejection, or the target's own picks."""
        from gsd.verifying.match import Match
        from gsd.verifying.ratio import Ratio

        return Ratio() if settings.rule == "ratio" else Match()
