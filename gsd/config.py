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
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, SerializeAsAny, model_validator

from gsd.methods import METHODS, MethodSettings, drafting, settings_as_recorded
from gsd.methods.base import Need
from gsd.spec import Dtype, ModelSpec, Prompt, SamplingSpec, Spec


def _settings(given: object) -> object:
    """Settings by the method that they name; whether that is installed is asked where it is to run."""
    return settings_as_recorded(given) if isinstance(given, dict) else given


Drafting = Annotated[SerializeAsAny[MethodSettings], BeforeValidator(_settings)]


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
    drafting: Drafting = drafting()
    sampling: SamplingSpec = SamplingSpec()
    max_new_tokens: Annotated[int, Field(ge=1, le=1_000_000)] = 64
    stop: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    device: Annotated[str, Field(pattern=r"^(auto|cpu|cuda(:\d+)?)$")] = "auto"
    dtype: Dtype = "auto"
    packed: bool = True
    detail: Literal["full", "counters"] = "full"

    @model_validator(mode="after")
    def _drafting_needs_a_draft(self) -> RunSpec:
        if self.needs_draft and self.draft is None:
            without = ", ".join(repr(name) for name, one in METHODS.items() if Need.DRAFT not in one.needs)
            raise ValueError(f"method {self.drafting.method!r} needs a draft model; only {without} does without")
        return self

    @model_validator(mode="after")
    def _drafting_goes_with_sampling(self) -> RunSpec:
        known = METHODS.get(self.drafting.method)
        if known and (why := known.unfit(self.drafting, self.sampling)):
            raise ValueError(f"method {known.name!r}: {why}")
        return self

    @model_validator(mode="after")
    def _a_target_is_whole(self) -> RunSpec:
        if self.target.quantization != "none":
            raise ValueError("a target is not quantised, as the text would be another one; quantise the draft")
        return self

    @property
    def needs_draft(self) -> bool:
        """Whether its method drafts with a model."""
        known = METHODS.get(self.drafting.method)
        return Need.DRAFT in known.needs if known else self.draft is not None

    def digest(self) -> str:
        """SHA-256 of the canonical JSON, hexadecimal: settings that the method reads the same give the same digest.

        A draft that the method does not run is no part of it. Whole weights, and how tokens are drawn, are left unsaid
        where they are as they were before there was a choice, the last where nothing reads it, too. How weights are
        laid out is left out: it changes times, and near ties at most.
        """
        values = self.model_dump(mode="json", exclude={"packed"} if self.needs_draft else {"packed", "draft"})
        values.setdefault("draft", None)
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
