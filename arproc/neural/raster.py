"""Convolutions over an image in raster order, whole or a pixel at a time, from one definition.

A causal network reads rows from above and columns from the left. What a convolution needs of the
rows and columns that have gone by is *carried* (Ramachandran et al. 2017): with nothing carried
the same code computes a whole image, and with one row or one pixel of input it computes just what
that row or pixel adds.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["Carry", "TapConv", "choose", "gated"]


class Carry:
    """What convolutions along one axis have read last, by the convolution's name.

    Args:
        axis: 1 for rows and 2 for columns, of arrays [N, rows, columns, features].
        before: what was carried, [N, count, ...] or [N, rows, count, ...]; nothing is zeros.

    Example:
        >>> first, x = Carry(axis=2), torch.arange(4.0).reshape(1, 1, 4, 1)
        >>> first.join("name", x[:, :, :2], 1).flatten().tolist()
        [0.0, 0.0, 1.0]
        >>> Carry(2, first.after).join("name", x[:, :, 2:], 1).flatten().tolist()
        [1.0, 2.0, 3.0]
    """

    def __init__(self, axis: int, before: dict[str, Tensor] | None = None) -> None:
        self.axis, self.before = axis, before or {}
        self.after: dict[str, Tensor] = {}

    def join(self, name: str, x: Tensor, count: int) -> Tensor:
        """The `count` rows or columns before x, then x, whose last ones are carried on."""
        if not count:
            return x
        before = self.before.get(name)
        if before is None:
            shape = list(x.shape)
            shape[self.axis] = count
            before = x.new_zeros(shape)
        joined = torch.cat([before.to(x.dtype), x], dim=self.axis)
        source = x if x.shape[self.axis] >= count else joined
        last = source.narrow(self.axis, source.shape[self.axis] - count, count)
        # a copy where it is a part, so that the whole is not kept alive by it
        self.after[name] = last if torch.is_grad_enabled() else last.contiguous()
        return joined


class TapConv(nn.Module):
    """A convolution over `taps` neighbours along rows (axis 1) or columns (axis 2).

    Args:
        inputs: features in.
        outputs: features out.
        taps: how many neighbours.
        axis: along which axis of [N, rows, columns, features] they lie.
        bias: whether a bias is added.
        padding: how many zeros stand on either side.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        taps: int,
        axis: int,
        *,
        bias: bool = True,
        padding: int = 0,
    ) -> None:
        super().__init__()
        self.taps, self.axis = taps, axis
        self.padding = (padding, 0) if axis == 1 else (0, padding)
        # [outputs, taps * inputs], so that a single position is one matrix product
        self.weight = nn.Parameter(torch.empty(outputs, taps * inputs))
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None
        nn.init.uniform_(self.weight, -1, 1)
        with torch.no_grad():
            self.weight /= (taps * inputs) ** 0.5

    def forward(self, x: Tensor, add: Tensor | None = None) -> Tensor:
        """Map x [N, rows, columns, inputs], to taps - 1 less along the axis where unpadded.

        Args:
            x: the inputs.
            add: what is added to the outputs, of their shape.
        """
        n, rows, columns, inputs = x.shape
        if rows * columns == self.taps == x.shape[self.axis] and not any(self.padding):
            flat = x.reshape(n, self.taps * inputs)  # a single position
            if add is None or self.bias is not None:
                found = F.linear(flat, self.weight, self.bias)[:, None, None]
                return found if add is None else found + add
            return torch.addmm(add.reshape(n, -1), flat, self.weight.T)[:, None, None]
        kernel = self.weight.view(-1, self.taps, inputs).transpose(1, 2)
        kernel = kernel.unsqueeze(3 if self.axis == 1 else 2)
        found = F.conv2d(x.permute(0, 3, 1, 2), kernel, self.bias, padding=self.padding)
        found = found.permute(0, 2, 3, 1)
        return found if add is None else found + add


def gated(x: Tensor) -> Tensor:
    """`tanh(a / 2) * sigmoid(b)`, a and b the halves of x (van den Oord et al. 2016b, eq. 2).

    The half is in the weights' place of a factor, and `tanh(a / 2)` is `2 sigmoid(a) - 1`: one
    pass of a function that is several times as fast as the hyperbolic tangent.
    """
    a, b = torch.sigmoid(x).chunk(2, dim=-1)
    return torch.addcmul(-b, a, b, value=2.0)


def choose(value: Any, rows: Tensor) -> Any:
    """The rows with these numbers of every tensor in nested dicts, lists and tuples."""
    if isinstance(value, Tensor):
        return value[rows]
    if isinstance(value, dict):
        return {name: choose(part, rows) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(choose(part, rows) for part in value)
    return value
