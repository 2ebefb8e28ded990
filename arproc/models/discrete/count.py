"""CountAR: autoregressions of counts, INGARCH and log-linear."""

from __future__ import annotations

import math
from typing import Any, Literal, Self

import numpy as np
import torch
from torch.distributions import Distribution, NegativeBinomial, Poisson

from arproc.contract.sequences import Sequences
from arproc.contract.state import State
from arproc.errors import DataError, ParameterError, check_choice, check_integer
from arproc.inference.estimated import Estimated
from arproc.process import Process
from arproc.spaces import Count, Space

__all__ = ["CountAR"]


class CountAR(Estimated, Process):
    r"""Poisson or negative-binomial autoregression.

    The mean :math:`\lambda_t` of the next count is, with the identity link, that of an
    INGARCH(p, q) process (Ferland, Latour and Oraichi 2006):

    .. math::
        \lambda_t = \omega + \sum_{i=1}^p \alpha_i x_{t-i} + \sum_{j=1}^q \beta_j \lambda_{t-j}
        + \gamma' z_t, \quad \omega > 0, \; \alpha, \beta, \gamma \ge 0, \;
        \textstyle\sum \alpha + \sum \beta < 1,

    and with the log link that of the log-linear process (Fokianos and Tjostheim 2011), for
    :math:`\nu_t = \log \lambda_t`:

    .. math::
        \nu_t = \omega + \sum_i \alpha_i \log(1 + x_{t-i}) + \sum_j \beta_j \nu_{t-j}
        + \gamma' z_t, \quad |\alpha_i|, |\beta_j|, |\textstyle\sum \alpha + \sum \beta| < 1.

    What came before the first count has the mean `start_`, a constant: so the law is proper from
    the first element.

    Args:
        order: (p, q), or p alone.
        link: "identity" or "log".
        family: "poisson", or "negative_binomial" with variance
            :math:`\lambda + \text{dispersion} \, \lambda^2`.
        initial: "mean": all elements are scored, `start_` standing for those before; "given": the
            likelihood is of what follows the first p counts (as a regression on lags has it).
        start_mean: the mean that stands for what came before; None for the mean of the data.
        regressors: whether there are regressors z: then `context` [N, T, c] is needed on every
            call, future steps included; with the identity link none may be negative.

    Attributes:
        const_: omega.
        coef_: alpha, lag 1 first, float64 [p].
        feedback_: beta, lag 1 first, [q].
        regression_: gamma, [c].
        dispersion_: of the negative binomial; 0 for Poisson.
        start_: the mean before the first element.
        names_: the estimated parameters' names, in the order of `covariance_`.
        covariance_: inverse observed information; nan for what stands at a bound.
        log_likelihood_: `log_prob` of the data of `fit`, nats.
        converged_: whether the search stopped by itself.

    Example:
        >>> counts = [2, 3, 5, 4, 2, 1, 0, 1, 3, 4, 6, 5, 3, 2, 2, 1, 2, 4, 5, 3]
        >>> model = CountAR(order=(1, 0), initial="given").fit(counts)
        >>> round(model.const_, 2), model.coef_.round(2).tolist()
        (1.08, [0.65])
    """

    const_: float
    coef_: np.ndarray
    feedback_: np.ndarray
    regression_: np.ndarray
    dispersion_: float
    start_: float
    converged_: bool

    def __init__(
        self,
        order: int | tuple[int, int] = (1, 1),
        link: str = "identity",
        family: str = "poisson",
        initial: str = "mean",
        start_mean: float | None = None,
        regressors: bool = False,
    ) -> None:
        self.order = order
        self.link = link
        self.family = family
        self.initial = initial
        self.start_mean = start_mean
        self.regressors = regressors

    @classmethod
    def from_parameters(
        cls,
        const: float,
        coef: Any = (),
        feedback: Any = (),
        dispersion: float = 0.0,
        link: str = "identity",
        regression: Any = (),
        start_mean: float | None = None,
        initial: str = "mean",
    ) -> Self:
        """The process with known parameters, which needs no fit.

        Args:
            const: omega.
            coef: alpha, lag 1 first, [p].
            feedback: beta, lag 1 first, [q].
            dispersion: of the negative binomial; 0 for Poisson.
            link: "identity" or "log".
            regression: gamma, [c]; empty for no regressors.
            start_mean: the mean before the first element; None for the stationary mean without
                regressors (exact with the identity link; with the log link that of a series that
                stays where it is).
            initial: see the class.

        Example:
            >>> model = CountAR.from_parameters(1.0, [0.3], [0.4])
            >>> round(model.start_, 4), round(float(model.conditional([5]).mean), 4)
            (3.3333, 3.8333)
        """
        arrays = []
        for name, value in (("coef", coef), ("feedback", feedback), ("regression", regression)):
            array = np.atleast_1d(np.asarray(value, dtype=float))
            if array.ndim != 1 or not np.isfinite(array).all():
                raise ParameterError(f"{name} must be finite numbers in one row; got {value!r}.")
            arrays.append(array)
        lags = np.concatenate(arrays[:2])
        total = float(lags.sum())
        family = "negative_binomial" if dispersion else "poisson"
        if not math.isfinite(const) or not 0 <= dispersion < math.inf:
            raise ParameterError(
                f"const must be finite and dispersion 0 or more; got {const!r}, {dispersion!r}."
            )
        order = (len(arrays[0]), len(arrays[1]))
        model = cls(order, link, family, initial, start_mean, bool(len(arrays[2])))
        model._check_parameters()
        negative = (lags < 0).any() or (arrays[2] < 0).any()
        if link == "identity" and (const <= 0 or negative):
            raise ParameterError(
                "with the identity link const must be positive and no coefficient negative (else "
                f"a mean could be); got {const!r}, {lags.tolist()}."
            )
        if start_mean is None and not total < 1:
            raise ParameterError(
                f"the coefficients sum to {total:g} (1 or more), so there is no stationary mean; "
                "give start_mean."
            )
        model.const_, (model.coef_, model.feedback_, model.regression_) = float(const), arrays
        model.dispersion_ = float(dispersion)
        level = const / (1 - total) if start_mean is None else start_mean
        model.start_ = math.exp(level) if link == "log" and start_mean is None else float(level)
        model.space_ = Count()
        return model

    # ---- fitting --------------------------------------------------------------------------------

    def _infer_space(self, data: Any) -> Space:
        return Count()

    def _fit(
        self, sequences: Sequences, *, validation: Sequences | None, context: torch.Tensor | None
    ) -> None:
        from arproc.models.discrete.count_fit import CountData, fit

        p, q = self._check_parameters()
        skip = p if self.initial == "given" else 0
        sequences.require_length(skip + 1)
        counts = sequences.values.detach().cpu().numpy().astype(np.float64)
        mean = float(counts.mean())
        if mean == 0:
            raise DataError("data has no event at all (every count is 0); nothing can be fitted.")
        if p + q and (counts == counts[0]).all():
            raise DataError(
                "data is constant, so its dependence on the past is not determined; use "
                "order=(0, 0)."
            )
        self.start_ = mean if self.start_mean is None else float(self.start_mean)
        data = CountData(
            counts, _flat(context, sequences), sequences.offsets.numpy(), p, q,
            self.link == "log", self.family == "negative_binomial", self.start_, skip,
        )  # fmt: skip
        c = data.context.shape[1]
        names = ["const", *(f"alpha.L{i + 1}" for i in range(p))]
        names += [f"beta.L{j + 1}" for j in range(q)] + [f"gamma{z + 1}" for z in range(c)]
        names += ["dispersion"] * data.dispersed
        if data.n_terms <= len(names):
            raise DataError(
                f"data has {data.n_terms} element(s) to score; expected more than the "
                f"{len(names)} parameters. Lower order."
            )
        found = fit(data)
        theta = found.theta
        self.const_, self.coef_ = float(theta[0]), theta[1 : 1 + p].copy()
        self.feedback_ = theta[1 + p : 1 + p + q].copy()
        self.regression_ = theta[1 + p + q :].copy()
        self.dispersion_ = found.dispersion
        self.names_, self.covariance_ = names, found.covariance
        self.estimates_ = np.append(theta, found.dispersion) if data.dispersed else theta
        self.log_likelihood_, self.n_observations_ = found.log_likelihood, data.n_terms
        self.converged_ = found.converged

    def _check_parameters(self) -> tuple[int, int]:
        """The order (p, q), everything checked."""
        order = (self.order, 0) if isinstance(self.order, int) else self.order
        if not isinstance(order, (tuple, list)) or len(order) != 2:
            raise ParameterError(f"order must be (p, q) or p; got {self.order!r}.")
        p, q = (check_integer("order", part, minimum=0) for part in order)
        check_choice("link", self.link, ("identity", "log"))
        check_choice("family", self.family, ("poisson", "negative_binomial"))
        check_choice("initial", self.initial, ("mean", "given"))
        if self.start_mean is not None and not 0 < self.start_mean < math.inf:
            raise ParameterError(
                f"start_mean must be positive and finite; got {self.start_mean!r}."
            )
        return p, q

    # ---- the law --------------------------------------------------------------------------------

    @property
    def context_kind(self) -> Literal["steps"] | None:  # type: ignore[override]
        return "steps" if self.regressors else None

    @property
    def n_given(self) -> int:
        return self._check_parameters()[0] if self.initial == "given" else 0

    def _context(self, context: Any, n: int, length: int) -> torch.Tensor | None:
        prepared = super()._context(context, n, length)
        if prepared is None:
            return None
        if self.link == "identity" and bool((prepared < 0).any()):
            raise DataError(
                "context has negative values; with the identity link a mean could be negative: "
                "shift them, or use link='log'."
            )
        known = self.__dict__.get("regression_")
        if known is not None and "space_" in self.__dict__ and prepared.shape[2] != len(known):
            raise DataError(
                f"context has {prepared.shape[2]} regressor(s); expected {len(known)}, as fitted."
            )
        return prepared

    def law_at(self, predictor: torch.Tensor) -> Distribution:
        """The counts' distribution at some predictors (means, or their logarithms)."""
        log_rate = predictor if self.link == "log" else None
        if not self.dispersion_:
            rate = predictor if log_rate is None else log_rate.exp()
            return Poisson(rate, validate_args=False)
        log_rate = predictor.log() if log_rate is None else log_rate
        size = torch.full_like(predictor, 1 / self.dispersion_)
        logits = log_rate + math.log(self.dispersion_)
        return NegativeBinomial(size, logits=logits, validate_args=False)

    def _start(self, n: int, context: torch.Tensor | None) -> State:
        from arproc.models.discrete.count_state import CountState

        log = self.link == "log"
        lag = math.log1p(self.start_) if log else self.start_
        past = math.log(self.start_) if log else self.start_
        shapes = (n, len(self.coef_)), (n, len(self.feedback_))
        lags, before = (
            torch.full(shape, value, dtype=torch.float64)
            for shape, value in zip(shapes, (lag, past), strict=True)
        )
        return CountState(lags, before)

    def _log_prob_terms(self, sequences: Sequences, context: torch.Tensor | None) -> torch.Tensor:
        from arproc.models.discrete.count_fit import CountData

        counts = sequences.values.detach().cpu().numpy().astype(np.float64)
        data = CountData(
            counts, _flat(context, sequences), sequences.offsets.numpy(), len(self.coef_),
            len(self.feedback_), self.link == "log", self.dispersion_ > 0, self.start_,
            self.n_given,
        )  # fmt: skip
        parts = (self.coef_, self.feedback_, self.regression_)
        theta = np.concatenate([[self.const_], *parts])
        return torch.from_numpy(data.terms(theta, self.dispersion_))

    def _described(self) -> tuple[str, list[tuple[str, str]]]:
        p, q = self._check_parameters()
        facts = [("Link", self.link), ("Family", self.family.replace("_", " "))]
        if "covariance_" not in self.__dict__:
            given = [("const", f"{self.const_:g}"), ("coef", f"{self.coef_.tolist()}")]
            return f"CountAR({p}, {q})", [*facts, *given]
        return f"CountAR({p}, {q})", [*facts, ("Start", f"{self.initial} ({self.start_:.4g})")]


def _flat(context: torch.Tensor | None, sequences: Sequences) -> np.ndarray:
    """The regressors of every element, one after the other, [total, c]."""
    if context is None:
        return np.zeros((len(sequences.values), 0))
    rows = [context[i, :n] for i, n in enumerate(sequences.lengths.tolist())]
    return np.ascontiguousarray(torch.cat(rows).double().cpu().numpy())
