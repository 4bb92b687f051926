"""One method of a benchmark against each of the others, from its calls.

    gsd bench ... --csv calls.csv
    python -m benchmarks.against calls.csv --method auto

A ratio is the other's time per token over the method's, both of the same repeat, so that above 1 the method is faster:
of a prompt the median over repeats, then the geometric mean over prompts with its interval. `auto` learns
from what it decodes, so the first calls alone are told as well; and the time of all texts, in which slow ones weigh
more. A prompt where one of the two failed, or was cut by an interrupt, is left out of their row.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd

from benchmarks.common import ends, over_prompts, told
from gsd.errors import InputError

COLUMNS = ("prompt", "method", "repeat", "new_tokens", "wall_ms")
HEADER = ("", "all calls", "95 %", "ahead on", "at the least", "first calls", "95 %", "time of all texts")


def main() -> None:
    """Print a Markdown table."""
    given = _arguments()
    calls = read_calls(given.calls)
    methods = list(calls["method"].unique())
    if given.method not in methods:
        raise InputError(f"{given.method} was not measured: {given.calls} has {', '.join(methods)}")
    unknown = sorted(set(given.without) - set(calls["prompt"]))
    if unknown:
        raise InputError(f"{given.calls} has no prompt {', '.join(unknown)}")
    calls = calls[~calls["prompt"].isin(given.without)]
    if calls.empty:
        raise InputError("--without leaves no prompt")
    print(f"`{given.method}` against the others, {calls['prompt'].nunique()} prompts:\n")
    print(f"| {' | '.join(HEADER)} |\n{'|---' * len(HEADER)}|")
    for other in methods:
        if other != given.method:
            both = paired(calls, given.method, other)
            made = cells(both, given.method, other) if len(both) else ["", "", "0/0", *[""] * 4]
            print(f"| {' | '.join([f'`{other}`', *made])} |")


def read_calls(file: Path) -> pd.DataFrame:
    """What `gsd bench --csv` wrote. Raises `InputError` for anything else."""
    try:
        calls = pd.read_csv(file, converters={"prompt": _name, "method": _name})  # ids may look like numbers
    except (OSError, ValueError) as error:
        raise InputError(f"{file} cannot be read as CSV: {error}") from None
    missing = [column for column in COLUMNS if column not in calls]
    if missing or calls.empty:
        lack = f"no column {', '.join(missing)}" if missing else "no calls"
        raise InputError(f"{file} has {lack}: it is not what gsd bench --csv writes")
    return calls


def paired(calls: pd.DataFrame, method: str, other: str) -> pd.DataFrame:
    """The calls of two methods on the prompts where both took all their turns: neither failed nor was cut."""
    of_both = calls[calls["method"].isin([method, other])]
    timed = of_both.dropna(subset="wall_ms").groupby("prompt")["repeat"].count()
    return of_both[of_both["prompt"].isin(timed.index[timed == 2 * calls["repeat"].nunique()])]


def _name(cell: str) -> str:
    """A text as `gsd.trace.csvfile` writes it."""
    return cell.removeprefix("'")


def cells(calls: pd.DataFrame, method: str, other: str) -> list[str]:
    """The row of `other`."""
    per_token = calls["wall_ms"] / calls["new_tokens"]
    by_call = per_token.groupby([calls["prompt"], calls["repeat"], calls["method"]]).mean().unstack()
    ratios = (by_call[other] / by_call[method]).unstack()  # prompts × repeats
    every, first = over_prompts(list(ratios.median(axis=1))), over_prompts(list(ratios.iloc[:, 0]))
    ahead = sum(ratio > 1 for ratio in every["ratios"])
    times = calls.groupby("method")[["wall_ms", "new_tokens"]].sum()
    times = times["wall_ms"] / times["new_tokens"]
    return [f"{every['ratio']:.2f}", ends(every), f"{ahead}/{len(ratios)}", f"{min(every['ratios']):.2f}",
            f"{first['ratio']:.2f}", ends(first), f"{times[other] / times[method]:.2f}"]  # fmt: skip


def _arguments() -> argparse.Namespace:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("calls", type=Path, help="what gsd bench --csv wrote")
    options.add_argument("--method", default="auto")
    options.add_argument("--without", nargs="+", default=[], metavar="PROMPT", help="ids of prompts to leave out")
    return options.parse_args()


if __name__ == "__main__":
    told(main)
