"""Least squares given the first values: conditional Gaussian maximum likelihood."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn

import numpy as np

from arproc.errors import DataError
from arproc.models.autoregression.moments import Scaled, lagged_gram

__all__ = ["LeastSquares", "least_squares", "normal_equations", "nested_sums_of_squares"]


_SHORT = 2**14  # elements up to which a design matrix is no burden
_WELL = 1e-7  # what products must leave of each predictor, and of the response, to have digits


@dataclass(frozen=True)
class LeastSquares:
    """The regression of x_t on its predecessors and the columns at t.

    Attributes:
        coef: of the lags asked for, [k].
        beta: coefficients of the columns [q], of the recursion.
        sigma2: mean squared residual.
        used: how many elements were predicted.
        covariance: of (coef, beta, sigma2), `[k + q + 1] * 2`.
        strength: of the ridge penalty.
        effective: the effective number of parameters; None where that is their number.
    """

    coef: np.ndarray
    beta: np.ndarray
    sigma2: float
    used: int
    covariance: np.ndarray
    strength: float = 0.0
    effective: float | None = None


def least_squares(data: Scaled, lags: np.ndarray) -> LeastSquares:
    """Least squares over all elements that have the predecessors, sequences pooled.

    The normal equations come from lag sums. Where they would cost digits, the design matrix is
    factorised instead.

    Args:
        data: the data.
        lags: the lags of the predecessors, increasing, [k].

    Raises:
        DataError: too few elements, collinear predecessors, or residuals that are only rounding.
    """
    data = long_enough(data, lags)
    used = int((data.lengths - _order(lags)).sum())
    gram, right, total = normal_equations(data, lags)
    size = np.sqrt(np.diag(gram))
    if not size.all():
        _collinear(lags, used)
    spread = np.linalg.eigvalsh(gram / np.outer(size, size)) if len(size) else np.ones(1)
    well = bool(spread[0] > 1e-7 * spread[-1])
    if well:
        theta, inverse = np.linalg.solve(gram, right), np.linalg.inv(gram)
        squares = total - float(right @ theta)
    if not well or squares < 1e-7 * total:
        theta, inverse, squares = _by_design(data, lags)
    sigma2 = squares / used
    covariance = np.zeros((len(theta) + 1, len(theta) + 1))
    covariance[:-1, :-1] = sigma2 * inverse
    covariance[-1, -1] = 2 * sigma2**2 / used
    return LeastSquares(theta[: len(lags)], theta[len(lags) :], sigma2, used, covariance)


def nested_sums_of_squares(
    data: Scaled, max_order: int, always: np.ndarray | None = None
) -> np.ndarray:
    """Residual sums of squares of the orders 0, 1, ..., `max_order`, all over the same elements.

    One Cholesky factor holds the regressions of every order: row by row, each predecessor takes
    its share away.

    Args:
        data: the data.
        max_order: the largest order.
        always: lags that every order has besides its own.

    Returns:
        Sums [max_order + 1], over the elements that have all the predecessors.
    """
    always = np.zeros(0, np.int64) if always is None else always
    own = np.arange(1, max_order + 1)
    new = np.ones(max_order, dtype=bool)
    new[always[always <= max_order] - 1] = False
    lags = np.concatenate([always, own[new]])
    data = long_enough(data, lags)
    factor, well = _factor(data, lags)
    q = data.columns.shape[1]
    if not well:  # the products would cost digits
        design, target = _design(data, lags)
        table = np.column_stack([design[:, len(lags) :], design[:, : len(lags)], target])
        size = np.sqrt((table**2).sum(axis=0))
        size[-1] = 1.0
        if not size.all():
            _collinear(lags, len(target))
        factor = np.asarray(np.linalg.qr(table / size, mode="r")).T
        if not np.abs(np.diag(factor)[:-1]).min(initial=1.0) > 1e-13:
            _collinear(lags, len(target))
        _require_innovations(float(factor[-1, -1]) ** 2, len(target), 1.0, int(lags.max()))
    shares = factor[-1, ::-1] ** 2
    # what is left after the columns and lags up to each: sums of the shares from the last on
    left = shares.cumsum()[::-1][q + len(always) :]
    return left[np.concatenate([[0], new.cumsum()])]


def _factor(data: Scaled, lags: np.ndarray) -> tuple[np.ndarray, bool]:
    """The Cholesky factor of the ordered products, and whether it has digits enough."""
    from arproc.compiled.interpreted import suited
    from arproc.gaussian import lag_products

    # not compiled yet, NumPy is faster than the loops interpreted
    if suited(lag_products, len(data.values) / 10) is lag_products:
        columns = np.ascontiguousarray(data.columns.T)
        return lag_products.nested_factor(data.values, data.lengths, lags, columns, _WELL)
    full = _ordered_products(data, lags)
    try:
        factor = np.linalg.cholesky(full)
    except np.linalg.LinAlgError:
        return full, False
    return factor, bool((factor.diagonal() ** 2 > _WELL * full.diagonal()).all())


def _ordered_products(data: Scaled, lags: np.ndarray) -> np.ndarray:
    """Products of (the columns, the lags one by one, the response), [q + k + 1, q + k + 1]."""
    order, q = _order(lags), data.columns.shape[1]
    used = len(data.values) - order
    if len(data.lengths) == 1 and used <= _SHORT:  # one matrix product
        rows = np.empty((q + len(lags) + 1, used))
        rows[:q] = data.columns[order:].T
        for row, lag in enumerate(lags.tolist(), start=q):
            rows[row] = data.values[order - lag : order - lag + used]
        rows[-1] = data.values[order:]
        return rows @ rows.T
    gram, right, total = normal_equations(data, lags)
    turn = np.concatenate([np.arange(len(lags), len(gram)), np.arange(len(lags))])
    full = np.empty((len(gram) + 1, len(gram) + 1))
    full[:-1, :-1] = gram[np.ix_(turn, turn)]
    full[-1, :-1] = full[:-1, -1] = right[turn]
    full[-1, -1] = total
    return full


def _order(lags: np.ndarray) -> int:
    return int(lags.max(initial=0))


def long_enough(data: Scaled, lags: np.ndarray) -> Scaled:
    """Only the sequences that have something to predict."""
    order = _order(lags)
    used = int(np.maximum(data.lengths - order, 0).sum())
    unknown = len(lags) + data.columns.shape[1]
    if used <= unknown:
        raise DataError(
            f"data is too short: {used} elements have {order} predecessors ({len(data.lengths)} "
            f"sequence(s) of at most {int(data.lengths.max())} elements); expected more than "
            f"{unknown}, one for each coefficient. Use a lower order or more data."
        )
    return data.only(data.lengths > order)


def normal_equations(data: Scaled, lags: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """X'X, X'y and y'y with X = (the lags, the columns)."""
    table, order = np.column_stack([data.values, data.columns]), _order(lags)
    m = table.shape[1]
    gram = lagged_gram(table, data.lengths, order).reshape((order + 1) * m, (order + 1) * m)
    chosen = np.concatenate([lags * m, np.arange(1, m)])
    return gram[np.ix_(chosen, chosen)], gram[chosen, 0], float(gram[0, 0])


def _by_design(data: Scaled, lags: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """The same regression from the design matrix, by singular values."""
    design, target = _design(data, lags)
    u, s, vt = np.linalg.svd(design, full_matrices=False)
    if s[-1] <= 1e-13 * s[0]:
        _collinear(lags, len(target))
    theta = vt.T @ ((u.T @ target) / s)
    residual = target - design @ theta
    squares = float(residual @ residual)
    _require_innovations(squares, len(target), 1 + float(np.abs(theta).sum()), _order(lags))
    return theta, (vt.T / s**2) @ vt, squares


def _design(data: Scaled, lags: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The predictors (lags, columns) and the responses of every element that has them all."""
    stop, order = np.cumsum(data.lengths), _order(lags)
    rows = np.concatenate(
        [np.arange(b - n + order, b) for b, n in zip(stop, data.lengths, strict=True)]
    )
    design = np.concatenate([data.values[rows[:, None] - lags], data.columns[rows]], axis=1)
    return design, data.values[rows]


def _require_innovations(squares: float, used: int, gain: float, order: int) -> None:
    if squares <= 1e-29 * used * gain**2:
        raise DataError(
            f"data are deterministic: the residuals of the recursion of order {order} are 0 to "
            "double precision, so there are no innovations. Use a lower order."
        )


def _collinear(lags: np.ndarray, used: int) -> NoReturn:
    raise DataError(
        f"data do not determine the coefficients: the {len(lags)} predecessors of the {used} "
        "elements to predict are collinear with each other or with the trend. Use a lower order, "
        "trend='n', or method='yule-walker'."
    )
