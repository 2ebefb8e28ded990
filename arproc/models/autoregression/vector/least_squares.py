"""Least squares of a vector autoregression given the first values, from the triangular factor."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from arproc.errors import DataError

__all__ = ["VectorRegression", "nested_covariances", "regress"]


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
    """Least squares from `moments.regression_root`.

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
            "predict are collinear with each other or with the trend. Use a lower order, leave "
            "components out, or shrink (shrinkage='minnesota')."
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
