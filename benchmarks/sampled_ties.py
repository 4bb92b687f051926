"""How often a sampled token is another one because a forward of several tokens rounds elsewhere, by how it is drawn.

    GSD_MODELS=<folder> python -m benchmarks.sampled_ties --pair qwen2.5-coder --dtype bfloat16 \
        --out benchmarks/results/sampled-ties-bf16.json

The target writes a sampled text token by token, as plain decoding does. Then it reads the text again, several tokens
a forward, as a verification does. At every place tokens are drawn from both logits with the same seeds, by Gumbel
noise and by inverting the cumulative law: *flips* are the draws that differ. Nothing is timed.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from typing import Any

import torch

from benchmarks.common import add_out, add_prompts, parser, positive, prompts_of, run_spec, told, write
from benchmarks.near_ties import ours, read
from gsd.decode.runner import Runner
from gsd.machine.environment import machine
from gsd.methods import drafting
from gsd.spec import SamplingSpec
from gsd.verifying.sampling import pick

DRAWS = ("gumbel", "inverse")


@dataclass
class Flips:
    """Places and draws compared, and how many differed."""

    places: int = 0
    greedy: int = 0  # places where the likeliest token is another one
    draws: int = 0

    def __post_init__(self) -> None:
        self.sampled = dict.fromkeys(DRAWS, 0)

    def add(self, plain: torch.Tensor, several: torch.Tensor, spec: SamplingSpec, start: int, seeds: int) -> None:
        """Two times logits [places, V] of the same text, the first place at position `start`; `seeds` draws a place."""
        positions = list(range(start, start + len(plain)))
        self.places += len(plain)
        self.greedy += _differing(plain, several, SamplingSpec(), positions)
        self.draws += seeds * len(plain)
        for draw in DRAWS:
            for seed in range(seeds):
                drawn = spec.model_copy(update={"draw": draw, "seed": seed})
                self.sampled[draw] += _differing(plain, several, drawn, positions)

    def row(self) -> dict[str, Any]:
        """The counts, and of the draws the share."""
        return {"places": self.places, "greedy_flips": self.greedy, "draws": self.draws, "flips": self.sampled,
                "share": {draw: count / self.draws for draw, count in self.sampled.items()}}  # fmt: skip


def _differing(one: torch.Tensor, other: torch.Tensor, spec: SamplingSpec, positions: list[int]) -> int:
    return sum(a != b for a, b in zip(pick(one, spec, positions).tokens, pick(other, spec, positions).tokens))


def main() -> None:
    """Count, print, write."""
    given = _arguments()
    runner = Runner.of(run_spec(given, drafting(method="ar")))
    prompts = prompts_of(given)
    rows = _counted(runner, [runner.encode(prompt) for prompt in prompts], given)
    print(json.dumps(rows, indent=1))
    write({"rows": rows, "prompts": [prompt.id for prompt in prompts], "max_new_tokens": given.max_new_tokens,
           "seeds": given.seeds, "together": given.together, "pair": given.pair, "dtype": given.dtype,
           "machine": machine(runner.target.devices)}, given.out)  # fmt: skip


@torch.inference_mode()
def _counted(runner: Runner, prompts: list[list[int]], given: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """A row for each temperature."""
    laws = [SamplingSpec(temperature=value, top_p=given.top_p) for value in given.temperatures]
    rows = [Flips() for _ in laws]
    for ids in prompts:
        for row, spec in zip(rows, laws):
            text, plain = _written(runner, ids, spec, given.max_new_tokens)
            several = read(ours(runner.target, len(ids) + len(text)), ids, text, given.together)
            row.add(plain, several, spec, len(ids), given.seeds)
    return {f"temperature {spec.temperature:g}": row.row() for row, spec in zip(rows, laws)}


def _written(runner: Runner, prompt: list[int], spec: SamplingSpec, count: int) -> tuple[list[int], torch.Tensor]:
    """A sampled text of `count` tokens, one a forward, and the logits of each, [count, V]."""
    forward = ours(runner.target, len(prompt) + count)
    text, logits = [], [forward(prompt, 1)]
    while True:
        text += pick(logits[-1], spec, [len(prompt) + len(text)]).tokens
        if len(text) == count:
            return text, torch.cat(logits)
        logits.append(forward(text[-1:], 1))


def _arguments() -> argparse.Namespace:
    options = parser(__doc__, new_tokens=64, draft_quant=False)
    add_prompts(options)
    options.add_argument("--temperatures", type=float, nargs="+", default=[0.8, 1.0])
    options.add_argument("--top-p", type=float, default=1.0)
    options.add_argument("--seeds", type=positive, default=16, help="draws a place")
    options.add_argument("--together", type=positive, default=8, help="tokens in the forwards of several")
    add_out(options)
    return options.parse_args()


if __name__ == "__main__":
    told(main)
