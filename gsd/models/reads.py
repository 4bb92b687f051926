"""Linear layers whose weight a model reads itself, in place of calling the layer: nothing may take their place.

A router may multiply by `gate.weight`, or ask for its dtype. Packed or quantised layers have no such weight.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

_NUMBERS = re.compile(r"\.\d+(?=\.|$)")


class ReadLinear(nn.Linear):
    """A linear layer that whoever replaces `nn.Linear` leaves alone, as its weight is read from outside."""


class _Watched(nn.Linear):
    """A linear layer that notes when its weight is asked for from outside of its own forward."""

    def __getattr__(self, name: str) -> Any:
        if name == "weight" and not self.__dict__["_called"]:
            self.__dict__["_read"] = True
        return super().__getattr__(name)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.__dict__["_called"] = True
        try:
            return super().forward(x)
        finally:
            self.__dict__["_called"] = False


@contextlib.contextmanager
def marking_what_is_read(model: nn.Module) -> Iterator[None]:
    """Layers whose weight is read while forwards run in the block are `ReadLinear` from then on.

    A layer that these forwards leave out, such as an expert that no token is sent to, goes with its kin of other
    numbers.
    """
    layers = {name: layer for name, layer in model.named_modules() if type(layer) is nn.Linear}
    for layer in layers.values():
        layer.__class__ = _Watched
        layer.__dict__.update(_called=False, _read=False)
    try:
        yield
    finally:
        kinds = {_NUMBERS.sub(".*", name) for name, layer in layers.items() if layer.__dict__["_read"]}
        for name, layer in layers.items():
            layer.__class__ = ReadLinear if _NUMBERS.sub(".*", name) in kinds else nn.Linear
            del layer.__dict__["_called"], layer.__dict__["_read"]
