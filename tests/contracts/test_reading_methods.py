"""Methods that read the target: what they get, that it is the target's, and that nobody else pays for it."""

from typing import Literal

import pytest

from gsd.config import RunSpec
from gsd.drafting.graph import TokenGraph
from gsd.drafting.null import NullDrafter
from gsd.drafting.tree import flatten
from gsd.methods import METHODS, drafting
from gsd.methods.base import Method, MethodSettings, Need
from gsd.models.base import catch_up
from gsd.models.pairs import pair
from gsd.spec import Prompt
from gsd.testing.contract import MethodContract

LENGTH = 3


class ChainDrafter(NullDrafter):
    """Proposes a chain of what `_next` says."""

    slots = LENGTH

    def __init__(self, parts):
        super().__init__()
        self._port, self._record = parts.target, parts.record

    def draft(self, committed, max_depth):
        graph = TokenGraph(committed[-1:], None, record=self._record)
        tokens = self._chain(committed, min(LENGTH, max_depth))
        graph.attach(tokens, [-0.5] * len(tokens), "draft")
        return graph

    def flatten(self, graph, max_depth):
        return flatten(graph, self.slots, max_depth)


class HeadDrafter(ChainDrafter):
    """The two tokens that the target thought likeliest where the root came: the root again, mostly, and another."""

    def __init__(self, parts):
        super().__init__(parts)
        self._port.capture({"final"})

    def _chain(self, committed, length):
        states = self._port.features("final")
        assert len(states) in (0, len(committed) - 1)  # all but the root
        return self._port.head(states[-1:])[0].topk(min(length, 2)).indices.tolist() if len(states) else []


class SkippingDrafter(ChainDrafter):
    """A chain by the target without the perceptrons of its odd layers, on its cache."""

    def __init__(self, parts):
        super().__init__(parts)
        self._model = self._port.skipping(attention=(), mlp=(1, 3))
        self.counter = self._model.counter

    def _chain(self, committed, length):
        base, tokens = self._model.length, []
        if not base:
            return []
        while len(tokens) < length:
            new = catch_up(self._model, committed + tokens)
            places = range(len(committed) + len(tokens) - len(new), len(committed) + len(tokens))
            tokens.append(self._model.forward(new, list(places), lambda logits: int(logits[0].argmax())))
        self._model.keep(base, [])
        return tokens


class Head(Method):
    name, title, summary = "head", "Head", "the target's last hidden state once more"
    needs = frozenset({Need.TARGET})

    class Settings(MethodSettings):
        method: Literal["head"] = "head"

    def drafter(self, settings, parts):
        return HeadDrafter(parts)


class Skip(Method):
    name, title, summary = "skip", "Skip", "the target with perceptrons left out drafts for itself"
    needs = frozenset({Need.TARGET})

    class Settings(MethodSettings):
        method: Literal["skip"] = "skip"

    def drafter(self, settings, parts):
        return SkippingDrafter(parts)


class TestHead(MethodContract):
    method = Head()


class TestSkip(MethodContract):
    method = Skip()


@pytest.fixture(params=[Head, Skip])
def reading(request, monkeypatch):
    monkeypatch.setitem(METHODS, request.param.name, request.param())
    return request.param


def run(tiny, method: str):
    chosen = pair("tiny")
    prompt = Prompt(prompt="def is_palindrome(word):\n")
    return tiny.run(RunSpec(target=chosen.target, draft=chosen.draft, prompt=prompt, drafting=drafting(method)), None)


def test_the_runner_hands_the_target_to_those_who_need_it_and_to_no_other(tiny, reading):
    plain = run(tiny, "ar")
    assert tiny.target.cache.taps(0, 1) is None
    found = run(tiny, reading.name)
    assert found.tokens == plain.tokens
    assert found.totals["drafted_nodes"] > 0
    assert (tiny.target.cache.taps(0, 1) is not None) == (reading is Head)
    assert run(tiny, "ar").tokens == plain.tokens
    assert tiny.target.cache.taps(0, 1) is None
    if reading is Skip:  # its own weights, so it is often right
        assert found.totals["rounds"] < plain.totals["rounds"]
