"""What it costs to multiply rows by one weight matrix, by how the weights are held; on the CPU, in bfloat16.

    python -m benchmarks.linear_layers --out benchmarks/results/linear-layers.json

The shapes are those of Qwen2.5-Coder's 1.5B and 0.5B: gate and up, the largest layer, and the head. Many copies take
turns, so that none is in a cache when its turn comes, as in a model. 256 rows stand for a prompt. Medians; the first
round warms up.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Callable
from time import perf_counter

import torch
from torch import nn

from benchmarks.common import add_out, positive, write
from gsd.machine.environment import processor
from gsd.models.pack import PackedLinear
from gsd.models.quantize import Int4Linear, Int8Linear, ScreenedHead

SHAPES = {
    "1.5B gate and up": (1536, 17920),
    "1.5B head": (1536, 151936),
    "0.5B gate and up": (896, 9728),
    "0.5B head": (896, 151936),
}
ROWS = (1, 2, 4, 8, 16, 32, 256)
HELD: dict[str, Callable[[nn.Linear], nn.Module]] = {
    "unpacked": lambda linear: linear,
    "packed": PackedLinear,
    "int8": Int8Linear,
    "int4": Int4Linear,
    "int4, then int8 for the best": ScreenedHead,
}
COPIES_OF = 1 << 29  # bytes that the copies of a layer take together, at least: more than any cache holds


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=positive, default=5)
    add_out(parser, required=False)
    given = parser.parse_args()
    found = {}
    with torch.inference_mode():
        for shape, (inputs, outputs) in SHAPES.items():
            for name, held in HELD.items():
                if name == "int4, then int8 for the best" and "head" not in shape:
                    continue
                found.setdefault(shape, {})[name] = _milliseconds(held, inputs, outputs, given.repeats)
    report = {"milliseconds": found, "rows": ROWS, "processor": processor(), "threads": torch.get_num_threads(),
              "torch": torch.__version__}  # fmt: skip
    print(json.dumps(report, indent=1))
    if given.out:
        write(report, given.out)


def _milliseconds(held: Callable[[nn.Linear], nn.Module], inputs: int, outputs: int, repeats: int) -> dict[int, float]:
    """Median of a product by its number of rows."""
    count = max(2, COPIES_OF // (inputs * outputs * 2))
    layers = [held(nn.Linear(inputs, outputs, bias=False, dtype=torch.bfloat16)) for _ in range(count)]
    times: dict[int, list[float]] = {rows: [] for rows in ROWS}
    for repeat in range(repeats + 1):
        for rows, taken in times.items():
            x = torch.randn(rows, inputs, dtype=torch.bfloat16)
            for layer in layers:
                start = perf_counter()
                layer(x)
                if repeat:
                    taken.append((perf_counter() - start) * 1e3)
    return {rows: round(statistics.median(taken), 3) for rows, taken in times.items()}


if __name__ == "__main__":
    main()
