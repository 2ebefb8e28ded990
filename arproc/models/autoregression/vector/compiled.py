"""Compiled loops of vector autoregressions. Importing this module imports numba."""

from __future__ import annotations

import numpy as np

from arproc.compiled.jit import jit

__all__ = ["run"]


@jit
def run(y: np.ndarray, backwards: np.ndarray, first: int) -> None:
    """Add the recursion to the elements `p + first`, ... of y [N, p + K, d], in place.

    Args:
        y: the p elements before, then what is added to each of the next.
        backwards: the coefficients side by side, the oldest lag first, [d, p d].
        first: which of the next elements to begin with.
    """
    n, total, d = y.shape
    width = backwards.shape[1]
    p = width // d
    for row in range(n):
        flat = y[row].reshape(total * d)
        for k in range((p + first) * d, total * d, d):
            for a in range(d):
                value = flat[k + a]
                for j in range(width):
                    value += backwards[a, j] * flat[k - width + j]
                flat[k + a] = value
