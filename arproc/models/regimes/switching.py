"""MarkovSwitchingAR: an autoregression whose parameters follow a hidden Markov chain."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

import numpy as np
import torch

from arproc.contract.checked import Number
from arproc.contract.sequences import Sequences
from arproc.data.table_forms import in_kind
from arproc.errors import (
    DataError,
    NotEstimatedError,
    ParameterError,
    check_array,
    check_choice,
    check_flag,
    check_integer,
    check_number,
    check_numbers,
)
from arproc.forecasting.tables import of_elements
from arproc.inference.estimated import Estimated
from arproc.models.regimes.chain import longest_gap, stationary
from arproc.models.regimes.switching_law import MarkovSwitchingARLaw, arrays
from arproc.process import Fit, Process
from arproc.spaces import Real, Space

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["MarkovSwitchingAR"]

_TRENDS = {"n": 0, "c": 1, "ct": 2}
_METHODS = {
    "mle": "maximum likelihood, given the first values",
    "em": "EM, given the first values",
}
_MOST = 4096  # joint states


class MarkovSwitchingAR(Estimated, Process):
    r"""Autoregression with regimes that follow a hidden Markov chain (Hamilton 1989).

    With the regime :math:`s_t` and its level :math:`m_s(t) = \text{mean}_s + \text{slope}_s t`,
    `form="mean"` is

    .. math::
        x_t - m_{s_t}(t) = \sum_{i=1}^p \phi_{i, s_t} (x_{t-i} - m_{s_{t-i}}(t - i)) + \epsilon_t,
        \quad \epsilon_t \sim N(0, \sigma^2_{s_t}),

    the form of Hamilton and of statsmodels' `MarkovAutoregression`, in which a change of regime
    moves the level at once; `form="intercept"` is

    .. math::
        x_t = \text{intercept}_{s_t} + \text{drift}_{s_t} t + \sum_{i=1}^p \phi_{i, s_t} x_{t-i}
        + \epsilon_t,

    in which the level moves to its new place by and by. The next element's law is a finite mixture
    of normal distributions, weighted by what the elements so far say of the regimes: that is the
    state. Forecasts are exact mixtures over all paths of regimes as long as these are no more than
    2,048 (two regimes of order 1: ten steps), and simulated beyond.

    The first `order` values of a sequence are given (`n_given`): regimes that switch have no
    stationary law in closed form. The chain starts from its own stationary distribution.

    NaN is a value that was not observed (after the given ones), and likelihoods, fits, forecasts
    and regimes are exactly those of what was: the sum over all paths of regimes since before a
    gap, given which missing lags are normal. A gap ends with `order` observed values in a row, and
    may have 2,048 paths: with two regimes, ten missing values in a row at order 1 and eight at
    order 2. Longer ones are refused. `impute` tells what was missing.

    Args:
        order: how many past elements the next one depends on, 0 or more.
        regimes: how many regimes, 2 or more.
        trend: "n" (none), "c" (a constant) or "ct" (a line, t counted from 0 at a sequence's first
            element).
        switching_ar: whether each regime has coefficients of its own.
        switching_trend: whether each has a trend of its own.
        switching_variance: whether each has an innovation variance of its own.
        form: "mean" or "intercept".
        method: "mle" (EM from several starts, the best finished by a quasi-Newton method with the
            analytic score) or "em" (EM to the end, which is slow near the maximum).
        n_starts: from how many places the search begins; the likelihood has several maxima.
        min_variance: the least variance a regime may have, relative to the innovation variance
            without regimes. With `switching_variance` the likelihood has no maximum otherwise: a
            regime that explains a few elements exactly makes it infinite.
        tolerance: EM stops when a step gains less than this, in nats.
        seed: of the starts.

    The regimes are numbered by mean or intercept; where they share it (or have none), by variance;
    where they share that too, by their coefficients.

    Attributes:
        transition_: p(to | from), rows sum to one, float64 [k, k].
        mean_: the regimes' levels at t = 0, [k]; only where `form` is "mean".
        slope_: their slopes, [k]; likewise.
        intercept_: the recursions' constants, [k]; only where `form` is "intercept".
        drift_: their coefficients of t, [k]; likewise.
        coef_: coefficients, lag 1 first, [k, p].
        sigma2_: innovation variances, [k].
        names_: the estimated parameters' names ("p[0->0]" ...), in statsmodels' order.
        covariance_: their covariance, the inverse observed information; nan for those that stand
            at a bound (a transition that never happens).
        log_likelihood_: `log_prob` of the data of `fit`, nats.
        converged_: whether the search stopped by itself.

    Example:
        >>> noise = np.random.default_rng(0).normal(size=300)
        >>> x = noise + np.where(np.arange(300) // 50 % 2, 4.0, 0.0)
        >>> model = MarkovSwitchingAR(1, switching_ar=False).fit(x)
        >>> model.mean_.round(1).tolist()
        [0.0, 3.9]
        >>> model.smoothed(x).shape, model.conditional(x[:10]).batch_shape
        ((299, 2), torch.Size([]))
    """

    law_: MarkovSwitchingARLaw
    transition_: np.ndarray
    coef_: np.ndarray
    sigma2_: np.ndarray
    converged_: bool
    _n_iterations_: Annotated[int, Number(low=0)]
    _trend_: Literal["n", "c", "ct"]
    _method_: Literal["mle", "em"]

    no_missing = (
        "MarkovSwitchingAR takes none with so many regimes and lags: what follows a missing value "
        "depends on the path of regimes since before it, and there are too many. Pass the pieces "
        "between the gaps as a list, or use fewer regimes or lags."
    )

    def __init__(
        self,
        order: int,
        regimes: int = 2,
        trend: str = "c",
        switching_ar: bool = True,
        switching_trend: bool = True,
        switching_variance: bool = False,
        form: str = "mean",
        method: str = "mle",
        n_starts: int = 12,
        min_variance: float = 1e-3,
        tolerance: float = 1e-9,
        seed: int = 0,
    ) -> None:
        self.order = order
        self.regimes = regimes
        self.trend = trend
        self.switching_ar = switching_ar
        self.switching_trend = switching_trend
        self.switching_variance = switching_variance
        self.form = form
        self.method = method
        self.n_starts = n_starts
        self.min_variance = min_variance
        self.tolerance = tolerance
        self.seed = seed

    @classmethod
    def from_parameters(
        cls,
        transition: Any,
        coef: Any,
        mean: Any = None,
        sigma2: Any = 1.0,
        slope: Any = None,
        *,
        intercept: Any = None,
        drift: Any = None,
    ) -> Self:
        """The process with known parameters, which needs no fit.

        Args:
            transition: p(to | from), rows sum to one, [k, k].
            coef: coefficients, lag 1 first, [k, p] (or [p], the same in all regimes).
            mean: the regimes' levels at t = 0, [k] or one for all.
            sigma2: innovation variances, [k] or one for all.
            slope: slopes of the levels per step, [k] or one for all.
            intercept: the recursions' constants, [k] or one for all; with it, or with `drift`, the
                form is "intercept", else "mean".
            drift: the recursions' coefficients of t, [k] or one for all.

        Example:
            >>> chain = [[0.9, 0.1], [0.2, 0.8]]
            >>> model = MarkovSwitchingAR.from_parameters(chain, [0.5], mean=[0.0, 5.0])
            >>> model.sample(2, length=3, prefix=[0.0], seed=1).shape
            (2, 3)
        """
        chain = check_array("transition", transition)
        k = len(chain) if chain.ndim else 0
        if chain.shape != (k, k) or k < 1 or not np.allclose(chain.sum(axis=1), 1):
            raise ParameterError(
                f"transition must be [k, k] with rows that sum to one; got {transition!r}."
            )
        if not (chain >= 0).all():
            raise ParameterError(f"transition must hold probabilities; got {transition!r}.")
        weights = check_array("coef", coef)
        weights = np.tile(weights, (k, 1)) if weights.ndim == 1 else weights
        if weights.ndim != 2 or len(weights) != k or not np.isfinite(weights).all():
            raise ParameterError(f"coef must be [{k}, p] or [p] finite numbers; got {coef!r}.")
        centred = intercept is None and drift is None
        if not centred and not (mean is None and slope is None):
            raise ParameterError(
                "the trend is given as mean and slope, or as intercept and drift; got both."
            )
        names = ("mean", "slope") if centred else ("intercept", "drift")
        line = (mean, slope) if centred else (intercept, drift)
        columns = [
            check_numbers(name, 0.0 if value is None else value, regimes=k)
            for name, value in zip(names, line, strict=True)
        ]
        trend = np.stack(columns, axis=1)
        variances = check_numbers("sigma2", sigma2, regimes=k)
        if not (variances > 0).all():
            raise ParameterError(f"sigma2 must be positive; got {sigma2!r}.")
        return cls.of(
            MarkovSwitchingARLaw(chain, trend, weights, variances, centred),
            order=weights.shape[1],
            regimes=k,
            trend="ct" if trend[:, 1].any() else "c",
            switching_variance=True,
            form="mean" if centred else "intercept",
        )

    # ---- fitting --------------------------------------------------------------------------------

    @property
    def takes_missing(self) -> bool:  # type: ignore[override]
        """Whether `fit` takes NaN for what was not observed: exactly, where any gap can be."""
        order, k = self.order, self.regimes
        if not (isinstance(order, int) and isinstance(k, int) and order >= 0 and k >= 1):
            return True  # `fit` refuses these
        memory = max(order, 1) if self.form == "mean" else 1
        return order == 0 or longest_gap(k, k**memory, order) > 0

    @property
    def _counts_from_zero(self) -> bool:
        return self.trend == "ct"

    def _infer_space(self, data: Any) -> Space:
        return Real()

    def _fit(
        self, sequences: Sequences, *, validation: Sequences | None, context: torch.Tensor | None
    ) -> tuple[MarkovSwitchingARLaw, Fit]:
        from arproc.models.regimes.switching_fit import Design, fit

        self._check_parameters()
        sequences.require_length(self.order + 1)
        design = Design.of(
            sequences.values.detach().cpu().numpy().astype(np.float64),
            sequences.offsets.numpy(),
            self.regimes,
            self.order,
            _TRENDS[self.trend],
            self.form == "mean",
            (bool(self.switching_trend), bool(self.switching_ar), bool(self.switching_variance)),
            float(self.min_variance),
        )
        if design.n_terms <= len(design.names):
            raise DataError(
                f"data has {design.n_terms} element(s) beyond the first {self.order} given; "
                f"expected more than the {len(design.names)} parameters. Lower order or regimes, "
                "or let fewer parameters switch."
            )
        law, how = fit(design, self.method, self.n_starts, self.seed, self.tolerance)
        missing = int(torch.isnan(sequences.values).sum())
        notes = {**how.notes, "trend": self.trend, "method": self.method, "missing": missing}
        return law, replace(how, notes=notes)

    def _check_parameters(self) -> None:
        check_integer("order", self.order, minimum=0)
        check_integer("regimes", self.regimes, minimum=2)
        check_integer("n_starts", self.n_starts, minimum=1)
        check_integer("seed", self.seed, minimum=0)
        check_choice("trend", self.trend, tuple(_TRENDS))
        check_choice("form", self.form, ("mean", "intercept"))
        check_choice("method", self.method, tuple(_METHODS))
        for name in ("switching_ar", "switching_trend", "switching_variance"):
            check_flag(name, getattr(self, name))
        if not check_number("min_variance", self.min_variance, low=0, below=1) and (
            self.switching_variance
        ):
            raise ParameterError(
                "min_variance must lie in (0, 1), or be 0 where the variance does not switch; got "
                f"{self.min_variance!r}."
            )
        check_number("tolerance", self.tolerance, above=0)
        switches = (
            (self.switching_trend and self.trend != "n")
            or (self.switching_ar and self.order > 0)
            or self.switching_variance
        )
        if not switches:
            raise ParameterError(
                "nothing differs between the regimes: let the trend, the coefficients or the "
                "variance switch."
            )
        memory = max(self.order, 1) if self.form == "mean" else 1
        if self.regimes ** (memory + 1) > _MOST:
            raise ParameterError(
                f"regimes ** (order + 1) is {self.regimes ** (memory + 1)}, more than {_MOST} "
                "joint regimes; use form='intercept', whose number does not grow with the order."
            )

    # ---- the trend ------------------------------------------------------------------------------

    @property
    def mean_(self) -> np.ndarray:
        """The regimes' levels at t = 0, [k]."""
        return self._line("mean_")

    @property
    def slope_(self) -> np.ndarray:
        """The slopes of the regimes' levels, [k]."""
        return self._line("slope_")

    @property
    def intercept_(self) -> np.ndarray:
        """The recursions' constants, [k]."""
        return self._line("intercept_")

    @property
    def drift_(self) -> np.ndarray:
        """The recursions' coefficients of t, [k]."""
        return self._line("drift_")

    def _line(self, name: str) -> np.ndarray:
        law = self.law_
        names = ("mean_", "slope_") if law.centred else ("intercept_", "drift_")
        if name not in names:
            form = "mean" if law.centred else "intercept"
            raise NotEstimatedError(
                f"there is no {name} with form={form!r}; see {names[0]} and {names[1]}."
            )
        line = law.line[:, names.index(name)]
        line.flags.writeable = False
        return line

    # ---- regimes --------------------------------------------------------------------------------

    def filtered(self, data: Any) -> pd.DataFrame | list[pd.DataFrame]:
        """p(regime of x_t | x_1 ... x_t) of every element but the given ones, missing ones too.

        Returns:
            A DataFrame with a column for each regime and the data's own index (a list of them for
            several sequences).
        """
        return self._probabilities(data, smoothed=False)

    def smoothed(self, data: Any) -> pd.DataFrame | list[pd.DataFrame]:
        """p(regime of x_t | all elements) (Kim 1994); as `filtered`."""
        return self._probabilities(data, smoothed=True)

    def impute(self, data: Any) -> pd.DataFrame:
        """Missing elements (NaN) given all that was observed, before and after them.

        Args:
            data: sequences with missing elements, as for `log_prob`.

        Returns:
            A row for each element (under its series, for several), with its mean and standard
            deviation, those of a mixture of normal laws over all paths of regimes, in the columns
            mean and std. What was observed stays as it is, with a std of 0.

        Example:
            >>> chain = [[0.9, 0.1], [0.2, 0.8]]
            >>> model = MarkovSwitchingAR.from_parameters(chain, [0.5], mean=[0.0, 5.0])
            >>> model.impute([0.0, np.nan, 0.5, 4.5]).round(2).to_numpy().tolist()
            [[0.0, 0.0], [0.34, 1.32], [0.5, 0.0], [4.5, 0.0]]
        """
        law = self.law_
        sequences = self.sequences(data, missing=law.takes_missing)
        sequences.require_length(law.n_given)
        found = np.stack(law.missing_given_observed(*arrays(sequences)), axis=1)
        parts = np.split(found, sequences.offsets.numpy()[1:-1])
        return in_kind(data, of_elements(sequences, parts))

    def _probabilities(self, data: Any, smoothed: bool) -> Any:
        import pandas as pd

        law = self.law_
        sequences = self.sequences(data, missing=law.takes_missing)
        p = law.n_given
        sequences.require_length(p)
        found = law.probabilities(sequences, smoothed)
        starts = sequences.offsets.numpy() - p * np.arange(len(sequences) + 1)
        indexes, tables = sequences.form.indexes, []
        for i in range(len(sequences)):
            if indexes:
                index = indexes[i] if len(indexes) > 1 else indexes[0]
            else:
                index = pd.RangeIndex(int(sequences.lengths[i]))
            columns = pd.RangeIndex(law.n_regimes, name="regime")
            part = found[starts[i] : starts[i + 1]]
            tables.append(pd.DataFrame(part, index=index[p:], columns=columns))
        return tables[0] if sequences.form.single else tables

    @property
    def stationary_regimes_(self) -> np.ndarray:
        """The share of time spent in each regime, [k]."""
        return stationary(self.law_.transition)

    @property
    def expected_durations_(self) -> np.ndarray:
        """How many elements a regime lasts on average, [k]."""
        with np.errstate(divide="ignore"):
            return 1 / (1 - np.diag(self.law_.transition))

    def _described(self) -> tuple[str, list[tuple[str, str]]]:
        law, notes = self.law_, self.fit_.notes
        name = f"MarkovSwitchingAR({law.n_given}, {law.n_regimes})"
        if self.parameters_are_given:
            return name, [("transition", f"{law.transition.tolist()}")]
        form = "mean" if law.centred else "intercept"
        facts = [("Trend", notes["trend"]), ("Form", form), ("Method", notes["method"])]
        if notes.get("missing"):
            how = "summed out" if law.n_given else "left out of the filter"
            facts.append(("Missing", f"{notes['missing']}, {how} exactly"))
        return name, [*facts, ("Regimes", f"{law.n_regimes}")]
