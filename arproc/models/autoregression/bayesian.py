"""BayesianAR: autoregressions whose parameters and order are integrated out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import torch

from arproc.contract.checked import Number
from arproc.contract.context import split_clock
from arproc.contract.sequences import Sequences
from arproc.errors import (
    DataError,
    ParameterError,
    check_choice,
    check_count,
    check_integer,
    check_list,
    check_number,
)
from arproc.models.autoregression.bayesian_law import BayesianARLaw, digest
from arproc.models.autoregression.conjugate import Prior
from arproc.process import Fit, Process
from arproc.spaces import Real, Space

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["BayesianAR"]

_TRENDS = ("n", "c", "ct")  # the number of a trend is how many columns it has


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

    law_: BayesianARLaw
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
    noise_: Annotated[float, Number(low=0)]
    span_: float

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
    ) -> tuple[BayesianARLaw, Fit]:
        self._check_parameters()
        values = sequences.values.detach().cpu().numpy().astype(float)
        bounds = sequences.offsets.numpy()
        parts = [values[a:b] for a, b in pairwise(bounds) if b > a]
        location, scale, noise = self._units(values, parts)
        span = float(max(max(len(part) for part in parts) - 1, 1))
        prior = self._prior((noise / scale) ** 2)
        gram, count, order = prior.gram, 0, max(prior.orders)
        first = split_clock(context, 0)[1]
        starts = np.zeros(len(bounds) - 1) if first is None else first.numpy()
        for part, start in zip(parts, starts[np.diff(bounds) > 0], strict=True):
            if len(part) > order:
                y = (part - location) / scale
                rows = _rows(y, order, prior.n_trend, span, float(start))
                gram, count = gram + rows.T @ rows, count + len(rows)
        law = BayesianARLaw(
            prior, gram, count, location, scale, span,
            np.array([len(part) for part in parts]), np.array([part[-1] for part in parts]),
            tuple(digest(part) for part in parts),
        )  # fmt: skip
        _ = law.order_probabilities  # refuse what leaves no innovations at once
        return law, Fit(notes={"noise": noise})

    @property
    def _counts_time(self) -> bool:
        return self.trend == "ct"

    def _check_parameters(self) -> None:
        orders = self._orders
        if not orders or len(set(orders)) < len(orders):
            raise ParameterError(f"orders must be distinct and at least one; got {self.orders!r}.")
        check_choice("trend", self.trend, _TRENDS)
        given = {"tightness": self.tightness, "shape": self.shape, "decay": self.decay}
        unit = {"location": self.location, "scale": self.scale, "noise": self.noise}
        for name, value in (given | {k: v for k, v in unit.items() if v is not None}).items():
            check_number(name, value, above=None if name in ("decay", "location") else 0)

    @property
    def _orders(self) -> tuple[int, ...]:
        if isinstance(self.orders, (int, np.integer)):
            return (check_count("orders", self.orders),)
        return tuple(
            check_integer("orders", p, minimum=0) for p in check_list("orders", self.orders)
        )

    def _units(self, values: np.ndarray, parts: list[np.ndarray]) -> tuple[float, float, float]:
        """The location, the scale and the guess of the noise, in the data's unit."""
        location = 0.0
        if self.location is not None:
            location = float(self.location)
        elif self.trend != "n":
            location = float(values.mean())
        centred = values - location
        spread = float(np.sqrt(centred @ centred / len(centred)))
        if spread <= 1e-15 * float(np.abs(values).max()):
            raise DataError(
                f"data are constant to double precision ({len(values)} values); expected a series "
                "that varies."
            )
        scale = spread if self.scale is None else float(self.scale)
        if self.noise is not None:
            return location, scale, float(self.noise)
        pairs = [(part[1:] - location, part[:-1] - location) for part in parts]
        after, before = (np.concatenate(side) / spread for side in zip(*pairs, strict=True))
        carry = float(after @ before) / max(float(before @ before), 1e-300)
        rest = after - carry * before
        noise = float(np.sqrt(rest @ rest / max(len(rest), 1)))
        # a guess that is off by a thousand is no worse than one that is 0
        return location, scale, max(noise, 1e-3) * spread if len(rest) else spread

    def _prior(self, noise2: float) -> Prior:
        """The prior where the guess of the innovations' variance is so much, standardised."""
        orders, q = self._orders, _TRENDS.index(self.trend)
        lags = np.arange(1, max(orders) + 1.0) ** (2 * self.decay) / self.tightness**2
        # the trend's coefficients: a standard deviation of 10 times the data's
        precisions = noise2 * np.concatenate([np.full(q, 1e-2), lags])
        return Prior(precisions, float(self.shape), self.shape * noise2, q, orders)

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

        law, orders = self.law_, self.law_.prior.orders
        if order is None:
            order = orders[int(law.order_probabilities.argmax())]
        if check_integer("order", order) not in orders:
            raise ParameterError(f"order must be one of {list(orders)}; got {order!r}.")
        q, freedom = law.prior.n_trend, 2 * law.prior.shape + law.n_observations
        k = q + order
        inverse = np.linalg.inv(law.gram[:k, :k])
        theta = inverse @ law.gram[:k, -1]
        double_rate = float(law.gram[-1, -1] - law.gram[-1, :k] @ theta)
        turn = np.diag([law.scale, law.scale / law.span][:q] + [1.0] * order)
        turn[: min(q, 1), q:] = -law.location
        mean, spread = turn @ theta, turn @ inverse @ turn.T
        mean[: min(q, 1)] += law.location
        scale = np.sqrt(np.diag(spread) * double_rate / freedom)
        widening = math.sqrt(freedom / (freedom - 2)) if freedom > 2 else math.inf
        half = stdtrit(freedom, 0.975) * scale
        rows = list(zip(mean, scale * widening, mean - half, mean + half, strict=True))
        a, b = freedom / 2, double_rate / 2 * law.scale**2
        variance = b / (a - 1) if a > 1 else math.inf
        deviation = variance / math.sqrt(a - 2) if a > 2 else math.inf
        rows.append((variance, deviation, b / gammaincinv(a, 0.975), b / gammaincinv(a, 0.025)))
        names = ["intercept", "drift"][:q] + [f"ar.L{i}" for i in range(1, order + 1)] + ["sigma2"]
        columns = ["mean", "std", "lower", "upper"]
        return pd.DataFrame(rows, index=pd.Index(names, name="parameter"), columns=columns)

    def summary(self) -> str:
        """The orders' probabilities and the posterior of the most probable one, as text."""
        law, orders = self.law_, self.law_.prior.orders
        lines = [
            f"Bayesian AR, orders {', '.join(map(str, orders))}; trend "
            f"{_TRENDS[law.prior.n_trend]}",
            f"{law.n_observations} observations given the first {law.n_given}; log marginal "
            f"likelihood {law.log_marginal_likelihood:.3f}",
        ]
        if len(orders) > 1:
            each = zip(orders, law.order_probabilities, strict=True)
            lines.append("P(order): " + ", ".join(f"{p}: {w:.3f}" for p, w in each))
        return "\n".join([*lines, "", self.parameter_table().to_string(float_format="%.5g")])


def _rows(y: np.ndarray, order: int, n_trend: int, span: float, start: float = 0.0) -> np.ndarray:
    """v_t = (trend, lag 1 ... lag P, y_t) of one sequence from element P on, [T - P, m]."""
    t = np.arange(order, len(y)) + start
    trend = np.stack([np.ones(len(t)), t / span], axis=1)[:, :n_trend]
    lags = [y[order - i : len(y) - i, None] for i in range(1, order + 1)]
    return np.hstack([trend, *lags, y[order:, None]])
