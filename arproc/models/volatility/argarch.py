"""ARGARCH: autoregressions with heavy-tailed innovations and conditional variances."""

from __future__ import annotations

import math
from typing import Any, Self

import numpy as np
import torch
from torch.distributions import Distribution

from arproc.contract.sequences import Sequences
from arproc.contract.state import State
from arproc.errors import ParameterError, check_choice, check_integer, check_numbers
from arproc.inference.estimated import Estimated
from arproc.models.volatility import innovations as laws
from arproc.models.volatility.estimation import VolatilityFit, estimate
from arproc.models.volatility.state import Memory, VolatilityState
from arproc.process import Process
from arproc.spaces import Real, Space

__all__ = ["ARGARCH"]

_TRENDS = {"n": 0, "c": 1, "ct": 2}
_VOLATILITIES = {"constant": (0, 0, 0), "arch": (1, 0, 0), "garch": (1, 0, 1), "gjr": (1, 1, 1)}
_ERRORS = ("robust", "observed")


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
        errors: of the estimates: "robust" (Bollerslev and Wooldridge 1992) or "observed" (inverse
            information). Laplace's likelihood has kinks: there it is the inverse of the scores'
            products.

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

    coef_: np.ndarray
    intercept_: float
    drift_: float
    omega_: float
    alpha_: np.ndarray
    gamma_: np.ndarray
    beta_: np.ndarray
    backcast_: float

    def __init__(
        self,
        order: int = 1,
        innovations: str = "normal",
        volatility: str = "garch",
        trend: str = "c",
        *,
        volatility_order: tuple[int, int, int] | None = None,
        components: int = 2,
        errors: str = "robust",
    ) -> None:
        self.order = order
        self.innovations = innovations
        self.volatility = volatility
        self.trend = trend
        self.volatility_order = volatility_order
        self.components = components
        self.errors = errors

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
        arrays = {name: check_numbers(name, value) for name, value in given.items()}
        orders = (len(arrays["alpha"]), len(arrays["gamma"]), len(arrays["beta"]))
        kind = (
            "gjr" if orders[1] else "garch" if orders[2] else "arch" if orders[0] else "constant"
        )
        trend = "ct" if drift else "c" if intercept else "n"
        model = cls(len(arrays["coef"]), innovations, kind, trend, volatility_order=orders,
                    components=2 if weights is None else len(weights))  # fmt: skip
        model.coef_, model.alpha_ = arrays["coef"], arrays["alpha"]
        model.gamma_, model.beta_ = arrays["gamma"], arrays["beta"]
        model.intercept_, model.drift_ = float(intercept), float(drift)
        model.omega_ = float(omega)
        model._check_variance()
        model._know_innovations(nu, weights, means, scales)
        if backcast is None and not math.isfinite(model.stationary_variance):
            raise ParameterError(
                "backcast must be given: these parameters have no stationary variance to start "
                f"from (alpha + gamma / 2 + beta = {model.persistence:.4g})."
            )
        model.backcast_ = float(model.stationary_variance if backcast is None else backcast)
        if not 0 < model.backcast_ < math.inf:
            raise ParameterError(f"backcast must be positive and finite; got {backcast!r}.")
        model.space_ = Real()
        return model

    def _check_variance(self) -> None:
        for name, value in (("intercept", self.intercept_), ("drift", self.drift_)):
            if not math.isfinite(value):
                raise ParameterError(f"{name} must be finite; got {value!r}.")
        if not 0 < self.omega_ < math.inf:
            raise ParameterError(f"omega must be positive and finite; got {self.omega_!r}.")
        longest = max(len(self.alpha_), len(self.gamma_))
        news = np.zeros(longest)
        news[: len(self.alpha_)] += self.alpha_
        news[: len(self.gamma_)] += self.gamma_
        if (self.alpha_ < 0).any() or (self.beta_ < 0).any() or (news < 0).any():
            raise ParameterError(
                "alpha, alpha + gamma and beta must not be negative (a variance could be); got "
                f"alpha {self.alpha_.tolist()}, gamma {self.gamma_.tolist()}, beta "
                f"{self.beta_.tolist()}."
            )

    def _know_innovations(self, nu: Any, weights: Any, means: Any, scales: Any) -> None:
        check_choice("innovations", self.innovations, laws.KINDS)
        if self.innovations == "student_t":
            if nu is None or not 2 < nu < math.inf:
                raise ParameterError(f"nu must be above 2 and finite; got {nu!r}.")
            self.nu_ = float(nu)
        if self.innovations == "mixture":
            if weights is None or means is None or scales is None:
                raise ParameterError("weights, means and scales are needed for a mixture.")
            weight, mean, scale = (
                check_numbers(name, value)
                for name, value in (("weights", weights), ("means", means), ("scales", scales))
            )
            if not len(weight) == len(mean) == len(scale) >= 2 or min(*weight, *scale) <= 0:
                raise ParameterError(
                    "weights, means and scales must be of one length of at least 2, weights and "
                    f"scales positive; got {weights!r}, {means!r}, {scales!r}."
                )
            self.weights_, self.means_, self.scales_ = weight, mean, scale
            law = laws.MixtureInnovations(len(weight))
            self.weights_, self.means_, self.scales_ = law.parts(self._psi())

    # ---- fitting --------------------------------------------------------------------------------

    def _infer_space(self, data: Any) -> Space:
        return Real()

    def _fit(
        self, sequences: Sequences, *, validation: Sequences | None, context: torch.Tensor | None
    ) -> None:
        orders = self._check_parameters()
        sequences.require_length(self.order + 1)
        values = sequences.values.detach().double().cpu().numpy()
        series = np.split(values, sequences.offsets[1:-1].numpy())
        law = laws.make(self.innovations, self.components)
        powers, robust = _TRENDS[self.trend], self.errors == "robust"
        self._learn(estimate(series, self.order, powers, orders, law, robust), law)
        self.space_ = sequences.space  # what `_log_prob` asks for
        with torch.no_grad():
            self.log_likelihood_ = float(self._log_prob(sequences, None).sum())

    def _learn(self, found: VolatilityFit, law: laws.Innovations) -> None:
        part, powers = found.parts, _TRENDS[self.trend]
        trend = [*part.b[:powers].tolist(), 0.0, 0.0]
        self.intercept_, self.drift_ = trend[0], trend[1] if powers > 1 else 0.0
        self.coef_ = part.b[powers:]
        self.omega_, self.alpha_ = part.omega, part.alpha
        self.gamma_, self.beta_, self.backcast_ = part.gamma, part.beta, found.backcast
        if isinstance(law, laws.StudentInnovations):
            self.nu_ = float(part.psi[0])
        if isinstance(law, laws.MixtureInnovations):
            self.weights_, self.means_, self.scales_ = law.parts(part.psi)
        self.names_ = [*("intercept", "drift")[:powers]]
        self.names_ += [f"ar.L{i + 1}" for i in range(self.order)]
        self.names_.append("sigma2" if self.volatility == "constant" else "omega")
        for name, values in (("alpha", part.alpha), ("gamma", part.gamma), ("beta", part.beta)):
            self.names_ += [f"{name}.L{i + 1}" for i in range(len(values))]
        self.names_ += law.names
        shown = law.reported(part.psi)
        self.estimates_ = np.r_[part.b, part.omega, part.alpha, part.gamma, part.beta, shown]
        self.covariance_, self.n_observations_ = found.covariance, found.used

    def _check_parameters(self) -> tuple[int, int, int]:
        """The variance's orders, once every parameter is known to be right."""
        check_integer("order", self.order, minimum=0)
        check_choice("innovations", self.innovations, laws.KINDS)
        check_choice("volatility", self.volatility, tuple(_VOLATILITIES))
        check_choice("trend", self.trend, tuple(_TRENDS))
        check_choice("errors", self.errors, _ERRORS)
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

    # ---- the law --------------------------------------------------------------------------------

    @property
    def n_given(self) -> int:
        return self.order

    @property
    def persistence(self) -> float:
        """The sum of alpha, half of gamma, and beta: below 1 the variance is stationary."""
        return float(self.alpha_.sum() + 0.5 * self.gamma_.sum() + self.beta_.sum())

    @property
    def stationary_variance(self) -> float:
        """The innovations' variance in the long run; infinite without a stationary law.

        (Exact where the innovations are symmetric: gamma counts half of the squares.)
        """
        left = 1.0 - self.persistence
        return self.omega_ / left if left > 0 else math.inf

    def _psi(self) -> np.ndarray:
        """The innovations' parameters as the estimation has them."""
        if self.innovations == "student_t":
            return np.array([self.nu_])
        if self.innovations == "mixture":
            w, m, s = self.weights_, self.means_, self.scales_
            return np.r_[np.log(w[1:] / w[0]), (m[1:] - m[0]) / s[0], np.log(s[1:] / s[0])]
        return np.zeros(0)

    def _weights(self) -> tuple[float, np.ndarray, np.ndarray, np.ndarray]:
        return self.omega_, self.alpha_, self.gamma_, self.beta_

    def _element(self, loc: torch.Tensor, scale: torch.Tensor) -> Distribution:
        """The law of an element of this mean and standard deviation."""
        law = laws.make(self.innovations, self.components)
        return law.distribution(loc, scale, self._psi())

    def _level(self, position: torch.Tensor) -> torch.Tensor:
        """The recursion's constants at positions [N, K]."""
        return self.intercept_ + self.drift_ * position.double()

    def _mean(self, past: torch.Tensor, position: torch.Tensor) -> torch.Tensor:
        """Elements' means from the p before them, oldest first [N, K, p]; at positions [N, K]."""
        backwards = torch.from_numpy(self.coef_[::-1].copy())
        return past @ backwards + self._level(position)

    def _variance(self, memory: Memory) -> torch.Tensor:
        """The next elements' variances, [N]."""
        h = torch.full((len(memory.squares),), self.omega_, dtype=torch.float64)
        weights = (self.alpha_, self.gamma_, self.beta_)
        for part, weight in zip(memory, weights, strict=True):
            if len(weight):
                h = h + part @ torch.from_numpy(weight)
        return h

    def _start(self, n: int, context: torch.Tensor | None) -> State:
        past = (self.backcast_, 0.5 * self.backcast_, self.backcast_)
        counts = (len(self.alpha_), len(self.gamma_), len(self.beta_))
        memory = (
            torch.full((n, count), value, dtype=torch.float64)
            for value, count in zip(past, counts, strict=True)
        )
        return VolatilityState(Memory(*memory))

    # ---- what was fitted ------------------------------------------------------------------------

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
        rest = sequences.padded()[0][:, self.n_given :] - loc
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
        name = f"AR({self.order})"
        if self.volatility != "constant":
            a, o, q = len(self.alpha_), len(self.gamma_), len(self.beta_)
            orders = {"arch": f"{a}", "garch": f"{a}, {q}", "gjr": f"{a}, {o}, {q}"}
            name += f"-{self.volatility.upper()}({orders[self.volatility]})"
        facts = [("Trend", self.trend), ("Law", self.innovations)]
        if "covariance_" in self.__dict__:
            facts += [("Start", f"the first {self.order} given"), ("Errors", self.errors)]
        return name, facts
