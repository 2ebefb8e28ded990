"""Least squares with a ridge penalty, its strength given or learnt from the data."""

from __future__ import annotations

from typing import Any

import numpy as np

from arproc.errors import DataError, ParameterError
from arproc.inference.candidates import first_parts
from arproc.models.autoregression.least_squares import LeastSquares, normal_equations
from arproc.models.autoregression.moments import Scaled
from arproc.models.autoregression.ridge import Sums, ridge, strength_by_errors, strength_of

__all__ = ["RULES", "check_ridge", "shrunken_least_squares", "split"]

#: How a strength may be learnt.
RULES = ("marginal", "oos")


def check_ridge(strength: Any) -> None:
    """Raise `ParameterError` unless it is a number from 0 on or the name of a rule."""
    if isinstance(strength, str) and strength in RULES:
        return
    number = isinstance(strength, (int, float, np.number)) and not isinstance(strength, bool)
    if not number or not 0 <= strength < np.inf:
        raise ParameterError(
            "ridge must be a number from 0 on, 'marginal' (the strength of the largest marginal "
            "likelihood) or 'oos' (that of the best predictions of the last fifth); got "
            f"{strength!r}."
        )


def shrunken_least_squares(
    data: Scaled, lags: np.ndarray, n_terms: int, strength: float | str
) -> LeastSquares:
    """Least squares given the first values, the lags and regressors shrunk towards 0.

    Args:
        data: the data.
        lags: the lags of the predecessors, increasing, [k].
        n_terms: how many of the columns, the first ones, are terms, which are not shrunk.
        strength: of the penalty, or the rule to learn it by.

    Raises:
        DataError: too few elements, or no innovations.
    """
    order, q = int(lags.max(initial=0)), data.columns.shape[1]
    used, rows = int((data.lengths - order).clip(min=0).sum()), np.arange(len(lags) + q)
    free = (rows >= len(lags)) & (rows < len(lags) + n_terms)
    if used <= n_terms + 1:
        raise DataError(
            f"data is too short: {used} elements have {order} predecessors; expected more than "
            f"{n_terms + 1}, however strong the penalty. Use a lower order or more data."
        )
    sums = _sums(data, lags)
    if strength == "marginal":
        chosen = float(strength_of(sums, free))
    elif strength == "oos":
        first = _sums(split(data, order), lags)
        if first.count <= n_terms + 1:
            raise DataError(
                f"data is too short for ridge='oos': the first part has {first.count} elements "
                f"with {order} predecessors; expected more than {n_terms + 1}. Use "
                "ridge='marginal' or a number."
            )
        chosen = float(strength_by_errors(first, sums.without(first), free))
    else:
        chosen = float(strength)
    found = ridge(sums, free, chosen)
    if not found.squares > 1e-13 * sums.total:
        raise DataError(
            f"data are deterministic: the residuals of the recursion of order {order} are 0 to "
            "double precision, so there are no innovations. Use a lower order or a stronger "
            "penalty."
        )
    sigma2 = float(found.squares) / used
    covariance = np.zeros((len(rows) + 1, len(rows) + 1))
    covariance[:-1, :-1] = sigma2 * np.linalg.inv(sums.gram + np.diag(found.penalty))
    covariance[-1, -1] = 2 * sigma2**2 / used
    coef, beta = found.coef[: len(lags)], found.coef[len(lags) :]
    effective = float(found.effective) + 1
    return LeastSquares(coef, beta, sigma2, used, covariance, chosen, effective)


def split(data: Scaled, order: int) -> Scaled:
    """The sequences without their last parts: a fifth of what has `order` predecessors."""
    kept = first_parts(data.lengths, order)
    steps = np.arange(len(data.values)) - np.repeat(
        np.cumsum(data.lengths) - data.lengths, data.lengths
    )
    inside = steps < np.repeat(kept, data.lengths)
    return Scaled(
        data.values[inside], kept, data.columns[inside], data.center, data.size, data.unit
    )


def _sums(data: Scaled, lags: np.ndarray) -> Sums:
    order = int(lags.max(initial=0))
    data = data.only(data.lengths > order)
    gram, cross, total = normal_equations(data, lags)
    return Sums(gram, cross, np.array(total), np.array((data.lengths - order).sum()))
