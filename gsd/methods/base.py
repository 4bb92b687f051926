"""The base class of methods. Engine, command line, app and tables read a method's declaration here.

    class Pair(Method):
        name, title, summary = "pair", "Pair", "a chain of two drafted tokens"
        needs = frozenset({Need.DRAFT})

        class Settings(MethodSettings):
            method: Literal["pair"] = "pair"

        def drafter(self, settings, parts):
            ...

No torch: a method imports its drafter and its rule where it creates them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import ConfigDict, model_validator

from gsd.spec import Keeps, SamplingSpec, Spec

if TYPE_CHECKING:
    from gsd.drafting.base import Drafter, Parts
    from gsd.drafting.graph import TokenGraph
    from gsd.drafting.growth import Growth
    from gsd.verifying.base import Rule


class Need(StrEnum):
    """What a method needs besides the target."""

    DRAFT = "draft"  # a draft model
    TARGET = "target port"  # to read the target: embedding, head, keys and values, hidden states


class MethodSettings(Spec):
    """Base of a method's settings. `method` is its name. The user can set a field that has `Words`."""

    method: str


class ForeignSettings(MethodSettings):
    """Recorded settings of a method that is not installed. They can be shown, but not run."""

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

# The same of a method that asks no draft model.
UNASKED: Mapping[str, str] = {
    "asked": "round",
    "unexpanded": "It was drafted without a forward.",
    "unverified": "Not verified: the budget went to paths that were likelier to be reached.",
}


class Method(ABC):
    """A method: its settings, what it needs, how it drafts, and the rule that verifies its drafts."""

    name: ClassVar[str]
    title: ClassVar[str]
    summary: ClassVar[str]  # what it does, without a full stop at its end
    paper: ClassVar[str | None] = None  # arXiv id
    Settings: ClassVar[type[MethodSettings]]
    needs: ClassVar[frozenset[Need]] = frozenset()
    keeps: ClassVar[Keeps] = Keeps.TEXT  # what its rule keeps
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {}  # by name, settings that are not the defaults
    sources: ClassVar[Mapping[str, str]] = {"draft": "the draft model"}  # where its nodes come from, in words
    reasons: ClassVar[Mapping[str, str]] = REASONS  # texts that say why its drafts end where they do
    fixed_work: ClassVar[bool] = True  # whether the same text takes the same rounds and forwards each time
    judges: ClassVar[str] = "q"  # what orders the verified tree: the draft's q, or the method's own estimate
    not_replayed: ClassVar[str | None] = None  # why no atlas can replay it; None: it grows by `growth`

    @abstractmethod
    def drafter(self, settings: Any, parts: Parts) -> Drafter:
        """A new drafter for one text, with these settings."""

    def rule(self, settings: Any) -> Rule:
        """The acceptance rule. By default a token is accepted if the target picks the same one."""
        from gsd.verifying.match import Match

        return Match()

    def unfit(self, settings: Any, sampling: SamplingSpec) -> str | None:
        """Why the settings cannot go with how the target's tokens are drawn, in a line; None: they can."""
        return None

    def memory(self) -> Any:
        """An object that lasts from text to text, one per loaded pair, given to each drafter. None: there is none."""
        return None

    def described(self) -> dict[str, Any]:
        """The declaration as a trace records it, so that a reader need not have the method installed."""
        return {
            "name": self.name, "title": self.title, "summary": self.summary, "paper": self.paper,
            "keeps": str(self.keeps), "fixed_work": self.fixed_work,
            "replayed": self.not_replayed is None, "judges": self.judges, "sources": dict(self.sources),
            "reasons": {**REASONS, **self.reasons},
        }  # fmt: skip

    def growth(self, settings: Any, graph: TokenGraph, depth: int) -> Growth:
        """An object that grows a graph by at most `depth` levels, in real runs and in replays."""
        raise NotImplementedError(f"{self.name} grows by no rule that an atlas could replay")
