r"""The exact Gaussian likelihood of a stationary vector autoregression, and its gradient.

With D the row (-C, -A_1, ..., -A_p, I) over (trend, lags, element) and M their gram, the
log-likelihood is

.. math::
    -\tfrac12 \Big[ n \log|\Sigma| + \mathrm{tr}\, \Sigma^{-1} D M D^\top
    + \sum_k \big( N_k \log|G_k| + \mathrm{tr}\, G_k^{-1} M_k \big) \Big],

:math:`G_k` the stationary covariance of k consecutive elements: the data enter once. The gradient
goes back through the Lyapunov equation :math:`G = F G F^\top + Q` by the adjoint one, :math:`X =
F^\top X F + W` with :math:`W = \partial / \partial G`: then :math:`\partial / \partial Q = X` and
:math:`\partial / \partial F = 2 X F G`.

References:
    Luetkepohl (2005), section 3.4. Gupta, Mehra (1974), Computational aspects of maximum
    likelihood estimation and reduction in sensitivity function calculations, IEEE TAC 19.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import cho_solve

from arproc.models.autoregression.vector.companion import (
    companion,
    largest_modulus,
    lyapunov,
    powers,
)
from arproc.models.autoregression.vector.regression import (
    N_COLUMNS,
    VectorData,
    heads,
    regression_root,
)

__all__ = ["ExactLikelihood"]

#: Roots of modulus above this are taken for a unit root, which has no stationary law.
EDGE = 1 - 1e-9


class ExactLikelihood:
    """The exact likelihood as a function of one flat vector, in whitened coordinates.

    The vector holds, for each equation, beta and the coefficients, and then the lower triangle of
    K, where the innovations' Cholesky factor is K with the exponential of its diagonal.

    Args:
        data: the sequences.
        order: p.
        whitening: W [d, d]; the likelihood is of the components W x.
    """

    def __init__(self, data: VectorData, order: int, whitening: np.ndarray) -> None:
        self.order, self.d, self.q = order, data.dimension, N_COLUMNS[data.trend]
        self.span, self.whitening = data.span, whitening
        root, self.used = regression_root(data, order)
        turn = np.eye(len(root))
        for i in range(order + 1):
            place = slice(self.q + i * self.d, self.q + (i + 1) * self.d)
            turn[place, place] = whitening.T
        self.root = root @ turn
        self.heads = {}
        for k, (count, total, gram) in heads(data, order).items():
            wide = np.kron(np.eye(k), whitening)
            self.heads[k] = (count, wide @ total, wide @ gram @ wide.T)
        self.lower = np.tril_indices(self.d)

    # ---- the flat vector ------------------------------------------------------------------------

    def pack(self, coef: np.ndarray, beta: np.ndarray, k: np.ndarray) -> np.ndarray:
        """The flat vector of beta [q, d], coef [p, d, d] and K's lower triangle [d, d]."""
        lags = coef.transpose(1, 0, 2).reshape(self.d, self.order * self.d)
        return np.concatenate([np.hstack([beta.T, lags]).ravel(), k[self.lower]])

    def unpack(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(coef, beta, K) of a flat vector."""
        d, p, q = self.d, self.order, self.q
        rows = theta[: d * (q + p * d)].reshape(d, q + p * d)
        k = np.zeros((d, d))
        k[self.lower] = theta[rows.size :]
        return rows[:, q:].reshape(d, p, d).transpose(1, 0, 2), rows[:, :q].T, k

    def factor(self, k: np.ndarray) -> np.ndarray:
        """The innovations' Cholesky factor of K."""
        return np.tril(k, -1) + np.diag(np.exp(np.diag(k)))

    # ---- the likelihood -------------------------------------------------------------------------

    def __call__(self, theta: np.ndarray) -> tuple[float, np.ndarray]:
        """Log-likelihood (without the constant in pi) and gradient; -inf where not stationary."""
        coef, beta, k = self.unpack(theta)
        nothing = (-np.inf, np.zeros_like(theta))
        if np.abs(np.diag(k)).max() > 50 or not largest_modulus(coef) < EDGE:
            return nothing
        factor = self.factor(k)
        value, by_coef, by_beta, by_sigma = self._main(coef, beta, factor)
        try:
            start = self._start(coef, beta, factor)
        except np.linalg.LinAlgError:
            return nothing
        by_factor = 2 * np.tril((by_sigma + start[3]) @ factor)
        by_k = np.tril(by_factor, -1) + np.diag(np.diag(by_factor) * np.diag(factor))
        gradient = self.pack(by_coef + start[1], by_beta + start[2], by_k)
        return value + start[0], gradient

    def _main(
        self, coef: np.ndarray, beta: np.ndarray, factor: np.ndarray
    ) -> tuple[float, np.ndarray, np.ndarray, np.ndarray]:
        """The elements with p predecessors: the value and its gradient by (coef, beta, sigma)."""
        d, p, q = self.d, self.order, self.q
        steps = np.arange(1, p + 1)
        left = np.eye(d) - coef.sum(axis=0)
        lagged = np.einsum("i,iab->ab", steps / self.span, coef)
        trend = np.zeros((d, q))
        if q:
            trend[:, 0] = left @ beta[0]
        if q == 2:
            trend[:, 0] += lagged @ beta[1]
            trend[:, 1] = left @ beta[1]
        lags = coef.transpose(1, 0, 2).reshape(d, p * d)
        rest = self.root @ np.hstack([-trend, -lags, np.eye(d)]).T  # [m, d]
        inverse = cho_solve((factor, True), np.eye(d))
        white = rest @ inverse
        value = -self.used * np.log(np.diag(factor)).sum() - 0.5 * float((white * rest).sum())
        by_sigma = -0.5 * (self.used * inverse - white.T @ white)
        by_row = white.T @ self.root  # minus the gradient by D
        by_trend = by_row[:, :q]
        by_coef = by_row[:, q : q + p * d].reshape(d, p, d).transpose(1, 0, 2).copy()
        by_beta = np.zeros((q, d))
        if q:
            by_coef -= np.outer(by_trend[:, 0], beta[0])
            by_beta[0] = left.T @ by_trend[:, 0]
        if q == 2:
            by_coef += steps[:, None, None] / self.span * np.outer(by_trend[:, 0], beta[1])
            by_coef -= np.outer(by_trend[:, 1], beta[1])
            by_beta[1] = lagged.T @ by_trend[:, 0] + left.T @ by_trend[:, 1]
        return value, by_coef, by_beta, by_sigma

    def _start(
        self, coef: np.ndarray, beta: np.ndarray, factor: np.ndarray
    ) -> tuple[float, np.ndarray, np.ndarray, np.ndarray]:
        """The first elements: the value and its gradient by (coef, beta, sigma)."""
        d, p, q = self.d, self.order, self.q
        value, by_beta = 0.0, np.zeros((q, d))
        if p == 0:
            return value, np.zeros_like(coef), by_beta, np.zeros((d, d))
        matrix, noise = companion(coef), np.zeros((p * d, p * d))
        noise[:d, :d] = factor @ factor.T
        doubled = powers(matrix)
        covariance = lyapunov(doubled, noise)
        pull = np.zeros_like(covariance)
        for k, (count, total, gram) in self.heads.items():
            size = k * d
            root = np.linalg.cholesky(covariance[:size, :size])
            times = np.arange(k)[::-1] / self.span
            columns = np.stack([np.ones(k), times])[:q]
            mean = (columns.T @ beta).ravel() if q else np.zeros(size)
            cross = np.outer(total, mean)
            centred = gram - cross - cross.T + count * np.outer(mean, mean)
            inverse = cho_solve((root, True), np.eye(size))
            value -= count * float(np.log(np.diag(root)).sum())
            value -= 0.5 * float((inverse * centred).sum())
            pull[:size, :size] -= 0.5 * (count * inverse - inverse @ centred @ inverse)
            by_beta += columns @ (inverse @ (total - count * mean)).reshape(k, d)
        adjoint = lyapunov([power.T for power in doubled], pull)
        by_matrix = 2 * (adjoint @ matrix @ covariance)[:d]
        by_coef = by_matrix.reshape(d, p, d).transpose(1, 0, 2)
        return value, by_coef, by_beta, adjoint[:d, :d]

    def information(self, theta: np.ndarray, spread: np.ndarray) -> np.ndarray:
        """The observed information, by central differences of the gradient at 1e-3 `spread`."""
        columns = []
        for j, step in enumerate(1e-3 * spread):
            move = np.zeros_like(theta)
            # near the edge of the stationary region the step is shortened until both ends exist
            for _ in range(20):
                move[j] = step
                (up, after), (down, before) = self(theta + move), self(theta - move)
                if np.isfinite(up) and np.isfinite(down):
                    break
                step /= 4
            columns.append((before - after) / (2 * step))
        table = np.array(columns)
        return (table + table.T) / 2
