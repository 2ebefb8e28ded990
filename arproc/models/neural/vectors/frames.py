"""A whole vector as one conditional: its sites depend on each other by a network of vectors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch import distributions as td

from arproc.distributions import from_uniform, tempered
from arproc.distributions.shape import map_parameters
from arproc.errors import UnsupportedError
from arproc.models.neural.vectors import made_drawing, nade_drawing
from arproc.models.neural.vectors.masks import MaskedNetwork
from arproc.models.neural.vectors.nade_network import NADENetwork
from arproc.models.neural.vectors.networks import RevealingNetwork, VectorNetwork
from arproc.models.neural.vectors.tied import TiedFrames

__all__ = ["Frame"]

Shape = torch.Size | list[int] | tuple[int, ...]


class Frame(td.Distribution):
    """Vectors [sites] of zeros and ones whose law a network gives, driven by some units.

    The chain rule within the vector makes its probability exact (Boulanger-Lewandowski, Bengio
    and Vincent 2012, with NADE). There is no closed form of its mean.

    Args:
        network: a NADE, a MADE or `TiedFrames`, whose context the units are.
        units: [*batch, units].

    Example:
        >>> from arproc.models.neural.vectors.heads import BernoulliHead
        >>> network = NADENetwork(3, BernoulliHead(), (4,), context=2, driven=True)
        >>> frame = Frame(network, torch.zeros(5, 2))
        >>> frame.batch_shape, frame.event_shape, frame.log_prob(torch.zeros(3)).shape
        (torch.Size([5]), torch.Size([3]), torch.Size([5]))
    """

    arg_constraints: dict[str, td.constraints.Constraint] = {}
    support = td.constraints.independent(td.constraints.boolean, 1)

    def __init__(self, network: VectorNetwork | TiedFrames, units: Tensor) -> None:
        self.network, self.units = network, units
        super().__init__(units.shape[:-1], torch.Size([network.sites]), validate_args=False)

    def expand(self, batch_shape: Shape, _instance: object = None) -> Frame:
        return Frame(self.network, self.units.expand(*batch_shape, self.units.shape[-1]))

    def __repr__(self) -> str:
        return f"Frame(sites: {self.network.sites}, batch_shape: {tuple(self.batch_shape)})"

    def log_prob(self, value: Tensor) -> Tensor:
        shape = torch.broadcast_shapes(value.shape[:-1], self.batch_shape)
        x = value.expand(*shape, value.shape[-1]).reshape(-1, value.shape[-1])
        units = self.units.expand(*shape, self.units.shape[-1]).reshape(len(x), -1)
        return self.network.terms(x, units).double().sum(-1).reshape(shape)

    def sample(self, sample_shape: Shape = ()) -> Tensor:
        shape = torch.Size(sample_shape) + self.batch_shape
        place = self.units.device
        u = torch.rand((*shape, *self.event_shape), dtype=torch.float64, device=place)
        with torch.no_grad():
            return from_uniform(self.expand(shape), u.clamp(min=2.0**-53))

    def draw(self, u: Tensor) -> Tensor:
        """The vectors that uniforms u [*batch, sites] stand for, site by site."""
        flat = u.reshape(-1, u.shape[-1])
        units = self.units.expand(*u.shape[:-1], -1).reshape(len(flat), self.units.shape[-1])
        network, x = self.network, flat.new_zeros((len(flat), 0))
        if isinstance(network, MaskedNetwork) and made_drawing.compiles_draws(network):
            x = made_drawing.draw_sites(network, x, flat, network.offsets(units))
        elif isinstance(network, NADENetwork) and nade_drawing.compiles_draws(network):
            inputs, offsets = network.begin(len(flat), units), network.offsets(units)
            x = nade_drawing.draw_sites(network, inputs, flat, 0, offsets)
        elif isinstance(network, TiedFrames):
            x = network.draw(flat, units)
        elif isinstance(network, RevealingNetwork):
            x = _draw_by_sites(network, flat, units)
        else:
            raise UnsupportedError(f"nothing is drawn from a {type(network).__name__} as a frame.")
        return x.to(u.device, self.units.dtype).reshape(u.shape)


def _draw_by_sites(network: RevealingNetwork, u: Tensor, units: Tensor) -> Tensor:
    inputs, drawn = network.begin(len(u), units), []
    for site, level in enumerate(u.unbind(1)):
        count = torch.full((len(u),), site, device=u.device)
        x = network.draws_at(inputs, site, level, units, count)
        inputs = network.reveal(inputs, x, site)
        drawn.append(x)
    return torch.stack(drawn, dim=1)


@map_parameters.register
def _(first: Frame, rest: Sequence[Any], change: Callable[[list[Tensor]], Tensor]) -> Frame:
    return Frame(first.network, change([part.units for part in (first, *rest)]))


@from_uniform.register
def _(distribution: Frame, u: Tensor) -> Tensor:
    return distribution.draw(u)


@tempered.register
def _(distribution: Frame, temperature: float) -> Frame:
    del distribution, temperature
    raise UnsupportedError(
        "a temperature of frames whose sites depend on each other has no known normaliser; use "
        'RNN(head="bernoulli"), whose notes are independent given the past.'
    )
