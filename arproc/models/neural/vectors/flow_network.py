"""The network of MAF: masked autoregressive layers in changing orders, and what lies between."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Normal

from arproc.contract.checked import Array, sentences
from arproc.data.form import Layout
from arproc.data.robust import FAR, standard_of
from arproc.models.neural.examples import ExampleNetwork, Examples
from arproc.models.neural.vectors.heads import Head
from arproc.models.neural.vectors.masks import MaskedNetwork
from arproc.models.neural.vectors.networks import plain
from arproc.spaces import Space

__all__ = ["AffineHead", "FlowNetwork", "Normalisation", "log_scale"]

_BOUND = math.log(1e4)  # of the logarithm of a scale
_EPSILON = 1e-5
_HALF_LOG_TAU = 0.5 * math.log(2 * math.pi)
_MOST = 2**14  # how many rows of the training data normalisations are measured on


class AffineHead(Head):
    """A real value's place and scale, one normal: what a layer of MAF subtracts and divides by."""

    channels, outputs = 1, 2

    def encode(self, x: Tensor, first: int | Tensor = 0) -> Tensor:
        return x.clamp(-FAR, FAR)  # as the inversion does

    def distribution(self, parameters: Tensor) -> Distribution:
        loc, width = parameters.unbind(-1)
        return Normal(loc, log_scale(width).exp(), validate_args=False)


def log_scale(width: Tensor) -> Tensor:
    """The logarithm of a scale from a network's output, kept between -log(10^4) and log(10^4).

    Near zero it is the output itself, as in the paper.
    """
    return width / (1 + width.abs() / _BOUND)


class Normalisation(nn.Module):
    """An invertible affine map of each site that begins by standardising it.

    Of kind "batch" (Ioffe and Szegedy 2015; as a layer of a flow, Papamakarios et al. 2017) it
    standardises by each batch's own mean and variance in training, and by those of the training
    data afterwards; of kind "activation" (Kingma and Dhariwal 2018) always by those of the
    training data before the first step.

    Args:
        sites: how many sites there are.
        kind: "batch" or "activation".
    """

    mean: Annotated[Tensor, Array("sites", kind="real")]
    variance: Annotated[Tensor, Array("sites", kind="real", low=0)]

    def __init__(self, sites: int, kind: Literal["batch", "activation"]) -> None:
        super().__init__()
        self.kind = kind
        self.log_gain = nn.Parameter(torch.zeros(sites))
        self.shift = nn.Parameter(torch.zeros(sites))
        self.register_buffer("mean", torch.zeros(sites))
        self.register_buffer("variance", torch.ones(sites))

    def measure(self, u: Tensor) -> Tensor:
        """Take the mean and variance of u [N, sites] for those of the data; gives u mapped."""
        mean, variance = _moments(u)
        self.mean.copy_(mean)
        self.variance.copy_(variance)
        return (u - self.mean) * self._log_scale(self.variance).exp() + self.shift

    def forward(self, u: Tensor) -> tuple[Tensor, Tensor]:
        """U [N, sites] mapped, and the log of the map's derivative [sites]."""
        mean, variance = self.mean, self.variance
        if self.training and self.kind == "batch":
            mean, variance = _moments(u)
        log_scale = self._log_scale(variance)
        return (u - mean) * log_scale.exp() + self.shift, log_scale

    def _log_scale(self, variance: Tensor) -> Tensor:
        return self.log_gain - 0.5 * (variance + _EPSILON).log()

    def invert(self, v: Tensor) -> Tensor:
        """The u [N, sites] that is mapped to v."""
        return (v - self.shift) * (-self._log_scale(self.variance)).exp() + self.mean


def _moments(u: Tensor) -> tuple[Tensor, Tensor]:
    """The mean and variance of each column of u [N, sites], wild values left out."""
    wild = standard_of(u.detach()).wild
    if not bool(wild.any()):
        return u.mean(0), u.var(0, correction=0)
    kept, count = u.masked_fill(wild, 0.0), (~wild).sum(0)
    mean = kept.sum(0) / count
    return mean, (kept - mean).masked_fill(wild, 0.0).square().sum(0) / count


class FlowNetwork(ExampleNetwork):
    r"""A stack of masked autoregressive layers (Papamakarios, Pavlakou and Murray 2017).

    Each layer maps x to :math:`u_i = (x_i - \mu_i(x_{<i})) e^{-\alpha_i(x_{<i})}`; the next one
    takes u in another order. What comes out is standard normal noise.

    Args:
        sites: how many sites there are.
        hidden: sizes of the hidden layers of each autoregressive layer.
        orders: for each layer, the order in which it takes its input.
        normalisation: "batch", "activation" or "none", after each layer.
        residual: whether each hidden layer but the first adds to the one before it.
        context: how many numbers each vector is conditioned on.
    """

    rows_at_once = 4096
    held_out_batches = sys.maxsize  # all

    shift: Annotated[Tensor, Array("sites")]
    size: Annotated[Tensor, Array("sites", above=0)]
    orders: Annotated[Tensor, Array("layers", "sites", kind="whole", low=0)]

    def __init__(
        self,
        sites: int,
        hidden: Sequence[int],
        orders: Sequence[Sequence[int]],
        *,
        normalisation: Literal["batch", "activation", "none"] = "batch",
        residual: bool = False,
        context: int = 0,
    ) -> None:
        super().__init__()
        self.sites = sites
        self.layers = nn.ModuleList(
            MaskedNetwork(sites, AffineHead(), hidden, residual=residual, context=context)
            for _ in orders
        )
        self.norms = nn.ModuleList()
        if normalisation != "none":
            self.norms.extend(Normalisation(sites, normalisation) for _ in orders)
        self.register_buffer("orders", torch.tensor([list(order) for order in orders]))
        # in float64, as the data are: a density near a rounding step of float32 is not one
        self.register_buffer("shift", torch.zeros(sites, dtype=torch.float64))
        self.register_buffer("size", torch.ones(sites, dtype=torch.float64))

    def problems(self, space: Space, layout: Layout | None) -> Iterator[str]:
        """What does not fit together; see `NeuralLaw.problems`."""
        sites = torch.arange(self.sites)
        yield from sentences(
            (space.measure != "density", "the space is not of real numbers"),
            (not bool((self.orders.sort(1).values == sites).all()), "an order is no permutation"),
        )  # fmt: skip

    def hidden_weights(self) -> list[nn.Parameter]:
        """The matrices between hidden layers, which Muon trains."""
        return [weight for layer in self.layers for weight in layer.hidden_weights()]  # type: ignore[operator]

    # ---- what it is trained by ----------------------------------------------------------------

    def loss(self, x: Tensor, context: Tensor | None, generator: torch.Generator) -> Tensor:
        return -self.log_density(x, context).mean() / self.sites

    def prepare(self, examples: Examples) -> None:
        x, context = examples.whole()
        self.learn(x)
        self.measure(x, context, "activation")

    def refresh(self, examples: Examples) -> None:
        """Standardise by the training data's statistics; the batches' were of other weights."""
        self.measure(*examples.whole())

    def learn(self, x: Tensor) -> None:
        """Take the place and the size of each site from the training data x [N, sites]."""
        x = x.double()
        place, size, _ = standard_of(x)
        self.shift.copy_(place)
        self.size.copy_(size)

    @torch.no_grad()
    def measure(self, x: Tensor, context: Tensor | None = None, kind: str = "batch") -> None:
        """Set the normalisations of this kind by the training data x [N, sites], one by one."""
        if all(norm.kind != kind for norm in self._norms()):
            return
        # in float64: the numbers of the last rows of many are no float32
        count = min(len(x), _MOST)
        rows = torch.linspace(0, len(x) - 1, count, dtype=torch.float64).long()
        u = self._standardised(x[rows])
        given = None if context is None else context[rows]
        for layer, norm, order in zip(self.layers, self._norms(), self.orders, strict=True):
            u, _ = self._pass(layer, u.index_select(1, order), given)
            u = norm.measure(u)

    def _norms(self) -> list[Normalisation]:
        return list(self.norms)  # type: ignore[arg-type]

    # ---- the map ------------------------------------------------------------------------------

    def log_density(self, x: Tensor, context: Tensor | None) -> Tensor:
        """Log-densities of vectors x [N, sites], nats, float64 [N]."""
        noise, log_det = self(x, context)
        return log_det - (0.5 * noise.double().square() + _HALF_LOG_TAU).sum(1)

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The noise [N, sites] behind vectors x [N, sites], and the log-determinant [N], float64.

        The determinant is that of the map's Jacobian.
        """
        u = self._standardised(x)
        log_det = -self.size.log().sum()
        total = log_det.expand(len(x))
        for i, layer in enumerate(self.layers):
            u, log_scales = self._pass(layer, u.index_select(1, self.orders[i]), context)
            total = total - log_scales.sum(1, dtype=torch.float64)
            if len(self.norms):
                u, log_gain = self.norms[i](u)
                total = total + log_gain.double().sum()
        return u, total

    def _standardised(self, x: Tensor) -> Tensor:
        return ((x - self.shift) / self.size).to(torch.get_default_dtype())

    def _pass(self, layer: nn.Module, u: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        """A layer's residuals [N, sites] and the logs of its scales."""
        loc, width = layer(u, context).unbind(-1)
        log_scales = log_scale(width)
        return (u - loc) * (-log_scales).exp(), log_scales

    @torch.no_grad()
    def invert(self, noise: Tensor, context: Tensor | None = None) -> Tensor:
        """The vectors [N, sites], float64, whose noise [N, sites] this is; by compiled passes."""
        from arproc.compiled.interpreted import suited
        from arproc.models.neural.vectors import flow_kernels

        u = noise.to(torch.get_default_dtype())
        for i in reversed(range(len(self.layers))):
            if len(self.norms):
                u = self.norms[i].invert(u)  # type: ignore[operator]
            layer = self.layers[i]
            assert isinstance(layer, MaskedNetwork)
            parts = [*layer.layers, layer.head]
            biases: list[Tensor] = [part.bias[None] for part in parts]
            if context is not None:
                offsets = layer.offsets(context)
                biases = [bias + add for bias, add in zip(biases, offsets, strict=True)]
            outputs = sum(part.out_features for part in parts)
            kernels = suited(flow_kernels, 100 * -(-len(u) // 64) * outputs)
            found = kernels.invert(
                plain(u),
                tuple(plain(part.weight) for part in parts),
                tuple(plain(bias) for bias in biases),
                np.array(layer.settled),
                layer.residual,
                _BOUND,
                FAR,
            )
            x = torch.from_numpy(found).to(noise.device)
            u = torch.empty_like(x)
            u[:, self.orders[i]] = x
        return self.shift + self.size * u.double()

    @torch.no_grad()
    def iterate(
        self,
        noise: Tensor,
        context: Tensor | None,
        tolerance: float,
        passed: Callable[[int, int], None],
    ) -> Tensor:
        """What `invert` gives, by passes over all sites at once until they settle.

        Each pass of a layer settles at least one site more of each row (Jacobi's iteration; Song
        et al. 2021); a row is left alone once none of its sites changes.

        Args:
            noise: [N, sites].
            context: what the vectors are conditioned on.
            tolerance: by how much, as a share of 1 + its size, a settled site may change.
            passed: is told of each pass, over how many sites and rows it went.
        """
        u = noise.to(torch.get_default_dtype())
        for i in reversed(range(len(self.layers))):
            if len(self.norms):
                u = self.norms[i].invert(u)  # type: ignore[operator]
            x, rows = u.clone(), torch.arange(len(u), device=u.device)
            for _ in range(self.sites):
                given = None if context is None else context[rows]
                loc, width = self.layers[i](x[rows], given).unbind(-1)
                found = loc + log_scale(width).exp() * u[rows]
                passed(self.sites, len(rows))
                open_ = (found - x[rows]).abs() > tolerance * (1 + found.abs())
                x[rows] = found
                rows = rows[open_.any(1)]
                if not len(rows):
                    break
            u = torch.empty_like(x)
            u[:, self.orders[i]] = x
        return self.shift + self.size * u.double()
