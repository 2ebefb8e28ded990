r"""Kernels of kernel density estimation: normal for real values, a redraw for discrete ones.

Sums of logarithms over the sites are matrix products: with queries q(x) and keys k(v) of a few
numbers a site, :math:`\log k(x; v) = q(x) \cdot k(v) + c(x)`.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.distributions import Bernoulli, Distribution, MixtureSameFamily, Normal

from arproc.data.robust import standard_of
from arproc.distributions import Categorical

__all__ = ["BLOCK", "GaussianKernel", "Kernel", "RedrawKernel"]

#: How many numbers a block of kernel values may hold.
BLOCK = 2**23

_LEAST = 1e-4  # of a site's size, or of the probability of a redraw


class Kernel(ABC):
    """Kernels around the training vectors `values` [M, sites].

    Attributes:
        plain: which of them bandwidths are learnt from, bool [M]: none that is far from all.
    """

    values: Tensor
    plain: Tensor

    @abstractmethod
    def log_kernels(self, x: Tensor, bandwidth: Tensor) -> Tensor:
        """The logarithms of prod_j k_j(x_nj; v_ij), float64 [N, M], of vectors x [N, sites]."""

    @abstractmethod
    def log_kernel(self, x: Tensor, site: Tensor, bandwidth: Tensor) -> Tensor:
        """The same of single values x [N], of the sites j, int64 [N]."""

    @abstractmethod
    def mixture(self, log_weights: Tensor, site: Tensor, bandwidth: Tensor) -> Distribution:
        """The law of a value of the sites, int64 [N], given the weights [N, M]; batch [N]."""

    @abstractmethod
    def admitted(self, bandwidth: Tensor) -> Tensor:
        """Bandwidths [sites] within what is allowed."""

    @abstractmethod
    def first(self, weights: Tensor) -> Tensor:
        """Where EM begins, [sites]."""

    @abstractmethod
    def nothing(self) -> Tensor:
        """The sums of no vectors, [sites]."""

    @abstractmethod
    def sums(self, x: Tensor, share: Tensor, bandwidth: Tensor) -> Tensor:
        """What EM adds up, [sites]: over x [N, sites], with the components' shares [N, M]."""

    @abstractmethod
    def updated(self, sums: Tensor, mass: Tensor) -> Tensor:
        """EM's next bandwidths [sites], from the sums over vectors of this total weight."""


class GaussianKernel(Kernel):
    """Normal kernels, whose bandwidths are standard deviations.

    Args:
        values: the training vectors, [M, sites].
        floor: what the bandwidths are at least, [sites].
    """

    def __init__(self, values: Tensor, floor: Tensor) -> None:
        self.values = values.double()
        self.centre, self.size, wild = standard_of(self.values)
        self.plain = ~wild.any(1)
        self.floor = torch.maximum(floor, _LEAST * self.size)

    def log_kernels(self, x: Tensor, bandwidth: Tensor) -> Tensor:
        query, key = ((part - self.centre) / bandwidth for part in (x.double(), self.values))
        lengths = query.square().sum(1)[:, None] + key.square().sum(1)
        constant = bandwidth.log().sum() + 0.5 * len(bandwidth) * math.log(2 * math.pi)
        return query @ key.T - 0.5 * lengths - constant

    def log_kernel(self, x: Tensor, site: Tensor, bandwidth: Tensor) -> Tensor:
        width = bandwidth[site][:, None]
        z = (x.double()[:, None] - self.values.T[site]) / width
        return -0.5 * (z.square() + math.log(2 * math.pi)) - width.log()

    def mixture(self, log_weights: Tensor, site: Tensor, bandwidth: Tensor) -> Distribution:
        places = self.values.T[site]
        parts = Normal(places, bandwidth[site][:, None].expand_as(places), validate_args=False)
        return MixtureSameFamily(Categorical(log_weights), parts, validate_args=False)

    def admitted(self, bandwidth: Tensor) -> Tensor:
        return torch.maximum(bandwidth, self.floor)

    def first(self, weights: Tensor) -> Tensor:
        # Silverman (1986), 4.3.2: the rule for normal data
        sites, n = len(self.size), float(weights.sum())
        factor = (4 / ((sites + 2) * max(n, 2.0))) ** (1 / (sites + 4))
        return self.admitted(factor * self.size)

    def nothing(self) -> Tensor:
        return torch.zeros_like(self.size)

    def sums(self, x: Tensor, share: Tensor, bandwidth: Tensor) -> Tensor:
        x, v = x.double() - self.centre, self.values - self.centre
        square = share.sum(1) @ x.square() + share.sum(0) @ v.square()
        return square - 2 * (x * (share @ v)).sum(0)

    def updated(self, sums: Tensor, mass: Tensor) -> Tensor:
        return self.admitted((sums.clamp(min=0) / mass).sqrt())


class RedrawKernel(Kernel):
    """The training vector's value, or with the bandwidth's probability a draw from frequencies.

    Args:
        values: the training vectors, [M, sites].
        frequencies: of the levels of each site, [sites, levels], none zero.
    """

    def __init__(self, values: Tensor, frequencies: Tensor) -> None:
        self.values = values.long()
        self.frequencies = frequencies
        self.plain = torch.ones(len(values), dtype=torch.bool)
        self.levels = frequencies.shape[1]

    @cached_property
    def _hot(self) -> Tensor:
        """Which level each training vector has at each site, [M, sites * levels]."""
        return F.one_hot(self.values, self.levels).double().flatten(1)

    def _logs(self, bandwidth: Tensor) -> tuple[Tensor, Tensor]:
        """Log k where the level is the vector's, and where it is not: [sites, levels] each."""
        redrawn = bandwidth[:, None] * self.frequencies
        return (1 - bandwidth[:, None] + redrawn).log(), redrawn.log()

    def log_kernels(self, x: Tensor, bandwidth: Tensor) -> Tensor:
        same, other = self._logs(bandwidth)
        hot = F.one_hot(x.long(), self.levels).double()
        query = (hot * (same - other)).flatten(1)
        return query @ self._hot.T + (hot * other).sum((1, 2))[:, None]

    def log_kernel(self, x: Tensor, site: Tensor, bandwidth: Tensor) -> Tensor:
        same, other = (table[site, x.long()][:, None] for table in self._logs(bandwidth))
        return torch.where(self.values.T[site] == x.long()[:, None], same, other)

    def mixture(self, log_weights: Tensor, site: Tensor, bandwidth: Tensor) -> Distribution:
        weights = log_weights.softmax(1)
        if len(site) and bool((site == site[0]).all()):
            kept = weights @ F.one_hot(self.values[:, site[0]], self.levels).double()
        else:
            hot = F.one_hot(self.values[:, site], self.levels).double()
            kept = torch.einsum("ni,inl->nl", weights, hot)
        width = bandwidth[site][:, None]
        scores = ((1 - width) * kept + width * self.frequencies[site]).log()
        if self.levels == 2:
            return Bernoulli(logits=scores[:, 1] - scores[:, 0], validate_args=False)
        return Categorical(scores)

    def admitted(self, bandwidth: Tensor) -> Tensor:
        return bandwidth.clamp(_LEAST, 1.0)

    def first(self, weights: Tensor) -> Tensor:
        return torch.full((len(self.frequencies),), 0.3, dtype=torch.float64)

    def nothing(self) -> Tensor:
        return torch.zeros(len(self.frequencies), dtype=torch.float64)

    def sums(self, x: Tensor, share: Tensor, bandwidth: Tensor) -> Tensor:
        same, _ = self._logs(bandwidth)
        kept = (1 - bandwidth)[:, None] / same.exp()  # of equal values, how many were not redrawn
        hot = F.one_hot(x.long(), self.levels).double()
        matched = (share @ self._hot).reshape(hot.shape)
        return (hot * kept * matched).sum((0, 2))

    def updated(self, sums: Tensor, mass: Tensor) -> Tensor:
        return self.admitted(1 - sums / mass)
