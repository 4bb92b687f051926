"""The target's port refuses what cannot be, and costs nothing where nobody asks."""

import pytest
import torch

from gsd.errors import InputError, ModelError
from gsd.models.hf import HFModel
from gsd.models.port import TargetPort
from gsd.spec import ModelSpec
from tests.models import adapted, target_of


@pytest.fixture
def target():
    return adapted(target_of("llama"))


def test_nothing_is_stored_where_nobody_asks(target):
    """A port alone, or one that asked for an earlier text, leaves no buffer behind."""
    port = TargetPort(target)
    target.reset(20)
    assert target.cache.taps(0, 5) is None
    port.capture([1])
    assert target.cache.taps(0, 5) is None  # from the next reset on
    target.reset(20)
    assert target.cache.taps(0, 5).keys() == {1}
    port.capture([])
    target.reset(20)
    assert target.cache.taps(0, 5) is None and target.cache.captures == 0


def test_a_buffer_serves_the_next_text_where_the_same_is_asked_for(target):
    port = TargetPort(target)
    port.capture(["final", 0])
    target.reset(20)
    place = target.cache.taps(0, 1)[0].data_ptr()
    port.capture({0, "final"})
    target.reset(10)
    assert target.cache.taps(0, 1)[0].data_ptr() == place
    target.reset(30)
    assert len(target.cache.taps(0, 31)[0]) == 31  # grown with the cache


def test_what_was_not_asked_for_is_not_there(target):
    port = TargetPort(target)
    target.reset(20)
    with pytest.raises(LookupError, match=r"point 1 .* by capture, before reset"):
        port.features(1)
    port.capture([0])
    target.reset(20)
    with pytest.raises(LookupError, match="point 'final'"):
        port.features("final")
    assert port.features(0).shape == (0, 32)


@pytest.mark.parametrize("point", [3, -1, "last"])
def test_a_point_that_the_target_does_not_have_is_refused(target, point):
    with pytest.raises(InputError, match=f"{point!r} is none of random, which has 2 layers: give 0 to 2, or final"):
        TargetPort(target).capture([0, point])


@pytest.mark.parametrize("sets", [([2], []), ([], [-1])])
def test_a_layer_that_the_target_does_not_have_cannot_be_skipped(target, sets):
    with pytest.raises(InputError, match="cannot be skipped: random has layers 0 to 1"):
        TargetPort(target).skipping(*sets)


@pytest.mark.parametrize(
    "ask",
    [
        lambda port: port.norm(torch.zeros(1, 32)),
        lambda port: port.rotary([0]),
        lambda port: port.skipping([0], []),
        lambda port: port.capture([2]),
    ],
)
def test_of_transformers_own_forward_the_rest_is_refused_by_name(ask):
    port = TargetPort(HFModel(target_of("gpt2"), ModelSpec(source="some/gpt2")))
    with pytest.raises(ModelError, match=r"some/gpt2: .*GPT2LMHeadModel .* these kinds: Llama, Mistral, Qwen2, Qwen3"):
        ask(port)


def test_a_model_that_gives_no_hidden_states_is_named(monkeypatch):
    target = HFModel(target_of("gpt2"), ModelSpec(source="random"))
    TargetPort(target).capture([0])
    target.reset(5)
    forward = type(target.model).forward

    def without(self, *args, output_hidden_states=False, **options):
        return forward(self, *args, **options)

    monkeypatch.setattr(type(target.model), "forward", without)
    with pytest.raises(ModelError, match="GPT2LMHeadModel gives no hidden states"):
        target.forward([1, 2], [0, 1], lambda _: None)
