r"""Sufficient statistics of Gaussian autoregressions about a mean that is linear in its terms.

The inverse covariance of n values of an AR(p) is :math:`(U^\top U - W^\top W) / \sigma^2` with
banded Toeplitz factors, so the quadratic form in the exact likelihood is :math:`\phi_*^\top E \,
\phi_*`, :math:`\phi_* = (1, -\phi_1, \dots, -\phi_p)`, where

.. math:: E_{ij} = \sum_{t \ge \max(i,j)} x_{t-i} x_{t-j} - \sum_{a=1}^{\min(i,j)} x_{i-a} x_{j-a}.

`E` is built from the lag sums and the first and last p values in one pass over the data; after
that no evaluation of the likelihood costs more for a longer series. The columns of the mean
go through the same sums, so the mean can be estimated exactly as well, and independent sequences
simply add.

References:
    Box, Jenkins (1976), Time Series Analysis, appendix A7.5. Gohberg, Semencul (1972).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from arproc.errors import DataError
from arproc.gaussian.terms import Terms

__all__ = [
    "Moments",
    "Scaled",
    "lag_sums",
    "lagged_gram",
    "moments",
    "positions",
    "restrict",
    "scale",
]


@dataclass(frozen=True)
class Scaled:
    """Series brought to mean 0 and size 1, so that no scale of the data is too small or too large.

    With `raw` the columns that the user's coefficients are of, `columns = raw @ unit`: a mean
    `columns @ b` of the scaled values is `raw @ (center + size * unit @ b)` on the data's scale.

    Attributes:
        values: `(x - raw @ center) / size`, the sequences one after the other, [total].
        lengths: elements in each sequence [N], all positive.
        columns: the terms and regressors, each of size 1 or so, [total, q].
        center: least-squares coefficients of the mean's columns, 0 for others, [q].
        size: root mean square of what is left, in the data's own unit.
        unit: upper triangular, [q, q].
    """

    values: np.ndarray
    lengths: np.ndarray
    columns: np.ndarray
    center: np.ndarray
    size: float
    unit: np.ndarray

    def own(self, beta: np.ndarray) -> np.ndarray:
        """Coefficients of the user's columns from those of the scaled ones, [q]."""
        return self.center + self.size * (self.unit @ beta)

    def only(self, keep: np.ndarray) -> Scaled:
        """Some of the sequences, by a mask [N]."""
        if keep.all():
            return self
        mask = np.repeat(keep, self.lengths)
        return Scaled(
            self.values[mask],
            self.lengths[keep],
            self.columns[mask],
            self.center,
            self.size,
            self.unit,
        )


def positions(lengths: np.ndarray) -> np.ndarray:
    """Position of every element in its own sequence, from 0: [total]."""
    starts = np.cumsum(lengths) - lengths
    return np.arange(int(lengths.sum())) - np.repeat(starts, lengths)


def scale(
    values: np.ndarray,
    lengths: np.ndarray,
    terms: Terms,
    regressors: np.ndarray | None = None,
    in_mean: bool = True,
    first: np.ndarray | None = None,
) -> Scaled:
    """Remove the least-squares mean and the size of what remains.

    Args:
        values: the sequences one after the other, [total].
        lengths: elements in each, [N].
        terms: the terms of the mean.
        regressors: further columns, [total, c].
        in_mean: whether the regressors are removed with the mean, or are only brought to size.
        first: the t at which each sequence begins, [N]; 0 by default.

    Raises:
        DataError: nothing remains (a constant series, or an exact line with trend "ct"), or some
            columns are collinear.
    """
    values = np.asarray(values, dtype=float)
    largest = float(np.abs(values).max())
    values = values / (largest or 1.0)
    columns, unit = _columns(lengths, terms, regressors, first)
    q = columns.shape[1]
    removed = q if in_mean or regressors is None else q - regressors.shape[1]
    center = np.zeros(q)
    if regressors is None and removed == terms.n == terms.n_trend == 1:
        center[0] = values.sum() / len(values)
        values = values - center[0]
    elif removed:
        center[:removed] = np.linalg.lstsq(columns[:, :removed], values, rcond=None)[0]
        values = values - columns @ center
    size = float(np.sqrt(values @ values / len(values)))
    # Rounding leaves about 1e-16 of the largest value where nothing random is left.
    if size <= 4e-16 * max(1.0, removed):
        raise DataError(
            f"data are {_exactly(terms, removed)} to double precision ({len(values)} values); "
            "expected a series that varies about its mean. No autoregression has a density for "
            "such data: its innovation variance would be 0."
        )
    if not 1e-75 < size * largest < 1e75:
        raise DataError(
            f"data vary by {size * largest:.3g}; expected between 1e-75 and 1e75, as variances of "
            "variances must be numbers too. Express them in another unit."
        )
    return Scaled(values / size, lengths, columns, unit @ center * largest, size * largest, unit)


def _exactly(terms: Terms, removed: int) -> str:
    if removed > terms.n_trend:
        return "exactly the sum of their terms and regressors"
    kinds = ("all zero", "constant", "an exact straight line", "an exact parabola")
    return kinds[terms.n_trend]


def _columns(
    lengths: np.ndarray,
    terms: Terms,
    regressors: np.ndarray | None,
    first: np.ndarray | None,
) -> tuple[np.ndarray, np.ndarray]:
    """The columns brought to a common size [total, q], and the matrix that did it [q, q]."""
    total = int(lengths.sum())
    if regressors is None and terms.n == terms.n_trend <= 1:
        return np.ones((total, terms.n)), np.eye(terms.n)
    t = positions(lengths)
    t = t if first is None else t + np.repeat(first, lengths)
    raw = terms.columns(torch.from_numpy(t)).numpy()
    names = list(terms.names)
    if regressors is not None:
        raw = np.concatenate([raw, regressors], axis=1)
        names += [f"x{j + 1}" for j in range(regressors.shape[1])]
    largest = np.abs(raw).max(axis=0)
    if terms.n == raw.shape[1] == terms.n_trend == 2 and total > 2:
        unit = np.diag(1 / np.maximum(largest, 1.0))
        return raw @ unit, unit
    if not largest.all():
        raise DataError(
            f"the column {names[int(np.argmin(largest))]} of the mean is 0 at every element, so "
            "nothing can be learnt of its coefficient; leave it out."
        )
    basis, right = np.linalg.qr(raw / largest)
    size = np.sqrt(((raw / largest) ** 2).sum(axis=0))
    share = np.abs(np.diag(right)) / size[: len(right)]
    if len(right) < raw.shape[1] or share.min() < 1e-10:
        low = np.flatnonzero(share < 1e-10)
        worst = int(low[0]) if len(low) else len(right)
        others = names[:worst] if worst < 7 else [*names[:3], "...", *names[worst - 2 : worst]]
        raise DataError(
            f"the columns of the mean are collinear: {names[worst]} is a combination of "
            f"{', '.join(others)} over the {total} elements of data. Leave one out."
        )
    unit = np.linalg.inv(right) / largest[:, None]
    return basis * np.sqrt(total), unit * np.sqrt(total)


@dataclass(frozen=True)
class Moments:
    """What the exact likelihood of an AR(order) needs to know of the data.

    Attributes:
        order: the order p.
        total: the number of elements in all sequences.
        levels: `{k: E}` with `E` of shape [k + 1, m, k + 1, m], summed over the sequences that
            need a predictor of order k at most: k = p for those longer than p, and k = n - 1 for a
            shorter one of n elements. Of the m columns the first is the data and the others are
            the regressors of the mean.
        weights: `sum over sequences of min(k, n)` for k = 1 ... p: how often each partial
            autocorrelation enters the log determinant, [p].
    """

    order: int
    total: int
    levels: dict[int, np.ndarray]
    weights: np.ndarray


def moments(data: Scaled, order: int, dtype: type[np.floating] = np.float64) -> Moments:
    """One pass over the data: the sufficient statistics for every AR of this order."""
    table = np.column_stack([data.values, data.columns]).astype(dtype, copy=False)
    lengths = data.lengths
    level_of = np.minimum(lengths - 1, order)
    weights = np.minimum(np.arange(1, order + 1)[:, None], lengths).sum(axis=1)
    levels = {}
    for level in np.unique(level_of).tolist():
        mine = level_of == level
        part = table if mine.all() else table[np.repeat(mine, lengths)]
        levels[level] = _quadratic(part, lengths[mine], level)
    return Moments(order, int(lengths.sum()), levels, weights)


def restrict(data: Moments, order: int) -> Moments:
    """The statistics for a lower order, which those for a higher one contain."""
    levels: dict[int, np.ndarray] = {}
    for level, quadratic in data.levels.items():
        k = min(level, order)
        part = quadratic[: k + 1, :, : k + 1]
        levels[k] = levels[k] + part if k in levels else part
    return Moments(order, data.total, levels, data.weights[:order])


def _quadratic(table: np.ndarray, lengths: np.ndarray, order: int) -> np.ndarray:
    """The matrix E [k + 1, m, k + 1, m], k = order, summed over sequences longer than k."""
    sums = lag_sums(table, lengths, order)
    head, tail = _ends(table, lengths, order)
    lost = _gram(head) + _gram(tail)
    return _along_diagonals(sums, -lost)


def lagged_gram(table: np.ndarray, lengths: np.ndarray, order: int) -> np.ndarray:
    """Sums of table[t - i, a] * table[t - j, b] over t >= k = order, [k + 1, m, k + 1, m].

    The normal equations of least squares given the first `order` values, without a design matrix.
    Sequences must be longer than `order`.
    """
    sums = lag_sums(table, lengths, order, skip=order)
    head, tail = _ends(table, lengths, order)
    return _along_diagonals(sums, _gram(head[:, ::-1]) - _gram(tail))


def _along_diagonals(sums: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """The matrix whose first row and column are `sums` and whose diagonals go on by `steps`.

    Args:
        sums: at the lags 0 to k, [k + 1, m, m].
        steps: what entry (i + 1, j + 1) has more than (i, j), [k, m, k, m].

    Returns:
        [k + 1, m, k + 1, m].
    """
    size, m = sums.shape[:2]
    # every diagonal stands in a column of this, so one running sum goes along all of them
    skew = np.zeros((m, m, size, 2 * size), sums.dtype)
    entries = _upright(skew)
    entries[:, :, 0] = sums.transpose(1, 2, 0)
    entries[:, :, :, 0] = sums.transpose(2, 1, 0)
    entries[:, :, 1:, 1:] = steps.transpose(1, 3, 0, 2)
    return _upright(skew.cumsum(axis=2)).transpose(2, 0, 3, 1)


def _upright(skew: np.ndarray) -> np.ndarray:
    """The view of a skewed array [..., k, 2 k] whose entry (i, j) is its (i, j - i + k - 1)."""
    size = skew.shape[-2]
    flat = skew.reshape(*skew.shape[:-2], -1)[..., size - 1 :]
    item = skew.itemsize
    strides = (*flat.strides[:-1], (2 * size - 1) * item, item)
    shape = (*skew.shape[:-2], size, size)
    return np.lib.stride_tricks.as_strided(flat, shape, strides)


def _ends(table: np.ndarray, lengths: np.ndarray, order: int) -> tuple[np.ndarray, np.ndarray]:
    """First `order` rows of each sequence, and last ones backwards: twice [N, order, m]."""
    if len(lengths) == 1:
        return table[None, :order], table[None, len(table) - order :][:, ::-1]
    stop, steps = np.cumsum(lengths)[:, None], np.arange(order)
    return table[stop - lengths[:, None] + steps], table[stop - 1 - steps]


def _gram(rows: np.ndarray) -> np.ndarray:
    """`sum_n rows[n, i, a] * rows[n, j, b]`, [k, m, k, m]."""
    flat = rows.reshape(len(rows), -1)
    return (flat.T @ flat).reshape(*rows.shape[1:], *rows.shape[1:])


def lag_sums(table: np.ndarray, lengths: np.ndarray, order: int, skip: int = 0) -> np.ndarray:
    """`sum_t table[t, a] * table[t - k, b]` within sequences, [k = 0 ... order, a, b].

    Args:
        table: the columns, the sequences one after the other, [total, m].
        lengths: elements in each, [N].
        order: the largest lag.
        skip: from which element of each sequence on t goes: 0, or `order`.
    """
    m, n = table.shape[1], len(lengths)
    if n == 1:
        # zeros stand for what comes before the sequence, where that is needed
        earlier = np.zeros((m, len(table) + order - skip), table.dtype)
        earlier[:, order - skip :] = table.T
        later = earlier[:, order:]
    else:
        # and between the sequences: no product then reaches from one into the next
        rows = np.arange(len(table)) + order * np.repeat(np.arange(1, n + 1), lengths)
        earlier = np.zeros((m, len(table) + order * n), table.dtype)
        earlier[:, rows] = table.T
        later = earlier[:, order:]
        if skip:
            starts = np.cumsum(lengths + order) - lengths - order
            later = later.copy()
            later[:, starts[:, None] + np.arange(skip)] = 0
    sums = np.empty((order + 1, m, m), table.dtype)
    if m > 3:
        steps = later.shape[1]
        for k in range(order + 1):
            sums[k] = later @ earlier[:, order - k : order - k + steps].T
        return sums
    for a in range(m):
        for b in range(m):
            sums[:, a, b] = np.correlate(earlier[b], later[a], "valid")[::-1]
    return sums
