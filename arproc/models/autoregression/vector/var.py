"""VAR: the Gaussian vector autoregression of order p, exact in everything."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal, Self

import numpy as np
import torch
from torch.distributions import MultivariateNormal

from arproc.contract.checked import Number
from arproc.contract.context import split_clock
from arproc.contract.sequences import Sequences
from arproc.errors import DataError, ParameterError, check_choice, check_integer
from arproc.gaussian.companion import largest_modulus
from arproc.models.autoregression.ar import flat_regressors
from arproc.models.autoregression.filtering import refuse_given
from arproc.models.autoregression.vector.analysis import VectorAnalysis
from arproc.models.autoregression.vector.estimation import (
    VectorEstimate,
    by_likelihood,
    by_regression,
    recursion_form,
)
from arproc.models.autoregression.vector.inputs import (
    check_initial,
    check_regressors,
    component_names,
    default_names,
    law_parameters,
    plain,
    regressor_weights,
    vector,
    vector_space,
)
from arproc.models.autoregression.vector.law import VARLaw
from arproc.models.autoregression.vector.regression import VectorData, standardise
from arproc.models.autoregression.vector.shrinkage import Shrunk, check_shrinkage, shrink
from arproc.process import Fit, Process
from arproc.spaces import Space

__all__ = ["VAR"]

_TRENDS = ("n", "c", "ct")
_METHODS = {"mle": "exact maximum likelihood", "ols": "least squares given the first values"}
_GIVEN = "maximum likelihood given the first values"


class VAR(VectorAnalysis, Process):
    r"""Gaussian vector autoregression of order p about a constant or a line, with regressors.

    .. math::
        x_t = m(t) + y_t, \quad y_t = \sum_{i=1}^{p} A_i y_{t-i} + \epsilon_t, \quad
        \epsilon_t \sim N(0, \Sigma), \quad m(t) = \text{mean} + \text{slope} \, t + B u_t,

    with t counted from 0 at a sequence's first element; as a recursion of x itself
    :math:`x_t = \text{intercept} + \text{drift} \, t + \sum_i A_i x_{t-i} + \epsilon_t`. One
    element is a vector of d components: a DataFrame is time down and components across. Several
    sequences are independent draws from one law, and `fit` pools them. Components may be missing
    (NaN): the likelihood is then the exact one of what was observed.

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
        regressors: whether `context` [N, T, c] is taken, and what it means, as for `AR`. "mean":
            its columns u_t are part of m(t), which is regression with vector autoregressive
            errors. "recursion": :math:`B u_t` is added to the recursion instead (VARX), whose past
            they then drive as well; the past before a sequence is not known, so `initial` must not
            be "stationary".

    Attributes:
        coef_: A_1 ... A_p, float64 [p, d, d]; row a holds component a's equation.
        intercept_: the recursion's constants [d].
        drift_: the recursion's coefficients of t [d].
        mean_: the mean at t = 0 [d]; nan where a unit root leaves none.
        slope_: the mean's slope [d].
        terms_: the names of the regressors, "x1" where they have none.
        beta_: B, their coefficients in the mean or in the recursion [d, c].
        sigma_: the innovations' covariance (maximum likelihood: divided by their number) [d, d].
        components_: the components' names.
        tightness_: the tightness used, where one shrinks.
        log_marginal_likelihood_: then that of the data given the first p values, nats (up to a
            constant, the same for all tightnesses, where there is a trend).
        log_likelihood_: `log_prob` of the data of `fit`, nats.
        n_observations_: of how many elements that is.
        names_: the estimated parameters' names, in the order of `covariance_`: by equations,
            "L1.b.a" being component b's weight, one step ago, in component a's equation, and
            "x1.a" the first regressor's.
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

    takes_missing = True

    beta_: np.ndarray
    tightness_: Annotated[float, Number(above=0)]
    log_marginal_likelihood_: Annotated[float, Number()]
    effective_parameters_: Annotated[float, Number(low=0)]
    _trend_: Literal["n", "c", "ct"]
    _method_: str
    _missing_: Annotated[int, Number(low=0)]
    _maximises_likelihood_: bool

    def __init__(
        self,
        order: int,
        trend: str = "c",
        method: str = "mle",
        initial: Literal["stationary", "given"] | MultivariateNormal = "stationary",
        *,
        shrinkage: str | None = None,
        tightness: float | None = None,
        decay: float = 1.0,
        cross: float = 1.0,
        own_lag: float | Sequence[float] | None = None,
        regressors: Literal["mean", "recursion"] | None = None,
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
        self.regressors = regressors

    @classmethod
    def from_parameters(
        cls,
        coef: Any,
        mean: Any = 0.0,
        sigma: Any = 1.0,
        slope: Any = 0.0,
        initial: Literal["stationary", "given"] | MultivariateNormal = "stationary",
        *,
        beta: Any = None,
        regressors: Literal["mean", "recursion"] | None = None,
    ) -> Self:
        """The process with known parameters, which needs no fit.

        Args:
            coef: A_1 ... A_p, [p, d, d]; a tensor stays one, and `log_prob` of tensors is then
                differentiable in it (so for the others).
            mean: the mean at t = 0, [d] or one number for all.
            sigma: the innovations' covariance [d, d], or their variances [d], or one for all.
            slope: the mean's slope, [d] or one number for all.
            initial: see the class.
            beta: coefficients of the regressors, [d, c].
            regressors: see the class.

        Example:
            >>> coef = [[[0.5, 0.1], [0.0, 0.3]]]
            >>> VAR.from_parameters(coef).sample(2, length=3, seed=1).shape
            (2, 3, 2)
        """
        coef, level, rise, noise = law_parameters(coef, mean, sigma, slope)
        p, d = coef.shape[:2]
        check_initial(initial, p, d)
        check_regressors(regressors, initial)
        weights = regressor_weights(beta, regressors, d)
        line = plain(rise).any() or (isinstance(rise, torch.Tensor) and rise.requires_grad)
        constants = recursion_form(plain(coef), plain(level), plain(rise))
        law = VARLaw(coef, noise, level, rise, *constants, initial, weights, regressors)
        _ = law.recursion  # refuse what has no law at once
        trend = "ct" if line else "c"
        fit = Fit(notes={"components": default_names(d), "trend": trend})
        return cls.of(law, fit, order=p, trend=trend, initial=initial, regressors=regressors)

    # ---- fitting --------------------------------------------------------------------------------

    @property
    def _counts_time(self) -> bool:
        return self.trend == "ct"

    def _infer_space(self, data: Any) -> Space:
        return vector_space(data)

    def _fit(
        self, sequences: Sequences, *, validation: Sequences | None, context: torch.Tensor | None
    ) -> tuple[VARLaw, Fit]:
        values = sequences.values.detach().cpu().numpy().astype(float)
        self._check_parameters(values.shape[1])
        names = component_names(sequences, values.shape[1])
        given, first = split_clock(context, self._width(context))
        data = standardise(
            values, sequences.lengths.numpy(), self.trend, names,
            None if given is None else flat_regressors(given, sequences.lengths),
            None if first is None else first.numpy(),
        )  # fmt: skip
        found, notes = self._estimated(data, names, sequences)
        if self._is_stationary:
            _require_stationary(found.coef)
        law = VARLaw(
            found.coef, found.sigma, found.mean, found.slope, found.intercept, found.drift,
            self.initial, None if self.regressors is None else found.beta, self.regressors,
        )  # fmt: skip
        with torch.no_grad():
            log_likelihood = float(law.log_prob(sequences, context).sum())
        notes |= {
            "missing": int(np.isnan(values).sum()),
            "components": names,
            "trend": self.trend,
        }
        return law, Fit(
            names=found.names,
            estimates=found.values,
            covariance=found.covariance,
            log_likelihood=log_likelihood,
            n_observations=int(sequences.n_scored(law.n_given).sum()),
            notes=notes,
        )

    def _width(self, context: torch.Tensor | None) -> int:
        """How many columns of the context of `fit` are regressors; one more may be the clock."""
        if context is None or self.regressors is None:
            return 0
        return context.shape[-1] - self._counts_time

    @property
    def _is_stationary(self) -> bool:
        return isinstance(self.initial, str) and self.initial == "stationary"

    def _estimated(
        self, data: VectorData, names: list[str], sequences: Sequences
    ) -> tuple[VectorEstimate, dict[str, Any]]:
        """The estimate, and what is to be told of it."""
        stationary, in_mean = self._is_stationary, self.regressors == "mean"
        exact = self.method == "mle" and stationary
        if sequences.missing:
            self._check_gaps(sequences)
        if self.shrinkage is not None:
            shrunk = self._shrunk(data, len(names), stationary)
            found = by_regression(data, self.order, names, shrunk.regression)
            return found, {
                "tightness": shrunk.tightness,
                "log_marginal_likelihood": shrunk.log_marginal_likelihood,
                "effective_parameters": shrunk.effective,
                "method": f"{self.shrinkage}, tightness {shrunk.tightness:.4g}",
                "maximises_likelihood": False,
            }
        # given the first values, least squares maximises
        notes = {"method": _METHODS["mle"], "maximises_likelihood": exact or not stationary}
        if exact:
            return by_likelihood(data, self.order, names), notes
        if in_mean or sequences.missing:
            notes["method"] = _GIVEN
            return by_likelihood(data, self.order, names, given=True, in_mean=in_mean), notes
        notes["method"] = _METHODS["ols"]
        return by_regression(data, self.order, names), notes

    def _check_gaps(self, sequences: Sequences) -> None:
        """Raise `DataError` where missing values can not be fitted with, or are given ones."""
        if self.method != "mle" or not isinstance(self.initial, str) or self.shrinkage is not None:
            raise DataError(
                "data has missing values (NaN), which a VAR is fitted with by maximum "
                f"likelihood; got method={self.method!r}, initial={self.initial!r}, shrinkage="
                f"{self.shrinkage!r}. Use method='mle' with initial='stationary' or 'given' and "
                "no shrinkage, or fill or cut the gaps first."
            )
        if self._is_stationary:
            return
        for begin, length in zip(
            sequences.offsets.tolist(), sequences.lengths.tolist(), strict=False
        ):
            if bool(torch.isnan(sequences.values[begin : begin + min(self.order, length)]).any()):
                refuse_given(self.order)

    def _shrunk(self, data: VectorData, dimension: int, stationary: bool) -> Shrunk:
        own_lag = self.own_lag
        if own_lag is None:
            own_lag = 0.0 if stationary else 1.0
        mean = vector(own_lag, "own_lag", dimension)
        prior = (self.tightness, float(self.decay), float(self.cross), mean)
        return shrink(data, self.order, str(self.shrinkage), *prior)

    def _check_parameters(self, dimension: int) -> None:
        check_integer("order", self.order, minimum=0)
        check_choice("trend", self.trend, _TRENDS)
        check_choice("method", self.method, tuple(_METHODS))
        check_shrinkage(self.shrinkage, self.tightness, self.decay, self.cross)
        check_initial(self.initial, self.order, dimension)
        check_regressors(self.regressors, self.initial)
        if self.shrinkage is not None and self.regressors == "mean":
            raise ParameterError(
                f"shrinkage is of the recursion's coefficients; got shrinkage={self.shrinkage!r} "
                "with regressors='mean'. Use regressors='recursion' with initial='given'."
            )

    @property
    def context_kind(self) -> Any:  # type: ignore[override]
        return None if self.regressors is None else "steps"

    # ---- what was fitted ------------------------------------------------------------------------

    @property
    def _n_parameters(self) -> float:
        effective: float | None = self.fit_.notes.get("effective_parameters")
        return len(self.names_) if effective is None else effective

    @property
    def _maximises_likelihood(self) -> bool:
        return bool(self.fit_.notes.get("maximises_likelihood"))

    @property
    def terms_(self) -> list[str]:
        """The names of the regressors, as the context of `fit` named them."""
        return self.fit_.labels.renamed(self.law_.terms)

    def residuals(
        self, data: Any, *, standardised: bool = False, context: Any = None, offset: Any = None
    ) -> Any:
        """Each element less its mean given those before: the innovations; NaN of what is missing.

        Args:
            data: sequences, as for `log_prob`.
            standardised: whiten each by the inverse Cholesky factor of its covariance (which is
                larger than sigma for the first elements of a stationary process).
            context: the regressors, as for `log_prob`.
            offset: at which step the data begin, as for `log_prob`.

        Returns:
            An array [T, d] for one sequence (a DataFrame keeps its index and columns), a list of
            them for several.
        """
        law, sequences = self.law_, self.sequences(data, missing=True)
        sequences.require_length(law.n_given)
        longest = int(sequences.lengths.max())
        prepared = self.read_context(context, sequences, longest, offset)
        plain, white = law.residuals(sequences, prepared)
        counts = sequences.lengths - law.n_given
        offsets = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
        rest = white if standardised else plain
        return sequences.form.per_element(rest, offsets, skip=law.n_given)

    def _described(self) -> tuple[str, list[tuple[str, str]]]:
        law, notes = self.law_, self.fit_.notes
        facts = [("Components", str(law.space.dimension))]
        if self.fit_.covariance is not None:
            initial = law.initial if isinstance(law.initial, str) else "a normal distribution"
            facts += [("Trend", notes["trend"]), ("Method", notes["method"]), ("Start", initial)]
            if law.regressors is not None:
                facts.append(("Regressors", f"{', '.join(self.terms_)}, in the {law.regressors}"))
            if notes.get("missing"):
                facts.append(("Missing", f"{notes['missing']} numbers, by an exact filter"))
        return f"VAR({law.order})", facts


def _require_stationary(coef: np.ndarray) -> None:
    largest = largest_modulus(coef)
    if not largest < 1:
        raise ParameterError(
            f"the estimated coefficients have a root of modulus {largest:.4g} (1 or more), so "
            "there is no stationary law for initial='stationary'. Use initial='given', or "
            "method='mle', whose estimates are always stationary."
        )
