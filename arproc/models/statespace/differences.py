"""How many differences a series needs: unit roots by KPSS, seasonal ones by a season's strength.

References:
    Kwiatkowski, Phillips, Schmidt and Shin (1992); Wang, Smith and Hyndman (2006); Hyndman and
    Khandakar (2008), section 3.1.
"""

from __future__ import annotations

import numpy as np

__all__ = ["differences", "kpss", "seasonal_differences", "seasonal_strength"]

_KPSS_5 = 0.463  # the statistic's 95% point for a level (KPSS 1992, table 1)
_STRONG = 0.64  # a season of more strength is differenced: the rule of R's forecast package
_FILTER = np.array([1, 2, 3, 3, 3, 2, 1]) / 15  # over the years: X-11's 3 x 5 average


def kpss(x: np.ndarray) -> float:
    r"""The statistic of KPSS for a stationary series about a level.

    .. math::
        \frac{1}{n^2 \hat\omega^2} \sum_t S_t^2, \quad S_t = \sum_{i \le t} (x_i - \bar x),

    with Bartlett's weights over :math:`\lfloor 3 \sqrt n / 13 \rfloor` lags for the long-run
    variance :math:`\omega^2`.

    Args:
        x: values [T], none missing.

    Example:
        >>> steps = np.sin(np.arange(200.0) ** 2)
        >>> kpss(steps) < 0.463 < kpss(steps.cumsum().cumsum())
        True
    """
    n = len(x)
    rest, lags = x - x.mean(), int(3 * np.sqrt(n) / 13)
    variance = rest @ rest / n
    for lag in range(1, lags + 1):
        variance += 2 * (1 - lag / (lags + 1)) * (rest[lag:] @ rest[:-lag]) / n
    sums = rest.cumsum()
    return float(sums @ sums / (n**2 * variance)) if variance > 0 else 0.0


def seasonal_strength(x: np.ndarray, period: int) -> float:
    r"""How much of what a trend leaves is a season, from 0 to 1.

    :math:`\max(0, 1 - \mathrm{var}(R) / \mathrm{var}(S + R))`, with the trend a centred moving
    average over one period, and the season S the moving average of each season's values over
    seven years (X-11's 3 x 5), so that it may change slowly.

    Args:
        x: values [T], none missing, of two periods or more.
        period: the season's length, 2 or more.

    Example:
        >>> t = np.arange(96)
        >>> round(seasonal_strength(np.sin(2 * np.pi * t / 12) + 0.1 * t, 12), 2)
        1.0
    """
    half = period // 2
    width = np.ones(2 * half + 1)
    if period % 2 == 0:
        width[[0, -1]] = 0.5
    rest = x[half : len(x) - half] - np.convolve(x, width / period, mode="valid")
    season = np.empty_like(rest)
    for phase in range(min(period, len(rest))):
        own = rest[phase::period]
        weight = np.convolve(np.ones(len(own)), _FILTER)[3:-3]
        season[phase::period] = np.convolve(own, _FILTER)[3:-3] / weight
    whole = rest.var()
    return max(0.0, 1 - float((rest - season).var() / whole)) if whole > 0 else 0.0


def seasonal_differences(x: np.ndarray, period: int, most: int) -> int:
    """How many seasonal differences: one as long as the season's strength is above 0.64.

    Args:
        x: values [T], none missing.
        period: the season's length; less than 2 where there is none.
        most: how many at most.
    """
    for count in range(most):
        if period < 2 or len(x) < 3 * period or not seasonal_strength(x, period) > _STRONG:
            return count
        x = x[period:] - x[:-period]
    return most


def differences(x: np.ndarray, most: int) -> int:
    """How many differences: one as long as KPSS at 5% denies that the series is stationary.

    Args:
        x: values [T], none missing.
        most: how many at most.
    """
    for count in range(most):
        if len(x) < 4 or not kpss(x) > _KPSS_5:
            return count
        x = np.diff(x)
    return most
