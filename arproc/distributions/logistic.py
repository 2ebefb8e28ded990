"""The logistic distribution, and mixtures of it over ordered levels."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import distributions as td
from torch.distributions import constraints

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
    r"""A mixture of logistics over the levels 0 ... levels-1, each level a bin of width one.

    The first bin reaches to minus infinity and the last to infinity (Salimans, Karpathy, Chen and
    Kingma 2017, eq. 2), so the masses sum to one:
    :math:`P(x) = \sum_k \pi_k [\sigma((x + .5 - \mu_k) / s_k) - \sigma((x - .5 - \mu_k) / s_k)]`.

    Args:
        logits: of the components, [*batch, K].
        loc: in levels, [*batch, K].
        log_scale: logarithm of the scales, in levels, [*batch, K].
        levels: how many levels there are.

    Example:
        >>> one = torch.zeros(1)
        >>> d = DiscretisedLogisticMixture(one, one + 1.0, one, levels=4)
        >>> round(float(d.log_prob(torch.arange(4.0)).exp().sum()), 4)
        1.0
    """

    arg_constraints: dict[str, constraints.Constraint] = {}

    def __init__(
        self, logits: torch.Tensor, loc: torch.Tensor, log_scale: torch.Tensor, levels: int
    ) -> None:
        self.logits, self.loc, self.log_scale, self.levels = logits, loc, log_scale, levels
        super().__init__(logits.shape[:-1], validate_args=False)

    @property
    def support(self) -> constraints.Constraint:
        return constraints.integer_interval(0, self.levels - 1)

    def expand(
        self, batch_shape: torch.Size | list[int] | tuple[int, ...], _instance: object = None
    ) -> DiscretisedLogisticMixture:
        return self.map(lambda t: t.expand(*batch_shape, t.shape[-1]))

    def map(self, change: Callable[[torch.Tensor], torch.Tensor]) -> DiscretisedLogisticMixture:
        """The distribution with its three parameters changed by a function."""
        return DiscretisedLogisticMixture(
            change(self.logits), change(self.loc), change(self.log_scale), self.levels
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
        terms = torch.where(x > 0, inside, F.logsigmoid(upper))
        terms = torch.where(x < self.levels - 1, terms, F.logsigmoid(-lower))
        if self.levels == 1:
            terms = torch.zeros_like(terms)
        terms = terms + torch.log_softmax(self.logits, dim=-1)
        return torch.logsumexp(terms, dim=-1)

    def cdf(self, value: torch.Tensor) -> torch.Tensor:
        x = value[..., None].to(self.loc.dtype).floor()
        each = torch.sigmoid((x + 0.5 - self.loc) * torch.exp(-self.log_scale))
        mixed = (each * torch.softmax(self.logits, dim=-1)).sum(-1)
        mixed = torch.where(x[..., 0] < 0, 0.0, mixed)
        return torch.where(x[..., 0] >= self.levels - 1, 1.0, mixed)

    def icdf(self, value: torch.Tensor) -> torch.Tensor:
        low = torch.full(torch.broadcast_shapes(value.shape, self.batch_shape), -1.0)
        low = low.to(self.loc.device)
        high = torch.full_like(low, self.levels - 1)
        exact = self.map(lambda t: t.double())
        while bool((high - low > 1).any()):
            middle = ((low + high) / 2).floor()
            below = exact.cdf(middle) < value
            low, high = torch.where(below, middle, low), torch.where(below, high, middle)
        return high.to(value.dtype)

    @property
    def log_masses(self) -> torch.Tensor:
        """The logarithms of the masses of all levels, [*batch, levels]."""
        levels = torch.arange(self.levels, device=self.loc.device)
        return self.map(lambda t: t[..., None, :]).log_prob(levels)

    @property
    def probs(self) -> torch.Tensor:
        """The masses of all levels, [*batch, levels]."""
        return self.log_masses.exp()

    @property
    def mean(self) -> torch.Tensor:
        levels = torch.arange(self.levels, device=self.loc.device)
        return (self.probs * levels).sum(-1)

    @property
    def variance(self) -> torch.Tensor:
        levels = torch.arange(self.levels, device=self.loc.device)
        return (self.probs * (levels - self.mean[..., None]) ** 2).sum(-1)

    def sample(self, sample_shape: torch.Size | list[int] | tuple[int, ...] = ()) -> torch.Tensor:
        shape = self._extended_shape(torch.Size(sample_shape))
        return self.icdf(torch.rand(shape, dtype=torch.float64, device=self.loc.device))
