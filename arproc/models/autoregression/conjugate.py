r"""The conjugate normal-inverse-gamma posterior of autoregressions, all orders from one matrix.

With :math:`v_t = (1, t, y_{t-1}, \dots, y_{t-P}, y_t)` the posterior of every order up to P is in
:math:`G = \mathrm{diag}(\lambda_0, 2 b_0) + \sum_t v_t v_t^\top`. Its Cholesky factor is nested:
with z the regressors, :math:`w = L^{-1} z` and r the last row, order p has

.. math::
    \text{mean} = \sum_{i < k} w_i r_i, \quad h = \sum_{i < k} w_i^2, \quad
    2 b = \sum_{i \ge k} r_i^2, \qquad k = q + p,

its predictive law is Student's t with :math:`2a = 2 a_0 + n` degrees of freedom and squared scale
:math:`(b / a) (1 + h)`, and its evidence :math:`\prod_{i<k} (\lambda_{0,i}^{1/2} / L_{ii}) \,
b_0^{a_0} b^{-a} \, \Gamma(a) / \Gamma(a_0) \, (2 \pi)^{-n/2}`: prefix sums of one factor. (Prior
means are 0, so the rows of lags that an order leaves out are no data to it.)

References:
    Zellner (1971), An Introduction to Bayesian Inference in Econometrics, chapters 3 and 7.
    O'Hagan, Forster (2004), Kendall's Advanced Theory of Statistics 2B, chapter 11.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated

import numpy as np
import torch

from arproc.contract.checked import Array, Number, sentences
from arproc.contract.storable import storable
from arproc.errors import DataError

__all__ = ["Prior", "posterior", "predictive", "products"]


@storable
@dataclass(frozen=True, eq=False)
class Prior:
    """The prior in standardised units, y = (x - location) / scale.

    Attributes:
        precisions: of the trend's and the lags' coefficients, times the innovation variance,
            [q + P].
        shape: a_0 of the inverse-gamma law of the innovation variance.
        rate: b_0.
        n_trend: q.
        orders: the orders [M].
    """

    precisions: Annotated[np.ndarray, Array("m", above=0)]
    shape: Annotated[float, Number(above=0)]
    rate: Annotated[float, Number(above=0)]
    n_trend: Annotated[int, Number(low=0)]
    orders: tuple[int, ...]

    def problems(self) -> Iterator[str]:
        """What does not fit together; see `arproc.contract.checked`."""
        longest = len(self.precisions) - self.n_trend
        yield from sentences(
            (not self.orders or min(self.orders) < 0 or max(self.orders) != longest,
             f"orders are {self.orders}, and precisions are of {longest} lags"),
        )  # fmt: skip

    @property
    def size(self) -> int:
        """How many rows G has, q + P + 1."""
        return len(self.precisions) + 1

    @property
    def gram(self) -> np.ndarray:
        """G before any data, `[q + P + 1] * 2`."""
        return np.diag([*self.precisions, 2 * self.rate])

    @cached_property
    def columns(self) -> torch.Tensor:
        """How many regressors each order has, int64 [M]."""
        return self.n_trend + torch.tensor(self.orders)


def products(v: torch.Tensor) -> torch.Tensor:
    """V v' of each row: [..., m] to [..., m, m]."""
    return v[..., :, None] * v[..., None, :]


def _cholesky(gram: torch.Tensor) -> torch.Tensor:
    factor, failed = torch.linalg.cholesky_ex(gram)
    if bool(failed.any()):
        raise DataError(
            "the data leave no innovations to double precision: they obey a deterministic "
            "recursion, or some are a million times as large as others. Use lower orders, or data "
            "of a like size as those of fit."
        )
    return factor


def _log_evidence(
    factor: torch.Tensor, double_rate: torch.Tensor, count: torch.Tensor, prior: Prior
) -> torch.Tensor:
    """Log marginal likelihood of each order [..., M], standardised units."""
    logs = 0.5 * torch.as_tensor(prior.precisions).log() - _diagonal(factor)[..., :-1].log()
    ratio = _prefix_sums(logs)[..., prior.columns]
    shape = prior.shape + count[..., None] / 2
    gammas = torch.lgamma(shape) - math.lgamma(prior.shape)
    rates = prior.shape * math.log(prior.rate) - shape * (double_rate / 2).log()
    return ratio + gammas + rates - 0.5 * count[..., None] * math.log(2 * math.pi)


def _diagonal(factor: torch.Tensor) -> torch.Tensor:
    return factor.diagonal(dim1=-2, dim2=-1)


def _prefix_sums(x: torch.Tensor) -> torch.Tensor:
    """Sums of the first 0, 1, ..., m entries: [..., m] to [..., m + 1]."""
    return torch.nn.functional.pad(x.cumsum(-1), (1, 0))


def _double_rates(factor: torch.Tensor, prior: Prior) -> torch.Tensor:
    """2 b of each order, [..., M]."""
    last = (factor[..., -1, :] ** 2).flip(-1)
    size = factor.shape[-1]
    return _prefix_sums(last)[..., size - prior.columns]


def posterior(
    gram: torch.Tensor, count: torch.Tensor, prior: Prior
) -> tuple[torch.Tensor, torch.Tensor]:
    """Log evidence and 2 b of each order, twice [..., M], from G [..., m, m] and n [...]."""
    factor = _cholesky(gram)
    double_rate = _double_rates(factor, prior)
    return _log_evidence(factor, double_rate, count, prior), double_rate


def predictive(
    gram: torch.Tensor, count: torch.Tensor, z: torch.Tensor, prior: Prior
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """The next value's Student t laws.

    Args:
        gram: G [..., m, m].
        count: n, how many values it holds, float64 [...].
        z: the next value's regressors (trend, lag 1 ... lag P), [..., m - 1].
        prior: the prior.

    Returns:
        (log weights of the orders, degrees of freedom, locations, scales), each [..., M].
    """
    factor = _cholesky(gram)
    k = factor.shape[-1] - 1
    w = torch.linalg.solve_triangular(factor[..., :k, :k], z[..., None], upper=False)[..., 0]
    loc = _prefix_sums(w * factor[..., k, :k])[..., prior.columns]
    spread = 1 + _prefix_sums(w * w)[..., prior.columns]
    double_rate = _double_rates(factor, prior)
    df = 2 * prior.shape + count
    weights = torch.log_softmax(_log_evidence(factor, double_rate, count, prior), -1)
    scale = (double_rate / df[..., None] * spread).sqrt()
    return weights, df[..., None].expand(scale.shape), loc, scale
