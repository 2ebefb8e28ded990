"""The likelihood of mean, variance and innovations together, and its derivatives.

The gradient is exact: the derivatives of the variances run along with them.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from arproc.models.volatility.innovations import Innovations

__all__ = ["STEP", "Parts", "VolatilityLikelihood"]

STEP = 1e-5
_LEAST = 1e-8  # the smallest omega, against the data's variance


class Parts(NamedTuple):
    """The parameters by their parts."""

    b: np.ndarray
    omega: float
    alpha: np.ndarray
    gamma: np.ndarray
    beta: np.ndarray
    psi: np.ndarray


class VolatilityLikelihood:
    """The likelihood of scaled data.

    Args:
        y: the elements that are scored, [n].
        design: the mean's regressors, [n, k].
        offsets: where each series begins, [N + 1].
        start: what stands for the past.
        orders: how many alpha, gamma and beta there are.
        innovations: their law.
    """

    def __init__(
        self, y: np.ndarray, design: np.ndarray, offsets: np.ndarray, start: float,
        orders: tuple[int, int, int], innovations: Innovations,
    ) -> None:  # fmt: skip
        self.y, self.design, self.offsets, self.start = y, design, offsets, start
        self.orders, self.innovations = orders, innovations
        sizes = (design.shape[1], 1, *orders, len(innovations.start))
        self.cuts = np.cumsum(sizes)
        self.size = int(self.cuts[-1])
        self.blur = 0.0

    def split(self, theta: np.ndarray) -> Parts:
        b, omega, alpha, gamma, beta, psi = np.split(theta, self.cuts[:-1])
        return Parts(b, float(omega[0]), alpha, gamma, beta, psi)

    def _slopes(self, theta: np.ndarray) -> tuple[np.ndarray, ...]:
        """The log-likelihood's terms, and what their derivatives are made of.

        Returns:
            Terms [n]; their slopes in the variance and in the innovation, [n] each; the variances'
            derivatives [n, ...]; the terms' derivatives in psi.
        """
        from arproc.compiled.interpreted import suited
        from arproc.models.volatility import kernels

        part = self.split(theta)
        e = self.y - self.design @ part.b
        loops = suited(kernels, 2 * len(e) * self.size)
        h, dh = loops.slopes(
            e, self.design, self.offsets, self.start, part.omega, part.alpha, part.gamma, part.beta
        )
        scale = np.sqrt(h)
        z = e / scale
        f = self.innovations.density(z, part.psi, self.blur)
        by_variance = -0.5 * (1.0 + f.slope * z) / h
        return f.value - np.log(scale), by_variance, f.slope / scale, dh, f.moved

    def scores(self, theta: np.ndarray) -> np.ndarray:
        """The derivatives of the log-likelihood's terms, [n, P]."""
        _, by_variance, by_innovation, dh, moved = self._slopes(theta)
        out = np.concatenate([by_variance[:, None] * dh, moved], axis=1)
        out[:, : self.cuts[0]] -= by_innovation[:, None] * self.design
        return out

    def objective(self, theta: np.ndarray) -> tuple[float, np.ndarray]:
        """Minus the mean log-likelihood, and its gradient."""
        terms, by_variance, by_innovation, dh, moved = self._slopes(theta)
        value = -float(terms.mean())
        if not math.isfinite(value):
            return 1e10, np.zeros(self.size)
        gradient = np.r_[by_variance @ dh, moved.sum(axis=0)]
        gradient[: self.cuts[0]] -= by_innovation @ self.design
        return value, -gradient / len(terms)

    def bounds(self) -> list[tuple[float | None, float | None]]:
        a, o, q = self.orders
        free: list[tuple[float | None, float | None]] = [(None, None)] * self.design.shape[1]
        free += [(_LEAST, None), *[(0.0, 1.0)] * a, *[(-1.0 if a else 0.0, 2.0)] * o]
        return [*free, *[(0.0, 1.0)] * q, *self.innovations.bounds]

    def constraints(self) -> list[dict[str, Any]]:
        """Inequalities A theta <= b: persistence below one, and alpha + gamma not negative."""
        a, o, q = self.orders
        if not a + o + q:
            return []
        k = self.design.shape[1] + 1
        rows = np.zeros((1 + min(a, o), self.size))
        rows[0, k : k + a], rows[0, k + a : k + a + o] = 1.0, 0.5
        rows[0, k + a + o : k + a + o + q] = 1.0
        for i in range(min(a, o)):
            rows[1 + i, k + i] = rows[1 + i, k + a + i] = -1.0
        limit = np.r_[1.0, np.zeros(len(rows) - 1)]
        return [{"type": "ineq", "fun": lambda t: limit - rows @ t, "jac": lambda _: -rows}]

    def inside(self, theta: np.ndarray) -> np.ndarray:
        """Which parameters are on no bound; none of the variance's where all add up to one."""
        low = np.array([-math.inf if b[0] is None else b[0] for b in self.bounds()])
        high = np.array([math.inf if b[1] is None else b[1] for b in self.bounds()])
        free = (theta > low + 1e-7) & (theta < high - 1e-7)
        for constraint in self.constraints():
            if (constraint["fun"](theta) < 1e-7).any():
                free[self.design.shape[1] : self.cuts[-2]] = False
        return free

    def hessian(self, theta: np.ndarray, free: np.ndarray) -> np.ndarray:
        """Of the objective in the free parameters, from differences of the gradient."""
        places = free.nonzero()[0]
        rows = []
        for i in places:
            step = np.zeros(self.size)
            step[i] = STEP * max(abs(theta[i]), 0.01)
            up, down = self.objective(theta + step)[1], self.objective(theta - step)[1]
            rows.append((up - down)[places] / (2 * step[i]))
        matrix = np.array(rows).reshape(len(places), len(places))
        return (matrix + matrix.T) / 2
