r"""Exact Gaussian maximum likelihood of an autoregression.

The coefficients are written through partial autocorrelations :math:`r_k = \tanh z_k`, so every z
in :math:`\mathbb{R}^p` is a stationary process and nothing has to be constrained. The data enter
once, as the sufficient statistics of `moments`; innovation variance and mean are concentrated out
(generalised least squares), which leaves

.. math::
    f(z) = \log S(z) - \sum_k \frac{w_k}{N} \log(1 - r_k^2), \qquad
    -2 \log L = N (f + 1 + \log 2\pi - \log N).

The gradient runs the Levinson recursion backwards. It is an analytic function of z, so its
derivative along :math:`e_j` is exactly :math:`\mathrm{Im}\, \nabla f(z + i h e_j) / h` for a tiny
h: all of the Hessian in one batched evaluation, and Newton's method converges in a handful of
steps whatever the length of the series.

References:
    Jones (1980), Maximum likelihood fitting of ARMA models, Technometrics 22. Monahan (1984).
    Squire, Trapp (1998), Using complex variables to estimate derivatives of real functions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, partial

import numpy as np

from arproc.errors import DataError
from arproc.gaussian.levinson import coef_to_pacf, durbin, predictors, step_down
from arproc.models.autoregression.moments import Moments, Scaled, moments

__all__ = ["ExactFit", "concentrated", "exact_ml", "maximal_log_likelihood", "maximise"]

STEP = 1e-40  # of the complex step: nothing is subtracted, so it may be as small as it likes
LIMIT = 16.0  # |z|: a partial autocorrelation of 1 - 5e-14


@dataclass(frozen=True)
class Concentrated:
    """The concentrated objective at z [..., p] and what was concentrated out."""

    objective: np.ndarray  # [...]
    gradient: np.ndarray  # [..., p]
    coef: np.ndarray  # [..., p]
    beta: np.ndarray  # [..., q]
    sum_squares: np.ndarray  # [...]
    precision: np.ndarray  # [..., q, q], of beta, times sigma2

    @cached_property
    def inverse_hessian(self) -> np.ndarray:
        """In z [p, p], from an evaluation at z + i h e_j for every j; see `maximise`.

        Where the Hessian is not positive the moduli of its eigenvalues serve.
        """
        hessian = (self.gradient.imag / STEP).astype(float)
        if hessian.shape[1] == 0:
            return np.zeros((0, 0))
        values, vectors = np.linalg.eigh((hessian + hessian.T) / 2)
        size = np.abs(values)
        return (vectors / np.maximum(size, 1e-10 * size.max() + 1e-300)) @ vectors.T


@dataclass(frozen=True)
class ExactFit:
    """A maximum of the exact likelihood, in the units of the data given.

    Attributes:
        coef: [p], 0 at lags that are left out.
        beta: coefficients of the mean's columns [q].
        sigma2: innovation variance.
        log_likelihood: nats.
        covariance: of (free coefficients, beta, sigma2), the inverse of the observed information,
            `[k + q + 1] * 2`.
    """

    coef: np.ndarray
    beta: np.ndarray
    sigma2: float
    log_likelihood: float
    covariance: np.ndarray


def concentrated(z: np.ndarray, data: Moments) -> Concentrated:
    """The concentrated objective and its gradient; z [..., p] may be complex."""
    r, slope = np.tanh(z), 1 / np.cosh(z) ** 2  # slope = dr/dz = 1 - r^2
    phi = predictors(r)
    shares = data.weights / data.total
    # how much larger the innovation variance is at a lower level: 1 / prod_{k > level} (1 - r_k^2)
    factor = {level: np.prod(slope[..., level:], axis=-1) for level in data.levels}
    parts = {level: contract(phi[level], e) for level, e in data.levels.items()}
    total = sum(factor[k][..., None, None] * part[0] for k, part in parts.items())
    beta, sum_squares, c = solve_mean(total)

    gradient = np.zeros_like(r)  # with respect to r through phi, then to z
    direct = np.zeros_like(r)  # with respect to z, through the factors
    carry = np.zeros_like(r)
    for k in range(data.order, -1, -1):
        if k in parts:
            form, half = parts[k]
            pull = np.einsum("...ajb,...a,...b->...j", half, c, c)
            carry[..., :k] -= 2 * factor[k][..., None] * pull[..., 1:]
            value = factor[k] * np.einsum("...ab,...a,...b->...", form, c, c)
            direct[..., k:] -= 2 * r[..., k:] * value[..., None]
        if k:
            head = carry[..., : k - 1].copy()
            gradient[..., k - 1] = carry[..., k - 1] - (head * phi[k - 1][..., ::-1]).sum(-1)
            carry[..., : k - 1] -= r[..., k - 1 : k] * head[..., ::-1]
    gradient = (gradient * slope + direct) / sum_squares[..., None] + 2 * shares * r
    objective = np.log(sum_squares) + 2 * (shares * np.log(np.cosh(z))).sum(-1)
    return Concentrated(objective, gradient, phi[-1], beta, sum_squares, total[..., 1:, 1:])


def contract(phi: np.ndarray, e: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """E contracted with (1, -phi): twice [..., m, m], and once [..., m, k + 1, m]."""
    size, m = e.shape[:2]
    star = np.concatenate([np.ones((*phi.shape[:-1], 1), phi.dtype), -phi], axis=-1)
    half = (star @ e.reshape(size, -1)).reshape(*phi.shape[:-1], m, size, m)
    return np.einsum("...ajb,...j->...ab", half, star), half


def solve_mean(form: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Generalised least squares: beta, the sum of squares left, and (1, -beta)."""
    right, left = form[..., 0, 1:], form[..., 1:, 1:]
    q = right.shape[-1]
    if q == 0:
        beta = right
    elif q == 1:
        beta = right / left[..., 0]
    elif left.dtype in (np.float64, np.complex128):
        beta = np.linalg.solve(left, right[..., None])[..., 0]
    else:
        beta = _eliminate(left, right)
    c = np.concatenate([np.ones((*beta.shape[:-1], 1), beta.dtype), -beta], axis=-1)
    return beta, np.einsum("...b,...b->...", form[..., 0, :], c), c


def _eliminate(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Solve symmetric positive systems in any precision (LAPACK has no extended one)."""
    q = right.shape[-1]
    rows = np.concatenate([left, right[..., None]], axis=-1)
    for j in range(q):
        rows[..., j, :] = rows[..., j, :] / rows[..., j, j : j + 1]
        for i in range(q):
            if i != j:
                rows[..., i, :] = rows[..., i, :] - rows[..., i, j : j + 1] * rows[..., j, :]
    return rows[..., -1]


def exact_ml(data: Scaled, lags: np.ndarray, sums: Moments | None = None) -> ExactFit:
    """The exact maximum likelihood fit to scaled data (see `moments.scale`).

    Where the innovations are so small beside the data that double precision would cost digits, the
    sums are formed once more in extended precision, and the maximum is refined from there.

    Args:
        data: the data.
        lags: those whose coefficients are free, increasing; the others up to the last are 0. [k]
        sums: the statistics of the data, where they are known already.

    Raises:
        DataError: the likelihood has no maximum (the data obey a deterministic recursion).
    """
    order = int(lags[-1]) if len(lags) else 0
    sums = moments(data, order) if sums is None else sums
    if len(lags) < order:
        return _exact_subset(data, lags, sums)
    z, at = maximise(partial(concentrated, data=sums), _start(sums), _noise(sums), _bounded)
    if not _rounding(at, sums) < 1e-11:
        sums = moments(data, order, np.longdouble)
        z, at = maximise(partial(concentrated, data=sums), z, _noise(sums), _bounded)
    return _summarise(z, at, sums, lags)


def _exact_subset(data: Scaled, lags: np.ndarray, sums: Moments) -> ExactFit:
    phi, at = maximise(
        partial(_of_coef, lags=lags, data=sums), _start_subset(sums, lags), _noise(sums)
    )
    if not _rounding(at, sums) < 1e-11:
        sums = moments(data, sums.order, np.longdouble)
        phi, at = maximise(partial(_of_coef, lags=lags, data=sums), phi, _noise(sums))
    z = np.arctanh(coef_to_pacf(at.coef[0].real.astype(float)))
    return _summarise(z, at, sums, lags)


def maximise(
    function: Callable[[np.ndarray], Concentrated],
    z: np.ndarray,
    noise: Callable[[Concentrated], float],
    bound: Callable[[np.ndarray], np.ndarray] | None = None,
    max_steps: int = 200,
    enough: float = 1e-15,
) -> tuple[np.ndarray, Concentrated]:
    """Newton's method on a concentrated likelihood; a handful of steps is usual.

    Args:
        function: the concentrated objective, infinite where nothing is defined.
        z: where to start [p].
        noise: its relative error by rounding.
        bound: brings a trial point back to where the objective can be computed.
        max_steps: limit on Newton steps.
        enough: the Newton decrement at which to stop.

    Returns:
        The maximum and the objective there, evaluated at z + i h e_j for every j [p, ...].
    """
    probe = 1j * STEP * np.eye(len(z)) if len(z) else np.zeros((1, 0))
    at = function(z + probe)
    for _ in range(max_steps):
        value = at.objective[0].real
        direction, decrement = _descent(at)
        if not decrement > max(enough, noise(at)):
            break
        step = min(1.0, 2.0 / float(np.abs(direction).max()))
        while True:
            trial = z + step * direction
            trial = trial if bound is None else bound(trial)
            after = function(trial + probe)
            if after.objective[0].real <= value - 1e-4 * step * decrement:
                break
            step /= 2
            if step < 1e-6:  # no descent is left within rounding
                return z, at
        z, at = trial, after
    return z, at


def maximal_log_likelihood(data: Scaled, sums: Moments) -> float:
    """The largest exact log-likelihood of an AR of the order of `sums`, nats.

    Newton's method stops one step early: what that step would gain is half its decrement, to
    within a small power of it.
    """
    function = partial(concentrated, data=sums)
    z, at = maximise(function, _start(sums), _noise(sums), _bounded, enough=1e-7)
    decrement = _descent(at)[1]
    if (
        not 0 <= decrement < 1e-7
        or not _rounding(at, sums) < 1e-11
        or np.abs(z).max(initial=0) > 5
    ):
        return exact_ml(data, np.arange(1, sums.order + 1), sums).log_likelihood
    best = float(at.objective[0].real) - decrement / 2
    return -0.5 * sums.total * (best + 1 + np.log(2 * np.pi / sums.total))


def _bounded(z: np.ndarray) -> np.ndarray:
    return np.clip(z, -LIMIT, LIMIT)


def _noise(data: Moments) -> Callable[[Concentrated], float]:
    return partial(_rounding, data=data)


def _of_coef(phi: np.ndarray, lags: np.ndarray, data: Moments) -> Concentrated:
    """The concentrated objective as a function of the free coefficients [..., k] alone."""
    coef = np.zeros((*phi.shape[:-1], data.order), phi.dtype)
    coef[..., lags - 1] = phi
    r = step_down(coef)
    if not bool((np.abs(r.real) < 1 - 1e-13).all()):
        nowhere = np.full(phi.shape[:-1], np.inf)
        return Concentrated(nowhere, phi, coef, nowhere, nowhere, nowhere)
    at = concentrated(np.arctanh(r), data)
    # d coef / d z, forwards through the Levinson recursion
    moved = np.zeros((*coef.shape, data.order), coef.dtype)
    for k, shorter in enumerate(predictors(r)[:-1]):
        last = r[..., k, None, None]
        head = moved[..., :k, :].copy()
        moved[..., :k, :] = head - last * head[..., ::-1, :]
        moved[..., :k, k] -= shorter[..., ::-1]
        moved[..., k, k] = 1.0
    moved = moved * (1 - r**2)[..., None, :]
    turned = np.swapaxes(moved, -1, -2).astype(np.complex128)
    gradient = np.linalg.solve(turned, at.gradient.astype(np.complex128)[..., None])[..., 0]
    return replace(at, gradient=gradient[..., lags - 1])


def _start_subset(data: Moments, lags: np.ndarray) -> np.ndarray:
    """Yule-Walker restricted to the lags, drawn towards 0 until it is stationary, [k]."""
    lagged = np.zeros(data.order + 1, np.float64)
    for k, e in data.levels.items():
        lagged[: k + 1] += e[0, 0, :, 0].astype(float)
    gram = lagged[np.abs(np.subtract.outer(lags, lags))]
    phi = np.linalg.lstsq(gram, lagged[lags], rcond=None)[0]
    for _ in range(200):
        if np.isfinite(_of_coef(phi[None], lags, data).objective[0]):
            return phi
        phi = phi * 0.95**lags
    return np.zeros(len(lags))


def _start(data: Moments) -> np.ndarray:
    """Least squares or Yule-Walker, whichever is stationary and likelier, in z [p]."""
    p = data.order
    main = data.levels[p][:, 0, :, 0]
    try:
        pacf = coef_to_pacf(np.linalg.solve(main[1:, 1:], main[1:, 0]))
        largest = float(np.abs(pacf).max(initial=0.0))
    except np.linalg.LinAlgError:
        pacf, largest = np.zeros(p), np.inf
    if largest < 0.98 and data.total > 50 * (p + 1):
        return np.arctanh(pacf)  # so much data leave no other maximum worth a look
    lagged = np.zeros(p + 1, main.dtype)
    for k, e in data.levels.items():
        lagged[: k + 1] += e[0, 0, :, 0]
    starts = [np.clip(durbin(lagged), -0.999999, 0.999999)]
    if largest < 0.999999:
        starts.append(pacf)
    z = np.arctanh(np.array(starts))
    return z[int(np.argmin(concentrated(z, data).objective))]


def _descent(at: Concentrated) -> tuple[np.ndarray, float]:
    """The Newton direction and the descent it promises (the Newton decrement)."""
    gradient = at.gradient[0].real.astype(float)
    direction = -(at.inverse_hessian @ gradient)
    return direction, float(-gradient @ direction)


def _rounding(at: Concentrated, data: Moments) -> float:
    """Relative error of the sum of squares: what is left of products as large as the data."""
    gain = 1 + np.abs(at.coef[0].real).sum()
    eps = np.finfo(at.objective.dtype).eps
    return float(eps * gain**2 * data.total / at.sum_squares[0].real)


def _summarise(z: np.ndarray, at: Concentrated, data: Moments, lags: np.ndarray) -> ExactFit:
    n, p = data.total, len(lags)
    coef, beta = at.coef[0].real.astype(float), at.beta[0].real.astype(float)
    sigma2 = float(at.sum_squares[0].real) / n
    # A recursion with p / 2 free frequencies passes through 3p / 2 values exactly: no maximum when
    # n is so small.
    through = n <= 2 * (p + len(beta) + 1) and np.abs(z).max(initial=0) > 6
    if through or not 0 <= _rounding(at, data) < 1e-4 or _descent(at)[1] > 1e-3:
        raise DataError(
            "the exact likelihood of data has no maximum: a deterministic recursion of order "
            f"{data.order} passes through the {n} values but for "
            f"{max(sigma2, 0.0) ** 0.5:.1g} of their size. Use a lower order, "
            "more data, or method='yule-walker'."
        )
    log_likelihood = -0.5 * n * (float(at.objective[0].real) + 1 + np.log(2 * np.pi / n))
    q = len(beta)
    covariance = np.zeros((p + q + 1, p + q + 1))
    covariance[p : p + q, p : p + q] = sigma2 * np.linalg.inv(at.precision[0].real.astype(float))
    covariance[-1, -1] = 2 * sigma2**2 / n
    if p:
        # how coefficients, mean and variance move with z: the imaginary parts again, [p, p + q +
        # 1]
        variance = at.sum_squares[:, None] / n
        free = at.coef[:, lags - 1]
        moved = np.concatenate([free, at.beta, variance], axis=-1).imag / STEP
        moved = moved.astype(float)
        covariance += moved.T @ at.inverse_hessian @ moved * (2 / n)
    return ExactFit(coef, beta, sigma2, log_likelihood, covariance)
