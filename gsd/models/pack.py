"""Weights laid out for the CPU's matrix kernels, once, when a model is loaded.

A product of few rows is bound by reading the weights. oneDNN reads them 1.3 to 2.3 times as fast in its own layout
as in rows (benchmarks/); unpacked they are read that way, or laid out anew, in every forward.
"""

from __future__ import annotations

import torch
from torch import nn

ROWS = 16  # of the inputs that the layout is chosen for; it serves 1 to 64 about as well


class PackedLinear(nn.Module):
    """`y = x · Wᵀ + b` with W in oneDNN's own layout; the same product as `nn.Linear`, rounded as the kernel does."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.in_features, self.out_features = linear.in_features, linear.out_features
        self._packed = torch.ops.mkldnn._reorder_linear_weight(linear.weight.detach(), ROWS)
        self.bias = linear.bias

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[..., in] -> [..., out]."""
        return torch.ops.mkldnn._linear_pointwise(x, self._packed, self.bias, "none", [], "")


def can_pack(model: nn.Module) -> bool:
    """Whether `model` is on a CPU that torch has oneDNN for, in a dtype that its kernels compute fast."""
    weight = next(model.parameters())
    if weight.device.type != "cpu" or not torch.backends.mkldnn.is_available():
        return False
    return weight.dtype == torch.float32 or (
        weight.dtype == torch.bfloat16 and torch.ops.mkldnn._is_mkldnn_bf16_supported()
    )


def pack(model: nn.Module) -> None:
    """Replace the linear layers of `model` in place; layer by layer, so that the weights are never there twice.

    A head that is also the embedding stays there as such and is held once more.
    """
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if type(child) is nn.Linear:
                setattr(parent, name, PackedLinear(child))
