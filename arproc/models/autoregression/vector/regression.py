r"""Least squares of a vector autoregression given the first values, from a triangular factor.

The regression of x_t on its p predecessors and the trend enters only by the triangular factor R of
the design beside the targets, :math:`[Z \; X] = Q R`: it holds the coefficients, the residual
covariance and the information, of every lower order as well, and costs no digits. It is made in
blocks of rows, so memory does not grow with the data.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from arproc.errors import DataError

__all__ = [
    "N_COLUMNS",
    "VectorData",
    "VectorRegression",
    "check_enough",
    "check_innovations",
    "heads",
    "nested_covariances",
    "regress",
    "regression_root",
    "standardise",
]

N_COLUMNS = {"n": 0, "c": 1, "ct": 2}

_BLOCK = 2**14  # rows that are factorised at once


@dataclass(frozen=True)
class VectorData:
    """Sequences of vectors, each component brought to mean 0 (unless trend is "n") and size 1.

    Attributes:
        values: `(x - center) / size`, the sequences one after the other, [total, d].
        lengths: elements in each, [N], all positive.
        trend: "n", "c" or "ct"; the trend's columns are 1 and t / span.
        center: [d].
        size: [d].
        span: the unit of time.
        columns: the trend's, then the regressors as `(u - middle) / spread`, [total, q].
        middle: [c]; 0 where there is no constant to take it up.
        spread: [c].
    """

    values: np.ndarray
    lengths: np.ndarray
    trend: str
    center: np.ndarray
    size: np.ndarray
    span: float
    columns: np.ndarray
    middle: np.ndarray
    spread: np.ndarray

    @property
    def dimension(self) -> int:
        """The number of components d."""
        return self.values.shape[1]

    @property
    def n_trend(self) -> int:
        """How many of the columns are the trend's."""
        return N_COLUMNS[self.trend]

    @property
    def q(self) -> int:
        """How many columns there are."""
        return self.columns.shape[1]


def standardise(
    values: np.ndarray,
    lengths: np.ndarray,
    trend: str,
    names: list[str],
    regressors: np.ndarray | None = None,
    first: np.ndarray | None = None,
) -> VectorData:
    """Remove each component's mean (unless `trend` is "n") and size, of what was observed.

    Args:
        values: the sequences one after the other, [total, d].
        lengths: elements in each, [N].
        trend: "n", "c" or "ct".
        names: the components'.
        regressors: of every element, [total, c].
        first: the t at which each sequence begins, [N]; 0 by default.

    Raises:
        DataError: a component that is constant, or too large or small for its variance to be a
            number.
    """
    lengths = np.asarray(lengths, dtype=np.int64)
    first = (np.zeros(len(lengths)) if first is None else first)[lengths > 0]
    lengths = lengths[lengths > 0]
    seen = (~np.isnan(values)).sum(axis=0)
    if not seen.all():
        raise DataError(
            f"component {names[int(seen.argmin())]} of data was never observed; leave it out."
        )
    largest = np.nanmax(np.abs(values), axis=0)
    unit = values / np.where(largest > 0, largest, 1.0)
    center = np.zeros(values.shape[1]) if trend == "n" else np.nansum(unit, axis=0) / seen
    unit = unit - center
    size = np.sqrt(np.nansum(unit**2, axis=0) / seen)
    if (size <= 4e-16).any():
        name = names[int((size <= 4e-16).argmax())]
        raise DataError(
            f"component {name} of data is constant to double precision ({len(values)} values); "
            "expected one that varies. No vector autoregression has a density for it: leave the "
            "component out."
        )
    scale = size * largest
    if not ((scale > 1e-75) & (scale < 1e75)).all():
        name = names[int((~((scale > 1e-75) & (scale < 1e75))).argmax())]
        raise DataError(
            f"component {name} of data varies by {scale.max():.3g} or {scale.min():.3g}; expected "
            "between 1e-75 and 1e75. Express it in another unit."
        )
    time = _within(lengths) + np.repeat(first, lengths)
    span = float(max(np.abs(time).max(), 1))
    moved, middle, spread = _regressors(regressors, trend, len(values))
    powers = np.stack([np.ones(len(time)), time / span], axis=1)[:, : N_COLUMNS[trend]]
    columns = np.hstack([powers, moved])
    line = (trend, center * largest, scale, span)
    return VectorData(unit / size, lengths, *line, columns, middle, spread)


def _within(lengths: np.ndarray) -> np.ndarray:
    """The place of every element in its sequence, [total]."""
    return np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)


def _regressors(
    given: np.ndarray | None, trend: str, total: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Regressors brought to place and size, and these."""
    u = np.zeros((total, 0)) if given is None else given
    middle = np.zeros(u.shape[1]) if trend == "n" else u.mean(axis=0)
    moved = u - middle
    spread = np.sqrt((moved**2).mean(axis=0))
    wrong = ~(spread > 4e-16 * np.abs(u).max(axis=0, initial=0)) | ~(np.abs(spread) < 1e75)
    if wrong.any():
        raise DataError(
            f"column {int(wrong.argmax()) + 1} of context is constant, or too large for its "
            "variance to be a number; expected regressors that vary. Leave it out (the constant "
            "is that of trend), or express it in another unit."
        )
    return moved / spread, middle, spread


def regression_root(data: VectorData, order: int, lagged: bool = False) -> tuple[np.ndarray, int]:
    """R of the design (columns, lag 1 ... lag p) beside the targets, and how many targets.

    Args:
        data: the sequences.
        order: p.
        lagged: whether the columns are the data's, and then the regressors' p lags as well.

    Returns:
        Upper triangular [m, m], m = q + p d + d (and p c), over the elements with `order`
        predecessors.
    """
    width = data.q + lagged * order * (data.q - data.n_trend) + (order + 1) * data.dimension
    root, used = np.zeros((0, width)), 0
    for block in _design(data, order, lagged):
        used += len(block)
        root = np.asarray(np.linalg.qr(np.concatenate([root, block]), mode="r"))
    if len(root) < width:
        root = np.concatenate([root, np.zeros((width - len(root), width))])
    return root, used


def _design(data: VectorData, order: int, lagged: bool) -> Iterator[np.ndarray]:
    """Blocks of rows (columns at t, x_{t-1}, ..., x_{t-p}, x_t), gathered from all sequences."""
    parts, rows = [], 0
    u, lags = data.columns[:, data.n_trend :], range(1, order + 1)
    stop = np.cumsum(data.lengths)
    for begin, length in zip(stop - data.lengths, data.lengths, strict=True):
        for first in range(order, int(length), _BLOCK):
            t = begin + np.arange(first, min(first + _BLOCK, int(length)))
            earlier = [u[t - i] for i in lags] if lagged else []
            past = [data.values[t - i] for i in lags]
            parts.append(np.hstack([data.columns[t], *earlier, *past, data.values[t]]))
            rows += len(t)
            if rows >= _BLOCK:
                yield np.concatenate(parts)
                parts, rows = [], 0
    if parts:
        yield np.concatenate(parts)


def heads(data: VectorData, order: int) -> dict[int, tuple[int, np.ndarray]]:
    """The first elements of the sequences, which a stationary start gives a law of their own.

    Returns:
        `{k: (count, gram)}` for the sequences whose first k = min(length, order) elements are not
        predicted from `order` predecessors: the gram of their columns and then the elements, each
        side by side, the newest first, [k q + k d, k q + k d].
    """
    found: dict[int, tuple[int, np.ndarray]] = {}
    starts = np.cumsum(data.lengths) - data.lengths
    level = np.minimum(data.lengths, order)
    for k in np.unique(level[level > 0]).tolist():
        index = starts[level == k][:, None] + np.arange(k)[::-1]
        parts = [table[index].reshape(len(index), -1) for table in (data.columns, data.values)]
        flat = np.hstack(parts)
        found[k] = (len(flat), flat.T @ flat)
    return found


# ---- what the factor says ----------------------------------------------------------


@dataclass(frozen=True)
class VectorRegression:
    """The regression of every component on the same columns.

    Attributes:
        theta: the coefficients, a column for each component, [k, d].
        sigma: the residuals' mean squares and products, [d, d].
        inverse: of the columns' gram, [k, k]; one for each component [d, k, k] where they were
            shrunk apart.
        used: how many elements were predicted.
    """

    theta: np.ndarray
    sigma: np.ndarray
    inverse: np.ndarray
    used: int


def regress(root: np.ndarray, used: int, dimension: int) -> VectorRegression:
    """Least squares from `regression_root`.

    Raises:
        DataError: too few elements, collinear columns, or components without innovations.
    """
    k = len(root) - dimension
    check_enough(used, k, dimension)
    top, right, rest = root[:k, :k], root[:k, k:], root[k:, k:]
    norms = np.sqrt((root**2).sum(axis=0))
    if k and (np.abs(np.diag(top)) <= 1e-13 * norms[:k]).any():
        raise DataError(
            f"data do not determine the coefficients: the predecessors of the {used} elements to "
            "predict are collinear with each other, the trend or the regressors, or these are. "
            "Use a lower order, leave components or regressors out, or shrink "
            "(shrinkage='minnesota')."
        )
    sigma = rest.T @ rest / used
    check_innovations(sigma, (norms[k:] ** 2) / used)
    inverse_root = np.linalg.inv(top) if k else np.zeros((0, 0))
    return VectorRegression(inverse_root @ right, sigma, inverse_root @ inverse_root.T, used)


def check_enough(used: int, k: int, dimension: int) -> None:
    """Raise `DataError` unless `used` elements can tell k coefficients an equation and sigma."""
    if used < k + dimension:
        raise DataError(
            f"data are too short: {used} element(s) to predict, with {k} coefficients in each of "
            f"{dimension} equations; expected at least {k + dimension}. Use a lower order, more "
            "data, or shrink (shrinkage='minnesota')."
        )


def check_innovations(sigma: np.ndarray, scale: np.ndarray) -> None:
    """Raise `DataError` where the innovations [d, d] are no proper normal's but rounding.

    Args:
        sigma: their covariance.
        scale: mean squares of the data [d].
    """
    relative = sigma / np.sqrt(np.outer(scale, scale))
    own = np.diag(relative)
    smallest = np.linalg.eigvalsh(relative / np.sqrt(np.outer(own, own)))[0] if own.all() else 0.0
    if own.min() < 1e-26 or smallest < 1e-13:
        raise DataError(
            "data have no innovations in some direction: a component, or a combination of them, "
            "is determined by the others and the past to double precision. Leave components out "
            "or use a lower order."
        )


def nested_covariances(
    root: np.ndarray, used: int, dimension: int, n_trend: int, max_order: int
) -> list[np.ndarray]:
    """Residual covariances of the orders 0 ... `max_order`, all over the same elements.

    The first columns of a triangular factor are that of the regression on these columns alone.
    """
    rests = [root[n_trend + p * dimension :, -dimension:] for p in range(max_order + 1)]
    return [rest.T @ rest / used for rest in rests]
