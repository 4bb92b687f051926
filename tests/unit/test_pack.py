"""Packed weights are the same weights."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from gsd.models.pack import PackedLinear, can_pack, pack


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("rows", [1, 3, 16, 40])
def test_a_packed_layer_gives_the_same_product(rows, bias):
    """To float32's rounding: products of 64 numbers of size 1 summed in another order."""
    torch.manual_seed(rows)
    linear = nn.Linear(64, 48, bias=bias).requires_grad_(False)
    x = torch.randn(2, rows, 64)
    assert torch.allclose(PackedLinear(linear)(x), linear(x), rtol=1e-5, atol=1e-5)


def test_every_linear_layer_is_replaced_and_nothing_else():
    model = nn.Sequential(nn.Linear(8, 8), nn.Sequential(nn.LayerNorm(8), nn.Linear(8, 4))).requires_grad_(False)
    x = torch.randn(5, 8)
    expected = model(x)
    pack(model)
    assert [type(child) for child in (model[0], *model[1])] == [PackedLinear, nn.LayerNorm, PackedLinear]
    assert torch.allclose(model(x), expected, atol=1e-6)


def test_what_oneDNN_does_not_compute_is_not_packed():
    assert can_pack(nn.Linear(8, 8))
    assert not can_pack(nn.Linear(8, 8).to(torch.float64))
    assert not can_pack(nn.Linear(8, 8, device="meta"))
