"""Results of `gsd bench` as tables: methods with intervals, and their speed-ups by prompt and kind. All measured."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from analysis.compare import Comparison, compare
from gsd.errors import InputError

_FIGURES = ("mean_acceptance_length", "draft_forwards", "target_forwards", "overhead_ms_per_round", "matches",
            "prompts")  # fmt: skip
HALF = ("bfloat16", "float16")  # a forward over many tokens rounds otherwise than one over a single token


@dataclass(frozen=True, slots=True)
class Bench:
    """One result.

    `methods`  a row each, the fastest first: `method`, `drafts` (whether a forward yields more than one token),
               `speedup` (mean over prompts), `low` and `high` (its bootstrap interval over prompts), `worst`, `best`,
               `odd` (texts that leave plain decoding's further than rounding does), and counts as in the file
    `prompts`  a row for each method and prompt: `method`, `prompt`, `kind` (None where it is not known), `speedup`
    """

    methods: pd.DataFrame
    prompts: pd.DataFrame
    baseline: str
    settings: dict[str, Any]
    machine: dict[str, Any]


def read_bench(content: bytes, name: str) -> Bench:
    """What `gsd bench --json` printed. Raises `InputError` where the content is something else."""
    try:
        found = json.loads(content)
        prompts = _prompts(found)
        methods = [_method(method, row) for method, row in found["methods"].items()]
        table = pd.DataFrame(methods).sort_values("speedup", ascending=False, kind="stable", ignore_index=True)
        return Bench(table, prompts, str(found["baseline"]), dict(found["settings"]), dict(found["machine"]))
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise InputError(f"{name} is no result of a benchmark ({error}); make one with gsd bench --json") from None


def results(folder: Path) -> dict[str, Path]:
    """The results in a folder by name; other measurements that lie there are left out."""
    found = sorted(folder.glob("*.json"), reverse=True)
    return {path.stem: path for path in found if b'"speedups"' in path.read_bytes()}


def against(bench: Bench, candidate: str, reference: str) -> Comparison:
    """One method against another, paired by prompt."""
    by_method = {method: dict(zip(part["prompt"], part["speedup"])) for method, part in bench.prompts.groupby("method")}
    return compare(by_method[candidate], by_method[reference])


def by_kind(bench: Bench) -> pd.DataFrame:
    """Mean speed-up of each method (rows, the fastest first) on each kind of prompt (columns), where they are known."""
    known = bench.prompts.dropna(subset="kind")
    table = known.pivot_table(index="method", columns="kind", values="speedup", sort=False)
    return table.reindex([method for method in bench.methods["method"] if method in table.index])


def prompts_by_kind(bench: Bench) -> pd.Series:
    """How many prompts there are of each kind that is known."""
    return bench.prompts.dropna(subset="kind").groupby("kind")["prompt"].nunique()


def same_text(bench: Bench) -> str:
    """On how many prompts a method gave the text of plain decoding; empty where texts were sampled or not compared."""
    rows = bench.methods.dropna(subset="matches")
    if rows.empty:
        return ""
    apart = rows[rows["matches"] < rows["prompts"]]
    if apart.empty:
        return "Every method gave the text of plain decoding on every prompt"
    counts = ", ".join(
        f"{row.method} on {row.matches:.0f} of {row.prompts}{f' ({row.odd:.0f} beyond rounding)' * (row.odd > 0)}"
        for row in apart.itertuples()
    )
    dtype = str(bench.settings.get("dtype", "")).removeprefix("torch.")
    why = f"; in {dtype} near-ties flip" if dtype in HALF and not apart["odd"].any() else ""
    return f"Same text as plain decoding: {counts}{why}"


def _prompts(found: dict[str, Any]) -> pd.DataFrame:
    rows = []
    ids = [one["id"] for one in found.get("prompts") or ()]
    if len(set(ids)) < len(ids):
        raise ValueError("two of its prompts have the same id")
    for method, row in found["methods"].items():
        ratios = [float(ratio) for ratio in row["speedups"]]
        named = found.get("prompts") or [{"id": f"prompt {i + 1}", "kind": None} for i in range(len(ratios))]
        if len(named) != len(ratios) or not ratios:
            raise ValueError(f"{method} has {len(ratios)} ratios for {len(named)} prompts")
        rows += [{"method": method, "prompt": str(one["id"]), "kind": one["kind"], "speedup": ratio}
                 for one, ratio in zip(named, ratios)]  # fmt: skip
    return pd.DataFrame(rows)


def _method(method: str, row: dict[str, Any]) -> dict[str, Any]:
    low, high = row["speedup_interval"]
    return {"method": method, "drafts": row["mean_acceptance_length"] > 1, "speedup": float(np.mean(row["speedups"])),
            "low": low, "high": high, "worst": min(row["speedups"]), "best": max(row["speedups"]),
            "odd": row.get("beyond_rounding") or 0, **{name: row[name] for name in _FIGURES}}  # fmt: skip
