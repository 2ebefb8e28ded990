"""How much each candidate counts: learnt of the panel, and sharpened where a series tells."""

from __future__ import annotations

import numpy as np

from arproc.compiled.threads import shares, threaded

__all__ = ["choose", "combine", "errors_of", "of_the_panel", "of_the_series"]

_ROUNDS = 400
_EQUAL, _POWER = 0.8, 0.5  # where the panel does not say otherwise
_CHOICES = [
    (equal, power) for equal in (0.0, 0.4, 0.8, 1.0) for power in (0.0, 0.5, 1.0, 2.0, 4.0)
]
_BETTER = 0.98  # by how much another choice must do better
_BESIDE_NAIVE = 1.5  # errors that are as many times those of the naive forecast are no use


def errors_of(mean: np.ndarray, actual: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Mean absolute errors in units of the series' own size, [N, K]; inf without a forecast.

    Args:
        mean: forecasts [N, K, h], on the users' scale.
        actual: what came, nan where that is not known, [N, h].
        size: what an error is large beside, [N].
    """
    gap = np.abs(mean - actual[:, None, :]) / size[:, None, None]
    seen = ~np.isnan(actual)[:, None, :]
    count = seen.sum(axis=2)
    with np.errstate(invalid="ignore", divide="ignore"):
        found = np.where(seen, gap, 0.0).sum(axis=2) / count
    found[np.broadcast_to(count == 0, found.shape)] = np.nan
    return np.where(np.isnan(mean).any(axis=2), np.inf, found)


def of_the_panel(
    mean: np.ndarray, actual: np.ndarray, size: np.ndarray, allowed: np.ndarray
) -> np.ndarray:
    """Weights [K] of the combination with the least mean absolute error over the panel.

    By exponentiated gradients (Kivinen and Warmuth 1997) from equal weights.

    Args:
        mean: forecasts [N, K, h], on the users' scale.
        actual: what came, nan where that is not known, [N, h].
        size: what an error is large beside, [N].
        allowed: which candidates may have a weight, [K].
    """
    from arproc.compiled.interpreted import suited
    from arproc.models.panel.automatic import weight_kernels

    gap = (mean - actual[:, None, :]) / size[:, None, None]
    usable = ~np.isnan(mean).all(axis=(0, 2)) & allowed
    k = mean.shape[1]
    equal = usable / max(usable.sum(), 1)
    rows = np.moveaxis(gap, 1, 2).reshape(-1, k)[:, usable]
    rows = rows[~np.isnan(rows).any(axis=1)]
    if not rows.size:
        return equal
    rows = np.clip(rows, -50, 50)  # one wild series speaks for itself alone
    columns = np.ascontiguousarray(rows.T)
    kernels = suited(weight_kernels, 0.02 * rows.size * _ROUNDS)
    weights = np.full(len(columns), 1 / len(columns))
    least, best, slope = np.inf, weights, np.empty(len(columns))
    for step in range(_ROUNDS):
        loss = kernels.gradient(columns, weights, slope)
        if loss < least:
            least, best = loss, weights
        slope -= slope @ weights
        top = np.abs(slope).max()
        if not top > 0:
            break
        weights = np.maximum(weights * np.exp(-2 / np.sqrt(step + 1) * slope / top), 1e-12)
        weights = weights / weights.sum()
    found = np.zeros(k)
    found[usable] = best
    return found


def of_the_series(
    panel: np.ndarray,
    errors: np.ndarray,
    naive: int,
    equal: float = _EQUAL,
    power: float = _POWER,
) -> np.ndarray:
    """Weights [N, K]: the panel's, shrunk, times how well a candidate did in the series itself.

    A candidate that did clearly worse than the naive forecast has none there.

    Args:
        panel: the panel's weights [K]; a candidate without one may be used where no other can be.
        errors: of the candidates in each series, [N, K]; inf without a fit, nan if not known.
        naive: which candidate is the naive forecast.
        equal: the share of equal weights in the panel's.
        power: how much the series' own errors matter.
    """
    usable = ~np.isinf(errors)
    known = usable & ~np.isnan(errors)
    some = known.any(axis=1)[:, None]
    shown = np.where(known, errors, np.nan)
    middle = np.nanmedian(np.where(some, shown, 1.0), axis=1, keepdims=True)
    shown = np.where(known, shown, middle)
    floor = 0.1 * middle + 1e-12
    ratio = ((shown.min(axis=1, keepdims=True) + floor) / (shown + floor)) ** power
    good = usable & np.where(some, shown <= _BESIDE_NAIVE * shown[:, [naive]] + 1e-12, True)
    shrunk = (1 - equal) * panel + equal * (panel > 0) / max(int((panel > 0).sum()), 1)
    weights = shrunk * ratio * good
    for instead in (good, usable):
        weights = np.where(weights.sum(axis=1, keepdims=True) > 0, weights, instead)
    total = weights.sum(axis=1, keepdims=True)
    return np.where(total > 0, weights / np.maximum(total, 1e-300), 0.0)


def choose(
    panel: np.ndarray,
    errors: np.ndarray,
    mean: np.ndarray,
    actual: np.ndarray,
    size: np.ndarray,
    naive: int,
) -> tuple[float, float]:
    """The share of equal weights and the power that forecast best what came after the errors.

    Args:
        panel: the panel's weights, learnt of an earlier stretch, [K].
        errors: of the candidates in that stretch, [N, K].
        mean: their forecasts of a later one, on the users' scale, [N, K, h].
        actual: what came, nan where that is not known, [N, h].
        size: what an error is large beside, [N].
        naive: which candidate is the naive forecast.
    """
    choices = [(_EQUAL, _POWER), *_CHOICES]
    weights = [of_the_series(panel, errors, naive, *one) for one in choices]
    made = _medians(mean, np.array(weights))
    found = errors_of(np.moveaxis(made, 0, 1), actual, size)
    losses = [_mean_of(found[:, c]) for c in range(len(choices))]
    best = int(np.argmin(losses[1:])) + 1
    return choices[best] if losses[best] < _BETTER * losses[0] else choices[0]


def _mean_of(errors: np.ndarray) -> float:
    """The mean over the series; one wild series speaks for itself alone."""
    known = np.minimum(errors[np.isfinite(errors)], 50.0)
    return float(known.mean()) if len(known) else 0.0


def combine(made: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weighted medians over the candidates, between their middles linearly: [N, h].

    Args:
        made: [N, K, h]; nan only where the weight is 0.
        weights: [N, K].
    """
    return _medians(made, weights[None])[0]


def _medians(made: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Those of several choices of the weights, [C, N, K]: [C, N, h]."""
    from arproc.compiled.interpreted import suited
    from arproc.models.panel.automatic import weight_kernels

    n, k, horizon = made.shape
    found = np.empty((len(weights), n, horizon))
    work = horizon * k * (k + len(weights))
    kernels = suited(weight_kernels, 0.3 * n * work)
    ends = np.arange(1, n + 1) * work
    threaded(lambda a, b: kernels.medians(made, weights, a, b, found), shares(ends))
    return found
