"""A recorder of forwards that stands for CUDA graphs on a CPU."""

from __future__ import annotations

from gsd.models.hf import HFModel
from gsd.spec import ModelSpec


class Recorder:
    """What a graph keeps: addresses and shapes, and nothing of the host. Each replay finds the host's state spoilt."""

    def __init__(self) -> None:
        self.model: HFModel | None = None
        self.recorded = 0

    def __call__(self, function):
        self.recorded += 1
        self._without_the_host(function)  # the call in which libraries set themselves up
        result = self._without_the_host(function)

        def replay():
            return result.copy_(self._without_the_host(function))

        return replay

    def _without_the_host(self, function):
        cache = self.model._cache
        length, cache.length = cache.length, -1
        try:
            return function()
        finally:
            cache.length = length


def recorded(model) -> tuple[HFModel, Recorder]:
    recorder = Recorder()
    recorder.model = made = HFModel(model, ModelSpec(source="random"), record=recorder)
    return made, recorder
