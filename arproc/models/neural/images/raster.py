"""Convolutions over an image in raster order, whole or a pixel at a time, from one definition.

A causal network reads rows from above and columns from the left. What a convolution needs of the
rows and columns that have gone by is *carried* (Ramachandran et al. 2017): with nothing carried
the same code computes a whole image, and with one row or one pixel of input it computes just what
that row or pixel adds.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["Carry", "PlaneConv", "choose", "concat_elu", "gated"]


class _Plane(NamedTuple):
    """What is kept of a plane: the rows that are complete, and the columns of the one that is not.

    Attributes:
        rows: [N, R, W, features], the last of them or all.
        columns: parts of the next row, [N, 1, K, features] each.
    """

    rows: Tensor | None = None
    columns: tuple[Tensor, ...] = ()

    def grown(self, x: Tensor, column: int, width: int, all_rows: bool = False) -> _Plane:
        """The plane after whole rows, or after more columns of one row, from `column` on."""
        whole = column == 0 and x.shape[2] == width
        columns = (x,) if column == 0 else (*self.columns, x)
        if column + x.shape[2] < width:
            return _Plane(self.rows, columns)
        rows = x if whole else torch.cat(columns, dim=2)
        if not all_rows:
            return _Plane(_kept(rows[:, -1:]))
        return _Plane(rows if self.rows is None else torch.cat([self.rows, rows], dim=1))

    def last(self, column: int) -> Tensor:
        """The last column so far of the row that is read, which is the one with this number."""
        if self.columns:
            return self.columns[-1][:, :, -1:]
        assert self.rows is not None  # the row is complete already
        return self.rows[:, -1:, column : column + 1]


class Carry:
    """What a network needs of the rows and columns that have gone by, by a plane's name.

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

    def halved(self) -> Carry:
        """The same, for planes of half the rows and columns (those at even places)."""
        carry = Carry((self.row + 1) // 2, (self.column + 1) // 2, self.before)
        carry.after = self.after
        return carry

    # ---- along one axis -----------------------------------------------------------------------

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

    # ---- in the plane -------------------------------------------------------------------------

    def window(self, name: str, x: Tensor, width: int) -> Tensor:
        """The row above x [N, R, K, features] and the column left of it, around it.

        Args:
            name: of the plane.
            x: whole rows, or K columns of one row.
            width: how many columns the plane has.

        Returns:
            [N, R + 1, K + 1, features]; zeros outside of the image.
        """
        kept: _Plane = self.before.get(name, _Plane())
        self.after[name] = kept.grown(x, self.column, width)
        begin, end = self.column, self.column + x.shape[2]
        if self.row == 0 or kept.rows is None:
            above = x.new_zeros((len(x), 1, width, x.shape[3]))
        else:
            above = kept.rows.to(x.dtype)
        joined = torch.cat([above[:, :, begin:end], x], dim=1)
        if begin == 0:
            return F.pad(joined, (0, 0, 1, 0))
        corner = above[:, :, begin - 1 : begin]
        left = torch.cat([corner, kept.columns[-1][:, :, -1:].to(x.dtype)], dim=1)
        return torch.cat([left, joined], dim=2)

    def spread(self, name: str, low: Tensor | None, shape: tuple[int, int], width: int) -> Tensor:
        """What a plane of half the rows and columns says at R rows and K columns of the whole.

        Args:
            name: of the plane.
            low: its part at the even rows and columns among them, [N, R', K', features]; None
                where there are none.
            shape: R and K.
            width: how many columns the plane has.

        Returns:
            [N, R'', K'', features], every place of the plane that covers one of them.
        """
        kept: _Plane = self.before.get(name, _Plane())
        if low is not None:
            self.after[name] = kept.grown(low, (self.column + 1) // 2, (width + 1) // 2)
        begin, end = self.column // 2, (self.column + shape[1] + 1) // 2
        odd_row, odd_column = self.row % 2, self.column % 2
        parts = []
        if odd_row:  # its first row is told by the one above
            assert kept.rows is not None
            parts.append(kept.rows[:, -1:, begin:end])
        if odd_column and not odd_row:  # its first column is told by the one to the left
            low = kept.last(begin) if low is None else torch.cat([kept.last(begin), low], dim=2)
        if low is not None:
            parts.append(low)
        return parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)

    def past(self, name: str, x: Tensor, width: int) -> list[Tensor]:
        """All places of the plane so far, x [N, R, K, features] the last: parts [N, T, features].

        Args:
            name: of the plane.
            x: whole rows, or K columns of one row.
            width: how many columns the plane has.
        """
        kept: _Plane = self.before.get(name, _Plane())
        self.after[name] = kept.grown(x, self.column, width, all_rows=True)
        parts = [] if kept.rows is None else [kept.rows.flatten(1, 2)]
        own = (*kept.columns, x) if self.column else (x,)
        return [*parts, (own[0] if len(own) == 1 else torch.cat(own, dim=2)).flatten(1, 2)]


def _kept(part: Tensor) -> Tensor:
    """A part of an array as one of its own, so that the whole is not kept alive by it."""
    return part if torch.is_grad_enabled() else part.contiguous()


class PlaneConv(nn.Module):
    """A convolution over planes [N, rows, columns, features].

    Args:
        inputs: features in.
        outputs: features out.
        rows: of the kernel.
        columns: of the kernel.
        bias: whether a bias is added.
        padding: how many columns of zeros stand on either side.
        stride: how many rows and columns lie between neighbouring outputs.
        gain: the outputs' size at first, where the inputs are of size one.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        rows: int = 1,
        columns: int = 1,
        *,
        bias: bool = True,
        padding: int = 0,
        stride: int = 1,
        gain: float = 1.0,
    ) -> None:
        super().__init__()
        self.kernel, self.padding, self.stride = (rows, columns), padding, stride
        size = rows * columns * inputs
        # [outputs, rows * columns * inputs], so that a single position is one matrix product
        weight = torch.empty(outputs, size).uniform_(-1, 1)
        self.weight = nn.Parameter(weight * gain * (3 / size) ** 0.5)
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None

    def forward(self, x: Tensor, add: Tensor | None = None) -> Tensor:
        """Map x [N, rows, columns, inputs] to what the kernel finds wherever it fits in.

        Args:
            x: the inputs.
            add: what is added to the outputs, of their shape.
        """
        if x.shape[1:3] == self.kernel and not self.padding:  # a single position
            flat = x.flatten(1)
            if add is None or self.bias is not None:
                found = F.linear(flat, self.weight, self.bias)[:, None, None]
                return found if add is None else found + add
            return torch.addmm(add.flatten(1), flat, self.weight.T)[:, None, None]
        kernel = self.weight.view(-1, *self.kernel, x.shape[3]).permute(0, 3, 1, 2)
        pictures, padding = x.permute(0, 3, 1, 2), (0, self.padding)
        found = F.conv2d(pictures, kernel, self.bias, stride=self.stride, padding=padding)
        found = found.permute(0, 2, 3, 1)
        return found if add is None else found + add


def gated(x: Tensor) -> Tensor:
    """`tanh(a / 2) * sigmoid(b)`, a and b the halves of x (van den Oord et al. 2016b, eq. 2).

    The half is in the weights' place of a factor, and `tanh(a / 2)` is `2 sigmoid(a) - 1`: one
    pass of a function that is several times as fast as the hyperbolic tangent.
    """
    if torch.is_grad_enabled():
        return _Gated.apply(x)
    return _product_of_halves(torch.sigmoid(x))


def _product_of_halves(s: Tensor) -> Tensor:
    a, b = s.chunk(2, dim=-1)
    return torch.addcmul(-b, a, b, value=2.0)


class _Gated(torch.autograd.Function):
    """`gated`, with a third of the memory traffic of what autograd derives for it."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        s = torch.sigmoid(x)
        ctx.save_for_backward(s)
        return _product_of_halves(s)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (s,) = ctx.saved_tensors
        a, b = s.chunk(2, dim=-1)
        shared, found = gradients[0] * b, torch.empty_like(s)
        first, second = found.chunk(2, dim=-1)
        torch.addcmul(a, a, a, value=-1.0, out=first).mul_(shared).mul_(2.0)
        torch.addcmul(b, a, b, value=-2.0, out=second)  # b - 2 a b
        second.add_(a, alpha=2.0).sub_(1.0).mul_(shared)  # (1 - b) (2 a - 1)
        return found


def concat_elu(x: Tensor) -> Tensor:
    """`elu` of x and of -x side by side (Salimans et al. 2017): [..., 2 features]."""
    return F.elu(torch.cat([x, -x], dim=-1))


def choose(value: Any, rows: Tensor) -> Any:
    """The rows with these numbers of every tensor in nested dicts, lists and tuples."""
    if isinstance(value, Tensor):
        return value[rows]
    if isinstance(value, dict):
        return {name: choose(part, rows) for name, part in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(choose(part, rows) for part in value))
    if isinstance(value, (list, tuple)):
        return type(value)(choose(part, rows) for part in value)
    return value
