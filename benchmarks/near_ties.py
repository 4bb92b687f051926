"""How often a target's forwards choose another token because they round elsewhere, and how far apart their logits are.

    GSD_MODELS=<folder> python -m benchmarks.near_ties --pair qwen2.5-coder --dtype bfloat16 \
        --out benchmarks/results/near-ties.json

transformers' own forward writes a greedy text token by token (and on over its end: it is there to be compared on).
Then others compute the logits of the same text: ours, and transformers' own, of several tokens at once, as an
assistant's are verified. *Other tokens* are the places where the likeliest is another one than the text's: there a
greedy text would leave plain decoding's. Distances are means over the reference's ten likeliest. Nothing is timed.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from transformers import DynamicCache, PreTrainedModel

from benchmarks.common import add_out, add_prompts, parser, positive, prompts_of, run_spec, told, write
from gsd.decode.runner import Runner
from gsd.lab.external import StockModels
from gsd.machine.environment import machine
from gsd.methods import drafting
from gsd.models.hf import HFModel

LIKELIEST = 10
Forward = Callable[[list[int], int], torch.Tensor]  # tokens to append, N -> the last N logits, [N, V]


@dataclass
class Compared:
    """One way's logits beside the reference's, over all texts."""

    distances: list[float] = field(default_factory=list)  # a place each
    other_tokens: int = 0
    identical: int = 0  # places where all logits are, bit by bit

    def add(self, logits: torch.Tensor, reference: torch.Tensor) -> None:
        """Both [places, V]."""
        likeliest = reference.topk(LIKELIEST).indices
        apart = (logits.gather(1, likeliest).double() - reference.gather(1, likeliest).double()).abs()
        self.distances += apart.mean(1).tolist()
        self.other_tokens += int((logits.argmax(1) != reference.argmax(1)).sum())
        self.identical += int((logits == reference).all(1).sum())

    def row(self) -> dict[str, Any]:
        """Over all places."""
        count = len(self.distances)
        return {"places": count, "other_tokens": self.other_tokens, "identical": self.identical,
                "mean_distance": sum(self.distances) / count}  # fmt: skip


def main() -> None:
    """Compare, print, write."""
    given = _arguments()
    spec = run_spec(given, drafting())
    runner = Runner.of(spec)
    prompts = prompts_of(given)
    texts = [runner.encode(prompt) for prompt in prompts]
    rows = _compared(runner, StockModels(runner, spec).target, texts, given)
    print(json.dumps(rows, indent=1))
    write({"rows": rows, "prompts": [prompt.id for prompt in prompts], "max_new_tokens": given.max_new_tokens,
           "pair": given.pair, "dtype": given.dtype, "machine": machine(runner.target.devices)}, given.out)  # fmt: skip


@torch.inference_mode()
def _compared(
    runner: Runner, stock: PreTrainedModel, prompts: list[list[int]], given: argparse.Namespace
) -> dict[str, dict[str, Any]]:
    """A row for each way."""
    several = given.together
    ways: dict[str, tuple[Callable[[int], Forward], int]] = {
        "ours, one token a forward": (lambda capacity: ours(runner.target, capacity), 1),
        f"ours, {several} tokens a forward": (lambda capacity: ours(runner.target, capacity), several),
        f"transformers, {several} tokens a forward": (lambda _: _stock(stock), several),
    }
    compared = {name: Compared() for name in ways}
    for ids in prompts:
        reference = _written(_stock(stock), ids, given.max_new_tokens)
        text = reference.argmax(1).tolist()
        for name, (begin, size) in ways.items():
            compared[name].add(read(begin(len(ids) + len(text)), ids, text, size), reference)
    return {name: one.row() for name, one in compared.items()}


def _written(forward: Forward, prompt: list[int], count: int) -> torch.Tensor:
    """Write `count` greedy tokens, one a forward: the logits of each, [count, V]."""
    logits = [forward(prompt, 1)]
    while len(logits) < count:
        logits.append(forward(logits[-1].argmax(1).tolist(), 1))
    return torch.cat(logits)


def read(forward: Forward, prompt: list[int], text: list[int], size: int) -> torch.Tensor:
    """The logits of each token of `text`, of which `size` a forward are read, [len(text), V]."""
    known = text[:-1]  # nothing follows the last
    parts = [known[start : start + size] for start in range(0, len(known), size)]
    return torch.cat([forward(prompt, 1), *(forward(part, len(part)) for part in parts)])


def ours(model: HFModel, capacity: int) -> Forward:
    """Our own forward of an emptied model, with room for so many tokens."""
    model.reset(capacity)

    def forward(tokens: list[int], rows: int) -> torch.Tensor:
        positions = list(range(model.length, model.length + len(tokens)))
        return model.forward(tokens, positions, torch.clone, rows=rows).cpu()

    return forward


def _stock(model: PreTrainedModel) -> Forward:
    cache = DynamicCache(config=model.config)

    def forward(tokens: list[int], rows: int) -> torch.Tensor:
        ids = torch.tensor([tokens], device=model.device)
        kept = torch.arange(len(tokens) - rows, len(tokens), device=model.device)
        return model(input_ids=ids, past_key_values=cache, use_cache=True, logits_to_keep=kept).logits[0].cpu()

    return forward


def _arguments() -> argparse.Namespace:
    options = parser(__doc__, new_tokens=64, draft_quant=False)
    add_prompts(options)
    options.add_argument("--together", type=positive, default=8, help="tokens in the forwards of several")
    add_out(options)
    return options.parse_args()


if __name__ == "__main__":
    told(main)
