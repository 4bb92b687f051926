"""What the commands share on the way in: option types, and specs built from them."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Any, get_args

import typer

from gsd.config import HEEDED, DraftSpec, ModelSpec, Prompt, Quantization, build, preset
from gsd.errors import InputError
from gsd.pairs import pair
from gsd.prompts import PromptFile, read_prompts

PairName = Annotated[str | None, typer.Option("--pair", help="A preset of `gsd pairs`.")]
Target = Annotated[str | None, typer.Option(help="Target: hub id, folder or GGUF file.")]
Draft = Annotated[str | None, typer.Option(help="Draft: hub id, folder or GGUF file.")]
TargetRevision = Annotated[str | None, typer.Option(help="Hub revision of the target.")]
DraftRevision = Annotated[str | None, typer.Option(help="Hub revision of the draft.")]
DraftQuant = Annotated[
    str,
    typer.Option(
        metavar="none|int8|int4", help="Hold the draft's weights in so many bits: faster on a CPU, same text."
    ),
]
Trust = Annotated[bool, typer.Option("--trust-remote-code", help="Run code that comes with the models.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:I; auto takes every CUDA device there is.")]
DtypeName = Annotated[str, typer.Option(help="auto, float32, bfloat16 or float16.")]
Packed = Annotated[
    bool,
    typer.Option(
        "--packed/--in-rows",
        help="Lay weights out for the CPU's matrix kernels: faster, same text but for near ties in bfloat16.",
    ),
]
PresetName = Annotated[
    str | None, typer.Option("--preset", help="paper, fast or wide; an option given beside it wins.")
]
# Numbers come as text: the specs check them, so that every bad one gets the same message with its value.
NewTokens = Annotated[str, typer.Option(metavar="INT", help="Tokens to generate at most.")]
Temperature = Annotated[str, typer.Option(metavar="NUMBER", help="0 is greedy.")]
TopK = Annotated[str, typer.Option(metavar="INT", help="0: off.")]
TopP = Annotated[str, typer.Option(metavar="NUMBER", help="1: off.")]
Seed = Annotated[str, typer.Option(metavar="INT", help="Same seed, same text, whatever the method.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object on standard output, nothing else.")]


def drafting(preset_name: str | None, given: dict[str, Any]) -> DraftSpec:
    """The preset's settings with whatever was given on top."""
    chosen = {name: value for name, value in given.items() if value is not None}
    return build(DraftSpec, {**(preset(preset_name) if preset_name else {}), **chosen})


def refuse_unread(given: Collection[str], spec: DraftSpec, option: str) -> None:
    """Refuse settings that the method would ignore; `option` is what their names stand behind."""
    read = HEEDED[spec.method] - {"method"}
    if unread := set(given) - read - {"method"}:
        raise InputError(f"{option}{min(unread).replace('_', '-')}: {spec.method} does not read it; it reads "
                         f"{', '.join(sorted(read)) or 'no setting'}")  # fmt: skip


def models(
    pair_name: str | None,
    target: str | None,
    draft: str | None,
    target_revision: str | None,
    draft_revision: str | None,
    trust: bool,
    draft_quant: str = "none",
) -> dict[str, Any]:
    """`pair`, `target` and `draft` of a `RunSpec`."""
    found = _named(pair_name, target, draft, target_revision, draft_revision, trust)
    if draft_quant == "none":
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


def prompts(prompt: str | None, prompt_file: Path | None) -> PromptFile:
    """The prompt given alone, or those of the file."""
    if (prompt is None) == (prompt_file is None):
        raise InputError("give a --prompt or a --prompt-file")
    return read_prompts(prompt_file) if prompt_file else PromptFile([build(Prompt, {"prompt": prompt})], [1], [])
