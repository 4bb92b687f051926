"""What is asked for, part by part: frozen, validated values that refuse unknown keys. No torch."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler, ValidationError, field_validator
from pydantic_core import CoreSchema, core_schema

from gsd.errors import InputError

Dtype = Literal["auto", "float32", "bfloat16", "float16"]
Quantization = Literal["auto", "none", "int8", "int4"]
Probability = Annotated[float, Field(ge=0.0, le=1.0)]
LARGE = 100_000_000  # parameters from which a CPU's forwards are bound by reading weights, and `auto` measures
MIN_TEMPERATURE = 1e-3
MOST_SHOWN = 100  # characters of a value that cannot be used
PREFILL_CHUNK = 512  # tokens of a prompt that one forward takes; bounds the mask of a long one


@dataclass(frozen=True, slots=True)
class Words:
    """What a person needs to set a value: its name on a form, what it does (with the formula), and how far a step is.

    To stand in the `Annotated` of a field: one without is fixed, and nobody's to set.
    """

    label: str
    help: str
    step: float | None = None
    unit: str = ""  # of its column in tables, "levels" or "nodes"; empty: as of its kind
    form: str = ""  # of a text that is no name: how it is written, such as "N,N,…"


@dataclass(frozen=True, slots=True)
class Fixed:
    """In the `Annotated` of a float, its one value: `Literal`, as type checkers know it, takes no float."""

    value: float

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.literal_schema([self.value])


class Spec(BaseModel):
    """Base of all settings: immutable, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Keeps(StrEnum):
    """What holds of the emitted text, whatever was drafted."""

    TEXT = "text"  # it is plain decoding's, a function of prompt and seed
    LAW = "law"  # it has plain decoding's law; one seed gives other texts
    BEAM_LAW = "beam law"  # it has the law of plain beam sampling
    LOSSY = "lossy"  # neither


def keeps_text(keeps: str, temperature: float) -> bool:
    """Whether a method that keeps so much writes plain decoding's text: at temperature 0 a law has but one."""
    return keeps == Keeps.TEXT or (keeps == Keeps.LAW and temperature == 0.0)


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
