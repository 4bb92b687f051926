"""Tune every other method as hard as `auto`: settings at random for each, measured side by side, and the best of each.

    python -m benchmarks.tune_baselines --pair qwen2.5-coder --draft-quant int4 --dtype bfloat16 --settings 12

Each method draws as many settings from its own grid (`auto` has none); transformers' assisted generation and prompt
lookup try all their lengths. Tune on other prompts than those that are then reported: a best of many looks better
than it is. Prints JSON: the best of each method first, then every setting; an interrupt keeps whole prompts. Leave the
machine alone meanwhile.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
from itertools import product
from pathlib import Path
from typing import Any

from benchmarks.common import add_prompts, parser, positive, prompts_of, run_spec, told
from gsd.config import RunSpec
from gsd.decode.runner import Runner
from gsd.lab.bench import measure, summary
from gsd.lab.external import EXTERNAL, check_assistant
from gsd.machine.environment import machine
from gsd.methods import PRESETS, MethodSettings, drafting

PLAIN = "hf-greedy"
BRANCHING = {
    "depth": (4, 8, 12, 20),
    "width": (2, 3, 4),
    "prob_threshold": (0.05, 0.2, 0.4, 0.6),
    "sibling_threshold": (0.1, 0.3),
    "frontier": (2, 3, 6),
    "budget": (16, 32, 48),
}
WAYS = ("hf-assisted", "hf-assisted-q", "hf-lookup")  # of transformers
GRIDS: dict[str, dict[str, tuple]] = {
    "auto": {},  # has nothing to choose
    "chain": {"depth": (2, 3, 4, 6, 8, 12, 20), "prob_threshold": (0.0, 0.2, 0.4, 0.6)},
    "tree": BRANCHING,
    "graph": {**BRANCHING, "merge_context": (0, 1, 2)},
    "paper": {  # what the authors vary, and how deep
        "depth": (4, 6, 8, 12),
        "merge_context": (None, 0, 1),
        "prob_threshold": (0.3, 0.4),
        "sibling_threshold": (0.1, 0.3, 0.4),
    },
}


def drawn(method: str, count: int, seed: int) -> dict[str, MethodSettings]:
    """At most `count` different settings of a method's grid, by a name that says them."""
    grid = GRIDS[method]
    fixed = {**PRESETS["paper"], "method": "graph"} if method == "paper" else {"method": method}
    points = [dict(zip(grid, values)) for values in product(*grid.values())]
    chosen = random.Random(seed).sample(points, min(count, len(points)))
    return {f"{method} {_said(point)}".strip(): drafting(**{**fixed, **point}) for point in chosen}


def contenders(spec: RunSpec, methods: list[str], count: int, seed: int) -> dict[str, MethodSettings]:
    """Both baselines, the drawn settings of our methods, and all lengths of transformers' ways."""
    plain = drafting(method="ar")
    chosen = {"ar": plain, PLAIN: plain}
    for method in methods:
        if method in GRIDS:
            chosen |= drawn(method, count, seed)
            continue
        for name in EXTERNAL:
            if _family(name) == method:
                check_assistant(name, spec)
                chosen[name] = plain
    return chosen


def report(rows: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The best setting of each method by mean speed-up over transformers' plain decoding, and all settings.

    One that failed on every prompt stands last; on how many each failed is said.
    """
    table = [{"setting": name, **{key: row[key] for key in ("speedup_over_transformers", "speedup", "speedup_worst",
              "mean_acceptance_length", "tokens_per_s", "failures")}} for name, row in rows.items()]  # fmt: skip
    table.sort(key=lambda row: -(row["speedup_over_transformers"] or 0.0))
    best: dict[str, dict[str, Any]] = {}
    for row in table:
        best.setdefault(_family(row["setting"]), row)
    return {"best": best, "settings": table}


def main() -> None:
    """Measure and print."""
    options = _options()
    ways = [way for way in WAYS if options.draft_quant != "none" or EXTERNAL[way].assistant != "quantised"]
    methods = options.methods.split(",") if options.methods else [*GRIDS, *ways]
    if unknown := [method for method in methods if method not in (*GRIDS, *WAYS)]:
        raise SystemExit(f"unknown methods {', '.join(unknown)}; choose among {', '.join((*GRIDS, *WAYS))}")
    prompts = prompts_of(options)
    spec = run_spec(options, drafting())
    chosen = contenders(spec, methods, options.settings, options.seed)
    runner = Runner.of(spec)
    ids = [runner.encode(prompt) for prompt in prompts]
    results = []
    with contextlib.suppress(KeyboardInterrupt):  # what was measured is kept
        for result in measure(runner, spec, chosen, ids, repeats=options.repeats):
            results.append(result)
    if not results:
        raise SystemExit("stopped before a prompt was measured")
    measured = prompts[: len(results)]
    rows = summary(results, [prompt.kind for prompt in measured], PLAIN)
    print(json.dumps({**report(rows), "prompts": [prompt.id for prompt in measured],
                      "machine": machine(runner.target.devices)}, indent=1))  # fmt: skip


def _options() -> argparse.Namespace:
    options = parser(__doc__, new_tokens=64, repeats=1)
    add_prompts(options, default=Path(__file__).parent / "prompts" / "mixed.jsonl", count=4)
    options.add_argument("--methods", help="those to tune, or to compare with; without it all")
    options.add_argument("--settings", type=positive, default=12, help="for each method")
    options.add_argument("--seed", type=int, default=0)
    return options.parse_args()


def _family(setting: str) -> str:
    """The method of a setting's name; an external method's lengths are one family."""
    method = setting.partition(" ")[0]
    return method.rstrip("0123456789").rstrip("-") if method in EXTERNAL else method


def _said(point: dict[str, Any]) -> str:
    return " ".join(f"{name}={value}" for name, value in point.items())


if __name__ == "__main__":
    told(main)
