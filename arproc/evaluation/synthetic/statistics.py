"""What is said of numbers: marginals, dynamics, dependence between columns; as means over units."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np

from arproc.evaluation.synthetic.pool import Pool
from arproc.evaluation.synthetic.relabelling import Moments

__all__ = [
    "autocorrelation",
    "cross_correlation",
    "extremes",
    "indicators",
    "lengths",
    "levels",
    "marginal",
    "partial_autocorrelation",
    "profile",
    "runs",
    "season_of",
    "seasonal",
    "spectrum",
    "squares",
    "transitions",
]

#: How many columns of vectors are looked at one by one, and lags.
MOST_COLUMNS, MOST_LAGS, LONGEST_LAG = 32, 24, 60
#: Into how many parts the range of the numbers is cut for the joint law of neighbours.
_BINS = 5


def kernels_for(steps: int) -> Any:
    """The compiled loops, or the same ones interpreted where there is little to do."""
    from arproc.compiled.interpreted import suited
    from arproc.evaluation.synthetic import kernels

    return suited(kernels, steps)


def tallied(pool: Pool, code: np.ndarray, symbols: int, unit: np.ndarray | None = None) -> np.ndarray:
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


def _column(pool: Pool, j: int) -> np.ndarray:
    return pool.centred[:, pool.numeric.index(j)]


def cuts(x: np.ndarray, parts: int) -> np.ndarray:
    """Cut points between values, that divide them into about equal parts; fewer where values tie."""
    there = x[np.isfinite(x)]
    if not len(there):
        return np.zeros(0)
    found = np.quantile(there, np.arange(1, parts) / parts, method="lower")
    return np.unique(found[found < there.max()])


# ---- one at a time --------------------------------------------------------------------------


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


def levels(pool: Pool) -> Moments:
    """Mean, standard deviation and the share of missing values of each column."""
    assert pool.values is not None
    names, sums, counts = [], [], []
    for j in columns(pool):
        z, own = _column(pool, j), pool.column(j)
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


def marginal(pool: Pool) -> Moments:
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
    return joined(parts) if parts else Moments(["share"], np.zeros((pool.n, 1)), np.ones((pool.n, 1)))


def extremes(pool: Pool) -> Moments:
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
        return Moments(["share"], np.zeros((pool.n, 1)), np.ones((pool.n, 1)))
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


# ---- in time --------------------------------------------------------------------------------


def lags_of(pool: Pool, most: int = MOST_LAGS) -> int:
    """How many lags the units have enough pairs for."""
    return int(min(most, max(int(np.median(pool.lengths)) // 3, 1)))


def covariances(pool: Pool, j: int, lags: int) -> Moments:
    """Mean products at lags 0 ... lags of a column, about its mean."""
    sums, counts = pool.once(("products", j), lambda: _products(pool, _column(pool, j)))
    return Moments([], sums[:, : lags + 1], counts[:, : lags + 1])


def _products(
    pool: Pool, z: np.ndarray, lags: int = LONGEST_LAG
) -> tuple[np.ndarray, np.ndarray]:
    lags = lags_of(pool, lags)
    found: tuple[np.ndarray, np.ndarray] = kernels_for(len(z) * (lags + 1)).lagged(
        np.ascontiguousarray(z), pool.offsets, lags
    )
    return found


def _correlation(pool: Pool, name: str, lags: int, squared: bool = False) -> Moments | str:
    parts, names = [], []
    for j in columns(pool):
        if squared:
            z = _column(pool, j) ** 2
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
    """Partial autocorrelations [..., p] of autocorrelations [..., p + 1], the first of which is 1."""
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
    """A column by the part of its range that each value lies in, int64 [total]; -1 where missing."""
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
            parts.append(run_lengths(pool, above, f"of runs on one side of the median{pool.column(j)}"))
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
    """The lag at which the pool's autocorrelation has its highest peak, above 0.2; 0 for none."""
    if pool.values is None or not pool.dependent:
        return 0
    lags = lags_of(pool, LONGEST_LAG)
    if lags < 4:
        return 0
    best, height = 0, 0.2
    for j in columns(pool)[:4]:
        c = covariances(pool, j, lags).of(np.arange(pool.n))
        r = c / c[0] if c[0] > 0 else c
        peak = (r[2:-1] > r[1:-2]) & (r[2:-1] >= r[3:])
        if peak.any():
            at = int(np.where(peak, r[2:-1], -1.0).argmax()) + 2
            best, height = (at, r[at]) if r[at] > height else (best, height)
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
        names = [f"mean in part {s + 1} of {parts} of the time{pool.column(j)}" for s in range(parts)]
        found.append(Moments(names, sums.reshape(-1, parts), counts.reshape(-1, parts)))
    return joined(found) if found else "there are no numbers"


# ---- between columns ------------------------------------------------------------------------


def cross_correlation(pool: Pool) -> Moments | str:
    """Correlations between columns, of vectors at neighbouring steps too; of categories as well."""
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
