"""ARIMA: seasonal, integrated, with moving averages, regressors and missing values."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, Literal, Self

import numpy as np
import torch

from arproc.contract.context import ContextForm, split_clock
from arproc.contract.sequences import Sequences
from arproc.errors import DataError, ParameterError, check_choice, check_numbers
from arproc.gaussian.arma import Orders
from arproc.gaussian.arma_regression import fit_each
from arproc.gaussian.levinson import is_stationary
from arproc.inference.estimated import Estimated
from arproc.models.statespace.design import POWERS, Design, powers_of, trend_of
from arproc.models.statespace.law import ARIMALaw
from arproc.process import Fit, Process
from arproc.spaces import Real, Space

__all__ = ["ARIMA", "coefficient_names", "law_of"]

_POLYNOMIALS = ("ar", "ma", "seasonal_ar", "seasonal_ma")


class ARIMA(Estimated, Process):
    r"""Seasonal ARIMA about a trend, seasons and regressors, with its exact likelihood.

    .. math::
        x_t = \text{mean} + \text{slope}\, t + \beta' c_t + \eta_t, \quad
        \phi(B) \Phi(B^s) (1 - B)^d (1 - B^s)^D \eta_t = \theta(B) \Theta(B^s) \epsilon_t, \quad
        \epsilon_t \sim N(0, \sigma^2),

    with t counted from 0, c_t the further terms (seasonal dummies, Fourier terms, regressors),
    :math:`\phi(B) = 1 - \phi_1 B - \ldots` and
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
        trend: "n" (none), "c" (a mean), "t" (a slope), "ct" or "ctt" (a parabola); None is "c"
            without differences and "n" with them. What the differences take away (a mean, where
            there is one) is refused.
        seasonal: the period of seasonal dummies, such as 12; by position in the sequence. The
            first season has none where there is a mean, or differences, which know no level.
        fourier: {period: number of harmonics}, sines and cosines by position in the sequence.
        regressors: "mean" where the mean depends on the context's columns, [N, T, c]; the future
            included where one forecasts or samples. None where there is no context.

    Attributes:
        ar_: autoregressive coefficients, lag 1 first, [p].
        ma_: moving-average coefficients, lag 1 first, [q].
        seasonal_ar_: lag s first, [P].
        seasonal_ma_: lag s first, [Q].
        mean_: the mean at t = 0 but for the terms below.
        slope_: the mean's coefficient of t.
        terms_: the names of the further terms: "t^2", "s(2,12)" (the second of 12 seasons),
            "sin(1,12)", "x1" (the first regressor).
        beta_: their coefficients.
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
    _trend_: Literal["n", "c", "t", "ct", "ctt"]

    def __init__(
        self,
        order: tuple[int, int, int] = (1, 0, 0),
        seasonal_order: tuple[int, int, int, int] = (0, 0, 0, 0),
        trend: str | None = None,
        *,
        seasonal: int | None = None,
        fourier: Mapping[float, int] | None = None,
        regressors: str | None = None,
    ) -> None:
        self.order = order
        self.seasonal_order = seasonal_order
        self.trend = trend
        self.seasonal = seasonal
        self.fourier = fourier
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
        seasonal: int | None = None,
        fourier: Mapping[float, int] | None = None,
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
            mean: the mean at t = 0.
            slope: the mean's slope.
            beta: coefficients of seasonal dummies (of all seasons but the first) and Fourier
                terms, then those of the regressors; None where there are none.
            sigma2: the innovation variance, positive.
            seasonal: the period of seasonal dummies.
            fourier: {period: number of harmonics}.

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
        beta = check_numbers("beta", () if beta is None else beta)
        powers = (0,) * bool(mean) + (1,) * bool(slope)
        if (seasonal or fourier) and not orders.n_given:  # beside them there is a level
            powers = (0, *powers[-1:]) if slope else (0,)
        design = Design.of(orders, powers, seasonal, fourier)
        width = len(beta) - (design.n - design.line)
        if width < 0:
            raise ParameterError(
                f"beta has {len(beta)} numbers; expected {design.n - design.line} for "
                f"{design.names[design.line :]}, and one for each regressor."
            )
        form = ContextForm("steps", width) if width else None
        line = np.array([{0: mean, 1: slope}[power] for power in powers], dtype=float)
        law = law_of(orders, design, np.r_[line, beta], coef, float(sigma2), form)
        return cls.of(
            law,
            order=order,
            seasonal_order=seasonal_order,
            trend=trend_of(powers),
            seasonal=seasonal,
            fourier=fourier,
            regressors="mean" if width else None,
        )

    @property
    def context_kind(self) -> Any:  # type: ignore[override]
        return None if self.regressors is None else "steps"

    # ---- fitting --------------------------------------------------------------------------------

    @property
    def _counts_time(self) -> bool:
        orders = Orders.checked(self.order, self.seasonal_order)
        design = self.design(orders)
        return design.terms.periodic or (1 in design.powers and not orders.n_given)

    def _infer_space(self, data: Any) -> Space:
        return Real()

    def _fit(
        self, sequences: Sequences, *, validation: Sequences | None, context: torch.Tensor | None
    ) -> tuple[ARIMALaw, Fit]:
        orders = Orders.checked(self.order, self.seasonal_order)
        if self.regressors is not None:
            check_choice("regressors", self.regressors, ("mean",))
        design = self.design(orders)
        values = sequences.values.detach().double().cpu().numpy()
        series = [values[a:b] for a, b in pairwise(sequences.offsets.tolist())]
        width = 0 if context is None or self.regressors is None else context.shape[-1]
        pushes, first = split_clock(context, width - self._counts_time if width else 0)
        rows = []
        for i, part in enumerate(series):
            columns = design.columns(0 if first is None else int(first[i]), len(part))
            if pushes is not None:
                more = pushes[i, : len(part)].detach().double().cpu().numpy()
                columns = np.concatenate([columns, more], axis=1)
            rows.append((part, columns))
        width = 0 if pushes is None else pushes.shape[-1]
        names = [*design.names, *[f"x{j + 1}" for j in range(width)]]
        found = fit_each(orders, [rows], names)
        if found.faults:
            raise DataError(found.faults[0])
        beta, sigma2 = found.beta[0], float(found.sigma2[0])
        form = None if pushes is None else ContextForm("steps", width)
        law = law_of(orders, design, beta, orders.split(found.coef[0]), sigma2, form)
        with torch.no_grad():
            log_likelihood = float(law.log_prob(sequences, context).sum())
        return law, Fit(
            names=[*names, *coefficient_names(orders), "sigma2"],
            estimates=np.r_[beta, found.coef[0], sigma2],
            covariance=found.covariance[0],
            log_likelihood=log_likelihood,
            n_observations=int(found.used[0]),
            notes={"trend": trend_of(design.powers)},
        )

    def design(self, orders: Orders) -> Design:
        """The columns of the mean, regressors left out."""
        powers = powers_of(self.trend, orders)
        return Design.of(orders, powers, self.seasonal, self.fourier)

    # ---- what was fitted ------------------------------------------------------------------------

    @property
    def terms_(self) -> list[str]:
        """The names of the further terms; of regressors as the context of `fit` named them."""
        return self.fit_.labels.renamed(self.law_.terms)

    def _moved(self, estimates: np.ndarray) -> Self:
        law = self.law_  # of the fit, whatever the parameters are by now
        orders = Orders(
            len(law.ar), law.d, len(law.ma), len(law.seasonal_ar), law.seasonal_d,
            len(law.seasonal_ma), law.period,
        )  # fmt: skip
        design = Design(law.design, POWERS[self.fit_.notes["trend"]])
        c = len(estimates) - sum(orders.blocks) - 1
        coef = orders.split(estimates[c:-1])
        moved = law_of(orders, design, estimates[:c], coef, float(estimates[-1]), law.context)
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


def law_of(
    orders: Orders,
    design: Design,
    beta: np.ndarray,
    coef: Sequence[np.ndarray],
    sigma2: float,
    form: ContextForm | None = None,
) -> ARIMALaw:
    """The law with these estimates.

    Args:
        orders: of the process.
        design: the columns of its mean.
        beta: their coefficients, then those of the regressors.
        coef: of the four polynomials.
        sigma2: the innovation variance.
        form: the context's, where there are regressors.
    """
    line = dict(zip(design.powers, beta[: design.line].tolist(), strict=False))
    ar, ma, seasonal_ar, seasonal_ma = coef
    return ARIMALaw(
        ar, ma, seasonal_ar, seasonal_ma, sigma2, orders.d, orders.seasonal_d, orders.period,
        line.get(0, 0.0), line.get(1, 0.0), beta[design.line :], design.terms, form,
    )  # fmt: skip


def coefficient_names(orders: Orders) -> list[str]:
    """What the coefficients are called, in the order of `Orders.blocks`."""
    kinds = np.repeat(["ar.L", "ma.L", "ar.S.L", "ma.S.L"], orders.blocks)
    return [f"{kind}{lag}" for kind, lag in zip(kinds, orders.reach.tolist(), strict=True)]
