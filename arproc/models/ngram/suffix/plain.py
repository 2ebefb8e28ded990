"""The likelihood of discounts for short texts by NumPy: `fit_kernels.likelihood`'s equal."""

from __future__ import annotations

import numpy as np

__all__ = ["likelihood"]

FLOOR = 1e-300  # that of `chain_kernels`, which imports numba


def likelihood(
    begins: np.ndarray, rows: np.ndarray, symbols: int, discounts: np.ndarray, slope: np.ndarray
) -> float:
    """See `fit_kernels.likelihood`; here all positions take each step of their chain together."""
    counts, n, own = rows[:, 0].astype(np.int64), rows[:, 1], rows[:, 5]
    known = n > 0
    divisor = np.where(known, n, 1).astype(np.float64)
    shares = np.where(known[:, None], rows[:, 2:5] / divisor[:, None], 0.0)
    passed = np.where(known, (discounts[own] * shares).sum(axis=1), 1.0)
    seen = known & (counts > 0)
    which = np.minimum(counts, 3) - 1
    gained = np.where(seen, (counts - discounts[own, which]) / divisor, 0.0)
    steps = _steps(begins)
    below = np.empty(len(rows))
    p = np.full(len(begins) - 1, 1.0 / symbols)
    for positions, at in steps:
        below[at] = p[positions]
        p[positions] = p[positions] * passed[at] + gained[at]
    p = np.maximum(p, FLOOR)
    factor, after = 1.0 / p, np.empty(len(rows))
    for positions, at in reversed(steps):
        after[at] = factor[positions]
        factor[positions] *= passed[at]
    slope[:] = 0.0
    np.add.at(slope, own, (after * below)[:, None] * shares)
    np.subtract.at(slope, (own[seen], which[seen]), (after / divisor)[seen])
    return float(np.log(p).sum())


def _steps(begins: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """The positions whose chains have a step more, and their rows, for each step in turn."""
    lengths = np.diff(begins)
    found, positions, step = [], np.flatnonzero(lengths), 0
    while len(positions):
        found.append((positions, begins[positions] + step))
        step += 1
        positions = positions[lengths[positions] > step]
    return found
