"""The Kalman filter of one representation: gains once, means for as many rows as there are."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch

from arproc.gaussian.representation import NOTHING, Representation, stationary_covariance

__all__ = ["Filter", "Spread"]

_FIRST = 64  # how many gains are computed to begin with


class Spread(NamedTuple):
    """The covariances of N states, in units of the innovations' variance.

    Attributes:
        finite: [N, k, k].
        infinite: the part that a diffuse start has left, [N, k, k].
        rank: its rank, int64 [N].
    """

    finite: np.ndarray
    infinite: np.ndarray
    rank: np.ndarray

    def select(self, rows: np.ndarray) -> Spread:
        """Those of the rows with these numbers."""
        return Spread(self.finite[rows], self.infinite[rows], self.rank[rows])


class Filter:
    """What the filter of a representation needs besides data.

    As long as no element is missing, gains and variances depend on the position alone: they are
    kept in a table that grows until they settle. The first `n_lags` elements are given: they fill
    the state's lags, and say nothing of its ARMA part.

    Args:
        form: the representation.
    """

    def __init__(self, form: Representation) -> None:
        self.form = form
        self.loading = torch.from_numpy(form.loading)
        self.transition = torch.from_numpy(form.transition)
        self._start = stationary_covariance(form.phi, form.noise)
        self._covariance = self._start.copy()  # after what the table holds
        self._settled = False
        m, k = form.n_lags, form.size
        self._gain = np.zeros((m, k))
        self._gain[:, :1] = 1.0  # an element becomes the newest lag
        self._variance = np.full(m, np.inf)

    def table(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Gains [S, k] and variances [S] by position; S >= count or they have settled by then."""
        while not self._settled and len(self._gain) < count:
            self._grow(max(_FIRST, len(self._gain), count - len(self._gain)))
        return self._gain, self._variance

    def _grow(self, count: int) -> None:
        form = self.form
        kernels = _kernels(count, form)
        gain, variance, settled = kernels.complete(count, self._covariance, form.phi, form.noise)
        keep = min(settled + 1, count)
        self._settled = settled < count
        whole = np.zeros((keep, form.size))
        if form.n_lags:
            whole[:, 0] = 1.0
        whole[:, form.n_lags :] = gain[:keep]
        self._gain = np.concatenate([self._gain, whole])
        self._variance = np.concatenate([self._variance, variance[:keep]])

    def fresh(self, n: int) -> Spread:
        """The covariances before the first element."""
        form = self.form
        m, k = form.n_lags, form.size
        finite, infinite = np.zeros((n, k, k)), np.zeros((n, k, k))
        finite[:, m:, m:] = self._start
        infinite[:, np.arange(m), np.arange(m)] = 1.0
        return Spread(finite, infinite, np.full(n, m, dtype=np.int64))

    def gains(
        self, seen: np.ndarray, counts: np.ndarray, spread: Spread
    ) -> tuple[np.ndarray, np.ndarray, Spread]:
        """Gains and variances of rows of which elements are missing.

        Args:
            seen: whether an element is there, [N, K].
            counts: how many of a row's elements count, [N].
            spread: the covariances before them.

        Returns:
            Gains [N, K, k], variances [N, K + 1], and the covariances after what counts.
        """
        after = Spread(*(part.copy() for part in spread))
        form = self.form
        gain, variance, _ = _kernels(seen.size, form).gains(
            np.ascontiguousarray(seen), counts, *after, form.delta, form.phi, form.noise
        )
        return gain, variance, after

    def run(
        self,
        y: np.ndarray,
        counts: np.ndarray,
        mean: np.ndarray,
        gain: np.ndarray,
        start: np.ndarray,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Means of elements [N, K + 1] and of the states after them [N, k]; see `kernels.run`."""
        gain = gain if gain.ndim == 3 else gain[None]
        return _kernels(y.size, self.form).run(
            np.ascontiguousarray(y),
            counts,
            np.ascontiguousarray(mean),
            gain,
            start,
            self.form.delta,
            self.form.phi,
        )

    def innovations(
        self, y: np.ndarray, seen: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """What the past does not say of each element, for rows that miss the same elements.

        Args:
            y: elements less their level, nan where missing, [N, T].
            seen: which are there, [T]; None where all are.

        Returns:
            Innovations [N, T], and their variances [T], in units of sigma2; infinite where an
            element is given.
        """
        n, steps = y.shape
        zero, mean = np.zeros(n, dtype=np.int64), np.zeros((n, self.form.size))
        counts = np.full(n, steps)
        if seen is None:
            gain, variance = self.table(steps)
            variance = variance[np.minimum(np.arange(steps), len(variance) - 1)]
        else:
            gain, variance, _ = self.gains(seen[None], counts[:1], self.fresh(1))
            variance = variance[0, :-1]
        loc, _ = self.run(y, counts, mean, gain, zero)
        return y - loc[:, :-1], variance

    def forecast_variance(self, spread: Spread, horizon: int) -> np.ndarray:
        """The variances of the next elements, [N, horizon], in units of sigma2."""
        z, transition = self.form.loading, self.form.transition
        noise = np.r_[np.zeros(self.form.n_lags), self.form.noise]
        out, p = np.empty((len(spread.rank), horizon)), spread.finite
        for h in range(horizon):
            out[:, h] = (p @ z) @ z
            p = transition @ p @ transition.T + np.outer(noise, noise)
        return out

    def determines(self, spread: Spread, horizon: int) -> bool:
        """Whether the variances of the next elements have no infinite part."""
        z, transition = self.form.loading, self.form.transition
        p = spread.infinite[spread.rank > 0]
        for _ in range(horizon if len(p) else 0):
            top = p.max(axis=(1, 2), initial=0.0)
            if bool(((p @ z) @ z > NOTHING * top).any()):
                return False
            p = transition @ p @ transition.T
        return True

    def forecast_covariance(self, spread: Spread, horizon: int) -> np.ndarray:
        """The covariances of the next elements, [N, horizon, horizon], in units of sigma2."""
        z, transition = self.form.loading, self.form.transition
        noise = np.r_[np.zeros(self.form.n_lags), self.form.noise]
        n = len(spread.rank)
        covariance = np.zeros((n, horizon, horizon))
        p, cross = spread.finite, np.zeros((n, 0, self.form.size))
        for h in range(horizon):
            # cross[:, i] is the covariance of element i and the state before element h
            covariance[:, h, :h] = covariance[:, :h, h] = cross @ z
            load = p @ z
            covariance[:, h, h] = load @ z
            cross = np.concatenate([cross, load[:, None]], axis=1) @ transition.T
            p = transition @ p @ transition.T + np.outer(noise, noise)
        return covariance

    def spread_at(self, positions: np.ndarray) -> Spread:
        """The covariances of states after so many elements, none of them missing."""
        form, out = self.form, self.fresh(len(positions))
        out.infinite[:], out.rank[:] = 0.0, 0
        for position in np.unique(positions):
            last = len(self.table(int(position))[0])
            count = max(min(int(position), last) - form.n_lags, 0)
            covariance = self._start.copy()
            _kernels(count, form).complete(count, covariance, form.phi, form.noise)
            rows = positions == position
            out.finite[rows, form.n_lags :, form.n_lags :] = covariance
        return out


def _kernels(elements: int, form: Representation) -> Any:
    """The loops for so many elements: most takes the covariance, until it settles."""
    from arproc.compiled.interpreted import suited
    from arproc.gaussian import state_kernels

    return suited(state_kernels, 5 * elements * form.size)
