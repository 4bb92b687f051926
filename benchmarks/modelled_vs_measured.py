"""How far modelled speed-ups are from measured ones: settings of an atlas, replayed and really run.

    python -m benchmarks.modelled_vs_measured ATLAS --settings 24 --repeats 3

Draws settings at random, models each one's speed-up from the atlas and cost curves, and measures it: each
run behind one of `ar`, untraced and warm, the median over repeats, the mean over the atlas's first prompts.
The curves are measured in the same process just before, so that both sides find the machine alike. Both
count the prompt's forward. Prints JSON: a row a setting, the median and largest relative error, and whether
the ten best by model contain the best by measurement. Leave the machine alone meanwhile.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
from dataclasses import asdict
from pathlib import Path

from analysis.replay import Replayer
from analysis.tune import as_row, modelled_speedup
from benchmarks.common import positive, told
from gsd.config import RunSpec
from gsd.decode.recorded import as_recorded
from gsd.decode.runner import Runner
from gsd.errors import InputError
from gsd.lab.atlas import Atlas
from gsd.lab.bench import OwnMethod
from gsd.lab.calibrate import calibrate
from gsd.lab.probe import check_models
from gsd.methods import MethodSettings, drafting

CURVE_REPEATS = 30
TRIES = 50  # settings drawn for one that the atlas covers, at most


def drawn(atlas: Atlas, count: int, seed: int) -> list[MethodSettings]:
    """Settings at random within the atlas's bounds, all methods but `ar` among them, and all of them covered."""
    dice, replayer = random.Random(seed), Replayer(atlas)
    settings: list[MethodSettings] = []
    for _ in range(TRIES * count):
        if len(settings) == count:
            break
        spec = drafting(
            method=dice.choice(["graph", "graph", "tree", "chain"]),
            width=dice.randint(1, atlas.bounds.width), depth=dice.randint(1, atlas.bounds.depth),
            merge_context=dice.choice([None, 0, 1, 2]), sibling_threshold=dice.choice([0.05, 0.1, 0.3]),
            prob_threshold=dice.choice([0.01, 0.05, 0.2, 0.4]), frontier=dice.randint(1, 8),
            budget=dice.choice([8, 16, 32, 48]),
        )  # fmt: skip
        if not any(replay.wanted for replay in replayer.replay(spec)):
            settings.append(spec)
    if len(settings) < count:
        raise InputError(f"--settings {count}: of {TRIES * count} drawn at random the atlas covers {len(settings)}: "
                         "ask for fewer, or fill it with gsd probe --fill")  # fmt: skip
    return settings


def measured(
    runner: Runner, spec: RunSpec, settings: list[MethodSettings], prompts: list[list[int]], repeats: int
) -> list[list[float]]:
    """The measured speed-up of each setting over `ar`, a list over prompts; the two are measured back to back."""
    plain = OwnMethod(runner, spec.model_copy(update={"drafting": drafting(method="ar")}))
    methods = [OwnMethod(runner, spec.model_copy(update={"drafting": one})) for one in settings]
    speedups: list[list[float]] = [[] for _ in settings]
    for prompt in prompts:
        plain.measure(prompt)  # warms up
        ratios: list[list[float]] = [[] for _ in settings]
        for _ in range(repeats):
            for place, method in enumerate(methods):
                reference, own = plain.measure(prompt), method.measure(prompt)
                ratios[place].append(reference.ms_per_token / own.ms_per_token)
        for place, values in enumerate(ratios):
            speedups[place].append(statistics.median(values))
    return speedups


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("atlas", type=Path)
    parser.add_argument("--settings", type=positive, default=24)
    parser.add_argument("--prompts", type=positive, default=5, help="of the atlas, the first ones")
    parser.add_argument("--repeats", type=positive, default=3)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    atlas = Atlas.load(options.atlas)
    atlas.texts = atlas.texts[: options.prompts]
    settings, replayer = drawn(atlas, options.settings, options.seed), Replayer(atlas)
    spec = as_recorded(atlas.meta["spec"] | {"detail": "counters"})
    runner = Runner.of(spec)
    check_models(atlas.meta, runner.meta(spec))
    costs = calibrate(runner, spec, repeats=CURVE_REPEATS)
    real = measured(runner, spec, settings, [text.prompt for text in atlas.texts], options.repeats)
    rows = []
    for one, over_prompts in zip(settings, real):
        modelled = [modelled_speedup(text, replay, costs) for text, replay in zip(atlas.texts, replayer.replay(one))]
        rows.append({**as_row(one), "modelled": statistics.fmean(modelled), "measured": statistics.fmean(over_prompts)})
    errors = [abs(row["modelled"] / row["measured"] - 1) for row in rows]
    by_model = sorted(rows, key=lambda row: -row["modelled"])[:10]
    best = max(rows, key=lambda row: row["measured"])
    report = {"median_error": statistics.median(errors), "largest_error": max(errors),
              "ten_best_hold_the_best": best in by_model, "costs": asdict(costs), "rows": rows}  # fmt: skip
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    told(main)
