"""A Markov chain of regimes, and what it makes of an autoregression: its parameters as arrays."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np

__all__ = ["Regimes", "memories", "stationary"]

_LEAST = 1e-300  # so that no logarithm of a probability is infinite


def stationary(transition: np.ndarray) -> np.ndarray:
    """The stationary distribution of a chain with p(to | from) in its rows, [k].

    Example:
        >>> stationary(np.array([[0.9, 0.1], [0.3, 0.7]])).round(2).tolist()
        [0.75, 0.25]
    """
    k = len(transition)
    system = np.eye(k) - transition.T + 1.0
    try:
        found = np.linalg.solve(system, np.ones(k))
    except np.linalg.LinAlgError:  # a chain that falls into parts: one distribution of many
        found = np.linalg.lstsq(system, np.ones(k), rcond=None)[0]
    found = np.maximum(found, 0.0)
    return found / found.sum()


@cache
def memories(k: int, m: int) -> np.ndarray:
    """The regimes (s_t, ..., s_{t-m+1}) of each memory, the newest first: int64 [k^m, m]."""
    number = np.arange(k**m)[:, None]
    return number // k ** np.arange(m - 1, -1, -1) % k


@dataclass(frozen=True)
class Regimes:
    """The parameters of a Markov-switching autoregression.

    Attributes:
        transition: p(to | from), rows sum to one, [k, k].
        trend: each regime's constant and slope, [k, q], q = 0, 1 or 2.
        coef: coefficients, lag 1 first, [k, p].
        sigma2: innovation variances, [k].
        centred: whether the trend is the regimes' level (else it is the recursion's constant).
        unit: what a step of time counts in the slope.
    """

    transition: np.ndarray
    trend: np.ndarray
    coef: np.ndarray
    sigma2: np.ndarray
    centred: bool
    unit: float = 1.0

    @property
    def k(self) -> int:
        return len(self.sigma2)

    @property
    def order(self) -> int:
        return int(self.coef.shape[1])

    @cached_property
    def digits(self) -> np.ndarray:
        """The memories: the last p regimes where levels switch under the lags, else the last."""
        return memories(self.k, max(self.order, 1) if self.centred else 1)

    @cached_property
    def log_transition(self) -> np.ndarray:
        return np.log(np.maximum(self.transition, _LEAST))

    @property
    def log_initial(self) -> np.ndarray:
        """The memories' log-probabilities when the chain has run for ever, [M]."""
        digits, log_p = self.digits, self.log_transition
        total = np.log(np.maximum(stationary(self.transition), _LEAST))[digits[:, -1]]
        for i in range(digits.shape[1] - 1):
            total = total + log_p[digits[:, i + 1], digits[:, i]]
        return total

    def permuted(self, order: np.ndarray) -> Regimes:
        """The same law with the regimes in another order."""
        return Regimes(
            self.transition[np.ix_(order, order)],
            self.trend[order],
            self.coef[order],
            self.sigma2[order],
            self.centred,
            self.unit,
        )

    def filter(
        self, values: np.ndarray, offsets: np.ndarray, keep: bool = False
    ) -> tuple[np.ndarray, np.ndarray]:
        """The terms log p(x_t | past), and the joint states' filtered probabilities.

        Args:
            values: series one after the other, float64.
            offsets: where each begins, int64 [N + 1].
            keep: whether the joint states' probabilities [terms, k M] are wanted.
        """
        from arproc.models.regimes import hamilton

        digits = self.digits
        times = np.arange(len(values)) - np.repeat(offsets[:-1], np.diff(offsets))
        level = np.vander(times * self.unit, self.trend.shape[1], increasing=True) @ self.trend.T
        deviations = values[:, None] - level
        lags = deviations if self.centred else values[:, None]
        rows = len(values) - (len(offsets) - 1) * self.order if keep else 0
        joint = np.empty((rows, self.k * len(digits)))
        terms = hamilton.filter_series(
            deviations, lags, offsets, self.centred, digits, self.coef, self.sigma2,
            self.log_transition, self.log_initial, joint,
        )  # fmt: skip
        return terms, joint

    def smooth(
        self, values: np.ndarray, offsets: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Terms, smoothed joint states [terms, k M], and smoothed first memories [N, M]."""
        from arproc.models.regimes import hamilton

        terms, joint = self.filter(values, offsets, keep=True)
        count = len(self.digits)
        starts = offsets - self.order * np.arange(len(offsets))
        first = np.empty((len(offsets) - 1, count))
        hamilton.smooth(joint, starts, count, first)
        return terms, joint, first

    def marginal(self, joint: np.ndarray) -> np.ndarray:
        """The newest regime's probabilities [terms, k] from the joint states'."""
        return joint.reshape(len(joint), self.k, -1).sum(axis=2)
