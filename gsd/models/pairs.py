"""Target and draft pairs by name, and whether their weights are on this machine. No torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, get_args

from gsd.errors import InputError
from gsd.models.places import BUNDLED, located
from gsd.spec import ModelSpec, Quantization, build


@dataclass(frozen=True, slots=True)
class PairSpec:
    """A target and a draft that share one tokenizer."""

    name: str
    target: ModelSpec
    draft: ModelSpec
    note: str


def _hub(name: str, target: str, draft: str, note: str) -> PairSpec:
    return PairSpec(name, ModelSpec(source=target), ModelSpec(source=draft), note)


PAIRS: dict[str, PairSpec] = {
    pair.name: pair
    for pair in (
        PairSpec("tiny", ModelSpec(source=str(BUNDLED / "target")), ModelSpec(source=str(BUNDLED / "draft")),
                 "bundled; short Python functions"),
        _hub("qwen2.5-coder", "Qwen/Qwen2.5-Coder-1.5B-Instruct", "Qwen/Qwen2.5-Coder-0.5B-Instruct",
             "1.5B with 0.5B; runs on a CPU"),
        _hub("qwen3", "Qwen/Qwen3-8B", "Qwen/Qwen3-0.6B", "8B with 0.6B"),
        _hub("llama-3", "meta-llama/Llama-3.1-8B-Instruct", "meta-llama/Llama-3.2-1B-Instruct", "8B with 1B; gated"),
        _hub("llama-2-7b", "meta-llama/Llama-2-7b-chat-hf", "TinyLlama/TinyLlama-1.1B-Chat-v1.0",
             "7B with 1.1B, the paper's pair; gated"),
        _hub("llama-2-70b", "meta-llama/Llama-2-70b-chat-hf", "meta-llama/Llama-2-7b-chat-hf",
             "70B with 7B, the paper's large pair; gated"),
    )
}  # fmt: skip


def pair(name: str) -> PairSpec:
    """A preset by name; raises `InputError` with the known names."""
    if name not in PAIRS:
        raise InputError(f"unknown pair {name!r}; choose one of {', '.join(PAIRS)}, or give --target and --draft")
    return PAIRS[name]


def chosen_models(
    pair_name: str | None,
    target: str | None,
    draft: str | None,
    target_revision: str | None,
    draft_revision: str | None,
    trust: bool,
    draft_quant: str = "none",
) -> dict[str, Any]:
    """`pair`, `target` and `draft` of a `RunSpec`, by the options of these names; without any, the bundled pair."""
    found = _named(pair_name, target, draft, target_revision, draft_revision, trust)
    if draft_quant == "none" or (draft_quant == "auto" and found["draft"] is None):
        return found
    if found["draft"] is None:
        raise InputError(f"--draft-quant {draft_quant} needs a --draft")
    values = found["draft"].model_dump() | {"quantization": draft_quant}
    try:
        return found | {"draft": build(ModelSpec, values)}
    except InputError:
        raise InputError(f"--draft-quant {draft_quant!r}: choose {', '.join(get_args(Quantization))}") from None


def _named(
    pair_name: str | None,
    target: str | None,
    draft: str | None,
    target_revision: str | None,
    draft_revision: str | None,
    trust: bool,
) -> dict[str, Any]:
    for option, value in (("--pair", pair_name), ("--target", target), ("--draft", draft)):
        if value is not None and not value.strip():  # a variable of the shell that is not set
            raise InputError(f"{option} {value!r}: name one, or leave {option} out")
    if pair_name and (target or draft):
        raise InputError("give either --pair or --target and --draft")
    if not target:
        if draft:
            raise InputError("--draft needs a --target")
        if target_revision or draft_revision or trust:
            raise InputError("--target-revision, --draft-revision and --trust-remote-code need a --target")
        chosen = pair(pair_name or "tiny")
        return {"pair": chosen.name, "target": chosen.target, "draft": chosen.draft}
    return {
        "target": ModelSpec(source=target, revision=target_revision, trust_remote_code=trust),
        "draft": ModelSpec(source=draft, revision=draft_revision, trust_remote_code=trust) if draft else None,
    }


def available(spec: PairSpec) -> bool:
    """Whether both models can be loaded without a download."""
    return located(spec.target) is not None and located(spec.draft) is not None
