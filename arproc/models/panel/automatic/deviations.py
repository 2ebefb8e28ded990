"""One deviation of what several candidates say: whom to heed is learnt of the panel's errors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

__all__ = ["Combined", "heeded", "spread_of"]

_LEAST = 0.03  # of the candidates' mean deviation: one that claims less is not that sure
_WILD = 20.0  # an error as many times what was said is no larger
_FEW = 20  # stretches that tell nothing of a panel
_MANY = 4000  # and as many tell everything
_STEPS = 60


class Combined(NamedTuple):
    """How a combination that has not seen a stretch did there, in the scale of each series.

    Attributes:
        gap: its errors, nan where nothing was left out, [N, h].
        deviation: what each candidate said of its own, nan only where it has no weight, [N, K, h].
        weights: of the candidates, [N, K].
    """

    gap: np.ndarray
    deviation: np.ndarray
    weights: np.ndarray

    def standard(self, heed: np.ndarray) -> np.ndarray:
        """The errors in units of what was said, [N, h]."""
        spread = spread_of(self.deviation, self.weights, heed)
        return np.asarray(self.gap / np.where(spread > 0, spread, np.nan))


def spread_of(
    deviation: np.ndarray, weights: np.ndarray, heed: np.ndarray | float = 1.0
) -> np.ndarray:
    """Weighted geometric means of the candidates' deviations, [N, h]; 0 without a weight.

    What candidates say differs by factors, severalfold where seasons are long, and an arithmetic
    mean would be that of the least sure, however little they count.

    Args:
        deviation: [N, K, h]; nan only where the weight is 0.
        weights: [N, K].
        heed: how much a candidate's deviation counts beside its weight, [K].

    Example:
        >>> spread_of(np.array([[[1.0], [4.0]]]), np.array([[0.5, 0.5]]))
        array([[2.]])
    """
    told, known = _logarithms(deviation, weights)
    found = np.exp(np.einsum("nk,nkh->nh", _shares(weights, heed), told))
    return np.where(known, found, 0.0)


def heeded(parts: Sequence[Combined]) -> np.ndarray:
    """How much each candidate's deviation should count beside its weight, [K].

    The most likely under Laplace laws of the errors, whose common size is free, a priori
    log-normal about one with a deviation of one; a stretch of a series counts as one observation,
    as its errors move together. By quasi-Newton steps from equal ones.

    Args:
        parts: some stretches of the series of a panel.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> size = np.exp(rng.normal(size=(400, 2, 3)))  # that of the first is right
        >>> gap = size[:, 0] * rng.normal(size=(400, 3))
        >>> found = heeded([Combined(gap, size, np.full((400, 2), 0.5))])
        >>> bool(found[0] > 10 * found[1])
        True
    """
    from scipy.optimize import minimize

    errors, deviation, weights = _some(parts)
    count = weights.shape[1]
    if len(errors) < _FEW:
        return np.ones(count)
    told, known = _logarithms(deviation, weights)
    known &= np.isfinite(errors)
    sizes, values = np.where(known, np.abs(errors), 0.0), max(int(known.sum()), 1)

    def loss(logs: np.ndarray) -> tuple[float, np.ndarray]:
        shares = _shares(weights, np.exp(logs))
        spread = np.einsum("nk,nkh->nh", shares, told)
        z = sizes * np.exp(-spread)
        tame = z < _WILD
        total = max(float(np.minimum(z, _WILD).sum()), 1e-300)
        found = float((spread * known).sum()) / values + np.log(total / values)
        slope = known / values - np.where(tame, z, 0.0) / total
        inside = np.einsum("nkh,nh->nk", told, slope) - (spread * slope).sum(axis=1)[:, None]
        gradient = (shares * inside).sum(axis=0)
        return found + logs @ logs / (2 * len(sizes)), gradient + logs / len(sizes)

    best = minimize(
        loss, np.zeros(count), jac=True, method="L-BFGS-B", bounds=[(-5.0, 5.0)] * count,
        options={"maxiter": _STEPS},
    )  # fmt: skip
    return np.asarray(np.exp(best.x))


def _some(parts: Sequence[Combined]) -> Combined:
    """Evenly spaced ones of the stretches in which something is known, no more than enough."""
    found = []
    for one in parts:
        rows = np.flatnonzero(np.isfinite(one.gap).any(axis=1))
        rows = rows[:: max(1, -(-len(rows) * len(parts) // _MANY))]
        found.append([array[rows] for array in one])
    every = Combined(*(np.concatenate(arrays) for arrays in zip(*found, strict=True)))
    order = np.lexsort(every.gap.T)  # sums are rounded alike, however the series lie
    return Combined(*(array[order] for array in every))


def _logarithms(deviation: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of the deviations, 0 where a candidate has no weight; where there are any, [N, h]."""
    stated = np.where(weights[:, :, None] > 0, np.nan_to_num(deviation), 0.0)
    least = _LEAST * np.einsum("nk,nkh->nh", weights, stated)[:, None]
    counted = (weights[:, :, None] > 0) & (least > 0)
    return np.log(np.where(counted, np.maximum(stated, least), 1.0)), least[:, 0] > 0


def _shares(weights: np.ndarray, heed: np.ndarray | float) -> np.ndarray:
    found = weights * heed
    return np.asarray(found / np.maximum(found.sum(axis=1, keepdims=True), 1e-300))
