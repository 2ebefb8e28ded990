"""Maximum likelihood of count autoregressions, with the analytic score."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch

from arproc.contract.sequences import Sequences

__all__ = ["CountData", "CountFit", "fit", "flat_context"]

_SUM = 1 - 1e-6  # how near to one the sum of the coefficients may come
_DISPERSION = (math.log(1e-6), math.log(1e4))


@dataclass(frozen=True)
class CountData:
    """What is fitted: see `count_kernels.score`."""

    counts: np.ndarray
    context: np.ndarray
    offsets: np.ndarray
    p: int
    q: int
    log_link: bool
    dispersed: bool
    start: float
    skip: int

    @property
    def n_terms(self) -> int:
        return len(self.counts) - self.skip * (len(self.offsets) - 1)

    def terms(self, theta: np.ndarray, dispersion: float) -> np.ndarray:
        """The terms of the log-likelihood, nats."""
        return self._run(theta, dispersion, np.empty(0))

    def score(self, full: np.ndarray) -> tuple[float, np.ndarray]:
        """Log-likelihood and gradient in theta and, if it is estimated, log dispersion."""
        theta = full[: self.size]
        gradient = np.empty(self.size + 1)
        dispersion = math.exp(full[-1]) if self.dispersed else 0.0
        total = self._run(theta, dispersion, gradient).sum()
        return float(total), gradient[: len(full)]

    @property
    def size(self) -> int:
        return 1 + self.p + self.q + self.context.shape[1]

    def _run(self, theta: np.ndarray, dispersion: float, gradient: np.ndarray) -> np.ndarray:
        from arproc.compiled.interpreted import suited
        from arproc.models.discrete import count_kernels

        terms = np.empty(self.n_terms)
        kernels = suited(count_kernels, 3 * len(self.counts) * self.size)
        kernels.score(
            self.counts, self.context, self.offsets, self.p, self.q, theta, self.log_link,
            dispersion, self.start, self.skip, gradient, terms,
        )  # fmt: skip
        return terms


class CountFit(NamedTuple):
    """Parameters, the covariance of all of them (nan at a bound), and the log-likelihood."""

    theta: np.ndarray
    dispersion: float
    covariance: np.ndarray
    log_likelihood: float
    converged: bool


def fit(data: CountData) -> CountFit:
    """The maximum of the likelihood under the constraints, from several starts.

    Sequential quadratic programming (Kraft 1988) for the constraints, then Newton's steps among
    the parameters that stand at none.

    Args:
        data: what is fitted.
    """
    from scipy.optimize import minimize

    scale = _scales(data)
    # what a log-likelihood is of the order of: Poisson's grows with the counts
    level = 1.0 if data.dispersed else max(float(data.counts.mean()), 1.0)
    unit = data.n_terms * level
    bounds, constraints = _constraints(data, scale)

    def loss(x: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = data.score(x * scale)
        if not math.isfinite(value):
            return 1e10, np.zeros(len(x))
        return -value / unit, -gradient * scale / unit

    best, best_value, converged = None, math.inf, False
    for start in _starts(data):
        found = minimize(
            loss, start / scale, jac=True, method="SLSQP", bounds=bounds, constraints=constraints,
            options={"maxiter": 500, "ftol": 1e-13},
        )  # fmt: skip
        if best is None or found.fun < best_value:
            best, best_value, converged = np.asarray(found.x) * scale, found.fun, found.success
    assert best is not None
    full, free = _newton(data, best, bounds, scale)
    covariance = np.full((len(full), len(full)), math.nan)
    information = _information(data, full, free, scale)
    if len(free) and np.linalg.eigvalsh(information)[0] > 0:
        inner = np.linalg.inv(information) * np.outer(scale[free], scale[free])
        covariance[np.ix_(free, free)] = inner
    dispersion = math.exp(full[-1]) if data.dispersed else 0.0
    # the search may end with the complaint that no step gains, which is what a maximum looks like
    left = np.abs(data.score(full)[1][free] * scale[free]).max(initial=0.0) / unit
    converged = bool(converged or left < 1e-7)
    if data.dispersed:  # from the logarithm's to the dispersion's own
        covariance[-1] *= dispersion
        covariance[:, -1] *= dispersion
    return CountFit(full[: data.size], dispersion, covariance, data.score(full)[0], converged)


def _scales(data: CountData) -> np.ndarray:
    """Units in which every parameter is of the order of one."""
    mean = max(float(data.counts.mean()), 1e-3)
    spread = np.maximum(np.abs(data.context).max(axis=0, initial=0.0), 1e-12)
    level = 1.0 if data.log_link else mean
    parts = [[level], np.ones(data.p + data.q), level / spread, [1.0] * data.dispersed]
    return np.concatenate(parts)


def _constraints(
    data: CountData, scale: np.ndarray
) -> tuple[list[tuple[float | None, float | None]], list[Any]]:
    lags, c = data.p + data.q, data.context.shape[1]
    if data.log_link:
        bounds: list[tuple[float | None, float | None]] = [(None, None)]
        bounds += [(-_SUM, _SUM)] * lags + [(None, None)] * c
    else:
        bounds = [(1e-8, None), *[(0.0, 1.0)] * lags, *[(0.0, None)] * c]
    if data.dispersed:
        bounds.append(_DISPERSION)
    if not lags:
        return bounds, []
    row = np.zeros(len(scale))
    row[1 : 1 + lags] = 1.0
    signs = np.array([[1.0], [-1.0]] if data.log_link else [[1.0]]) * row
    room = {"type": "ineq", "fun": lambda x: _SUM - signs @ x, "jac": lambda _: -signs}
    return bounds, [room]


def _starts(data: CountData) -> list[np.ndarray]:
    """Coefficients that weigh counts and predictors differently, with the right mean."""
    mean = max(float(data.counts.mean()), 1e-3)
    level = math.log1p(mean) if data.log_link else mean
    variance = float(data.counts.var())
    spread = math.log(max((variance - mean) / mean**2, 0.05))
    shares = [(0.3, 0.4), (0.1, 0.8), (0.6, 0.1)] if data.q else [(0.4, 0.0), (0.1, 0.0)]
    found = []
    for a, b in shares:
        own = a if data.p else 0.0
        theta = np.zeros(data.size)
        theta[0] = level * (1 - own - b)
        theta[1 : 1 + data.p] = own / max(data.p, 1)
        theta[1 + data.p : 1 + data.p + data.q] = b / max(data.q, 1)
        found.append(np.append(theta, spread) if data.dispersed else theta)
    return found


def _newton(
    data: CountData,
    full: np.ndarray,
    bounds: list[tuple[float | None, float | None]],
    scale: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Newton's steps while they gain; the parameters, and which of them are free."""
    lags = slice(1, 1 + data.p + data.q)

    def inside(x: np.ndarray) -> np.ndarray:
        return np.array([
            (low is None or v > low + 1e-7) and (high is None or v < high - 1e-7)
            for v, (low, high) in zip(x / scale, bounds, strict=True)
        ])  # fmt: skip

    free = np.flatnonzero(inside(full))
    if abs(full[lags].sum()) >= _SUM - 1e-9:  # the sum stands at its bound, so no lag is free
        free = free[(free < 1) | (free >= lags.stop)]
    value, gradient = data.score(full)
    for _ in range(6):
        if not len(free):
            break
        information = _information(data, full, free, scale)
        if np.linalg.eigvalsh(information)[0] <= 0:
            break
        step = np.linalg.solve(information, gradient[free] * scale[free]) * scale[free]
        moved = full.copy()
        moved[free] += step
        within = inside(moved)[free].all() and abs(moved[lags].sum()) < _SUM
        after, slope = data.score(moved) if within else (-math.inf, gradient)
        if not after >= value - 1e-9 * abs(value):
            break
        done = float(np.abs(step / scale[free]).max()) < 1e-10
        full, value, gradient = moved, after, slope
        if done:
            break
    return full, free


def _information(
    data: CountData, full: np.ndarray, free: np.ndarray, scale: np.ndarray
) -> np.ndarray:
    """The negative Hessian among free parameters in units of `scale`, from the score."""
    found = np.empty((len(free), len(free)))
    for i, place in enumerate(free.tolist()):
        step = np.zeros(len(full))
        step[place] = 1e-5 * scale[place] * max(abs(full[place] / scale[place]), 1e-2)
        rise = data.score(full + step)[1] - data.score(full - step)[1]
        found[i] = -rise[free] * scale[free] / (2 * step[place] / scale[place])
    return (found + found.T) / 2


def flat_context(context: torch.Tensor | None, sequences: Sequences) -> np.ndarray:
    """The regressors of every element, one after the other, [total, c]."""
    if context is None:
        return np.zeros((len(sequences.values), 0))
    rows = [context[i, :n] for i, n in enumerate(sequences.lengths.tolist())]
    return np.ascontiguousarray(torch.cat(rows).double().cpu().numpy())
