"""ARIMA: seasonal, integrated, with moving averages, regressors and missing values."""

from __future__ import annotations

import math
from copy import copy
from itertools import pairwise
from typing import Any, Self

import numpy as np
import torch
from torch.distributions import Distribution, MultivariateNormal, Normal

from arproc.contract.sequences import Sequences
from arproc.contract.state import State
from arproc.errors import DataError, ParameterError, check_choice, check_integer, check_numbers
from arproc.inference.estimated import Estimated
from arproc.models.statespace.estimation import Orders, SarimaFit, estimate
from arproc.models.statespace.filtering import Filter
from arproc.models.statespace.representation import is_stationary
from arproc.models.statespace.state import FilterState
from arproc.process import Process
from arproc.spaces import Real, Space

__all__ = ["ARIMA"]

_TRENDS = {"n": (), "c": (0,), "t": (1,), "ct": (0, 1)}
_POLYNOMIALS = ("ar", "ma", "seasonal_ar", "seasonal_ma")


class ARIMA(Estimated, Process):
    r"""Seasonal ARIMA about a trend and regressors, with its exact likelihood.

    .. math::
        x_t = \text{mean} + \text{slope}\, t + \beta' c_t + \eta_t, \quad
        \phi(B) \Phi(B^s) (1 - B)^d (1 - B^s)^D \eta_t = \theta(B) \Theta(B^s) \epsilon_t, \quad
        \epsilon_t \sim N(0, \sigma^2),

    with t counted from 0, :math:`\phi(B) = 1 - \phi_1 B - \ldots` and
    :math:`\theta(B) = 1 + \theta_1 B + \ldots` (Box and Jenkins 1970; the signs of R and
    statsmodels). A regression with ARIMA errors, as R's `arima(xreg=)`.

    The differences are stationary and the law is exact for them. The first d + s D elements, from
    which differences are built, have a diffuse law, that is none: they are given (`n_given`), and
    `log_prob` is of what follows, the same number as the exact log-likelihood of the differenced
    series. Elements may be missing (nan): the likelihood is that of those that are there; where
    some of the first are missing, later ones take their place as given, with a term of 0.

    Several sequences are independent draws from one law: `fit` pools them. Estimates are exact
    maximum likelihood, always stationary and invertible.

    Args:
        order: p, d, q: how many autoregressive coefficients, differences, moving-average ones.
        seasonal_order: P, D, Q, s: the same for the seasonal part, and the period.
        trend: "n" (none), "c" (a mean), "t" (a slope) or "ct"; None is "c" without differences and
            "n" with them. What the differences take away (a mean, where there is one) is refused.
        regressors: "mean" where the mean depends on the context's columns, [N, T, c]; the future
            included where one forecasts or samples. None where there is no context.

    Attributes:
        ar_: autoregressive coefficients, lag 1 first, [p].
        ma_: moving-average coefficients, lag 1 first, [q].
        seasonal_ar_: lag s first, [P].
        seasonal_ma_: lag s first, [Q].
        mean_: the trend at t = 0.
        slope_: the trend's slope.
        beta_: the regressors' coefficients, [c].
        sigma2_: the innovation variance.
        log_likelihood_: `log_prob` of the data of `fit`, nats.
        n_observations_: of how many elements that is.
        names_: the estimated parameters' names, in the order of `covariance_`.
        covariance_: their covariance, the inverse observed information; nan where the maximum
            lies on the boundary (a unit root).

    Example:
        >>> x = np.cumsum(np.sin(np.arange(80.0) ** 2))
        >>> model = ARIMA((1, 1, 1)).fit(x)
        >>> model.n_given, round(model.log_prob(x), 2) == round(model.log_likelihood_, 2)
        (1, True)
        >>> model.forecast(x, horizon=3).shape
        (3, 4)
    """

    takes_missing = True

    ar_: np.ndarray
    ma_: np.ndarray
    seasonal_ar_: np.ndarray
    seasonal_ma_: np.ndarray
    mean_: float
    slope_: float
    beta_: np.ndarray
    sigma2_: float

    def __init__(
        self,
        order: tuple[int, int, int] = (1, 0, 0),
        seasonal_order: tuple[int, int, int, int] = (0, 0, 0, 0),
        trend: str | None = None,
        *,
        regressors: str | None = None,
    ) -> None:
        self.order = order
        self.seasonal_order = seasonal_order
        self.trend = trend
        self.regressors = regressors

    @classmethod
    def from_parameters(
        cls,
        ar: Any = (),
        ma: Any = (),
        d: int = 0,
        *,
        seasonal_ar: Any = (),
        seasonal_ma: Any = (),
        seasonal_d: int = 0,
        period: int = 0,
        mean: float = 0.0,
        slope: float = 0.0,
        beta: Any = None,
        sigma2: float = 1.0,
    ) -> Self:
        """The process with known parameters, which needs no fit.

        Args:
            ar: autoregressive coefficients, lag 1 first, [p]; the law must be stationary.
            ma: moving-average coefficients, lag 1 first, [q].
            d: how many differences.
            seasonal_ar: [P].
            seasonal_ma: [Q].
            seasonal_d: how many seasonal differences.
            period: s.
            mean: the trend at t = 0.
            slope: the trend's slope.
            beta: the regressors' coefficients [c]; None where there are none.
            sigma2: the innovation variance, positive.

        Example:
            >>> ARIMA.from_parameters(ar=[0.5], ma=[0.3]).sample(2, length=3, seed=1).shape
            (2, 3)
        """
        given = (ar, ma, seasonal_ar, seasonal_ma)
        coef = [
            check_numbers(name, value) for name, value in zip(_POLYNOMIALS, given, strict=True)
        ]
        model = cls(
            (len(coef[0]), d, len(coef[1])),
            (len(coef[2]), seasonal_d, len(coef[3]), period),
            {(False, False): "n", (True, False): "c", (False, True): "t", (True, True): "ct"}[
                bool(mean), bool(slope)
            ],
            regressors=None if beta is None else "mean",
        )
        model._orders()
        for name, value in zip(_POLYNOMIALS[::2], coef[::2], strict=True):
            if not is_stationary(value):
                raise ParameterError(
                    f"{name} must have a stationary law; {value.tolist()} has none. Differences "
                    "(d, seasonal_d) are the way to unit roots."
                )
        for name, number in (("mean", mean), ("slope", slope), ("sigma2", sigma2)):
            if not math.isfinite(number) or (name == "sigma2" and number <= 0):
                kind = "positive and finite" if name == "sigma2" else "finite"
                raise ParameterError(f"{name} must be {kind}; got {number!r}.")
        model.ar_, model.ma_, model.seasonal_ar_, model.seasonal_ma_ = coef
        model.mean_, model.slope_, model.sigma2_ = float(mean), float(slope), float(sigma2)
        model.beta_ = check_numbers("beta", () if beta is None else beta)
        model.space_ = Real()
        return model

    @property
    def context_kind(self) -> Any:  # type: ignore[override]
        return None if self.regressors is None else "steps"

    # ---- fitting --------------------------------------------------------------------------------

    def _infer_space(self, data: Any) -> Space:
        return Real()

    def _fit(
        self, sequences: Sequences, *, validation: Sequences | None, context: torch.Tensor | None
    ) -> None:
        orders, powers = self._orders(), self._powers()
        bounds = sequences.offsets.tolist()
        values = sequences.values.detach().double().cpu().numpy()
        series = [values[a:b] for a, b in pairwise(bounds)]
        design = []
        for i, part in enumerate(series):
            t = np.arange(len(part), dtype=np.float64)[:, None] ** np.array(powers, dtype=int)
            more = np.zeros((len(part), 0))
            if context is not None:
                more = context[i, : len(part)].detach().double().cpu().numpy()
            design.append(np.concatenate([t, more], axis=1))
        extra = [f"x{j + 1}" for j in range(design[0].shape[1] - len(powers))]
        names = [("mean", "slope")[power] for power in powers] + extra
        self._learn(estimate(series, design, orders, names), names, powers)
        with torch.no_grad():
            self.log_likelihood_ = float(self._log_prob(sequences, context).sum())

    def _learn(self, found: SarimaFit, names: list[str], powers: tuple[int, ...]) -> None:
        trend = dict(zip(powers, found.beta.tolist(), strict=False))
        self.mean_, self.slope_ = trend.get(0, 0.0), trend.get(1, 0.0)
        self.beta_ = found.beta[len(powers) :]
        self.ar_, self.ma_, self.seasonal_ar_, self.seasonal_ma_ = found.coef
        self.sigma2_ = found.sigma2
        s = self._orders().period
        self.names_ = [*names]
        for name, step, part in zip(
            ("ar.L", "ma.L", "ar.S.L", "ma.S.L"), (1, 1, s, s), found.coef, strict=True
        ):
            self.names_ += [f"{name}{step * (i + 1)}" for i in range(len(part))]
        self.names_.append("sigma2")
        self.estimates_ = np.r_[found.beta, np.concatenate(found.coef), found.sigma2]
        self.covariance_, self.n_observations_ = found.covariance, found.used

    def _moved(self, estimates: np.ndarray) -> Self:
        model, powers = copy(self), self._powers()
        trend = dict(zip(powers, estimates.tolist(), strict=False))
        model.mean_, model.slope_ = trend.get(0, 0.0), trend.get(1, 0.0)
        parts = (self.beta_, self.ar_, self.ma_, self.seasonal_ar_, self.seasonal_ma_)
        ends = len(powers) + np.cumsum([len(part) for part in parts])
        model.beta_, model.ar_, model.ma_, model.seasonal_ar_, model.seasonal_ma_ = (
            estimates[end - len(part) : end] for part, end in zip(parts, ends, strict=True)
        )
        model.sigma2_ = float(estimates[-1])
        return model

    def _orders(self) -> Orders:
        """The orders, checked."""
        for name, value, count in (
            ("order", self.order, 3), ("seasonal_order", self.seasonal_order, 4)
        ):  # fmt: skip
            if not isinstance(value, (tuple, list)) or len(value) != count:
                form = "(p, d, q)" if count == 3 else "(P, D, Q, s)"
                raise ParameterError(f"{name} must be {form}; got {value!r}.")
            for part in value:
                check_integer(name, part, minimum=0)
        (p, d, q), (sp, sd, sq, s) = self.order, self.seasonal_order
        if (sp or sd or sq) and s < 2:
            raise ParameterError(
                f"seasonal_order must have a period s of at least 2; got {self.seasonal_order!r}."
            )
        if self.regressors is not None:
            check_choice("regressors", self.regressors, ("mean",))
        return Orders(p, d, q, sp, sd, sq, s)

    def _powers(self) -> tuple[int, ...]:
        """The powers of t that the trend has."""
        orders = self._orders()
        differences = orders.d + orders.seasonal_d
        if self.trend is None:
            return () if differences else (0,)
        check_choice("trend", self.trend, tuple(_TRENDS))
        powers = _TRENDS[self.trend]
        if powers and powers[0] < differences:
            lost = "a mean" if powers[0] == 0 else "a slope"
            raise ParameterError(
                f"trend is {self.trend!r}, but {lost} vanishes in the {differences} differences, "
                f"so it can not be estimated. Use {'t' if differences == 1 else 'n'!r}."
            )
        return powers

    # ---- the law --------------------------------------------------------------------------------

    @property
    def n_given(self) -> int:
        (_, d, _), (_, seasonal_d, _, period) = self.order, self.seasonal_order
        return d + seasonal_d * period

    def _filter(self) -> Filter:
        """The filter of the coefficients as they are now; built once for each."""
        if "ar_" not in self.__dict__:
            _ = self.space  # says that the model is not fitted
        coef = [self.ar_, self.ma_, self.seasonal_ar_, self.seasonal_ma_]
        key = (*(part.tobytes() for part in coef), self.order, self.seasonal_order)
        cached = self.__dict__.get("_cached")
        if cached is None or cached[0] != key:
            self._cached = cached = (key, Filter(self._orders().represent(coef)))
        return cached[1]

    def _level(self, position: torch.Tensor, context: torch.Tensor | None) -> torch.Tensor:
        """Trend and regression at positions [N, K]; nan beyond the context's steps."""
        level = self.mean_ + self.slope_ * position.double()
        if context is None:
            return level
        if context.shape[2] != len(self.beta_):
            raise DataError(
                f"context has {context.shape[2]} column(s); the model was fitted with "
                f"{len(self.beta_)}."
            )
        last = context.shape[1] - 1
        if last < 0:
            return torch.full_like(level, math.nan)
        pushed = context.double() @ torch.from_numpy(self.beta_)
        pushed = pushed.gather(1, position.clamp(max=last))
        return level + pushed.masked_fill(position > last, math.nan)

    def _start(self, n: int, context: torch.Tensor | None) -> State:
        law = self._filter()
        return FilterState(law, torch.zeros((n, law.form.size), dtype=torch.float64))

    def _log_prob_terms(self, sequences: Sequences, context: torch.Tensor | None) -> torch.Tensor:
        if torch.is_grad_enabled() and sequences.values.requires_grad:
            return self._derived_log_prob_terms(sequences, context)
        law, m = self._filter(), self.n_given
        counts = (sequences.lengths - m).clamp(min=0)
        offsets = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
        out = np.empty(int(offsets[-1]))
        for rows in sequences.batches(max_elements=2**20):
            x, lengths = sequences.padded(rows)
            position = torch.arange(x.shape[1])[None].expand(x.shape)
            level = self._level(position, None if context is None else context[rows])
            y = (x.double() - level).numpy()
            missing = torch.isnan(x).any(dim=1).numpy()
            rest, scale = np.empty(y.shape), np.empty(y.shape)
            if not missing.all():
                whole = np.ascontiguousarray(y[~missing])
                rest[~missing], scale[~missing] = law.innovations(whole)
            for i in missing.nonzero()[0].tolist():
                rest[i], scale[i] = law.innovations(y[i : i + 1], ~np.isnan(x[i].numpy()))
            terms = self._terms(rest, scale)
            for i, row in enumerate(rows.tolist()):
                out[offsets[row] : offsets[row + 1]] = terms[i, m : int(lengths[i])]
        return torch.from_numpy(out)

    def _terms(self, rest: np.ndarray, scale: np.ndarray) -> np.ndarray:
        """The terms of innovations and their scaled variances; 0 for what is given or missing."""
        variance = scale * self.sigma2_
        with np.errstate(invalid="ignore"):
            terms = -0.5 * (np.log(2 * np.pi * variance) + rest**2 / variance)
        return np.where(np.isfinite(variance) & ~np.isnan(rest), terms, 0.0)

    # ---- what follows ---------------------------------------------------------------------------

    def _predictive(self, state: State, horizon: int) -> Distribution | None:
        mean, covariance = self._following(state, horizon, joint=False)
        return Normal(mean, covariance.sqrt(), validate_args=False)

    def _joint(self, state: State, horizon: int) -> Distribution | None:
        mean, covariance = self._following(state, horizon, joint=True)
        return MultivariateNormal(mean, covariance, validate_args=False)

    def _following(
        self, state: State, horizon: int, joint: bool
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Means of the next elements [N, horizon] and their covariances, or only variances."""
        assert isinstance(state, FilterState)
        _ = state.conditional  # refuses a history shorter than what must be given
        law = self._filter()
        nothing = torch.full((state.n, horizon), math.nan, dtype=torch.float64).numpy()
        zero, counts = np.zeros(state.n, dtype=np.int64), np.zeros(state.n, dtype=np.int64)
        still = np.zeros((1, law.form.size))
        loc, _ = law.run(nothing, counts, state.mean.detach().numpy(), still, zero)
        position = state.lengths[:, None] + torch.arange(horizon)
        mean = torch.from_numpy(loc[:, :horizon]) + self._level(position, state.context)
        spread = state.spread or law.spread_at(state.lengths.numpy())
        if joint:
            covariance = law.forecast_covariance(spread, horizon)
        else:
            covariance = law.forecast_variance(spread, horizon)
        return mean, torch.from_numpy(covariance * self.sigma2_)

    # ---- what was fitted ------------------------------------------------------------------------

    def residuals(self, data: Any, *, standardised: bool = False, context: Any = None) -> Any:
        """Each element less its mean given those before: the innovations.

        Args:
            data: sequences, as for `log_prob`.
            standardised: divide each by its standard deviation.
            context: the regressors, if the model has them.

        Returns:
            An array [T] for one sequence (a Series keeps its index), a list of them for several;
            those given are left out, and nan stands where an element is missing.
        """
        sequences = self.sequences(data, missing=True)
        sequences.require_length(self.n_given)
        prepared = self._context(context, len(sequences), int(sequences.lengths.max()))
        with torch.no_grad():
            columns = self.conditionals(sequences, context=prepared)
        x, lengths = sequences.padded()
        rest = x[:, self.n_given :].double() - columns.mean
        if standardised:
            rest = rest / columns.stddev
        counts = lengths - self.n_given
        flat = torch.cat([rest[i, :count] for i, count in enumerate(counts.tolist())])
        offsets = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
        return sequences.form.per_element(flat, offsets, skip=self.n_given)

    def _described(self) -> tuple[str, list[tuple[str, str]]]:
        p, d, q, sp, sd, sq, s = self._orders()
        name = f"ARIMA({p}, {d}, {q})" + (f"({sp}, {sd}, {sq}, {s})" if sp or sd or sq else "")
        if "covariance_" not in self.__dict__:
            return name, [(part, f"{getattr(self, part + '_').tolist()}") for part in _POLYNOMIALS]
        powers = self._powers()
        trend = next(key for key, value in _TRENDS.items() if value == powers)
        start = f"the first {self.n_given} given" if self.n_given else "stationary"
        facts = [("Trend", trend), ("Method", "exact maximum likelihood"), ("Start", start)]
        return name, facts
