"""Heads: how a network's outputs for a site become the distribution of its value.

A head also says how a value enters the network. Densities are standardised inside: the head holds
the place and the size of each site's training data, so that a network sees values of size one, and
its distributions are on the data's own scale.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.distributions import Bernoulli, Distribution, MixtureSameFamily, Normal, StudentT

from arproc.contract.checked import Array, sentences
from arproc.contract.storable import StorableModule
from arproc.data.form import Layout
from arproc.data.robust import FAR, quantiles, standard_of
from arproc.distributions import Categorical
from arproc.distributions.logistic import (
    DiscretisedLogisticMixture,
    Logistic,
    logistic_log_density,
)
from arproc.spaces import Binary, Ordinal, Space

__all__ = [
    "BernoulliHead",
    "CategoricalHead",
    "DiscretisedLogisticHead",
    "Head",
    "MixtureHead",
]


_NOT = "the network's outputs do not describe "


class Head(StorableModule):
    """The distribution of each site from `outputs` numbers a site.

    Attributes:
        channels: how many inputs a site's value has.
        outputs: how many of the network's outputs describe a site.
    """

    channels: int
    outputs: int

    def problems(self, space: Space, layout: Layout | None) -> Iterator[str]:
        """What does not fit the law's space and layout; see `NeuralLaw.problems`."""
        yield from ()

    def learn(self, x: Tensor) -> None:
        """Learn the data's place and size from the training data x [N, sites]; NaN is missing."""

    def bias(self) -> Tensor | None:
        """Where the outputs of a site begin to learn from, [outputs]; None is zero."""
        return None

    def widths(self, sites: int) -> tuple[list[int], list[int]]:
        """How many inputs and how many outputs of the network each site has."""
        return [self.channels] * sites, [self.outputs] * sites

    def biases(self, sites: int) -> Tensor | None:
        """Where the outputs of all sites begin to learn from, flat; None is zero."""
        start = self.bias()
        return None if start is None else start.repeat(sites)

    def split(self, raw: Tensor, site: int | None = None) -> Tensor:
        """The network's outputs by sites, [..., sites, outputs], from flat ones.

        Args:
            raw: those of all sites, or of one.
            site: which one: the result is [..., outputs].
        """
        return raw.unflatten(-1, (-1, self.outputs)) if site is None else raw

    @abstractmethod
    def encode(self, x: Tensor, first: int | Tensor = 0) -> Tensor:
        """The inputs for values x [N, T] of the sites from `first` on: [N, T * channels].

        Args:
            x: values.
            first: the first site; or int64 [N, T], the site of each value.
        """

    def finish(self, raw: Tensor, site: int | Tensor | None = None) -> Tensor:
        """The network's outputs as the distribution's parameters, in the same shape.

        Args:
            raw: [..., sites, outputs], or [..., outputs] of one site.
            site: which one, or which ones, int64 [sites].
        """
        return raw

    @abstractmethod
    def distribution(self, parameters: Tensor) -> Distribution:
        """The distributions from finished parameters [*batch, outputs]."""

    def log_prob(self, parameters: Tensor, x: Tensor) -> Tensor:
        """Log-mass or log-density of values x [*batch], nats."""
        return self.distribution(parameters).log_prob(x)

    def terms(self, raw: Tensor, x: Tensor) -> Tensor:
        """The same of whole vectors x [N, sites], from the network's flat outputs [N, K]."""
        return self.log_prob(self.finish(self.split(raw)), x)


class BernoulliHead(Head):
    """Zeros and ones: the input is the value, the output its log-odds."""

    channels = outputs = 1

    def problems(self, space: Space, layout: Layout | None) -> Iterator[str]:
        yield from sentences((not isinstance(space, Binary), f"{_NOT}{space.describe()}"))

    def encode(self, x: Tensor, first: int | Tensor = 0) -> Tensor:
        return x.to(torch.get_default_dtype())

    def distribution(self, parameters: Tensor) -> Distribution:
        return Bernoulli(logits=parameters[..., 0], validate_args=False)

    def log_prob(self, parameters: Tensor, x: Tensor) -> Tensor:
        scores = parameters[..., 0]
        return -F.binary_cross_entropy_with_logits(scores, x.to(scores.dtype), reduction="none")


class CategoricalHead(Head):
    """Levels without an order: one input and one output a level.

    Args:
        levels: how many values each site takes; a level that a site lacks has probability zero.
    """

    forbidden: Tensor

    def __init__(self, levels: Sequence[int]) -> None:
        super().__init__()
        self.channels = self.outputs = max(levels)
        forbidden = torch.arange(self.outputs) >= torch.tensor(list(levels))[:, None]
        self.register_buffer("forbidden", forbidden)

    def problems(self, space: Space, layout: Layout | None) -> Iterator[str]:
        yield from sentences(
            (space.size != self.outputs or len(self.forbidden) != space.length,
             f"{_NOT}{space.length} sites of {space.size} levels"),
            (bool(self.forbidden.all(1).any()), "a site has no levels"),
        )  # fmt: skip

    def encode(self, x: Tensor, first: int | Tensor = 0) -> Tensor:
        return F.one_hot(x.long(), self.channels).flatten(1).to(torch.get_default_dtype())

    def finish(self, raw: Tensor, site: int | Tensor | None = None) -> Tensor:
        forbidden = self.forbidden if site is None else self.forbidden[site]
        return raw.masked_fill(forbidden, -torch.inf)

    def distribution(self, parameters: Tensor) -> Distribution:
        return Categorical(parameters)

    def log_prob(self, parameters: Tensor, x: Tensor) -> Tensor:
        found = -F.cross_entropy(
            parameters.flatten(0, -2).float(), x.long().flatten(), reduction="none"
        )
        return found.reshape(x.shape)


class MixtureHead(Head):
    """Real values: a mixture of `components` normals, logistics or Student's t.

    Args:
        sites: how many sites there are.
        kind: "normal", "logistic" or "student_t".
        components: how many.
        min_scale: what the scales are at least, in the unit of the data, one number or one a site
            (0 sets no floor but one of 1e-4 sizes of the data, below which a density says nothing
            about the world).
    """

    shift: Annotated[Tensor, Array("sites")]
    size: Annotated[Tensor, Array("sites", above=0)]
    floor: Annotated[Tensor, Array("sites", low=0)]
    begin: Annotated[Tensor, Array("sites", "components")]

    def __init__(
        self,
        sites: int,
        kind: Literal["normal", "logistic", "student_t"],
        components: int,
        min_scale: float | Sequence[float] = 0.0,
    ) -> None:
        super().__init__()
        self.channels, self.kind, self.components = 1, kind, components
        self.outputs = components * (4 if kind == "student_t" else 3)
        floor = torch.as_tensor(min_scale, dtype=torch.float64).expand(sites).clone()
        self.register_buffer("floor", floor)
        # in float64, as the data are: a density near a rounding step of float32 is not one
        self.register_buffer("shift", torch.zeros(sites, dtype=torch.float64))
        self.register_buffer("size", torch.ones(sites, dtype=torch.float64))
        # where the components' places are counted from, in sizes: their own quantiles of the data
        begin = torch.special.ndtri(torch.tensor(self.shares, dtype=torch.float64))
        self.register_buffer("begin", begin.repeat(sites, 1))

    @property
    def shares(self) -> list[float]:
        """At which quantiles of a site's data the components begin."""
        return [(k + 0.5) / self.components for k in range(self.components)]

    def problems(self, space: Space, layout: Layout | None) -> Iterator[str]:
        sites = space.length or 1  # elements of a sequence without end are all of one site
        wrong = (space.measure == "mass" and not space.varies) or len(self.floor) != sites
        yield from sentences((wrong, f"{_NOT}{sites} sites of {space.describe()} values"))

    def learn(self, x: Tensor) -> None:
        self.learn_sites(x, slice(None))

    def learn_sites(self, x: Tensor, sites: slice) -> None:
        """Learn place, size and quantiles of some sites, of training data x [N, sites]."""
        place, size, _ = standard_of(x)
        self.shift[sites], self.size[sites] = place, size
        if self.components > 1:
            found = (quantiles(x.double(), self.shares) - place) / size
            self.begin[sites] = found.nan_to_num(0.0).T

    def bias(self) -> Tensor:
        zero = torch.zeros(self.components)
        parts = [zero, zero, zero + _inverse_softplus(1.0 if self.components < 3 else 0.5)]
        if self.kind == "student_t":
            parts.append(zero + _inverse_softplus(8.0))
        return torch.cat(parts)

    def encode(self, x: Tensor, first: int | Tensor = 0) -> Tensor:
        sites = first if isinstance(first, Tensor) else slice(first, first + x.shape[1])
        return self.standardised(x, sites).to(torch.get_default_dtype())

    def standardised(self, x: Tensor, sites: Tensor | slice) -> Tensor:
        """Values x [N, T] of some sites less their place and over their size, float64."""
        return ((x - self.shift[sites]) / self.size[sites]).clamp(-FAR, FAR)

    def finish(
        self,
        raw: Tensor,
        site: int | Tensor | None = None,
        ends: tuple[float, float] = (-math.inf, math.inf),
    ) -> Tensor:
        """See `Head`; places lie between the ends, so that a good part of the mass does."""
        which = slice(None) if site is None else site
        shift, size = self.shift[which][..., None], self.size[which][..., None]
        logits, loc, width, *rest = raw.double().unflatten(-1, (-1, self.components)).unbind(-2)
        scale = size * (F.softplus(width) + 1e-4) + self.floor[which][..., None]
        places = (shift + size * (self.begin[which] + loc)).clamp(*ends)
        parts = [torch.log_softmax(logits, dim=-1), places, scale]
        parts += [2.0 + F.softplus(heavy) for heavy in rest]  # a variance exists
        return torch.cat(parts, dim=-1)

    def distribution(self, parameters: Tensor) -> Distribution:
        logits, loc, scale, *rest = parameters.unflatten(-1, (-1, self.components)).unbind(-2)
        parts: Distribution
        if self.kind == "normal":
            parts = Normal(loc, scale, validate_args=False)
        elif self.kind == "logistic":
            parts = Logistic(loc, scale)
        else:
            parts = StudentT(rest[0], loc, scale, validate_args=False)
        if self.components == 1:
            from arproc.distributions import index

            return index(parts, (..., 0))
        return MixtureSameFamily(Categorical(logits), parts, validate_args=False)

    def log_prob(self, parameters: Tensor, x: Tensor) -> Tensor:
        logits, loc, scale, *rest = parameters.unflatten(-1, (-1, self.components)).unbind(-2)
        z = (x[..., None] - loc) / scale
        if self.kind == "normal":
            terms = -0.5 * (z * z + math.log(2 * math.pi))
        elif self.kind == "logistic":
            terms = logistic_log_density(z)
        else:
            terms = StudentT(rest[0], validate_args=False).log_prob(z)
        return torch.logsumexp(terms - scale.log() + logits, dim=-1)


class DiscretisedLogisticHead(Head):
    """Ordered levels: a discretised mixture of logistics (Salimans et al. 2017).

    Args:
        levels: how many levels there are, 0 ... levels-1.
        components: how many logistics.
    """

    channels = 1

    def __init__(self, levels: int, components: int) -> None:
        super().__init__()
        self.levels, self.components = levels, components
        self.outputs = 3 * components

    def problems(self, space: Space, layout: Layout | None) -> Iterator[str]:
        wrong = not isinstance(space, Ordinal) or space.levels != self.levels
        yield from sentences((wrong, f"{_NOT}{space.describe()}"))

    @property
    def _half(self) -> float:
        return max((self.levels - 1) / 2, 0.5)

    def bias(self) -> Tensor:
        place = (torch.arange(self.components) + 0.5) / self.components
        zero = torch.zeros(self.components)
        return torch.cat([zero, 2 * place - 1, zero - math.log(max(self.components, 2))])

    def encode(self, x: Tensor, first: int | Tensor = 0) -> Tensor:
        return ((x - (self.levels - 1) / 2) / self._half).to(torch.get_default_dtype())

    def finish(self, raw: Tensor, site: int | Tensor | None = None) -> Tensor:
        logits, loc, width = raw.unflatten(-1, (3, self.components)).unbind(-2)
        loc = (self.levels - 1) / 2 + self._half * loc
        # in levels; a scale far below a bin's width changes nothing but the gradients
        log_scale = (width + math.log(self._half)).clamp(min=-5.0)
        return torch.cat([logits, loc, log_scale], dim=-1)

    def distribution(self, parameters: Tensor) -> Distribution:
        logits, loc, log_scale = parameters.unflatten(-1, (3, self.components)).unbind(-2)
        return DiscretisedLogisticMixture(logits, loc, log_scale, self.levels)


def _inverse_softplus(value: float) -> float:
    return math.log(math.expm1(value))
