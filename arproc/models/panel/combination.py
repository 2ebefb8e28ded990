"""Forecasts of many series by several processes, weighted for each series by how they did."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import torch

from arproc.contract.checked import Array, sentences
from arproc.contract.storable import storable
from arproc.errors import (
    DataError,
    ParameterError,
    check_integer,
    check_list,
)
from arproc.models.panel.automatic import recipe
from arproc.models.panel.beside import AUTO, Recipe
from arproc.models.panel.calibration import stretches
from arproc.models.panel.coming import InOrder, Known
from arproc.models.panel.data import PanelData, trimmed
from arproc.models.panel.fitted import FittedSeries
from arproc.models.panel.panel import Panel
from arproc.models.panel.updating import Series
from arproc.process import Process

if TYPE_CHECKING:
    pass

__all__ = ["Combination", "learn", "seasonal_candidates"]

_ONE_SIGMA = (0.15865525393145707, 0.5, 0.8413447460685429)


def seasonal_candidates(
    periods: Sequence[int], log: bool = False, ridge: float | str = "marginal"
) -> list[Process]:
    """Autoregressions whose lags follow from the seasons, shrunk, to choose among.

    With the periods 24 and 168: the last two values and those a day and a week ago; whole days
    ago; the same hour yesterday and of the last weeks; and every lag up to a week.

    Args:
        periods: the seasons' lengths in steps, each 2 or more.
        log: whether the logarithms are modelled, for positive series.
        ridge: the strength of the shrinkage, see `AR`.

    Example:
        >>> [candidate.order for candidate in seasonal_candidates([7])]
        [[1, 2, 7, 8], [7, 14, 21], [7, 14], [1, 2, 3, 4, 5, 6, 7]]
    """
    from arproc.models.autoregression.ar import AR
    from arproc.models.transformed.elementwise import Log
    from arproc.models.transformed.process import Transformed

    seasons = sorted(
        {check_integer("periods", one, minimum=2) for one in check_list("periods", periods)}
    )
    if not seasons:
        raise ParameterError("periods is empty; expected the length of at least one season.")
    short, long = seasons[0], seasons[-1]
    near = {1, 2} | {s + i for s in seasons for i in (0, 1)}
    orders = [
        sorted(near),
        [*range(short, long + 1, short), 2 * long, 3 * long],
        [*seasons, 2 * long],
        list(range(1, long + 1)),
    ]
    settings: dict[str, Any] = {"method": "ols", "initial": "given", "ridge": ridge}
    plain = [AR(order, **settings) for order in orders]
    return [Transformed(one, Log()) for one in plain] if log else list(plain)


@storable
@dataclass(frozen=True, eq=False)
class Combination:
    """What an `AutoPanel` has learnt.

    Attributes:
        names: what the series are called, [N].
        weights: of the candidates in each series, [N, K].
        stretch: by how much intervals are wider than the processes say, [N].
        fits: of the candidates to the series, [K]; a `Recipe` for the automatic one.
        status: "ok", or why no candidate has a fit, [N].
    """

    names: Sequence[Any]
    weights: Annotated[np.ndarray, Array("n", "k", low=0, high=1 + 1e-9)]
    stretch: Annotated[np.ndarray, Array("n", low=0, nan=True)]
    fits: Sequence[FittedSeries | Recipe]
    status: Sequence[str]

    def problems(self) -> Iterator[str]:
        """What does not fit together; see `arproc.contract.checked`."""
        n, k = self.weights.shape
        alike = len(self.names) == len(self.status) == n > 0 and len(self.fits) == k
        sums = self.weights.sum(1)  # 0 where no candidate fits
        known = alike and all(list(one.names) == list(self.names) for one in self.fits)
        yield from sentences(
            (not known, f"there are {n} series and {k} candidates, and names or fits of others"),
            (bool(np.isnan(self.stretch[sums != 0]).any()) if alike else False,
             "the stretch of a series that has a fit is nan"),
            (bool((np.abs(sums[sums != 0] - 1) > 1e-6).any()), "weights do not sum to one"),
            (alike and any(self.weights[i, j] > 0 and one.status[i] != "ok"
                           for j, one in enumerate(self.fits) for i in range(n)),
             "a candidate without a fit has a weight"),
        )  # fmt: skip

    def ahead(
        self, history: PanelData | None, horizon: int, levels: Sequence[float], seed: Any,
        future: Known | None = None,
    ) -> np.ndarray:  # fmt: skip
        """Means and quantiles of what follows, nan without a fit: [N, horizon, 1 + levels]."""
        asked, parts = (0.5, *levels), []
        for k, one in enumerate(self.fits):
            if self.weights[:, k].any():
                parts.append((k, _quantiles(one, history, horizon, asked, seed, future)))
        made = np.stack([np.nan_to_num(values) for _, values in parts])
        mixed = _average(made, self.weights[:, [k for k, _ in parts]])
        middle = mixed[..., 1:2]
        mixed[[one != "ok" for one in self.status]] = np.nan
        mixed[..., 2:] = middle + self.stretch[:, None, None] * (mixed[..., 2:] - middle)
        return np.delete(mixed, 1, axis=2)

    @property
    def series(self) -> Series:
        """What the series are called, how long they are, how their labels end."""
        return self.fits[0].series

    def updated(self, later: PanelData) -> Combination:
        """The same with what came later of some series."""
        return replace(self, fits=[one.updated(_seen_by(one, later)) for one in self.fits])

    def labels(self, history: PanelData | None, horizon: int) -> list[Any]:
        """The labels of the steps that follow, one index for each series, or one for all."""
        return self.fits[0].labels(history, np.arange(len(self.names)), horizon)


def learn(
    candidates: Sequence[Process | str],
    table: PanelData,
    count: int,
    power: float,
    keep: bool,
    periods: list[int] | None = None,
    log: bool | None = None,
) -> Combination:
    """Weight the candidates by the last values, and fit them to the whole series.

    Args:
        candidates: the processes; "auto" for the automatic recipe, which alone has the series
            that are too short for a validation.
        table: the panel.
        count: how many of the last values choose.
        power: how much errors matter.
        keep: whether series for which no candidate has a fit stay, with the reason.
        periods: the seasons of the automatic recipe; None where it finds them.
        log: whether it models logarithms; None where it sees to that.
    """
    long = table.lengths > count
    auto = candidates.index(AUTO) if AUTO in candidates else None
    if not long.any() or not (keep or auto is not None):
        _check_lengths(table, count)
    first, later, late = _split(table, count)
    # a forecast goes on from the last known value, which may lie before the last values begin
    shown = np.arange(len(table))[:, None], late[:, None] + np.arange(count)
    came, last = _covariates_after(table, first.lengths), _covariates_after(table, -count)

    def fitted(one: Process | str, data: PanelData) -> FittedSeries | Recipe:
        if isinstance(one, str):
            return Recipe(recipe.learn(data, None, periods, log))
        return _fitted(one, data)

    trials = [fitted(one, first) for one in candidates]
    reach = count + int(late.max())
    made = np.stack(
        [_quantiles(one, first, reach, _ONE_SIGMA, None, came)[shown] for one in trials]
    )
    fits = [fitted(one, table) for one in candidates]
    # only to see whether they explode: covariates of the last steps stand for those to come
    again = np.stack([_quantiles(one, table, count, _ONE_SIGMA, None, last) for one in fits])
    usable = ~np.isnan(made).any(axis=(2, 3)) & ~np.isnan(again).any(axis=(2, 3))
    tame = usable & _tame(made, first) & _tame(again, table)
    usable = np.where(tame.any(axis=0), tame, usable)
    usable &= long
    known = usable.any(axis=0)
    rest = ~known if auto is not None else np.zeros(len(table), np.bool_)
    status = ["ok"] * len(table)
    for i in np.flatnonzero(~known & ~rest).tolist():
        reasons = [one.status[i] for one in (trials[0], fits[0]) if one.status[i] != "ok"]
        status[i] = reasons[0] if reasons else "its forecasts are no numbers."
        if not long[i]:
            status[i] = f"it has {table.lengths[i]} values; {count} are kept for validation."
    lost = ~known & ~rest
    if lost.any() and (not keep or not known.any()):
        i = int(np.flatnonzero(lost)[0])
        raise DataError(
            f"no candidate has a fit for series {table.names[i]!r}, the first because: "
            f"{status[i]} Leave the series out, add a candidate of lower order, or use "
            "errors='keep'."
        )
    weights, stretch = np.zeros(usable.T.shape), np.full(len(table), np.nan)
    good = usable[:, known]
    equal = good.T / good.sum(axis=0)[:, None]
    weights[known] = _weights(made[:, known][..., 1], later[known], good, power)
    stretch[known] = stretches(_average(made[:, known], equal), later[known])
    if auto is not None:
        weights[rest, auto], stretch[rest] = 1.0, 1.0
    bare = [one.without_covariances() for one in fits]
    return Combination(table.names, weights, stretch, bare, status)


def _fitted(process: Process, data: PanelData) -> FittedSeries:
    taken = None if process.context_kind is None else data.covariate_names
    data = _without_covariates(data) if taken is None else data
    fitted = Panel(process, errors="keep", covariates=taken).fit(data).learnt_
    assert fitted is not None
    return fitted


def _without_covariates(data: PanelData) -> PanelData:
    return replace(data, covariates=None, covariate_names=())


def _seen_by(fitted: FittedSeries | Recipe, data: PanelData) -> PanelData:
    """The data with covariates if the candidate takes them."""
    return data if fitted.takes_covariates else _without_covariates(data)


def _covariates_after(table: PanelData, step: Any) -> InOrder | None:
    """The covariates of each series from one of its steps on; None where there are none.

    Args:
        table: the panel.
        step: one for all, or of each; one below 0 counts from the end.
    """
    if table.covariates is None:
        return None
    parts = {}
    steps = np.broadcast_to(step, len(table)).tolist()
    for i, (name, at) in enumerate(zip(table.names, steps, strict=True)):
        own = table.covariates[table.offsets[i] : table.offsets[i + 1]]
        parts[name] = own[at:] if len(own[at:]) else own[-1:]
    return InOrder(parts, table.covariates.shape[1])


def _check_lengths(table: PanelData, count: int) -> None:
    lengths = table.lengths
    if not bool((lengths > count).all()):
        i = int(np.argmin(lengths))
        raise DataError(
            f"series {table.names[i]!r} has {lengths[i]} values; expected more than {count}, which"
            " are kept for validation."
        )


def _split(table: PanelData, count: int) -> tuple[PanelData, np.ndarray, np.ndarray]:
    """Each series without its last `count` values, these [N, count], and what lies between [N].

    Of a series that is too short the first value, and nan. Between lie the values that are missing
    just before the last ones.
    """
    stop = table.offsets[1:]
    long = table.lengths > count
    later = np.full((len(table), count), np.nan)
    later[long] = table.values[stop[long, None] - count + np.arange(count)]
    lengths = np.where(long, table.lengths - count, 1)
    first = trimmed(table.cut(lengths))
    return first, later, lengths - first.lengths


def _tame(made: np.ndarray, table: PanelData) -> np.ndarray:
    """Whether forecasts stay within reach of what a series has ever been, [K, N].

    An estimate with a root outside the unit circle may forecast well, but its variance explodes.
    """
    parts = [table.row(i) for i in range(len(table))]
    low = np.array([np.nanmin(part) for part in parts])
    high = np.array([np.nanmax(part) for part in parts])
    with np.errstate(invalid="ignore"):
        inside = (made.max(axis=(2, 3)) <= high + 2 * (high - low)) & (
            made.min(axis=(2, 3)) >= low - 2 * (high - low)
        )
    return np.asarray(inside)


def _quantiles(
    fitted: FittedSeries | Recipe,
    history: Any,
    horizon: int,
    levels: tuple[float, ...],
    seed: int | torch.Generator | None = None,
    future: Known | None = None,
) -> np.ndarray:
    """Mean and quantiles of a panel's forecasts, nan where a series has no fit.

    Returns:
        [N, horizon, 1 + levels].
    """
    known = np.array([status == "ok" for status in fitted.status])
    found = np.full((len(known), horizon, 1 + len(levels)), np.nan)
    if not known.any():
        return found
    if history is not None:
        history = _seen_by(fitted, history.select(np.flatnonzero(known)))
    after = future if fitted.takes_covariates else None
    made = fitted.forecast(history, horizon, levels, seed, after)
    # the columns are asked for by place, as a level may be asked for twice
    found[known] = made.to_numpy().reshape(int(known.sum()), horizon, -1)
    return found


def _weights(
    median: np.ndarray, actual: np.ndarray, usable: np.ndarray, power: float
) -> np.ndarray:
    """Weights [N, K] from medians [K, N, horizon] and what came [N, horizon]."""
    gap = np.abs(np.where(usable[..., None], median, 0.0) - actual)
    errors = np.where(usable, np.nanmean(gap, axis=2), np.inf)
    least = errors.min(axis=0)
    worst = np.where(usable, errors, 0.0).max(axis=0)
    rounding = 1e-14 * np.abs(np.nanmean(actual, axis=1))  # of series far from 0
    floor = np.maximum(np.maximum(1e-9 * worst, rounding), 1e-300)
    ratio = np.maximum(least, floor) / np.maximum(errors, floor)
    weights = np.where(usable, ratio**power, 0.0).T
    return weights / weights.sum(axis=1, keepdims=True)


def _average(made: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Averages over the candidates: made [K, N, ...] with weights [N, K]."""
    return np.einsum("knhq,nk->nhq", np.nan_to_num(made), weights)
