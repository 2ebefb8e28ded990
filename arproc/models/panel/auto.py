"""Forecasts of any panel by a combination of processes that is chosen for each series."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch

from arproc.contract.randomness import resolve_seed
from arproc.errors import (
    DataError,
    ParameterError,
    UnsupportedError,
    check_choice,
    check_count,
    check_integer,
    check_list,
    check_number,
)
from arproc.models.panel import combination
from arproc.models.panel.automatic.learnt import Automatic
from arproc.models.panel.automatic.recipe import learn, learn_others
from arproc.models.panel.combination import Combination
from arproc.models.panel.data import LONG, PanelData, read
from arproc.models.panel.fitted import PanelModel
from arproc.models.panel.panel import Panel
from arproc.models.panel.tables import forecast_table
from arproc.process import Process

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["AutoPanel"]


class AutoPanel(PanelModel):
    """Several processes fitted to each series of a panel, their forecasts combined.

    Without `candidates` everything is found: the seasons; whether logarithms are modelled (where
    a series is positive); and for every series the weights of random walks, exponential smoothing
    with and without drift and damped trends, all of which are ARIMA processes of low order, of
    levels and of logarithms, and of shrunken autoregressions where series are long. What the
    candidates said of the last two stretches of every series settles their weights: those of the
    panel first, shrunk towards equal ones, then sharpened by the series' own errors, as much as
    the panel shows to pay. The median is the weighted median of the candidates'. The errors of
    this combination over the panel settle how wide its law is and how heavy its tails. Every
    series gets a forecast; one of a value or two stays where it is.

    With `candidates`, each is fitted without the last `validation` values and forecasts these. Its
    weight in a series is its mean absolute error there to the power -`power`. Then all are fitted
    again, to the whole series. Quantiles are averaged (which keeps an average of normal laws
    normal), and stretched about the median by a factor for each series, which the errors of the
    equally weighted average, that has chosen nothing, calibrate: one factor for the panel, so that
    its 95% intervals hold as much, times how much the series differs from the others, shrunk.

    Args:
        candidates: the processes, such as `seasonal_candidates([24, 168])`; None finds them.
        validation: how many of the last values choose; the horizon of later forecasts is best.
            By default two of the shortest season, or six, and not more than a quarter.
        power: how much errors matter to given candidates: 0 is an equal average.
        period: the length of the season in steps, or of several; None finds them, [] has none.
        log: whether the logarithms of positive series are modelled.
        errors: what becomes of series for which no given candidate has a fit: "raise" names them;
            "keep" leaves nan in their rows and the reason in `status_`.
        columns: what a long table calls its columns of names, times and values.

    Attributes:
        learnt_: what was learnt, an immutable value that `fit` replaces whole.
        names_: what the series are called, [N].
        weights_: of the candidates in each series, [N, K].
        periods_: the seasons' lengths; of an automatic fit.
        status_: "ok", or why no candidate has a fit, [N].
        panels_: the fitted panels of given candidates, [K].

    References:
        Bates, Granger (1969), The combination of forecasts. Lichtendahl, Grushka-Cockayne,
        Winkler (2013), Is it better to average probabilities or quantiles? Petropoulos,
        Svetunkov (2020), A simple combination of univariate models (medians).

    Example:
        >>> x = np.random.default_rng(0).normal(size=(3, 200)).cumsum(axis=1)
        >>> AutoPanel().fit(x).forecast(4).shape
        (12, 4)
        >>> from arproc import AR
        >>> AutoPanel([AR(1), AR(3)], validation=10).fit(x).weights_.shape
        (3, 2)
    """

    learnt_: Combination | Automatic | None
    names_: list[Any]
    weights_: np.ndarray
    periods_: list[int]
    status_: list[str]

    def __init__(
        self,
        candidates: list[Process] | None = None,
        validation: int | None = None,
        power: float = 1.0,
        *,
        period: int | Sequence[int] | None = None,
        log: bool | None = None,
        errors: str = "raise",
        columns: Sequence[str] = LONG,
    ) -> None:
        self.candidates = candidates
        self.validation = validation
        self.power = power
        self.period = period
        self.log = log
        self.errors = errors
        self.columns = columns

    def fit(self, data: Any, y: None = None) -> Self:
        """Weight the candidates by the last values, and fit them to the whole series.

        Args:
            data: a panel, see `Panel`.
            y: not taken (scikit-learn passes it second).

        Raises:
            DataError: a series for which no candidate has a fit, where `errors` is "raise"; one
                without any value, or with infinite ones.
            ParameterError: a parameter has a wrong value, or there is a y.
        """
        if y is not None:
            raise ParameterError("fit takes no y: a panel models the series themselves.")
        count, periods = self._check_parameters()
        table = read(data, columns=self.columns)
        table = replace(table, named=True)  # so that some of the series may be asked for
        if self.candidates is None:
            _require_values(table)
            self.learnt_ = learn(table, count, periods, self.log)
        else:
            assert count is not None
            keep = self.errors == "keep"
            self.learnt_ = combination.learn(self.candidates, table, count, self.power, keep)
        return self

    def _check_parameters(self) -> tuple[int | None, list[int] | None]:
        """Look at the parameters; `validation` and the periods."""
        self.check_kinds()
        check_choice("errors", self.errors, ("raise", "keep"))
        check_number("power", self.power, low=0)
        count = self.validation
        if count is not None:
            count = check_integer("validation", count, minimum=1)
        if self.candidates is None:
            return count, _periods(self.period)
        good = isinstance(self.candidates, (list, tuple)) and len(self.candidates)
        if not good or not all(isinstance(one, Process) for one in self.candidates):
            raise ParameterError(f"candidates must be processes; got {self.candidates!r}.")
        if count is None:
            raise ParameterError(
                "validation is not given; say how many of the last values choose among the "
                "candidates. The horizon of later forecasts is best."
            )
        for name in ("period", "log"):
            if getattr(self, name) is not None:
                raise ParameterError(
                    f"{name} is for AutoPanel() without candidates; given ones say it themselves, "
                    "as seasonal_candidates(periods, log=) does."
                )
        return count, None

    @property
    def panels_(self) -> list[Panel]:
        """The fitted panels of the given candidates, or of the autoregressions, [K]."""
        return [Panel.of(one, process=one.process, errors="keep") for one in self._learnt.fits]

    def summary(self) -> pd.DataFrame:
        """What was chosen for each series, and how much: a row for each.

        Returns:
            A DataFrame with the number of values, whether logarithms are modelled, the seasons'
            lengths that it is long enough for, the candidate of most weight, that weight, and by
            how much its errors are larger than the panel's usual ones.
        """
        import pandas as pd

        learnt = self._learnt
        index = pd.Index(learnt.names, name="series", tupleize_cols=False)
        if isinstance(learnt, Combination):
            columns = [repr(one) for one in self.candidates or ()]
            return pd.DataFrame(learnt.weights, index=index, columns=columns)
        best = learnt.weights.argmax(axis=1)
        known = learnt.weights.any(axis=1)
        names = [
            learnt.candidates[k] if ok else "last value" for k, ok in zip(best, known, strict=True)
        ]
        seasons = [[p for p in learnt.periods if n > 2 * p] for n in learnt.lengths.tolist()]
        return pd.DataFrame(
            {
                "n": learnt.lengths,
                "log": learnt.log,
                "seasons": seasons,
                "most weight": np.where(known, names, "last value"),
                "weight": np.where(known, learnt.weights.max(axis=1), 1.0),
                "own spread": learnt.own,
            },
            index=index,
        )

    # ---- what follows ---------------------------------------------------------------------------

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
            seed: of the simulation, for candidates whose forecasts are simulated.
            offset: at which step each series of the history begins, as for `Panel`; for given
                candidates.

        Returns:
            A DataFrame with a row for each series and step and the columns "mean" and one for
            each quantile; nan for series without a fit, and why in `.attrs["status"]`.
        """
        from arproc.forecasting.forecast import levels_of

        learnt, horizon = self._learnt, check_count("horizon", horizon, minimum=1)
        levels, known = levels_of(quantiles), self._history(history, offset)
        values = learnt.ahead(known, horizon, levels, seed)
        labels = learnt.labels(known, horizon)
        table = forecast_table(list(learnt.names), labels, values, ["mean", *levels])
        named = zip(learnt.names, learnt.status, strict=True)
        if reasons := {name: status for name, status in named if status != "ok"}:
            table.attrs["status"] = reasons
        return table

    def sample_paths(
        self,
        horizon: int,
        n: int = 1,
        seed: int | torch.Generator | None = None,
        *,
        history: Any = None,
    ) -> np.ndarray:
        """Draw whole paths of what follows every series.

        Args:
            horizon: how many steps.
            n: how many paths of each series.
            seed: an int or a `torch.Generator`; a series' paths depend on it and on the series'
                number, and on nothing else.
            history: what is known, as for `forecast`.

        Returns:
            Draws [N, n, horizon].

        Raises:
            UnsupportedError: the candidates are given ones: averaged quantiles say nothing of how
                the steps go together.
        """
        learnt = self._joint("sample_paths")
        horizon = check_count("horizon", horizon, minimum=1)
        n = check_count("n", n, minimum=0)
        return learnt.sample(self._history(history), horizon, n, resolve_seed(seed))

    def log_prob(self, later: Any, *, history: Any = None) -> pd.Series:
        """The log-probability of what came, of all steps together, nats.

        Args:
            later: a panel with the values that followed those of `fit`, of all series or some of
                them, by name; nan is a value that was not observed, and each begins with the
                first that was.
            history: what was known before, as for `forecast`.

        Returns:
            A Series by name.
        """
        import pandas as pd

        learnt = self._joint("log_prob")
        table = replace(read(later, columns=self.columns), named=True)
        place = {name: i for i, name in enumerate(learnt.names)}
        strange = [name for name in table.names if name not in place]
        if strange:
            raise DataError(f"later has the series {strange[0]!r}, which was not fitted.")
        _require_values(table)
        rows = np.array([place[name] for name in table.names])
        known = self._history(history)
        _require_next(learnt, known, table, rows)
        found = learnt.log_prob(known, table, rows)
        return pd.Series(found, index=pd.Index(table.names, name="series", tupleize_cols=False))

    def update(self, data: Any) -> AutoPanel:
        """The same with later values: forecasts go on from their ends, what was learnt stays.

        Args:
            data: a panel with all series from their beginning, or as long as their memory is.
        """
        learnt = self._joint("update")
        known = self._history(data)
        assert known is not None
        _require_values(known)
        parameters = self.get_params(deep=False)
        return type(self).of(learnt.of_data(known), **parameters)

    def others(self, data: Any) -> Self:
        """The same of other series, with what those of `fit` have in common.

        That is the seasons, the panel's weights and how large errors are. A series' forecasts
        depend on it and on these, not on which others there are: a panel in parts gives what it
        gives in one.

        Args:
            data: a panel, see `Panel`.

        Raises:
            UnsupportedError: the candidates are given ones, whose intervals are calibrated on all
                series together.

        Example:
            >>> x = np.random.default_rng(0).normal(size=(4, 80)).cumsum(axis=1)
            >>> model = AutoPanel().fit(x[:3])
            >>> model.others(x[3:]).forecast(2).shape
            (2, 4)
        """
        common = self._joint("others").common
        table = replace(read(data, columns=self.columns), named=True)
        _require_values(table)
        learnt = learn_others(table, self.log, common)
        return type(self).of(learnt, **self.get_params(deep=False))

    def check_parts(self) -> None:
        if self.candidates is not None:
            raise UnsupportedError(
                "the intervals of AutoPanel with given candidates are calibrated on all series "
                "together, so it can not forecast a panel in parts; AutoPanel() can."
            )

    def _joint(self, call: str) -> Automatic:
        learnt = self._learnt
        if not isinstance(learnt, Automatic):
            raise UnsupportedError(
                f"{call} needs AutoPanel() without candidates: the average of the quantiles of "
                "given ones is no joint law. Fit a Panel of one of them."
            )
        return learnt

    def _history(self, history: Any, offset: Any = None) -> PanelData | None:
        if history is None:
            return None
        known = replace(read(history, columns=self.columns).begun(offset), named=True)
        return known.select(_in_order_of(self._learnt.names, known))


def _periods(period: Any) -> list[int] | None:
    if period is None:
        return None
    given = period if isinstance(period, (list, tuple, np.ndarray)) else [period]
    found = {check_integer("period", one, minimum=2) for one in check_list("period", list(given))}
    return sorted(found)


def _require_values(table: PanelData) -> None:
    empty = [name for name, n in zip(table.names, table.lengths.tolist(), strict=True) if not n]
    if empty:
        raise DataError(
            f"{len(empty)} series have no values, the first is {empty[0]!r}; leave them out."
        )
    bad = np.flatnonzero(np.isinf(table.values))
    if len(bad):
        i = int(np.searchsorted(table.offsets, bad[0], side="right") - 1)
        raise DataError(
            f"series {table.names[i]!r} has infinite values; replace them by nan, which is a "
            "missing value."
        )


def _require_next(
    learnt: Automatic, known: PanelData | None, table: PanelData, rows: np.ndarray
) -> None:
    """Where both sides have labels, what came begins at the step after what was known."""
    if not table.indexes:
        return
    labels = learnt.labels(known, 1)
    for j, i in enumerate(rows.tolist()):
        want, index = labels[0 if len(labels) == 1 else i], table.index(j)
        if type(want) is not type(index) or index[0] == want[0]:
            continue
        raise DataError(
            f"later, series {table.names[j]!r}, begins at {index[0]}; expected {want[0]}, the "
            "step after the last that is known."
        )


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
