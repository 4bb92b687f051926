"""Weight-only quantisation of a draft, by torch's own operators.

Weights are int8 or int4, activations stay bfloat16, also where the rest of the model is float32 (no kernel for few
bits is fast in that): quantised activations ruin a draft (outliers
before the down projection), quantised weights leave its choices as they are. torchao reaches these
kernels only when compiled, which a forward of ever-changing size is not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import torch
from torch import nn

from gsd.errors import ModelError
from gsd.models.choice import FEW

if TYPE_CHECKING:
    from transformers import PreTrainedModel

GROUP = 32  # inputs that share one int4 scale
STEP = 16  # inputs that the int8 kernel, and outputs that the int4 kernel take together
CUDA_INPUTS = 128  # inputs that the int4 kernel of a GPU takes together
LEAST = 0.5  # share of the weights that must be quantised for the name to be true
INT4_LEVELS = 15
SCREENED = 1 << 15  # outputs from which a head is screened: choosing among fewer takes longer than it saves
SCREENED_ROWS = 2  # rows up to which: the int4 kernel slows down with every row, the int8 one hardly
BEST = 64  # outputs that pass


class Int8Linear(nn.Module):
    """`y = x · (q · scale)ᵀ + b` with int8 q [out, in] and one scale per output."""

    weight: torch.Tensor
    scales: torch.Tensor

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        weight = linear.weight.detach().float()
        scales = (weight.abs().amax(1) / 127).clamp(min=torch.finfo(torch.bfloat16).tiny).to(torch.bfloat16)
        self.register_buffer("weight", (weight / scales[:, None].float()).round().clamp(-127, 127).to(torch.int8))
        self.register_buffer("scales", scales)
        self.bias = linear.bias

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[..., in] -> [..., out]."""
        flat = torch.ops.aten._weight_int8pack_mm(_rows(x), self.weight, self.scales)
        return _finished(flat, x, self.bias)

    def outputs(self, x: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
        """[in] -> some of the outputs, those of indices `chosen` [K]; the same numbers as among all."""
        weight, scales = self.weight.index_select(0, chosen), self.scales.index_select(0, chosen)
        y = torch.ops.aten._weight_int8pack_mm(_rows(x), weight, scales)[0].to(x.dtype)
        return y if self.bias is None else y + self.bias[chosen]


class Int4Linear(nn.Module):
    """`y = x · ((q − 8) · scale + zero)ᵀ + b` with int4 q, scale and zero per output and group of 32 inputs."""

    packed: torch.Tensor
    scales_and_zeros: torch.Tensor

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
        """[..., in] -> [..., out]."""
        flat = _int4_matmul(_rows(x), self.packed, self.scales_and_zeros)
        return _finished(flat, x, self.bias)


class Twofold(nn.Module):
    """A layer held twice: in few bits, which are read sooner for few rows, and whole, to compute many rows sooner.

    A prompt takes the kernels for few bits, which gain nothing from rows in common, three times as long.
    """

    def __init__(self, few: Int8Linear | Int4Linear, whole: nn.Linear, rows: int = FEW) -> None:
        super().__init__()
        self.few, self.whole, self._rows = few, whole, rows

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[..., in] -> [..., out]."""
        return (self.few if x.shape[:-1].numel() <= self._rows else self.whole).forward(x)


class ScreenedHead(nn.Module):
    """An int8 head that reads half as much for a row or two: int4 finds the best outputs, int8 computes those.

    The others keep what int4 gives. For more rows it is the int8 head.
    """

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.screen, self.exact = Int4Linear(linear), Int8Linear(linear)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[..., in] -> [..., out]."""
        rows = x.flatten(0, -2)
        if len(rows) > SCREENED_ROWS:
            return self.exact(x)
        y = self.screen(rows)
        best = y.topk(BEST, sorted=False).indices
        y = y.scatter(1, best, torch.stack([self.exact.outputs(row, chosen) for row, chosen in zip(rows, best)]))
        return y.view(*x.shape[:-1], -1)


def quantize(model: nn.Module, kind: str, rows: int = FEW) -> None:
    """Replace the linear layers of a bfloat16 or float32 `model` in place; `kind` is int8 or int4.

    With int4 the head is int8 as well, as it tells the best tokens apart (a large one on a CPU is screened by int4
    first), and so is a layer that the int4 kernel cannot take: its inputs must divide by 32, on a GPU by 128, and its
    outputs by 16. A layer whose inputs do not divide by 16 is for no kernel and stays whole. On a CPU all layers but
    the head stay whole as well, for forwards of more than `rows` tokens.
    Raises `ModelError` where less than half of the weights could be replaced.
    """
    head = cast("PreTrainedModel", model).get_output_embeddings()  # which our own decoder has as well
    whole, replaced = sum(weight.numel() for weight in model.parameters()), 0
    parents = [module for module in model.modules() if any(type(child) is nn.Linear for child in module.children())]
    for parent in parents:
        for name, child in parent.named_children():
            if type(child) is nn.Linear and child.in_features % STEP == 0:
                setattr(parent, name, _held(child, kind, rows, head=child is head))
                replaced += child.weight.numel()
    if replaced < LEAST * whole:
        raise ModelError(
            f"only {replaced / whole:.0%} of the weights of {type(model).__name__} are in layers that {kind} can hold: "
            "use --draft-quant none"
        )


def _held(linear: nn.Linear, kind: str, rows: int, *, head: bool) -> nn.Module:
    """What takes the place of a layer that the int8 kernel can take."""
    on_cpu, int4 = linear.weight.device.type == "cpu", kind == "int4" and _takes_int4(linear)
    if head:
        screened = int4 and on_cpu and linear.out_features >= SCREENED
        return ScreenedHead(linear) if screened else Int8Linear(linear)
    few = Int4Linear(linear) if int4 else Int8Linear(linear)
    return Twofold(few, linear, rows) if on_cpu else few


def _takes_int4(linear: nn.Linear) -> bool:
    group = CUDA_INPUTS if linear.weight.is_cuda else GROUP
    return linear.in_features % group == 0 and linear.out_features % STEP == 0


def _packed(levels: torch.Tensor) -> torch.Tensor:
    """[out, in] of 0…15 as the device's int4 kernel wants them."""
    if levels.is_cuda:
        return torch.ops.aten._convert_weight_to_int4pack((levels[:, ::2] << 4 | levels[:, 1::2]).to(torch.uint8), 8)
    return torch.ops.aten._convert_weight_to_int4pack_for_cpu(levels, 1)


def _int4_matmul(x: torch.Tensor, packed: torch.Tensor, scales_and_zeros: torch.Tensor) -> torch.Tensor:
    if x.is_cuda:
        return torch.ops.aten._weight_int4pack_mm(x, packed, GROUP, scales_and_zeros)
    return torch.ops.aten._weight_int4pack_mm_for_cpu(x, packed, GROUP, scales_and_zeros)


def _rows(x: torch.Tensor) -> torch.Tensor:
    """[..., in] -> [rows, in] as the kernels take them."""
    return x.reshape(-1, x.shape[-1]).to(torch.bfloat16)


def _finished(flat: torch.Tensor, x: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    y = flat.view(*x.shape[:-1], -1).to(x.dtype)
    return y if bias is None else y + bias
