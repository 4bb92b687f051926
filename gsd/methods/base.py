"""What a method says of itself: the one place that the engine, the command line, the app and the tables read.

    class Pair(Method):
        name, title, summary = "pair", "Pair", "a chain of two drafted tokens"
        needs = frozenset({Need.DRAFT})

        class Settings(MethodSettings):
            method: Literal["pair"] = "pair"

        def drafter(self, settings, parts):
            ...

No torch: what drafts and what verifies is imported where it is made.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import ConfigDict, model_validator

from gsd.spec import Keeps, Spec

if TYPE_CHECKING:
    from gsd.drafting.base import Drafter, Parts
    from gsd.drafting.graph import TokenGraph
    from gsd.drafting.growth import Growth
    from gsd.verifying.base import Rule


class Need(StrEnum):
    """What a method cannot do without."""

    DRAFT = "draft"  # a draft model
    TARGET = "target port"  # to read the target: embedding, head, keys and values, hidden states


class MethodSettings(Spec):
    """Base of a method's settings. `method` is its name; a field with `Words` is the user's to set."""

    method: str


class ForeignSettings(MethodSettings):
    """Those of a method that is not installed, as a recording has them: plain values, to be shown and not to be run."""

    model_config = ConfigDict(extra="allow")

    @model_validator(mode="after")
    def _plain(self) -> ForeignSettings:
        for name, value in (self.model_extra or {}).items():
            if not (value is None or isinstance(value, (bool, int, float, str))):
                raise ValueError(f"the setting {name!r} of method {self.method!r} is no plain value")
        return self


REASONS: Mapping[str, str] = {
    "asked": "level",  # what a draft forward is called
    "undrafted": "",
    "unexpanded": "Added as a new node; drafting ended at this level.",
    "unverified": "Not verified: the budget went to paths that the draft thought likelier to be reached.",
    "none verified": "None was verified.",
}


class Method(ABC):
    """A system: its settings and their words, what it needs, how it drafts, and the rule that it is verified by."""

    name: ClassVar[str]
    title: ClassVar[str]
    summary: ClassVar[str]  # what it does, in half a sentence
    paper: ClassVar[str | None] = None  # arXiv id
    Settings: ClassVar[type[MethodSettings]]
    needs: ClassVar[frozenset[Need]] = frozenset()
    keeps: ClassVar[Keeps] = Keeps.TEXT  # what its rule keeps
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {}  # by name, settings that are not the defaults
    sources: ClassVar[Mapping[str, str]] = {"draft": "the draft model"}  # of its nodes, and what each is
    reasons: ClassVar[Mapping[str, str]] = REASONS  # why its drafts end where they do
    fixed_work: ClassVar[bool] = True  # whether the same text takes the same rounds and forwards each time
    judges: ClassVar[str] = "q"  # by what it orders the verified tree: the draft's q, or an estimate of its own
    not_replayed: ClassVar[str | None] = None  # why no atlas can replay it; None: it grows by `growth`

    @abstractmethod
    def drafter(self, settings: Any, parts: Parts) -> Drafter:
        """What drafts one text at a time under these settings."""

    def rule(self, settings: Any) -> Rule:
        """The rule of acceptance."""
        from gsd.verifying.match import Match

        return Match()

    def memory(self) -> Any:
        """What is to last from text to text, kept per pair and handed to each drafter; None: nothing."""
        return None

    def described(self) -> dict[str, Any]:
        """Its words as a trace records them, so that whoever reads it need not know the method."""
        return {
            "name": self.name, "title": self.title, "summary": self.summary, "paper": self.paper,
            "keeps": str(self.keeps), "fixed_work": self.fixed_work,
            "replayed": self.not_replayed is None, "judges": self.judges, "sources": dict(self.sources),
            "reasons": {**REASONS, **self.reasons},
        }  # fmt: skip

    def growth(self, settings: Any, graph: TokenGraph, depth: int) -> Growth:
        """What grows a graph at most `depth` levels, live and in replays alike."""
        raise NotImplementedError(f"{self.name} grows by no rule that an atlas could replay")
