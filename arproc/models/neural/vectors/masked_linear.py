"""Linear maps whose weights count only where a mask is one."""

from __future__ import annotations

from functools import cached_property
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["MaskedLinear"]

_STEPS = 8  # how many blocks of rows a staircase is cut into at most
_SMALL = 2**19  # weights of a layer that is not worth cutting: below, one whole product is faster
# Narrow blocks save more multiplications, and many vectors make up for what each costs.
_MANY, _NARROW, _WIDE = 256, 120, 240


class _Step(NamedTuple):
    """Rows of a staircase, which all see the inputs before `whole` and none from `end` on."""

    rows: slice
    whole: int
    end: int


class MaskedLinear(nn.Linear):
    r"""A linear map whose weights count only where a mask is one.

    The mask is applied on each call and never written into the weights, so a parameter keeps its
    value under another mask and a masked entry gets a gradient of exactly zero.

    Where each row sees the first so many inputs, more of them from row to row (units sorted by
    degree), the products are made by blocks of rows, without the part in which all is masked.

    Args:
        mask: `[outputs, inputs]`, one (or True) where input `j` may reach output `i`.
        bias: whether a bias is added.

    Example:
        >>> layer = MaskedLinear(torch.tensor([[1.0, 0.0]]), bias=False)
        >>> bool(layer(torch.tensor([0.0, 5.0])) == 0)
        True
    """

    mask: Tensor

    def __init__(self, mask: Tensor, bias: bool = True) -> None:
        super().__init__(mask.shape[1], mask.shape[0], bias=bias)
        self.register_buffer("mask", mask.to(self.weight.dtype), persistent=False)

    def steps(self, vectors: int) -> list[_Step]:
        """The blocks in which the products of so many vectors are made; none makes them whole."""
        return self._narrow if vectors >= _MANY else self._wide

    @cached_property
    def _narrow(self) -> list[_Step]:
        return _staircase(self.mask, _NARROW)

    @cached_property
    def _wide(self) -> list[_Step]:
        return _staircase(self.mask, _WIDE)

    def forward(self, x: Tensor) -> Tensor:
        """Map x `[..., inputs]` to `[..., outputs]`."""
        steps = self.steps(x.shape[:-1].numel())
        if not steps:
            return F.linear(x, self.masked_weight(), self.bias)
        weight: Tensor = self.weight
        bias: Tensor | None = self.bias
        if torch.is_autocast_enabled(x.device.type):
            dtype = torch.get_autocast_dtype(x.device.type)
            x, weight = x.to(dtype), weight.to(dtype)
            bias = None if bias is None else bias.to(dtype)
        flat = x.reshape(-1, x.shape[-1])
        out: Tensor = _Staircase.apply(flat, weight, bias, self.mask, steps)
        return out.reshape(*x.shape[:-1], -1)

    def masked_weight(self) -> Tensor:
        """The weights that count, `[outputs, inputs]`."""
        return self.weight * self.mask


def _staircase(mask: Tensor, least: int) -> list[_Step]:
    """The steps, of `least` rows or more, of a mask whose rows see ever more first inputs.

    Of any other mask there are none.
    """
    if mask.numel() < _SMALL:
        return []
    seen = mask.bool()
    reach = seen.sum(1)
    prefix = torch.arange(mask.shape[1]) < reach[:, None]
    if not bool((prefix == seen).all()) or bool((reach.diff() < 0).any()):
        return []
    size = -(-len(mask) // min(_STEPS, max(1, len(mask) // least)))
    blocks = [slice(i, min(i + size, len(mask))) for i in range(0, len(mask), size)]
    return [_Step(rows, int(reach[rows.start]), int(reach[rows.stop - 1])) for rows in blocks]


class _Staircase(torch.autograd.Function):
    """`x @ (weight * mask).T + bias`, of x [N, inputs] and the steps of the mask."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, mask: Tensor, steps: list[_Step]
    ) -> Tensor:
        ctx.save_for_backward(x, weight, mask)
        ctx.steps, ctx.has_bias = steps, bias is not None
        out = x.new_empty(len(x), len(weight))
        for rows, whole, end in steps:
            part, seen = out[:, rows], weight[rows, :whole].T
            if bias is None:
                torch.mm(x[:, :whole], seen, out=part)
            else:
                torch.addmm(bias[rows], x[:, :whole], seen, out=part)
            edge = weight[rows, whole:end] * mask[rows, whole:end]
            part.addmm_(x[:, whole:end], edge.to(x.dtype).T)
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        x, weight, mask = ctx.saved_tensors
        g = gradients[0]
        to_bias = g.sum(0) if ctx.has_bias else None
        if torch.is_grad_enabled():  # a gradient of the gradient is asked for
            return g @ (weight * mask), (g.T @ x) * mask, to_bias, None, None
        to_x = torch.zeros_like(x) if ctx.needs_input_grad[0] else None
        to_weight = torch.empty_like(weight)
        for rows, whole, end in ctx.steps:
            mine = g[:, rows]
            torch.mm(mine.T, x[:, :end], out=to_weight[rows, :end])
            to_weight[rows, whole:end].mul_(mask[rows, whole:end])
            to_weight[rows, end:] = 0
            if to_x is not None:
                edge = weight[rows, whole:end] * mask[rows, whole:end]
                to_x[:, :whole].addmm_(mine, weight[rows, :whole])
                to_x[:, whole:end].addmm_(mine, edge.to(x.dtype))
        return to_x, to_weight, to_bias, None, None
