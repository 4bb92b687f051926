"""What a run is: frozen, validated settings, passed whole.

Everything that is set of the emitted text and of the work done for it is in `RunSpec`. Two runs with the same
`digest()` whose prompts became the same tokens emit the same text on the same machine, and do the same work for it
unless their method is auto, which plans by the clock and by what earlier runs of its process taught it. What changes
only the order of sums, as `packed` and the rows of a forward do, may decide a near tie of two tokens another way, in
bfloat16 most of all.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

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


class RunSpec(Spec):
    """One run: a prompt decoded by one method with one pair.

    `dtype` auto is bfloat16 on a GPU (float16 where it computes no bfloat16), on a CPU float32; for a target of `LARGE`
    or more parameters there what is faster by measurement, see `gsd.models.settling`.
    `packed`: lay weights out for the CPU's matrix kernels where there are such, see `gsd.models.pack`. It is no part
    of the digest: products are as exact either way, and the same but for their rounding.
    """

    target: ModelSpec
    draft: ModelSpec | None = None
    pair: str | None = None
    prompt: Prompt
    drafting: DraftSpec = DraftSpec()
    sampling: SamplingSpec = SamplingSpec()
    max_new_tokens: Annotated[int, Field(ge=1, le=1_000_000)] = 64
    stop: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    device: Annotated[str, Field(pattern=r"^(auto|cpu|cuda(:\d+)?)$")] = "auto"
    dtype: Dtype = "auto"
    packed: bool = True
    detail: Literal["full", "counters"] = "full"

    @model_validator(mode="after")
    def _drafting_needs_a_draft(self) -> RunSpec:
        if self.drafting.method != "ar" and self.draft is None:
            raise ValueError(f"method {self.drafting.method!r} needs a draft model; only 'ar' does without")
        return self

    @model_validator(mode="after")
    def _a_target_is_whole(self) -> RunSpec:
        if self.target.quantization != "none":
            raise ValueError("a target is not quantised, as the text would be another one; quantise the draft")
        return self

    def digest(self) -> str:
        """SHA-256 of the canonical JSON, hexadecimal: settings that the method reads the same give the same digest.

        A draft that the method does not run is no part of it. Whole weights, what auto alone reads, and how tokens are
        drawn, are left unsaid where they are as they were before there was a choice, and the last two where nothing
        reads them. How weights are laid out is left out: it changes times, and near ties at most.
        """
        return self._digest(self.draft if self.drafting.method != "ar" else None)

    def earlier_digests(self) -> list[str]:
        """Those that earlier versions gave the same run: of `ar`, one with the draft in it."""
        return [self._digest(self.draft)] if self.draft and self.drafting.method == "ar" else []

    def _digest(self, draft: ModelSpec | None) -> str:
        values = self.model_dump(mode="json", exclude={"packed"})
        values["draft"] = draft and draft.model_dump(mode="json")
        values["drafting"] = self.drafting.as_drafted().model_dump(mode="json")
        for name in ("lookup", "history", "calibrated"):
            if values["drafting"][name] or self.drafting.method != "auto":
                del values["drafting"][name]
        if self.sampling.draw == "inverse" or not self.sampling.temperature:
            del values["sampling"]["draw"]
        for model in (values["target"], values["draft"]):
            if model and model["quantization"] == "none":
                del model["quantization"]
        canonical = json.dumps(values, sort_keys=True, ensure_ascii=True)
        return hashlib.sha256(canonical.encode()).hexdigest()


def run_digest(settings: str, prompt: Sequence[int]) -> str:
    """What a run is known by: the digest of its settings, and the tokens that its prompt became.

    Those are not in the settings: a chat template may read the clock, or come anew with a tokenizer.
    """
    return hashlib.sha256(json.dumps([settings, list(prompt)]).encode()).hexdigest()


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
