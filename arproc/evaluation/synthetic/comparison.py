"""Correlations and spectra of real and synthetic sequences, with what chance alone would show."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from arproc.errors import DataError
from arproc.evaluation.synthetic.dynamics import (
    autocorrelation,
    partial_autocorrelation,
    spectrum,
)
from arproc.evaluation.synthetic.pool import Pool
from arproc.evaluation.synthetic.reading import read_sets
from arproc.evaluation.synthetic.relabelling import Moments
from arproc.evaluation.synthetic.sets import SYNTHETIC, TRAIN

__all__ = ["Correlogram", "correlograms_of"]

_RESAMPLES = 400


class Correlogram(NamedTuple):
    """A statistic by lag or frequency.

    Attributes:
        x: the lags, or the frequencies in cycles a step, [m].
        real: of real data, [m].
        synthetic: of synthetic data, [m].
        low: what as many real units, resampled, are above in 97.5% of cases, [m].
        high: what they are below, [m].
    """

    x: np.ndarray
    real: np.ndarray
    synthetic: np.ndarray
    low: np.ndarray
    high: np.ndarray


def correlograms_of(
    real: Any, synthetic: Any, column: Any = None, kind: str = "auto"
) -> tuple[Correlogram, Correlogram, Correlogram]:
    """Autocorrelations, partial autocorrelations and the log spectrum of one column.

    Args:
        real: as `fidelity` takes its sets.
        synthetic: of the same form.
        column: its name; the first column of numbers by default.
        kind: as for `fidelity`.

    Raises:
        DataError: there is no such column, nothing moves in time, or units are too short.
    """
    pool = read_sets(real, None, synthetic, kind)
    if not pool.dependent or pool.values is None:
        raise DataError(f"real was read as {pool.kind}, which have no time; expected series.")
    pool = _only(pool, column)

    def lags(m: int) -> np.ndarray:
        return np.arange(1, m + 1)

    acf, pacf = (_one(pool, make, lags) for make in (autocorrelation, partial_autocorrelation))
    return acf, pacf, _one(pool, spectrum, lambda m: lags(m) / (2 * m))


def _only(pool: Pool, column: Any) -> Pool:
    """The pool with one column."""
    assert pool.values is not None
    known = {pool.names[j]: j for j in pool.numeric}
    if column is None and known:
        column = next(iter(known))
    if column not in known:
        raise DataError(f"column must be one of {list(known)}; got {column!r}.")
    values = pool.values[:, [known[column]]]
    return replace(pool, values=values, names=(column,), labels=(), kept={})


def _one(
    pool: Pool, make: Callable[[Pool], Moments | str], places: Callable[[int], np.ndarray]
) -> Correlogram:
    moments = make(pool)
    if isinstance(moments, str):
        raise DataError(f"the data can not be drawn: {moments}.")
    units, others = pool.of(TRAIN), pool.of(SYNTHETIC)
    rng = np.random.default_rng(0)
    weights = rng.multinomial(len(others), np.full(len(units), 1 / len(units)), _RESAMPLES)
    with np.errstate(all="ignore"):
        means = (weights @ moments.sums[units]) / (weights @ moments.counts[units])
    low, high = np.nanquantile(moments.made(means), [0.025, 0.975], axis=0)
    x = places(len(low))
    return Correlogram(x, moments.of(units), moments.of(others), low, high)
