r"""Ridge regression on sums of products, for one regression or a batch of them at once.

The coefficients b of standardised predictors (mean 0 and variance 1 once the free columns, such
as a constant, are taken out) minimise

.. math:: \sum_t e_t^2 + \lambda \sum_j b_j^2 .

The strength :math:`\lambda = \sigma^2 / \tau^2` counts in observations: it is what a Gaussian
prior of variance :math:`\tau^2` on each b asks for. One eigendecomposition holds the fits of
every strength. With eigenvalues d, rotated products u, m observations less the free columns, and
:math:`S(\lambda) = y^\top y - \sum_j u_j^2 / (d_j + \lambda)`, the log marginal likelihood is

.. math:: -\frac{m}{2} \log S(\lambda) - \frac{1}{2} \sum_j \log(1 + d_j / \lambda)

but for a constant, and the effective number of coefficients is :math:`\sum_j d_j / (d_j +
\lambda)`.

References:
    Hoerl, Kennard (1970), Ridge regression, Technometrics 12. MacKay (1992), Bayesian
    interpolation, Neural Computation 4.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

__all__ = ["Ridge", "Sums", "marginal_likelihood", "ridge", "strength_by_errors", "strength_of"]

#: The strengths that are tried, in observations per observation; refined around the best.
_GRID = np.logspace(-9, 4, 53)


@dataclass(frozen=True)
class Sums:
    """Sums of products over the rows of a regression; leading axes [...] are a batch.

    Attributes:
        gram: of the predictors, [..., k, k].
        cross: of predictors and response, [..., k].
        total: of the response with itself, [...].
        count: how many rows, [...].
    """

    gram: np.ndarray
    cross: np.ndarray
    total: np.ndarray
    count: np.ndarray

    def without(self, other: Sums) -> Sums:
        """The sums over the rows that are not in `other`."""
        return Sums(
            self.gram - other.gram,
            self.cross - other.cross,
            self.total - other.total,
            self.count - other.count,
        )


@dataclass(frozen=True)
class Ridge:
    """Ridge regressions.

    Attributes:
        coef: in the predictors' own units, [..., k].
        squares: the sum of squared residuals, [...].
        effective: the effective number of coefficients, the free ones included, [...].
        strength: of the penalty, [...].
        penalty: the diagonal matrix that was added to `gram`, as its diagonal, [..., k].
    """

    coef: np.ndarray
    squares: np.ndarray
    effective: np.ndarray
    strength: np.ndarray
    penalty: np.ndarray


@dataclass(frozen=True)
class _Rotated:
    """The penalised predictors, freed of the free ones, standardised and turned to axes."""

    values: np.ndarray  # eigenvalues [..., s]
    vectors: np.ndarray  # [..., s, s]
    products: np.ndarray  # with the response [..., s]
    total: np.ndarray  # of the response freed as well [...]
    size: np.ndarray  # standard deviations of the predictors [..., s]
    rows: np.ndarray  # count less the free columns [...]


def ridge(sums: Sums, free: np.ndarray, strength: np.ndarray | float) -> Ridge:
    """The fits at a strength of the penalty.

    Args:
        sums: the sums of products.
        free: which predictors are not penalised, bool [k].
        strength: 0 or more, a number or [...].

    Example:
        >>> x, y = np.array([[1.0], [-1.0]]), np.array([1.0, -3.0])
        >>> sums = Sums(x.T @ x, x.T @ y, y @ y, np.array(2))
        >>> ridge(sums, np.array([False]), 2.0).coef.tolist()
        [1.0]
    """
    turned = _rotate(sums, free)
    strength = np.broadcast_to(np.asarray(strength, dtype=float), sums.total.shape)
    shares = _shares(turned.values, strength[..., None])
    inner = shares * turned.products / _positive(turned.values)
    shrunk = np.einsum("...ij,...j->...i", turned.vectors, inner) / turned.size
    left = _quadratic(turned, inner)
    coef = np.empty_like(sums.cross)
    coef[..., ~free] = shrunk
    mixed = sums.gram[..., free, :][..., ~free]
    rest = sums.cross[..., free] - np.einsum("...ij,...j->...i", mixed, shrunk)
    coef[..., free] = _solve(sums.gram[..., free, :][..., free], rest)
    penalty = np.zeros_like(sums.cross)
    penalty[..., ~free] = strength[..., None] * turned.size**2
    effective = shares.sum(-1) + free.sum()
    return Ridge(coef, left, effective, strength, penalty)


def strength_of(sums: Sums, free: np.ndarray) -> np.ndarray:
    """The strengths [...] that maximise the marginal likelihood."""
    turned = _rotate(sums, free)
    return _best(lambda strength: -_evidence(turned, strength), turned.rows)


def marginal_likelihood(sums: Sums, free: np.ndarray, strength: np.ndarray | float) -> np.ndarray:
    """The log marginal likelihood of the rows [...], nats, at its best variance.

    The free coefficients have a flat prior, so only differences between strengths, and between
    sets of penalised predictors, mean something.
    """
    turned = _rotate(sums, free)
    shape = (*sums.total.shape, 1)
    return _evidence(turned, np.broadcast_to(np.asarray(strength, dtype=float), shape))[..., 0]


def strength_by_errors(first: Sums, later: Sums, free: np.ndarray) -> np.ndarray:
    """The strengths [...] with which a fit to the first rows predicts the later ones best."""
    turned = _rotate(first, free)
    order = np.concatenate([np.flatnonzero(free), np.flatnonzero(~free)])
    gram = later.gram[..., order, :][..., order]
    cross = later.cross[..., order]
    inner = first.gram[..., free, :][..., free]
    mixed = first.gram[..., free, :][..., ~free]

    def errors(strength: np.ndarray) -> np.ndarray:
        shares = _shares(turned.values[..., None, :], strength[..., None])
        products = (turned.products / _positive(turned.values))[..., None, :]
        shrunk = np.einsum("...ij,...gj->...gi", turned.vectors, shares * products)
        shrunk = shrunk / turned.size[..., None, :]
        rest = first.cross[..., None, free] - np.einsum("...ij,...gj->...gi", mixed, shrunk)
        head = np.swapaxes(_solve_many(inner, np.swapaxes(rest, -1, -2)), -1, -2)
        theta = np.concatenate([head, shrunk], axis=-1)
        quadratic = np.einsum("...gi,...ij,...gj->...g", theta, gram, theta)
        return quadratic - 2 * np.einsum("...gi,...i->...g", theta, cross)

    return _best(errors, turned.rows)


def _rotate(sums: Sums, free: np.ndarray) -> _Rotated:
    gram, cross, q = sums.gram, sums.cross, int(free.sum())
    inner = gram[..., ~free, :][..., ~free]
    products, total = cross[..., ~free], sums.total
    if q:
        mixed = gram[..., free, :][..., ~free]
        solved = _solve_many(gram[..., free, :][..., free], mixed)
        inner = inner - np.swapaxes(mixed, -1, -2) @ solved
        products = products - np.einsum("...ij,...i->...j", solved, cross[..., free])
        mean = _solve(gram[..., free, :][..., free], cross[..., free])
        total = total - (mean * cross[..., free]).sum(-1)
    variance = np.diagonal(inner, axis1=-2, axis2=-1) / np.asarray(sums.count)[..., None]
    size = np.sqrt(np.where(variance > 0, variance, 1.0))
    scaled = inner / (size[..., :, None] * size[..., None, :])
    values, vectors = np.linalg.eigh(scaled)
    turned = np.einsum("...ij,...i->...j", vectors, products / size)
    # what is smaller than rounding carries nothing but rounding
    floor = 1e-13 * np.maximum(values.max(-1, initial=0.0, keepdims=True), 1e-300)
    turned = np.where(values > floor, turned, 0.0)
    values = np.where(values > floor, values, 0.0)
    return _Rotated(values, vectors, turned, total, size, np.asarray(sums.count) - q)


def _evidence(turned: _Rotated, strength: np.ndarray) -> np.ndarray:
    """The log marginal likelihood at strengths [..., g]: [..., g]."""
    values, products = turned.values[..., None, :], turned.products[..., None, :]
    each = strength[..., None]
    left = turned.total[..., None] - (products**2 / (values + each)).sum(-1)
    rows = turned.rows[..., None]
    with np.errstate(divide="ignore", invalid="ignore"):
        fit = -0.5 * rows * (np.log(2 * np.pi * left / rows) + 1)
    return fit - 0.5 * np.log1p(values / each).sum(-1)


def _best(loss: Callable[[np.ndarray], np.ndarray], rows: np.ndarray) -> np.ndarray:
    """The strength [...] with the least loss, by a grid that closes in on it."""
    rows = np.asarray(rows, dtype=float)
    exponent = np.broadcast_to(np.log(_GRID), (*rows.shape, len(_GRID)))
    width = float(np.log(_GRID[1] / _GRID[0]))
    for _ in range(6):
        values = loss(rows[..., None] * np.exp(exponent))
        values = np.where(np.isfinite(values), values, np.inf)
        at = np.take_along_axis(exponent, values.argmin(-1)[..., None], -1)
        exponent = at + width * np.linspace(-1, 1, 13)
        width /= 6
    return rows * np.exp(at[..., 0])


def _shares(values: np.ndarray, strength: np.ndarray) -> np.ndarray:
    """How much of each axis is kept, d / (d + strength); 0 where there is nothing."""
    return np.where(values > 0, values / _positive(values + strength), 0.0)


def _positive(values: np.ndarray) -> np.ndarray:
    return np.where(values > 0, values, 1.0)


def _quadratic(turned: _Rotated, inner: np.ndarray) -> np.ndarray:
    """The sum of squared residuals of rotated coefficients."""
    return turned.total + (inner * (turned.values * inner - 2 * turned.products)).sum(-1)


def _solve(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    return _solve_many(left, right[..., None])[..., 0]


def _solve_many(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    if left.shape[-1] == 0:
        return right
    return np.linalg.solve(left, right)
