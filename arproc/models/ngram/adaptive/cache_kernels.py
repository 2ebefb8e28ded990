"""Compiled loops of the cache: decayed counts of the symbols so far, and what they predict.

`model` is the tuple (base probabilities float64 [V], alpha, decay, window or 0, end symbol or -1).
Weights are kept divided by the newest symbol's, `unit`, so that a step touches two of them.
"""

from __future__ import annotations

import numpy as np

from arproc.compiled.arrays import put
from arproc.compiled.jit import Int, jit
from arproc.models.ngram.backoff.draw_kernels import invert

#: Weights are divided by their unit when it exceeds this.
_LARGE = 1e100


@jit
def total(model: tuple, known: Int) -> float:
    """The sum of the weights after so many symbols."""
    decay, window = model[2], model[3]
    m = min(known, window) if window > 0 else known
    return float(m) if decay == 1.0 else (1.0 - decay**m) / (1.0 - decay)


@jit
def probability(model: tuple, weight: float, n: float, w: Int) -> float:
    """The probability of symbol w with this weight, where all weights together are n."""
    base, alpha, end = model[0], model[1], model[4]
    if w == end:
        return base[end]
    stay = 1.0 - base[end] if end >= 0 else 1.0
    return (weight * stay + alpha * base[w]) / (n + alpha)


@jit
def absorb(
    model: tuple, weights: np.ndarray, unit: float, values: np.ndarray, at: Int, known: Int
) -> float:
    """Take in the symbol values[at], and let go what leaves the window; gives the new unit."""
    decay, window = model[2], model[3]
    unit /= decay
    if unit > _LARGE:
        for w in range(len(weights)):
            weights[w] /= unit
        unit = 1.0
    weights[values[at]] += unit
    if window > 0 and known >= window:
        gone = values[at - window]
        weights[gone] = max(weights[gone] - unit * decay**window, 0.0)
    return unit


@jit
def fill(model: tuple, weights: np.ndarray, unit: float, known: Int, out: np.ndarray) -> None:
    """Probabilities of every next symbol, out [V]."""
    n = total(model, known)
    for w in range(len(out)):
        out[w] = probability(model, weights[w] / unit, n, w)


@jit
def terms(
    model: tuple, values: np.ndarray, begin: np.ndarray, steps: np.ndarray, out: np.ndarray
) -> None:
    """The chain rule's terms of sequences that each begin with nothing in the cache.

    Args:
        model: see above.
        values: int64, flat symbols, the ends among them.
        begin: int64 [N], where each begins in `values` and `out`.
        steps: int64 [N], how long it is.
        out: float64 [total], gets the terms.
    """
    weights = np.zeros(len(model[0]))
    for i in range(len(begin)):
        unit = 1.0
        for k in range(steps[i]):
            at = begin[i] + k
            w = values[at]
            out[at] = np.log(probability(model, weights[w] / unit, total(model, k), w))
            unit = absorb(model, weights, unit, values, at, k)
        for k in range(steps[i]):
            weights[values[begin[i] + k]] = 0.0


@jit
def run(
    model: tuple,
    weights: np.ndarray,
    values: np.ndarray,
    begin: np.ndarray,
    steps: np.ndarray,
    known: np.ndarray,
    uniforms: np.ndarray,
    table: np.ndarray,
) -> None:
    """Take rows some symbols further, given or drawn.

    Args:
        model: see above.
        weights: float64 [N, V], taken further in place; their unit is 1.
        values: int64, flat symbols; draws are written into it.
        begin: int64 [N], where each row's next symbol stands in `values`; those of its window
            stand before it.
        steps: int64 [N], how many symbols are taken.
        known: int64 [N], how many symbols came before.
        uniforms: float64 [N, K] to draw from, or [0, 0].
        table: float64 [N, K + 1, V], gets the probabilities before each symbol and after the
            last; or [0, 0, 0].
    """
    row = np.empty(weights.shape[1])
    drawing, telling = len(uniforms) > 0, len(table) > 0
    for i in range(len(weights)):
        unit = 1.0
        for k in range(steps[i]):
            at, before = begin[i] + k, known[i] + k
            if telling or drawing:
                fill(model, weights[i], unit, before, row)
            if telling:
                put(row, table[i, k])
            if drawing:
                values[at] = invert(row, uniforms[i, k])
            unit = absorb(model, weights[i], unit, values, at, before)
        if telling:
            fill(model, weights[i], unit, known[i] + steps[i], row)
            put(row, table[i, steps[i]])
        for w in range(len(row)):
            weights[i, w] /= unit
