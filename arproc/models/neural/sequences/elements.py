"""Elements: how a sequence's values enter a network, and what its units say of the next one.

One class for each kind of element: symbols, counts, real numbers, and frames of zeros and ones.
Real numbers are described by the heads of vectors, a frame by a whole network of vectors.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterator
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.distributions import (
    Bernoulli,
    Distribution,
    Independent,
    NegativeBinomial,
    Poisson,
)

from arproc.contract.checked import Array, sentences
from arproc.contract.storable import StorableModule
from arproc.data.form import Layout
from arproc.data.robust import FAR
from arproc.distributions import Categorical
from arproc.models.neural.sequences.scaling import Scale
from arproc.models.neural.vectors.frames import Frame
from arproc.models.neural.vectors.heads import MixtureHead
from arproc.models.neural.vectors.networks import VectorNetwork
from arproc.models.neural.vectors.tied import TiedFrames
from arproc.spaces import BinaryVector, Count, Real, Space

__all__ = [
    "BitsElement",
    "CountElement",
    "Element",
    "FrameElement",
    "RealElement",
    "RollElement",
    "SymbolElement",
]

#: Logarithms of means and sizes lie between these, about their own scale.
_LOG_MEAN, _LOG_SIZE = 15.0, 12.0


class Element(StorableModule):
    """How an element enters a network of some width, and is described by its units.

    Attributes:
        width: how many numbers an element becomes, and how many units describe the next.
        numbers: how many numbers describe one conditional, about.
    """

    width: int
    numbers: int

    @abstractmethod
    def fits(self, space: Space) -> bool:
        """Whether it describes elements of this space."""

    def problems(self, space: Space, layout: Layout | None) -> Iterator[str]:
        """What does not fit the law's space; see `NeuralLaw.problems`."""
        wrong = not self.fits(space) or layout is not None
        yield from sentences((wrong, f"the network does not describe {space.describe()} elements"))

    def learn(self, x: Tensor, scale: Scale | None) -> None:
        """Learn place and size of the training data's elements x [n, *event].

        Args:
            x: some of them.
            scale: of each, [n]; or None.
        """

    @abstractmethod
    def embed(self, x: Tensor, scale: Scale | None) -> Tensor:
        """What elements x [*batch, *event] are to the network, [*batch, width]."""

    @abstractmethod
    def distribution(self, units: Tensor, scale: Scale | None) -> Distribution:
        """The law of the element that units [*batch, width] describe, under scales [*batch]."""

    def log_prob(self, units: Tensor, x: Tensor, scale: Scale | None) -> Tensor:
        """Log-probabilities of elements x [*batch, *event], nats."""
        return self.distribution(units, scale).log_prob(x)


class SymbolElement(Element):
    """A symbol: an embedding, and scores of every symbol.

    Args:
        symbols: how many there are, the end included.
        width: see `Element`.
    """

    def __init__(self, symbols: int, width: int) -> None:
        super().__init__()
        self.width, self.numbers = width, symbols
        self.embedding = nn.Embedding(symbols, width)
        nn.init.normal_(self.embedding.weight, std=0.5)
        self.out = nn.Linear(width, symbols)

    def fits(self, space: Space) -> bool:
        return space.kind == "categorical" and space.size == self.numbers

    def embed(self, x: Tensor, scale: Scale | None) -> Tensor:
        return F.embedding(x, self.embedding.weight)

    def distribution(self, units: Tensor, scale: Scale | None) -> Distribution:
        return Categorical(self.out(units))

    def log_prob(self, units: Tensor, x: Tensor, scale: Scale | None) -> Tensor:
        scores = self.out(units).flatten(0, -2).float()
        return -F.cross_entropy(scores, x.flatten(), reduction="none").reshape(x.shape)


class CountElement(Element):
    """A count: Poisson or negative binomial, its mean in units of the series' scale.

    Args:
        kind: "poisson" or "negative_binomial", with variance `mean + mean^2 / size`.
        width: see `Element`.
    """

    level: Annotated[Tensor, Array(above=0)]

    def __init__(self, kind: Literal["poisson", "negative_binomial"], width: int) -> None:
        super().__init__()
        self.width, self.kind, self.numbers = width, kind, 2
        self.enter = nn.Linear(1, width)
        self.out = nn.Linear(width, 1 + (kind == "negative_binomial"))
        self.register_buffer("level", torch.ones((), dtype=torch.float64))

    def fits(self, space: Space) -> bool:
        return isinstance(space, Count)

    def learn(self, x: Tensor, scale: Scale | None) -> None:
        self.level.copy_((1.0 if scale is None else 0.0) + self._scaled(x, scale).mean())

    def embed(self, x: Tensor, scale: Scale | None) -> Tensor:
        z = torch.log1p((self._scaled(x, scale) / self.level).clamp(0, math.exp(FAR)))
        return self.enter(z[..., None].to(self.enter.weight.dtype))

    def distribution(self, units: Tensor, scale: Scale | None) -> Distribution:
        raw = self.out(units).double()
        log_mean = raw[..., 0].clamp(-_LOG_MEAN, _LOG_MEAN) + self.level.log()
        log_mean = log_mean if scale is None else log_mean + scale.size.log()
        if self.kind == "poisson":
            return Poisson(log_mean.exp(), validate_args=False)
        log_size = raw[..., 1].clamp(-_LOG_SIZE, _LOG_SIZE)
        logits = log_mean - log_size
        return NegativeBinomial(log_size.exp(), logits=logits, validate_args=False)

    @staticmethod
    def _scaled(x: Tensor, scale: Scale | None) -> Tensor:
        return x.double() if scale is None else x.double() / scale.size


class RealElement(Element):
    """A real number: a mixture of normals, logistics or Student's t, on the series' own scale.

    Args:
        values: the law of one number, on the scale of the training data; or, where series have
            scales of their own, on these.
        width: see `Element`.
        min_scale: what the scales are at least, in the unit of the data.
    """

    def __init__(self, values: MixtureHead, width: int, min_scale: float = 0.0) -> None:
        super().__init__()
        self.width, self.values, self.min_scale = width, values, min_scale
        self.numbers = values.outputs
        self.enter = nn.Linear(1, width)
        self.out = nn.Linear(width, values.outputs)
        with torch.no_grad():
            self.out.weight.mul_(0.1)  # the first predictions are the law of the data
            self.out.bias.copy_(values.bias())

    def fits(self, space: Space) -> bool:
        return isinstance(space, Real) and not space.event_shape

    def learn(self, x: Tensor, scale: Scale | None) -> None:
        self.values.learn(_unscaled(x, scale)[:, None])

    def embed(self, x: Tensor, scale: Scale | None) -> Tensor:
        z = self.values.standardised(_unscaled(x, scale), slice(None))
        return self.enter(z[..., None].to(self.enter.weight.dtype))

    def distribution(self, units: Tensor, scale: Scale | None) -> Distribution:
        return self.values.distribution(self._finished(units, scale))

    def log_prob(self, units: Tensor, x: Tensor, scale: Scale | None) -> Tensor:
        return self.values.log_prob(self._finished(units, scale), x.double())

    def _finished(self, units: Tensor, scale: Scale | None) -> Tensor:
        found = self.values.finish(self.out(units)[..., None, :])[..., 0, :]
        logits, place, size, *rest = found.unflatten(-1, (-1, self.values.components)).unbind(-2)
        if scale is not None:
            place = scale.place[..., None] + scale.size[..., None] * place
            size = scale.size[..., None] * size
        return torch.cat([logits, place, size + self.min_scale, *rest], dim=-1)


class BitsElement(Element):
    """A frame of zeros and ones that are independent given the past.

    Args:
        sites: how many there are.
        width: see `Element`.
    """

    def __init__(self, sites: int, width: int) -> None:
        super().__init__()
        self.width, self.numbers = width, sites
        self.enter = nn.Linear(sites, width)
        self.out = nn.Linear(width, sites)

    def fits(self, space: Space) -> bool:
        return isinstance(space, BinaryVector) and space.dimension == self.numbers

    def embed(self, x: Tensor, scale: Scale | None) -> Tensor:
        return self.enter(x.to(self.enter.weight.dtype))

    def distribution(self, units: Tensor, scale: Scale | None) -> Distribution:
        return Independent(Bernoulli(logits=self.out(units), validate_args=False), 1, False)


class FrameElement(Element):
    """A frame of zeros and ones whose sites depend on each other by a network of vectors.

    Args:
        network: of the vectors, driven by the units; see `Frame`.
        width: see `Element`.
    """

    def __init__(self, network: VectorNetwork, width: int) -> None:
        super().__init__()
        self.width, self.network = width, network
        self.numbers = max(width, 4 * network.sites)
        self.enter = nn.Linear(network.sites, width)

    def fits(self, space: Space) -> bool:
        return isinstance(space, BinaryVector) and space.dimension == self.network.sites

    def embed(self, x: Tensor, scale: Scale | None) -> Tensor:
        return self.enter(x.to(self.enter.weight.dtype))

    def distribution(self, units: Tensor, scale: Scale | None) -> Distribution:
        return Frame(self.network, units)


class RollElement(Element):
    """A frame of notes, which enters as it is, and is described by `TiedFrames`.

    Args:
        network: of the frames.
    """

    def __init__(self, network: TiedFrames) -> None:
        super().__init__()
        self.network, self.width = network, network.sites + network.width
        self.numbers = network.sites * 3 * network.width

    def fits(self, space: Space) -> bool:
        return isinstance(space, BinaryVector) and space.dimension == self.network.sites

    def embed(self, x: Tensor, scale: Scale | None) -> Tensor:
        return F.pad(x.to(self.network.place.dtype), (0, self.network.width))

    def distribution(self, units: Tensor, scale: Scale | None) -> Distribution:
        return Frame(self.network, units)


def _unscaled(x: Tensor, scale: Scale | None) -> Tensor:
    """Values x [*batch] in the series' own unit, float64."""
    return x.double() if scale is None else (x.double() - scale.place) / scale.size
