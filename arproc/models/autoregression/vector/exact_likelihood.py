r"""The exact Gaussian likelihood of a vector autoregression, and its gradient.

The mean has columns, :math:`m(t) = \beta^\top D_t`, and :math:`D_{t-i} = S_i^\top Z_t` for columns
:math:`Z_t` that hold the lags of regressors as well. So innovations are linear in
:math:`Z_t`, the lags and the element: with D the row (-C, -A_1, ..., -A_p, I), where
:math:`C = \beta^\top S_0^\top - \sum_i A_i \beta^\top S_i^\top`, and M their gram, the
log-likelihood is

.. math::
    -\tfrac12 \Big[ n \log|\Sigma| + \mathrm{tr}\, \Sigma^{-1} D M D^\top
    + \sum_k \big( N_k \log|G_k| + \mathrm{tr}\, G_k^{-1} M_k \big) \Big],

:math:`G_k` the stationary covariance of k consecutive elements and M_k the gram of the first k
less their mean: the data enter once. Given the first elements there is no sum over k. The gradient
goes back through the Lyapunov equation :math:`G = F G F^\top + Q` by the adjoint one, :math:`X =
F^\top X F + W` with :math:`W = \partial / \partial G`: then :math:`\partial / \partial Q = X`
and :math:`\partial / \partial F = 2 X F G`.

References:
    Luetkepohl (2005), section 3.4. Gupta, Mehra (1974), Computational aspects of maximum
    likelihood estimation and reduction in sensitivity function calculations, IEEE TAC 19.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import cho_solve

from arproc.gaussian.companion import (
    companion,
    largest_modulus,
    lyapunov,
    powers,
)
from arproc.models.autoregression.vector.regression import VectorData, heads, regression_root

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
        given: whether the first p elements are given, and any roots allowed.
        in_mean: whether the columns are the mean's, or the recursion's (C is then beta).
    """

    def __init__(
        self,
        data: VectorData,
        order: int,
        whitening: np.ndarray,
        given: bool = False,
        in_mean: bool = True,
    ) -> None:
        self.order, self.d, self.q = order, data.dimension, data.q
        self.whitening, self.given, self.in_mean = whitening, given, in_mean
        self.shifts = _shifts(data, order) if in_mean else _none(data.q, order)
        root, self.used = regression_root(data, order, in_mean)
        self.root = root @ self._turn(self.shifts.shape[1])
        first = {} if given else heads(data, order)
        self.heads = {k: (n, self._turned(k, gram)) for k, (n, gram) in first.items()}
        self.lower = np.tril_indices(self.d)

    def _turn(self, z: int) -> np.ndarray:
        """What whitens the design's lags and targets, after z columns."""
        turn = np.eye(z + (self.order + 1) * self.d)
        turn[z:, z:] = np.kron(np.eye(self.order + 1), self.whitening.T)
        return turn

    def _turned(self, k: int, gram: np.ndarray) -> np.ndarray:
        """The gram of the first k elements, whitened."""
        wide = np.eye(len(gram))
        wide[k * self.q :, k * self.q :] = np.kron(np.eye(k), self.whitening)
        return wide @ gram @ wide.T

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
        if not self._allows(coef, k):
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

    def _allows(self, coef: np.ndarray, k: np.ndarray) -> bool:
        """Whether there is a likelihood at these parameters."""
        within = self.given or largest_modulus(coef) < EDGE
        return bool(within and np.abs(np.diag(k)).max() <= 50)

    def leads(self, coef: np.ndarray) -> np.ndarray:
        """(I, -A_1, ..., -A_p), [p + 1, d, d]."""
        return np.concatenate([np.eye(self.d)[None], -coef])

    def constants(self, coef: np.ndarray, beta: np.ndarray) -> np.ndarray:
        """C, the coefficients of the columns Z in the recursion, [d, z]."""
        return np.einsum("iab,kb,izk->az", self.leads(coef), beta, self.shifts, optimize=True)

    def _main(
        self, coef: np.ndarray, beta: np.ndarray, factor: np.ndarray
    ) -> tuple[float, np.ndarray, np.ndarray, np.ndarray]:
        """The elements with p predecessors: the value and its gradient by (coef, beta, sigma)."""
        d, p, z = self.d, self.order, self.shifts.shape[1]
        lags = coef.transpose(1, 0, 2).reshape(d, p * d)
        row = np.hstack([-self.constants(coef, beta), -lags, np.eye(d)])
        rest = self.root @ row.T  # [m, d]
        inverse = cho_solve((factor, True), np.eye(d))
        white = rest @ inverse
        value = -self.used * np.log(np.diag(factor)).sum() - 0.5 * float((white * rest).sum())
        by_sigma = -0.5 * (self.used * inverse - white.T @ white)
        by_row = white.T @ self.root  # minus the gradient by D
        by_columns = by_row[:, :z]
        by_coef = by_row[:, z : z + p * d].reshape(d, p, d).transpose(1, 0, 2)
        moved = np.einsum("izk,kb->izb", self.shifts, beta)
        by_coef = by_coef - np.einsum("az,izb->iab", by_columns, moved[1:])
        pulled = np.einsum("izk,az->ika", self.shifts, by_columns)
        by_beta = np.einsum("ika,iab->kb", pulled, self.leads(coef))
        return value, by_coef, by_beta, by_sigma

    def _start(
        self, coef: np.ndarray, beta: np.ndarray, factor: np.ndarray
    ) -> tuple[float, np.ndarray, np.ndarray, np.ndarray]:
        """The first elements: the value and its gradient by (coef, beta, sigma)."""
        d, p, q = self.d, self.order, self.q
        value, by_beta = 0.0, np.zeros((q, d))
        if p == 0 or self.given:
            return value, np.zeros_like(coef), by_beta, np.zeros((d, d))
        matrix, noise = companion(coef), np.zeros((p * d, p * d))
        noise[:d, :d] = factor @ factor.T
        doubled = powers(matrix)
        covariance = lyapunov(doubled, noise)
        pull = np.zeros_like(covariance)
        for k, (count, gram) in self.heads.items():
            size = k * d
            root = np.linalg.cholesky(covariance[:size, :size])
            # the elements less their mean are this times (columns, elements)
            less = np.hstack([-np.kron(np.eye(k), beta.T), np.eye(size)])
            inverse = cho_solve((root, True), np.eye(size))
            weighed = inverse @ less @ gram
            value -= count * float(np.log(np.diag(root)).sum())
            value -= 0.5 * float((weighed * less).sum())
            pull[:size, :size] -= 0.5 * (count * inverse - weighed @ less.T @ inverse)
            by_less = weighed[:, : k * q].reshape(k, d, k, q)
            by_beta += np.einsum("idiq->qd", by_less)
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


def _shifts(data: VectorData, order: int) -> np.ndarray:
    """The maps S_0 ... S_p from the columns Z_t to those of the mean i steps ago, [p + 1, z, q].

    Z_t holds the trend's columns, the regressors, and their lags 1 ... p.
    """
    line, count = data.n_trend, data.q - data.n_trend
    shifts = np.zeros((order + 1, line + (order + 1) * count, data.q))
    for i in range(order + 1):
        shifts[i, :line, :line] = np.array([[1.0, -i / data.span], [0.0, 1.0]])[:line, :line]
        begin = line + i * count
        shifts[i, begin : begin + count, line:] = np.eye(count)
    return shifts


def _none(q: int, order: int) -> np.ndarray:
    """Maps of columns that are the recursion's: there is nothing of them but now."""
    shifts = np.zeros((order + 1, q, q))
    shifts[0] = np.eye(q)
    return shifts
