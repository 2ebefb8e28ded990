"""Choosing the orders of an ARIMA process by an information criterion or by its predictions."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import product
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from arproc.contract.sequences import Sequences
from arproc.errors import DataError, ParameterError, check_choice, check_integer
from arproc.gaussian.arma import Orders
from arproc.inference.candidates import Placed, first_parts, later_score
from arproc.inference.criteria import CRITERIA, charges
from arproc.models.statespace.arima import ARIMA
from arproc.models.statespace.design import powers_of
from arproc.models.statespace.differences import differences, seasonal_differences
from arproc.spaces import Real

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ArimaSelection", "select_arima"]

_CLOSE = 1.001  # a root nearer to the unit circle is a unit root (Hyndman and Khandakar 2008)
_ROUNDING = 1e-13  # against the data, what is no change
_MOST = 5  # coefficients of a candidate of the grid
#: What the stepwise search varies: one order, both of a kind, or one for the other.
_STEPS = (
    (0, 0, -1, 0), (0, 0, 1, 0), (0, 0, 0, -1), (0, 0, 0, 1),
    (0, 0, -1, -1), (0, 0, 1, 1), (0, 0, -1, 1), (0, 0, 1, -1),
    (-1, 0, 0, 0), (1, 0, 0, 0), (0, -1, 0, 0), (0, 1, 0, 0),
    (-1, -1, 0, 0), (1, 1, 0, 0), (-1, 1, 0, 0), (1, -1, 0, 0),
)  # fmt: skip


class Candidate(NamedTuple):
    """The orders that a search varies, and the trend."""

    p: int
    q: int
    seasonal_p: int
    seasonal_q: int
    trend: str


class Score(NamedTuple):
    """What a candidate came to.

    Attributes:
        value: of the criterion; infinite for a candidate that is not chosen.
        log_likelihood: nats; nan where it has no fit.
        n_parameters: estimated, the innovation variance included.
        note: why it is not chosen; "" where nothing is against it.
    """

    value: float
    log_likelihood: float
    n_parameters: int
    note: str


@dataclass(frozen=True)
class ArimaSelection:
    """What `select_arima` found.

    Attributes:
        order: the chosen p, d, q.
        seasonal_order: the chosen P, D, Q, s.
        trend: the chosen trend.
        criterion: the criterion that chose it.
        n_observations: how many elements the likelihoods are of.
        table: a row for each candidate that was tried, the best first: its orders and trend, the
            log-likelihood (for "oos" that of the first part), the number of parameters, the
            criterion, and why it can not be chosen, if it can not.
    """

    order: tuple[int, int, int]
    seasonal_order: tuple[int, int, int, int]
    trend: str
    criterion: str
    n_observations: int
    table: pd.DataFrame = field(repr=False)
    _prototype: ARIMA = field(repr=False)
    _data: Any = field(repr=False)
    _context: Any = field(repr=False)

    @cached_property
    def model(self) -> ARIMA:
        """The chosen model, fitted to all of the data when it is first asked for."""
        return self._prototype.fit(self._data, context=self._context)


def select_arima(
    data: Any,
    period: int | None = None,
    criterion: str = "aicc",
    search: str = "stepwise",
    *,
    max_order: tuple[int, int, int] = (5, 2, 5),
    max_seasonal_order: tuple[int, int, int] = (2, 1, 2),
    d: int | None = None,
    seasonal_d: int | None = None,
    trend: str | None = None,
    regressors: str | None = None,
    context: Any = None,
) -> ArimaSelection:
    """The (seasonal) ARIMA process of one series with the smallest criterion.

    The differences come first, by tests, as likelihoods of different differences can not be
    compared: D = 1 where the season's strength is above 0.64 (Wang, Smith and Hyndman 2006), then
    d by repeated tests of KPSS at 5%. (For these alone regressors are taken off by least squares,
    and gaps filled by straight lines.) The other orders, and whether there is a mean (a slope
    where d + D = 1), are those with the smallest criterion: all candidates are fitted by exact
    maximum likelihood to the same elements. Candidates with a root within 1.001 of the unit circle
    are not chosen.

    Args:
        data: one series in any form that `fit` takes, missing values included.
        period: the season's length s; None where there is none.
        criterion: "aic", "aicc", "bic", "hqic"; or "oos": each candidate is fitted to all but the
            last fifth, whose elements it then predicts one step ahead (by the mean log-score).
        search: "stepwise" walks from four simple models to a better neighbour until there is none
            (Hyndman and Khandakar 2008; an AR order may also turn into an MA one, or back); "grid"
            tries all with p + q + P + Q up to 5.
        max_order: the largest p, d, q.
        max_seasonal_order: the largest P, D, Q.
        d: the differences, where you know them.
        seasonal_d: the seasonal differences, where you know them.
        trend: as for `ARIMA`, for all candidates; None lets the criterion choose it.
        regressors: as for `ARIMA`.
        context: the regressors [T, c], as for `fit`.

    Raises:
        ParameterError: an argument out of its range.
        DataError: several series, or no candidate that can be fitted.

    Example:
        >>> x = ARIMA.from_parameters(ar=[0.7]).sample(length=200, seed=1)[0].cumsum()
        >>> found = select_arima(x)
        >>> found.order, found.model.ar_.round(1).tolist()
        ((1, 1, 0), [0.7])
    """
    check_choice("criterion", criterion, (*CRITERIA, "oos"))
    check_choice("search", search, ("stepwise", "grid"))
    s = 0 if period is None else check_integer("period", period, minimum=2)
    most = _most("max_order", max_order)
    seasonal_most = _most("max_seasonal_order", max_seasonal_order) if s else (0, 0, 0)
    sequences = Sequences.of(data, Real(), missing=True)
    if len(sequences) != 1:
        raise DataError(
            f"data must be one series, whose differences are tested; got {len(sequences)} "
            "sequences. Choose the orders of each by itself, or fit ARIMA with orders you know."
        )
    placed = Placed.of(sequences, ARIMA(regressors=regressors), context)
    level = _level(placed)
    if s >= len(level):
        raise ParameterError(
            f"period must be less than the {len(level)} values of the series; got {s}."
        )
    if seasonal_d is None:
        seasonal_d = seasonal_differences(level, s, seasonal_most[1])
    seasonal_d = check_integer("seasonal_d", seasonal_d, minimum=0, maximum=len(level))
    if seasonal_d and not s:
        raise ParameterError(f"seasonal_d={seasonal_d} needs a period; got period=None.")
    if d is None:
        seasonal = Orders(0, 0, 0, 0, seasonal_d, 0, s)
        d = differences(seasonal.difference(level), most[1])
    d = check_integer("d", d, minimum=0, maximum=len(level))
    _require_change(Orders(0, d, 0, 0, seasonal_d, 0, s).difference(level), level)
    trends = _trends(trend, Orders(0, d, 0, 0, seasonal_d, 0, s))
    trial = _Trial(placed, criterion, (d, seasonal_d, s), regressors)
    bounds = (most[0], most[2], seasonal_most[0], seasonal_most[2])
    (_stepwise if search == "stepwise" else _grid)(trial.value, bounds, trends)
    return trial.selection(data, context)


def _most(name: str, value: Any) -> tuple[int, int, int]:
    if not isinstance(value, (tuple, list)) or len(value) != 3:
        form = "(p, d, q)" if name == "max_order" else "(P, D, Q)"
        raise ParameterError(f"{name} must be three whole numbers {form}; got {value!r}.")
    first, second, third = (check_integer(name, part, minimum=0) for part in value)
    return first, second, third


def _level(placed: Placed) -> np.ndarray:
    """The series less its regressors, its gaps filled: for the tests of differences alone."""
    x = placed.sequences.values.detach().double().cpu().numpy().astype(float)
    seen, t = np.isfinite(x), np.arange(len(x))
    if not seen.any():
        raise DataError("data has nothing but missing values; expected some elements.")
    x = np.interp(t, t[seen], x[seen])
    if placed.context is None:
        return x
    columns = placed.context[0, : len(x)].detach().double().cpu().numpy()
    columns = np.column_stack([columns, np.ones(len(x))])
    return x - columns @ np.linalg.lstsq(columns[seen], x[seen], rcond=None)[0]


def _require_change(steps: np.ndarray, level: np.ndarray) -> None:
    """Raise `DataError` for differences that are all the same, which tell no orders."""
    if len(steps) and not np.ptp(steps) > _ROUNDING * np.abs(level).max():
        raise DataError(
            "data is constant, or constant once differenced and freed of its regressors: it has "
            "no innovations from which orders could be told."
        )


def _trends(trend: str | None, orders: Orders) -> tuple[str, ...]:
    """The trends that candidates have; the first is that of the first ones."""
    if trend is not None:
        powers_of(trend, orders)
        return (trend,)
    return {0: ("c", "n"), 1: ("t", "n")}.get(orders.d + orders.seasonal_d, ("n",))


class _Trial:
    """Fits candidates, each once."""

    def __init__(
        self, data: Placed, criterion: str, given: tuple[int, int, int], regressors: str | None
    ) -> None:
        self.data, self.criterion, self.given, self.regressors = data, criterion, given, regressors
        d, seasonal_d, s = given
        lengths = data.sequences.lengths
        kept = torch.from_numpy(first_parts(lengths.numpy(), d + seasonal_d * s))
        self.kept = kept if criterion == "oos" else lengths
        self.part = data.part(0, self.kept)
        self.scores: dict[Candidate, Score] = {}
        self.used = 0

    def model(self, one: Candidate) -> ARIMA:
        d, seasonal_d, s = self.given
        order, seasonal = (one.p, d, one.q), (one.seasonal_p, seasonal_d, one.seasonal_q, s)
        return ARIMA(order, seasonal, one.trend, regressors=self.regressors)

    def value(self, one: Candidate) -> float:
        """The criterion of a candidate; infinite where it can not be chosen."""
        if one not in self.scores:
            self.scores[one] = self._score(one)
        return self.scores[one].value

    def _score(self, one: Candidate) -> Score:
        model = self.model(one)
        with warnings.catch_warnings():  # of standard errors, which nobody reads here
            warnings.simplefilter("ignore", UserWarning)
            try:
                fitted: Any = self.part.fitted(model)
            except DataError as error:
                return Score(math.inf, math.nan, 0, str(error))
        law, likely = fitted.law_, fitted.log_likelihood_
        size, self.used = len(fitted.estimates_), fitted.n_observations_
        if self.criterion == "oos":
            value = -later_score(law, self.data, self.kept, self.data.timed(model))
        else:
            value = float(charges(self.criterion, size, self.used)) - 2 * likely
        if math.isnan(value):
            return Score(math.inf, likely, size, f"{self.criterion} is not defined")
        polynomials = (-law.ar, law.ma, -law.seasonal_ar, law.seasonal_ma)
        if min(map(_nearest_root, polynomials)) < _CLOSE:
            return Score(math.inf, likely, size, "a root is close to the unit circle")
        return Score(value, likely, size, "")

    def selection(self, data: Any, context: Any) -> ArimaSelection:
        import pandas as pd

        best = min(self.scores, key=self.value)
        if not math.isfinite(self.value(best)):
            note = next(iter(self.scores.values())).note
            raise DataError(f"no candidate can be chosen; of the first: {note}")
        d, seasonal_d, _ = self.given
        rows = [
            {"p": one.p, "d": d, "q": one.q, "P": one.seasonal_p, "D": seasonal_d,
             "Q": one.seasonal_q, "trend": one.trend, "log_likelihood": score.log_likelihood,
             "parameters": score.n_parameters, self.criterion: score.value, "note": score.note}
            for one, score in self.scores.items()
        ]  # fmt: skip
        table = pd.DataFrame(rows).sort_values(self.criterion, kind="stable", ignore_index=True)
        model = self.model(best)
        return ArimaSelection(
            model.order, model.seasonal_order, best.trend, self.criterion, self.used, table, model,
            data, context,
        )  # fmt: skip


def _nearest_root(coef: np.ndarray) -> float:
    """The least modulus of a root of 1 + c1 z + c2 z^2 + ..."""
    roots = np.roots(np.r_[coef[::-1], 1.0])
    return float(np.abs(roots).min(initial=math.inf))


def _stepwise(
    value: Callable[[Candidate], float], bounds: tuple[int, ...], trends: tuple[str, ...]
) -> None:
    """Walk to a better neighbour until there is none; what was tried is kept by `value`."""
    first = ((2, 2, 1, 1), (0, 0, 0, 0), (1, 0, 1, 0), (0, 1, 0, 1))
    starts = [_candidate(map(min, orders, bounds), trends[0]) for orders in first]
    starts += [Candidate(0, 0, 0, 0, trend) for trend in trends[1:]]
    best: Candidate | None = min(starts, key=value)
    while best is not None:
        here = best
        better = (one for one in _neighbours(here, bounds, trends) if value(one) < value(here))
        best = next(better, None)


def _neighbours(
    one: Candidate, bounds: tuple[int, ...], trends: tuple[str, ...]
) -> Iterator[Candidate]:
    for step in _STEPS:
        orders = tuple(a + b for a, b in zip(one[:4], step, strict=True))
        if all(0 <= a <= most for a, most in zip(orders, bounds, strict=True)):
            yield _candidate(orders, one.trend)
    for trend in trends:
        if trend != one.trend:
            yield one._replace(trend=trend)


def _grid(
    value: Callable[[Candidate], float], bounds: tuple[int, ...], trends: tuple[str, ...]
) -> None:
    """Try all with no more than `_MOST` coefficients; what was tried is kept by `value`."""
    ranges = [range(min(most, _MOST) + 1) for most in bounds]
    for trend, orders in product(trends, product(*ranges)):
        if sum(orders) <= _MOST:
            value(_candidate(orders, trend))


def _candidate(orders: Iterable[int], trend: str) -> Candidate:
    p, q, seasonal_p, seasonal_q = orders
    return Candidate(p, q, seasonal_p, seasonal_q, trend)
