"""What a long text costs: the engine's own time a round behind a short and a long prompt, and the memory held.

    GSD_MODELS=<folder> python -m benchmarks.long_text --pair qwen2.5-coder --dtype bfloat16 --draft-quant int4 \
        --out benchmarks/results/long-text.json

The prompts are beginnings of one text, this repository's own Python sources. Times are medians over rounds, the
first of each text left out; both lengths take turns. Memory is what the process holds (resident) at its peak while it
decodes behind the long prompt, less what it held before any model was loaded, beside the bytes of all tensors then
alive: weights and caches.
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import threading
from pathlib import Path
from typing import Any

import psutil
import torch

from benchmarks.common import add_out, parser, positive, run_spec, told, write
from gsd.config import RunSpec
from gsd.decode.runner import Runner
from gsd.errors import InputError
from gsd.machine.environment import machine
from gsd.methods import drafting
from gsd.spec import Prompt

ROOT = Path(__file__).parents[1]
EVERY_S = 0.01  # between two looks at the memory


def main() -> None:
    """Measure, print, write."""
    given = _arguments()
    spec = run_spec(given, drafting(given.method))
    before = psutil.Process().memory_info().rss
    runner = Runner.of(spec)
    text = "\n".join(path.read_text() for path in sorted((ROOT / "gsd").rglob("*.py")))
    ids = runner.encode(Prompt(prompt=text, chat=False))
    if len(ids) < max(given.lengths):
        raise InputError(f"--lengths {max(given.lengths)}: this repository's sources are only {len(ids)} tokens")
    overheads: dict[int, list[float]] = {length: [] for length in given.lengths}
    with Peak() as peak:
        for _ in range(given.repeats):
            for length, found in overheads.items():
                found += _overheads(runner, spec, ids[:length])
    held = _tensor_bytes()
    medians = {length: statistics.median(found) for length, found in overheads.items()}
    report = {
        "method": given.method,
        "engine_ms_per_round": medians,
        "rounds": {length: len(found) for length, found in overheads.items()},
        "growth": medians[given.lengths[-1]] / medians[given.lengths[0]],
        "tensors_bytes": held,
        "resident_bytes": peak.bytes - before,
        "resident_over_tensors": (peak.bytes - before) / held,
        "machine": machine(runner.target.devices),
    }
    print(json.dumps(report, indent=1))
    if given.out:
        write(report, given.out)


class Peak:
    """The most memory that this process held resident meanwhile; `bytes` once it is over."""

    def __enter__(self) -> Peak:
        self.bytes = 0
        self._over = threading.Event()
        self._watcher = threading.Thread(target=self._watch)
        self._watcher.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._watcher.join()

    def _watch(self) -> None:
        process = psutil.Process()
        while not self._over.wait(EVERY_S):
            self.bytes = max(self.bytes, process.memory_info().rss)


def _overheads(runner: Runner, spec: RunSpec, prompt: list[int]) -> list[float]:
    """Milliseconds outside the models' forwards of each round but the first."""
    rounds = list(runner.rounds(spec, prompt))[1:]
    return [round_.times.total - round_.times.draft - round_.times.verify for round_ in rounds]


def _tensor_bytes() -> int:
    """Bytes of all tensors alive, each storage once; packed weights, which show none, by their elements."""
    held: dict[Any, int] = {}
    for thing in gc.get_objects():
        if isinstance(thing, torch.Tensor) and thing.device.type == "cpu":
            if thing.is_mkldnn:
                held[id(thing)] = thing.numel() * thing.element_size()
            else:
                storage = thing.untyped_storage()
                held[storage.data_ptr()] = storage.nbytes()
    return sum(held.values())


def _arguments() -> argparse.Namespace:
    options = parser(__doc__, new_tokens=64, repeats=3)
    options.add_argument("--method", default="auto")
    options.add_argument("--lengths", type=positive, nargs=2, default=[200, 2000], help="tokens of the two prompts")
    add_out(options, required=False)
    return options.parse_args()


if __name__ == "__main__":
    told(main)
