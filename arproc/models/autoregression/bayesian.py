"""BayesianAR: autoregressions whose parameters and order are integrated out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.distributions import Distribution

from arproc.contract.sequences import Sequences
from arproc.contract.state import State
from arproc.distributions import index
from arproc.errors import DataError, ParameterError, check_choice, check_integer
from arproc.models.autoregression.conjugate import Prior, posterior
from arproc.models.autoregression.posterior_state import TREND_COLUMNS, PosteriorState, digest
from arproc.process import Process
from arproc.spaces import Real, Space

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["BayesianAR"]


class BayesianAR(Process):
    r"""Autoregression with a conjugate prior: parameters, and the order, are integrated out.

    .. math::
        x_t \mid \phi, \sigma^2 \sim N(\text{intercept} + \text{drift} \, t + \sum_i \phi_i
        x_{t-i}, \sigma^2), \quad \phi \mid \sigma^2 \sim N(0, \sigma^2 V), \quad
        \sigma^2 \sim IG(a_0, b_0).

    `fit` takes the posterior given the training sequences. The law of a sequence is the posterior
    predictive one: the conditional of each element integrates the parameters over their posterior
    given the training sequences *and the elements before it*, so `log_prob` is the exact marginal
    likelihood of new data, and their product is that of all. One step ahead the conditional is
    Student's t; with several orders their mixture by the orders' posterior probabilities, which
    move on with the sequence too. Everything is given the first max(p) values, the same for all
    orders.

    A sequence that begins with a whole training sequence is that sequence going on: its elements
    are in the posterior already, and are not counted again. So `fit(x).forecast(x, 12)` is the
    forecast given x. Any other history is a new sequence of the same law, learnt from on the way.
    Forecasts carry the uncertainty of all parameters: exact one step ahead, simulated beyond (a
    path that the posterior allows to explode may do so).

    Args:
        orders: the order p, or several to average over, such as `range(7)`; all equally likely
            before the data.
        trend: "n", "c" (a constant) or "ct" (and a line).
        tightness: the prior standard deviation of the first lag's coefficient, about 0.
        decay: later lags' are smaller by this power of the lag.
        shape: a_0; the prior knows as much of the innovations' variance as 2 a_0 values do.
        location: what is subtracted from values before the prior is laid on them; by default the
            training values' mean (0 without a trend).
        scale: what they are divided by; by default the training values' standard deviation.
        noise: the prior guess of the innovations' standard deviation, in the data's unit:
            b_0 = a_0 noise^2. By default that of least squares on one lag of the training values.

    Attributes:
        order_probabilities_: of `orders`, given the training sequences [M].
        log_marginal_likelihoods_: of the training sequences by each order, nats [M].
        log_marginal_likelihood_: with the orders averaged.
        coef_: posterior mean, averaged over the orders [max p].
        intercept_: likewise.
        drift_: likewise.
        sigma2_: likewise; infinite where the posterior has 2 degrees of freedom or fewer.
        n_observations_: how many elements the posterior has seen.

    Example:
        >>> x = np.sin(np.arange(60.0)) + np.cos(np.arange(60.0) ** 2)
        >>> model = BayesianAR(orders=range(5)).fit(x)
        >>> model.order_probabilities_.round(1).tolist()
        [0.0, 0.0, 0.0, 0.2, 0.8]
        >>> model.forecast(x, horizon=2, seed=1).shape
        (2, 4)
    """

    carries_parameter_uncertainty = True

    order_probabilities_: np.ndarray
    log_marginal_likelihoods_: np.ndarray
    log_marginal_likelihood_: float
    coef_: np.ndarray
    intercept_: float
    drift_: float
    sigma2_: float
    n_observations_: int
    location_: float
    scale_: float
    noise_: float
    span_: float
    gram_: np.ndarray
    training_lengths_: np.ndarray
    training_ends_: np.ndarray
    training_digests_: list[str]

    def __init__(
        self,
        orders: int | Sequence[int] = 1,
        trend: str = "c",
        *,
        tightness: float = 1.0,
        decay: float = 1.0,
        shape: float = 1.0,
        location: float | None = None,
        scale: float | None = None,
        noise: float | None = None,
    ) -> None:
        self.orders = orders
        self.trend = trend
        self.tightness = tightness
        self.decay = decay
        self.shape = shape
        self.location = location
        self.scale = scale
        self.noise = noise

    # ---- fitting --------------------------------------------------------------------------------

    def _infer_space(self, data: Any) -> Space:
        return Real()

    def _fit(
        self, sequences: Sequences, *, validation: Sequences | None, context: torch.Tensor | None
    ) -> None:
        self._check_parameters()
        values = sequences.values.detach().cpu().numpy().astype(float)
        bounds = sequences.offsets.numpy()
        parts = [values[a:b] for a, b in pairwise(bounds) if b > a]
        self._set_units(values, parts)
        prior = self._prior()
        gram, count = prior.gram, 0
        for part in parts:
            if len(part) > self.n_given:
                rows = self._rows(part)
                gram, count = gram + rows.T @ rows, count + len(rows)
        self.gram_, self.n_observations_ = gram, count
        self.training_lengths_ = np.array([len(part) for part in parts])
        self.training_ends_ = np.array([part[-1] for part in parts])
        self.training_digests_ = [digest(part) for part in parts]
        self._summarise(prior)

    def _check_parameters(self) -> None:
        orders = self._orders
        if not orders or len(set(orders)) < len(orders):
            raise ParameterError(f"orders must be distinct and at least one; got {self.orders!r}.")
        check_choice("trend", self.trend, tuple(TREND_COLUMNS))
        given = {"tightness": self.tightness, "shape": self.shape, "decay": self.decay}
        unit = {"location": self.location, "scale": self.scale, "noise": self.noise}
        for name, value in (given | {k: v for k, v in unit.items() if v is not None}).items():
            number = isinstance(value, (int, float, np.number)) and math.isfinite(value)
            if not number or (value <= 0 and name not in ("decay", "location")):
                kind = "finite" if name in ("decay", "location") else "positive, finite"
                raise ParameterError(f"{name} must be a {kind} number; got {value!r}.")

    @property
    def _orders(self) -> tuple[int, ...]:
        if isinstance(self.orders, (int, np.integer)):
            return (check_integer("orders", self.orders, minimum=0),)
        return tuple(check_integer("orders", p, minimum=0) for p in self.orders)

    def _set_units(self, values: np.ndarray, parts: list[np.ndarray]) -> None:
        self.location_, self.scale_, self.noise_ = 0.0, 1.0, 1.0
        if self.location is not None:
            self.location_ = float(self.location)
        elif self.trend != "n":
            self.location_ = float(values.mean())
        centred = values - self.location_
        spread = float(np.sqrt(centred @ centred / len(centred)))
        if spread <= 1e-15 * float(np.abs(values).max()):
            raise DataError(
                f"data are constant to double precision ({len(values)} values); expected a series "
                "that varies."
            )
        self.scale_ = spread if self.scale is None else float(self.scale)
        self.span_ = float(max(max(len(part) for part in parts) - 1, 1))
        if self.noise is not None:
            self.noise_ = float(self.noise)
            return
        pairs = [(part[1:] - self.location_, part[:-1] - self.location_) for part in parts]
        after, before = (np.concatenate(side) / spread for side in zip(*pairs, strict=True))
        carry = float(after @ before) / max(float(before @ before), 1e-300)
        rest = after - carry * before
        noise = float(np.sqrt(rest @ rest / max(len(rest), 1)))
        # a guess that is off by a thousand is no worse than one that is 0
        self.noise_ = max(noise, 1e-3) * spread if len(rest) else spread

    def _prior(self) -> Prior:
        orders, q = self._orders, TREND_COLUMNS[self.trend]
        noise2 = (self.noise_ / self.scale_) ** 2
        lags = np.arange(1, max(orders) + 1.0) ** (2 * self.decay) / self.tightness**2
        # the trend's coefficients: a standard deviation of 10 times the data's
        precisions = noise2 * np.concatenate([np.full(q, 1e-2), lags])
        return Prior(precisions, float(self.shape), self.shape * noise2, q, orders)

    def _rows(self, x: np.ndarray) -> np.ndarray:
        """v_t = (trend, lag 1 ... lag P, y_t) of one sequence from element P on, [T - P, m]."""
        p, q = self.n_given, TREND_COLUMNS[self.trend]
        y = (x - self.location_) / self.scale_
        t = np.arange(p, len(y))
        trend = np.stack([np.ones(len(t)), t / self.span_], axis=1)[:, :q]
        lags = [y[p - i : len(y) - i, None] for i in range(1, p + 1)]
        return np.hstack([trend, *lags, y[p:, None]])

    def _summarise(self, prior: Prior) -> None:
        gram, count = torch.as_tensor(self.gram_), torch.tensor(float(self.n_observations_))
        evidence, double_rate = posterior(gram, count.double(), prior)
        units = self.n_observations_ * math.log(self.scale_)
        self.log_marginal_likelihoods_ = evidence.numpy() - units
        each = torch.logsumexp(evidence, 0) - math.log(len(prior.orders))
        self.log_marginal_likelihood_ = float(each) - units
        self.order_probabilities_ = torch.softmax(evidence, 0).numpy()
        p, q = self.n_given, prior.n_trend
        theta = np.zeros(q + p)
        for weight, order in zip(self.order_probabilities_, prior.orders, strict=True):
            k = q + order
            theta[:k] += weight * np.linalg.solve(self.gram_[:k, :k], self.gram_[:k, -1])
        self.coef_ = theta[q:]
        line = np.zeros(2)
        line[:q] = theta[:q] * self.scale_
        self.intercept_ = float(line[0] + self.location_ * (1 - self.coef_.sum()))
        self.drift_ = float(line[1] / self.span_)
        freedom = 2 * prior.shape + self.n_observations_ - 2
        mean = self.order_probabilities_ @ double_rate.numpy()
        self.sigma2_ = float(mean / freedom) * self.scale_**2 if freedom > 0 else math.inf

    # ---- the law --------------------------------------------------------------------------------

    @property
    def n_given(self) -> int:
        return max(self._orders, default=0)

    @property
    def _numbers(self) -> int:
        return len(self.gram_) ** 2

    def _start(self, n: int, context: torch.Tensor | None) -> State:
        gram = torch.as_tensor(self.gram_).expand(n, -1, -1)
        return PosteriorState(gram, torch.full((n,), float(self.n_observations_)).double())

    def _predictive(self, state: State, horizon: int) -> Distribution | None:
        return index(state.conditional, (slice(None), None)) if horizon == 1 else None

    # ---- what was fitted ------------------------------------------------------------------------

    def parameter_table(self, order: int | None = None) -> pd.DataFrame:
        """The posterior of one order's parameters given the training sequences.

        Args:
            order: one of `orders`; by default the most probable.

        Returns:
            Mean, standard deviation and central 95% interval of each parameter in the data's own
            unit: intercept, drift, lags, sigma2.
        """
        import pandas as pd
        from scipy.special import gammaincinv, stdtrit

        _ = self.space
        orders = self._orders
        if order is None:
            order = orders[int(self.order_probabilities_.argmax())]
        if order not in orders:
            raise ParameterError(f"order must be one of {list(orders)}; got {order!r}.")
        q, freedom = TREND_COLUMNS[self.trend], 2 * self.shape + self.n_observations_
        k = q + order
        inverse = np.linalg.inv(self.gram_[:k, :k])
        theta = inverse @ self.gram_[:k, -1]
        double_rate = float(self.gram_[-1, -1] - self.gram_[-1, :k] @ theta)
        turn = np.diag([self.scale_, self.scale_ / self.span_][:q] + [1.0] * order)
        turn[: min(q, 1), q:] = -self.location_
        mean, spread = turn @ theta, turn @ inverse @ turn.T
        mean[: min(q, 1)] += self.location_
        scale = np.sqrt(np.diag(spread) * double_rate / freedom)
        widening = math.sqrt(freedom / (freedom - 2)) if freedom > 2 else math.inf
        half = stdtrit(freedom, 0.975) * scale
        rows = list(zip(mean, scale * widening, mean - half, mean + half, strict=True))
        a, b = freedom / 2, double_rate / 2 * self.scale_**2
        variance = b / (a - 1) if a > 1 else math.inf
        deviation = variance / math.sqrt(a - 2) if a > 2 else math.inf
        rows.append((variance, deviation, b / gammaincinv(a, 0.975), b / gammaincinv(a, 0.025)))
        names = ["intercept", "drift"][:q] + [f"ar.L{i}" for i in range(1, order + 1)] + ["sigma2"]
        columns = ["mean", "std", "lower", "upper"]
        return pd.DataFrame(rows, index=pd.Index(names, name="parameter"), columns=columns)

    def summary(self) -> str:
        """The orders' probabilities and the posterior of the most probable one, as text."""
        _ = self.space
        orders = self._orders
        lines = [
            f"Bayesian AR, orders {', '.join(map(str, orders))}; trend {self.trend}",
            f"{self.n_observations_} observations given the first {self.n_given}; log marginal "
            f"likelihood {self.log_marginal_likelihood_:.3f}",
        ]
        if len(orders) > 1:
            each = zip(orders, self.order_probabilities_, strict=True)
            lines.append("P(order): " + ", ".join(f"{p}: {w:.3f}" for p, w in each))
        return "\n".join([*lines, "", self.parameter_table().to_string(float_format="%.5g")])
