"""Markov chains of regimes: their stationary distribution, and memories of the last regimes."""

from __future__ import annotations

from functools import cache

import numpy as np

__all__ = ["memories", "stationary"]


def stationary(transition: np.ndarray) -> np.ndarray:
    """The stationary distribution of a chain with p(to | from) in its rows, [k].

    Example:
        >>> stationary(np.array([[0.9, 0.1], [0.3, 0.7]])).round(2).tolist()
        [0.75, 0.25]
    """
    k = len(transition)
    system = np.eye(k) - transition.T + 1.0
    try:
        found = np.linalg.solve(system, np.ones(k))
    except np.linalg.LinAlgError:  # a chain that falls into parts: one distribution of many
        found = np.linalg.lstsq(system, np.ones(k), rcond=None)[0]
    found = np.maximum(found, 0.0)
    return found / found.sum()


@cache
def memories(k: int, m: int) -> np.ndarray:
    """The regimes (s_t, ..., s_{t-m+1}) of each memory, the newest first: int64 [k^m, m]."""
    number = np.arange(k**m)[:, None]
    return number // k ** np.arange(m - 1, -1, -1) % k
