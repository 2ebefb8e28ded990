"""The discounts of an n-gram model of unbounded order, by likelihood."""

from __future__ import annotations

import numpy as np

__all__ = ["MOST", "START", "fit_discounts", "spread"]

#: At most so many positions, evenly spread, are looked at.
MOST = 2**16
_BLOCK = 1024  # of so many neighbours each
_WARM_UP = 128  # what comes before them and only makes the context
_ROOM = 2**23  # rows of evidence
START = np.array([0.5, 1.0, 1.5])


def spread(
    begin: np.ndarray, steps: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Parts of sequences that together have about `MOST` positions.

    Args:
        begin: int64 [N], where each sequence begins.
        steps: int64 [N], how long it is.

    Returns:
        Where each part begins, from where its positions count, where it ends, int64 [R]; and
        whether it begins as its sequence does, bool [R].
    """
    total = int(steps.sum())
    if total <= MOST:
        return begin, begin, begin + steps, np.ones(len(begin), bool)
    blocks = MOST // _BLOCK
    parts = []
    for k in range(blocks):
        low = k * (total - _BLOCK) // (blocks - 1)
        rows = slice(*np.searchsorted(begin, [low + 1, low + _BLOCK]).tolist())
        own = np.arange(max(rows.start - 1, 0), rows.stop)
        warm = np.maximum(begin[own], low)
        first = np.maximum(begin[own], warm - _WARM_UP)
        last = np.minimum(begin[own] + steps[own], low + _BLOCK)
        parts.append(np.stack([first, warm, last, first == begin[own]])[:, warm < last])
    first, warm, last, fresh = np.concatenate(parts, axis=1)
    return first, warm, last, fresh.astype(bool)


def fit_discounts(
    model: tuple,
    values: np.ndarray,
    begin: np.ndarray,
    steps: np.ndarray,
    marked: bool,
    left_out: bool,
) -> tuple[np.ndarray, float]:
    """The discounts that give some sequences the greatest likelihood, by L-BFGS.

    The likelihood is multiplied by a Beta(2, 2) density of each D_j / j, which keeps them inside
    0 to j and those that no position asks for at j / 2.

    Args:
        model: the tables of the training text; see `chain_kernels`.
        values: int64, flat symbols, the ends among them.
        begin: int64 [N], where each sequence begins in `values`.
        steps: int64 [N], how long it is.
        marked: whether sequences begin after a mark.
        left_out: whether they are the training text itself, each position of which is left out
            when it is predicted; if not, they are other data.

    Returns:
        float64 [26, 3], and the mean log-probability there, in nats.
    """
    from scipy.optimize import minimize

    from arproc.compiled.interpreted import suited
    from arproc.models.ngram.suffix import fit_kernels
    from arproc.models.ngram.suffix.chain_kernels import ROWS

    first, warm, last, fresh = spread(begin, steps)
    kernels = suited(fit_kernels, 200 * len(values))
    begins, rows = kernels.evidence(
        model, values, first, last, warm, fresh & marked, left_out, _ROOM
    )
    slope = np.zeros((ROWS, 3))
    most = np.arange(1.0, 4.0)
    symbols = model[6]

    def loss(theta: np.ndarray) -> tuple[float, np.ndarray]:
        share = 1.0 / (1.0 + np.exp(-theta.reshape(slope.shape)))
        value = kernels.likelihood(begins, rows, symbols, most * share, slope)
        inner = share * (1.0 - share)
        value += np.log(inner).sum()
        return -value, -(slope * most * inner + 1.0 - 2.0 * share).ravel()

    bounds = [(-12.0, 12.0)] * slope.size  # where nothing is lost to rounding
    found = minimize(loss, np.zeros(slope.size), jac=True, method="L-BFGS-B", bounds=bounds)
    discounts = most / (1.0 + np.exp(-found.x.reshape(slope.shape)))
    mean = kernels.likelihood(begins, rows, symbols, discounts, slope) / max(len(begins) - 1, 1)
    return discounts, mean
