"""One pair is loaded at a time, and its memory comes back before another one is read."""

import sys
import weakref
from types import SimpleNamespace

import pytest
from fixtures.recorded import run_spec

from gsd.decode.holder import PairHolder
from gsd.errors import ModelError
from gsd.spec import ModelSpec, Prompt


class Pair:
    """Refers to itself, as loaded models do: only the collector frees it."""

    def __init__(self):
        self.self = self


@pytest.fixture
def machine(monkeypatch):
    """What was loaded and freed, in order, on a machine with a CUDA cache."""
    told = []
    cuda = SimpleNamespace(empty_cache=lambda: told.append("cache emptied"))
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))

    def load(spec):
        if spec.target.source == "missing":
            raise ModelError("missing: no such model")
        loaded = Pair()
        told.append(f"{spec.target.source} loaded")
        weakref.finalize(loaded, told.append, f"{spec.target.source} freed")
        return loaded

    return SimpleNamespace(told=told, pairs=PairHolder(load))


def spec(source, **changes):
    return run_spec(target=ModelSpec(source=source), **changes)


def test_the_same_models_are_loaded_once_whatever_else_differs(machine):
    first = machine.pairs.get(spec("a"))
    assert machine.pairs.holds(spec("a", prompt=Prompt(prompt="another"), max_new_tokens=3))
    assert machine.pairs.get(spec("a", prompt=Prompt(prompt="another"))) is first
    assert not machine.pairs.holds(spec("a", dtype="bfloat16"))


def test_the_last_pair_is_freed_before_another_is_loaded(machine):
    machine.pairs.get(spec("a"))
    machine.told.clear()
    machine.pairs.get(spec("b"))
    assert machine.told == ["a freed", "cache emptied", "b loaded"]


def test_dropping_frees_the_pair_and_empties_the_gpus_cache(machine):
    machine.pairs.get(spec("a"))
    machine.told.clear()
    machine.pairs.drop()
    assert machine.told == ["a freed", "cache emptied"]
    assert not machine.pairs.holds(spec("a"))


def test_a_pair_that_cannot_be_loaded_leaves_none_held(machine):
    machine.pairs.get(spec("a"))
    with pytest.raises(ModelError, match="missing"):
        machine.pairs.get(spec("missing"))
    assert not machine.pairs.holds(spec("a")) and not machine.pairs.holds(spec("missing"))
