"""The origins of a backtest one after the other: fit where it is time, forecast, keep that."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch

from arproc.contract.randomness import derived_seed
from arproc.errors import DataError, TrainingError
from arproc.evaluation.backtests.forecaster import Asked, Forecaster
from arproc.evaluation.backtests.plan import Plan
from arproc.evaluation.backtests.store import Store
from arproc.evaluation.backtests.timeline import Timeline
from arproc.forecasting.scored import Predicted

__all__ = ["Made", "Work", "label_of"]


class Made(NamedTuple):
    """What was forecast at an origin.

    Attributes:
        k: its number.
        rows: the series, [n].
        predicted: their forecasts.
    """

    k: int
    rows: np.ndarray
    predicted: Predicted


@dataclass
class Work:
    """A backtest as it is done, by one process or by several.

    Attributes:
        one: the model.
        series: the data.
        plan: which origins there are.
        levels: which quantiles.
        seed: of simulations.
        finished: the series and origins of an earlier result, which are left out.
        store: where what is made is kept, so that it is not made again.
        fitted: at which origin the law in use was fitted; None before there is one.
    """

    one: Forecaster
    series: Timeline
    plan: Plan
    levels: list[float]
    seed: int
    finished: set[Any]
    store: Store | None
    fitted: int | None = None

    def open(self) -> list[int]:
        """The numbers of the origins that are not finished."""
        numbers = range(len(self.plan.origins))
        return [k for k in numbers if not self._is_finished(k)]

    def _is_finished(self, k: int) -> bool:
        rows, origin = self.plan.scored(self.series, k), int(self.plan.origins[k])
        if not len(rows):
            return True
        if not self.finished:
            return False
        labels = self.series.labels(rows, np.full(len(rows), origin - 1))
        names = [self.series.names[i] for i in rows.tolist()]
        return all(pair in self.finished for pair in zip(names, labels, strict=True))

    def parts(self, numbers: Iterable[int], count: int) -> list[list[int]]:
        """The origins in parts that do not need one another: those of one fit go together.

        Args:
            numbers: of the origins.
            count: how many parts there should be, where one fit is for all.
        """
        groups: dict[Any, list[int]] = {}
        for k in numbers:
            at = self.plan.fits_at(k)
            alone = at is None or at == self.fitted
            groups.setdefault((alone, k % count if alone else at), []).append(k)
        return list(groups.values())

    def fit(self, k: int) -> None:
        """Fit the law of origin k, unless it is there."""
        at = self.plan.fits_at(k)
        if at is None or at == self.fitted:
            return
        with self._named(k):
            origin = int(self.plan.origins[at])
            self.one.fit(self.plan.ready(self.series, at), self.plan.first(k), origin)
        self.fitted = at

    def do(self, numbers: Iterable[int]) -> Iterator[Made]:
        """Forecast from these origins; nothing for those of which no series is known."""
        for k in numbers:
            found = None if self.store is None else self.store.read(k)
            if found is None:
                found = self._forecast(k)
                if self.store is not None:
                    self.store.write(k, *found)
            if len(found[0]):
                yield Made(k, *found)

    def _forecast(self, k: int) -> tuple[np.ndarray, Predicted]:
        self.fit(k)
        rows, origin = self.plan.scored(self.series, k), int(self.plan.origins[k])
        with self._named(k), torch.no_grad():
            rows = self.one.known(rows)
            if not len(rows):
                none = np.zeros((0, self.plan.horizon))
                return rows, Predicted(none, none[..., None], none)
            actual = self.series.outcomes(rows, origin, self.plan.horizon)
            seed = derived_seed(self.seed, origin)
            first = self.plan.first(k)
            asked = Asked(rows, first, origin, actual, self.levels, seed)
            return rows, self.one.predict(asked)

    def _named(self, k: int) -> _Named:
        return _Named(self.series, self.plan.scored(self.series, k), int(self.plan.origins[k]))


class _Named:
    """Says at which origin an error came."""

    def __init__(self, series: Timeline, rows: np.ndarray, origin: int) -> None:
        self.series, self.rows, self.origin = series, rows, origin

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, (DataError, TrainingError)):
            label = label_of(self.series, self.rows, self.origin)
            raise type(error)(f"at origin {label}: {error}") from error


def label_of(series: Timeline, rows: np.ndarray, origin: int) -> Any:
    """What the last step before an origin is called."""
    there = rows[(series.begins[rows] < origin) & (series.ends[rows] >= origin)]
    return origin - 1 if not len(there) else series.labels(there[:1], np.array([origin - 1]))[0]
