"""What the commands share on the way in: option types, and specs built from them."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from gsd.decode.prompts import PromptFile, read_prompts
from gsd.errors import InputError
from gsd.methods import (
    METHODS,
    PRESETS,
    USUAL,
    Method,
    MethodSettings,
    known,
    method_named,
    preset,
    settings_of,
    unread_words,
)
from gsd.methods.setting import Setting
from gsd.spec import Prompt, build

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
        "--packed/--unpacked",
        help="Lay weights out for the CPU's matrix kernels: faster, same text but for near ties in bfloat16.",
    ),
]
PresetName = Annotated[
    str | None, typer.Option("--preset", help=f"{', '.join(PRESETS)}; an option given beside it wins.")
]
# Numbers come as text: the specs check them, so that every bad one gets the same message with its value.
NewTokens = Annotated[str, typer.Option(metavar="INT", help="Tokens to generate at most.")]
Temperature = Annotated[str, typer.Option(metavar="NUMBER", help="0 is greedy.")]
TopK = Annotated[str, typer.Option(metavar="INT", help="0: off.")]
TopP = Annotated[str, typer.Option(metavar="NUMBER", help="1: off.")]
Seed = Annotated[str, typer.Option(metavar="INT", help="Same seed, same text, whatever the method.")]
MethodName = Annotated[
    str | None, typer.Option("--method", metavar="|".join(METHODS), help=f"How to draft. [default: {USUAL}]")
]
Set = Annotated[list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="A setting of the method, too.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object on standard output, nothing else.")]


def with_settings(command: Callable[..., None]) -> Callable[..., None]:
    """A command with an option for every setting of every method, in place of its parameter `settings`.

    That gets what was given, by name. A setting whose name the command has for something else is set by --set alone.
    """
    signature = inspect.signature(command, eval_str=True)
    own = [one for name, one in signature.parameters.items() if name != "settings"]
    free = {name: setting for name, setting in known().items() if setting.words and name not in signature.parameters}
    options = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=_option(setting))
        for name, setting in free.items()
    ]

    @functools.wraps(command)
    def given(**values: Any) -> None:
        command(settings={name: value for name in free if (value := values.pop(name)) is not None}, **values)

    given.__signature__ = signature.replace(  # type: ignore[attr-defined]  # read by inspect, in no type
        parameters=[one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in own] + options
    )
    given.__annotations__ = {one.name: one.annotation for one in [*own, *options]}
    return given


def _option(setting: Setting) -> Any:
    """A setting as an option: its words, who reads it, and what it is by default."""
    readers = [name for name, one in METHODS.items() if setting.name in settings_of(one)]
    drafting = [name for name, one in METHODS.items() if settings_of(one)]
    who = "" if len(readers) > len(drafting) / 2 else f"{', '.join(readers)}: "
    default = "none" if setting.default is None else setting.default
    help = who + (setting.words.help.replace("`", "") if setting.words else "")
    if setting.kind is bool:
        return Annotated[bool | None, typer.Option(help=f"{help} [default: {'yes' if default else 'no'}]")]
    return Annotated[str | None, typer.Option(metavar=setting.metavar, help=f"{help} [default: {default}]")]


def assigned(settings: list[str] | None) -> dict[str, str]:
    """NAME=VALUE of several --set, by name."""
    found = {}
    for setting in settings or ():
        name, equals, value = setting.partition("=")
        if not equals:
            raise InputError(f"--set {setting!r}: give NAME=VALUE, such as width=3")
        found[name.replace("-", "_")] = value
    return found


def drafting(preset_name: str | None, name: str | None, given: Mapping[str, Any], option: str = "--") -> MethodSettings:
    """A method's settings: of the preset what it reads, and on top whatever was given, which it must read.

    `option` is what the names of those that were given stand behind.
    """
    one = method_named(name or USUAL)
    if unread := given.keys() - settings_of(one).keys():
        raise InputError(unread_words(one, min(unread), option))
    return build(one.Settings, {**_of_preset(preset_name, one), **given})


def _of_preset(name: str | None, one: Method) -> dict[str, Any]:
    return {setting: value for setting, value in (preset(name) if name else {}).items() if setting in settings_of(one)}


def prompts(prompt: str | None, prompt_file: Path | None) -> PromptFile:
    """The prompt given alone, or those of the file."""
    if (prompt is None) == (prompt_file is None):
        raise InputError("give a --prompt or a --prompt-file")
    return read_prompts(prompt_file) if prompt_file else PromptFile([build(Prompt, {"prompt": prompt})], [1], [])


def refuse_excel(excel: bool, csv: Path | None) -> None:
    """Refuse the mark where no CSV file is written that could have it."""
    if excel and csv is None:
        raise InputError("--excel is for CSV files: give --csv, too, or leave it out")
