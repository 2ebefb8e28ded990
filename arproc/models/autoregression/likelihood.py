r"""The exact Gaussian log-likelihood of an autoregression, by slices of the whole series.

With :math:`y_t = x_t - \text{level}_t`, every element has a linear Gaussian conditional

.. math:: y_t \mid y_{<t} \sim N\Big(c_t + \sum_i w_{t,i} \, y_{t-i}, \; v_t\Big).

From element p on, the weights are the coefficients, the variance is that of the innovations and
:math:`c_t` is what drives the recursion (nothing, or terms and regressors); each of the first p
has a row of its own. Innovations are p + 1 shifted slices added up: no design matrix, one pass a
lag, and autograd goes through data and parameters alike.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch.distributions import MultivariateNormal, Normal

from arproc.models.autoregression.levinson import stationary_start
from arproc.models.autoregression.mean import Level, Terms

__all__ = ["Recursion", "exact_log_prob", "innovations", "recursion_from_mean"]

_LOG_2PI = math.log(2 * math.pi)


@dataclass(frozen=True)
class Recursion:
    """Everything the conditionals of an AR(p) need, as float64 tensors.

    With y = x less its level, y_t is `constants[row] + drive_t + sum_i weights[row, i] y_{t-i}`
    plus an innovation of variance `variances[row]`, row being t, or p from there on.

    Attributes:
        weights: row t < p is for element t, the last row for all later ones; column i - 1 is for
            lag i. [p + 1, p]
        variances: of the innovations, [p + 1].
        constants: what is added to the weighted elements, [p + 1]; 0 in the last row.
        level: what is subtracted from every element first.
        drive: what is added from element p on, if anything.
    """

    weights: torch.Tensor
    variances: torch.Tensor
    constants: torch.Tensor
    level: Level
    drive: Level | None = None

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
        return self if self.weights.device == device else self._map(lambda x: x.to(device))

    def detach(self) -> Recursion:
        """The same numbers without their gradients."""
        parts = [part for part in (self.level, self.drive) if part is not None]
        tensors = [self.weights, self.variances, self.constants]
        tensors += [tensor for part in parts for tensor in (part.coefficients, part.weights)]
        learning = any(tensor.requires_grad for tensor in tensors)
        return self._map(torch.Tensor.detach) if learning else self

    def observed(self) -> Recursion:
        """The same with plain numbers for the rows of given elements, instead of nan."""
        gone = torch.isnan(self.variances)
        if not bool(gone.any()):
            return self
        return replace(
            self,
            weights=torch.where(gone[:, None], 0.0, self.weights),
            variances=torch.where(gone, 1.0, self.variances),
            constants=torch.where(gone, 0.0, self.constants),
        )

    def _map(self, change: Callable[[torch.Tensor], torch.Tensor]) -> Recursion:
        weights, variances = change(self.weights), change(self.variances)
        drive = None if self.drive is None else self.drive.map(change)
        constants, level = change(self.constants), self.level.map(change)
        return Recursion(weights, variances, constants, level, drive)

    def driven(self, position: torch.Tensor, context: torch.Tensor | None) -> torch.Tensor | None:
        """What is added at these positions: 0 before element p; None where nothing is."""
        if self.drive is None:
            return None
        added = self.drive.at(position, context)
        return torch.where(position >= self.order, added, 0.0)


def recursion_from_mean(coef: torch.Tensor, sigma2: torch.Tensor, level: Level) -> Recursion:
    """The AR about a mean, from its stationary start.

    Raises:
        ParameterError: the coefficients have no stationary law.
    """
    weights, variances = stationary_start(coef, sigma2)
    return Recursion(weights, variances, torch.zeros_like(variances), level)


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
    start = loc - then.level.at(torch.arange(p))
    return Recursion(
        torch.cat([rows, then.weights[-1:]]),
        torch.cat([factor.diagonal() ** 2, then.variances[-1:]]),
        torch.cat([start - by_place @ start, then.constants[-1:]]),
        then.level,
        then.drive,
    )


def recursion_given(
    coef: torch.Tensor, sigma2: torch.Tensor, level: Level, drive: Level | None
) -> Recursion:
    """The recursion after p given elements.

    The rows of the given elements hold nan: they have no conditionals.
    """
    nothing = torch.full((len(coef), len(coef) + 1), torch.nan, dtype=coef.dtype)
    weights = torch.cat([nothing[:, : len(coef)], coef[None]])
    variances = torch.cat([nothing[:, 0], sigma2[None]])
    constants = torch.cat([nothing[:, 0], coef.new_zeros(1)])
    return Recursion(weights, variances, constants, level, drive)


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
    line = Level(Terms("ct"), torch.stack([level, rise]))
    return log_prob(values, recursion_from_mean(coef, noise, line))


def log_prob(
    values: torch.Tensor, law: Recursion, skip: int = 0, context: torch.Tensor | None = None
) -> torch.Tensor:
    """Log-likelihood of series of one length [..., T], each from its start: [...], nats.

    Args:
        values: the series.
        law: their recursion.
        skip: 0, or p: how many first elements are given and not scored.
        context: the series' regressors [N, T, c], for laws that have some and values [N, T].
    """
    p, length = law.order, values.shape[-1]
    position = torch.arange(length, device=values.device)
    y = values - law.level.at(position, context)
    total = values.new_zeros(values.shape[:-1])
    if skip == 0 and p:
        variances = law.variances[: min(p, length)]
        total = ((_head(y[..., :p], law) ** 2) / variances).sum(-1) + variances.log().sum()
    if length > p:
        rest = innovations(y, law.weights[p])
        if law.drive is not None:
            rest = rest - law.drive.at(position[p:], context)
        squares = torch.dot(rest, rest) if rest.ndim == 1 else (rest * rest).sum(-1)
        total = total + squares / law.variances[p] + (length - p) * law.variances[p].log()
    return -0.5 * (total + max(length - skip, 0) * _LOG_2PI)


def residuals(
    values: torch.Tensor,
    lengths: torch.Tensor,
    law: Recursion,
    skip: int = 0,
    context: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Innovations of independent series, each from its start, and their variances.

    Args:
        values: the series one after the other, [total].
        lengths: elements in each, int64 [N].
        law: their recursion.
        skip: 0, or p where the first elements are given and have none.
        context: the series' regressors [N, T, c], for laws that have some.

    Returns:
        Twice [total - N skip].
    """
    lengths = lengths.to(values.device)
    p, stops = law.order, lengths.cumsum(0)
    starts = stops - lengths
    y, drive = values, law.drive
    varying = [part for part in (law.level, drive) if part is not None and not part.constant]
    if varying:
        rows = torch.repeat_interleave(torch.arange(len(lengths), device=values.device), lengths)
        position = torch.arange(len(values), device=values.device) - starts[rows]
        y = y - law.level.at_rows(position, rows, context)
    else:
        y = y - law.level.at(starts)
    rest = innovations(y, law.weights[p]) if len(y) > p else y[:0]
    rest = torch.cat([y[: len(y) - len(rest)], rest])
    if drive is not None:
        added = drive.at_rows(position, rows, context) if varying else drive.at(starts)
        rest = rest - added
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
    values: torch.Tensor,
    lengths: torch.Tensor,
    law: Recursion,
    skip: int = 0,
    context: torch.Tensor | None = None,
) -> torch.Tensor:
    """The chain rule's terms of independent series one after the other, nats; see `residuals`."""
    return normal_terms(*residuals(values, lengths, law, skip, context))


def normal_terms(rest: torch.Tensor, variances: torch.Tensor) -> torch.Tensor:
    """The log-density of N(0, variance) at each innovation, nats."""
    return -0.5 * (rest * rest / variances + variances.log() + _LOG_2PI)


def conditional(
    law: Recursion,
    y: torch.Tensor,
    position: torch.Tensor,
    level: torch.Tensor,
    drive: torch.Tensor | None,
) -> Normal:
    """The normal distributions of elements given the p before them, batch [N, K].

    Args:
        law: the recursion.
        y: the elements before less their levels, oldest first, [N, K, p].
        position: how many elements came before, [N, K].
        level: the elements' own levels, a scalar or [N, K].
        drive: what is added to them, if anything.
    """
    p = law.order
    if bool((position >= p).all()):
        loc = y @ law.backwards[p] + level
        scale = law.scales[p].expand(loc.shape)
    else:
        row = position.clamp(max=p)
        # what is missing before the start holds anything at all: its weight is 0
        loc = law.constants[row] + (law.backwards[row] * y).sum(-1) + level
        scale = law.scales[row]
    return Normal(loc if drive is None else loc + drive, scale, validate_args=False)


def _head(y: torch.Tensor, law: Recursion) -> torch.Tensor:
    """Innovations of the first elements [..., k], k <= p, by the rows of the start."""
    k = y.shape[-1]
    t = torch.arange(k, device=y.device)
    lag = t[:, None] - t  # of column s in row t, [k, k]
    weights = law.weights[:k].gather(1, (lag - 1).clamp(min=0))
    weights = torch.where(lag > 0, weights, 0.0)
    return y - law.constants[:k] - y @ weights.T
