"""What covariates do to each series of a panel: a regression that knows of seasons and memory.

The coefficients are those of generalised least squares with errors of first order about a season
(Cochrane and Orcutt 1949), shrunk by how much they explain (James and Stein 1961), so that what
explains nothing does nothing. A covariate that never changes in a series has no effect there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from arproc.models.panel.data import PanelData
from arproc.models.panel.fitted import FittedSeries

__all__ = ["Regressed", "effects", "first_of", "following", "without"]

_STILL = 1e-9  # of the largest value: what changes by less does not change
_WILD = 10.0  # times what a series moves: no covariate moves it so much
_COLLINEAR = 1e-8  # of the largest eigenvalue: directions of which nothing can be learnt


class Regressed(NamedTuple):
    """What the candidates with covariates need.

    Attributes:
        beta: the coefficients of each series, in its scale, [N, c].
        base: from which covariates on their effect is counted, [N, c]; see `first_of`.
        after: the covariates of the steps to come, [N, horizon, c].
        fits: of the autoregressions, to the series without what the covariates do.
    """

    beta: np.ndarray
    base: np.ndarray
    after: np.ndarray
    fits: Sequence[FittedSeries]


def first_of(table: PanelData) -> np.ndarray:
    """The covariates of the first step of each series, [N, c].

    Counted from these, effects do not depend on where the zero of a covariate is, and what they
    leave of a series stays near it.
    """
    assert table.covariates is not None
    return table.covariates[table.offsets[:-1]]


def without(table: PanelData, log: np.ndarray, beta: np.ndarray, base: np.ndarray) -> PanelData:
    """The series without what the covariates do, on the users' scale.

    Args:
        table: the panel.
        log: of which series the logarithms are modelled, bool [N].
        beta: see `Regressed`.
        base: see `Regressed`.
    """
    assert table.covariates is not None
    owner = np.repeat(np.arange(len(table)), table.lengths)
    push = ((table.covariates - base[owner]) * beta[owner]).sum(axis=1)
    with np.errstate(over="ignore"):
        rest = np.where(
            log[owner],
            table.values * np.exp(-np.where(log[owner], push, 0.0)),
            table.values - push,
        )
    return replace(table, values=rest)


def following(table: PanelData, left_out: np.ndarray, horizon: int) -> np.ndarray:
    """The covariates of the first `horizon` of the steps that are left out, [N, horizon, c].

    Args:
        table: the panel.
        left_out: how many of the last steps of each are not known, int64 [N]; of the series with
            none the answer is 0.
        horizon: how many of them.
    """
    assert table.covariates is not None
    found = np.zeros((len(table), horizon, table.covariates.shape[1]))
    rows = np.flatnonzero(left_out)
    begin = table.offsets[1:][rows] - left_out[rows]
    found[rows] = table.covariates[begin[:, None] + np.arange(horizon)]
    return found


def effects(known: PanelData, period: int) -> np.ndarray:
    """The coefficients of the covariates of each series, [N, c].

    Args:
        known: the series in their scales, each with one step at least.
        period: the length of a season, which is taken off; 1 for none.

    Example:
        >>> x = np.cos(np.arange(40.0) ** 2)
        >>> y = 2 * x + 0.01 * np.sin(np.arange(40.0))
        >>> one = PanelData(y, np.array([0, 40]), ["a"], True, (), False, covariates=x[:, None])
        >>> effects(one, 1).round(1).tolist()
        [[2.0]]
    """
    assert known.covariates is not None
    rows = np.concatenate([known.values[:, None], known.covariates], axis=1)
    owner, lengths = np.repeat(np.arange(len(known)), known.lengths), known.lengths
    top = np.maximum.reduceat(np.abs(known.covariates), known.offsets[:-1])
    if period > 1:
        seasonal = (lengths > 2 * period)[owner, None]
        rows = np.where(seasonal, rows - _before(rows, known.offsets, period), rows)
    last = _before(rows, known.offsets, 1)
    first = _regression(rows - last, known.offsets, top)
    rest = rows[:, 0] - (rows[:, 1:] * first[owner]).sum(axis=1)
    carry = _memory(rest, known.offsets)
    found = _regression(rows - carry[owner, None] * last, known.offsets, top)
    pushes = (known.covariates * found[owner]).sum(axis=1)
    pushes[np.isnan(known.values)] = np.nan
    wild = ~(_ranges(pushes, known.offsets) <= _WILD * _ranges(known.values, known.offsets))
    found[wild] = 0.0  # as by a value of a covariate unlike all others, where nothing is learnt
    return found


def _ranges(values: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """From the least to the largest known value of each series, [N]."""
    with np.errstate(invalid="ignore"):
        high, low = (f.reduceat(values, offsets[:-1]) for f in (np.fmax, np.fmin))
        return np.asarray(high - low)


def _before(rows: np.ndarray, offsets: np.ndarray, lag: int) -> np.ndarray:
    """The rows so many steps before, nan where a series has none."""
    place = np.arange(len(rows))
    inside = place - np.repeat(offsets[:-1], np.diff(offsets)) >= lag
    return np.where(inside[:, None], rows[np.where(inside, place - lag, place)], np.nan)


def _memory(rest: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """The first autocorrelation of each series, within [0, 1], [N]."""
    starts, owner = offsets[:-1], np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    known = ~np.isnan(rest)
    count = np.maximum(np.add.reduceat(known.astype(float), starts), 1)
    level = np.add.reduceat(np.where(known, rest, 0.0), starts) / count
    centred = np.where(known, rest - level[owner], 0.0)
    before = np.nan_to_num(_before(centred[:, None], offsets, 1)[:, 0])
    squares = np.add.reduceat(centred**2, starts)
    return np.clip(np.add.reduceat(centred * before, starts) / np.maximum(squares, 1e-300), 0, 1)


def _regression(rows: np.ndarray, offsets: np.ndarray, top: np.ndarray) -> np.ndarray:
    """Least squares of the first column on the others about a constant, shrunk, [N, c].

    Args:
        rows: nan where something is not known, [total, 1 + c].
        offsets: where each series begins, int64 [N + 1].
        top: how large the covariates are, [N, c].
    """
    starts, owner = offsets[:-1], np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    seen = ~np.isnan(rows).any(axis=1)
    count = np.add.reduceat(seen.astype(float), starts)
    rows = np.where(seen[:, None], rows, 0.0)
    level = np.add.reduceat(rows, starts) / np.maximum(count, 1)[:, None]
    rows = np.where(seen[:, None], rows - level[owner], 0.0)
    width = rows.shape[1]
    gram = np.empty((len(starts), width, width))
    for i in range(width):
        for j in range(i + 1):
            gram[:, i, j] = gram[:, j, i] = np.add.reduceat(rows[:, i] * rows[:, j], starts)
    size = np.sqrt(np.einsum("nii->ni", gram)[:, 1:])
    moves = size > _STILL * top * np.sqrt(np.maximum(count, 1))[:, None]
    share = np.where(moves, 1 / np.where(moves, size, 1.0), 0.0)
    square = gram[:, 1:, 1:] * share[:, :, None] * share[:, None, :]
    right = gram[:, 1:, 0] * share
    found = (np.linalg.pinv(square, _COLLINEAR, hermitian=True) @ right[..., None])[..., 0]
    explained, rank = (found * right).sum(axis=1), moves.sum(axis=1)
    left = count - 1 - rank
    noise = np.maximum(gram[:, 0, 0] - explained, 0.0) / np.maximum(left, 1)
    kept = np.maximum(1 - rank * noise / np.maximum(explained, 1e-300), 0.0)
    return np.asarray(found * share * np.where(left >= 1, kept, 0.0)[:, None])
