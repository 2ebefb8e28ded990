"""The compiled loop of mixing: a model's probabilities of n-grams that it need not have."""

from __future__ import annotations

import numpy as np

from arproc.compiled.jit import Int, jit
from arproc.models.ngram.backoff.query_kernels import step


@jit
def add(
    model: tuple,
    parent: np.ndarray,
    symbol: np.ndarray,
    numbers: np.ndarray,
    unknown: Int,
    weight: float,
    mixed: np.ndarray,
) -> None:
    """Add weight * p(w | h) of one model to each n-gram hw.

    Args:
        model: `Trie.arrays`.
        parent: int64 [n], the n-gram h that each continues; it comes before it.
        symbol: int64 [n], the last symbol w.
        numbers: int64 [size], the model's number of each symbol; -1 where it has none, and the
            probability is zero.
        unknown: what such a symbol is in a history.
        weight: of the model.
        mixed: float64 [n], is added to.
    """
    states = np.zeros(len(parent), np.int64)
    for i in range(1, len(parent)):
        w = numbers[symbol[i]]
        log_p, after = step(model, states[parent[i]], w if w >= 0 else unknown)
        states[i] = after
        if w >= 0:
            mixed[i] += weight * np.exp(log_p)
