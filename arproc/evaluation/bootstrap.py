"""Bootstrap intervals of a mean per unit: by drawing sequences, or blocks of one, again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from arproc.evaluation.standard_errors import of_ratio

__all__ = ["Interval", "Resampling", "block_length", "blocks"]

#: How many draws are held at once.
_NUMBERS = 2**21


class Interval(NamedTuple):
    """A standard error, and how far below and above the mean its 95% interval goes."""

    se: float
    below: float
    above: float


@dataclass(frozen=True)
class Resampling:
    """How the bootstrap is done.

    Attributes:
        count: how many samples.
        seed: of the draws; the same for all models, so that differences are paired.
    """

    count: int
    seed: int

    def of_ratio(self, totals: np.ndarray, sizes: np.ndarray, level: float = 0.95) -> Interval:
        """The bootstrap-t interval of `totals.sum() / sizes.sum()` over independent units.

        Each sample's ratio r* is studentised by its own linearised error, and the quantiles of
        (r* - r) / se* stand for Student's (Efron and Tibshirani 1993, "An Introduction to the
        Bootstrap", section 12.5): unlike the interval of a t law it is as skew as the data.

        Args:
            totals: one number a unit, [n].
            sizes: how many elements each has, [n].
            level: of the interval.

        Returns:
            NaN throughout where there are fewer than two units, or numbers that are infinite.

        Example:
            >>> x = np.random.default_rng(0).normal(size=400)
            >>> found = Resampling(1000, seed=0).of_ratio(x, np.ones(400))
            >>> round(found.se, 2), round(found.below, 1), round(found.above, 1)
            (0.05, 0.1, 0.1)
        """
        own = of_ratio(totals, sizes)
        if np.isnan(own.se):
            return Interval(np.nan, np.nan, np.nan)
        if own.se == 0:
            return Interval(0.0, 0.0, 0.0)
        ratio = float(totals.sum() / sizes.sum())
        moved = totals - ratio * sizes  # the ratio of these is r* - r
        columns = np.column_stack([moved, sizes, moved**2, moved * sizes, sizes**2])
        drawn = self._sums(columns)
        away = drawn[:, 0] / drawn[:, 1]
        squares = drawn[:, 2] - 2 * away * drawn[:, 3] + away**2 * drawn[:, 4]
        n = len(totals)
        se = np.sqrt(np.maximum(squares, 0.0) * n / (n - 1)) / drawn[:, 1]
        sound = se > 1e-9 * own.se  # samples of one unit alone have no error of their own
        t = np.quantile(away[sound] / se[sound], [(1 - level) / 2, (1 + level) / 2])
        return Interval(float(away.std()), float(t[1] * own.se), float(-t[0] * own.se))

    def of_series(self, x: np.ndarray) -> Interval:
        """The same of the mean of one series [T], over blocks of it."""
        return self.of_ratio(*blocks(x))

    def _sums(self, columns: np.ndarray) -> np.ndarray:
        """Sums over the units of each sample, [count, k]."""
        n, rng = len(columns), np.random.default_rng(self.seed)
        found, at = np.empty((self.count, columns.shape[1])), 0
        while at < self.count:
            some = min(self.count - at, max(1, _NUMBERS // n))
            drawn = rng.integers(0, n, size=(some, n))
            weights = np.bincount(
                (drawn + n * np.arange(some)[:, None]).ravel(), minlength=some * n
            ).reshape(some, n)
            found[at : at + some] = weights @ columns
            at += some
        return found


def blocks(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The sums and the lengths of blocks of a series [T], which depend on each other little."""
    length = block_length(x)
    starts = np.arange(0, max(len(x) - length // 2, 1), length)
    return np.add.reduceat(x, starts), np.diff(np.append(starts, len(x))).astype(float)


def block_length(x: np.ndarray) -> int:
    """How long blocks of a series [T] have to be: twice as far as its correlations reach.

    They reach to the lag from which on several in a row are below 2 sqrt(log10 T / T) (Politis and
    White 2004, "Automatic block-length selection for the dependent bootstrap", section 3.2); and
    no block is shorter than T^(1/3), none longer than a tenth of the series.
    """
    n = len(x)
    least, most = int(np.ceil(n ** (1 / 3))), max(n // 10, 1)
    away = x - x.mean()
    power = float((away**2).mean())
    if n < 20 or not np.isfinite(power) or power == 0:
        return min(least, most)
    size = 2 ** int(np.ceil(np.log2(2 * n)))
    spectrum = np.abs(np.fft.rfft(away, size)) ** 2
    r = np.fft.irfft(spectrum, size)[1 : most + 1] / (n * power)
    small = np.abs(r) < 2 * np.sqrt(np.log10(n) / n)
    run = max(5, int(np.ceil(np.sqrt(np.log10(n)))))
    calm = np.convolve(small, np.ones(run), "valid") == run
    reach = int(calm.argmax()) if calm.any() else most
    return int(min(max(least, 2 * reach), most))
