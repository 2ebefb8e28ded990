"""What is said of columns together: how they correlate."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from arproc.evaluation.synthetic.pool import Pool
from arproc.evaluation.synthetic.relabelling import Moments
from arproc.evaluation.synthetic.statistics import columns, kernels_for

__all__ = ["cross_correlation", "indicators"]


def cross_correlation(pool: Pool) -> Moments | str:
    """Correlations between columns and frequent categories; of vectors a step apart too."""
    x, names = indicators(pool)
    width = x.shape[1]
    if width < 2:
        return "there is one column"
    shifts = (0, 1) if pool.dependent else (0,)
    pairs = list(combinations(range(width), 2))
    most = 400 // len(shifts)
    if len(pairs) > most:
        chosen = np.random.default_rng(0).choice(len(pairs), most, replace=False)
        pairs = [pairs[i] for i in sorted(chosen)]
    # the second moments come first: a correlation is made of three of them
    products = [(j, j, 0) for j in range(width)]
    products += [(a, b, 0) for a, b in pairs]
    if pool.dependent:
        products += [ab for a, b in pairs for ab in ((a, b, 1), (b, a, 1))]
    told = [
        f"correlation of {names[a]} and {names[b]}{' a step later' if lag else ''}"
        for a, b, lag in products
    ]
    a, b, lag = np.array(products).T
    sums, counts = kernels_for(len(x) * len(products)).crossed(x, pool.offsets, a, b, lag)
    first = np.array([a for a, _, _ in products[width:]])
    second = np.array([b for _, b, _ in products[width:]])

    def made(means: np.ndarray) -> np.ndarray:
        deviation = np.sqrt(np.maximum(means[..., :width], 1e-12))
        return means[..., width:] / (deviation[..., first] * deviation[..., second])

    return Moments(told[width:], sums, counts, made)


def indicators(pool: Pool) -> tuple[np.ndarray, list[str]]:
    """Columns that are numbers, and the frequent categories of the others as zeros and ones."""
    assert pool.values is not None
    found, names = [], []
    scored = pool.scores if pool.kind == "table" else pool.centred
    for j in columns(pool):
        found.append(scored[:, pool.numeric.index(j)])
        names.append(str(pool.names[j]))
    for j, labels in enumerate(pool.labels):
        if labels is None:
            continue
        codes = pool.values[:, j]
        counts = np.bincount(codes[np.isfinite(codes)].astype(int), minlength=len(labels))
        for k in np.argsort(-counts)[:6][:-1] if len(labels) <= 6 else np.argsort(-counts)[:6]:
            one = np.where(np.isfinite(codes), codes == k, np.nan).astype(float)
            found.append(one - np.nanmean(one))
            names.append(f"{pool.names[j]}={labels[k]}")
    return np.stack(found, 1) if found else np.zeros((len(pool.unit), 0)), names
