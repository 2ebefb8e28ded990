"""Draws of a `MaskedNetwork`'s sites by its compiled sampler."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from arproc.models.neural.vectors.heads import BernoulliHead, CategoricalHead
from arproc.models.neural.vectors.masks import MaskedNetwork
from arproc.models.neural.vectors.networks import plain

__all__ = ["compiles_draws", "draw_sites"]


def compiles_draws(network: MaskedNetwork) -> bool:
    """Whether the compiled sampler knows this network: its sites are finite."""
    return isinstance(network.values, (BernoulliHead, CategoricalHead))


def draw_sites(
    network: MaskedNetwork, known: Tensor, uniforms: Tensor, offsets: Sequence[Tensor] | None
) -> Tensor:
    """The values [N, K], int64, of the next sites that uniforms [N, K] stand for.

    Args:
        network: one that `compiles_draws`.
        known: the values [N, k] of the sites before.
        uniforms: float64, in (0, 1).
        offsets: what a context adds to each layer, see `MaskedNetwork.offsets`; or None.
    """
    from arproc.compiled.interpreted import suited
    from arproc.models.neural.vectors import made_kernels

    units = sum(layer.out_features for layer in (*network.layers, network.head))
    kernels = suited(made_kernels, 10 * len(uniforms) * units)
    drawn = kernels.draw(
        known.long().cpu().contiguous().numpy(),
        uniforms.cpu().contiguous().numpy(),
        *_plain_weights(network, offsets),
        np.array(network.settled),
        network.residual,
    )
    return torch.from_numpy(drawn)


def _plain_weights(network: MaskedNetwork, offsets: Sequence[Tensor] | None) -> tuple[Any, ...]:
    """What the compiled sampler reads: weights, biases of every row, levels not there."""
    layers = [*network.layers, network.head]
    biases: list[Tensor] = [layer.bias[None] for layer in layers]
    if offsets is not None:
        biases = [bias + add for bias, add in zip(biases, offsets, strict=True)]
    direct = torch.zeros((0, 0)) if network.direct is None else network.direct.weight
    values = network.values
    forbidden = torch.zeros((network.sites, 1), dtype=torch.bool)
    if isinstance(values, CategoricalHead):
        forbidden = values.forbidden
    return (
        tuple(plain(layer.weight) for layer in layers),
        tuple(plain(bias) for bias in biases),
        plain(direct),
        plain(forbidden),
        isinstance(values, BernoulliHead),
    )
