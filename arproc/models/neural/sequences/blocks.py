"""Parts that the neural models share: rotary angles, windowed attention."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = [
    "alibi_slopes",
    "rotary_angles",
    "rotate",
    "squared_relu",
    "unit",
    "window_mask",
]

_TINY = 1e-12


class _Unit(torch.autograd.Function):
    """`x / |x|` over the last axis, with a backward pass of a few operations."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        norm = torch.linalg.vector_norm(x, dim=-1, keepdim=True).clamp_min_(_TINY)
        direction = x / norm
        ctx.save_for_backward(direction, norm)
        return direction

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        direction, norm = ctx.saved_tensors
        along = (gradients[0] * direction).sum(-1, keepdim=True)
        return torch.addcmul(gradients[0], direction, along, value=-1).div_(norm)


def unit(x: Tensor) -> Tensor:
    """Scale the last axis to length one.

    Times the root of its size this is root-mean-square normalisation (Zhang and Sennrich 2019);
    the factor, and any gain, are left to the linear map that follows.

    Example:
        >>> unit(torch.tensor([3.0, 4.0]))
        tensor([0.6000, 0.8000])
    """
    if torch.is_grad_enabled():
        return _Unit.apply(x)
    return x / torch.linalg.vector_norm(x, dim=-1, keepdim=True).clamp_min_(_TINY)


class _SquaredReLU(torch.autograd.Function):
    """`relu(x)^2`, a third of the memory traffic of what autograd derives for it."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        positive = F.relu(x)
        ctx.save_for_backward(positive)
        return positive * positive

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (positive,) = ctx.saved_tensors
        return (gradients[0] * positive).mul_(2)


def squared_relu(x: Tensor) -> Tensor:
    """`relu(x)^2` (So et al. 2021), elementwise.

    Example:
        >>> squared_relu(torch.tensor([-1.0, 3.0]))
        tensor([0., 9.])
    """
    if torch.is_grad_enabled():
        return _SquaredReLU.apply(x)
    return F.relu(x).square_()


def rotary_angles(
    position: Tensor,
    dim: int,
    base: float = 10_000.0,
    scaling: Sequence[float] | None = None,
) -> Tensor:
    r"""Unit complex numbers :math:`e^{i m \theta_k}` of rotary positions (Su et al. 2021).

    The angles are computed in float64, since `position * frequency` in float32 is off by 0.04 at
    position 10^8; only the cosine and the sine are rounded.

    Args:
        position: absolute positions m, integers of any shape `[...]`.
        dim: size of a head, even.
        base: the longest wavelength is about `2 pi base` elements.
        scaling: of Llama 3.1: the factor by which long wavelengths are stretched, how many times
            a wavelength goes into the original length to be long at most and short at least, and
            that length; those between are stretched in part. One number stretches all alike.

    Returns:
        complex64 `[..., dim / 2]`.

    Example:
        >>> rotary_angles(torch.tensor([0, 1]), dim=2)
        tensor([[1.0000+0.0000j], [0.5403+0.8415j]])
    """
    exponent = torch.arange(0, dim, 2, dtype=torch.float64, device=position.device) / dim
    frequency = _scaled(base**-exponent, scaling)
    angle = position.to(torch.float64).unsqueeze(-1) * frequency
    return torch.complex(angle.cos().float(), angle.sin().float())


def _scaled(frequency: Tensor, scaling: Sequence[float] | None) -> Tensor:
    if scaling is None:
        return frequency
    if len(scaling) == 1:
        return frequency / scaling[0]
    factor, low, high, length = scaling
    turns = length * frequency / (2 * math.pi)
    short = ((turns - low) / (high - low)).clamp(0, 1)
    return frequency * (short + (1 - short) / factor)


def alibi_slopes(heads: int) -> Tensor:
    """How fast a head's scores fall with the distance (Press et al. 2022), float32 [heads].

    Example:
        >>> alibi_slopes(4).tolist()
        [0.25, 0.0625, 0.015625, 0.00390625]
    """
    power = 2 ** math.floor(math.log2(heads))
    slopes = [2 ** (-8 * (i + 1) / power) for i in range(power)]
    more = [2 ** (-4 * (2 * i + 1) / power) for i in range(heads - power)]
    return torch.tensor(slopes + more)


def rotate(x: Tensor, angles: Tensor) -> Tensor:
    """Turn each pair of features `(2k, 2k + 1)` of x `[..., dim]` by angles `[..., dim / 2]`."""
    pairs = torch.view_as_complex(x.float().unflatten(-1, (-1, 2)))
    return torch.view_as_real(pairs * angles).flatten(-2)


def window_mask(query: Tensor, key: Tensor, window: int, both_sides: bool = False) -> Tensor:
    """Which keys a query sees: those at its own position and the `window - 1` before it.

    This predicate is the one definition of attention, in training, in likelihoods and in
    generation alike: a query at position i sees keys i - window + 1, ..., i.

    Args:
        query: positions of the queries, `[..., Q]`.
        key: positions of the keys, `[..., K]`; a negative position marks an empty slot.
        window: how many positions a query sees.
        both_sides: whether it sees the `window - 1` positions after its own as well, as in a
            network of every order.

    Returns:
        Boolean `[..., Q, K]`.

    Example:
        >>> window_mask(torch.arange(3), torch.arange(3), window=2).int().tolist()
        [[1, 0, 0], [1, 1, 0], [0, 1, 1]]
    """
    lag = query.unsqueeze(-1) - key.unsqueeze(-2)
    near = lag.abs() < window if both_sides else (lag >= 0) & (lag < window)
    return near & (key >= 0).unsqueeze(-2)
