"""What these scripts share: the pair, checked options, ratios in a row, and errors told in one line."""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, get_args

from cli.signals import interruptible
from gsd.config import RunSpec
from gsd.decode.prompts import read_prompts
from gsd.errors import GsdError, InputError
from gsd.lab.means import geometric
from gsd.methods import MethodSettings
from gsd.models.pairs import pair
from gsd.spec import Dtype, Prompt, Quantization, build
from gsd.trace.writer import check_writable

SPEED = Path(__file__).parent / "prompts" / "speed.jsonl"


def told(main: Callable[[], None]) -> None:
    """Run a script as `gsd` is run: what is wrong with its input is one line, and SIGTERM ends it as Ctrl-C does."""
    try:
        with interruptible():
            main()
    except GsdError as error:
        raise SystemExit(f"error: {error}") from None


def parser(
    description: str, *, new_tokens: int, repeats: int | None = None, draft_quant: bool = True
) -> argparse.ArgumentParser:
    """Options of all scripts that decode, with a script's own defaults; it adds what else it takes.

    `repeats` None: it takes none. `draft_quant` false: how the draft is held is no choice.
    """
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--pair", default="tiny")
    made.set_defaults(draft_quant="none")
    if draft_quant:
        made.add_argument("--draft-quant", default="none", choices=get_args(Quantization))
    made.add_argument("--dtype", default="auto", choices=get_args(Dtype))
    made.add_argument("--max-new-tokens", type=positive, default=new_tokens)
    if repeats is not None:
        made.add_argument("--repeats", type=positive, default=repeats)
    return made


def add_prompts(to: argparse.ArgumentParser, *, default: Path = SPEED, count: int | None = None) -> None:
    """`--prompts FILE` and `--count N`."""
    to.add_argument("--prompts", type=Path, default=default)
    to.add_argument("--count", type=positive, default=count, help="prompts, the first ones of the file; else all")


def add_out(to: argparse.ArgumentParser, *, required: bool = True) -> None:
    """`--out FILE`, in a folder that is made, or refused, before anything is measured."""
    to.add_argument("--out", type=_new_file, required=required)


def positive(text: str) -> int:
    """A whole number of 1 or more."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is less than 1")
    return number


def _new_file(text: str) -> Path:
    try:
        check_writable(Path(text).parent)
    except GsdError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return Path(text)


def prompts_of(given: argparse.Namespace) -> list[Prompt]:
    """The prompts asked for. Raises `InputError` where a line of the file is none: figures would be of fewer."""
    file = read_prompts(given.prompts)
    if file.broken:
        raise InputError(f"{given.prompts}, line {file.broken[0].line}: {file.broken[0].error}")
    return file.prompts[: given.count]


def run_spec(given: argparse.Namespace, drafting: MethodSettings) -> RunSpec:
    """A run of the pair asked for, untraced; its prompt stands for any. Raises `InputError`."""
    chosen = pair(given.pair)
    draft = chosen.draft.model_copy(update={"quantization": given.draft_quant})
    return build(RunSpec, {"target": chosen.target, "draft": draft, "pair": chosen.name, "dtype": given.dtype,
                           "prompt": Prompt(prompt="-"), "drafting": drafting, "detail": "counters",
                           "max_new_tokens": given.max_new_tokens})  # fmt: skip


def over_prompts(ratios: Sequence[float]) -> dict[str, Any]:
    """Ratios of times by prompt, put together: their geometric mean with its interval, and their median."""
    mean = geometric(ratios)
    return {"ratio": mean.value, "low": mean.low, "high": mean.high, "median": statistics.median(ratios),
            "ratios": list(ratios)}  # fmt: skip


def ends(row: dict[str, Any], digits: int = 2) -> str:
    """The interval of a row of `over_prompts` in a cell; blank of one prompt, which has none."""
    return "" if row["low"] is None else f"{row['low']:.{digits}f}–{row['high']:.{digits}f}"


def write(report: dict[str, Any], file: Path) -> None:
    """As JSON."""
    file.write_text(json.dumps(report, indent=1) + "\n")
