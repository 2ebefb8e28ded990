"""Standard errors of means: over independent sequences, or along one dependent series."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

__all__ = ["MANY_SEQUENCES", "MeanError", "of_ratio", "of_series", "of_terms", "t_quantile"]

#: From this many sequences on, errors are taken over sequences rather than along them.
MANY_SEQUENCES = 10


class MeanError(NamedTuple):
    """The standard error of a mean and its degrees of freedom (NaN and 0 where unknown)."""

    se: float
    df: int


_UNKNOWN = MeanError(float("nan"), 0)


def of_ratio(totals: np.ndarray, sizes: np.ndarray) -> MeanError:
    """The error of `totals.sum() / sizes.sum()` over independent sequences.

    Sequences are the draws and their sizes are random too, so this is a ratio estimator; its
    linearised variance is N/(N-1) sum (total_i - ratio size_i)^2 / (sum size_i)^2 (Cochran 1977,
    Sampling Techniques, eq. 6.12).

    Args:
        totals: one number a sequence, [N].
        sizes: how many units each sequence has, [N].
    """
    n, size = len(totals), float(sizes.sum())
    if n < 2 or size == 0 or not np.isfinite(totals).all():
        return _UNKNOWN
    residuals = totals - totals.sum() / size * sizes
    return MeanError(float(np.sqrt(n / (n - 1) * (residuals**2).sum()) / size), n - 1)


def of_series(x: np.ndarray) -> MeanError:
    r"""The error of the mean of one series whose values depend on each other.

    The long-run variance from the first v = 0.4 T^(2/3) cosine transforms of the series, which
    the mean is judged by as a Student t with v degrees of freedom (the equal-weighted cosine
    estimator; Lazarus, Lewis, Stock and Watson 2018, "HAR Inference: Recommendations for
    Practice", eq. 10). Each transform sees only movements slower than some T^(1/3) steps, so
    dependence over shorter spans needs no model; for independent normal values it is exact.

    Args:
        x: the series, [T].

    Example:
        >>> of_series(np.tile([1.0, -1.0], 500))   # 0.03 if they were independent
        MeanError(se=0.0010, df=39)
    """
    n = len(x)
    if n < 2 or not np.isfinite(x).all():
        return _UNKNOWN
    from scipy.fft import dct

    df = min(max(1, int(0.4 * n ** (2 / 3))), n - 1)
    # dct gives 2 sum x_t cos(pi j (t - 1/2) / T); Lambda_j = sqrt(2 / T) sum x_t cos(...)
    waves = dct(x - x.mean(), type=2)[1 : df + 1] / np.sqrt(2.0 * n)
    return MeanError(float(np.sqrt((waves**2).mean() / n)), df)


def of_terms(x: np.ndarray, rows: np.ndarray) -> MeanError:
    """The error of the mean of numbers [n]: over the sequences they are of, or along few of them.

    Args:
        x: the numbers, in the order of sequences and steps, [n].
        rows: which sequence each is of, [n].
    """
    sequences, which = np.unique(rows, return_inverse=True)
    if len(sequences) < MANY_SEQUENCES:
        return of_series(x)
    return of_ratio(np.bincount(which, x), np.bincount(which))


def t_quantile(df: int, level: float = 0.95) -> float:
    """How many standard errors a two-sided interval of this level reaches; NaN without df."""
    if df < 1:
        return float("nan")
    from scipy.special import stdtrit

    return float(stdtrit(df, 0.5 + level / 2))
