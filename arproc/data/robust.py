"""The place and the size of columns of numbers, which a few wild values do not move."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from arproc.errors import warn

__all__ = ["FAR", "Standard", "quantiles", "standard_of", "warn_of_few", "warn_of_wild"]

#: How many sizes away a number is seen by a network: what lies farther says no more than this.
FAR = 100.0
#: How many ranges between two quantiles a value lies outside of them to be called wild.
_WILD = 50.0
#: The lower quantiles of these ranges: the first that is no point, and leaves few values outside.
_LOWER = (0.25, 0.1, 0.05, 0.01)
#: Which share of the values may be wild: what is more frequent is how the data are.
_FEW = 0.01
#: How many different values are few, and in how many rows a column must have no more.
_DISTINCT, _ENOUGH = 10, 50
#: On how many rows quantiles are measured at most.
_ROWS = 2**14


class Standard(NamedTuple):
    """The place and the size of columns.

    Attributes:
        place: the mean of the values that are not wild, float64 [c].
        size: their standard deviation, 1 where that is 0, float64 [c].
        wild: which values are wild, bool [N, c].
    """

    place: Tensor
    size: Tensor
    wild: Tensor


def standard_of(x: Tensor) -> Standard:
    """Place and size of columns x [N, c], of which NaN is missing.

    A value is wild where it lies farther out than fifty ranges between two quantiles (the
    quartiles, or lower and higher ones where these are equal). It does not count, so that the
    mean and standard deviation of data with a slip of the pen are those of the others, and those
    of data without one are as always.

    Example:
        >>> place, size, wild = standard_of(torch.tensor([[1.0], [2.0], [3.0], [2.0], [1e6]]))
        >>> place.tolist(), wild[:, 0].tolist()
        ([2.0], [False, False, False, False, True])
    """
    x = x.double()
    low, high = _fences(x)
    wild = (x < low) | (x > high)
    kept = x.masked_fill(wild, torch.nan)
    place = kept.nanmean(dim=0).nan_to_num(0.0)
    size = (kept - place).square().nanmean(dim=0).sqrt()
    return Standard(place, torch.where(size > 0, size, 1.0), wild)


def quantiles(x: Tensor, shares: Sequence[float]) -> Tensor:
    """Quantiles [len(shares), c] of columns x [N, c] (order statistics); NaN is missing."""
    if len(x) > _ROWS:
        x = x[torch.linspace(0, len(x) - 1, _ROWS, dtype=torch.float64).long()]
    ordered, count = x.sort(dim=0).values, (~x.isnan()).sum(0)  # NaN comes last
    share = torch.tensor(list(shares), dtype=torch.float64, device=x.device)[:, None]
    return ordered.gather(0, (share * (count - 1).clamp(min=0)).round().long())


def warn_of_wild(x: Tensor, names: Sequence[Any], what: str) -> None:
    """Warn where columns x [N, c] have wild values; see `standard_of`.

    Args:
        x: the columns.
        names: of the columns.
        what: what they are of, such as "data".
    """
    if not x.numel():
        return
    _, size, wild = standard_of(x)
    columns = wild.any(0).nonzero()[:, 0].tolist()
    if not columns:
        return
    told = [_told(x[:, j], wild[:, j], names[j], float(size[j])) for j in columns[:5]]
    more = f"; and {len(columns) - 5} more columns" if len(columns) > 5 else ""
    warn(
        f"{what} has values far away from the others: {'; '.join(told)}{more}. They do not count "
        "for the place and size of their columns, but the model is fitted to them too; if they "
        "are slips, mend them or leave the rows out.",
        UserWarning,
    )


def warn_of_few(x: Tensor, names: Sequence[Any], *, tabular: bool = False) -> None:
    """Warn where real columns x [N, c] have few different values, of which a density is peaks.

    Args:
        x: the columns; NaN is missing.
        names: of the columns.
        tabular: whether they are a table's, whose columns have kinds.
    """
    x = x[:_ROWS].sort(dim=0).values  # NaN comes last
    there = ~x.isnan()
    different = there[:1].sum(0) + ((x[1:] != x[:-1]) & there[1:]).sum(0)
    few = (different <= _DISTINCT) & (there.sum(0) >= _ENOUGH)
    columns = few.nonzero()[:, 0].tolist()
    if not columns:
        return
    told = [f"column {names[j]!r} has {_listed(x[there[:, j], j].unique())}" for j in columns[:5]]
    more = f"; and {len(columns) - 5} more columns" if len(columns) > 5 else ""
    kind = (
        "columns={name: 'integer'}" if tabular else "head='discretised_logistic' or 'categorical'"
    )
    warn(
        f"data are taken for real numbers, and {'; '.join(told)}{more}: a density of them has a "
        "peak at each value, as high as the training makes it, and its likelihoods mean little. "
        "Leave constants out; make whole numbers 0, 1, 2 ... of values on a lattice, "
        f"(x - lowest) / step, with {kind}; or set min_scale to half a step.",
        UserWarning,
    )


def _listed(values: Tensor) -> str:
    shown = ", ".join(f"{value:g}" for value in values[:6].tolist())
    if len(values) == 1:
        return f"the constant {shown}"
    return f"only {len(values)} different values ({shown}{' ...' if len(values) > 6 else ''})"


def _told(x: Tensor, wild: Tensor, name: Any, size: float) -> str:
    rows = wild.nonzero()[:, 0].tolist()
    shown = ", ".join(map(str, rows[:5])) + (" ..." if len(rows) > 5 else "")
    value = float(x[rows[0]])
    named = f"row {shown}" if len(rows) == 1 else f"{len(rows)} rows ({shown})"
    return f"column {name!r}, {named}: {value:g}, where a standard deviation is {size:.3g}"


def _fences(x: Tensor) -> tuple[Tensor, Tensor]:
    """Between which numbers the values of each column [N, c] are not wild, [c] each."""
    shares = [*_LOWER, *(1 - q for q in _LOWER)]
    lower, upper = quantiles(x, shares).chunk(2)
    low = torch.full_like(x[0], -torch.inf)
    high, open_ = -low, torch.ones_like(low, dtype=torch.bool)
    most = ((~x.isnan()).sum(0) * _FEW).clamp(min=1)
    for a, b in zip(lower, upper, strict=True):
        begin, end = a - _WILD * (b - a), b + _WILD * (b - a)
        outside = ((x < begin) | (x > end)).sum(0)
        found = open_ & (b > a) & (outside <= most)
        low, high = torch.where(found, begin, low), torch.where(found, end, high)
        open_ = open_ & ~found
    return low, high
