r"""The exact likelihood of a stationary vector autoregression of which components are missing.

Standardised innovations are a linear map of the deviations from the mean, so what is missing has,
given the rest, a normal law of banded precision :math:`Q = M^\top M`, M being the columns of the
map that belong to it. Its mean and the covariances within p steps give the expected grams that the
likelihood of whole data is made of; then

.. math:: \log p(\text{seen}) = E \log p(\text{seen}, \text{missing}) - \tfrac12 \log|Q|
    + \text{constant},

and the gradient is the expected one of whole data (Fisher's identity).

References:
    Dempster, Laird, Rubin (1977), JRSS B 39, equation 3.13. Rue, Held (2005), Gaussian Markov
    Random Fields, section 2.4. Luetkepohl (2005), section 18.3.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy import sparse
from scipy.linalg import cho_solve_banded, cholesky_banded

from arproc.models.autoregression.imputation import inverse_band
from arproc.models.autoregression.vector.companion import (
    companion,
    largest_modulus,
    lyapunov,
    powers,
)
from arproc.models.autoregression.vector.exact_likelihood import EDGE, ExactLikelihood
from arproc.models.autoregression.vector.regression import VectorData, heads, regression_root

__all__ = ["ObservedLikelihood", "interpolated"]


def interpolated(data: VectorData) -> VectorData:
    """The data with lines across the gaps of each component: where a search may start."""
    values, begin = data.values.copy(), 0
    for length in data.lengths.tolist():
        part, t = values[begin : begin + length], np.arange(length)
        for column in part.T:
            seen = ~np.isnan(column)
            column[~seen] = np.interp(t[~seen], t[seen], column[seen]) if seen.any() else 0.0
        begin += length
    return replace(data, values=values)


@dataclass(frozen=True)
class _Places:
    """Where components are missing.

    Attributes:
        time: the step of each within its sequence, [m].
        component: which it is, [m].
        flat: its place among all numbers, increasing, [m].
        owner: the number of its sequence, [m].
        left: how many steps its sequence has after it, [m].
        length: of its sequence, [m].
        band: how many places further the last lies that is within p steps.
    """

    time: np.ndarray
    component: np.ndarray
    flat: np.ndarray
    owner: np.ndarray
    left: np.ndarray
    length: np.ndarray
    band: int

    @classmethod
    def of(cls, data: VectorData, order: int) -> _Places:
        row, component = np.nonzero(np.isnan(data.values))
        owners = np.repeat(np.arange(len(data.lengths)), data.lengths)
        starts = np.cumsum(data.lengths) - data.lengths
        owner = owners[row]
        time, length = row - starts[owner], data.lengths[owner]
        apart = row + owner * (order + 1)  # no two sequences are within p steps of one another
        reach = np.searchsorted(apart, apart + order, side="right") - 1 - np.arange(len(row))
        flat = row * data.dimension + component
        return cls(time, component, flat, owner, length - 1 - time, length, int(reach.max()))


class ObservedLikelihood(ExactLikelihood):
    """The likelihood of what was observed, as a function of the flat vector of `ExactLikelihood`.

    Args:
        data: the sequences, NaN where a component is missing.
        order: p.
        whitening: W [d, d].
    """

    def __init__(self, data: VectorData, order: int, whitening: np.ndarray) -> None:
        self.data, self.places = data, _Places.of(data, order)
        super().__init__(interpolated(data), order, whitening)
        starts = np.cumsum(data.lengths) - data.lengths
        self._time = np.arange(len(data.values)) - np.repeat(starts, data.lengths)

    def __call__(self, theta: np.ndarray) -> tuple[float, np.ndarray]:
        coef, beta, k = self.unpack(theta)
        nothing = (-np.inf, np.zeros_like(theta))
        if np.abs(np.diag(k)).max() > 50 or not largest_modulus(coef) < EDGE:
            return nothing
        try:
            log_volume = self._expect(coef, beta, self.factor(k))
            value, gradient = super().__call__(theta)
        except np.linalg.LinAlgError:
            return nothing
        return value - log_volume, gradient

    # ---- inner parts ---------------------------------------------------------------------------

    def _expect(self, coef: np.ndarray, beta: np.ndarray, factor: np.ndarray) -> float:
        """Set the expected root and heads at these parameters; half the log determinant of Q."""
        places, columns = self.places, self._trend
        level = columns @ beta @ self._unwhitening.T if self.q else 0.0
        y = self.data.values - level
        whiten = self._map(coef, factor)
        rest = whiten @ np.nan_to_num(y).ravel()
        own = whiten[:, places.flat]
        precision = (own.T @ own).todia()
        m, band = len(places.flat), places.band
        lower = np.zeros((band + 1, m))
        for offset, diagonal in zip(precision.offsets, precision.data, strict=True):
            if offset <= 0:
                lower[-offset, : len(diagonal)] = diagonal[:m]
        root = cholesky_banded(lower, lower=True)
        mean = cho_solve_banded((root, True), -(own.T @ rest))
        filled = y.ravel().copy()
        filled[places.flat] = mean
        values = filled.reshape(y.shape) + level
        self._set(replace(self.data, values=values), inverse_band(root))
        return float(np.log(root[0]).sum())

    @cached_property
    def _unwhitening(self) -> np.ndarray:
        return np.linalg.inv(self.whitening)

    @cached_property
    def _trend(self) -> np.ndarray:
        """The mean's columns at every element, [total, q]."""
        time = self._time / self.span
        return np.stack([np.ones(len(time)), time], axis=1)[:, : self.q]

    def _map(self, coef: np.ndarray, factor: np.ndarray) -> sparse.csc_array:
        """From deviations to standardised innovations, [total d, total d]."""
        d, p, time = self.d, self.order, self._time
        white = np.linalg.solve(factor, np.eye(d))
        blocks = [white @ self.whitening, *(-white @ lag @ self.whitening for lag in coef)]
        later = np.flatnonzero(time >= p)
        parts = [_blocks(later, later - i, block) for i, block in enumerate(blocks)]
        if p:
            parts += self._first(self._start_root(coef, factor))
        values, rows, columns = (np.concatenate(part) for part in zip(*parts, strict=True))
        size = len(time) * d
        return sparse.csc_array((values, (rows, columns)), shape=(size, size))

    def _start_root(self, coef: np.ndarray, factor: np.ndarray) -> np.ndarray:
        """The inverse Cholesky factor of the first p elements, oldest first, times W."""
        d, p = self.d, self.order
        noise = np.zeros((p * d, p * d))
        noise[:d, :d] = factor @ factor.T
        covariance = lyapunov(powers(companion(coef)), noise).reshape(p, d, p, d)
        oldest = covariance[::-1, :, ::-1].reshape(p * d, p * d)
        root = np.linalg.cholesky(oldest)
        return np.linalg.solve(root, np.kron(np.eye(p), self.whitening))

    def _first(self, root: np.ndarray) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        d, parts = self.d, []
        for t in range(self.order):
            row = np.flatnonzero(self._time == t)
            for s in range(t + 1):
                block = root[t * d : (t + 1) * d, s * d : (s + 1) * d]
                parts.append(_blocks(row, row - t + s, block))
        return parts

    def _set(self, filled: VectorData, covariance: np.ndarray) -> None:
        """The expected root and heads: of the filled data, and the covariances beside.

        Args:
            filled: with the means of what is missing in its place.
            covariance: of what is missing, by diagonals [band + 1, m].
        """
        d, p, q = self.d, self.order, self.q
        root, _ = regression_root(filled, p)
        gram = root.T @ root
        self.heads = heads(filled, p)
        for offset in range(self.places.band + 1):
            self._add(gram, offset, covariance[offset])
        turn = np.eye(len(gram))
        for i in range(p + 1):
            place = slice(q + i * d, q + (i + 1) * d)
            turn[place, place] = self.whitening.T
        self.root = np.linalg.cholesky(turn.T @ gram @ turn).T
        for k, (count, total, own) in self.heads.items():
            wide = np.kron(np.eye(k), self.whitening)
            self.heads[k] = (count, wide @ total, wide @ own @ wide.T)

    def _add(self, gram: np.ndarray, offset: int, covariance: np.ndarray) -> None:
        """The covariances of places that many apart, added to the gram and those of the heads."""
        places, p, d, q = self.places, self.order, self.d, self.q
        i = np.arange(len(places.flat) - offset)
        j = i + offset
        apart = places.time[j] - places.time[i]
        near = (places.owner[i] == places.owner[j]) & (apart <= p)
        i, j, apart = i[near], j[near], apart[near]
        value = covariance[i]
        one, other = places.component[i], places.component[j]
        for a in range(p + 1):  # the later one, a steps before a target
            inside = (a + apart <= p) & (places.left[j] >= a) & (places.time[j] + a >= p)
            late = _column(np.full(len(j), a), p, d, q) + other
            early = _column(a + apart, p, d, q) + one
            np.add.at(gram, (early[inside], late[inside]), value[inside])
            if offset:
                np.add.at(gram, (late[inside], early[inside]), value[inside])
        for k, (_, _, own) in self.heads.items():
            here = (np.minimum(places.length[i], p) == k) & (places.time[j] < k)
            early = (k - 1 - places.time[i][here]) * d + one[here]
            late = (k - 1 - places.time[j][here]) * d + other[here]
            np.add.at(own, (early, late), value[here])
            if offset:
                np.add.at(own, (late, early), value[here])


def _column(lag: np.ndarray, p: int, d: int, q: int) -> np.ndarray:
    """Where the design's block of a lag begins; the targets, lag 0, stand last."""
    return q + np.where(lag == 0, p, lag - 1) * d


def _blocks(
    row: np.ndarray, column: np.ndarray, block: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Values, rows and columns of the same block [d, d] at many places of a matrix of blocks."""
    d = len(block)
    rows = np.broadcast_to(row[:, None, None] * d + np.arange(d)[:, None], (len(row), d, d))
    columns = np.broadcast_to(column[:, None, None] * d + np.arange(d), (len(row), d, d))
    return np.broadcast_to(block, rows.shape).ravel(), rows.ravel(), columns.ravel()
