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
from arproc.models.panel.beside import AUTO
from arproc.models.panel.combination import Combination
from arproc.models.panel.coming import Known
from arproc.models.panel.data import LONG, PanelData, require_values
from arproc.models.panel.fitted import FittedSeries
from arproc.models.panel.held import Held, readable
from arproc.models.panel.holding import PanelModel
from arproc.models.panel.panel import Panel
from arproc.models.panel.updating import by_name
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
    this combination in both stretches over the panel settle whose stated deviations are heeded
    (their weighted geometric mean), how wide its law is and how heavy its tails. Every
    series gets a forecast; one of a value or two stays where it is.

    With `candidates`, each is fitted without the last `validation` values and forecasts these. Its
    weight in a series is its mean absolute error there to the power -`power`. Then all are fitted
    again, to the whole series. Quantiles are averaged (which keeps an average of normal laws
    normal), and stretched about the median by a factor for each series, which the errors of the
    equally weighted average, that has chosen nothing, calibrate: one factor for the panel, so that
    its 95% intervals hold as much, times how much the series differs from the others, shrunk.

    Args:
        candidates: the processes, such as `seasonal_candidates([24, 168])`; None finds them. With
            "auto" among them the automatic recipe is a candidate beside the others.
        validation: how many of the last values choose; the horizon of later forecasts is best.
            By default two of the shortest season, or six, and not more than a quarter.
        power: how much errors matter to given candidates: 0 is an equal average.
        period: the length of the season in steps, or of several; None finds them, [] has none.
        log: whether the logarithms of positive series are modelled.
        errors: what becomes of series that can not be read, or for which no given candidate has
            a fit: "raise" names them; "keep" leaves nan in their rows and the reason in `status_`.
        columns: what a long table calls its columns of names, times and values.
        freq: the step of the times, in pandas' words ("D", "MS") or a number; by default the one
            that they go by.
        covariates: columns of a long table that are known at every step and at those to come
            (`forecast(future=)`), such as ["price", "promo"]. Found candidates are there twice,
            without covariates and with them (what they do is estimated in each series, by a
            regression that knows of the season and of memory, shrunk); given ones take them where
            they have regressors. Whether they help is settled as all weights are: by what was not
            seen. What never changes in a series does nothing there.

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

    learnt_: Held | None
    names_: list[Any]
    weights_: np.ndarray
    periods_: list[int]
    status_: list[str]

    def __init__(
        self,
        candidates: list[Process | str] | None = None,
        validation: int | None = None,
        power: float = 1.0,
        *,
        period: int | Sequence[int] | None = None,
        log: bool | None = None,
        errors: str = "raise",
        columns: Sequence[str] = LONG,
        freq: Any = None,
        covariates: Sequence[str] | None = None,
    ) -> None:
        self.candidates = candidates
        self.validation = validation
        self.power = power
        self.period = period
        self.log = log
        self.errors = errors
        self.columns = columns
        self.freq = freq
        self.covariates = covariates

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
        every = replace(
            self._read(data, fitting=True), named=True
        )  # so that some series may be asked for
        keep = self.errors == "keep"
        table, reasons = readable(every, keep)
        learnt: Combination | Automatic
        if self.candidates is None:
            learnt = learn(table, count, periods, self.log)
        else:
            assert count is not None
            learnt = combination.learn(
                self.candidates, table, count, self.power, keep, periods, self.log
            )
        self.learnt_ = Held(learnt, every.names, reasons, every.form, table.beyond)
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
        listed = list(self.candidates) if isinstance(self.candidates, (list, tuple)) else []
        auto = [one for one in listed if isinstance(one, str) and one == AUTO]
        others = [one for one in listed if isinstance(one, Process)]
        if not listed or len(auto) > 1 or len(auto) + len(others) < len(listed):
            raise ParameterError(
                'candidates must be processes, and "auto", once, for the automatic recipe beside '
                f"them; got {self.candidates!r}."
            )
        self._check_contexts(others, bool(auto))
        if count is None:
            raise ParameterError(
                "validation is not given; say how many of the last values choose among the "
                "candidates. The horizon of later forecasts is best."
            )
        if auto:
            return count, _periods(self.period)
        for name in ("period", "log"):
            if getattr(self, name) is not None:
                raise ParameterError(
                    f"{name} is for AutoPanel() without candidates; given ones say it themselves, "
                    "as seasonal_candidates(periods, log=) does."
                )
        return count, None

    def _check_contexts(self, candidates: Sequence[Process], auto: bool) -> None:
        """Whether the covariates are what some candidate takes."""
        kinds = {one.context_kind: one for one in candidates}
        if "static" in kinds:
            raise ParameterError(
                "a panel takes no context that is constant in a series; "
                f"{kinds['static']!r} needs one."
            )
        if "steps" in kinds and not self._covariates:
            raise ParameterError(
                f"{kinds['steps']!r} takes regressors, and the panel has none; name the columns "
                "of a long table that they are, as covariates=['price']."
            )
        if self._covariates and not auto and "steps" not in kinds:
            raise ParameterError(
                "covariates are given, and no candidate takes them; use processes with "
                "regressors, such as AR(1, regressors='mean'), or \"auto\"."
            )

    @property
    def panels_(self) -> list[Panel]:
        """The fitted panels of the given candidates, or of the autoregressions, [K]."""
        fits = [one for one in self._learnt.inner.fits if isinstance(one, FittedSeries)]
        return [
            Panel.of(
                one, process=one.process, errors="keep", columns=self.columns, freq=self.freq,
                covariates=self.covariates if one.takes_covariates else None,
            )
            for one in fits
        ]  # fmt: skip

    def summary(self) -> pd.DataFrame:
        """What was chosen for each series, and how much: a row for each.

        Returns:
            A DataFrame with the number of values, whether logarithms are modelled, the seasons'
            lengths that it is long enough for, the candidate of most weight, that weight, and by
            how much its errors are larger than the panel's usual ones.
        """
        import pandas as pd

        held = self._learnt
        learnt, every = held.inner, pd.Index(held.names, name="series", tupleize_cols=False)
        if isinstance(learnt, Combination):
            columns = [one if isinstance(one, str) else repr(one) for one in self.candidates or ()]
            return pd.DataFrame(held.weights, every, columns).assign(status=held.status)
        index = pd.Index(learnt.names, name="series", tupleize_cols=False)
        best = learnt.weights.argmax(axis=1)
        known = learnt.weights.any(axis=1)
        names = [
            learnt.candidates[k] if ok else "last value" for k, ok in zip(best, known, strict=True)
        ]
        seasons = [[p for p in learnt.periods if n > 2 * p] for n in learnt.lengths.tolist()]
        table = pd.DataFrame(
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
        return table.reindex(every).assign(status=held.status)

    # ---- what follows ---------------------------------------------------------------------------

    def _ahead(
        self, known: PanelData | None, horizon: int, levels: Sequence[float], seed: Any,
        future: Known | None,
    ) -> pd.DataFrame:  # fmt: skip
        return self._learnt.forecast(known, horizon, levels, seed, future, self.errors == "keep")

    def sample_paths(
        self,
        horizon: int,
        n: int = 1,
        seed: int | torch.Generator | None = None,
        *,
        history: Any = None,
        future: Any = None,
    ) -> np.ndarray:
        """Draw whole paths of what follows every series.

        Args:
            horizon: how many steps.
            n: how many paths of each series.
            seed: an int or a `torch.Generator`; a series' paths depend on it and on the series'
                number, and on nothing else.
            history: what is known, as for `forecast`.
            future: the covariates of the steps to come, as for `forecast`.

        Returns:
            Draws [N, n, horizon].

        Raises:
            UnsupportedError: the candidates are given ones: averaged quantiles say nothing of how
                the steps go together.
        """
        learnt = self._joint("sample_paths")
        horizon = check_count("horizon", horizon, minimum=1)
        n = check_count("n", n, minimum=0)
        known = self._history(history)
        after = self._future(future, known)
        draws = learnt.sample(known, horizon, n, resolve_seed(seed), after)
        return self._learnt.spread(draws, np.nan)

    def paths_of(self, table: PanelData, horizon: int, n: int, seed: int) -> np.ndarray:
        return self.sample_paths(horizon, n, seed, history=table)

    def log_prob(self, later: Any, *, history: Any = None) -> pd.Series:
        """The log-probability of what came, of all steps together, nats.

        Args:
            later: a panel with the values that followed those of `fit`, of all series or some of
                them, by name; nan is a value that was not observed, and each begins with the
                first that was. With their covariates, if there are any.
            history: what was known before, as for `forecast`.

        Returns:
            A Series by name.
        """
        import pandas as pd

        learnt = self._joint("log_prob")
        table = by_name(self._read(later, name="later"), self._learnt.names, "later")
        place = {name: i for i, name in enumerate(learnt.names)}
        strange = [name for name in table.names if name not in place]
        if strange:
            raise DataError(f"later has the series {strange[0]!r}, which was not fitted.")
        require_values(table)
        rows = np.array([place[name] for name in table.names])
        known = self._history(history)
        _require_next(learnt, known, table, rows)
        found = learnt.log_prob(known, table, rows)
        return pd.Series(found, index=pd.Index(table.names, name="series", tupleize_cols=False))

    def update(self, data: Any) -> AutoPanel:
        """The same with values that came later: forecasts go on from there, what was learnt stays.

        Args:
            data: what came, of all series or some of them, as for `Panel.update`.
        """
        held = self._learnt
        later = by_name(self._read(data), held.names, "data")
        require_values(later)
        return self._went_on(later)

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
        every = replace(self._read(data), named=True)
        table, reasons = readable(every, self.errors == "keep")
        held = Held(
            learn_others(table, self.log, common), every.names, reasons, every.form, table.beyond
        )
        return type(self).of(held, **self.get_params(deep=False))

    def check_parts(self) -> None:
        if self.candidates is not None:
            raise UnsupportedError(
                "the intervals of AutoPanel with given candidates are calibrated on all series "
                "together, so it can not forecast a panel in parts; AutoPanel() can."
            )

    def _joint(self, call: str) -> Automatic:
        learnt = self._learnt.inner
        if not isinstance(learnt, Automatic):
            raise UnsupportedError(
                f"{call} needs AutoPanel() without candidates: the average of the quantiles of "
                "given ones is no joint law. Fit a Panel of one of them."
            )
        return learnt

    def _history(self, history: Any, offset: Any = None) -> PanelData | None:
        if history is None:
            return None
        known = by_name(self._read(history, offset, "history"), self._learnt.names, "history")
        found = self._learnt.ordered(known, "history")
        require_values(found)
        return found


def _periods(period: Any) -> list[int] | None:
    if period is None:
        return None
    several = isinstance(period, (list, tuple)) or np.ndim(period) == 1
    given = period if several else [period]
    found = {check_integer("period", one, minimum=2) for one in check_list("period", list(given))}
    return sorted(found)


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
