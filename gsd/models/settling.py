"""What `auto` comes to for a pair on this machine, and what was asked for by name although it is slow here.

Only a large model on a CPU is measured for: a small one, as the bundled pair, takes its time elsewhere than in reading
weights, and stays float32 and whole. On a GPU `auto` is a rule of the device.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import torch
from torch import nn

from gsd.errors import ModelError
from gsd.models import choice
from gsd.models.choice import Held, Shape, Table
from gsd.models.loading import skeleton
from gsd.models.weighing import table_of
from gsd.spec import LARGE, Dtype, ModelSpec


@dataclass(frozen=True, slots=True)
class Settled:
    """How a pair is loaded. `dtype` is still auto where that is a rule; `notes` are lines for the user."""

    draft: ModelSpec | None = None
    dtype: Dtype = "auto"
    held: Held = Held()  # noqa: RUF009
    notes: tuple[str, ...] = ()


def settle(target: ModelSpec, draft: ModelSpec | None, *, device: str, dtype: Dtype, packed: bool) -> Settled:
    """Choose what is auto; the dtype by the target's layers, as a verification is what a round costs most by."""
    on_cpu = device == "cpu" or (device == "auto" and not torch.cuda.is_available())
    notes: list[str | None] = []
    chosen = dtype
    tables = [_table(model, notes) if model and on_cpu else None for model in (target, draft)]
    if tables[0]:
        chosen = choice.best_dtype(tables[0], packed) if dtype == "auto" else dtype
        notes.append(choice.slow_dtype(tables[0], chosen, packed))
        notes.append(None if packed else choice.slow_rows(tables[0], chosen))
    draft, held = _settled_draft(draft, tables[1], chosen, packed, notes)
    return Settled(draft, chosen, held, tuple(filter(None, notes)))


def _settled_draft(
    draft: ModelSpec | None, table: Table | None, dtype: Dtype, packed: bool, notes: list[str | None]
) -> tuple[ModelSpec | None, Held]:
    """The draft with its weights told by name, and how it is held beside few bits."""
    if draft is None:
        return None, Held()
    whole = "float32" if dtype == "auto" else dtype
    kind = draft.quantization
    if kind == "auto":
        kind = choice.best_quantization(table, whole, packed) if table else "none"
    elif table:
        notes.append(choice.slow_quantization(table, kind, whole, packed))
    held = choice.held(table, kind, packed) if table and kind != "none" else Held()
    return draft.model_copy(update={"quantization": kind}), held


def _table(spec: ModelSpec, notes: list[str | None]) -> Table | None:
    """What the model's typical layer takes; None where it has none, or cannot be looked at."""
    try:
        shape = typical_layer(spec)
    except ModelError as error:  # what is wrong with the model itself, loading it will say
        notes.append(f"what is fast on this CPU was not measured for {spec.source} ({error})")
        return None
    return table_of(shape) if shape else None


def typical_layer(spec: ModelSpec) -> Shape | None:
    """The shape of the linear layers that hold most of the weights, the head not counted; None of a small model.

    Raises `ModelError` where its configuration cannot be read.
    """
    model = skeleton(spec)
    if sum(weight.numel() for weight in model.parameters()) < LARGE:
        return None
    held: Counter[tuple[int, int]] = Counter()
    for module in model.modules():
        if type(module) is nn.Linear and module is not model.get_output_embeddings():
            held[module.in_features, module.out_features] += module.weight.numel()
    if not held:  # its layers are of another kind, which nothing here changes
        return None
    (inputs, outputs), _ = held.most_common(1)[0]
    return Shape(inputs=inputs, outputs=outputs)
