"""Forecasts of many series by several processes, weighted for each series by how they did."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, Self

import numpy as np
import torch

from arproc.contract.checked import Array, sentences
from arproc.contract.storable import storable
from arproc.errors import (
    DataError,
    ParameterError,
    check_choice,
    check_count,
    check_integer,
    check_list,
    check_number,
)
from arproc.models.panel.calibration import stretches
from arproc.models.panel.data import LONG, PanelData, read
from arproc.models.panel.fitted import FittedSeries, PanelModel
from arproc.models.panel.panel import Panel
from arproc.models.panel.tables import forecast_table
from arproc.process import Process

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["AutoPanel", "seasonal_candidates"]

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
        fits: of the candidates to the series, [K].
        status: "ok", or why no candidate has a fit, [N].
    """

    names: Sequence[Any]
    weights: Annotated[np.ndarray, Array("n", "k", low=0, high=1 + 1e-9)]
    stretch: Annotated[np.ndarray, Array("n", low=0, nan=True)]
    fits: Sequence[FittedSeries]
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


class AutoPanel(PanelModel):
    """Several processes fitted to each series of a panel, their forecasts averaged.

    Each process is fitted to each series without its last values and forecasts these. A process'
    weight in a series is its mean absolute error there to the power -`power`. Then all are
    fitted again, to the whole series. Quantiles are averaged (which keeps an average of normal
    laws normal), and stretched about the median by a factor for each series, which the errors of
    the equally weighted average, that has chosen nothing, calibrate: one factor for the panel, so
    that its 95% intervals hold as much, times how much the series differs from the others, shrunk.

    Args:
        candidates: the processes, such as `seasonal_candidates([24, 168])`.
        validation: how many of the last values choose; the horizon of later forecasts is best.
        power: how much errors matter: 0 is an equal average, large numbers choose the best.
        errors: what becomes of series for which no candidate has a fit: "raise" names them;
            "keep" leaves nan in their rows and the reason in `status_`.
        columns: what a long table calls its columns of names, times and values.

    Attributes:
        learnt_: what was learnt, an immutable value that `fit` replaces whole.
        names_: what the series are called, [N].
        weights_: of the candidates in each series, [N, K].
        stretch_: by how much intervals are wider than the processes say, [N].
        status_: "ok", or why no candidate has a fit, [N].
        panels_: the fitted panels of the candidates [K].

    References:
        Bates, Granger (1969), The combination of forecasts. Lichtendahl, Grushka-Cockayne,
        Winkler (2013), Is it better to average probabilities or quantiles?

    Example:
        >>> from arproc import AR
        >>> x = np.random.default_rng(0).normal(size=(3, 200)).cumsum(axis=1)
        >>> model = AutoPanel([AR(1), AR(3)], validation=10).fit(x)
        >>> model.weights_.shape, model.forecast(4).shape
        ((3, 2), (12, 4))
    """

    learnt_: Combination | None
    names_: list[Any]
    weights_: np.ndarray
    stretch_: np.ndarray
    status_: list[str]

    def __init__(
        self,
        candidates: list[Process],
        validation: int,
        power: float = 1.0,
        *,
        errors: str = "raise",
        columns: Sequence[str] = LONG,
    ) -> None:
        self.candidates = candidates
        self.validation = validation
        self.power = power
        self.errors = errors
        self.columns = columns

    def fit(self, data: Any, y: None = None) -> Self:
        """Weight the candidates by the last values, and fit them to the whole series.

        Args:
            data: a panel, see `Panel`.
            y: not taken (scikit-learn passes it second).

        Raises:
            DataError: a series for which no candidate has a fit, where `errors` is "raise".
            ParameterError: a parameter has a wrong value, or there is a y.
        """
        if y is not None:
            raise ParameterError("fit takes no y: a panel models the series themselves.")
        count = self._check_parameters()
        table = read(data, columns=self.columns)
        table = replace(table, named=True)  # so that some of the series may be asked for
        long = table.lengths > count
        if self.errors == "raise" or not long.any():
            _check_lengths(table, count)
        self.learnt_ = self._combined(table, count, long)
        return self

    def _combined(self, table: PanelData, count: int, long: np.ndarray) -> Combination:
        """What is learnt of a panel, whose series are long enough where `long` says so."""
        first, later = _split(table, count)
        trials = [self._fitted(one, first) for one in self.candidates]
        made = np.stack([_quantiles(trial, first, count, _ONE_SIGMA)[0] for trial in trials])
        fits = [self._fitted(one, table) for one in self.candidates]
        again = np.stack([_quantiles(one, table, count, _ONE_SIGMA)[0] for one in fits])
        usable = ~np.isnan(made).any(axis=(2, 3)) & ~np.isnan(again).any(axis=(2, 3))
        tame = usable & _tame(made, first) & _tame(again, table)
        usable = np.where(tame.any(axis=0), tame, usable)
        usable &= long
        known = usable.any(axis=0)
        status = ["ok"] * len(table)
        for i in np.flatnonzero(~known).tolist():
            reasons = [one.status[i] for one in (trials[0], fits[0]) if one.status[i] != "ok"]
            status[i] = reasons[0] if reasons else "its forecasts are no numbers."
            if not long[i]:
                status[i] = f"it has {table.lengths[i]} values; {count} are kept for validation."
        if not known.all() and (self.errors == "raise" or not known.any()):
            i = int(np.flatnonzero(~known)[0])
            raise DataError(
                f"no candidate has a fit for series {table.names[i]!r}, the first because: "
                f"{status[i]} Leave the series out, add a candidate of lower order, or use "
                "errors='keep'."
            )
        weights, stretch = np.zeros(usable.T.shape), np.full(len(table), np.nan)
        good = usable[:, known]
        equal = good.T / good.sum(axis=0)[:, None]
        weights[known] = _weights(made[:, known][..., 1], later[known], good, self.power)
        stretch[known] = stretches(_average(made[:, known], equal), later[known])
        bare = [one.without_covariances() for one in fits]
        return Combination(table.names, weights, stretch, bare, status)

    @staticmethod
    def _fitted(process: Process, data: PanelData) -> FittedSeries:
        fitted = Panel(process, errors="keep").fit(data).learnt_
        assert fitted is not None
        return fitted

    @property
    def panels_(self) -> list[Panel]:
        """The fitted panels of the candidates [K]."""
        return [Panel.of(one, process=one.process, errors="keep") for one in self._learnt.fits]

    def _check_parameters(self) -> int:
        self.check_kinds()
        good = isinstance(self.candidates, (list, tuple)) and len(self.candidates)
        if not good or not all(isinstance(one, Process) for one in self.candidates):
            raise ParameterError(f"candidates must be processes; got {self.candidates!r}.")
        check_choice("errors", self.errors, ("raise", "keep"))
        check_number("power", self.power, low=0)
        return check_integer("validation", self.validation, minimum=1)

    def forecast(
        self,
        horizon: int,
        quantiles: tuple[float, ...] = (0.05, 0.5, 0.95),
        history: Any = None,
        seed: int | torch.Generator | None = None,
        *,
        offset: Any = None,
    ) -> pd.DataFrame:
        """Forecast the next `horizon` values of every series.

        Args:
            horizon: how many steps.
            quantiles: which quantiles, each in (0, 1).
            history: what is known, a panel with all series; by default the data of `fit`.
            seed: of the simulation, for processes whose forecasts are simulated.
            offset: at which step each series of the history begins, as for `Panel`.

        Returns:
            A DataFrame with a row for each series and step and the columns "mean" and one for
            each quantile; nan for series without a fit, and why in `.attrs["status"]`.
        """
        from arproc.forecasting.forecast import levels_of

        learnt, horizon = self._learnt, check_count("horizon", horizon, minimum=1)
        levels = levels_of(quantiles)
        asked, known = (0.5, *levels), history
        if history is not None:
            known = replace(read(history, columns=self.columns).begun(offset), named=True)
            known = known.select(_in_order_of(learnt.names, known))
        parts = []
        for k, one in enumerate(learnt.fits):
            if learnt.weights[:, k].any():
                parts.append((k, _quantiles(one, known, horizon, asked, seed)[0]))
        rows = np.arange(len(learnt.names))
        labels = learnt.fits[0].labels(known, rows, horizon)
        made = np.stack([np.nan_to_num(values) for _, values in parts])
        mixed = _average(made, learnt.weights[:, [k for k, _ in parts]])
        middle = mixed[..., 1:2]
        mixed[[one != "ok" for one in learnt.status]] = np.nan
        mixed[..., 2:] = middle + learnt.stretch[:, None, None] * (mixed[..., 2:] - middle)
        values = np.delete(mixed, 1, axis=2)
        table = forecast_table(list(learnt.names), labels, values, ["mean", *levels])
        named = zip(learnt.names, learnt.status, strict=True)
        if reasons := {name: status for name, status in named if status != "ok"}:
            table.attrs["status"] = reasons
        return table


def _in_order_of(names: Sequence[Any], history: PanelData) -> np.ndarray:
    """The numbers of the series of a history in the order of the names of `fit`."""
    place = {name: i for i, name in enumerate(history.names)}
    lacking = [name for name in names if name not in place]
    if lacking:
        raise DataError(f"history has no series {lacking[0]!r}; expected all those of fit.")
    strange = [name for name in history.names if name not in set(names)]
    if strange:
        raise DataError(f"history has the series {strange[0]!r}, which was not fitted.")
    return np.array([place[name] for name in names])


def _check_lengths(table: PanelData, count: int) -> None:
    lengths = table.lengths
    if not bool((lengths > count).all()):
        i = int(np.argmin(lengths))
        raise DataError(
            f"series {table.names[i]!r} has {lengths[i]} values; expected more than {count}, which"
            " are kept for validation."
        )


def _split(table: PanelData, count: int) -> tuple[PanelData, np.ndarray]:
    """Each series without its last `count` values, and these, [N, count].

    Of a series that is too short the first value, and nan.
    """
    stop = table.offsets[1:]
    long = table.lengths > count
    later = np.full((len(table), count), np.nan)
    later[long] = table.values[stop[long, None] - count + np.arange(count)]
    rows = [table.series(i)[: -count if long[i] else 1] for i in range(len(table))]
    return read(dict(zip(table.names, rows, strict=True)), "data"), later


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
    fitted: FittedSeries,
    history: Any,
    horizon: int,
    levels: tuple[float, ...],
    seed: int | torch.Generator | None = None,
) -> tuple[np.ndarray, list[Any]]:
    """Mean and quantiles of a panel's forecasts, nan where a series has no fit; and labels.

    Returns:
        [N, horizon, 1 + levels], and the labels of the series' future steps.
    """
    known = np.array([status == "ok" for status in fitted.status])
    found = np.full((len(known), horizon, 1 + len(levels)), np.nan)
    if not known.any():
        return found, []
    if history is not None:
        history = history.select(np.flatnonzero(known))
    made = fitted.forecast(history, horizon, levels, seed)
    # the columns are asked for by place, as a level may be asked for twice
    found[known] = made.to_numpy().reshape(int(known.sum()), horizon, -1)
    steps: Any = made.index.get_level_values(1)
    labels = [steps[a : a + horizon] for a in range(0, len(steps), horizon)]
    return found, labels


def _weights(
    median: np.ndarray, actual: np.ndarray, usable: np.ndarray, power: float
) -> np.ndarray:
    """Weights [N, K] from medians [K, N, horizon] and what came [N, horizon]."""
    gap = np.abs(np.where(usable[..., None], median, 0.0) - actual)
    errors = np.where(usable, np.nanmean(gap, axis=2), np.inf)
    least = errors.min(axis=0)
    floor = np.maximum(1e-9 * np.abs(np.nanmean(actual, axis=1)), 1e-300)
    ratio = np.maximum(least, floor) / np.maximum(errors, floor)
    weights = np.where(usable, ratio**power, 0.0).T
    return weights / weights.sum(axis=1, keepdims=True)


def _average(made: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Averages over the candidates: made [K, N, ...] with weights [N, K]."""
    return np.einsum("knhq,nk->nhq", np.nan_to_num(made), weights)
