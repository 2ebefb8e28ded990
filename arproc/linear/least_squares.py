"""Least squares given the first values: conditional Gaussian maximum likelihood."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn

import numpy as np

from arproc.errors import DataError
from arproc.linear.moments import Scaled, lagged_gram

__all__ = ["LeastSquares", "least_squares", "nested_sums_of_squares"]


@dataclass(frozen=True)
class LeastSquares:
    """The regression of x_t on its p predecessors and the trend's columns at t.

    Attributes:
        coef: [p].
        beta: coefficients of the trend's columns [q]: the recursion's constant and slope.
        sigma2: mean squared residual.
        used: how many elements were predicted.
        covariance: of (coef, beta, sigma2), `[p + q + 1] * 2`.
    """

    coef: np.ndarray
    beta: np.ndarray
    sigma2: float
    used: int
    covariance: np.ndarray


def least_squares(data: Scaled, order: int) -> LeastSquares:
    """Least squares over all elements that have `order` predecessors, sequences pooled.

    The normal equations come from lag sums. Where they would cost digits, the design matrix is
    factorised instead.

    Raises:
        DataError: too few elements, collinear predecessors, or residuals that are only rounding.
    """
    data = _long_enough(data, order)
    used = int((data.lengths - order).sum())
    gram, right, total = _normal_equations(data, order)
    size = np.sqrt(np.diag(gram))
    if not size.all():
        _collinear(order, used)
    spread = np.linalg.eigvalsh(gram / np.outer(size, size)) if len(size) else np.ones(1)
    well = bool(spread[0] > 1e-7 * spread[-1])
    if well:
        theta, inverse = np.linalg.solve(gram, right), np.linalg.inv(gram)
        squares = total - float(right @ theta)
    if not well or squares < 1e-7 * total:
        theta, inverse, squares = _by_design(data, order)
    sigma2 = squares / used
    covariance = np.zeros((len(theta) + 1, len(theta) + 1))
    covariance[:-1, :-1] = sigma2 * inverse
    covariance[-1, -1] = 2 * sigma2**2 / used
    return LeastSquares(theta[:order], theta[order:], sigma2, used, covariance)


def nested_sums_of_squares(data: Scaled, max_order: int) -> np.ndarray:
    """Residual sums of squares of the orders 0, 1, ..., `max_order`, all over the same elements.

    One Cholesky factor holds the regressions of every order: row by row, each predecessor takes
    its share away.

    Returns:
        Sums [max_order + 1], over the elements that have `max_order` predecessors.
    """
    data = _long_enough(data, max_order)
    gram, right, total = _normal_equations(data, max_order)
    turn = np.roll(np.arange(len(gram)), len(gram) - max_order)  # the trend's columns first
    full = np.block(
        [[gram[np.ix_(turn, turn)], right[turn, None]], [right[turn], np.array([[total]])]]
    )
    try:
        shares = np.linalg.cholesky(full)[-1, :-1] ** 2
    except np.linalg.LinAlgError:
        used = int((data.lengths - max_order).sum())
        _collinear(max_order, used)
    q = len(gram) - max_order
    return total - np.concatenate([[0.0], shares]).cumsum()[q:]


def _long_enough(data: Scaled, order: int) -> Scaled:
    """Only the sequences that have something to predict."""
    keep = data.lengths > order
    used, unknown = int((data.lengths[keep] - order).sum()), order + data.columns.shape[1]
    if used <= unknown:
        raise DataError(
            f"data is too short: {used} elements have {order} predecessors ({len(data.lengths)} "
            f"sequence(s) of at most {int(data.lengths.max())} elements); expected more than "
            f"{unknown}, one for each coefficient. Use a lower order or more data."
        )
    if keep.all():
        return data
    mask = np.repeat(keep, data.lengths)
    return Scaled(
        data.values[mask],
        data.lengths[keep],
        data.columns[mask],
        data.center,
        data.size,
        data.span,
    )


def _normal_equations(data: Scaled, order: int) -> tuple[np.ndarray, np.ndarray, float]:
    """X'X, X'y and y'y with X = (lag 1 ... lag p, the trend's columns)."""
    table = np.column_stack([data.values, data.columns])
    m = table.shape[1]
    gram = lagged_gram(table, data.lengths, order).reshape((order + 1) * m, (order + 1) * m)
    chosen = np.concatenate([np.arange(1, order + 1) * m, np.arange(1, m)])
    return gram[np.ix_(chosen, chosen)], gram[chosen, 0], float(gram[0, 0])


def _by_design(data: Scaled, order: int) -> tuple[np.ndarray, np.ndarray, float]:
    """The same regression from the design matrix, by singular values."""
    stop = np.cumsum(data.lengths)
    rows = np.concatenate(
        [np.arange(b - n + order, b) for b, n in zip(stop, data.lengths, strict=True)]
    )
    lags = data.values[rows[:, None] - np.arange(1, order + 1)]
    design = np.concatenate([lags, data.columns[rows]], axis=1)
    u, s, vt = np.linalg.svd(design, full_matrices=False)
    if s[-1] <= 1e-13 * s[0]:
        _collinear(order, len(rows))
    theta = vt.T @ ((u.T @ data.values[rows]) / s)
    residual = data.values[rows] - design @ theta
    squares = float(residual @ residual)
    if squares <= 1e-29 * len(rows) * (1 + np.abs(theta).sum()) ** 2:
        raise DataError(
            f"data are deterministic: the residuals of the recursion of order {order} are 0 to "
            "double precision, so there are no innovations. Use a lower order."
        )
    return theta, (vt.T / s**2) @ vt, squares


def _collinear(order: int, used: int) -> NoReturn:
    raise DataError(
        f"data do not determine the coefficients: the {order} predecessors of the {used} elements "
        "to predict are collinear with each other or with the trend. Use a lower order, "
        "trend='n', or method='yule-walker'."
    )
