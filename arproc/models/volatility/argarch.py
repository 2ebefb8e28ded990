"""ARGARCH: autoregressions with heavy-tailed innovations and conditional variances."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, Literal, Self

import numpy as np
import torch

from arproc.contract.sequences import Sequences
from arproc.errors import ParameterError, check_choice, check_integer, check_number, check_numbers
from arproc.inference.estimated import Estimated
from arproc.models.volatility import innovations as laws
from arproc.models.volatility.estimation import estimate
from arproc.models.volatility.law import ARGARCHLaw
from arproc.process import Fit, Process
from arproc.spaces import Real, Space

__all__ = ["ARGARCH"]

_TRENDS = {"n": 0, "c": 1, "ct": 2}
_VOLATILITIES = {"constant": (0, 0, 0), "arch": (1, 0, 0), "garch": (1, 0, 1), "gjr": (1, 1, 1)}
_COVARIANCES = ("robust", "observed")


class ARGARCH(Estimated, Process):
    r"""Autoregression of order p whose innovations have a law and a variance of their own.

    .. math::
        x_t = c + \sum_{i=1}^{p} \phi_i x_{t-i} + \epsilon_t, \quad \epsilon_t = \sqrt{h_t} z_t,
        \quad
        h_t = \omega + \sum_i \alpha_i \epsilon_{t-i}^2
              + \sum_i \gamma_i \epsilon_{t-i}^2 [\epsilon_{t-i} < 0] + \sum_k \beta_k h_{t-k},

    the z independent with mean 0 and variance 1. The law begins after the first p elements
    (`n_given`): there is no stationary law in closed form. For the squares and variances before
    the first innovation stands `backcast_`, a number that `fit` takes from the data (the mean of
    the first 75 squared residuals of least squares, weighted by powers of 0.94; half of it for
    the squares of falls), so that the law of any other sequence is proper too. `fit` is joint
    maximum likelihood; several sequences are pooled.

    Args:
        order: p, how many past elements the mean depends on.
        innovations: the law of z: "normal", "student_t", "laplace" or "mixture" (of normals,
            which may be skewed), its parameters estimated too.
        volatility: "constant" (h is omega), "arch" (Engle 1982), "garch" (Bollerslev 1986) or
            "gjr" (Glosten, Jagannathan and Runkle 1993).
        trend: the mean's constant part: "n" (none), "c" (c) or "ct" (c + drift t).
        volatility_order: how many alpha, gamma and beta there are; (1, 0, 0) for "arch",
            (1, 0, 1) for "garch" and (1, 1, 1) for "gjr" by default.
        components: how many normals a mixture has.
        covariance_kind: of the estimates' covariance: "robust" (Bollerslev and Wooldridge 1992)
            or "observed" (inverse information). Laplace's likelihood has kinks: there it is the
            inverse of the scores' products.

    Attributes:
        coef_: phi, lag 1 first, [p].
        intercept_: the recursion's constant.
        drift_: the recursion's coefficient of t.
        omega_: the variance's constant.
        alpha_: of squared innovations, lag 1 first.
        gamma_: of those that were negative.
        beta_: of past variances.
        backcast_: the square and variance before the first innovation.
        nu_: degrees of freedom ("student_t").
        weights_: of the normals ("mixture"), [components].
        means_: theirs, of standardised innovations.
        scales_: their standard deviations.
        log_likelihood_: `log_prob` of the data of `fit`, nats.
        n_observations_: of how many elements that is.
        names_: the estimated parameters' names, in the order of `covariance_`.
        covariance_: their covariance; nan for parameters on a bound.

    Example:
        >>> true = ARGARCH.from_parameters([0.2], omega=0.1, alpha=[0.1], beta=[0.8])
        >>> x = true.sample(1, 500, prefix=[0.0], seed=1)[0]
        >>> model = ARGARCH(1, "student_t").fit(x)
        >>> model.names_
        ['intercept', 'ar.L1', 'omega', 'alpha.L1', 'beta.L1', 'nu']
        >>> model.conditional_volatility(x).shape
        (499,)
    """

    law_: ARGARCHLaw
    coef_: np.ndarray
    intercept_: float
    drift_: float
    omega_: float
    alpha_: np.ndarray
    gamma_: np.ndarray
    beta_: np.ndarray
    backcast_: float
    nu_: float
    weights_: np.ndarray
    means_: np.ndarray
    scales_: np.ndarray
    _trend_: Literal["n", "c", "ct"]
    _covariance_kind_: Literal["robust", "observed"]

    no_missing = (
        "ARGARCH takes none: the next variance depends on the square of the missing innovation, "
        "so that what follows has no likelihood in closed form. "
        "Pass the pieces between the gaps as a list, or use AR, which is exact with them."
    )

    def __init__(
        self,
        order: int = 1,
        innovations: str = "normal",
        volatility: str = "garch",
        trend: str = "c",
        *,
        volatility_order: tuple[int, int, int] | None = None,
        components: int = 2,
        covariance_kind: str = "robust",
    ) -> None:
        self.order = order
        self.innovations = innovations
        self.volatility = volatility
        self.trend = trend
        self.volatility_order = volatility_order
        self.components = components
        self.covariance_kind = covariance_kind

    @classmethod
    def from_parameters(
        cls,
        coef: Any = (),
        intercept: float = 0.0,
        drift: float = 0.0,
        *,
        omega: float = 1.0,
        alpha: Any = (),
        gamma: Any = (),
        beta: Any = (),
        innovations: str = "normal",
        nu: float | None = None,
        weights: Any = None,
        means: Any = None,
        scales: Any = None,
        backcast: float | None = None,
    ) -> Self:
        """The process with known parameters, which needs no fit.

        Args:
            coef: phi, [p].
            intercept: the recursion's constant.
            drift: its coefficient of t.
            omega: the variance's constant, positive.
            alpha: of squared innovations.
            gamma: of those that were negative; alpha_i + gamma_i must not be negative.
            beta: of past variances.
            innovations: see the class.
            nu: degrees of freedom, above 2, for "student_t".
            weights: of the normals of a "mixture", [K].
            means: their means; shifted and scaled so that the innovations have mean 0, variance 1.
            scales: their standard deviations.
            backcast: the square and variance before the first innovation; by default the
                stationary variance, where there is one.

        Example:
            >>> model = ARGARCH.from_parameters([0.5], innovations="student_t", nu=4.0)
            >>> model.conditional([1.0]).stddev.round(decimals=6)
            tensor(1., dtype=torch.float64)
        """
        given = {"coef": coef, "alpha": alpha, "gamma": gamma, "beta": beta}
        coef, alpha, gamma, beta = (check_numbers(*part).copy() for part in given.items())
        intercept, drift = check_number("intercept", intercept), check_number("drift", drift)
        omega = check_number("omega", omega, above=0)
        _check_variance(alpha, gamma, beta)
        noise, psi = _given_innovations(innovations, nu, weights, means, scales)
        law = ARGARCHLaw(
            coef, intercept, drift, omega, alpha, gamma, beta, 1.0, noise, psi
        )  # fmt: skip
        if backcast is None and not math.isfinite(law.stationary_variance):
            raise ParameterError(
                "backcast must be given: these parameters have no stationary variance to start "
                f"from (alpha + gamma / 2 + beta = {law.persistence:.4g})."
            )
        start = law.stationary_variance if backcast is None else backcast
        start = check_number("backcast", start, above=0)
        trend = "ct" if drift else "c" if intercept else "n"
        return cls.of(
            replace(law, backcast=start),
            Fit(notes={"trend": trend}),
            order=len(coef),
            innovations=innovations,
            volatility=_volatility(law),
            trend=trend,
            volatility_order=(len(alpha), len(gamma), len(beta)),
            components=2 if weights is None else len(weights),
        )

    # ---- fitting --------------------------------------------------------------------------------

    @property
    def _counts_from_zero(self) -> bool:
        return self.trend == "ct"

    def _infer_space(self, data: Any) -> Space:
        return Real()

    def _fit(
        self, sequences: Sequences, *, validation: Sequences | None, context: torch.Tensor | None
    ) -> tuple[ARGARCHLaw, Fit]:
        orders = self._check_parameters()
        sequences.require_length(self.order + 1)
        values = sequences.values.detach().double().cpu().numpy()
        series = np.split(values, sequences.offsets[1:-1].numpy())
        noise = laws.make(self.innovations, self.components)
        powers, robust = _TRENDS[self.trend], self.covariance_kind == "robust"
        found = estimate(series, self.order, powers, orders, noise, robust)
        part = found.parts
        intercept, drift = np.pad(part.b[:powers], (0, 2 - powers)).tolist()
        law = ARGARCHLaw(
            part.b[powers:], intercept, drift, part.omega, part.alpha, part.gamma, part.beta,
            found.backcast, noise, part.psi,
        )  # fmt: skip
        names = [*("intercept", "drift")[:powers]]
        names += [f"ar.L{i + 1}" for i in range(self.order)]
        names.append("sigma2" if self.volatility == "constant" else "omega")
        for name, count in zip(("alpha", "gamma", "beta"), orders, strict=True):
            names += [f"{name}.L{i + 1}" for i in range(count)]
        shown = noise.reported(part.psi)
        with torch.no_grad():
            log_likelihood = float(law.log_prob(sequences, None).sum())
        return law, Fit(
            names=[*names, *noise.names],
            estimates=np.r_[part.b, part.omega, part.alpha, part.gamma, part.beta, shown],
            covariance=found.covariance,
            log_likelihood=log_likelihood,
            n_observations=found.used,
            notes={"trend": self.trend, "covariance_kind": self.covariance_kind},
        )

    def _check_parameters(self) -> tuple[int, int, int]:
        """The variance's orders, once every parameter is known to be right."""
        check_integer("order", self.order, minimum=0)
        check_choice("innovations", self.innovations, laws.KINDS)
        check_choice("volatility", self.volatility, tuple(_VOLATILITIES))
        check_choice("trend", self.trend, tuple(_TRENDS))
        check_choice("covariance_kind", self.covariance_kind, _COVARIANCES)
        check_integer("components", self.components, minimum=2)
        usual = _VOLATILITIES[self.volatility]
        if self.volatility_order is None:
            return usual
        given = self.volatility_order
        if not isinstance(given, (tuple, list)) or len(given) != 3:
            raise ParameterError(
                f"volatility_order must be three numbers, of alpha, gamma and beta; got {given!r}."
            )
        a, o, q = (check_integer("volatility_order", part, minimum=0) for part in given)
        if [bool(part) for part in (a, o, q)] != [bool(part) for part in usual]:
            raise ParameterError(
                f"volatility_order of {self.volatility!r} must be like {usual}, zeros where that "
                f"has zeros; got {given!r}."
            )
        return a, o, q

    # ---- what was fitted ------------------------------------------------------------------------

    @property
    def persistence(self) -> float:
        """The sum of alpha, half of gamma, and beta: below 1 the variance is stationary."""
        return self.law_.persistence

    @property
    def stationary_variance(self) -> float:
        """The innovations' variance in the long run; infinite without a stationary law.

        (Exact where the innovations are symmetric: gamma counts half of the squares.)
        """
        return self.law_.stationary_variance

    def conditional_volatility(self, data: Any) -> Any:
        """Each element's standard deviation given those before it.

        Args:
            data: sequences, as for `log_prob`.

        Returns:
            An array [T] for one sequence (a Series keeps its index), a list of them for several;
            given elements have none.
        """
        sequences, _, scale = self._moments(data)
        return self._per_element(sequences, scale)

    def residuals(self, data: Any, *, standardised: bool = False) -> Any:
        """Each element less its mean given those before: the innovations.

        Args:
            data: sequences, as for `log_prob`.
            standardised: divide each by its standard deviation, which leaves z.

        Returns:
            As `conditional_volatility`.
        """
        sequences, loc, scale = self._moments(data)
        rest = sequences.padded()[0][:, self.law_.n_given :] - loc
        return self._per_element(sequences, rest / scale if standardised else rest)

    def _moments(self, data: Any) -> tuple[Sequences, torch.Tensor, torch.Tensor]:
        """Conditional means and standard deviations, [N, T - p] each."""
        sequences = self.sequences(data)
        with torch.no_grad():
            columns = self.conditionals(sequences)
        return sequences, columns.mean, columns.stddev

    def _per_element(self, sequences: Sequences, values: torch.Tensor) -> Any:
        counts = sequences.lengths - self.n_given
        flat = torch.cat([values[i, :count] for i, count in enumerate(counts.tolist())])
        offsets = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
        return sequences.form.per_element(flat, offsets, skip=self.n_given)

    def _described(self) -> tuple[str, list[tuple[str, str]]]:
        law, notes = self.law_, self.fit_.notes
        name, kind = f"AR({law.n_given})", _volatility(law)
        if kind != "constant":
            a, o, q = len(law.alpha), len(law.gamma), len(law.beta)
            orders = {"arch": f"{a}", "garch": f"{a}, {q}", "gjr": f"{a}, {o}, {q}"}
            name += f"-{kind.upper()}({orders[kind]})"
        facts = [("Trend", notes["trend"]), ("Law", law.innovations.kind)]
        if self.fit_.covariance is not None:
            facts.append(("Start", f"the first {law.n_given} given"))
            facts.append(("Covariance", notes["covariance_kind"]))
        return name, facts


def _volatility(law: ARGARCHLaw) -> str:
    """Which kind of variance it is that has such weights."""
    if len(law.gamma):
        return "gjr"
    return "garch" if len(law.beta) else "arch" if len(law.alpha) else "constant"


def _check_variance(alpha: np.ndarray, gamma: np.ndarray, beta: np.ndarray) -> None:
    """Raise `ParameterError` unless no variance can be negative."""
    news = np.zeros(max(len(alpha), len(gamma)))
    news[: len(alpha)] += alpha
    news[: len(gamma)] += gamma
    if (alpha < 0).any() or (beta < 0).any() or (news < 0).any():
        raise ParameterError(
            "alpha, alpha + gamma and beta must not be negative (a variance could be); got "
            f"alpha {alpha.tolist()}, gamma {gamma.tolist()}, beta {beta.tolist()}."
        )


def _given_innovations(
    kind: str, nu: Any, weights: Any, means: Any, scales: Any
) -> tuple[laws.Innovations, np.ndarray]:
    """The innovations of this name, and their parameters psi, from what the user gave."""
    check_choice("innovations", kind, laws.KINDS)
    if kind == "student_t":
        return laws.make(kind, 2), np.array([check_number("nu", nu, above=2)])
    if kind != "mixture":
        return laws.make(kind, 2), np.zeros(0)
    if weights is None or means is None or scales is None:
        raise ParameterError("weights, means and scales are needed for a mixture.")
    given = {"weights": weights, "means": means, "scales": scales}
    weight, mean, scale = (check_numbers(*part) for part in given.items())
    if not len(weight) == len(mean) == len(scale) >= 2 or min(*weight, *scale) <= 0:
        raise ParameterError(
            "weights, means and scales must be of one length of at least 2, weights and "
            f"scales positive; got {weights!r}, {means!r}, {scales!r}."
        )
    noise = laws.MixtureInnovations(len(weight))
    return noise, noise.psi_of(weight, mean, scale)
