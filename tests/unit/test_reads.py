"""A layer whose weight the model reads itself stays as it is, when others are packed or quantised."""

import pytest
import torch
from settings import of_method
from torch import nn
from transformers import AutoModelForCausalLM, HunYuanMoEV1Config

from gsd.models.hf import HFModel
from gsd.models.loading import load_model, load_stock
from gsd.models.pack import PackedLinear, pack
from gsd.models.quantize import Twofold
from gsd.models.reads import ReadLinear, marking_what_is_read
from gsd.spec import ModelSpec, SamplingSpec
from gsd.testing import oracle
from tests.models import decode, half_agreeing, tokens_of

CONFIG = HunYuanMoEV1Config(
    vocab_size=64, hidden_size=32, intermediate_size=48, num_hidden_layers=2, head_dim=8, num_attention_heads=4,
    num_key_value_heads=2, max_position_embeddings=256, num_experts=4, moe_topk=2, initializer_range=0.25,
    bos_token_id=None, eos_token_id=None, pad_token_id=1,
)  # fmt: skip
PROMPT = [15, 39, 12, 31, 17]


@pytest.fixture
def spec(tmp_path):
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(CONFIG).save_pretrained(tmp_path)
    return ModelSpec(source=str(tmp_path))


class Routed(nn.Module):
    """Experts of which one is called, by a gate whose weight is read."""

    def __init__(self) -> None:
        super().__init__()
        self.gate, self.out = nn.Linear(4, 3), nn.Linear(4, 4)
        self.experts = nn.ModuleList(nn.ModuleDict({"up": nn.Linear(4, 4), "down": nn.Linear(4, 4)}) for _ in range(3))

    def forward(self, x):
        expert = self.experts[int(nn.functional.linear(x, self.gate.weight).argmax())]
        return self.out(expert["down"](nn.functional.linear(x, expert["up"].weight)))


def test_what_is_read_is_marked_with_its_kin_and_nothing_else():
    model, x = Routed(), torch.ones(1, 4)
    before = model(x)
    with marking_what_is_read(model):
        model(x)
    kinds = {name: type(layer) for name, layer in model.named_modules() if isinstance(layer, nn.Linear)}
    assert {name for name, kind in kinds.items() if kind is ReadLinear} == {
        "gate",
        *(f"experts.{i}.up" for i in range(3)),
    }
    assert {kind for kind in kinds.values()} == {ReadLinear, nn.Linear}
    assert model(x).equal(before)
    pack(model)
    assert type(model.out) is type(model.experts[1]["down"]) is PackedLinear
    assert model(x).allclose(before)


def test_a_block_that_fails_leaves_the_layers_as_they_were():
    model = Routed()
    with pytest.raises(RuntimeError), marking_what_is_read(model):
        model(torch.ones(1, 5))
    assert all(type(layer) in (nn.Linear, ReadLinear) for layer in model.modules() if isinstance(layer, nn.Linear))
    assert "_called" not in vars(model.out)


def test_a_packed_mixture_of_experts_emits_the_oracle_tokens(spec):
    target, stock = load_model(spec, "cpu", "float32", packed=True), load_stock(spec, "cpu", "float32")
    assert any(type(layer) is PackedLinear for layer in target.model.modules())
    assert not any(type(layer) is PackedLinear for name, layer in target.model.named_modules() if name.endswith("wg"))
    draft = HFModel(half_agreeing(stock), spec)
    rounds = decode(target, draft, PROMPT, of_method(width=4, depth=5, merge_context=0, prob_threshold=0.0))
    assert tokens_of(rounds) == oracle.generate(stock, PROMPT, 24, SamplingSpec())


@pytest.mark.parametrize("kind", ["int8", "int4"])
@pytest.mark.parametrize("load", [load_model, load_stock])
def test_a_quantised_mixture_of_experts_keeps_its_gates(spec, kind, load, monkeypatch):
    monkeypatch.setattr("gsd.models.quantize.LEAST", 0.1)  # most weights are the experts', of another class
    loaded = load(spec.model_copy(update={"quantization": kind}), "cpu")
    model = loaded if load is load_stock else loaded.model
    gates = [layer for name, layer in model.named_modules() if name.endswith("wg")]
    assert gates and all(type(gate) is ReadLinear for gate in gates)
    assert any(type(layer) is Twofold for layer in model.modules())
    with torch.inference_mode():
        assert model(input_ids=torch.tensor([PROMPT])).logits.isfinite().all()
