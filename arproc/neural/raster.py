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
    """What convolutions need of the rows and columns that have gone by, by the plane's name.

    A plane is one array of features [N, rows, columns, features]. A call says that the plane goes
    on with x: R whole rows, or K more columns of one row.

    Args:
        row: of the first of x's rows.
        column: of the first of x's columns.
        before: what was carried so far; nothing of it is ever written to.

    Attributes:
        after: what is carried on.

    Example:
        >>> first, x = Carry(0, 0), torch.arange(4.0).reshape(1, 1, 4, 1)
        >>> first.columns("name", x[:, :, :2], 1).flatten().tolist()
        [0.0, 0.0, 1.0]
        >>> Carry(0, 2, first.after).columns("name", x[:, :, 2:], 1).flatten().tolist()
        [1.0, 2.0, 3.0]
    """

    def __init__(self, row: int, column: int, before: dict[str, Any] | None = None) -> None:
        self.row, self.column = row, column
        self.before = before or {}
        self.after: dict[str, Any] = dict(self.before)

    def rows(self, name: str, x: Tensor, count: int) -> Tensor:
        """The `count` rows before x, then x [N, R, W, features]; zeros above the image."""
        return self._join(name, x, count, 1, self.row == 0)

    def columns(self, name: str, x: Tensor, count: int) -> Tensor:
        """The `count` columns before x, then x [N, R, K, features]; zeros left of the image."""
        return self._join(name, x, count, 2, self.column == 0)

    def _join(self, name: str, x: Tensor, count: int, axis: int, fresh: bool) -> Tensor:
        if not count:
            return x
        if fresh:
            shape = list(x.shape)
            shape[axis] = count
            before = x.new_zeros(shape)
        else:
            before = self.before[name]
        joined = torch.cat([before.to(x.dtype), x], dim=axis)
        source = x if x.shape[axis] >= count else joined
        self.after[name] = _kept(source.narrow(axis, source.shape[axis] - count, count))
        return joined


def _kept(part: Tensor) -> Tensor:
    """A part of an array as one of its own, so that the whole is not kept alive by it."""
    return part if torch.is_grad_enabled() else part.contiguous()


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
            self.weight.div_((taps * inputs) ** 0.5)

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
