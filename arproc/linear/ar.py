"""AR: the Gaussian autoregression of order p, exact in everything."""

from __future__ import annotations

import math
from typing import Any, Self

import numpy as np
import torch
from torch.distributions import Distribution, MultivariateNormal, Normal

from arproc.errors import ParameterError, check_choice, check_integer
from arproc.estimated import Estimated
from arproc.linear import likelihood, simulation
from arproc.linear.estimation import Estimate, estimate, recursion_form
from arproc.linear.levinson import is_stationary, largest_root
from arproc.linear.likelihood import Recursion
from arproc.linear.state import RecursionState
from arproc.process import Process
from arproc.sequences import Sequences
from arproc.spaces import Real, Space
from arproc.states import State

__all__ = ["AR"]

_TRENDS = ("n", "c", "ct")
_METHODS = {
    "mle": "exact maximum likelihood",
    "ols": "least squares given the first values",
    "yule-walker": "Yule-Walker",
}


class AR(Estimated, Process):
    r"""Gaussian autoregression of order p about a constant or a line.

    .. math::
        x_t = m(t) + y_t, \quad y_t = \sum_{i=1}^{p} \phi_i y_{t-i} + \epsilon_t, \quad
        \epsilon_t \sim N(0, \sigma^2), \quad m(t) = \text{mean} + \text{slope} \, t,

    with t counted from 0 at a sequence's first element. As a recursion of x itself:
    :math:`x_t = \text{intercept} + \text{drift} \, t + \sum_i \phi_i x_{t-i} + \epsilon_t`.
    Several sequences are independent draws from one law: `fit` pools them.

    Args:
        order: how many past elements the next one depends on, 0 or more.
        trend: "n" (mean 0), "c" (a constant mean) or "ct" (a line).
        method: "mle", exact Gaussian maximum likelihood, always stationary (given the first values
            where `initial` is not "stationary": then it is least squares); "ols", least squares
            given the first p values of each sequence; "yule-walker", from the autocovariances
            divided by n, always stationary.
        initial: the law of the first p elements. "stationary": their exact stationary one;
            "given": there is none, the likelihood is of what follows them, and samples continue a
            prefix (the only choice for unit or explosive roots); or a
            `torch.distributions.MultivariateNormal` over p values.

    Attributes:
        coef_: the coefficients, lag 1 first, float64 [p].
        intercept_: the recursion's constant.
        drift_: the recursion's coefficient of t.
        mean_: the mean at t = 0; nan where a unit root leaves none.
        slope_: the mean's slope.
        sigma2_: the innovation variance.
        log_likelihood_: `log_prob` of the data of `fit`, nats.
        n_observations_: of how many elements that is.
        names_: the estimated parameters' names, in the order of `covariance_`.
        covariance_: their covariance (inverse observed information for "mle").

    Example:
        >>> x = np.sin(np.arange(60.0)) + np.cos(np.arange(60.0) ** 2)
        >>> model = AR(order=2).fit(x)
        >>> model.coef_.round(2).tolist(), round(model.log_prob(x), 2)
        ([0.46, -0.38], -76.44)
        >>> model.forecast(x, horizon=2).shape
        (2, 4)
    """

    coef_: np.ndarray
    intercept_: float
    drift_: float
    mean_: float
    slope_: float
    sigma2_: float

    def __init__(
        self,
        order: int,
        trend: str = "c",
        method: str = "mle",
        initial: str | MultivariateNormal = "stationary",
    ) -> None:
        self.order = order
        self.trend = trend
        self.method = method
        self.initial = initial

    @classmethod
    def from_parameters(
        cls,
        coef: Any,
        mean: float = 0.0,
        sigma2: float = 1.0,
        slope: float = 0.0,
        initial: str | MultivariateNormal = "stationary",
    ) -> Self:
        """The process with known parameters, which needs no fit.

        Args:
            coef: the coefficients, lag 1 first, [p]; a tensor stays one, and `log_prob` of tensors
                is then differentiable in it (so for the others).
            mean: the mean at t = 0.
            sigma2: the innovation variance, positive.
            slope: the mean's slope.
            initial: see the class.

        Example:
            >>> AR.from_parameters([0.5]).sample(2, length=3, seed=1).shape
            (2, 3)
        """
        if not isinstance(coef, torch.Tensor):
            coef = np.atleast_1d(np.asarray(coef, dtype=float))
        if coef.ndim != 1 or not bool((abs(coef) < math.inf).all()):
            raise ParameterError(f"coef must be p finite numbers; got {coef!r}.")
        numbers, level, rise, noise = (_number(v) for v in (coef, mean, slope, sigma2))
        if not 0 < noise < math.inf:
            raise ParameterError(f"sigma2 must be positive and finite; got {sigma2!r}.")
        line = bool(rise) or (isinstance(slope, torch.Tensor) and slope.requires_grad)
        model = cls(len(coef), "ct" if line else "c", initial=initial)
        model.coef_, model.mean_, model.slope_, model.sigma2_ = coef, mean, slope, sigma2
        model.intercept_, model.drift_ = recursion_form(numbers, float(level), float(rise))
        model.space_ = Real()
        model._recursion()  # refuse what has no law at once
        return model

    # ---- fitting --------------------------------------------------------------------------------

    def _infer_space(self, data: Any) -> Space:
        return Real()

    def _fit(
        self, sequences: Sequences, *, validation: Sequences | None, context: torch.Tensor | None
    ) -> None:
        self._check_parameters()
        method = "ols" if self.method == "mle" and self.initial != "stationary" else self.method
        values = sequences.values.detach().cpu().numpy()
        found = estimate(values, sequences.lengths.numpy(), self.order, self.trend, method)
        if method == "ols" and isinstance(self.initial, str) and self.initial == "stationary":
            _require_stationary(found)
        self._learn(found)
        with torch.no_grad():
            self.log_likelihood_ = float(self._log_prob(sequences, None).sum())
        self.n_observations_ = int((sequences.lengths - self.n_given).clamp(min=0).sum())

    def _learn(self, found: Estimate) -> None:
        self.coef_ = found.coef
        self.intercept_, self.drift_ = found.intercept, found.drift
        self.mean_, self.slope_ = found.mean, found.slope
        self.sigma2_ = found.sigma2
        self.names_, self.estimates_ = found.names, found.values
        self.covariance_ = found.covariance

    def _check_parameters(self) -> None:
        check_integer("order", self.order, minimum=0)
        check_choice("trend", self.trend, _TRENDS)
        check_choice("method", self.method, tuple(_METHODS))
        if isinstance(self.initial, MultivariateNormal):
            shape = tuple(self.initial.batch_shape + self.initial.event_shape)
            if shape != (self.order,):
                raise ParameterError(
                    f"initial must be a distribution of the first {self.order} values; got a "
                    f"MultivariateNormal of shape {shape}."
                )
        elif self.initial not in ("stationary", "given"):
            raise ParameterError(
                "initial must be 'stationary', 'given' or a torch MultivariateNormal over the "
                f"first values; got {self.initial!r}."
            )

    # ---- the law --------------------------------------------------------------------------------

    @property
    def n_given(self) -> int:
        return self.order if isinstance(self.initial, str) and self.initial == "given" else 0

    @property
    def window_length(self) -> int:
        return self.order

    def _recursion(self) -> Recursion:
        """The recursion of the parameters as they are now; built once for each."""
        if "coef_" not in self.__dict__:
            _ = self.space  # says that the model is not fitted
        parts = (self.mean_, self.slope_, self.sigma2_)
        if any(isinstance(part, torch.Tensor) for part in (self.coef_, *parts)):
            return self._build()
        key = (self.coef_.tobytes(), *parts, self.intercept_, self.drift_, self.initial)
        cached = self.__dict__.get("_cached")
        if cached is None or cached[0] != key:
            self._cached = cached = (key, self._build())
        return cached[1]

    def _build(self) -> Recursion:
        coef, mean, slope, sigma2, intercept, drift = (
            torch.as_tensor(part, dtype=torch.float64)
            for part in (
                self.coef_,
                self.mean_,
                self.slope_,
                self.sigma2_,
                self.intercept_,
                self.drift_,
            )
        )
        if isinstance(self.initial, str) and self.initial == "stationary":
            return likelihood.recursion_from_mean(coef, sigma2, mean, slope)
        if bool(torch.isnan(mean)):  # a unit root: the recursion is all there is
            mean = torch.zeros((), dtype=torch.float64)
        else:
            lags = torch.arange(1, len(coef) + 1, dtype=torch.float64)
            intercept, drift = slope * (coef @ lags), slope * (1 - coef.sum())
        then = likelihood.recursion_given(coef, sigma2, intercept, drift, mean)
        if isinstance(self.initial, MultivariateNormal):
            return likelihood.recursion_from_normal(self.initial, then)
        return then

    def window(self, ctx: torch.Tensor, position: torch.Tensor) -> Distribution:
        law, p = self._recursion().to(ctx.device), self.order
        y = ctx - law.mean
        if law.constant and bool((position >= p).all()):
            loc, scale = y @ law.backwards[p] + law.mean, law.scales[p]
            return Normal(loc, scale.expand(loc.shape), validate_args=False)
        row = position.clamp(max=p)
        loc = law.constants[row] + (law.backwards[row] * y).sum(-1) + law.mean
        if not law.constant:
            loc = loc + torch.where(row == p, law.rate * position, 0.0)
        return Normal(loc, law.scales[row], validate_args=False)

    def _start(self, n: int, context: torch.Tensor | None) -> State:
        self._recursion()
        return RecursionState(n)

    def _log_prob(self, sequences: Sequences, context: torch.Tensor | None) -> torch.Tensor:
        lengths, longest = sequences.lengths, int(sequences.lengths.max())
        if bool((lengths != longest).any()) or longest < self.n_given:
            return super()._log_prob(sequences, context)
        # one sequence, or several of one length: no term is ever stored
        x = sequences.values.reshape(len(lengths), longest).to(torch.float64)
        law = self._recursion().to(x.device)
        if len(lengths) == 1:
            return likelihood.log_prob(x[0], law, self.n_given)[None]
        return likelihood.log_prob(x, law, self.n_given)

    def _log_prob_terms(self, sequences: Sequences, context: torch.Tensor | None) -> torch.Tensor:
        x = sequences.values.to(torch.float64)
        law = self._recursion().to(x.device)
        return likelihood.log_prob_terms(x, sequences.lengths, law, self.n_given)

    def _predictive(self, state: State, horizon: int) -> Distribution:
        if self.n_given:
            _ = state.conditional  # refuses a history shorter than what must be given
        before = state.history.tail(self.order).detach()
        law = self._recursion().detach()
        mean, variance = simulation.forecast(before, state.lengths, law, horizon)
        return Normal(mean, variance.sqrt(), validate_args=False)

    def _joint(self, state: State, horizon: int) -> Distribution | None:
        marginals = self._predictive(state, horizon)
        factor = simulation.joint_factor(state.lengths, self._recursion().detach(), horizon)
        return MultivariateNormal(marginals.mean, scale_tril=factor, validate_args=False)

    # ---- what was fitted ------------------------------------------------------------------------

    def residuals(self, data: Any, *, standardised: bool = False) -> Any:
        """Each element less its mean given those before: the innovations.

        Args:
            data: sequences, as for `log_prob`.
            standardised: divide each by its standard deviation (which is larger than sigma for
                the first elements of a stationary process).

        Returns:
            An array [T] for one sequence (a Series keeps its index), a list of them for several.
        """
        sequences = self.sequences(data)
        if self.n_given:
            sequences.split_prefix(self.n_given)
        x = sequences.values.to(torch.float64)
        law = self._recursion().to(x.device)
        rest, variances = likelihood.residuals(x, sequences.lengths, law, self.n_given)
        if standardised:
            rest = rest / variances.sqrt()
        counts = sequences.lengths - self.n_given
        offsets = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
        return sequences.form.per_element(rest, offsets, skip=self.n_given)

    def _described(self) -> tuple[str, list[tuple[str, str]]]:
        name = f"AR({self.order})"
        if "covariance_" not in self.__dict__:
            return name, [("coef", f"{np.asarray(self.coef_).tolist()}")]
        conditional = self.method == "mle" and self.initial != "stationary"
        method = _METHODS["ols" if conditional else self.method]
        initial = self.initial if isinstance(self.initial, str) else "a normal distribution"
        return name, [("Trend", self.trend), ("Method", method), ("Start", initial)]


def _number(value: Any) -> Any:
    """The value without its gradient."""
    return value.detach().cpu().numpy() if isinstance(value, torch.Tensor) else value


def _require_stationary(found: Estimate) -> None:
    if not is_stationary(found.coef):
        raise ParameterError(
            f"the estimated coefficients {found.coef.round(4).tolist()} have a root of modulus "
            f"{largest_root(found.coef):.4g} (1 or more), so there is no stationary law for "
            "initial='stationary'. Use initial='given', or method='mle' or 'yule-walker', whose "
            "estimates are always stationary."
        )
