"""The compiled draw from a row of probabilities."""

from __future__ import annotations

import numpy as np

from arproc.compiled.jit import Int, jit


@jit
def invert(row: np.ndarray, u: float) -> Int:
    """The smallest symbol whose distribution function exceeds u times the row's sum."""
    target = u * row.sum()
    w, reached = 0, row[0]
    while reached <= target and w < len(row) - 1:
        w += 1
        reached += row[w]
    return w
