"""Results of `gsd bench` as tables: methods with intervals, and speed-ups by prompt and kind. All measured."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from statistics import geometric_mean
from typing import Any

import pandas as pd

from analysis.compare import Comparison, compare
from gsd.errors import InputError
from gsd.lab.means import mean_of
from gsd.wording import counted

_FIGURES = ("mean_acceptance_length", "draft_forwards", "target_forwards", "overhead_ms_per_round", "matches",
            "prompts")  # fmt: skip
HALF = ("bfloat16", "float16")  # a forward over many tokens rounds otherwise than one over a single token


@dataclass(frozen=True, slots=True)
class Bench:
    """One result.

    `methods`  a row each, the fastest first: `method`, `drafts` (whether a forward yields more than one token),
               `speedup` (geometric mean over prompts), `low` and `high` (its interval, empty of one prompt), `worst`,
               `best`, `compared` (prompts whose texts were compared), `odd` (texts that leave plain decoding's further
               than rounding does), and counts as in the file; none for a method that was measured on no prompt
    `prompts`  a row for each method and prompt that has a ratio: `method`, `prompt`, `kind` (None where it is not
               known), `speedup`
    `measured` prompts, of so many `given`
    `failures` by method, by prompt, the error
    """

    methods: pd.DataFrame
    prompts: pd.DataFrame
    measured: int
    given: int
    baseline: str
    settings: dict[str, Any]
    machine: dict[str, Any]
    failures: dict[str, dict[str, str]]


def read_bench(content: bytes, name: str) -> Bench:
    """Read the output of `gsd bench --json`. Raises `InputError` for other content."""
    try:
        found = json.loads(content)
        prompts = _prompts(found)
        methods = [_method(method, row) for method, row in found["methods"].items() if _known(row)]
        table = pd.DataFrame(methods).sort_values("speedup", ascending=False, kind="stable", ignore_index=True)
        measured = len(next(iter(found["methods"].values()))["speedups"])
        return Bench(table, prompts, measured, int(found.get("prompts_given") or measured), str(found["baseline"]),
                     dict(found["settings"]), dict(found["machine"]), _failures(found))  # fmt: skip
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError, StopIteration) as error:
        raise InputError(f"{name} is no result of a benchmark ({error}); make one with gsd bench --json") from None


def results(folder: Path) -> dict[str, Path]:
    """The benchmark results in a folder, by name. Other files are left out."""
    found = sorted(folder.glob("*.json"), reverse=True)
    return {path.stem: path for path in found if b'"speedups"' in path.read_bytes()}


def against(bench: Bench, candidate: str, reference: str) -> Comparison | None:
    """Compare two methods on the prompts where both were measured. None if there is no such prompt."""
    by_method = {method: dict(zip(part["prompt"], part["speedup"])) for method, part in bench.prompts.groupby("method")}
    ours, theirs = by_method[candidate], by_method[reference]
    both = [prompt for prompt in theirs if prompt in ours]
    if not both:
        return None
    return compare({prompt: ours[prompt] for prompt in both}, {prompt: theirs[prompt] for prompt in both})


def by_kind(bench: Bench) -> pd.DataFrame:
    """Geometric mean of each method's speed-ups (rows, the fastest first) on each known kind of prompt (columns)."""
    known = bench.prompts.dropna(subset="kind")
    table = known.pivot_table(index="method", columns="kind", values="speedup", sort=False, aggfunc=geometric_mean)
    return table.reindex([method for method in bench.methods["method"] if method in table.index])


def prompts_by_kind(bench: Bench) -> pd.Series:
    """How many prompts there are of each kind that is known."""
    return bench.prompts.dropna(subset="kind").groupby("kind")["prompt"].nunique()


def same_text(bench: Bench) -> str:
    """On how many prompts a method gave the text of plain decoding; empty where texts were sampled or not compared."""
    rows = bench.methods.dropna(subset="matches")
    if rows.empty:
        return ""
    apart = rows[rows["matches"] < rows["compared"]]
    if apart.empty:
        return "Every method gave the text of plain decoding on every prompt"
    counts = ", ".join(
        f"{row.method} on {row.matches:.0f} of {row.compared:.0f}{f' ({row.odd:.0f} beyond rounding)' * (row.odd > 0)}"
        for row in apart.itertuples()
    )
    dtype = str(bench.settings.get("dtype", "")).removeprefix("torch.")
    why = f"; in {dtype} near-ties flip" if dtype in HALF and not apart["odd"].any() else ""
    return f"Same text as plain decoding: {counts}{why}"


def lacks(bench: Bench) -> list[str]:
    """What is missing in a result: prompts not measured, and methods that failed, with their errors."""
    given, measured = counted(bench.given, "prompt"), counted(bench.measured, "prompt")
    cut = [f"Incomplete: {bench.measured} of {given} were measured"] * (bench.measured < bench.given)
    return cut + [
        f"{method} failed on {len(errors)} of {measured}, which its means leave out: "
        f"{'; '.join(dict.fromkeys(errors.values()))}"
        for method, errors in bench.failures.items()
    ]


def _known(row: dict[str, Any]) -> list[float]:
    """A method's ratios, without the prompts on which it or its baseline failed."""
    ratios = [float(ratio) for ratio in row["speedups"] if ratio is not None]
    if not all(0 < ratio < float("inf") for ratio in ratios):
        raise ValueError("a speed-up is no positive number")
    return ratios


def _failures(found: dict[str, Any]) -> dict[str, dict[str, str]]:
    of_methods = {method: row.get("failures") or [] for method, row in found["methods"].items()}  # earlier: none
    by_method = {
        method: {str(one["id"]): str(error) for one, error in zip(_named(found, len(errors)), errors) if error}
        for method, errors in of_methods.items()
    }
    return {method: errors for method, errors in by_method.items() if errors}


def _named(found: dict[str, Any], count: int) -> list[dict[str, Any]]:
    """The prompts, numbered where the result does not name them."""
    return found.get("prompts") or [{"id": f"prompt {i + 1}", "kind": None} for i in range(count)]


def _prompts(found: dict[str, Any]) -> pd.DataFrame:
    rows = []
    ids = [one["id"] for one in found.get("prompts") or ()]
    if len(set(ids)) < len(ids):
        raise ValueError("two of its prompts have the same id")
    for method, row in found["methods"].items():
        ratios = row["speedups"]
        named = _named(found, len(ratios))
        if len(named) != len(ratios) or not ratios:
            raise ValueError(f"{method} has {len(ratios)} ratios for {len(named)} prompts")
        rows += [{"method": method, "prompt": str(one["id"]), "kind": one["kind"], "speedup": float(ratio)}
                 for one, ratio in zip(named, ratios) if ratio is not None]  # fmt: skip
    return pd.DataFrame(rows)


def _method(method: str, row: dict[str, Any]) -> dict[str, Any]:
    ratios = _known(row)
    mean = mean_of(ratios)
    low, high = mean.ends or (math.nan, math.nan)
    return {"method": method, "drafts": row["mean_acceptance_length"] > 1, "speedup": mean.value,
            "low": low, "high": high, "worst": min(ratios), "best": max(ratios),
            "compared": row.get("compared", row["prompts"]),  # all of them in results of earlier versions
            "odd": row.get("beyond_rounding") or 0, **{name: row[name] for name in _FIGURES}}  # fmt: skip
