"""Whether the benchmark's rows of transformers are as fast as transformers is when used as its documentation shows.

    GSD_MODELS=<folder> python -m benchmarks.transformers_alone --pair qwen2.5-coder --dtype bfloat16 --count 4 \
        --repeats 2 --out benchmarks/results/transformers-alone.json

On each prompt the benchmark's `hf-greedy`, `hf-assisted` and `hf-lookup` take turns with `generate` on models as
`from_pretrained` returns them, in one process. A ratio is the benchmark's time over the other, so that above 1 the
benchmark would make transformers slower than it is. The texts must be the same.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from transformers import AutoModelForCausalLM

from benchmarks.common import add_out, add_prompts, ends, over_prompts, parser, prompts_of, run_spec, told, write
from gsd.decode.runner import Runner
from gsd.errors import InputError
from gsd.lab.external import EXTERNAL, External, StockModels
from gsd.machine.environment import machine
from gsd.methods import drafting
from gsd.models.places import located
from gsd.spec import ModelSpec

WAYS = ("hf-greedy", "hf-assisted", "hf-lookup")
Decode = Callable[[list[int]], list[int]]


def main() -> None:
    """Measure and write."""
    given = _arguments()
    prompts, spec = prompts_of(given), run_spec(given, drafting())
    runner = Runner.of(spec)
    stock = StockModels(runner, spec)
    target, draft = (_as_documented(model, runner.target.dtype) for model in (spec.target, spec.draft))
    ratios: dict[str, list[float]] = {way: [] for way in WAYS}
    for prompt in [prompts[0], *prompts]:  # the first once more, to warm up
        ids = runner.encode(prompt)
        for way in WAYS:
            benchmarks = External(stock, way, spec, runner.eos).generate
            documented = _documented(way, target, draft, given.max_new_tokens)
            ratios[way].append(_ratio(benchmarks, documented, ids, given.repeats))
    report = {way: over_prompts(found[1:]) for way, found in ratios.items()}
    write({"time_over_documented_use": report, "prompts": [prompt.id for prompt in prompts],
           "max_new_tokens": given.max_new_tokens, "machine": machine(runner.target.devices)}, given.out)  # fmt: skip
    for way, row in report.items():
        print(f"{way:12} {row['ratio']:.3f} ({ends(row, 3)})")


def _as_documented(model: ModelSpec, dtype: torch.dtype) -> torch.nn.Module:
    return AutoModelForCausalLM.from_pretrained(located(model) or model.source, dtype=dtype)


def _documented(way: str, target: torch.nn.Module, draft: torch.nn.Module, new_tokens: int) -> Decode:
    """A call of `generate` with the options of a way, and none of the checkpoint's own law."""
    options = {"hf-greedy": {}, "hf-assisted": {"assistant_model": draft},
               "hf-lookup": {"prompt_lookup_num_tokens": EXTERNAL["hf-lookup"].lookup}}[way]  # fmt: skip

    def decode(prompt: list[int]) -> list[int]:
        ids = torch.tensor([prompt])
        output = target.generate(input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=new_tokens,
                                 do_sample=False, repetition_penalty=1.0, **options)  # fmt: skip
        return output[0, len(prompt) :].tolist()

    return decode


def _ratio(benchmarks: Decode, documented: Decode, prompt: list[int], repeats: int) -> float:
    """Median over repeats, in which the two take turns at going first."""
    found = []
    for repeat in range(repeats):
        took, texts = {}, {}
        for one in (benchmarks, documented) if repeat % 2 else (documented, benchmarks):
            start = time.perf_counter()
            texts[one] = one(prompt)
            took[one] = time.perf_counter() - start
        if texts[benchmarks] != texts[documented]:
            raise InputError("the two wrote different texts: they do not do the same, and their times say nothing")
        found.append(took[benchmarks] / took[documented])
    return statistics.median(found)


def _arguments() -> argparse.Namespace:
    options = parser(__doc__, new_tokens=128, repeats=2, draft_quant=False)
    add_prompts(options, count=4)
    add_out(options)
    return options.parse_args()


if __name__ == "__main__":
    told(main)
