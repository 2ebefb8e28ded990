"""What is said of numbers in time: correlations, spectra, transitions, runs, seasons."""

from __future__ import annotations

import numpy as np

from arproc.evaluation.synthetic.pool import Pool
from arproc.evaluation.synthetic.relabelling import Moments
from arproc.evaluation.synthetic.statistics import (
    column,
    columns,
    cuts,
    joined,
    kernels_for,
    shares,
    tallied,
)

__all__ = [
    "autocorrelation",
    "partial_autocorrelation",
    "profile",
    "runs",
    "season_of",
    "seasonal",
    "spectrum",
    "squares",
    "transitions",
]

#: How many lags are looked at, and how many at most for a season.
MOST_LAGS, LONGEST_LAG = 24, 60
#: Into how many parts the range of the numbers is cut for the joint law of neighbours.
_BINS = 5


def lags_of(pool: Pool, most: int = MOST_LAGS) -> int:
    """How many lags the units have enough pairs for."""
    return int(min(most, max(int(np.median(pool.lengths)) // 3, 1)))


def covariances(pool: Pool, j: int, lags: int) -> Moments:
    """Mean products at lags 0 ... lags of a column, about its mean."""
    sums, counts = pool.once(("products", j), lambda: _products(pool, column(pool, j)))
    return Moments([], sums[:, : lags + 1], counts[:, : lags + 1])


def _products(pool: Pool, z: np.ndarray, lags: int = LONGEST_LAG) -> tuple[np.ndarray, np.ndarray]:
    lags = lags_of(pool, lags)
    found: tuple[np.ndarray, np.ndarray] = kernels_for(len(z) * (lags + 1)).lagged(
        np.ascontiguousarray(z), pool.offsets, lags
    )
    return found


def _correlation(pool: Pool, name: str, lags: int, squared: bool = False) -> Moments | str:
    parts, names = [], []
    for j in columns(pool):
        if squared:
            z = column(pool, j) ** 2
            z = z - np.nanmean(z) if np.isfinite(z).any() else z
            parts.append(Moments([], *_products(pool, z, lags)))
        else:
            parts.append(covariances(pool, j, lags))
        names += [f"{name} at lag {lag}{pool.column(j)}" for lag in range(1, lags + 1)]
    if not parts:
        return "there are no numbers"

    def made(means: np.ndarray) -> np.ndarray:
        c = means.reshape(*means.shape[:-1], -1, lags + 1)
        return (c[..., 1:] / c[..., :1]).reshape(*means.shape[:-1], -1)

    whole = joined(parts)
    return Moments(names, whole.sums, whole.counts, made)


def autocorrelation(pool: Pool) -> Moments | str:
    """Correlations of the elements with those before them, about the pool's mean."""
    return _correlation(pool, "autocorrelation", lags_of(pool))


def squares(pool: Pool) -> Moments | str:
    """Autocorrelations of the squares: whether calm and restless times alternate."""
    return _correlation(pool, "autocorrelation of the squares", lags_of(pool, 6), squared=True)


def partial_autocorrelation(pool: Pool) -> Moments | str:
    """Partial autocorrelations, by Levinson's recursion on the autocovariances."""
    lags = lags_of(pool, 12)
    found = _correlation(pool, "partial autocorrelation", lags)
    if isinstance(found, str):
        return found

    def made(means: np.ndarray) -> np.ndarray:
        c = means.reshape(*means.shape[:-1], -1, lags + 1)
        return levinson(c / c[..., :1]).reshape(*means.shape[:-1], -1)

    return Moments(found.names, found.sums, found.counts, made)


def levinson(r: np.ndarray) -> np.ndarray:
    """Partial autocorrelations [..., p] of autocorrelations at lags 0 ... p, [..., p + 1]."""
    lags = r.shape[-1] - 1
    phi = np.zeros((*r.shape[:-1], lags + 1))
    error = np.ones(r.shape[:-1])
    found = np.empty((*r.shape[:-1], lags))
    for k in range(1, lags + 1):
        inner = (phi[..., 1:k] * r[..., k - 1 : 0 : -1]).sum(-1)
        # correlations of unequal numbers of pairs may be those of no process
        kappa = np.clip((r[..., k] - inner) / np.maximum(error, 1e-3), -1.0, 1.0)
        found[..., k - 1] = kappa
        phi[..., 1:k] = phi[..., 1:k] - kappa[..., None] * phi[..., k - 1 : 0 : -1]
        phi[..., k] = kappa
        error = error * (1 - kappa**2)
    return found


def spectrum(pool: Pool) -> Moments | str:
    """Logarithms of the spectral density, smoothed by Parzen's window."""
    lags = lags_of(pool, 2 * MOST_LAGS)
    if lags < 3:
        return "the units are too short"
    frequency = np.arange(1, lags + 1) / (2 * lags)
    ratio = np.arange(lags + 1) / (lags + 1)
    window = np.where(ratio < 0.5, 1 - 6 * ratio**2 * (1 - ratio), 2 * (1 - ratio) ** 3)
    waves = 2 * window * np.cos(2 * np.pi * frequency[:, None] * np.arange(lags + 1))
    waves[:, 0] = 1.0
    parts, names = [], []
    for j in columns(pool)[:8]:
        parts.append(covariances(pool, j, lags))
        names += [f"log spectrum at period {1 / f:.3g}{pool.column(j)}" for f in frequency]
    if not parts:
        return "there are no numbers"

    def made(means: np.ndarray) -> np.ndarray:
        c = means.reshape(*means.shape[:-1], -1, lags + 1)
        density = np.maximum(c @ waves.T, 1e-4 * np.maximum(c[..., :1], 1e-12))
        return np.log(density).reshape(*means.shape[:-1], -1)

    whole = joined(parts)
    return Moments(names, whole.sums, whole.counts, made)


def bins(pool: Pool, j: int) -> np.ndarray:
    """The part of its range that each value of a column lies in, int64 [total]; -1 for NaN."""
    assert pool.values is not None
    x = pool.values[:, j]
    return np.where(np.isfinite(x), np.searchsorted(cuts(x, _BINS), x, side="left"), -1)


def transitions(pool: Pool) -> Moments | str:
    """The joint law of neighbours, of parts of the range with equal shares."""
    assert pool.values is not None
    parts = []
    for j in columns(pool):
        at, code = cuts(pool.values[:, j], _BINS), bins(pool, j)
        edges = ["-inf", *(f"{a:.3g}" for a in at), "inf"]
        fine = pool.follows(1) & (code[1:] >= 0) & (code[:-1] >= 0)
        k = len(at) + 1
        pair = np.where(fine, code[:-1] * k + code[1:], -1)
        names = [
            f"share of steps from ({edges[a]}, {edges[a + 1]}] to ({edges[b]}, {edges[b + 1]}]"
            f"{pool.column(j)}"
            for a in range(k)
            for b in range(k)
        ]
        parts.append(shares(names, tallied(pool, pair, k * k, pool.unit[1:])))
    return joined(parts) if parts else "there are no numbers"


def runs(pool: Pool) -> Moments | str:
    """How long the series stays on one side of the median."""
    assert pool.values is not None
    parts = []
    for j in columns(pool):
        x = pool.values[:, j]
        if np.isfinite(x).any():
            above = np.where(np.isfinite(x), (x > np.nanmedian(x)).astype(np.int8), 2)
            parts.append(
                run_lengths(pool, above, f"of runs on one side of the median{pool.column(j)}")
            )
    return joined(parts) if parts else "there are no numbers"


def run_lengths(pool: Pool, state: np.ndarray, what: str) -> Moments:
    """The distribution of the lengths of runs of one state [total]."""
    change = np.ones(len(state), dtype=bool)
    change[1:] = (state[1:] != state[:-1]) | ~pool.follows(1)
    begins = np.flatnonzero(change)
    length = np.diff(np.append(begins, len(state)))
    unit = pool.unit[begins]
    at = cuts(length.astype(float), 8)
    at = at[at < length.max()] if len(length) else at
    number = np.bincount(unit, minlength=pool.n).astype(float)[:, None]
    names = [f"mean length {what}", *(f"share {what} longer than {a:g}" for a in at)]
    sums = [np.bincount(unit, weights=length, minlength=pool.n)]
    sums += [np.bincount(unit, weights=length > a, minlength=pool.n) for a in at]
    return Moments(names, np.stack(sums, 1).astype(float), number)


def season_of(pool: Pool) -> int:
    """The lag at which the pool's autocorrelation peaks highest above what lies before it.

    0 where no peak rises by a tenth.
    """
    if pool.values is None or not pool.dependent:
        return 0
    lags = lags_of(pool, LONGEST_LAG)
    if lags < 4:
        return 0
    best, height = 0, 0.1
    for j in columns(pool)[:4]:
        c = covariances(pool, j, lags).of(np.arange(pool.n))
        r = c / c[0] if c[0] > 0 else c
        peak = (r[2:-1] > r[1:-2]) & (r[2:-1] >= r[3:])
        rise = np.where(peak, r[2:-1] - np.minimum.accumulate(r[1:-2]), 0.0)
        if rise.max() > height:
            best, height = int(rise.argmax()) + 2, float(rise.max())
    return best


def seasonal(pool: Pool, season: int) -> Moments:
    """The mean at each phase of the season, counted from the sequences' first steps."""
    phase = pool.place % season
    parts = []
    for j in columns(pool)[:8]:
        assert pool.values is not None
        x = pool.values[:, j]
        code = pool.unit * season + phase
        there = np.isfinite(x)
        size = pool.n * season
        sums = np.bincount(code, weights=np.where(there, x, 0.0), minlength=size)
        counts = np.bincount(code, weights=there, minlength=size)
        names = [f"mean at phase {s} of {season}{pool.column(j)}" for s in range(season)]
        parts.append(Moments(names, sums.reshape(-1, season), counts.reshape(-1, season)))
    return joined(parts)


def profile(pool: Pool) -> Moments | str:
    """Means over parts of the sequence, from its beginning to its end."""
    if pool.blocks or not pool.even:
        return "the sequences have no common clock"
    parts = min(int(pool.lengths[0]), 16)
    place = pool.place * parts // int(pool.lengths[0])
    found = []
    for j in columns(pool)[:16]:
        assert pool.values is not None
        x = pool.values[:, j]
        code, there, size = pool.unit * parts + place, np.isfinite(x), pool.n * parts
        sums = np.bincount(code, weights=np.where(there, x, 0.0), minlength=size)
        counts = np.bincount(code, weights=there, minlength=size)
        names = [
            f"mean in part {s + 1} of {parts} of the time{pool.column(j)}" for s in range(parts)
        ]
        found.append(Moments(names, sums.reshape(-1, parts), counts.reshape(-1, parts)))
    return joined(found) if found else "there are no numbers"
