"""What remains of a forecast's errors: their size and their tails, learnt of the panel."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from scipy.special import ndtr

from arproc.contract.checked import Number, sentences
from arproc.contract.storable import storable

__all__ = ["ErrorSpread", "Tails", "fit_spread"]

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
        """The quantile of the standard mixture.

        Example:
            >>> round(Tails(1.0, 1.0, 0.0).quantile(0.975), 4)
            1.96
        """
        return float(self.quantiles(np.array([level]))[0])

    def quantiles(self, levels: np.ndarray) -> np.ndarray:
        """Those of several levels, by bisection."""
        high = np.full(len(levels), 40.0 * self.wider)
        low = -high
        for _ in range(200):
            middle = (low + high) / 2
            below = self.below(middle) < levels
            low, high = np.where(below, middle, low), np.where(below, high, middle)
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


@storable
@dataclass(frozen=True)
class ErrorSpread:
    """The law of a panel's errors, and what those of a series are large beside.

    Attributes:
        tails: the law of standardised errors.
        usual: the median over the series of their mean squares; 0 where too few are known.
        centre: the mean logarithm of how much larger those of the series are.
    """

    tails: Tails
    usual: Annotated[float, Number(low=0)]
    centre: float

    def own(self, errors: np.ndarray) -> np.ndarray:
        """How much larger than the panel's the errors of each series are, shrunk, [N].

        The errors of one stretch of time move together and tell little.

        Args:
            errors: in units of the stated deviation, nan where not known, [N, ..., h].
        """
        found = np.ones(len(errors))
        if self.usual > 0:
            squares = _squares(_grown(errors, self.tails.growth))
            known = ~np.isnan(squares)
            found[known] = _shrunk(squares[known] / self.usual) / np.exp(self.centre)
        return found


def fit_spread(errors: np.ndarray) -> ErrorSpread:
    """The law of the standardised errors of a panel.

    Two quantiles, of 80% and of 95%, settle size and tails; the growth is that of the medians.

    Args:
        errors: forecast errors in units of the stated deviation, nan where not known; of one
            stretch [N, h], or of several [N, stretches, h].

    Example:
        >>> z = np.random.default_rng(0).normal(scale=2.0, size=(500, 4))
        >>> found = fit_spread(z)
        >>> 1.9 < found.tails.size < 2.1, found.tails.wider
        (True, 1.0)
        >>> found.own(z).shape
        (500,)
    """
    if np.isfinite(errors).sum() < _FEW:
        return ErrorSpread(Tails(1.0, 1.5, 0.0), 0.0, 0.0)
    growth = _growth(np.abs(errors))
    sizes = _grown(errors, growth)
    squares = _squares(sizes)
    usual = max(float(np.nanmedian(squares)), 1e-300)
    own = _shrunk(squares / usual)
    centre = float(np.log(own[~np.isnan(own)]).mean())
    own = np.where(np.isnan(own), 1.0, own / np.exp(centre))
    # half of what the series' own factors explain here, they explain later too
    inner, outer = np.nanquantile((sizes.T / np.sqrt(own)).T, [0.8, 0.95])
    inner = max(float(inner), 1e-9)
    best, found = np.inf, Tails(1.0, 1.0, growth)
    for wider in _WIDER.tolist():
        one = Tails(1.0, wider, growth)
        size = inner / one.quantile(0.9)
        miss = abs(np.log(size * one.quantile(0.975) / max(float(outer), 1e-9)))
        if miss < best:
            best, found = miss, Tails(size, wider, growth)
    return ErrorSpread(found, usual, centre)


def _grown(errors: np.ndarray, growth: float) -> np.ndarray:
    """The sizes of errors beside what they grow to at each step."""
    sizes = np.abs(errors) / np.arange(1, errors.shape[-1] + 1) ** growth
    return np.where(np.isfinite(errors), sizes, np.nan)


def _squares(sizes: np.ndarray) -> np.ndarray:
    """Mean squares of each series, nan where nothing is known."""
    sizes = sizes.reshape(len(sizes), -1)
    some = ~np.isnan(sizes)
    counts = some.sum(axis=1)
    total = np.where(some, np.minimum(np.nan_to_num(sizes), 1e9) ** 2, 0.0).sum(axis=1)
    return np.where(counts > 0, total / np.maximum(counts, 1), np.nan)


def _shrunk(ratio: np.ndarray) -> np.ndarray:
    return np.sqrt(1 - _OWN + _OWN * np.minimum(ratio, 50.0))


def _growth(sizes: np.ndarray) -> float:
    """The slope of the logarithm of the median size in the logarithm of the step."""
    h = sizes.shape[-1]
    sizes = sizes.reshape(-1, h)
    counts = np.isfinite(sizes).sum(axis=0)
    if h < 3 or counts.min() < _FEW:
        return 0.0
    middle = np.log(np.maximum(np.nanmedian(sizes, axis=0), 1e-12))
    step = np.log(np.arange(1, h + 1))
    step -= step.mean()
    return float(np.clip(step @ middle / (step @ step), -0.3, 0.3))
