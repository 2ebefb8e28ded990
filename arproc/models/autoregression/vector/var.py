"""VAR: the Gaussian vector autoregression of order p, exact in everything."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import torch
from torch.distributions import Distribution, MultivariateNormal

from arproc.contract.sequences import Sequences
from arproc.contract.state import State
from arproc.errors import ParameterError, check_choice, check_integer
from arproc.models.autoregression.vector import likelihood, recursion, simulation
from arproc.models.autoregression.vector.analysis import VectorAnalysis
from arproc.models.autoregression.vector.companion import largest_modulus
from arproc.models.autoregression.vector.estimation import (
    VectorEstimate,
    by_exact_ml,
    by_regression,
    recursion_form,
)
from arproc.models.autoregression.vector.inputs import (
    check_initial,
    component_names,
    law_parameters,
    plain,
    vector,
    vector_space,
)
from arproc.models.autoregression.vector.moments import VectorData, standardise
from arproc.models.autoregression.vector.recursion import VectorRecursion
from arproc.models.autoregression.vector.shrinkage import check_shrinkage, shrink
from arproc.models.autoregression.vector.state import VectorState
from arproc.process import Process
from arproc.spaces import RealVector, Space

__all__ = ["VAR"]

_TRENDS = ("n", "c", "ct")
_METHODS = {"mle": "exact maximum likelihood", "ols": "least squares given the first values"}


class VAR(VectorAnalysis, Process):
    r"""Gaussian vector autoregression of order p about a constant or a line.

    .. math::
        x_t = m(t) + y_t, \quad y_t = \sum_{i=1}^{p} A_i y_{t-i} + \epsilon_t, \quad
        \epsilon_t \sim N(0, \Sigma), \quad m(t) = \text{mean} + \text{slope} \, t,

    with t counted from 0 at a sequence's first element; as a recursion of x itself
    :math:`x_t = \text{intercept} + \text{drift} \, t + \sum_i A_i x_{t-i} + \epsilon_t`. One
    element is a vector of d components: a DataFrame is time down and components across. Several
    sequences are independent draws from one law, and `fit` pools them.

    Args:
        order: how many past elements the next one depends on, 0 or more.
        trend: "n" (mean 0), "c" (a constant mean) or "ct" (a line).
        method: "mle", exact Gaussian maximum likelihood, always stationary (given the first values
            where `initial` is not "stationary": then it is least squares); "ols", least squares
            given the first p values of each sequence.
        initial: the law of the first p elements. "stationary": their exact stationary one;
            "given": there is none, the likelihood is of what follows them (the only choice for
            unit or explosive roots); or a `torch.distributions.MultivariateNormal` over the p d
            numbers of the first p elements, element by element.
        shrinkage: None, or a prior whose posterior mean, given the first p values, is the estimate
            (`method` is then not used): "minnesota" (Litterman 1986) or "ridge". With it there may
            be more coefficients than data.
        tightness: the prior's standard deviation of a component's own first lag, in units that
            make components comparable; None takes that of the largest marginal likelihood.
        decay: by which power of the lag the standard deviation falls (Minnesota).
        cross: the standard deviation for lags of other components beside that for a component's
            own (1 has a conjugate prior of all equations together; otherwise, as with Litterman's
            0.5, equations are shrunk one by one).
        own_lag: the prior mean of each component's own first lag (Minnesota), [d] or one for all;
            by default 0 with a stationary start (growth rates), else 1 (levels that wander).

    Attributes:
        coef_: A_1 ... A_p, float64 [p, d, d]; row a holds component a's equation.
        intercept_: the recursion's constants [d].
        drift_: the recursion's coefficients of t [d].
        mean_: the mean at t = 0 [d]; nan where a unit root leaves none.
        slope_: the mean's slope [d].
        sigma_: the innovations' covariance (maximum likelihood: divided by their number) [d, d].
        components_: the components' names.
        tightness_: the tightness used, where one shrinks.
        log_marginal_likelihood_: then that of the data given the first p values, nats (up to a
            constant, the same for all tightnesses, where there is a trend).
        log_likelihood_: `log_prob` of the data of `fit`, nats.
        n_observations_: of how many elements that is.
        names_: the estimated parameters' names, in the order of `covariance_`: by equations,
            "L1.b.a" being component b's weight, one step ago, in component a's equation.
        covariance_: their covariance (inverse observed information for "mle").

    Example:
        >>> rng = np.random.default_rng(0)
        >>> x = np.stack([np.convolve(rng.normal(size=80), [1, 0.5], "same") for _ in "ab"], 1)
        >>> model = VAR(order=1).fit(x)
        >>> model.coef_.shape, model.sigma_.shape, bool(model.log_prob(x) < 0)
        ((1, 2, 2), (2, 2), True)
        >>> model.sample(length=3, prefix=x, seed=1).shape
        (1, 3, 2)

    References:
        Luetkepohl (2005), New Introduction to Multiple Time Series Analysis, chapters 2 and 3.
    """

    coef_: np.ndarray
    intercept_: np.ndarray
    drift_: np.ndarray
    mean_: np.ndarray
    slope_: np.ndarray
    sigma_: np.ndarray
    components_: list[str]
    tightness_: float
    log_marginal_likelihood_: float
    effective_parameters_: float

    def __init__(
        self,
        order: int,
        trend: str = "c",
        method: str = "mle",
        initial: str | MultivariateNormal = "stationary",
        *,
        shrinkage: str | None = None,
        tightness: float | None = None,
        decay: float = 1.0,
        cross: float = 1.0,
        own_lag: float | Sequence[float] | None = None,
    ) -> None:
        self.order = order
        self.trend = trend
        self.method = method
        self.initial = initial
        self.shrinkage = shrinkage
        self.tightness = tightness
        self.decay = decay
        self.cross = cross
        self.own_lag = own_lag

    @classmethod
    def from_parameters(
        cls,
        coef: Any,
        mean: Any = 0.0,
        sigma: Any = 1.0,
        slope: Any = 0.0,
        initial: str | MultivariateNormal = "stationary",
    ) -> Self:
        """The process with known parameters, which needs no fit.

        Args:
            coef: A_1 ... A_p, [p, d, d]; a tensor stays one, and `log_prob` of tensors is then
                differentiable in it (so for the others).
            mean: the mean at t = 0, [d] or one number for all.
            sigma: the innovations' covariance [d, d], or their variances [d], or one for all.
            slope: the mean's slope, [d] or one number for all.
            initial: see the class.

        Example:
            >>> coef = [[[0.5, 0.1], [0.0, 0.3]]]
            >>> VAR.from_parameters(coef).sample(2, length=3, seed=1).shape
            (2, 3, 2)
        """
        coef, level, rise, noise = law_parameters(coef, mean, sigma, slope)
        numbers = [plain(part) for part in (coef, level, rise)]
        p, d = numbers[0].shape[:2]
        line = numbers[2].any() or (isinstance(rise, torch.Tensor) and rise.requires_grad)
        model = cls(p, "ct" if line else "c", initial=initial)
        model.coef_, model.mean_, model.slope_, model.sigma_ = coef, level, rise, noise
        model.intercept_, model.drift_ = recursion_form(*numbers)
        model.components_ = [f"y{i}" for i in range(1, d + 1)]
        model.space_ = RealVector(dimension=d)
        model._check_parameters(d)
        model._recursion()  # refuse what has no law at once
        return model

    # ---- fitting --------------------------------------------------------------------------------

    def _infer_space(self, data: Any) -> Space:
        return vector_space(data)

    def _fit(
        self, sequences: Sequences, *, validation: Sequences | None, context: torch.Tensor | None
    ) -> None:
        values = sequences.values.detach().cpu().numpy().astype(float)
        self._check_parameters(values.shape[1])
        names = component_names(sequences, values.shape[1])
        data = standardise(values, sequences.lengths.numpy(), self.trend, names)
        stationary = isinstance(self.initial, str) and self.initial == "stationary"
        if self.shrinkage is not None:
            found = self._shrunk(data, names, stationary)
        elif self.method == "mle" and stationary:
            found = by_exact_ml(data, self.order, names)
        else:
            found = by_regression(data, self.order, names)
        if stationary:
            _require_stationary(found.coef)
        self.components_ = names
        self._learn(found)
        with torch.no_grad():
            self.log_likelihood_ = float(self._log_prob(sequences, None).sum())
        self.n_observations_ = int((sequences.lengths - self.n_given).clamp(min=0).sum())

    def _shrunk(self, data: VectorData, names: list[str], stationary: bool) -> VectorEstimate:
        own_lag = self.own_lag
        if own_lag is None:
            own_lag = 0.0 if stationary else 1.0
        mean = vector(own_lag, "own_lag", len(names))
        prior = (self.tightness, float(self.decay), float(self.cross), mean)
        shrunk = shrink(data, self.order, str(self.shrinkage), *prior)
        self.tightness_ = shrunk.tightness
        self.log_marginal_likelihood_ = shrunk.log_marginal_likelihood
        self.effective_parameters_ = shrunk.effective
        return by_regression(data, self.order, names, shrunk.regression)

    @property
    def _n_parameters(self) -> float:
        return self.effective_parameters_ if self.shrinkage is not None else len(self.names_)

    def _learn(self, found: VectorEstimate) -> None:
        self.coef_, self.sigma_ = found.coef, found.sigma
        self.intercept_, self.drift_ = found.intercept, found.drift
        self.mean_, self.slope_ = found.mean, found.slope
        self.names_, self.estimates_ = found.names, found.values
        self.covariance_ = found.covariance

    def _check_parameters(self, dimension: int) -> None:
        check_integer("order", self.order, minimum=0)
        check_choice("trend", self.trend, _TRENDS)
        check_choice("method", self.method, tuple(_METHODS))
        check_shrinkage(self.shrinkage, self.tightness, self.decay, self.cross)
        check_initial(self.initial, self.order, dimension)

    # ---- the law --------------------------------------------------------------------------------

    @property
    def n_given(self) -> int:
        return self.order if isinstance(self.initial, str) and self.initial == "given" else 0

    @property
    def window_length(self) -> int:
        return self.order

    def _recursion(self) -> VectorRecursion:
        """The recursion of the parameters as they are now; built once for each."""
        if "coef_" not in self.__dict__:
            _ = self.space  # says that the model is not fitted
        parts = (self.coef_, self.mean_, self.slope_, self.sigma_, self.intercept_, self.drift_)
        if any(isinstance(part, torch.Tensor) for part in parts):
            return self._build()
        key = (*(part.tobytes() for part in parts), self.initial)
        cached = self.__dict__.get("_cached")
        if cached is None or cached[0] != key:
            self._cached = cached = (key, self._build())
        return cached[1]

    def _build(self) -> VectorRecursion:
        parts = (self.coef_, self.sigma_, self.mean_, self.slope_, self.intercept_, self.drift_)
        tensors = (torch.as_tensor(part, dtype=torch.float64) for part in parts)
        return recursion.build(self.initial, *tensors)

    def window(self, ctx: torch.Tensor, position: torch.Tensor) -> Distribution:
        return self._recursion().to(ctx.device).conditional(ctx, position)

    def _start(self, n: int, context: torch.Tensor | None) -> State:
        self._recursion()
        return VectorState(n)

    def _log_prob_terms(self, sequences: Sequences, context: torch.Tensor | None) -> torch.Tensor:
        x = sequences.values.to(torch.float64)
        law = self._recursion().to(x.device)
        return likelihood.log_prob_terms(x, sequences.lengths, law, self.n_given)

    def _predictive(self, state: State, horizon: int) -> Distribution | None:
        before, law = self._past(state)
        mean, covariance = simulation.marginals(before, state.lengths, law, horizon)
        return MultivariateNormal(mean, covariance, validate_args=False)

    def _joint(self, state: State, horizon: int) -> MultivariateNormal:
        """The law of the next `horizon` elements, element by element: event [horizon d]."""
        before, law = self._past(state)
        mean, factor = simulation.joint(before, state.lengths, law, horizon)
        return MultivariateNormal(mean, scale_tril=factor, validate_args=False)

    def _past(self, state: State) -> tuple[torch.Tensor, VectorRecursion]:
        if self.n_given:
            _ = state.conditional  # refuses a history shorter than what must be given
        return state.history.tail(self.order).detach(), self._recursion().detach()

    # ---- what was fitted ------------------------------------------------------------------------

    @property
    def _maximises_likelihood(self) -> bool:
        exact = self.method == "mle" or self.initial != "stationary"
        return exact and self.shrinkage is None

    def residuals(self, data: Any, *, standardised: bool = False) -> Any:
        """Each element less its mean given those before: the innovations.

        Args:
            data: sequences, as for `log_prob`.
            standardised: whiten each by the inverse Cholesky factor of its covariance (which is
                larger than sigma for the first elements of a stationary process).

        Returns:
            An array [T, d] for one sequence (a DataFrame keeps its index and columns), a list of
            them for several.
        """
        sequences = self.sequences(data)
        sequences.require_length(self.n_given)
        x = sequences.values.to(torch.float64)
        law = self._recursion().to(x.device)
        plain, white = likelihood.residuals(x, sequences.lengths, law, self.n_given)
        counts = sequences.lengths - self.n_given
        offsets = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
        rest = white if standardised else plain
        return sequences.form.per_element(rest, offsets, skip=self.n_given)

    def _described(self) -> tuple[str, list[tuple[str, str]]]:
        name = f"VAR({self.order})"
        facts = [("Components", str(len(self.components_)))]
        if "covariance_" not in self.__dict__:
            return name, facts
        conditional = self.method == "mle" and self.initial != "stationary"
        method = _METHODS["ols" if conditional else self.method]
        if self.shrinkage is not None:
            method = f"{self.shrinkage}, tightness {self.tightness_:.4g}"
        initial = self.initial if isinstance(self.initial, str) else "a normal distribution"
        return name, [*facts, ("Trend", self.trend), ("Method", method), ("Start", initial)]


def _require_stationary(coef: np.ndarray) -> None:
    largest = largest_modulus(coef)
    if not largest < 1:
        raise ParameterError(
            f"the estimated coefficients have a root of modulus {largest:.4g} (1 or more), so "
            "there is no stationary law for initial='stationary'. Use initial='given', or "
            "method='mle', whose estimates are always stationary."
        )
