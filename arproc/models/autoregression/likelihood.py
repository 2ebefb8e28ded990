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

import torch
from torch.distributions import Normal

from arproc.models.autoregression.recursion import Recursion

__all__ = [
    "conditional",
    "innovations",
    "log_prob",
    "normal_terms",
    "residuals",
]

_LOG_2PI = math.log(2 * math.pi)


def innovations(y: torch.Tensor, coef: torch.Tensor) -> torch.Tensor:
    """y_t - sum_i coef_i y_{t-i} for t = p, p + 1, ...: [..., T] to [..., T - p]."""
    p, length = coef.shape[-1], y.shape[-1]
    if p == 0 or length <= p:
        return y[..., p:]
    result = torch.addcmul(y[..., p:], y[..., p - 1 : length - 1], coef[0], value=-1)
    for i in range(1, p):
        result.addcmul_(y[..., p - 1 - i : length - 1 - i], coef[i], value=-1)
    return result


def log_prob(
    values: torch.Tensor, recursion: Recursion, skip: int = 0, context: torch.Tensor | None = None
) -> torch.Tensor:
    """Log-likelihood of series of one length [..., T], each from its start: [...], nats.

    Args:
        values: the series.
        recursion: that of the series.
        skip: 0, or p: how many first elements are given and not scored.
        context: the series' regressors [N, T, c], for recursions that have some and values [N, T].
    """
    p, length = recursion.order, values.shape[-1]
    position = torch.arange(length, device=values.device)
    y = values - recursion.level.at(position, context)
    total = values.new_zeros(values.shape[:-1])
    if skip == 0 and p:
        variances = recursion.variances[: min(p, length)]
        total = ((_head(y[..., :p], recursion) ** 2) / variances).sum(-1) + variances.log().sum()
    if length > p:
        rest = innovations(y, recursion.weights[p])
        if recursion.drive is not None:
            rest = rest - recursion.drive.at(position[p:], context)
        squares = torch.dot(rest, rest) if rest.ndim == 1 else (rest * rest).sum(-1)
        total = (
            total + squares / recursion.variances[p] + (length - p) * recursion.variances[p].log()
        )
    return -0.5 * (total + max(length - skip, 0) * _LOG_2PI)


def residuals(
    values: torch.Tensor,
    lengths: torch.Tensor,
    recursion: Recursion,
    skip: int = 0,
    context: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Innovations of independent series, each from its start, and their variances.

    Args:
        values: the series one after the other, [total].
        lengths: elements in each, int64 [N].
        recursion: that of the series.
        skip: 0, or p where the first elements are given and have none.
        context: the series' regressors [N, T, c], for recursions that have some.

    Returns:
        Twice [total - N skip].
    """
    lengths = lengths.to(values.device)
    p, stops = recursion.order, lengths.cumsum(0)
    starts = stops - lengths
    y, drive = values, recursion.drive
    varying = [part for part in (recursion.level, drive) if part is not None and not part.constant]
    if varying:
        rows = torch.repeat_interleave(torch.arange(len(lengths), device=values.device), lengths)
        position = torch.arange(len(values), device=values.device) - starts[rows]
        y = y - recursion.level.at_rows(position, rows, context)
    else:
        y = y - recursion.level.at(starts)
    rest = innovations(y, recursion.weights[p]) if len(y) > p else y[:0]
    rest = torch.cat([y[: len(y) - len(rest)], rest])
    if drive is not None:
        added = drive.at_rows(position, rows, context) if varying else drive.at(starts)
        rest = rest - added
    variances = recursion.variances[p].expand(len(y))
    if p == 0 or len(y) == 0:
        return rest, variances
    # The first p of every series were predicted from its neighbour.
    index = starts[:, None] + torch.arange(p, device=y.device)  # [N, p]
    if skip:
        keep = torch.ones(len(y), dtype=torch.bool, device=y.device)
        keep[index.reshape(-1)] = False
        return rest[keep], variances[keep]
    inside = index < stops[:, None]
    head = _head(y[index.clamp(max=len(y) - 1)], recursion)
    where = (index[inside],)
    rest = rest.index_put(where, head[inside])
    return rest, variances.index_put(where, recursion.variances[:p].expand_as(head)[inside])


def normal_terms(rest: torch.Tensor, variances: torch.Tensor) -> torch.Tensor:
    """The log-density of N(0, variance) at each innovation, nats."""
    return -0.5 * (rest * rest / variances + variances.log() + _LOG_2PI)


def conditional(
    recursion: Recursion,
    y: torch.Tensor,
    position: torch.Tensor,
    level: torch.Tensor,
    drive: torch.Tensor | None,
) -> Normal:
    """The normal distributions of elements given the p before them, batch [N, K].

    Args:
        recursion: weights, variances and what is added.
        y: the elements before less their levels, oldest first, [N, K, p].
        position: how many elements came before, [N, K].
        level: the elements' own levels, a scalar or [N, K].
        drive: what is added to them, if anything.
    """
    p = recursion.order
    if bool((position >= p).all()):
        loc = y @ recursion.backwards[p] + level
        scale = recursion.scales[p].expand(loc.shape)
    else:
        row = position.clamp(max=p)
        # what is missing before the start holds anything at all: its weight is 0
        loc = recursion.constants[row] + (recursion.backwards[row] * y).sum(-1) + level
        scale = recursion.scales[row]
    return Normal(loc if drive is None else loc + drive, scale, validate_args=False)


def _head(y: torch.Tensor, recursion: Recursion) -> torch.Tensor:
    """Innovations of the first elements [..., k], k <= p, by the rows of the start."""
    k = y.shape[-1]
    t = torch.arange(k, device=y.device)
    lag = t[:, None] - t  # of column s in row t, [k, k]
    weights = recursion.weights[:k].gather(1, (lag - 1).clamp(min=0))
    weights = torch.where(lag > 0, weights, 0.0)
    return y - recursion.constants[:k] - y @ weights.T
