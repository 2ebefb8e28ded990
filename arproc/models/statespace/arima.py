"""ARIMA: seasonal, integrated, with moving averages, regressors and missing values."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any, Literal, Self

import numpy as np
import torch

from arproc.contract.context import ContextForm, split_clock
from arproc.contract.sequences import Sequences
from arproc.errors import ParameterError, check_choice, check_numbers
from arproc.gaussian.arma import Orders
from arproc.gaussian.levinson import is_stationary
from arproc.inference.estimated import Estimated
from arproc.models.statespace.estimation import estimate
from arproc.models.statespace.law import ARIMALaw
from arproc.process import Fit, Process
from arproc.spaces import Real, Space

__all__ = ["ARIMA", "coefficient_names", "law_of", "trend_of"]

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

    law_: ARIMALaw
    ar_: np.ndarray
    ma_: np.ndarray
    seasonal_ar_: np.ndarray
    seasonal_ma_: np.ndarray
    mean_: float
    slope_: float
    beta_: np.ndarray
    sigma2_: float
    _trend_: Literal["n", "c", "t", "ct"]

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
        order, seasonal_order = (
            (len(coef[0]), d, len(coef[1])),
            (len(coef[2]), seasonal_d, len(coef[3]), period),
        )
        orders = Orders.checked(order, seasonal_order)
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
        pushes = check_numbers("beta", () if beta is None else beta)
        ar, ma, seasonal_ar, seasonal_ma = coef
        law = ARIMALaw(
            ar, ma, seasonal_ar, seasonal_ma, float(sigma2), orders.d, orders.seasonal_d,
            orders.period, float(mean), float(slope), pushes,
            None if beta is None else ContextForm("steps", len(pushes)),
        )  # fmt: skip
        powers = (0,) * bool(mean) + (1,) * bool(slope)
        return cls.of(
            law,
            order=order,
            seasonal_order=seasonal_order,
            trend=trend_of(powers),
            regressors=None if beta is None else "mean",
        )

    @property
    def context_kind(self) -> Any:  # type: ignore[override]
        return None if self.regressors is None else "steps"

    # ---- fitting --------------------------------------------------------------------------------

    @property
    def _counts_time(self) -> bool:
        orders = Orders.checked(self.order, self.seasonal_order)
        return 1 in self.powers(orders) and not orders.d + orders.seasonal_d

    def _infer_space(self, data: Any) -> Space:
        return Real()

    def _fit(
        self, sequences: Sequences, *, validation: Sequences | None, context: torch.Tensor | None
    ) -> tuple[ARIMALaw, Fit]:
        orders = Orders.checked(self.order, self.seasonal_order)
        if self.regressors is not None:
            check_choice("regressors", self.regressors, ("mean",))
        powers = self.powers(orders)
        values = sequences.values.detach().double().cpu().numpy()
        series = [values[a:b] for a, b in pairwise(sequences.offsets.tolist())]
        width = 0 if context is None or self.regressors is None else context.shape[-1]
        pushes, first = split_clock(context, width - self._counts_time if width else 0)
        design = []
        for i, part in enumerate(series):
            t = np.arange(len(part), dtype=np.float64) + (0 if first is None else int(first[i]))
            t = t[:, None] ** np.array(powers, dtype=int)
            more = np.zeros((len(part), 0))
            if pushes is not None:
                more = pushes[i, : len(part)].detach().double().cpu().numpy()
            design.append(np.concatenate([t, more], axis=1))
        names = [("mean", "slope")[power] for power in powers]
        names += [f"x{j + 1}" for j in range(design[0].shape[1] - len(powers))]
        found, form = estimate(series, design, orders, names), None
        if pushes is not None:
            form = ContextForm("steps", pushes.shape[-1])
        law = law_of(orders, powers, found.beta, found.coef, found.sigma2, form)
        with torch.no_grad():
            log_likelihood = float(law.log_prob(sequences, context).sum())
        return law, Fit(
            names=[*names, *coefficient_names(orders), "sigma2"],
            estimates=np.r_[found.beta, np.concatenate(found.coef), found.sigma2],
            covariance=found.covariance,
            log_likelihood=log_likelihood,
            n_observations=found.used,
            notes={"trend": trend_of(powers)},
        )

    def powers(self, orders: Orders) -> tuple[int, ...]:
        """The powers of t that the trend has."""
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

    # ---- what was fitted ------------------------------------------------------------------------

    def _moved(self, estimates: np.ndarray) -> Self:
        law = self.law_
        powers = _TRENDS[self.fit_.notes["trend"]]
        trend = dict(zip(powers, estimates.tolist(), strict=False))
        parts = (law.beta, law.ar, law.ma, law.seasonal_ar, law.seasonal_ma)
        ends = np.cumsum([len(powers), *map(len, parts)])
        beta, ar, ma, seasonal_ar, seasonal_ma = (estimates[a:b] for a, b in pairwise(ends))
        moved = replace(
            law, ar=ar, ma=ma, seasonal_ar=seasonal_ar, seasonal_ma=seasonal_ma, beta=beta,
            mean=trend.get(0, 0.0), slope=trend.get(1, 0.0), sigma2=float(estimates[-1]),
        )  # fmt: skip
        return self.of(moved, self.fit_, **self.get_params(deep=False))

    def residuals(
        self, data: Any, *, standardised: bool = False, context: Any = None, offset: Any = None
    ) -> Any:
        """Each element less its mean given those before: the innovations.

        Args:
            data: sequences, as for `log_prob`.
            standardised: divide each by its standard deviation.
            context: the regressors, if the model has them.
            offset: at which step the data begin, as for `log_prob`.

        Returns:
            An array [T] for one sequence (a Series keeps its index), a list of them for several;
            those given are left out, and nan stands where an element is missing.
        """
        sequences, given = self.sequences(data, missing=True), self.law_.n_given
        with torch.no_grad():
            columns = self.conditionals(sequences, context=context, offset=offset)
        x, lengths = sequences.padded()
        rest = x[:, given:].double() - columns.mean
        if standardised:
            rest = rest / columns.stddev
        counts = lengths - given
        flat = torch.cat([rest[i, :count] for i, count in enumerate(counts.tolist())])
        offsets = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
        return sequences.form.per_element(flat, offsets, skip=given)

    def _described(self) -> tuple[str, list[tuple[str, str]]]:
        law = self.law_
        seasonal = (len(law.seasonal_ar), law.seasonal_d, len(law.seasonal_ma))
        name = f"ARIMA({len(law.ar)}, {law.d}, {len(law.ma)})"
        if any(seasonal):
            name += str((*seasonal, law.period))
        if self.parameters_are_given:
            return name, [(part, f"{getattr(law, part).tolist()}") for part in _POLYNOMIALS]
        start = f"the first {law.n_given} given" if law.n_given else "stationary"
        facts = [("Trend", self.fit_.notes["trend"]), ("Method", "exact maximum likelihood")]
        return name, [*facts, ("Start", start)]


def trend_of(powers: tuple[int, ...]) -> str:
    """The name of the trend with these powers of t."""
    return next(name for name, own in _TRENDS.items() if own == powers)


def law_of(
    orders: Orders,
    powers: tuple[int, ...],
    beta: np.ndarray,
    coef: Sequence[np.ndarray],
    sigma2: float,
    form: ContextForm | None = None,
) -> ARIMALaw:
    """The law with these estimates.

    Args:
        orders: of the process.
        powers: the powers of t that the trend has.
        beta: their coefficients, then those of the regressors.
        coef: of the four polynomials.
        sigma2: the innovation variance.
        form: the context's, where there are regressors.
    """
    trend = dict(zip(powers, beta.tolist(), strict=False))
    ar, ma, seasonal_ar, seasonal_ma = coef
    return ARIMALaw(
        ar, ma, seasonal_ar, seasonal_ma, sigma2, orders.d, orders.seasonal_d, orders.period,
        trend.get(0, 0.0), trend.get(1, 0.0), beta[len(powers) :], form,
    )  # fmt: skip


def coefficient_names(orders: Orders) -> list[str]:
    """What the coefficients are called, in the order of `Orders.blocks`."""
    kinds = np.repeat(["ar.L", "ma.L", "ar.S.L", "ma.S.L"], orders.blocks)
    return [f"{kind}{lag}" for kind, lag in zip(kinds, orders.reach.tolist(), strict=True)]
