r"""Conditional Gaussian maximum likelihood about a mean with regressors, given the first values.

The sum of squares :math:`S(\phi, \beta) = \sum_{t \ge p} (e_t - \sum_i \phi_i e_{t-i})^2`,
:math:`e_t = x_t - D_t \beta`, is a quadratic in each of its arguments. The data enter once, as
sums of lagged products; the mean is concentrated out by generalised least squares, and Newton's
method finds the coefficients (Cochrane and Orcutt 1949 alternate between the two instead).
"""

from __future__ import annotations

from functools import partial

import numpy as np

from arproc.errors import DataError
from arproc.models.autoregression.exact import STEP, Concentrated, contract, maximise, solve_mean
from arproc.models.autoregression.least_squares import LeastSquares, long_enough
from arproc.models.autoregression.moments import Scaled, lagged_gram

__all__ = ["conditional_fit", "conditional_ml"]


def conditional_ml(data: Scaled, lags: np.ndarray) -> LeastSquares:
    """The least sum of squares over the elements that have the predecessors, sequences pooled.

    Args:
        data: the data, their columns being those of the mean.
        lags: those whose coefficients are free, increasing, [k].

    Returns:
        Coefficients of the lags, and of the mean's columns; their covariance is the inverse of
        the observed information.

    Raises:
        DataError: too few elements, or no innovations.
    """
    data = long_enough(data, lags)
    order = int(lags.max(initial=0))
    gram = lagged_gram(np.column_stack([data.values, data.columns]), data.lengths, order)
    return conditional_fit(gram, lags, int((data.lengths - order).sum()))


def conditional_fit(gram: np.ndarray, lags: np.ndarray, used: int) -> LeastSquares:
    """The same from sums of lagged products [p + 1, m, p + 1, m] over `used` elements."""
    start = np.linalg.lstsq(gram[lags, 0][:, lags, 0], gram[lags, 0, 0, 0], rcond=None)[0]
    function = partial(_concentrated, lags=lags, gram=gram)
    _, at = maximise(function, start, partial(_rounding, used=used))
    squares = float(at.sum_squares[0].real)
    if not squares > 1e-13 * used:
        raise DataError(
            f"data are deterministic: the residuals of the recursion of order {len(gram) - 1} "
            "about the mean are 0 to double precision, so there are no innovations. Use a lower "
            "order or fewer regressors."
        )
    sigma2, k, q = squares / used, len(lags), gram.shape[1] - 1
    covariance = np.zeros((k + q + 1, k + q + 1))
    covariance[k:-1, k:-1] = sigma2 * np.linalg.inv(at.precision[0].real)
    covariance[-1, -1] = 2 * sigma2**2 / used
    if k:
        free, variance = at.coef[:, lags - 1], at.sum_squares[:, None] / used
        moved = np.concatenate([free, at.beta, variance], axis=-1).imag / STEP
        covariance += moved.T @ at.inverse_hessian @ moved * (2 / used)
    return LeastSquares(at.coef[0, lags - 1].real, at.beta[0].real, sigma2, used, covariance)


def _concentrated(phi: np.ndarray, lags: np.ndarray, gram: np.ndarray) -> Concentrated:
    """The log of S at the free coefficients [..., k], and its gradient in them."""
    coef = np.zeros((*phi.shape[:-1], len(gram) - 1), phi.dtype)
    coef[..., lags - 1] = phi
    form, half = contract(coef, gram)
    beta, squares, c = solve_mean(form)
    pull = np.einsum("...ajb,...a,...b->...j", half, c, c)[..., 1:]
    gradient = -2 * pull[..., lags - 1] / squares[..., None]
    return Concentrated(np.log(squares), gradient, coef, beta, squares, form[..., 1:, 1:])


def _rounding(at: Concentrated, used: int) -> float:
    gain = 1 + np.abs(at.coef[0].real).sum()
    return float(2.3e-16 * gain**2 * used / abs(at.sum_squares[0].real))
