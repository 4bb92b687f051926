"""Weight-only quantisation: each layer is its own dequantised weights, which are near the old ones."""

import pytest
import torch
from torch import nn

from gsd.errors import ModelError
from gsd.models.quantize import BEST, FEW, GROUP, SCREENED, Int4Linear, Int8Linear, ScreenedHead, Twofold, quantize


def linear(outputs, inputs, bias=True):
    torch.manual_seed(0)
    layer = nn.Linear(inputs, outputs, bias=bias, dtype=torch.bfloat16)
    with torch.no_grad():
        layer.weight[0, 0] = 3.0  # an outlier, which must not spoil the other groups and rows
    return layer


NO_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


@pytest.mark.parametrize("made", [Int8Linear, Int4Linear])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("count", [1, 3, 16])
@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=[pytest.mark.gpu, NO_GPU])])
def test_a_quantised_layer_multiplies_by_weights_within_half_a_level(made, bias, count, device):
    old = linear(64, 4 * GROUP, bias).to(device)
    new = made(old)
    each = torch.eye(4 * GROUP, dtype=torch.bfloat16, device=device)
    weights = new(each).float() - (new.bias.float() if bias else 0.0)
    level = old.weight.float().abs().amax(1) / 127 if made is Int8Linear else None
    if made is Int4Linear:
        groups = old.weight.float().unflatten(1, (-1, GROUP))
        level = ((groups.amax(-1) - groups.amin(-1)) / 15).repeat_interleave(GROUP, 1).T
    # Half a level of rounding, and bfloat16's 2⁻⁸ on scales, zeros and results.
    limit = 0.5 * level + 2**-6 * old.weight.float().abs().amax(1)
    assert ((weights - old.weight.float().T).abs() <= limit + 2**-8).all()
    x = torch.randn(2, count, 4 * GROUP, dtype=torch.bfloat16).to(device)
    own = x.float() @ weights
    assert new(x).shape == (2, count, 64)
    torch.testing.assert_close(new(x).float(), own + (new.bias.float() if bias else 0.0), rtol=0.05, atol=0.1)


class Small(nn.Module):
    """A body, a layer whose inputs make no whole groups, and a head."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(linear(GROUP, GROUP), linear(GROUP + 1, GROUP))  # 33 outputs: no 16s
        self.odd = linear(8, GROUP + 1)
        self.head = linear(100, GROUP)

    def get_output_embeddings(self):
        return self.head


def test_int8_weights_are_within_half_a_level():
    old = linear(64, 4 * GROUP)
    new = Int8Linear(old)
    level = new.scales.float()[:, None]
    off = (new.weight.float() * level - old.weight.float()).abs()
    assert (off <= 0.5 * level + 2**-8 * old.weight.float().abs()).all()


def test_int4_spares_the_head_and_layers_without_whole_groups():
    model = Small()
    quantize(model, "int4")
    layers = (*model.body, model.odd, model.head)
    assert [held(layer) for layer in layers] == [Int4Linear, Int8Linear, nn.Linear, Int8Linear]
    for layer, inputs in zip(layers, (GROUP, GROUP, GROUP + 1, GROUP)):
        assert layer(torch.ones(1, inputs, dtype=torch.bfloat16)).isfinite().all()
    model = Small()
    quantize(model, "int8")
    layers = (*model.body, model.odd, model.head)
    assert [held(layer) for layer in layers] == [Int8Linear, Int8Linear, nn.Linear, Int8Linear]


def held(layer):
    """What a layer's few rows are multiplied by."""
    return type(layer.few if isinstance(layer, Twofold) else layer)


@pytest.mark.parametrize("kind", [Int8Linear, Int4Linear])
def test_few_rows_take_the_bits_and_many_the_whole_weights(kind):
    old = linear(64, 4 * GROUP)
    few, layer = kind(old), Twofold(kind(old), old)
    x = torch.randn(FEW + 1, 4 * GROUP, dtype=torch.bfloat16)
    assert torch.equal(layer(x[:FEW]), few(x[:FEW])) and not torch.equal(layer(x[:FEW]), old(x[:FEW]))
    assert torch.equal(layer(x), old(x)) and not torch.equal(layer(x), few(x))
    assert torch.equal(layer(x[None, :FEW])[0], few(x[:FEW]))  # rows, however they are laid out


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("rows", [1, 2, 3])
def test_the_best_outputs_of_a_screened_head_are_the_int8_heads(rows, bias):
    """To the bit, in order; for one row and two the other outputs are int4's, for three all are int8's."""
    old = linear(512, 4 * GROUP, bias)
    head, exact, coarse = ScreenedHead(old), Int8Linear(old), Int4Linear(old)
    x = torch.randn(1, rows, 4 * GROUP, dtype=torch.bfloat16)
    y = head(x)
    assert y.shape == (1, rows, 512)
    assert torch.equal(y.topk(4).values, exact(x).topk(4).values)
    passed = (y == exact(x)).sum(-1)
    assert (passed >= BEST).all() if rows <= 2 else (passed == 512).all()
    assert ((y == exact(x)) | (y == coarse(x))).all()


@pytest.mark.parametrize(("outputs", "kind", "made"), [
    (SCREENED, "int4", ScreenedHead), (SCREENED, "int8", Int8Linear), (SCREENED - 16, "int4", Int8Linear)])  # fmt: skip
def test_a_large_int4_head_is_screened(outputs, kind, made):
    model = Small()
    model.head = linear(outputs, GROUP)
    quantize(model, kind)
    assert type(model.head) is made


def test_a_model_of_other_layers_is_refused():
    """Else it would be called quantised and would not be."""
    model = Small()
    model.body = nn.Embedding(1000, 64)
    with pytest.raises(ModelError, match="draft-quant none"):
        quantize(model, "int4")
