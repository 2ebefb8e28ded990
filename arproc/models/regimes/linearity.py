"""A bootstrap of the linear autoregression, for tests of linearity."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from arproc.contract.randomness import Uniforms

if TYPE_CHECKING:
    import torch

    from arproc.models.regimes.setar import Found

__all__ = ["bootstrap"]


def bootstrap(
    search: Callable[[np.ndarray], Found],
    values: np.ndarray,
    offsets: np.ndarray,
    skip: int,
    q: int,
    p: int,
    count: int,
    seed: int | torch.Generator | None,
) -> tuple[float, np.ndarray]:
    """The statistic n (S_1 - S_k) / S_k of the data, and of draws of the linear fit.

    Args:
        search: finds the regimes of values.
        values: the series one after the other.
        offsets: where each begins.
        skip: how many first values of each are given, and kept in every draw.
        q: how many columns the trend has.
        p: how many lags.
        count: how many draws.
        seed: of the draws.

    Returns:
        The statistic, and those of the draws, [count].
    """
    first = search(values)
    shift, scale, unit = first.shift, first.scale, first.unit
    y = (values - shift) / scale
    starts = np.repeat(offsets[:-1], np.diff(offsets))
    times = np.arange(len(y)) - starts
    at = np.flatnonzero(times >= skip)
    trend = np.stack([np.ones(len(y)), times * unit], axis=1)[:, :q]
    regressors = np.hstack([trend[at], y[at[:, None] - np.arange(1, p + 1)]])
    beta = np.linalg.lstsq(regressors, y[at], rcond=None)[0]
    residuals = y[at] - regressors @ beta
    residuals -= residuals.mean() if q else 0.0

    uniforms = Uniforms(seed, "bootstrap").block(np.arange(count), 0, len(at)).numpy()
    noise = residuals[(uniforms * len(at)).astype(int)]
    drawn = np.tile(y, (count, 1))
    level = trend @ beta[:q]
    for j, t in enumerate(at.tolist()):
        drawn[:, t] = level[t] + drawn[:, t - p : t][:, ::-1] @ beta[q:] + noise[:, j]
    found = np.array([_statistic(search(row * scale + shift)) for row in drawn])
    return _statistic(first), found


def _statistic(found: Found) -> float:
    """The sums of squares of one regime and of all, compared."""
    rows = found.rows
    x, y = rows.regressors, rows.target
    alone = float(np.sum((y - x @ np.linalg.lstsq(x, y, rcond=None)[0]) ** 2))
    return len(y) * (alone / found.split.squares - 1)
