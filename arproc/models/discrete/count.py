"""CountAR: autoregressions of counts, INGARCH and log-linear."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, Literal, Self

import numpy as np
import torch

from arproc.contract.context import ContextForm
from arproc.contract.sequences import Sequences
from arproc.errors import (
    DataError,
    ParameterError,
    check_array,
    check_choice,
    check_integer,
    check_number,
)
from arproc.inference.estimated import Estimated
from arproc.models.discrete.count_fit import CountData, fit, flat_context
from arproc.models.discrete.count_law import CountARLaw
from arproc.process import Fit, Process
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
        regressors: "recursion" if there are regressors z: then `context` [N, T, c] is needed on
            every call, future steps included; with the identity link none may be negative.

    Attributes:
        intercept_: omega.
        coef_: alpha, lag 1 first, float64 [p].
        feedback_: beta, lag 1 first, [q].
        regression_: gamma, [c].
        dispersion_: of the negative binomial; 0 for Poisson.
        start_: the mean that stands for what came before the first count.
        names_: the estimated parameters' names, in the order of `covariance_`.
        covariance_: inverse observed information; nan for what stands at a bound.
        log_likelihood_: `log_prob` of the data of `fit`, nats.
        converged_: whether the search stopped by itself.

    Example:
        >>> counts = [2, 3, 5, 4, 2, 1, 0, 1, 3, 4, 6, 5, 3, 2, 2, 1, 2, 4, 5, 3]
        >>> model = CountAR(order=(1, 0), initial="given").fit(counts)
        >>> round(model.intercept_, 2), model.coef_.round(2).tolist()
        (1.08, [0.65])
    """

    law_: CountARLaw
    intercept_: float
    coef_: np.ndarray
    feedback_: np.ndarray
    regression_: np.ndarray
    dispersion_: float
    converged_: bool

    no_missing = (
        "CountAR takes none: the next rate depends on the missing count, so that what follows is "
        "a mixture over all counts that it may have been. "
        "Pass the pieces between the gaps as a list of series."
    )

    def __init__(
        self,
        order: int | tuple[int, int] = (1, 1),
        link: str = "identity",
        family: str = "poisson",
        initial: str = "mean",
        start_mean: float | None = None,
        regressors: str | None = None,
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
        intercept: float,
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
            intercept: omega.
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
        alpha, beta, gamma = (
            _row(name, value)
            for name, value in (("coef", coef), ("feedback", feedback), ("regression", regression))
        )
        lags = np.concatenate([alpha, beta])
        total = float(lags.sum())
        intercept = check_number("intercept", intercept)
        dispersion = check_number("dispersion", dispersion, low=0)
        parameters: dict[str, Any] = {
            "order": (len(alpha), len(beta)),
            "link": link,
            "family": "negative_binomial" if dispersion else "poisson",
            "initial": initial,
            "start_mean": start_mean,
            "regressors": "recursion" if len(gamma) else None,
        }
        model = cls(**parameters)
        model._check_parameters()
        negative = (lags < 0).any() or (gamma < 0).any()
        if link == "identity" and (intercept <= 0 or negative):
            raise ParameterError(
                "with the identity link intercept must be positive and no coefficient negative "
                f"(else a mean could be); got {intercept!r}, {lags.tolist()}."
            )
        if start_mean is None and not total < 1:
            raise ParameterError(
                f"the coefficients sum to {total:g} (1 or more), so there is no stationary mean; "
                "give start_mean."
            )
        level = intercept / (1 - total) if start_mean is None else start_mean
        if link == "log" and start_mean is None:
            level = math.exp(level)
        form = model._context_form()
        law = CountARLaw(
            float(intercept), alpha, beta, gamma, float(dispersion), float(level), link == "log",
            len(alpha) if initial == "given" else 0,
            None if form is None else replace(form, size=len(gamma)),
        )  # fmt: skip
        return cls.of(law, **parameters)

    # ---- fitting --------------------------------------------------------------------------------

    @property
    def context_kind(self) -> Literal["steps"] | None:  # type: ignore[override]
        return None if self.regressors is None else "steps"

    def _context_form(self) -> ContextForm | None:
        if self.regressors is None:
            return None
        return ContextForm("steps", least=0.0 if self.link == "identity" else None)

    def _infer_space(self, data: Any) -> Space:
        self._check_parameters()
        return Count()

    def _fit(
        self, sequences: Sequences, *, validation: Sequences | None, context: torch.Tensor | None
    ) -> tuple[CountARLaw, Fit]:
        p, q = self._check_parameters()
        skip = p if self.initial == "given" else 0
        sequences.require_length(skip + 1)
        longest = int(sequences.lengths.max())
        if p + q and longest <= max(p, 1):
            raise DataError(
                f"data is too short: the longest sequence has {longest} element(s), so its "
                f"dependence on the past is not determined; expected more than {max(p, 1)}. One "
                "series is an array [T]: [N, T] is N of them."
            )
        counts = sequences.values.detach().cpu().numpy().astype(np.float64)
        mean = float(counts.mean())
        if mean == 0:
            raise DataError("data has no event at all (every count is 0); nothing can be fitted.")
        if p + q and (counts == counts[0]).all():
            raise DataError(
                "data is constant, so its dependence on the past is not determined; use "
                "order=(0, 0)."
            )
        start = mean if self.start_mean is None else float(self.start_mean)
        data = CountData(
            counts, flat_context(context, sequences), sequences.offsets.numpy(), p, q,
            self.link == "log", self.family == "negative_binomial", start, skip,
        )  # fmt: skip
        c = data.context.shape[1]
        names = ["intercept", *(f"alpha.L{i + 1}" for i in range(p))]
        names += [f"beta.L{j + 1}" for j in range(q)] + [f"gamma{z + 1}" for z in range(c)]
        names += ["dispersion"] * data.dispersed
        if data.n_terms <= len(names):
            raise DataError(
                f"data has {data.n_terms} element(s) to score; expected more than the "
                f"{len(names)} parameters. Lower order."
            )
        found = fit(data)
        theta, form = found.theta, self._context_form()
        coef, feedback, regression = map(np.copy, np.split(theta[1:], [p, p + q]))
        law = CountARLaw(
            float(theta[0]), coef, feedback, regression, found.dispersion, start, data.log_link,
            skip, None if form is None else form.learnt(context),
        )  # fmt: skip
        return law, Fit(
            names=names,
            estimates=np.append(theta, found.dispersion) if data.dispersed else theta,
            covariance=found.covariance,
            log_likelihood=found.log_likelihood,
            n_observations=data.n_terms,
            notes={"converged": found.converged},
        )

    def _check_parameters(self) -> tuple[int, int]:
        """The order (p, q), everything checked."""
        order = (self.order, 0) if isinstance(self.order, (int, np.integer)) else self.order
        if not isinstance(order, (tuple, list)) or len(order) != 2:
            raise ParameterError(f"order must be (p, q) or p; got {self.order!r}.")
        p, q = (check_integer("order", part, minimum=0) for part in order)
        check_choice("link", self.link, ("identity", "log"))
        check_choice("family", self.family, ("poisson", "negative_binomial"))
        check_choice("initial", self.initial, ("mean", "given"))
        if self.regressors not in (None, "recursion"):
            raise ParameterError(
                "regressors must be None (there is no context) or 'recursion' (context enters the "
                f"recursion of the predictor); got {self.regressors!r}."
            )
        if self.start_mean is not None:
            check_number("start_mean", self.start_mean, above=0)
        return p, q

    # ---- what was fitted ------------------------------------------------------------------------

    @property
    def start_(self) -> float:
        """The mean that stands for what came before the first count."""
        return self.law_.start_mean

    def _described(self) -> tuple[str, list[tuple[str, str]]]:
        law = self.law_
        title = f"CountAR({len(law.coef)}, {len(law.feedback)})"
        family = "negative binomial" if law.dispersion else "poisson"
        facts = [("Link", "log" if law.log_link else "identity"), ("Family", family)]
        if self.parameters_are_given:
            given = [("intercept", f"{law.intercept:g}"), ("coef", f"{law.coef.tolist()}")]
            return title, [*facts, *given]
        initial = "given" if law.n_given else "mean"
        return title, [*facts, ("Start", f"{initial} ({law.start_mean:.4g})")]


def _row(name: str, value: Any) -> np.ndarray:
    """The user's coefficients, float64 [k], a copy."""
    array = np.atleast_1d(check_array(name, value))
    if array.ndim != 1 or not np.isfinite(array).all():
        raise ParameterError(f"{name} must be finite numbers in one row; got {value!r}.")
    return array
