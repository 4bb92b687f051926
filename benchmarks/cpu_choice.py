"""What `auto` comes to on this CPU for the layers of some models, with the measurements it is chosen by.

    python -m benchmarks.cpu_choice --out benchmarks/results/cpu-choice.json

Shapes are those of the layers that hold most of the weights of Qwen2.5-Coder's 1.5B (target) and 0.5B (draft), or
of the models that `--models` names. Nothing is read from the cache and nothing is kept there. Another processor can be
imitated as far as its instructions go, before anything is imported:

    ONEDNN_MAX_CPU_ISA=AVX2 ATEN_CPU_CAPABILITY=avx2 MKL_ENABLE_INSTRUCTIONS=AVX2 python -m benchmarks.cpu_choice
"""

from __future__ import annotations

import argparse
import json
from time import perf_counter
from typing import Any

import torch

from benchmarks.common import add_out, positive, told, write
from gsd.errors import InputError
from gsd.machine.crowd import crowd
from gsd.machine.environment import manners
from gsd.models.choice import Shape, Table, in_words
from gsd.models.settling import typical_layer
from gsd.models.weighing import key_of, measured
from gsd.spec import ModelSpec

SHAPES = {"1.5B gate, up": Shape(inputs=1536, outputs=8960), "0.5B gate, up": Shape(inputs=896, outputs=4864)}


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--models", nargs="*", default=(), help="hub ids, folders or GGUF files in place of these shapes"
    )
    parser.add_argument("--threads", type=positive, default=torch.get_num_threads())
    add_out(parser, required=False)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    shapes = {name: _shape(name) for name in given.models} or SHAPES
    layers = {name: _weighed(shape) for name, shape in shapes.items()}
    report = {"layers": layers, "crowd": crowd(given.threads), **manners()}
    print(json.dumps(report, indent=1))
    if given.out:
        write(report, given.out)


def _shape(model: str) -> Shape:
    found = typical_layer(ModelSpec(source=model))
    if found is None:
        raise InputError(f"{model} is small, or not of linear layers: auto measures nothing for it")
    return found


def _weighed(shape: Shape) -> dict[str, Any]:
    """The table of a layer, what auto comes to by it, and how long that took."""
    start = perf_counter()
    table = Table(key=key_of(shape), milliseconds=measured(shape))
    seconds = perf_counter() - start
    return {"auto": in_words(table), "seconds": round(seconds, 2), **table.model_dump(mode="json")}


if __name__ == "__main__":
    told(main)
