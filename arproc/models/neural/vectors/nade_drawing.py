"""Draws of a `NADENetwork`'s sites by its compiled sampler."""

from __future__ import annotations

import torch
from torch import Tensor

from arproc.models.neural.vectors.heads import BernoulliHead, CategoricalHead
from arproc.models.neural.vectors.nade_network import NADENetwork
from arproc.models.neural.vectors.networks import plain

__all__ = ["compiles_draws", "draw_sites"]


def compiles_draws(network: NADENetwork) -> bool:
    """Whether the compiled sampler knows this network: one hidden layer, and finite sites."""
    finite = isinstance(network.values, (BernoulliHead, CategoricalHead))
    return finite and not len(network.layers)


def draw_sites(
    network: NADENetwork, inputs: Tensor, uniforms: Tensor, first: int, offsets: Tensor | None
) -> Tensor:
    """The values [N, K], int64, of the sites from `first` on that uniforms [N, K] stand for.

    Args:
        network: one that `compiles_draws`.
        inputs: of the hidden layer, from the sites before `first`, [N, H].
        uniforms: float64, in (0, 1).
        first: the first site.
        offsets: what a context adds to the outputs, [N, sites, outputs], or None.
    """
    from arproc.compiled.interpreted import suited
    from arproc.models.neural.vectors import nade_kernels

    values = network.values
    bias = network.out_bias[None]
    forbidden = torch.zeros((network.sites, 1), dtype=torch.bool)
    outputs = network.out.shape[1]
    kernels = suited(nade_kernels, 10 * uniforms.numel() * (2 + outputs))
    drawn = kernels.draw(
        plain(inputs.clone()),
        plain(uniforms),
        first,
        plain(network.weight),
        plain(network.bias.new_zeros((0, 1)) if network.mask is None else network.mask),
        plain(network.bias.new_ones(network.sites) if network.scale is None else network.scale),
        plain(network.out),
        plain(bias if offsets is None else bias + offsets),
        plain(values.forbidden if isinstance(values, CategoricalHead) else forbidden),
        network.activation == "sigmoid",
        isinstance(values, BernoulliHead),
    )
    return torch.from_numpy(drawn)
