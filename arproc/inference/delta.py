"""The delta method where some standard errors are not known."""

from __future__ import annotations

import numpy as np

__all__ = ["carried"]


def carried(moved: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """The covariance [m, m] of numbers that move with estimates by `moved` [m, k].

    What moves with an estimate whose variance is nan (on a bound, say) is nan; the others do not
    see it, although nan times 0 is nan.

    Example:
        >>> covariance = np.array([[4.0, np.nan], [np.nan, np.nan]])
        >>> carried(np.array([[0.5, 0.0], [0.0, 1.0]]), covariance).tolist()
        [[1.0, nan], [nan, nan]]
    """
    unknown = np.isnan(np.diag(covariance))
    kept = np.where(unknown[:, None] | unknown, 0.0, covariance)
    found: np.ndarray = moved @ kept @ moved.T
    lost = (moved[:, unknown] != 0).any(axis=1)
    return np.where(lost[:, None] | lost, np.nan, found)
