r"""The exact Gaussian log-likelihood of an autoregression, by slices of the whole series.

With :math:`y_t = x_t - \text{mean}`, every element has a linear Gaussian conditional

.. math:: y_t \mid y_{<t} \sim N\Big(c_t + \sum_i w_{t,i} \, y_{t-i}, \; v_t\Big).

From element p on, the weights are the coefficients, the variance is that of the innovations and
:math:`c_t` is a line in t (0 without a trend in time); each of the first p has a row of its own.
Innovations are p + 1 shifted slices added up: no design matrix, one pass a lag, and autograd goes
through data and parameters alike.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch.distributions import MultivariateNormal

from arproc.linear.levinson import stationary_start

__all__ = ["Recursion", "exact_log_prob", "innovations", "recursion_from_mean"]

_LOG_2PI = math.log(2 * math.pi)


@dataclass(frozen=True)
class Recursion:
    """Everything the conditionals of an AR(p) need, as float64 tensors.

    Attributes:
        weights: row t < p is for element t, the last row for all later ones; column i - 1 is for
            lag i. [p + 1, p]
        variances: of the innovations, [p + 1].
        constants: what is added to the weighted elements, [p + 1].
        rate: by how much the last constant grows with t.
        mean: what is subtracted from every element first.
        constant: whether all constants and the rate are 0.
    """

    weights: torch.Tensor
    variances: torch.Tensor
    constants: torch.Tensor
    rate: torch.Tensor
    mean: torch.Tensor
    constant: bool

    @property
    def order(self) -> int:
        """The number of lags p."""
        return self.weights.shape[-1]

    @cached_property
    def scales(self) -> torch.Tensor:
        """Standard deviations of the innovations, [p + 1]."""
        return self.variances.sqrt()

    @cached_property
    def backwards(self) -> torch.Tensor:
        """The weights with the oldest lag first, [p + 1, p]."""
        return self.weights.flip(-1)

    def to(self, device: torch.device) -> Recursion:
        """The same numbers on another device."""
        if self.weights.device == device:
            return self
        tensors = (self.weights, self.variances, self.constants, self.rate, self.mean)
        weights, variances, constants, rate, mean = (t.to(device) for t in tensors)
        return Recursion(weights, variances, constants, rate, mean, self.constant)

    def detach(self) -> Recursion:
        """The same numbers without their gradients."""
        tensors = (self.weights, self.variances, self.constants, self.rate, self.mean)
        weights, variances, constants, rate, mean = (t.detach() for t in tensors)
        return Recursion(weights, variances, constants, rate, mean, self.constant)


def recursion_from_mean(
    coef: torch.Tensor, sigma2: torch.Tensor, mean: torch.Tensor, slope: torch.Tensor
) -> Recursion:
    """The AR about the line mean + slope t, from its stationary start.

    Raises:
        ParameterError: the coefficients have no stationary law.
    """
    weights, variances = stationary_start(coef, sigma2)
    rows = torch.arange(len(coef) + 1, dtype=coef.dtype, device=coef.device)
    rate = slope * (1 - coef.sum())
    constants = slope * (weights @ (rows[:-1] + 1))
    constants = constants + slope * rows * (1 - weights.sum(-1))
    # the last row's constant is taken at t = 0
    constants = torch.cat([constants[:-1], constants[-1:] - rate * rows[-1]])
    return Recursion(weights, variances, constants, rate, mean, not _matters(slope))


def recursion_from_normal(initial: MultivariateNormal, then: Recursion) -> Recursion:
    """The recursion `then` after first elements of a given normal distribution.

    Element t given those before it is the regression that the Cholesky factor holds.
    """
    p = then.order
    factor, loc = initial.scale_tril.to(then.weights), initial.loc.to(then.weights)
    # inverse factor: row t is (e_t - regression of t on the elements before) / scale_t
    whitening = torch.linalg.inv(factor)
    by_place = torch.eye(p, dtype=factor.dtype) - whitening * factor.diagonal()[:, None]
    rows = (
        torch.stack(
            [torch.cat([by_place[t, :t].flip(0), factor.new_zeros(p - t)]) for t in range(p)]
        )
        if p
        else factor.new_zeros((0, 0))
    )
    start = loc - then.mean
    return Recursion(
        torch.cat([rows, then.weights[-1:]]),
        torch.cat([factor.diagonal() ** 2, then.variances[-1:]]),
        torch.cat([start - by_place @ start, then.constants[-1:]]),
        then.rate,
        then.mean,
        then.constant,
    )


def recursion_given(
    coef: torch.Tensor,
    sigma2: torch.Tensor,
    constant: torch.Tensor,
    rate: torch.Tensor,
    mean: torch.Tensor,
) -> Recursion:
    """y_t = constant + rate t + sum_i coef_i y_{t-i} + innovation after p given elements.

    The rows of the given elements hold nan: they have no conditionals.
    """
    nothing = torch.full((len(coef), len(coef) + 2), torch.nan, dtype=coef.dtype)
    weights = torch.cat([nothing[:, : len(coef)], coef[None]])
    variances = torch.cat([nothing[:, 0], sigma2[None]])
    constants = torch.cat([nothing[:, 0], constant[None]])
    plain = not (_matters(constant) or _matters(rate))
    return Recursion(weights, variances, constants, rate, mean, plain)


def _matters(slope: torch.Tensor) -> bool:
    return slope.requires_grad or float(slope.detach()) != 0.0


def innovations(y: torch.Tensor, coef: torch.Tensor) -> torch.Tensor:
    """y_t - sum_i coef_i y_{t-i} for t = p, p + 1, ...: [..., T] to [..., T - p]."""
    p, length = coef.shape[-1], y.shape[-1]
    if p == 0 or length <= p:
        return y[..., p:]
    result = torch.addcmul(y[..., p:], y[..., p - 1 : length - 1], coef[0], value=-1)
    for i in range(1, p):
        result.addcmul_(y[..., p - 1 - i : length - 1 - i], coef[i], value=-1)
    return result


def exact_log_prob(
    values: torch.Tensor,
    coef: torch.Tensor,
    mean: torch.Tensor | float = 0.0,
    sigma2: torch.Tensor | float = 1.0,
    slope: torch.Tensor | float = 0.0,
) -> torch.Tensor:
    """Exact log-likelihood of stationary autoregressions, differentiable in every argument.

    Args:
        values: independent series of one length, [..., T], float64.
        coef: coefficients, lag 1 first, [p].
        mean: mean of the first element.
        sigma2: innovation variance.
        slope: slope of the mean per step.

    Returns:
        Nats, [...].

    Raises:
        ParameterError: the coefficients have no stationary law.

    Example:
        >>> x = torch.tensor([0.0, 1.0], dtype=torch.float64)
        >>> float(exact_log_prob(x, torch.tensor([0.5], dtype=torch.float64)))
        -2.481718
    """
    noise, level, rise = (
        torch.as_tensor(v, dtype=coef.dtype, device=coef.device) for v in (sigma2, mean, slope)
    )
    return log_prob(values, recursion_from_mean(coef, noise, level, rise))


def log_prob(values: torch.Tensor, law: Recursion, skip: int = 0) -> torch.Tensor:
    """Log-likelihood of series of one length [..., T], each from its start: [...], nats.

    Args:
        values: the series.
        law: their recursion.
        skip: 0, or p: how many first elements are given and not scored.
    """
    p, length = law.order, values.shape[-1]
    y = values - law.mean
    total = values.new_zeros(values.shape[:-1])
    if skip == 0 and p:
        variances = law.variances[: min(p, length)]
        total = ((_head(y[..., :p], law) ** 2) / variances).sum(-1) + variances.log().sum()
    if length > p:
        rest = innovations(y, law.weights[p])
        if not law.constant:
            rest = rest - _line(law, torch.arange(p, length, device=y.device))
        squares = torch.dot(rest, rest) if rest.ndim == 1 else (rest * rest).sum(-1)
        total = total + squares / law.variances[p] + (length - p) * law.variances[p].log()
    return -0.5 * (total + max(length - skip, 0) * _LOG_2PI)


def residuals(
    values: torch.Tensor, lengths: torch.Tensor, law: Recursion, skip: int = 0
) -> tuple[torch.Tensor, torch.Tensor]:
    """Innovations of independent series, each from its start, and their variances.

    Args:
        values: the series one after the other, [total].
        lengths: elements in each, int64 [N].
        law: their recursion.
        skip: 0, or p where the first elements are given and have none.

    Returns:
        Twice [total - N skip].
    """
    lengths = lengths.to(values.device)
    p, stops = law.order, lengths.cumsum(0)
    starts = stops - lengths
    y = values - law.mean
    rest = innovations(y, law.weights[p]) if len(y) > p else y[:0]
    rest = torch.cat([y[: len(y) - len(rest)], rest])
    if not law.constant:
        position = torch.arange(len(y), device=y.device)
        rest = rest - _line(law, position - torch.repeat_interleave(starts, lengths))
    variances = law.variances[p].expand(len(y))
    if p == 0 or len(y) == 0:
        return rest, variances
    # The first p of every series were predicted from its neighbour.
    index = starts[:, None] + torch.arange(p, device=y.device)  # [N, p]
    if skip:
        keep = torch.ones(len(y), dtype=torch.bool, device=y.device)
        keep[index.reshape(-1)] = False
        return rest[keep], variances[keep]
    inside = index < stops[:, None]
    head = _head(y[index.clamp(max=len(y) - 1)], law)
    where = (index[inside],)
    rest = rest.index_put(where, head[inside])
    return rest, variances.index_put(where, law.variances[:p].expand_as(head)[inside])


def log_prob_terms(
    values: torch.Tensor, lengths: torch.Tensor, law: Recursion, skip: int = 0
) -> torch.Tensor:
    """The chain rule's terms of independent series one after the other, nats; see `residuals`."""
    rest, variances = residuals(values, lengths, law, skip)
    return -0.5 * (rest * rest / variances + variances.log() + _LOG_2PI)


def _line(law: Recursion, position: torch.Tensor) -> torch.Tensor:
    return law.constants[-1] + law.rate * position


def _head(y: torch.Tensor, law: Recursion) -> torch.Tensor:
    """Innovations of the first elements [..., k], k <= p, by the rows of the start."""
    k = y.shape[-1]
    t = torch.arange(k, device=y.device)
    lag = t[:, None] - t  # of column s in row t, [k, k]
    weights = law.weights[:k].gather(1, (lag - 1).clamp(min=0))
    weights = torch.where(lag > 0, weights, 0.0)
    return y - law.constants[:k] - y @ weights.T
