"""What each part of method `auto` and of the engine is worth: each changed alone, and all at once.

    GSD_MODELS=<folder> python -m benchmarks.ablation --pair qwen2.5-coder --dtype bfloat16 \
        --out benchmarks/results/ablation.json

All variants decode the same prompts in turns in one process. A variant's figure is its time per token over that of
`auto` as it is, per prompt (median over repeats), then their geometric mean over prompts with its interval:
1.10 means that it takes 1.10 times as long. How the draft is held is a variant's own. An interrupt keeps whole prompts.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
from dataclasses import dataclass
from typing import Any

from benchmarks.common import add_out, add_prompts, ends, over_prompts, parser, prompts_of, run_spec, told, write
from gsd.decode.runner import Runner
from gsd.lab.bench import OwnMethod, PromptResult
from gsd.lab.bench.measuring import interleaved
from gsd.lab.bench.rows import speedup
from gsd.machine.environment import machine
from gsd.methods import MethodSettings, drafting
from gsd.models.loading import load_model, load_tokenizer
from gsd.models.pairs import PairSpec, pair
from gsd.spec import ModelSpec
from gsd.trace.records import mean_acceptance_length

WHOLE = "as it is"


@dataclass(frozen=True, slots=True)
class Held:
    """How the models are held and run."""

    quantization: str = "int4"
    packed: bool = True
    native: bool = True


@dataclass(frozen=True, slots=True)
class Variant:
    """One way to decode."""

    held: Held
    drafting: MethodSettings


def _auto(**settings: Any) -> MethodSettings:
    return drafting(method="auto", **settings)


VARIANTS: dict[str, Variant] = {
    WHOLE: Variant(Held(), _auto()),
    "no lookup in the text": Variant(Held(), _auto(lookup=False)),
    "rejected hypotheses, too": Variant(Held(), _auto(history=True)),
    "q as it is, uncalibrated": Variant(Held(), _auto(calibrated=False)),
    "no merging": Variant(Held(), _auto(merge_context=None)),
    "fixed settings (graph)": Variant(Held(), drafting()),
    "draft in 8 bits": Variant(Held(quantization="int8"), _auto()),
    "draft whole": Variant(Held(quantization="none"), _auto()),
    "weights unpacked": Variant(Held(packed=False), _auto()),
    "transformers' forward": Variant(Held(native=False), _auto()),
    "none of them": Variant(Held("none", packed=False, native=False), drafting()),
}


def main() -> None:
    """Measure, print a table, write the figures."""
    given = _arguments()
    chosen = pair(given.pair)
    variants = {name: VARIANTS[name] for name in [WHOLE, *(given.variants or VARIANTS)]}
    runners = {name: _runner(chosen, variant.held, given.dtype) for name, variant in variants.items()}
    contenders = {}
    for name, variant in variants.items():
        contenders[name] = OwnMethod(runners[name], run_spec(given, variant.drafting))
    whole = runners[WHOLE]
    prompts = [whole.encode(prompt) for prompt in prompts_of(given)]
    interleaved(contenders, prompts[0], 1)  # warms up
    measured: list[PromptResult] = []
    with contextlib.suppress(KeyboardInterrupt):  # what was measured is kept
        for prompt in prompts:
            measured.append(interleaved(contenders, prompt, given.repeats))
            for name, error in measured[-1].failures.items():
                print(f"{name} failed on prompt {len(measured)}: {error}", file=sys.stderr)
    if not measured:
        raise SystemExit("stopped before a prompt was measured")
    rows = _rows(measured)
    print(_table(rows))
    write({"rows": rows, "failures": [one.failures for one in measured], "prompts": len(measured),
           "repeats": given.repeats, "max_new_tokens": given.max_new_tokens,
           "dtype": given.dtype, "pair": given.pair, "machine": machine(whole)}, given.out)  # fmt: skip


def _arguments() -> argparse.Namespace:
    options = parser(__doc__, new_tokens=128, repeats=3, draft_quant=False)
    add_prompts(options)
    options.add_argument("--variants", choices=[name for name in VARIANTS if name != WHOLE], nargs="+",
                         help="these variants only, as all of them hold four targets in memory")  # fmt: skip
    add_out(options)
    return options.parse_args()


_models: dict[tuple, Any] = {}


def _runner(chosen: PairSpec, how: Held, dtype: str) -> Runner:
    """The pair held as `how` says. Models are shared; what is learned of costs and acceptance is a runner's own."""
    draft = ModelSpec(**chosen.draft.model_dump() | {"quantization": how.quantization})
    held = []
    for spec in (chosen.target, draft):
        key = (spec, how.packed, how.native)
        if key not in _models:
            _models[key] = load_model(spec, "cpu", dtype, packed=how.packed, native=how.native)
        held.append(_models[key])
    return Runner(*held, load_tokenizer(chosen.target))


def _rows(results: list[PromptResult]) -> dict[str, dict[str, Any]]:
    """By variant: ratio to the whole with its interval, acceptance length, and whether the texts are the same.

    Of the prompts on which neither failed; a variant without any has no row.
    """
    rows = {}
    for name in results[0].calls:
        by_prompt = [one.calls for one in results if one.calls[name] and one.calls[WHOLE]]
        if not by_prompt:
            continue
        ratios = [speedup(calls[WHOLE], calls[name]) for calls in by_prompt]
        mine = [call for calls in by_prompt for call in calls[name]]
        rows[name] = {
            **over_prompts(ratios),
            "mean_acceptance_length": mean_acceptance_length(sum(call.accepted for call in mine),
                                                             sum(call.rounds for call in mine)),
            "tokens_per_s": 1e3 * sum(call.new_tokens for call in mine) / sum(call.wall_ms for call in mine),
            "same_text": sum(calls[name][0].tokens == calls[WHOLE][0].tokens for calls in by_prompt),
        }  # fmt: skip
    return rows


def _table(rows: dict[str, dict[str, Any]]) -> str:
    lines = ["| | time over as it is | 95 % | median | acceptance length | tokens/s | same text |",
             "|---|---|---|---|---|---|---|"]  # fmt: skip
    for name, row in rows.items():
        lines.append(
            f"| {name} | {row['ratio']:.2f} | {ends(row)} | {row['median']:.2f} "
            f"| {row['mean_acceptance_length']:.2f} | {row['tokens_per_s']:.1f} "
            f"| {row['same_text']}/{len(row['ratios'])} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    told(main)
