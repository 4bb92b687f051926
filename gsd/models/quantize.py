"""Weight-only quantisation of a draft, by torch's own operators.

Weights are int8 or int4, activations stay bfloat16: quantised activations ruin a draft (outliers
before the down projection), quantised weights leave its choices as they are. torchao reaches these
kernels only when compiled, which a forward of ever-changing size is not.
"""

from __future__ import annotations

import torch
from torch import nn

GROUP = 32  # inputs that share one int4 scale
ROWS = 16  # outputs that the int4 kernel takes together
INT4_LEVELS = 15


class Int8Linear(nn.Module):
    """`y = x · (q · scale)ᵀ + b` with int8 q [out, in] and one scale per output."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        weight = linear.weight.detach().float()
        scales = (weight.abs().amax(1) / 127).clamp(min=torch.finfo(torch.float32).tiny)
        self.register_buffer("weight", (weight / scales[:, None]).round().to(torch.int8))
        self.register_buffer("scales", scales.to(torch.bfloat16))
        self.bias = linear.bias

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[..., in] -> [..., out] in bfloat16."""
        flat = torch.ops.aten._weight_int8pack_mm(x.reshape(-1, x.shape[-1]), self.weight, self.scales)
        return _finished(flat, x, self.bias)


class Int4Linear(nn.Module):
    """`y = x · ((q − 8) · scale + zero)ᵀ + b` with int4 q, scale and zero per output and group of 32 inputs."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        weight = linear.weight.detach().float()
        groups = weight.unflatten(1, (-1, GROUP))  # [out, groups, 32]
        low, high = groups.amin(-1), groups.amax(-1)
        scales = ((high - low) / INT4_LEVELS).clamp(min=torch.finfo(torch.bfloat16).tiny)
        levels = ((groups - low[..., None]) / scales[..., None]).round().clamp(0, INT4_LEVELS)
        self.register_buffer("packed", _packed(levels.flatten(1).to(torch.int32)))
        scales_and_zeros = torch.stack([scales, low + 8 * scales], -1).transpose(0, 1)  # [groups, out, 2]
        self.register_buffer("scales_and_zeros", scales_and_zeros.contiguous().to(torch.bfloat16))
        self.bias = linear.bias

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[..., in] -> [..., out] in bfloat16."""
        flat = _int4_matmul(x.reshape(-1, x.shape[-1]), self.packed, self.scales_and_zeros)
        return _finished(flat, x, self.bias)


def quantize(model: nn.Module, kind: str) -> None:
    """Replace every linear layer of a bfloat16 `model` in place; `kind` is int8 or int4.

    The head stays int8 with int4 as well: it tells the best tokens apart. So does a layer that does not
    divide into groups of 32 inputs and 16 outputs.
    """
    head = model.get_output_embeddings()
    for parent in list(model.modules()):
        for name, child in parent.named_children():
            if type(child) is nn.Linear:
                four = (
                    kind == "int4"
                    and child is not head
                    and not (child.in_features % GROUP or child.out_features % ROWS)
                )
                setattr(parent, name, (Int4Linear if four else Int8Linear)(child))


def _packed(levels: torch.Tensor) -> torch.Tensor:
    """[out, in] of 0…15 as the device's int4 kernel wants them."""
    if levels.is_cuda:
        return torch.ops.aten._convert_weight_to_int4pack((levels[:, ::2] << 4 | levels[:, 1::2]).to(torch.uint8), 8)
    return torch.ops.aten._convert_weight_to_int4pack_for_cpu(levels, 1)


def _int4_matmul(x: torch.Tensor, packed: torch.Tensor, scales_and_zeros: torch.Tensor) -> torch.Tensor:
    if x.is_cuda:
        return torch.ops.aten._weight_int4pack_mm(x, packed, GROUP, scales_and_zeros)
    return torch.ops.aten._weight_int4pack_mm_for_cpu(x, packed, GROUP, scales_and_zeros)


def _finished(flat: torch.Tensor, x: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    y = flat.unflatten(0, x.shape[:-1])
    return y if bias is None else y + bias
