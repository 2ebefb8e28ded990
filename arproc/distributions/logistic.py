"""The logistic distribution, and mixtures of it over whole numbers."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import distributions as td
from torch.distributions import constraints

from arproc.errors import UnsupportedError

__all__ = ["DiscretisedLogisticMixture", "Logistic", "logistic_log_density"]


class Logistic(td.Distribution):
    r"""The logistic distribution: P(X <= x) = 1 / (1 + exp(-(x - loc) / scale)).

    Args:
        loc: its mean and median.
        scale: positive; the standard deviation is `scale * pi / sqrt(3)`.

    Example:
        >>> round(float(Logistic(0.0, 1.0).log_prob(torch.tensor(0.0)).exp()), 4)
        0.25
    """

    arg_constraints = {"loc": constraints.real, "scale": constraints.positive}
    support = constraints.real
    has_rsample = True

    def __init__(
        self,
        loc: torch.Tensor | float,
        scale: torch.Tensor | float,
        validate_args: bool | None = False,
    ) -> None:
        if not isinstance(loc, torch.Tensor) and not isinstance(scale, torch.Tensor):
            loc, scale = (torch.tensor(value, dtype=torch.float64) for value in (loc, scale))
        self.loc, self.scale = td.utils.broadcast_all(loc, scale)
        super().__init__(self.loc.shape, validate_args=validate_args)

    def expand(
        self, batch_shape: torch.Size | list[int] | tuple[int, ...], _instance: object = None
    ) -> Logistic:
        return Logistic(self.loc.expand(batch_shape), self.scale.expand(batch_shape))

    @property
    def mean(self) -> torch.Tensor:
        return self.loc

    @property
    def variance(self) -> torch.Tensor:
        return (self.scale * torch.pi) ** 2 / 3

    def log_prob(self, value: torch.Tensor) -> torch.Tensor:
        return logistic_log_density((value - self.loc) / self.scale) - self.scale.log()

    def cdf(self, value: torch.Tensor) -> torch.Tensor:
        return torch.sigmoid((value - self.loc) / self.scale)

    def icdf(self, value: torch.Tensor) -> torch.Tensor:
        return self.loc + self.scale * torch.special.logit(value)

    def rsample(self, sample_shape: torch.Size | list[int] | tuple[int, ...] = ()) -> torch.Tensor:
        shape = self._extended_shape(torch.Size(sample_shape))
        u = torch.rand(shape, dtype=self.loc.dtype, device=self.loc.device)
        return self.icdf(u.clamp(torch.finfo(u.dtype).tiny, 1 - torch.finfo(u.dtype).eps))


def logistic_log_density(z: torch.Tensor) -> torch.Tensor:
    """Log-density of the standard logistic distribution, which is symmetric."""
    size = z.abs()
    return -size - 2 * torch.log1p(torch.exp(-size))


class DiscretisedLogisticMixture(td.Distribution):
    r"""A mixture of logistics over whole numbers, each a bin of width one.

    The first bin reaches to minus infinity and the last to infinity (Salimans, Karpathy, Chen and
    Kingma 2017, eq. 2), so the masses sum to one:
    :math:`P(x) = \sum_k \pi_k [\sigma((x + .5 - \mu_k) / s_k) - \sigma((x - .5 - \mu_k) / s_k)]`.

    Args:
        logits: of the components, [*batch, K].
        loc: in levels, [*batch, K].
        log_scale: logarithm of the scales, in levels, [*batch, K].
        levels: how many levels there are, 0 ... levels-1; infinity for counts 0, 1, 2 ...
        lowest: the lowest value, 0; or minus infinity, where levels are infinite, for all whole
            numbers.

    Example:
        >>> one = torch.zeros(1)
        >>> d = DiscretisedLogisticMixture(one, one + 1.0, one, levels=4)
        >>> round(float(d.log_prob(torch.arange(4.0)).exp().sum()), 4)
        1.0
    """

    arg_constraints: dict[str, constraints.Constraint] = {}

    def __init__(
        self,
        logits: torch.Tensor,
        loc: torch.Tensor,
        log_scale: torch.Tensor,
        levels: float,
        lowest: float = 0,
    ) -> None:
        self.logits, self.loc, self.log_scale = logits, loc, log_scale
        self.levels, self.lowest = levels, lowest
        super().__init__(logits.shape[:-1], validate_args=False)

    @property
    def highest(self) -> float:
        """The highest value; infinity where there is none."""
        return self.levels - 1

    @property
    def support(self) -> constraints.Constraint:
        return constraints.integer_interval(self.lowest, self.highest)

    def expand(
        self, batch_shape: torch.Size | list[int] | tuple[int, ...], _instance: object = None
    ) -> DiscretisedLogisticMixture:
        return self.map(lambda t: t.expand(*batch_shape, t.shape[-1]))

    def map(self, change: Callable[[torch.Tensor], torch.Tensor]) -> DiscretisedLogisticMixture:
        """The distribution with its three parameters changed by a function."""
        return DiscretisedLogisticMixture(
            change(self.logits), change(self.loc), change(self.log_scale), self.levels, self.lowest
        )

    def log_prob(self, value: torch.Tensor) -> torch.Tensor:
        r"""Log-mass of levels, nats.

        The difference of two distribution functions is taken as
        :math:`\log \sigma(b) + \log \sigma(-a) + \log(1 - e^{a - b})`, a and b being the
        bin's ends, which keeps its digits in both tails.
        """
        x = value[..., None].to(self.loc.dtype)
        narrow = torch.exp(-self.log_scale)
        upper, lower = (x + 0.5 - self.loc) * narrow, (x - 0.5 - self.loc) * narrow
        inside = F.logsigmoid(upper) + F.logsigmoid(-lower) + torch.log(-torch.expm1(-narrow))
        terms = torch.where(x > self.lowest, inside, F.logsigmoid(upper))
        terms = torch.where(x < self.highest, terms, F.logsigmoid(-lower))
        if self.levels == 1:
            terms = torch.zeros_like(terms)
        terms = terms + torch.log_softmax(self.logits, dim=-1)
        return torch.logsumexp(terms, dim=-1)

    def cdf(self, value: torch.Tensor) -> torch.Tensor:
        x = value[..., None].to(self.loc.dtype).floor()
        each = torch.sigmoid((x + 0.5 - self.loc) * torch.exp(-self.log_scale))
        mixed = (each * torch.softmax(self.logits, dim=-1)).sum(-1)
        mixed = torch.where(x[..., 0] < self.lowest, 0.0, mixed)
        return torch.where(x[..., 0] >= self.highest, 1.0, mixed)

    def icdf(self, value: torch.Tensor) -> torch.Tensor:
        exact = self.map(lambda t: t.double())
        # the mixture's quantile lies between its components'
        z = torch.special.logit(value.double())[..., None]
        each = exact.loc + exact.log_scale.exp() * z
        low = (each.amin(-1).floor() - 1).clamp(self.lowest - 1, self.highest - 1)
        high = (each.amax(-1).ceil() + 1).clamp(self.lowest, self.highest)
        while bool((high - low > 1).any()):
            middle = ((low + high) / 2).floor()
            if bool(((middle == low) | (middle == high)).all()):
                break  # beyond 2^53 there is no whole number between
            below = exact.cdf(middle) < value
            low, high = torch.where(below, middle, low), torch.where(below, high, middle)
        return high.to(value.dtype)

    @property
    def log_masses(self) -> torch.Tensor:
        """The logarithms of the masses of all levels, [*batch, levels]."""
        if math.isinf(self.levels):
            raise UnsupportedError("counts without an end have no table of probs; use log_prob.")
        levels = torch.arange(self.levels, device=self.loc.device)
        return self.map(lambda t: t[..., None, :]).log_prob(levels)

    @property
    def probs(self) -> torch.Tensor:
        """The masses of all levels, [*batch, levels]."""
        return self.log_masses.exp()

    @property
    def mean(self) -> torch.Tensor:
        if math.isinf(self.levels):
            return (torch.softmax(self.logits, dim=-1) * self._means()).sum(-1)
        levels = torch.arange(self.levels, device=self.loc.device)
        return (self.probs * levels).sum(-1)

    @property
    def variance(self) -> torch.Tensor:
        if math.isinf(self.levels):
            raise UnsupportedError(
                "whole numbers without an end have no closed form of the variance; take that of "
                "draws, sample((10_000,)).var(0)."
            )
        levels = torch.arange(self.levels, device=self.loc.device)
        return (self.probs * (levels - self.mean[..., None]) ** 2).sum(-1)

    def sample(self, sample_shape: torch.Size | list[int] | tuple[int, ...] = ()) -> torch.Tensor:
        shape = self._extended_shape(torch.Size(sample_shape))
        u = torch.rand(shape, dtype=torch.float64, device=self.loc.device)
        return self.icdf(u.clamp(min=2.0**-53))

    def _means(self) -> torch.Tensor:
        """The means of components without an upper end, [*batch, K]: sum_k P(X > k)."""
        loc, scale = self.loc.double(), self.log_scale.double().exp()
        above = _sum_of_sigmoids(loc - 0.5, scale)
        if self.lowest == 0:
            return above
        return above - _sum_of_sigmoids(-loc - 0.5, scale)


def _sum_of_sigmoids(centre: torch.Tensor, scale: torch.Tensor, terms: int = 128) -> torch.Tensor:
    r"""sum_{j >= 0} sigmoid((centre - j) / scale), to about 1e-6.

    Terms far before the centre are one; then come `terms` one by one, and the rest by the formula
    of Euler and Maclaurin, which is accurate where the scale is so large that it matters.
    """
    ones = (centre - 40 * scale).floor().clamp(min=0)
    j = torch.arange(terms, dtype=centre.dtype, device=centre.device)
    begin = centre - ones
    near = torch.sigmoid((begin[..., None] - j) / scale[..., None]).sum(-1)
    z = (begin - terms) / scale
    f = torch.sigmoid(z)
    slope = -f * (1 - f) / scale
    third = slope * (1 - 6 * f * (1 - f)) / scale**2
    return ones + near + scale * F.softplus(z) + f / 2 - slope / 12 + third / 720
