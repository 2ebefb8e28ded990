"""Draws from uniforms: one function of a conditional and its uniforms, for every kind.

`from_uniform` is the inverse cdf wherever that is cheap. A mixture uses one uniform twice: the
interval of the cumulated weights it falls in chooses the component, and its place inside the
interval is a uniform again. Draws are made in float64: float32 inverse cdfs are infinite near 1.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, singledispatch
from typing import Any

import numpy as np
import torch
from torch import distributions as td

from arproc.distributions.calculus import quantile
from arproc.distributions.categorical import as_categorical
from arproc.distributions.mixture import Mixture
from arproc.errors import DataError

__all__ = ["draw_into", "from_uniform"]

#: So many symbols are drawn by the compiled loop at most (beyond, whole arrays are faster), and so
#: many draws are made before it is loaded, which takes as long as it saves on them.
_FEW_SYMBOLS, _COMPILE_FROM = 4096, 10_000
_draws = 0


@singledispatch
def from_uniform(distribution: Any, u: torch.Tensor) -> torch.Tensor:
    """The draw that the uniforms `u` [*batch, *event] in (0, 1), float64, stand for.

    Example:
        >>> from_uniform(td.Normal(2.0, 1.0), torch.tensor(0.5, dtype=torch.float64))
        tensor(2., dtype=torch.float64)
    """
    return quantile(distribution, u)


@from_uniform.register
def _of_symbols(distribution: td.Categorical, u: torch.Tensor) -> torch.Tensor:
    scores = as_categorical(distribution).scores
    if u.ndim == 1 and u.is_cpu and _suits_loop(scores, len(u)):
        out = np.empty((len(u), 1), dtype=np.int64)
        if _loop()(_array(scores), _array(u)[:, None], 0, out, 0) < scores.shape[1]:
            return torch.from_numpy(out)[:, 0]
    cumulated = torch.softmax(scores.double(), dim=-1).cumsum(-1)
    target = u[..., None] * cumulated[..., -1:]
    drawn = torch.searchsorted(cumulated, target, right=True)[..., 0]
    if drawn.numel() and int(drawn.max()) >= scores.shape[-1]:
        raise DataError(
            "a conditional's probabilities are not numbers, so nothing can be drawn: the model's "
            "parameters, or what it is conditioned on, are not finite."
        )
    return drawn


def draw_into(
    distribution: Any,
    u: np.ndarray,
    column: int,
    out: np.ndarray,
    slot: int,
) -> bool:
    """Write `from_uniform` of a column of uniforms into a column of an array, where that is fast.

    Args:
        distribution: a conditional of batch [N].
        u: float64 [N, C], and the number of the column.
        column: of `u`.
        out: int64 [N, S], and the number of the column.
        slot: of `out`.

    Returns:
        Whether it was done: after many draws over some thousand symbols at most.
    """
    if from_uniform.dispatch(type(distribution)) is not _of_symbols:
        return False
    scores = as_categorical(distribution).scores
    if not _suits_loop(scores, len(u)):
        return False
    return _loop()(_array(scores), u, column, out, slot) < scores.shape[1]


def _suits_loop(scores: torch.Tensor, n: int) -> bool:
    """Whether symbols for n rows are drawn by the compiled loop; scores [n, K]."""
    global _draws
    shape = scores.shape
    if len(shape) != 2 or shape[0] != n or not 0 < shape[1] <= _FEW_SYMBOLS:
        return False
    _draws += 1
    if _draws <= _COMPILE_FROM or not scores.is_cpu:
        return False
    return scores.dtype in (torch.float32, torch.float64)


def _array(values: torch.Tensor) -> np.ndarray:
    """In one piece: the loop is compiled for each layout anew."""
    return np.ascontiguousarray(values.detach().numpy())


@cache
def _loop() -> Callable[..., int]:
    from arproc.compiled.choosing import choose

    return choose


@from_uniform.register
def _(distribution: td.Bernoulli, u: torch.Tensor) -> torch.Tensor:
    return (u >= torch.sigmoid(-distribution.logits.double())).to(distribution.logits.dtype)


@from_uniform.register
def _(distribution: Mixture, u: torch.Tensor) -> torch.Tensor:
    weights = distribution.weights.double()
    if distribution.event_shape:
        # the first scalar's uniform chooses the component, for all scalars of the element
        head = u.flatten(-len(distribution.event_shape))[..., 0]
        which, rest = _choose(weights, head)
        inner = u.clone().flatten(-len(distribution.event_shape))
        inner[..., 0] = rest
        inner = inner.reshape(u.shape)
    else:
        which, inner = _choose(weights, u)
    draws = torch.stack([from_uniform(c, inner) for c in distribution.components])
    which = which.reshape(*which.shape, *[1] * len(distribution.event_shape))
    return draws.gather(0, which.expand(draws.shape[1:])[None])[0]


@from_uniform.register
def _(distribution: td.MixtureSameFamily, u: torch.Tensor) -> torch.Tensor:
    event = len(distribution.event_shape)
    weights = distribution.mixture_distribution.probs.double()
    head = u.flatten(-event)[..., 0] if event else u
    which, rest = _choose(weights, head)
    inner = u.clone()
    if event:
        inner = inner.flatten(-event)
        inner[..., 0] = rest
        inner = inner.reshape(u.shape)
    else:
        inner = rest
    axis = len(distribution.batch_shape)
    spread = inner.unsqueeze(axis).expand(
        *distribution.batch_shape, weights.shape[-1], *distribution.event_shape
    )
    draws = from_uniform(distribution.component_distribution, spread)
    which = which.reshape(*which.shape, 1, *[1] * event)
    return draws.gather(axis, which.expand(*which.shape[: axis + 1], *draws.shape[axis + 1 :]))[
        (slice(None),) * axis + (0,)
    ]


def _choose(weights: torch.Tensor, u: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The component that u falls in, and u's place inside that component's interval."""
    weights = weights.expand(*u.shape, weights.shape[-1])
    upper = weights.cumsum(-1)
    target = u * upper[..., -1]
    which = torch.searchsorted(upper, target[..., None].contiguous(), right=True)
    chosen = weights.gather(-1, which)[..., 0]
    lower = upper.gather(-1, which)[..., 0] - chosen
    inside = (target - lower) / chosen
    return which[..., 0], inside.clamp(2.0**-53, 1 - 2.0**-53)


@from_uniform.register
def _(distribution: td.Independent, u: torch.Tensor) -> torch.Tensor:
    return from_uniform(distribution.base_dist, u)


@from_uniform.register
def _(distribution: td.MultivariateNormal, u: torch.Tensor) -> torch.Tensor:
    white = torch.special.ndtri(u).to(distribution.loc.dtype)
    return distribution.loc + (distribution._unbroadcasted_scale_tril @ white[..., None])[..., 0]


@from_uniform.register
def _(distribution: td.TransformedDistribution, u: torch.Tensor) -> torch.Tensor:
    x = from_uniform(distribution.base_dist, u)
    for transform in distribution.transforms:
        x = transform(x)
    return x
