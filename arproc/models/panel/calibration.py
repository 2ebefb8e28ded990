"""How much wider than a panel's forecasts say their intervals should be."""

from __future__ import annotations

import numpy as np

__all__ = ["stretches"]

_NORMAL = 1.959963984540054  # of the standard normal distribution at 0.975
_OWN = 0.1  # the weight of a series' own errors against the panel's


def stretches(made: np.ndarray, actual: np.ndarray) -> np.ndarray:
    """A factor for each series by which quantiles are stretched about the median.

    One factor for the panel makes 95% intervals hold 95% of what came; and a series whose
    standardised errors are larger or smaller than is usual has that much more or less, shrunk, as
    the errors of one stretch of time move together and tell little.

    Args:
        made: mean, and quantiles at one standard deviation below, at the median and at one above,
            [N, horizon, 4].
        actual: what came, nan where that is not known, [N, horizon].

    Returns:
        Factors [N].

    Example:
        >>> made = np.tile([0.0, -1.0, 0.0, 1.0], (2, 50, 1))
        >>> errors = np.tile(np.linspace(-6, 6, 50), (2, 1))
        >>> stretches(made, errors).round(1).tolist()
        [2.9, 2.9]
    """
    low, middle, high = np.moveaxis(made[..., 1:], -1, 0)
    error = actual - middle
    width = np.maximum(np.where(error > 0, high - middle, middle - low), 1e-300)
    sizes = np.abs(error) / width
    squares = np.nanmean(np.minimum(sizes, 1e9) ** 2, axis=1)
    typical = max(float(np.median(squares)), 1e-300)
    own = np.sqrt(1 - _OWN + _OWN * np.minimum(squares / typical, 50.0))
    own /= np.exp(np.log(own).mean())
    return float(np.nanquantile(sizes, 0.95)) / _NORMAL * own
