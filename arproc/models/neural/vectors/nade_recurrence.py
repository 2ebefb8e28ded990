"""NADE's loop over the sites as one operation of autograd, forward and backward compiled."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from arproc.models.neural.vectors.networks import plain

__all__ = ["Recurrence"]


class Recurrence(torch.autograd.Function):
    """The compiled loop over the sites: raw outputs [N, T, outputs], and the inputs after them.

    It takes the inputs [N, H], the values [N, T, channels], the first site, and the network's
    weights, masks (or None), output weights and output biases.
    """

    @staticmethod
    def forward(
        ctx: Any,
        a: Tensor,
        encoded: Tensor,
        first: int,
        weight: Tensor,
        mask: Tensor | None,
        out: Tensor,
        out_bias: Tensor,
    ) -> tuple[Tensor, Tensor]:
        from arproc.models.neural.vectors.nade_kernels import score

        inputs = _copy(a)
        masks = weight.new_zeros((0, 1)) if mask is None else mask
        arrays = [plain(p) for p in (weight, masks, out, out_bias)]
        raw = torch.from_numpy(score(plain(inputs), plain(encoded), first, *arrays))
        ctx.first, ctx.masked = first, mask is not None
        ctx.save_for_backward(inputs, encoded, weight, masks, out, out_bias)
        return raw, inputs

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, of_raw: Tensor, of_last: Tensor) -> tuple[Tensor | None, ...]:
        from arproc.models.neural.vectors.nade_kernels import gradients

        last, encoded, weight, masks, out, out_bias = ctx.saved_tensors
        of_inputs = _copy(of_last)
        # what is written into has to be contiguous, or `plain` would make a copy of it
        of_encoded = torch.zeros(encoded.shape if ctx.needs_input_grad[1] else (0, 0, 0))
        found = [torch.zeros(p.shape) for p in (weight, masks, out)]
        gradients(
            plain(_copy(last)),
            *(plain(p) for p in (encoded, of_raw, of_inputs)),
            ctx.first,
            *(plain(p) for p in (weight, masks, out, *found, of_encoded)),
        )
        of_bias = torch.zeros_like(out_bias)
        of_bias[ctx.first : ctx.first + of_raw.shape[1]] = of_raw.sum(0)
        return (
            of_inputs,
            of_encoded if ctx.needs_input_grad[1] else None,
            None,
            found[0],
            found[1] if ctx.masked else None,
            found[2],
            of_bias,
        )


def _copy(x: Tensor) -> Tensor:
    return x.clone(memory_format=torch.contiguous_format)
