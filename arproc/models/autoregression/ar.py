"""AR: the Gaussian autoregression of order p, exact in everything."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Self

import numpy as np
import torch
from torch.distributions import MultivariateNormal

from arproc.contract.checked import Array, Number
from arproc.contract.context import split_clock
from arproc.contract.sequences import Sequences
from arproc.errors import (
    DataError,
    ParameterError,
    UnsupportedError,
    check_array,
    check_choice,
    check_count,
    check_integer,
    check_list,
)
from arproc.gaussian.levinson import is_stationary, largest_root
from arproc.gaussian.terms import Terms, mean_form, recursion_form
from arproc.models.autoregression.analysis import Analysis
from arproc.models.autoregression.estimation import Estimate, estimate
from arproc.models.autoregression.law import ARLaw, plain
from arproc.models.autoregression.missing import estimate_observed
from arproc.models.autoregression.shrinkage import check_ridge
from arproc.process import Fit
from arproc.spaces import Real, Space

__all__ = ["AR", "as_lags", "fitted", "flat_regressors"]

#: No lag is longer: what is allocated for one would not fit into memory soon.
_MOST_LAGS = 2**20

_METHODS = {
    "mle": "exact maximum likelihood",
    "conditional-mle": "maximum likelihood given the first values",
    "ols": "least squares given the first values",
    "yule-walker": "Yule-Walker",
    "yule-walker-adjusted": "Yule-Walker, adjusted",
    "burg": "Burg",
}
_GIVEN = ("mle", "conditional-mle", "ols")  # the methods that need no stationary start


class AR(Analysis):
    r"""Gaussian autoregression of order p about a mean with trend, seasons and regressors.

    .. math::
        x_t = m(t) + y_t, \quad y_t = \sum_{i=1}^{p} \phi_i y_{t-i} + \epsilon_t, \quad
        \epsilon_t \sim N(0, \sigma^2), \quad m(t) = D_t \beta,

    with t counted from 0 at a sequence's first element and D_t the terms asked for: powers of t,
    seasonal dummies, Fourier terms, regressors. As a recursion of x itself:
    :math:`x_t = D_t \gamma + \sum_i \phi_i x_{t-i} + \epsilon_t`.
    Several sequences are independent draws from one law: `fit` pools them. NaN is a value that was
    not observed: likelihoods, fits by "mle" and forecasts are exactly those of what was.

    Args:
        order: how many past elements the next one depends on, 0 or more; or the lags themselves,
            as in [1, 2, 12].
        trend: "n" (mean 0), "c" (a constant mean), "ct" (a line) or "ctt" (a parabola).
        method: "mle", exact Gaussian maximum likelihood, always stationary (where `initial` is not
            "stationary" it is "conditional-mle"); "ols", least squares given the first p values
            of each sequence, and "conditional-mle", which for a Gaussian process is the same;
            "yule-walker", from the autocovariances divided by n, and "burg", from forward and
            backward prediction, both always stationary where no lag is left out;
            "yule-walker-adjusted", from autocovariances each divided by the number of its
            products.
        initial: the law of the first p elements. "stationary": their exact stationary one;
            "given": there is none, the likelihood is of what follows them, and samples continue a
            prefix (the only choice for unit or explosive roots, and for regressors in the
            recursion); or a `torch.distributions.MultivariateNormal` over p values.
        seasonal: the period of seasonal dummies, such as 12; by position in the sequence.
        fourier: {period: number of harmonics}, sines and cosines by position in the sequence.
        regressors: whether `context` [N, T, c] is taken, and what it means. "mean": its columns
            are part of m(t), which is regression with autoregressive errors (R's
            `arima(xreg=)`). "recursion": they are part of the recursion, whose past they then
            drive as well; the past before a sequence is not known, so `initial` must be "given"
            and `method` "ols", "conditional-mle" or "mle" (which then are the same).

        ridge: strength of a penalty that draws the coefficients of lags and regressors towards 0
            in least squares (`method` "ols", or given first values): the sum of squares of the
            standardised ones times this number is added to that of the residuals (so it counts in
            observations). "marginal" learns it by maximal marginal likelihood, "oos" by the
            one-step predictions of the last fifth of each sequence.

    Attributes:
        coef_: the coefficients, lag 1 first, 0 at lags left out, float64 [p].
        lags_: the lags whose coefficients were estimated, int64.
        intercept_: the recursion's constant.
        drift_: the recursion's coefficient of t.
        mean_: the mean at t = 0 but for the terms below; nan where a unit root leaves none.
        slope_: the mean's coefficient of t.
        terms_: the names of the further terms: "t^2", "s(2,12)" (the second of 12 seasons, beside
            the first where there is a constant), "sin(1,12)", "x1" (the first regressor).
        beta_: their coefficients in the mean (of regressors in the recursion, there).
        gamma_: their coefficients in the recursion; none of regressors in the mean.
        sigma2_: the innovation variance.
        log_likelihood_: `log_prob` of the data of `fit`, nats.
        n_observations_: of how many elements that is.
        names_: the estimated parameters' names, in the order of `covariance_`.
        covariance_: their covariance (inverse observed information for "mle"; under a penalty that
            of the posterior with the prior it stands for).
        ridge_: the strength of the penalty.
        n_effective_: the effective number of parameters, which criteria charge for.

    Example:
        >>> x = np.sin(np.arange(60.0)) + np.cos(np.arange(60.0) ** 2)
        >>> model = AR(order=2).fit(x)
        >>> model.coef_.round(2).tolist(), round(model.log_prob(x), 2)
        ([0.46, -0.38], -76.44)
        >>> model.forecast(x, horizon=2).shape
        (2, 4)
    """

    takes_missing = True

    coef_: np.ndarray
    lags_: Annotated[np.ndarray, Array("m", kind="whole", low=1)]
    intercept_: float
    drift_: float
    mean_: float
    slope_: float
    beta_: np.ndarray
    gamma_: np.ndarray
    sigma2_: float
    ridge_: Annotated[float, Number(low=0)]
    n_effective_: Annotated[float, Number(low=0)]
    _method_: Literal[
        "mle", "conditional-mle", "ols", "yule-walker", "yule-walker-adjusted", "burg"
    ]

    def __init__(
        self,
        order: int | Sequence[int],
        trend: str = "c",
        method: str = "mle",
        initial: Literal["stationary", "given"] | MultivariateNormal = "stationary",
        *,
        seasonal: int | None = None,
        fourier: Mapping[float, int] | None = None,
        regressors: Literal["mean", "recursion"] | None = None,
        ridge: float | str = 0.0,
    ) -> None:
        self.order = order
        self.trend = trend
        self.method = method
        self.initial = initial
        self.seasonal = seasonal
        self.fourier = fourier
        self.regressors = regressors
        self.ridge = ridge

    @classmethod
    def from_parameters(
        cls,
        coef: Any,
        mean: Any = 0.0,
        sigma2: Any = 1.0,
        slope: Any = 0.0,
        initial: Literal["stationary", "given"] | MultivariateNormal = "stationary",
        *,
        beta: Any = (),
        trend: str | None = None,
        seasonal: int | None = None,
        fourier: Mapping[float, int] | None = None,
        regressors: Literal["mean", "recursion"] | None = None,
    ) -> Self:
        """The process with known parameters, which needs no fit.

        Args:
            coef: the coefficients, lag 1 first, [p]; a tensor stays one, and `log_prob` of tensors
                is then differentiable in it (so for the others).
            mean: the mean at t = 0.
            sigma2: the innovation variance, positive.
            slope: the mean's slope.
            initial: see the class.
            beta: coefficients of the further terms in the mean, in the order of `terms_`, those of
                the regressors last.
            trend: "c", or "ct" where there is a slope, by default.
            seasonal: see the class.
            fourier: see the class.
            regressors: see the class.

        Example:
            >>> AR.from_parameters([0.5]).sample(2, length=3, seed=1).shape
            (2, 3)
            >>> weekly = AR.from_parameters([0.5], beta=[1.0, 0.0], fourier={7: 1})
            >>> weekly.terms_
            ['sin(1,7)', 'cos(1,7)']
        """
        coef, beta = _row("coef", coef), _row("beta", beta)
        for name, part in (("coef", coef), ("beta", beta)):
            if part.ndim != 1 or not bool((abs(part) < math.inf).all()):
                raise ParameterError(f"{name} must be finite numbers in one row; got {part!r}.")
        level, rise, noise = (float(plain(v)) for v in (mean, slope, sigma2))
        if not 0 < noise < math.inf:
            raise ParameterError(f"sigma2 must be positive and finite; got {sigma2!r}.")
        if trend is None:
            line = bool(rise) or (isinstance(slope, torch.Tensor) and slope.requires_grad)
            trend = "ct" if line else "c"
        parameters: dict[str, Any] = {
            "order": len(coef), "trend": trend, "initial": initial, "seasonal": seasonal,
            "fourier": fourier, "regressors": regressors,
        }  # fmt: skip
        cls(**parameters).check_parameters()
        terms = Terms.of(trend, seasonal, fourier)
        further = terms.n - terms.line
        if len(beta) < further or (len(beta) > further and regressors is None):
            raise ParameterError(
                f"beta has {len(beta)} numbers; expected {further} for {terms.names[-further:]}"
                f"{'' if regressors is None else ' and one for each regressor'}."
            )
        if (terms.n_trend < 2 and rise) or (terms.n_trend < 1 and level):
            raise ParameterError(f"trend {trend!r} has no mean or slope; leave them out.")
        variance, middle, rises = _scalar(sigma2), _scalar(mean), _scalar(slope)
        law = ARLaw(coef, variance, middle, rises, beta, terms, None, regressors, initial)
        _ = law.recursion  # refuse what has no law at once
        lags = np.arange(1, len(coef) + 1)
        return cls.of(law, Fit(notes={"lags": lags}), **parameters)

    # ---- fitting --------------------------------------------------------------------------------

    def _infer_space(self, data: Any) -> Space:
        return Real()

    def _fit(
        self, sequences: Sequences, *, validation: Sequences | None, context: torch.Tensor | None
    ) -> tuple[ARLaw, Fit]:
        self.check_parameters()
        conditional = self.method == "mle" and self.initial != "stationary"
        method = "conditional-mle" if conditional else self.method
        values = sequences.values.detach().cpu().numpy().astype(float)
        given_x, start = split_clock(context, self._width(context))
        regressors = None if given_x is None else flat_regressors(given_x, sequences.lengths)
        first = None if start is None else start.numpy()
        lengths, lags, terms = sequences.lengths.numpy(), as_lags(self.order), self._terms
        in_mean = self.regressors != "recursion"
        if sequences.missing:
            self._require_exact()
            given = int(lags.max(initial=0)) if method == "conditional-mle" else 0
            found = estimate_observed(
                values, lengths, lags, terms, given, regressors, in_mean, first
            )
        else:
            found = estimate(
                values, lengths, lags, terms, method, regressors, in_mean, self.ridge, first
            )
        if isinstance(self.initial, str) and self.initial == "stationary":
            _require_stationary(found)
        law = self._law_of(found)
        with torch.no_grad():
            log_likelihood = float(law.log_prob(sequences, context).sum())
        seen = int(sequences.n_scored(law.n_given).sum())
        return law, self._fit_of(found, log_likelihood, seen)

    def _width(self, context: torch.Tensor | None) -> int:
        """How many columns of the context of `fit` are regressors; one more may be the clock."""
        if context is None or self.regressors is None:
            return 0
        return context.shape[-1] - self._counts_time

    def _law_of(self, found: Estimate) -> ARLaw:
        return ARLaw.of_terms(
            found.coef, found.sigma2, self._terms, found.beta, found.gamma, self.regressors,
            self.initial,
        )  # fmt: skip

    def _fit_of(self, found: Estimate, log_likelihood: float, n_observations: int) -> Fit:
        notes = {
            "lags": as_lags(self.order), "method": self.method, "ridge": found.strength,
            "n_effective": found.effective,
        }  # fmt: skip
        return Fit(
            names=found.names, estimates=found.values, covariance=found.covariance,
            log_likelihood=log_likelihood, n_observations=n_observations, notes=notes,
        )  # fmt: skip

    def _require_exact(self) -> None:
        if self.method not in ("mle", "conditional-mle") or self.ridge:
            shrunk = f" with ridge={self.ridge!r}" if self.ridge else ""
            raise DataError(
                f"data has missing values (NaN), which method={self.method!r}{shrunk} does not "
                "take. Use method='mle', which is exact with them, or fill or cut the gaps first."
            )
        if isinstance(self.initial, MultivariateNormal):
            raise DataError(
                "data has missing values (NaN), which are fitted with initial='stationary' or "
                "'given'; with a distribution of one's own they are not."
            )

    def check_parameters(self) -> None:
        """Raise `ParameterError` where the constructor's arguments are wrong or do not fit."""
        lags = as_lags(self.order)
        order = lags.max(initial=0)
        _ = self._terms
        check_choice("method", self.method, tuple(_METHODS))
        if self.method == "burg" and len(lags) < order:
            raise ParameterError(
                f"method 'burg' has no form that leaves out lags; got order={self.order!r}. Use "
                "'mle', 'ols' or 'yule-walker'."
            )
        if isinstance(self.initial, MultivariateNormal):
            shape = tuple(self.initial.batch_shape + self.initial.event_shape)
            if shape != (order,):
                raise ParameterError(
                    f"initial must be a distribution of the first {order} values; got a "
                    f"MultivariateNormal of shape {shape}."
                )
        elif not isinstance(self.initial, str) or self.initial not in ("stationary", "given"):
            raise ParameterError(
                "initial must be 'stationary', 'given' or a torch MultivariateNormal over the "
                f"first values; got {self.initial!r}."
            )
        if self.regressors is not None:
            self._check_regressors()
        check_ridge(self.ridge)
        shrunk = isinstance(self.ridge, str) or self.ridge > 0
        exact = self.method == "mle" and self.initial == "stationary"
        if shrunk and (exact or self.method not in _GIVEN or self.regressors == "mean"):
            raise ParameterError(
                f"ridge shrinks a least-squares fit of the recursion; got ridge={self.ridge!r} "
                f"with method={self.method!r}, initial={self.initial!r}, regressors="
                f"{self.regressors!r}. Use method='ols', and regressors='recursion' if any."
            )

    def _check_regressors(self) -> None:
        check_choice("regressors", self.regressors, ("mean", "recursion"))
        if self.regressors == "mean" and isinstance(self.initial, MultivariateNormal):
            raise ParameterError(
                "initial can not be a distribution of the first values where regressors='mean' "
                "move their mean; use 'stationary' or 'given'."
            )
        if self.regressors == "recursion" and self.initial == "stationary":
            raise ParameterError(
                "initial must be 'given' where regressors='recursion': the regressors before a "
                "sequence are not known, so its first values have no law. (With "
                "regressors='mean', regression with autoregressive errors, they have one.)"
            )
        if self.regressors == "recursion" and self.method not in _GIVEN:
            raise ParameterError(
                f"method must be 'ols' where regressors='recursion'; got {self.method!r}, which "
                "estimates a process about its mean."
            )

    @property
    def _terms(self) -> Terms:
        return Terms.of(self.trend, self.seasonal, self.fourier)

    @property
    def context_kind(self) -> Any:  # type: ignore[override]
        return None if self.regressors is None else "steps"

    @property
    def _counts_time(self) -> bool:
        return self._terms.counts_time

    # ---- what was fitted ------------------------------------------------------------------------

    def residuals(
        self, data: Any, *, standardised: bool = False, context: Any = None, offset: Any = None
    ) -> Any:
        """Each element less its mean given those before: the innovations; NaN of a missing one.

        Args:
            data: sequences, as for `log_prob`.
            standardised: divide each by its standard deviation (which is larger than sigma for
                the first elements of a stationary process).
            context: the regressors, as for `log_prob`.
            offset: at which step the data begin, as for `log_prob`.

        Returns:
            An array [T] for one sequence (a Series keeps its index), a list of them for several.
        """
        law, sequences = self.law_, self.sequences(data, missing=True)
        longest = int(sequences.lengths.max())
        prepared = self.read_context(context, sequences, longest, offset)
        if law.n_given:
            sequences.split_prefix(law.n_given)
        rest, variances = law.innovations(sequences, prepared)
        if standardised:
            rest = rest / variances.sqrt()
        counts = sequences.lengths - law.n_given
        offsets = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
        return sequences.form.per_element(rest, offsets, skip=law.n_given)

    @property
    def terms_(self) -> list[str]:
        """The names of the further terms; of regressors as the context of `fit` named them."""
        return self.fit_.labels.renamed(self.law_.terms)

    @property
    def _n_parameters(self) -> float:
        return self.n_effective_

    @property
    def _method(self) -> str:
        """The method by which it was fitted."""
        return str(self.fit_.notes["method"])

    @property
    def _is_exact(self) -> bool:
        """Whether the estimates are those of the likelihood of every element."""
        return self._method == "mle" and self.law_.initial == "stationary"

    @property
    def _maximises_likelihood(self) -> bool:
        exact = self._method == "mle" or self.law_.initial != "stationary"
        return self._method in _GIVEN and exact and not self.ridge_

    def _moved(self, estimates: np.ndarray) -> Self:
        law, lags, method = self.law_, self.lags_, self._method
        if method not in _GIVEN or self.ridge_:
            shrunk = " with a ridge" if self.ridge_ else ""
            raise UnsupportedError(
                f"estimates by method={method!r}{shrunk} maximise no likelihood, so they "
                "have no scores: their covariance is of kind 'hessian' only. Use method='mle'."
            )
        terms, coef = law.design, self.coef_.copy()
        level = estimates[: len(estimates) - len(lags) - 1]
        coef[lags - 1] = estimates[len(level) : -1]
        if self._is_exact or law.regressors == "mean":
            beta, drive = level, recursion_form(coef, level[: terms.n], terms)
        else:
            beta = np.concatenate([mean_form(coef, level[: terms.n], terms), level[terms.n :]])
            drive = level
        initial = law.initial if self._is_exact else "given"
        moved = ARLaw.of_terms(
            coef, float(estimates[-1]), terms, beta, drive, law.regressors, initial
        )
        return self.of(moved, self.fit_, **self.get_params(deep=False))

    def _described(self) -> tuple[str, list[tuple[str, str]]]:
        law, lags = self.law_, self.fit_.notes.get("lags", range(1, self.law_.order + 1))
        name = f"AR({law.order})"
        if len(lags) < law.order:
            name = f"AR({[int(lag) for lag in lags]})"  # a list of lags shows as one
        if self.fit_.covariance is None:
            return name, [("coef", f"{plain(law.coef).tolist()}")]
        conditional = self._method == "mle" and not self._is_exact
        method = _METHODS["conditional-mle" if conditional else self._method]
        initial = law.initial if isinstance(law.initial, str) else "a normal distribution"
        facts = [("Trend", law.design.trend), ("Method", method), ("Start", initial)]
        if self.ridge_:
            facts.append(("Ridge", f"{self.ridge_:.4g} ({self.n_effective_:.4g} effective)"))
        return name, facts


def fitted(settings: AR, found: Estimate, log_likelihood: float, n_observations: int) -> AR:
    """The model that a fit with these settings leaves, where the estimate was made elsewhere.

    Args:
        settings: an AR, which stays as it is.
        found: the estimate.
        log_likelihood: of the data, nats.
        n_observations: of how many elements that is.
    """
    fit = settings._fit_of(found, log_likelihood, n_observations)
    return AR.of(settings._law_of(found), fit, **settings.get_params(deep=False))


def as_lags(order: Any) -> np.ndarray:
    """The lags of a user's `order`: 1 to that many, or those listed, int64 [k], increasing.

    Example:
        >>> as_lags(3).tolist(), as_lags([12, 1]).tolist()
        ([1, 2, 3], [1, 12])
    """
    plain = not isinstance(order, (list, tuple, np.ndarray))
    listed = [check_count("order", order, minimum=0)] if plain else check_list("order", order)
    lags = listed if plain else [check_integer("a lag in order", k, minimum=1) for k in listed]
    if max(lags, default=0) > _MOST_LAGS:
        raise ParameterError(
            f"order reaches {max(lags)} steps back; expected at most {_MOST_LAGS}."
        )
    if plain:
        return np.arange(1, lags[0] + 1)
    if len(set(lags)) < len(lags):
        raise ParameterError(f"order must list each lag once; got {listed!r}.")
    return np.array(sorted(lags), dtype=np.int64)


def flat_regressors(context: torch.Tensor, lengths: torch.Tensor) -> np.ndarray:
    """The regressors of every element, [N, T, c] to [total, c]."""
    inside = torch.arange(context.shape[1]) < lengths[:, None]
    return context.detach().cpu()[inside].double().numpy()


def _row(name: str, values: Any) -> Any:
    """Numbers as a float array [k]; a tensor stays one."""
    return values if isinstance(values, torch.Tensor) else np.atleast_1d(check_array(name, values))


def _scalar(value: Any) -> Any:
    """One number as a float; a tensor stays one."""
    return value if isinstance(value, torch.Tensor) else float(value)


def _require_stationary(found: Estimate) -> None:
    if not is_stationary(found.coef):
        raise ParameterError(
            f"the estimated coefficients {found.coef.round(4).tolist()} have a root of modulus "
            f"{largest_root(found.coef):.4g} (1 or more), so there is no stationary law for "
            "initial='stationary'. Use initial='given', or method='mle' or 'yule-walker', whose "
            "estimates are always stationary."
        )
