r"""Joint maximum likelihood of mean, variance and innovations, given the first elements.

The regression of the mean is written on an orthonormal basis and the data in units of their
least-squares residuals, so that all parameters are of one size. Newton steps on differences of
the exact gradient follow where the maximum is not on a bound.

References:
    Bollerslev (1986), Journal of Econometrics 31; Glosten, Jagannathan, Runkle (1993), Journal of
    Finance 48; Bollerslev, Wooldridge (1992), Econometric Reviews 11, for the robust covariance.
"""

from __future__ import annotations

import itertools
import math
from typing import Any, NamedTuple

import numpy as np

from arproc.errors import DataError
from arproc.inference.delta import carried
from arproc.models.volatility.innovations import (
    Innovations,
    LaplaceInnovations,
    MixtureInnovations,
)
from arproc.models.volatility.likelihood import STEP, Parts, VolatilityLikelihood

__all__ = ["VolatilityFit", "backcast", "estimate"]

_BLURS = (0.1, 1e-2, 1e-3, 1e-5)  # how Laplace's kink is rounded, in turn
_NO_NOISE = "data has no noise about its autoregression; no innovation variance can be estimated."


class VolatilityFit(NamedTuple):
    """What was estimated, in the data's unit.

    Attributes:
        parts: the parameters.
        backcast: what stands for squares and variances before the first innovation.
        covariance: of the parameters in the order of `parts`, psi as it is shown; nan for those
            that lie on a bound.
        used: how many elements the likelihood is of.
    """

    parts: Parts
    backcast: float
    covariance: np.ndarray
    used: int


def backcast(e: np.ndarray) -> float:
    """A variance for before the start: the first 75 squares, weighted by powers of 0.94."""
    count = min(75, len(e))
    weight = 0.94 ** np.arange(count)
    return float(weight @ e[:count] ** 2 / weight.sum())


def estimate(
    series: list[np.ndarray], order: int, powers: int, orders: tuple[int, int, int],
    innovations: Innovations, robust: bool,
) -> VolatilityFit:  # fmt: skip
    """Fit one process to several series.

    Args:
        series: values, [T] each.
        order: how many lags the mean has.
        powers: how many powers of t it has: 0, 1 (a constant) or 2.
        orders: how many alpha, gamma and beta there are.
        innovations: their law.
        robust: whether the covariance is that of Bollerslev and Wooldridge.

    Raises:
        DataError: too few elements, collinear lags, or no noise.
    """
    if all(x.min() == x.max() for x in series if len(x)):
        raise DataError(
            "data are constant; expected series that vary, as a constant has no innovations whose "
            "variance could be estimated."
        )
    y = np.concatenate([x[order:] for x in series])
    design = np.concatenate([_design(x, order, powers) for x in series])
    lengths = [max(len(x) - order, 0) for x in series]
    offsets = np.r_[0, np.cumsum(lengths)].astype(np.int64)
    size = design.shape[1] + 1 + sum(orders) + len(innovations.start)
    if len(y) <= size:
        raise DataError(
            f"data has {len(y)} element(s) beyond the first {order} given ones; expected more "
            f"than the {size} parameters."
        )
    basis, back = _orthonormal(design)
    b = basis.T @ y / len(y)
    rest = y - basis @ b
    scale = float(np.sqrt((rest**2).mean()))
    if not scale > 1e-13 * float(np.abs(y).max()):
        raise DataError(_NO_NOISE)
    parts = [rest[a:b] / scale for a, b in itertools.pairwise(offsets) if b > a]
    start = float(np.mean([backcast(part) for part in parts]))
    likelihood = VolatilityLikelihood(y / scale, basis, offsets, start, orders, innovations)
    theta = _maximise(likelihood, b / scale)
    covariance = _covariance(likelihood, theta, robust)
    found = likelihood.split(theta)
    moved = _natural(likelihood, found, back * scale, scale)
    natural = Parts(
        back @ found.b * scale, found.omega * scale**2, found.alpha, found.gamma, found.beta,
        found.psi,
    )  # fmt: skip
    return VolatilityFit(natural, start * scale**2, carried(moved, covariance), len(y))


def _design(x: np.ndarray, order: int, powers: int) -> np.ndarray:
    """Powers of t and lags, [T - p, k]."""
    t = np.arange(order, max(len(x), order), dtype=np.float64)
    lags = [x[order - i : len(x) - i] for i in range(1, order + 1)] if len(x) > order else []
    columns = [*(t**power for power in range(powers)), *lags]
    if not columns or not len(t):
        return np.zeros((len(t), powers + order))
    return np.stack(columns, axis=1)


def _orthonormal(design: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A basis [n, k] of unit mean square, and the matrix back to the columns' coefficients."""
    n, k = design.shape
    if not k:
        return design, np.zeros((0, 0))
    size = np.sqrt((design**2).mean(axis=0))
    if not (size > 0).all():
        raise DataError(_NO_NOISE)
    q, r = np.linalg.qr(design / size)
    if np.abs(np.diag(r)).min() <= 1e-11 * np.abs(r).max():
        raise DataError(
            "data repeats itself: its lags are perfectly collinear, so their coefficients can not "
            "be told apart. Use a lower order or another trend."
        )
    return np.ascontiguousarray(q) * math.sqrt(n), np.linalg.inv(r) * math.sqrt(n) / size[:, None]


def _maximise(likelihood: VolatilityLikelihood, b: np.ndarray) -> np.ndarray:
    best, least = None, math.inf
    for psi in _starts(likelihood.innovations):
        theta = _begin(likelihood, b, psi)
        if isinstance(likelihood.innovations, LaplaceInnovations):
            for likelihood.blur in _BLURS:
                theta = _descend(likelihood, theta)
            likelihood.blur = 0.0
        else:
            theta = _polish(likelihood, _descend(likelihood, theta))
        value = likelihood.objective(theta)[0]
        if best is None or value < least:
            best, least = theta, value
    assert best is not None
    return best


def _starts(innovations: Innovations) -> list[np.ndarray]:
    start = np.array(innovations.start)
    if not isinstance(innovations, MixtureInnovations):
        return [start]
    count = innovations.components - 1
    skewed = start.copy()
    skewed[count : 2 * count] = -2.0
    return [start, skewed, np.r_[start[:count], -skewed[count : 2 * count], start[2 * count :]]]


def _begin(likelihood: VolatilityLikelihood, b: np.ndarray, psi: np.ndarray) -> np.ndarray:
    """The best of a few variances, the mean being that of least squares."""
    a, o, q = likelihood.orders
    candidates = []
    if not a + o + q:
        return np.r_[b, 1.0, psi]
    for news, persistence in itertools.product((0.05, 0.1, 0.2, 0.4), (0.3, 0.6, 0.9, 0.98)):
        push = news if q else persistence
        if push > persistence:
            continue
        kinds = bool(a) + 0.5 * bool(o)
        alpha, gamma = [push / kinds / max(a, 1)] * a, [push / kinds / max(o, 1)] * o
        beta = [(persistence - push) / max(q, 1)] * q
        candidates.append(np.r_[b, 1.0 - persistence, alpha, gamma, beta, psi])
    return min(candidates, key=lambda theta: likelihood.objective(theta)[0])


def _descend(likelihood: VolatilityLikelihood, theta: np.ndarray) -> np.ndarray:
    from scipy import optimize

    minimize: Any = optimize.minimize
    with np.errstate(all="ignore"):
        found = minimize(
            likelihood.objective, theta, jac=True, method="SLSQP", bounds=likelihood.bounds(),
            constraints=likelihood.constraints(), options={"maxiter": 500, "ftol": 1e-12},
        )  # fmt: skip
    better = likelihood.objective(found.x)[0] <= likelihood.objective(theta)[0]
    return found.x if better else theta


def _polish(likelihood: VolatilityLikelihood, theta: np.ndarray) -> np.ndarray:
    """Newton's method in the parameters that are on no bound, with the Hessian of its start."""
    free = likelihood.inside(theta)
    matrix = likelihood.hessian(theta, free)
    if not free.any() or np.linalg.eigvalsh(matrix)[0] <= 1e-10:
        return theta
    value, gradient = likelihood.objective(theta)
    for _ in range(4):
        step = np.zeros_like(theta)
        step[free] = np.linalg.solve(matrix, gradient[free])
        moved = theta - step
        if not likelihood.inside(moved)[free].all():
            return theta
        there, slope = likelihood.objective(moved)
        if there > value + 1e-13:
            return theta
        theta, value, gradient = moved, there, slope
        if np.abs(step).max() < 1e-8:
            break
    return theta


def _covariance(likelihood: VolatilityLikelihood, theta: np.ndarray, robust: bool) -> np.ndarray:
    """Of the scaled parameters; nan in the rows of those on a bound."""
    free, n = likelihood.inside(theta), len(likelihood.y)
    out = np.full((likelihood.size, likelihood.size), math.nan)
    scores = likelihood.scores(theta)[:, free]
    products = scores.T @ scores / n
    if isinstance(likelihood.innovations, LaplaceInnovations):
        # its likelihood has kinks and so no second derivatives: the products of the scores
        inner = products
    else:
        inner = likelihood.hessian(theta, free)
    if not free.any() or np.linalg.eigvalsh(inner)[0] <= 1e-12:
        return out
    inverse = np.linalg.inv(inner)
    if robust and inner is not products:
        inverse = inverse @ products @ inverse
    out[np.ix_(free, free)] = inverse / n
    return out


def _natural(
    likelihood: VolatilityLikelihood, found: Parts, back: np.ndarray, scale: float
) -> np.ndarray:
    """How the parameters in the data's unit move with the scaled ones, [P, P]."""
    k, psi = len(found.b), likelihood.cuts[-2]
    moved = np.eye(likelihood.size)
    moved[:k, :k] = back
    moved[k, k] = scale**2
    for i in range(len(found.psi)):
        step = np.zeros(len(found.psi))
        step[i] = STEP
        up = likelihood.innovations.reported(found.psi + step)
        down = likelihood.innovations.reported(found.psi - step)
        moved[psi:, psi + i] = (up - down) / (2 * STEP)
    return moved
