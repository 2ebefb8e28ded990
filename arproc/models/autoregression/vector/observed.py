r"""The exact likelihood of a vector autoregression of which components are missing.

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

from arproc.gaussian.companion import companion, lyapunov, powers
from arproc.models.autoregression.imputation import inverse_band
from arproc.models.autoregression.vector.exact_likelihood import ExactLikelihood
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
        given: whether the first p elements, none of which is missing then, are given.
        in_mean: whether the columns are the mean's, or the recursion's.
    """

    def __init__(
        self,
        data: VectorData,
        order: int,
        whitening: np.ndarray,
        given: bool = False,
        in_mean: bool = True,
    ) -> None:
        self.data, self.places = data, _Places.of(data, order)
        super().__init__(interpolated(data), order, whitening, given, in_mean)
        starts = np.cumsum(data.lengths) - data.lengths
        self._time = np.arange(len(data.values)) - np.repeat(starts, data.lengths)

    def __call__(self, theta: np.ndarray) -> tuple[float, np.ndarray]:
        coef, beta, k = self.unpack(theta)
        nothing = (-np.inf, np.zeros_like(theta))
        if not self._allows(coef, k):
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
        places = self.places
        level = self.data.columns @ beta @ self._unwhitening.T
        y = self.data.values - (level if self.in_mean else 0.0)
        whiten = self._map(coef, factor)
        rest = whiten @ np.nan_to_num(y).ravel()
        if not self.in_mean:  # what the recursion adds is none of the innovations
            added = self.data.columns @ beta @ np.linalg.inv(factor).T
            rest -= np.where(self._time[:, None] < self.order, 0.0, added).ravel()
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
        values = filled.reshape(y.shape) + (level if self.in_mean else 0.0)
        self._set(replace(self.data, values=values), inverse_band(root))
        return float(np.log(root[0]).sum())

    @cached_property
    def _unwhitening(self) -> np.ndarray:
        return np.linalg.inv(self.whitening)

    def _map(self, coef: np.ndarray, factor: np.ndarray) -> sparse.csc_array:
        """From deviations to standardised innovations, [total d, total d]."""
        d, p, time = self.d, self.order, self._time
        white = np.linalg.solve(factor, np.eye(d))
        blocks = [white @ self.whitening, *(-white @ lag @ self.whitening for lag in coef)]
        later = np.flatnonzero(time >= p)
        parts = [_blocks(later, later - i, block) for i, block in enumerate(blocks)]
        if p and not self.given:
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
        p = self.order
        root, _ = regression_root(filled, p, self.in_mean)
        gram = root.T @ root
        self.heads = {} if self.given else heads(filled, p)
        for offset in range(self.places.band + 1):
            self._add(gram, offset, covariance[offset])
        turn = self._turn(self.shifts.shape[1])
        self.root = _root(turn.T @ gram @ turn)
        self.heads = {k: (n, self._turned(k, own)) for k, (n, own) in self.heads.items()}

    def _add(self, gram: np.ndarray, offset: int, covariance: np.ndarray) -> None:
        """The covariances of places that many apart, added to the gram and those of the heads."""
        places, p, d, z = self.places, self.order, self.d, self.shifts.shape[1]
        i = np.arange(len(places.flat) - offset)
        j = i + offset
        apart = places.time[j] - places.time[i]
        near = (places.owner[i] == places.owner[j]) & (apart <= p)
        i, j, apart = i[near], j[near], apart[near]
        value = covariance[i]
        one, other = places.component[i], places.component[j]
        for a in range(p + 1):  # the later one, a steps before a target
            inside = (a + apart <= p) & (places.left[j] >= a) & (places.time[j] + a >= p)
            late = _column(np.full(len(j), a), p, d, z) + other
            early = _column(a + apart, p, d, z) + one
            np.add.at(gram, (early[inside], late[inside]), value[inside])
            if offset:
                np.add.at(gram, (late[inside], early[inside]), value[inside])
        for k, (_, own) in self.heads.items():
            here = (np.minimum(places.length[i], p) == k) & (places.time[j] < k)
            early = k * self.q + (k - 1 - places.time[i][here]) * d + one[here]
            late = k * self.q + (k - 1 - places.time[j][here]) * d + other[here]
            np.add.at(own, (early, late), value[here])
            if offset:
                np.add.at(own, (late, early), value[here])


def _root(gram: np.ndarray) -> np.ndarray:
    """R with R' R = gram, which lags of regressors may leave without full rank."""
    values, vectors = np.linalg.eigh(gram)
    return np.sqrt(values.clip(min=0))[:, None] * vectors.T


def _column(lag: np.ndarray, p: int, d: int, z: int) -> np.ndarray:
    """Where the design's block of a lag begins; the targets, lag 0, stand last."""
    return z + np.where(lag == 0, p, lag - 1) * d


def _blocks(
    row: np.ndarray, column: np.ndarray, block: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Values, rows and columns of the same block [d, d] at many places of a matrix of blocks."""
    d = len(block)
    rows = np.broadcast_to(row[:, None, None] * d + np.arange(d)[:, None], (len(row), d, d))
    columns = np.broadcast_to(column[:, None, None] * d + np.arange(d), (len(row), d, d))
    return np.broadcast_to(block, rows.shape).ravel(), rows.ravel(), columns.ravel()
