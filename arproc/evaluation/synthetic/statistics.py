"""What is said of numbers one at a time, as means over units."""

from __future__ import annotations

from typing import Any

import numpy as np

from arproc.evaluation.synthetic.pool import Pool
from arproc.evaluation.synthetic.relabelling import Moments

__all__ = ["extremes", "lengths", "levels", "marginal"]

#: How many columns are looked at one by one.
MOST_COLUMNS = 32


def kernels_for(steps: int) -> Any:
    """The compiled loops, or the same ones interpreted where there is little to do."""
    from arproc.compiled.interpreted import suited
    from arproc.evaluation.synthetic import kernels

    return suited(kernels, steps)


def tallied(
    pool: Pool, code: np.ndarray, symbols: int, unit: np.ndarray | None = None
) -> np.ndarray:
    """How often each symbol 0 ... symbols-1 stands in each unit, [N, symbols]; -1 is left out."""
    unit = pool.unit if unit is None else unit
    kept = code >= 0
    flat = np.bincount(unit[kept] * symbols + code[kept], minlength=pool.n * symbols)
    return flat.reshape(pool.n, symbols).astype(np.float64)


def shares(names: list[str], tally: np.ndarray) -> Moments:
    """The share of each symbol."""
    return Moments(names, tally, tally.sum(1, keepdims=True))


def joined(parts: list[Moments]) -> Moments:
    """Several as one, without a transform."""
    names = [name for part in parts for name in part.names]
    sums = np.concatenate([part.sums for part in parts], axis=1)
    counts = [np.broadcast_to(part.counts, part.sums.shape) for part in parts]
    return Moments(names, sums, np.concatenate(counts, axis=1))


def columns(pool: Pool) -> list[int]:
    """Those of the numeric columns that are looked at one by one, evenly chosen of many."""
    numeric = list(pool.numeric)
    if len(numeric) <= MOST_COLUMNS:
        return numeric
    chosen = np.linspace(0, len(numeric) - 1, MOST_COLUMNS).round().astype(int)
    return [numeric[i] for i in chosen]


def column(pool: Pool, j: int) -> np.ndarray:
    return pool.centred[:, pool.numeric.index(j)]


def cuts(x: np.ndarray, parts: int) -> np.ndarray:
    """Cut points that divide the values into about equal parts; fewer where values tie."""
    there = x[np.isfinite(x)]
    if not len(there):
        return np.zeros(0)
    found = np.quantile(there, np.arange(1, parts) / parts, method="lower")
    return np.unique(found[found < there.max()])


def lengths(pool: Pool) -> Moments | str:
    """The distribution function of the sequences' lengths."""
    if pool.blocks:
        return "the sequences were cut into blocks"
    if pool.even:
        return "all sequences have one length"
    at = cuts(pool.lengths.astype(float), 12)
    below = (pool.lengths[:, None] <= at).astype(float)
    mean = pool.lengths[:, None].astype(float)
    names = ["mean length", *(f"share no longer than {a:g}" for a in at)]
    return Moments(names, np.concatenate([mean, below], 1), np.ones((pool.n, 1)))


def levels(pool: Pool) -> Moments | str:
    """Mean, standard deviation and the share of missing values of each column."""
    assert pool.values is not None
    if not pool.numeric:
        return "there are no numbers"
    names, sums, counts = [], [], []
    for j in columns(pool):
        z, own = column(pool, j), pool.column(j)
        kernels = kernels_for(len(z))
        (first, number), (second, _) = (kernels.summed(y, pool.offsets) for y in (z, z * z))
        names += [f"mean{own}", f"standard deviation{own}", f"share missing{own}"]
        sums += [first, second, pool.lengths - number]
        counts += [number, number, pool.lengths.astype(float)]
    place = np.array([pool.numeric.index(j) for j in columns(pool)])
    x = pool.values[:, list(pool.numeric)][:, place]
    with np.errstate(all="ignore"):
        mean, scale = np.nanmean(x, axis=0), np.nanstd(x, axis=0)
    scale = np.where(scale > 0, scale, 1.0)

    def made(means: np.ndarray) -> np.ndarray:
        parts = means.reshape(*means.shape[:-1], -1, 3)
        deviation = np.sqrt(np.maximum(parts[..., 1] - parts[..., 0] ** 2, 0)) * scale
        found = np.stack([mean + scale * parts[..., 0], deviation, parts[..., 2]], axis=-1)
        return found.reshape(means.shape)

    return Moments(names, np.stack(sums, 1), np.stack(counts, 1), made)


def marginal(pool: Pool) -> Moments | str:
    """Distribution functions of the columns at quantiles of the pool; shares of categories."""
    assert pool.values is not None
    parts = []
    for j in columns(pool):
        x = pool.values[:, j]
        at = cuts(x, 16)
        if not len(at):
            continue
        code = np.where(np.isfinite(x), np.searchsorted(at, x, side="left"), -1)
        tally = tallied(pool, code, len(at) + 1)
        names = [f"share at or below {a:.4g}{pool.column(j)}" for a in at]
        parts.append(Moments(names, tally.cumsum(1)[:, :-1], tally.sum(1, keepdims=True)))
    for j, labels in enumerate(pool.labels):
        if labels is not None:
            code = np.nan_to_num(pool.values[:, j], nan=len(labels)).astype(np.int64)
            tally = tallied(pool, code, len(labels) + 1)
            names = [f"share of {label!r}{pool.column(j)}" for label in labels]
            parts.append(shares([*names, f"share missing{pool.column(j)}"], tally))
    return (
        joined(parts) if parts else Moments(["share"], np.zeros((pool.n, 1)), np.ones((pool.n, 1)))
    )


def extremes(pool: Pool) -> Moments | str:
    """How often the far values come, and how far a unit's largest and smallest ones lie."""
    assert pool.values is not None
    parts = []
    for j in columns(pool):
        x, own = pool.values[:, j], pool.column(j)
        there = np.isfinite(x)
        if not there.any():
            continue
        far = np.quantile(x[there], [0.001, 0.01, 0.99, 0.999])
        names = [f"share below {a:.4g}{own}" for a in far[:2]]
        names += [f"share above {a:.4g}{own}" for a in far[2:]]
        code = np.digitize(x, far[:2], right=False) + np.digitize(x, far[2:], right=True)
        tally = tallied(pool, np.where(there, code, -1), 5)
        low, high = tally.cumsum(1), tally[:, ::-1].cumsum(1)
        beyond = np.stack([low[:, 0], low[:, 1], high[:, 1], high[:, 0]], axis=1)
        parts.append(Moments(names, beyond, low[:, -1:]))
        if pool.dependent:
            parts.append(_most(pool, np.where(there, x, -np.inf), np.maximum, 1, own))
            parts.append(_most(pool, np.where(there, -x, -np.inf), np.maximum, -1, own))
    if not parts:
        return "there are no numbers"
    return joined(parts)


def _most(pool: Pool, x: np.ndarray, most: np.ufunc, sign: int, own: str) -> Moments:
    """The distribution function of the units' largest (or smallest) values."""
    largest = np.full(pool.n, -np.inf)
    some = pool.lengths > 0
    largest[some] = most.reduceat(x, pool.offsets[:-1][some])
    at = np.quantile(largest, [0.1, 0.5, 0.9, 0.98], method="lower")
    word = "largest value above" if sign > 0 else "smallest value below"
    names = [f"share of units with their {word} {sign * a:.4g}{own}" for a in at]
    return Moments(names, (largest[:, None] > at).astype(float), np.ones((pool.n, 1)))
