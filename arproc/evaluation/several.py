"""P-values of several tests at once."""

from __future__ import annotations

from typing import Any

import numpy as np

from arproc.errors import ParameterError, check_array

__all__ = ["holm"]


def holm(p_values: Any) -> np.ndarray:
    """Holm's adjusted p-values: those of m tests, such that none is below a level by chance alone.

    The k-th smallest is max over j <= k of min(1, (m - j + 1) p_(j)) (Holm 1979).

    Args:
        p_values: of the tests, [m], each in [0, 1]; nan is no test, and stays nan.

    Example:
        >>> holm([0.01, 0.04, 0.03]).tolist(), holm([0.01, float("nan"), 0.04]).tolist()
        ([0.03, 0.06, 0.06], [0.02, nan, 0.04])
    """
    p = check_array("p_values", p_values)
    tested = np.flatnonzero(~np.isnan(p)) if p.ndim == 1 else np.empty(0, np.int64)
    if p.ndim != 1 or not ((p[tested] >= 0) & (p[tested] <= 1)).all():
        raise ParameterError(f"p_values must be numbers in [0, 1], [m]; got {p_values!r}.")
    order = tested[np.argsort(p[tested], kind="stable")]
    scaled = np.minimum(1.0, (len(order) - np.arange(len(order))) * p[order])
    adjusted = np.full(len(p), np.nan)
    adjusted[order] = np.maximum.accumulate(scaled)
    return adjusted
