"""What remains of a forecast's errors: their size and their tails, learnt of the panel."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from scipy.special import ndtr

from arproc.contract.checked import Number, sentences
from arproc.contract.storable import storable

__all__ = ["Tails", "fit_tails"]

#: The share of errors that are wider than the others.
SHARE = 0.2
_WIDER = np.array([1.0, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0, 3.5, 4.0, 5.0])
_OWN = 0.1  # the weight of a series' own errors against the panel's
_FEW = 20  # errors that tell nothing of a panel


@storable
@dataclass(frozen=True)
class Tails:
    """A mixture of two normal laws about 0, a fifth of it `wider`; and how it grows.

    Attributes:
        size: the standard deviation of the narrow part, in units of what candidates say.
        wider: how much wider the other part is.
        growth: errors at step h are h to this power larger than candidates say.
    """

    size: Annotated[float, Number(above=0)]
    wider: Annotated[float, Number(low=1)]
    growth: Annotated[float, Number(low=-2, high=2)]

    def problems(self) -> Iterator[str]:
        """What does not fit together; see `arproc.contract.checked`."""
        yield from sentences((self.wider > 1e6, "the wider part has no end"))

    def quantile(self, level: float) -> float:
        """The quantile of the standard mixture, by bisection.

        Example:
            >>> round(Tails(1.0, 1.0, 0.0).quantile(0.975), 4)
            1.96
        """
        low, high = -40.0 * self.wider, 40.0 * self.wider
        for _ in range(200):
            middle = (low + high) / 2
            low, high = (middle, high) if self.below(middle) < level else (low, middle)
        return (low + high) / 2

    def below(self, z: Any) -> Any:
        """The distribution function of the standard mixture."""
        return (1 - SHARE) * ndtr(z) + SHARE * ndtr(z / self.wider)

    def log_density(self, z: np.ndarray) -> np.ndarray:
        """The log-density of the standard mixture."""
        narrow = np.log1p(-SHARE) - z**2 / 2
        wide = np.log(SHARE) - np.log(self.wider) - (z / self.wider) ** 2 / 2
        return np.asarray(np.logaddexp(narrow, wide) - np.log(2 * np.pi) / 2)

    def sizes(self, horizon: int) -> np.ndarray:
        """What deviations are multiplied with at each step, [horizon]."""
        return np.asarray(self.size * np.arange(1, horizon + 1) ** self.growth)


def fit_tails(errors: np.ndarray) -> tuple[Tails, np.ndarray]:
    """The law of standardised errors, and how much larger those of each series are.

    Two quantiles, of 80% and of 95%, settle size and tails; the growth is that of the medians. A
    series' own factor is shrunk: the errors of one stretch of time move together and tell little.

    Args:
        errors: forecast errors in units of the stated deviation, nan where not known, [N, h].

    Example:
        >>> z = np.random.default_rng(0).normal(scale=2.0, size=(500, 4))
        >>> tails, own = fit_tails(z)
        >>> 1.9 < tails.size < 2.1, tails.wider
        (True, 1.0)
    """
    sizes = np.abs(errors)
    own = np.ones(len(sizes))
    some = np.isfinite(sizes)
    if some.sum() < _FEW:
        return Tails(1.0, 1.5, 0.0), own
    growth = _growth(sizes)
    sizes = np.where(some, sizes / np.arange(1, sizes.shape[1] + 1) ** growth, np.nan)
    counts = some.sum(axis=1)
    total = np.where(some, np.minimum(np.nan_to_num(sizes), 1e9) ** 2, 0.0).sum(axis=1)
    squares = np.where(counts > 0, total / np.maximum(counts, 1), np.nan)
    typical = max(float(np.nanmedian(squares)), 1e-300)
    known = ~np.isnan(squares)
    own[known] = np.sqrt(1 - _OWN + _OWN * np.minimum(squares[known] / typical, 50.0))
    own[known] /= np.exp(np.log(own[known]).mean())
    # half of what the series' own factors explain here, they explain later too
    inner, outer = np.nanquantile(sizes / np.sqrt(own)[:, None], [0.8, 0.95])
    inner = max(float(inner), 1e-9)
    best, found = np.inf, Tails(1.0, 1.0, growth)
    for wider in _WIDER.tolist():
        one = Tails(1.0, wider, growth)
        size = inner / one.quantile(0.9)
        miss = abs(np.log(size * one.quantile(0.975) / max(float(outer), 1e-9)))
        if miss < best:
            best, found = miss, Tails(size, wider, growth)
    return found, own


def _growth(sizes: np.ndarray) -> float:
    """The slope of the logarithm of the median size in the logarithm of the step."""
    h = sizes.shape[1]
    counts = np.isfinite(sizes).sum(axis=0)
    if h < 3 or counts.min() < _FEW:
        return 0.0
    middle = np.log(np.maximum(np.nanmedian(sizes, axis=0), 1e-12))
    step = np.log(np.arange(1, h + 1))
    step -= step.mean()
    return float(np.clip(step @ middle / (step @ step), -0.3, 0.3))
