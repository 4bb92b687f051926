"""Options that several commands share, and the specs built from them."""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from gsd.decode.prompts import PromptFile, read_prompts
from gsd.errors import InputError, TraceError
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
from gsd.models.pairs import chosen_models
from gsd.spec import Prompt, SamplingSpec, build
from gsd.trace.writer import check_writable

PROMPT_FILE = "Prompt file: JSON lines with the key prompt and, optionally, id, kind and chat."
Json = Annotated[bool, typer.Option("--json", help="Write one JSON object to standard output, and nothing else.")]
Excel = Annotated[
    bool, typer.Option("--excel", help="Start CSV files with a byte-order mark, so that Excel reads them as UTF-8.")
]
# For models that a file names. Somebody else may have written it.
Load = Annotated[
    list[str] | None,
    typer.Option(
        "--load",
        metavar="MODEL[@REVISION]",
        help="Allow this model of the file to be loaded from a path on this machine. Repeat for several models.",
    ),
]
TrustNamed = Annotated[
    bool, typer.Option("--trust-remote-code", help="Run Python code that comes with the models named by --load.")
]
PresetName = Annotated[
    str | None,
    typer.Option("--preset", metavar="|".join(PRESETS), help="Preset of settings. Options given beside it win."),
]
MethodName = Annotated[
    str | None, typer.Option("--method", metavar="|".join(METHODS), help=f"Drafting method. [default: {USUAL}]")
]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="Set a setting of the method by name. May be repeated."),
]


@dataclass(frozen=True, slots=True)
class Models:
    """Options for the two models and how they are loaded."""

    pair_name: Annotated[
        str | None, typer.Option("--pair", metavar="NAME", help="Preset pair of models; `gsd pairs` lists them.")
    ] = None
    target: Annotated[
        str | None, typer.Option(metavar="MODEL", help="Target model: hub id, local folder or GGUF file.")
    ] = None
    draft: Annotated[
        str | None, typer.Option(metavar="MODEL", help="Draft model: hub id, local folder or GGUF file.")
    ] = None
    target_revision: Annotated[
        str | None, typer.Option(metavar="REVISION", help="Branch, tag or commit of the target on the hub.")
    ] = None
    draft_revision: Annotated[
        str | None, typer.Option(metavar="REVISION", help="Branch, tag or commit of the draft on the hub.")
    ] = None
    draft_quant: Annotated[
        str,
        typer.Option(
            metavar="auto|none|int8|int4",
            help="Precision of the draft's weights. It changes the speed, not the text. auto measures once what is "
            "fastest on this CPU. On a GPU, and for a model below 100 million parameters, auto is none.",
        ),
    ] = "auto"
    trust_remote_code: Annotated[
        bool, typer.Option("--trust-remote-code", help="Run Python code that comes with the models you name.")
    ] = False
    device: Annotated[
        str,
        typer.Option(metavar="auto|cpu|cuda|cuda:I", help="Device. auto uses all CUDA devices, or else the CPU."),
    ] = "auto"
    dtype: Annotated[
        str,
        typer.Option(
            metavar="auto|float32|bfloat16|float16",
            help="Number format. On a CPU, auto is float32 for a target below 100 million parameters, and otherwise "
            "the faster of float32 and bfloat16, as measured. Use float32 if texts must be identical.",
        ),
    ] = "auto"
    packed: Annotated[
        bool,
        typer.Option(
            "--packed/--unpacked",
            help="Rearrange weights for the CPU's matrix kernels while loading. This is faster. In bfloat16 it may "
            "decide near ties differently.",
        ),
    ] = True

    def values(self) -> dict[str, Any]:
        """These options as keys of a `RunSpec`. Raises `InputError` if they contradict each other."""
        chosen = chosen_models(
            self.pair_name,
            self.target,
            self.draft,
            self.target_revision,
            self.draft_revision,
            self.trust_remote_code,
            self.draft_quant,
        )
        return {**chosen, "device": self.device, "dtype": self.dtype, "packed": self.packed}


@dataclass(frozen=True, slots=True)
class Generation:
    """Options for sampling and for the length of a text.

    Numbers come as text. The specs check them, so every bad number gets the same message, with its value.
    """

    max_new_tokens: Annotated[str, typer.Option(metavar="INT", help="Maximum number of tokens to generate.")] = "64"
    temperature: Annotated[str, typer.Option(metavar="NUMBER", help="Sampling temperature. 0 is greedy.")] = "0.0"
    top_k: Annotated[
        str, typer.Option(metavar="INT", help="Sample from the k most probable tokens only. 0 turns this off.")
    ] = "0"
    top_p: Annotated[
        str,
        typer.Option(
            metavar="NUMBER",
            help="Sample from the most probable tokens that add up to this probability. 1 turns this off.",
        ),
    ] = "1.0"
    seed: Annotated[
        str,
        typer.Option(
            metavar="INT", help="Random seed. The same seed gives the same text with every method that keeps the text."
        ),
    ] = "0"

    def sampling(self) -> SamplingSpec:
        """The target's sampling law. Raises `InputError` that names the bad option."""
        given = {"temperature": self.temperature, "top_k": self.top_k, "top_p": self.top_p, "seed": self.seed}
        return build(SamplingSpec, given)

    def values(self) -> dict[str, Any]:
        """These options as keys of a `RunSpec`."""
        return {"sampling": self.sampling(), "max_new_tokens": self.max_new_tokens}


def unfolded(command: Callable[..., None]) -> Callable[..., None]:
    """Replace each parameter that is a group of options, such as `Models`, by the options of the group.

    typer then lists them one by one, and the command gets the group as one value.
    """
    signature = inspect.signature(command, eval_str=True)
    groups: dict[str, Any] = {
        name: one.annotation for name, one in signature.parameters.items() if is_dataclass(one.annotation)
    }
    parameters = []
    for name, one in signature.parameters.items():
        parameters += _options_in(groups[name]) if name in groups else [one]

    @functools.wraps(command)
    def given(**values: Any) -> None:
        made = {name: group(**{one.name: values.pop(one.name) for one in fields(group)})
                for name, group in groups.items()}  # fmt: skip
        command(**made, **values)

    return _with_signature(given, signature, parameters)


def _options_in(group: type) -> list[inspect.Parameter]:
    """The fields of a group as parameters."""
    types = get_type_hints(group, include_extras=True)
    return [
        inspect.Parameter(one.name, inspect.Parameter.KEYWORD_ONLY, default=one.default, annotation=types[one.name])
        for one in fields(group)
    ]


def _with_signature(
    command: Callable[..., None], signature: inspect.Signature, parameters: list[inspect.Parameter]
) -> Callable[..., None]:
    """The command with these parameters, all of them passed by name."""
    by_name = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in parameters]
    command.__signature__ = signature.replace(parameters=by_name)  # type: ignore[attr-defined]  # read by inspect
    command.__annotations__ = {one.name: one.annotation for one in by_name}
    return command


def with_settings(command: Callable[..., None]) -> Callable[..., None]:
    """Replace the parameter `settings` by one option for every setting of every method.

    The command gets the settings that were given, by name. A setting gets no option if the command uses its name for
    something else; `--set` still sets it.
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

    return _with_signature(given, signature, [*own, *options])


def _option(setting: Setting) -> Any:
    """The option of a setting. Its help names the methods that read it, unless most do, and the default."""
    readers = [name for name, one in METHODS.items() if setting.name in settings_of(one)]
    drafting = [name for name, one in METHODS.items() if settings_of(one)]
    who = "" if len(readers) > len(drafting) / 2 else f" For {', '.join(readers)}."
    default = "none" if setting.default is None else setting.default
    help = (setting.words.help.replace("`", "") if setting.words else "") + who
    if setting.kind is bool:
        return Annotated[bool | None, typer.Option(help=f"{help} [default: {'yes' if default else 'no'}]")]
    return Annotated[str | None, typer.Option(metavar=setting.metavar, help=f"{help} [default: {default}]")]


def assigned(settings: list[str] | None) -> dict[str, str]:
    """The values of several `--set NAME=VALUE`, by name. Raises `InputError` if one has no `=`."""
    found = {}
    for setting in settings or ():
        name, equals, value = setting.partition("=")
        if not equals:
            raise InputError(f"--set {setting!r}: give NAME=VALUE, such as width=3")
        found[name.replace("-", "_")] = value
    return found


def drafting(preset_name: str | None, name: str | None, given: Mapping[str, Any], option: str = "--") -> MethodSettings:
    """The settings of a method: its defaults, then those of the preset that it reads, then those given.

    Raises `InputError` if the method does not read one that was given; `option` is the prefix of its name there.
    """
    one = method_named(name or USUAL)
    if unread := given.keys() - settings_of(one).keys():
        raise InputError(unread_words(one, min(unread), option))
    return build(one.Settings, {**_of_preset(preset_name, one), **given})


def _of_preset(name: str | None, one: Method) -> dict[str, Any]:
    return {setting: value for setting, value in (preset(name) if name else {}).items() if setting in settings_of(one)}


def prompts(prompt: str | None, prompt_file: Path | None) -> PromptFile:
    """The prompt given by --prompt, or those of --prompt-file. Raises `InputError` unless one of the two is given."""
    if (prompt is None) == (prompt_file is None):
        raise InputError("give a --prompt or a --prompt-file")
    return read_prompts(prompt_file) if prompt_file else PromptFile([build(Prompt, {"prompt": prompt})], [1], [])


def refuse_excel(excel: bool, csv: Path | None) -> None:
    """Raise `InputError` if --excel is given without --csv."""
    if excel and csv is None:
        raise InputError("--excel is for CSV files: give --csv, too, or leave it out")


def check_file(file: Path | None, option: str) -> None:
    """Raise `InputError` if a file cannot be written. To be called before long work; the folder is made if need be."""
    if file is None:
        return
    try:
        check_writable(file.parent)
    except TraceError as error:
        raise InputError(f"{option} {file}: {error}") from error
    if file.is_dir() or (file.exists() and not os.access(file, os.W_OK)):
        raise InputError(f"{option} {file} is a folder or may not be written: choose another file")
