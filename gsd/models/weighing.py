"""What a product of a few rows takes by how the weights are held, measured on this CPU and kept in the user's cache.

Measured once for a processor, its instruction sets, a version of torch, a number of threads and a layer's shape, in
under two seconds where nothing else runs. Ways take turns, so that none finds its weights in a cache that another would
not.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from time import perf_counter, process_time, thread_time

import torch
from pydantic import ValidationError
from torch import nn

from gsd.machine.crowd import crowd
from gsd.machine.environment import CACHE_VARIABLE, cache_folder, instruction_sets, processor
from gsd.models.choice import FEW_BITS, PACKED, ROWS, UNPACKED, Key, Shape, Table
from gsd.models.pack import PackedLinear, can_pack
from gsd.models.quantize import GROUP, STEP, Int4Linear, Int8Linear

LARGEST = 1 << 22  # weights that are measured: a larger layer takes as many times as long in every way
SPENT_S = 1.0  # after which nothing is timed a second time
TURNS = 7  # that are timed, at most; the first of all warms up and is not
USUAL = Shape(inputs=896, outputs=4864)  # where no model is named: gate and up of Qwen2.5-Coder-0.5B

Measure = Callable[[Shape], dict[str, dict[int, float]]]


def key_of(shape: Shape) -> Key:
    """What a table of this shape would be of, here and now."""
    return Key(processor=processor(), instructions=instruction_sets(), torch=torch.__version__,
               threads=torch.get_num_threads(), shape=shape)  # fmt: skip


def table_of(shape: Shape, measure: Measure | None = None) -> Table:
    """The kept table of a layer's shape; measured, and kept, where there is none. What is broken is measured anew.

    While other processes keep the cores busy, threads wait for one another: then one thread is measured, by its own
    time, and what comes of it holds for now and is not kept.
    """
    key = key_of(shape)
    file = cache_folder() / f"cpu-{hashlib.sha256(key.model_dump_json().encode()).hexdigest()[:16]}.json"
    kept = _kept(file)
    if kept is not None and kept.key == key:
        return kept
    alone = crowd(torch.get_num_threads()) is None
    with _threads(key.threads if alone else 1):
        made = Table(key=key_of(shape), milliseconds=(measure or measured)(shape))
    if alone and crowd(torch.get_num_threads()) is None:
        _keep(made, file)
    return made


@contextlib.contextmanager
def _threads(count: int) -> Iterator[None]:
    """So many threads of torch for a while."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def tables_here() -> list[Table]:
    """The kept tables that hold for this machine as it is, whatever their shape."""
    found = filter(None, map(_kept, sorted(cache_folder().glob("cpu-*.json"))))
    return [table for table in found if table.key == key_of(table.key.shape)]


@torch.inference_mode()
def measured(shape: Shape) -> dict[str, dict[int, float]]:
    """Least milliseconds of a product by way and rows, by the processor's time."""
    outputs = max(STEP, min(shape.outputs, LARGEST // shape.inputs) // STEP * STEP)
    layers = {way: (layer, dtype) for way, layer, dtype in _held(shape.inputs, outputs)}
    times = {way: dict.fromkeys(ROWS, float("inf")) for way in layers}
    began = perf_counter()
    for turn in range(1 + TURNS):
        for rows in ROWS:
            for way, (layer, dtype) in layers.items():
                if turn > 1 and perf_counter() - began > SPENT_S:
                    break
                taken = _milliseconds(layer, torch.ones(rows, shape.inputs, dtype=dtype))
                if turn:
                    times[way][rows] = min(times[way][rows], taken)
    scale = shape.outputs / outputs
    return {way: {rows: round(ms * scale, 4) for rows, ms in taken.items()} for way, taken in times.items()}


def _milliseconds(layer: nn.Module, x: torch.Tensor) -> float:
    """By the processor's time, in which what other processes took is not: of this thread, or of each on average."""
    own, all_threads = thread_time(), process_time()
    layer(x)
    return max(thread_time() - own, (process_time() - all_threads) / torch.get_num_threads()) * 1e3


def _held(inputs: int, outputs: int) -> Iterator[tuple[str, nn.Module, torch.dtype]]:
    """A layer of the same weights in every way that this CPU has kernels for, and the dtype of what it multiplies."""
    weight = torch.randn(outputs, inputs) / inputs**0.5
    for name in ("float32", "bfloat16", "float16"):
        dtype = getattr(torch, name)
        linear = nn.Linear(inputs, outputs, bias=False, device="meta")
        linear.weight = nn.Parameter(weight.to(dtype, copy=True), requires_grad=False)
        yield f"{name} {UNPACKED}", linear, dtype
        if can_pack(linear):
            yield f"{name} {PACKED}", PackedLinear(linear), dtype
        if name == "bfloat16":
            for kind, made, divisor in zip(FEW_BITS, (Int8Linear, Int4Linear), (STEP, GROUP)):
                if inputs % divisor == 0:
                    yield kind, made(linear), dtype


def _kept(file: Path) -> Table | None:
    """The table of a file; None where there is none, or something else, which is told."""
    try:
        return Table.model_validate_json(file.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        reason = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error.strerror
        print(f"gsd: {file} is no table of measurements ({reason}) and is not used", file=sys.stderr)
        return None


def _keep(table: Table, file: Path) -> None:
    """Write it whole or not at all; where that cannot be, say so and go on."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        descriptor, partial = tempfile.mkstemp(dir=file.parent, prefix=f"{file.name}.")
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as out:
                out.write(table.model_dump_json(indent=1))
            os.replace(partial, file)
        except BaseException:
            Path(partial).unlink(missing_ok=True)
            raise
    except OSError as error:
        print(f"gsd: {file} cannot be written ({error.strerror}): this CPU will be measured again; "
              f"{CACHE_VARIABLE} names another folder", file=sys.stderr)  # fmt: skip
