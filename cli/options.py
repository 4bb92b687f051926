"""What the commands share on the way in: option types, and specs built from them."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Any

import typer

from gsd.decode.prompts import PromptFile, read_prompts
from gsd.errors import InputError
from gsd.spec import HEEDED, DraftSpec, Prompt, build, preset

PairName = Annotated[str | None, typer.Option("--pair", help="A preset of `gsd pairs`.")]
Target = Annotated[str | None, typer.Option(help="Target: hub id, folder or GGUF file.")]
Draft = Annotated[str | None, typer.Option(help="Draft: hub id, folder or GGUF file.")]
TargetRevision = Annotated[str | None, typer.Option(help="Hub revision of the target.")]
DraftRevision = Annotated[str | None, typer.Option(help="Hub revision of the draft.")]
DraftQuant = Annotated[
    str,
    typer.Option(
        metavar="auto|none|int8|int4",
        help="Bits of the draft's weights; same text. auto: what is fastest on this CPU, by a measurement of under two "
        "seconds that is kept; none for a model of less than 100 million parameters, and on a GPU.",
    ),
]
Trust = Annotated[bool, typer.Option("--trust-remote-code", help="Run code that comes with the models.")]
Excel = Annotated[
    bool, typer.Option("--excel", help="Begin CSV files with a byte-order mark, by which Excel knows UTF-8.")
]
# For what a file names, which may be somebody else's.
Load = Annotated[
    list[str] | None,
    typer.Option("--load", metavar="MODEL[@REVISION]", help="A model that the file names and that may be loaded from "
                 "a path of this machine; repeat for several."),
]  # fmt: skip
TrustNamed = Annotated[
    bool, typer.Option("--trust-remote-code", help="Run code that comes with the models that --load names.")
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:I; auto takes every CUDA device there is.")]
DtypeName = Annotated[
    str,
    typer.Option(
        help="auto, float32, bfloat16 or float16. auto on a CPU: what is fastest by measurement where the target has "
        "100 million parameters or more, else float32. float32 where identity matters.",
    ),
]
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


def prompts(prompt: str | None, prompt_file: Path | None) -> PromptFile:
    """The prompt given alone, or those of the file."""
    if (prompt is None) == (prompt_file is None):
        raise InputError("give a --prompt or a --prompt-file")
    return read_prompts(prompt_file) if prompt_file else PromptFile([build(Prompt, {"prompt": prompt})], [1], [])


def refuse_excel(excel: bool, csv: Path | None) -> None:
    """Refuse the mark where no CSV file is written that could have it."""
    if excel and csv is None:
        raise InputError("--excel is for CSV files: give --csv, too, or leave it out")
