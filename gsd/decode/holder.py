"""The one loaded pair of a process. No torch."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from typing import Generic, TypeVar

from gsd.config import RunSpec

Loaded = TypeVar("Loaded")


class PairHolder(Generic[Loaded]):
    """Keeps one loaded pair for the next run with the same models, device and dtype.

    The old pair is dropped before another one loads, so they never share the memory. Callers keep no reference.
    """

    def __init__(self, load: Callable[[RunSpec], Loaded]) -> None:
        self._load = load
        self._held: tuple[str, Loaded] | None = None

    def holds(self, spec: RunSpec) -> bool:
        """Whether `get` would return a pair without loading it."""
        return self._held is not None and self._held[0] == _models_of(spec)

    def get(self, spec: RunSpec) -> Loaded:
        """The loaded pair of `spec`."""
        if self._held is None or not self.holds(spec):
            self.drop()
            self._held = _models_of(spec), self._load(spec)
        return self._held[1]

    def drop(self) -> None:
        """Free the memory of the pair, on GPUs as well."""
        self._held = None
        gc.collect()  # models hold reference cycles
        if torch := sys.modules.get("torch"):  # whoever held a model has imported it
            torch.cuda.empty_cache()


def _models_of(spec: RunSpec) -> str:
    return spec.model_dump_json(include={"target", "draft", "device", "dtype", "packed"})
