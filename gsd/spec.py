"""What is asked for, part by part: frozen, validated values that refuse unknown keys. No torch."""

from __future__ import annotations

import re
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from gsd.errors import InputError

Method = Literal["ar", "chain", "tree", "graph", "auto"]
Dtype = Literal["auto", "float32", "bfloat16", "float16"]
Quantization = Literal["auto", "none", "int8", "int4"]
Probability = Annotated[float, Field(ge=0.0, le=1.0)]
LARGE = 100_000_000  # parameters from which a CPU's forwards are bound by reading weights, and `auto` measures
MIN_TEMPERATURE = 1e-3
MOST_SHOWN = 100  # characters of a value that cannot be used
PREFILL_CHUNK = 512  # tokens of a prompt that one forward takes; bounds the mask of a long one
# What a method's name fixes, whatever the settings say.
FIXED: dict[str, dict] = {
    "chain": {
        "width": 1,
        "frontier": 1,
        "sibling_threshold": 0.0,
        "merge_context": None,
    },  # Leviathan et al., 2211.17192
    "tree": {"merge_context": None},  # Miao et al., 2305.09781
    # No rule but the costs: what cannot pay is neither expanded nor verified.
    "auto": {
        "width": 6,
        "depth": 64,
        "sibling_threshold": 0.02,
        "prob_threshold": 0.0,
        "frontier": 1024,
        "budget": 128,
    },
}
# The settings that each method reads, its own name among them. `DraftSpec.as_drafted` puts the others back to
# what they are by default, or to what the method's name fixes.
_BY_LEVELS = frozenset({
    "method", "width", "depth", "merge_context", "sibling_threshold", "prob_threshold", "prob_rule", "prob_action",
    "frontier", "budget",
})  # fmt: skip
HEEDED: dict[str, frozenset[str]] = {
    "ar": frozenset({"method"}),
    "chain": _BY_LEVELS - FIXED["chain"].keys(),
    "tree": _BY_LEVELS - FIXED["tree"].keys(),
    "graph": _BY_LEVELS,
    "auto": frozenset({"method", "merge_context", "lookup", "history", "calibrated"}),
}


class Spec(BaseModel):
    """Base of all settings: immutable, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class ModelSpec(Spec):
    """Where a model comes from: a hub id, a local folder, or a GGUF file; and how its weights are held.

    A `quantization` of int8 or int4 has weights of so many bits. What else it holds and computes in is bfloat16,
    whatever the dtype asked for; for a large model on a CPU what is faster there. It is for drafts: the text is the
    target's own all the same. `auto` is what is fastest by measurement, on a CPU; none for a small model.
    """

    source: Annotated[str, Field(min_length=1)]
    revision: str | None = None
    trust_remote_code: bool = False
    quantization: Quantization = "none"

    @field_validator("source")
    @classmethod
    def _as_it_is_shown(cls, source: str) -> str:
        """What is asked for, shown and agreed to is one and the same text."""
        if source != source.strip() or not source.isprintable():
            raise ValueError("give it without blanks around it, and without characters that do not show")
        return source

    @field_validator("revision")
    @classmethod
    def _a_name_of_git(cls, revision: str | None) -> str | None:
        """It becomes part of paths and addresses."""
        if revision is not None and (".." in revision or not re.fullmatch(r"[^\s\x00-\x1f\x7f\\~^:?*\[]+", revision)):
            raise ValueError("give a branch, a tag or a commit of the hub")
        return revision

    @property
    def name(self) -> str:
        """The source, with the revision where one is asked for: what the model's files are known by."""
        return self.source if self.revision is None else f"{self.source}@{self.revision}"

    def untrusted(self) -> ModelSpec:
        """The same model without the code that comes with it."""
        return self.model_copy(update={"trust_remote_code": False})


class DraftSpec(Spec):
    """How hypotheses are drafted, merged and flattened (algorithms: Gong et al., 2407.16207).

    `width`              candidates taken per expanded node
    `depth`              levels, each one draft forward
    `merge_context`      tokens before the candidate that must agree for a merge; None, or "none": never merge
    `sibling_threshold`  drop a candidate with q below this share of its best sibling's q
    `prob_threshold`     a candidate below this probability is not expanded further
    `prob_rule`          that probability is the cumulative one of the path, or the local q (paper)
    `prob_action`        such a candidate stays as a leaf, or is dropped
    `frontier`           nodes expanded per level, the most probable first
    `budget`             drafted nodes verified per round; the root comes on top
    `lookup`             auto: continuations found in the prompt and the text so far are hypotheses, too
    `history`            auto: and those found among hypotheses that were rejected; it gained nothing
    `calibrated`         auto: estimate acceptance by what became of tokens of like q, not by q itself

    The defaults are deep and sparing: a level costs a forward, so it must be likely to be reached, and where the
    draft is sure it may run on.
    """

    method: Method = "graph"
    width: Annotated[int, Field(ge=1, le=64)] = 4
    depth: Annotated[int, Field(ge=1, le=64)] = 20
    merge_context: Annotated[int, Field(ge=0, le=16)] | None = 1
    sibling_threshold: Probability = 0.1
    prob_threshold: Probability = 0.4
    prob_rule: Literal["path", "local"] = "path"
    prob_action: Literal["leaf", "drop"] = "leaf"
    frontier: Annotated[int, Field(ge=1, le=1024)] = 3
    budget: Annotated[int, Field(ge=1, le=1024)] = 32
    lookup: bool = True
    history: bool = False
    calibrated: bool = True

    @field_validator("merge_context", mode="before")
    @classmethod
    def _none_in_words(cls, merge_context: object) -> object:
        return None if merge_context == "none" else merge_context

    @property
    def fixed_work(self) -> bool:
        """Whether the same text takes the same work each time; auto plans by the clock and by earlier runs."""
        return self.method != "auto"

    def as_drafted(self) -> DraftSpec:
        """The settings as the method reads them: a chain has width 1, a tree never merges; see `HEEDED`.

        Those that draft the same are equal.
        """
        heeded = {name: getattr(self, name) for name in HEEDED[self.method]}
        return DraftSpec(**heeded, **FIXED.get(self.method, {}))


class SamplingSpec(Spec):
    """The target's own law. Temperature 0 is greedy; `top_k` 0 and `top_p` 1 filter nothing.

    A temperature between 0 and `MIN_TEMPERATURE` is refused: logits divided by it may overflow in float32.
    `draw` is how a token is drawn: by the argmax of log p and keyed Gumbel noise, or, as in recordings of before that,
    by an inverse cumulative law. Both have the same law and give other texts.
    """

    temperature: Annotated[float, Field(ge=0.0, le=100.0)] = 0.0
    top_k: Annotated[int, Field(ge=0, lt=2**63)] = 0
    top_p: Annotated[float, Field(gt=0.0, le=1.0)] = 1.0
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    draw: Literal["gumbel", "inverse"] = "gumbel"

    @field_validator("temperature")
    @classmethod
    def _zero_or_not_too_near(cls, temperature: float) -> float:
        if 0.0 < temperature < MIN_TEMPERATURE:
            raise ValueError(f"give 0, which is greedy, or at least {MIN_TEMPERATURE:g}")
        return temperature


class Prompt(Spec):
    """One text to continue. `chat` None: use the chat template when the model has one."""

    id: Annotated[str, Field(min_length=1, max_length=120)] = "prompt"
    prompt: Annotated[str, Field(min_length=1)]
    kind: str | None = None
    chat: bool | None = None

    @field_validator("id", "kind", mode="before")
    @classmethod
    def _number_as_a_name(cls, name: object) -> object:
        return str(name) if isinstance(name, int | float) and not isinstance(name, bool) else name

    def given(self) -> dict[str, object]:
        """What the models go on with. An id and a kind are but names; None is to ask for the template, too."""
        return {"prompt": self.prompt, "chat template": self.chat is not False}


PRESETS: dict[str, dict] = {
    # The authors' code: width 4, repeat_threshold 1, prob_threshold 0.3 (local), 100 nodes.
    "paper": dict(width=4, depth=8, merge_context=1, sibling_threshold=0.3, prob_threshold=0.3,
                  prob_rule="local", frontier=100, budget=100),
    "fast": dict(),  # the defaults: long where the draft is sure, and no level that does not pay for its forward
    "wide": dict(width=6, depth=6, merge_context=0, sibling_threshold=0.02, prob_threshold=0.005,
                 frontier=16, budget=64),
}  # fmt: skip
S = TypeVar("S", bound=Spec)


def build(spec: type[S], values: dict, *, options: bool = True) -> S:
    """Build a spec, or raise `InputError` with one line that names the option (or the key) and its value."""
    try:
        return spec(**values)
    except ValidationError as error:
        first = error.errors()[0]
        name, given = ".".join(str(part) for part in first["loc"]), repr(first["input"])
        name = f"--{name.replace('_', '-')}" if options else f"key {name!r}"
        where = f"{name} {given[:MOST_SHOWN]}{'…' if given[MOST_SHOWN:] else ''}: " if first["loc"] else ""
        raise InputError(where + first["msg"].removeprefix("Value error, ")) from None  # before our own words


def preset(name: str) -> dict:
    """The draft settings of a preset, by option name."""
    if name not in PRESETS:
        raise InputError(f"unknown preset {name!r}; choose one of {', '.join(PRESETS)}")
    return dict(PRESETS[name])
