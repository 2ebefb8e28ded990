"""Symbols drawn from scores in one compiled loop: softmax, cumulation and search."""

from __future__ import annotations

import numpy as np

from arproc.compiled.jit import jit

__all__ = ["choose"]


@jit
def choose(scores: np.ndarray, u: np.ndarray, column: int, out: np.ndarray, slot: int) -> int:
    """Draw a symbol for each row: the first whose cumulated probability exceeds the uniform.

    Args:
        scores: unnormalised log-probabilities [N, K].
        u: uniforms [N, C], of which one column is used.
        column: that column.
        out: int64 [N, S], of which one column is filled.
        slot: that column.

    Returns:
        The largest number drawn; K where a row's scores make no probabilities.
    """
    symbols = scores.shape[1]
    mass = np.empty(symbols)
    largest = 0
    for row in range(scores.shape[0]):
        top = scores[row, 0]
        for j in range(1, symbols):
            if scores[row, j] > top:
                top = scores[row, j]
        total = 0.0
        for j in range(symbols):
            mass[j] = np.exp(np.float64(scores[row, j]) - np.float64(top))
            total += mass[j]
        target, below, drawn = u[row, column] * total, 0.0, symbols
        for j in range(symbols):
            below += mass[j]
            if below > target:
                drawn = j
                break
        out[row, slot] = drawn
        largest = max(largest, drawn)
    return largest
