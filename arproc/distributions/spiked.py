"""Conditionals with atoms: single values that have a mass of their own, beside all others."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import distributions as td

from arproc.distributions.calculus import atom, cdf, quantile
from arproc.distributions.draws import from_uniform
from arproc.distributions.mixture import Mixture, mix, mix_alike
from arproc.distributions.shape import map_parameters

__all__ = ["Spiked"]


class Spiked(td.Distribution):
    """One of some single values, or else drawn from `base`: a balance that often is exactly 0.

    Over a continuous base, log-probabilities at the single values are those of masses, elsewhere
    of densities. Over a discrete base all are masses, and a single value also has the base's.

    Args:
        base: the law of the other values, of scalars.
        values: the single values, all different, float64 [*batch, M]; infinity where an entry
            has fewer.
        scores: unnormalised log-probabilities of these and, last, of the base, [*batch, M + 1].

    Example:
        >>> zeros = torch.zeros(1, dtype=torch.float64)
        >>> balance = Spiked(td.Normal(0.0, 1.0), zeros, torch.zeros(2, dtype=torch.float64))
        >>> balance.log_prob(torch.tensor([0.0, 1.0])).exp()
        tensor([0.5000, 0.1210], dtype=torch.float64)
    """

    arg_constraints: dict[str, td.constraints.Constraint] = {}

    def __init__(self, base: Any, values: torch.Tensor, scores: torch.Tensor) -> None:
        self.base, self.values, self.scores = base, values, scores
        super().__init__(base.batch_shape, validate_args=False)

    @property
    def log_weights(self) -> torch.Tensor:
        """The log-probabilities of the single values and, last, of the base, [*batch, M + 1]."""
        return torch.log_softmax(self.scores, dim=-1)

    @property
    def is_discrete(self) -> bool:
        """Whether the base is a law of masses."""
        return self.base.support is not None and self.base.support.is_discrete

    @property
    def support(self) -> td.constraints.Constraint | None:
        """That of a discrete base; None over a continuous one, where no constraint says it all."""
        return self.base.support if self.is_discrete else None

    def expand(
        self, batch_shape: torch.Size | list[int] | tuple[int, ...], _instance: object = None
    ) -> Spiked:
        shape = torch.Size(batch_shape)
        values = self.values.expand(*shape, self.values.shape[-1])
        return Spiked(
            self.base.expand(shape), values, self.scores.expand(*shape, self.scores.shape[-1])
        )

    def __repr__(self) -> str:
        return f"Spiked({self.base!r}, of {self.values.shape[-1]} values)"

    def log_prob(self, value: torch.Tensor) -> torch.Tensor:
        weights = self.log_weights
        there = value[..., None] == self.values
        spike = torch.where(there, weights[..., :-1], -math.inf).amax(-1)
        rest = self._of_base(value) + weights[..., -1]
        if self.is_discrete:
            return _log_add(spike, rest)
        return torch.where(there.any(-1), spike, rest)

    def _of_base(self, value: torch.Tensor) -> torch.Tensor:
        """The base's log-probabilities; minus infinity where it can not be."""
        support = self.base.support
        if support is None:
            return self.base.log_prob(value)
        inside = support.check(value)
        found = self.base.log_prob(torch.where(inside, value, self._inside(value)))
        return found.masked_fill(~inside, -math.inf)

    def _inside(self, value: torch.Tensor) -> torch.Tensor:
        """A value at which the base may be asked, for entries whose answer does not count."""
        low = getattr(self.base.support, "lower_bound", 0.0)
        low = torch.as_tensor(low, dtype=value.dtype, device=value.device)
        return torch.where(low.isfinite(), low, 0.0)

    @property
    def _finite(self) -> torch.Tensor:
        return self.values.masked_fill(self.values.isinf(), 0.0)

    @property
    def mean(self) -> torch.Tensor:
        weights = self.log_weights.exp()
        return (weights[..., :-1] * self._finite).sum(-1) + weights[..., -1] * self.base.mean

    @property
    def variance(self) -> torch.Tensor:
        weights, mean = self.log_weights.exp(), self.mean
        spread = (weights[..., :-1] * (self._finite - mean[..., None]) ** 2).sum(-1)
        return spread + weights[..., -1] * (self.base.variance + (self.base.mean - mean) ** 2)

    def sample(self, sample_shape: torch.Size | list[int] | tuple[int, ...] = ()) -> torch.Tensor:
        shape = torch.Size(sample_shape) + self.batch_shape
        u = torch.rand(shape, dtype=torch.float64, device=self.scores.device)
        with torch.no_grad():
            return from_uniform(self.expand(shape), u.clamp(min=2.0**-53))


def _log_add(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """log(e^a + e^b), whose gradient is a number where one of them is minus infinity."""
    both = torch.stack(torch.broadcast_tensors(a, b), dim=-1)
    nothing = both.isneginf().all(-1)
    total = torch.logsumexp(both.masked_fill(nothing[..., None], 0.0), dim=-1)
    return total.masked_fill(nothing, -math.inf)


@map_parameters.register
def _(
    first: Spiked, rest: Sequence[Any], change: Callable[[list[torch.Tensor]], torch.Tensor]
) -> Spiked:
    parts = (first, *rest)
    base = map_parameters(first.base, [part.base for part in rest], change)
    values, scores = (change([getattr(p, name) for p in parts]) for name in ("values", "scores"))
    return Spiked(base, values, scores)


@mix_alike.register
def _(first: Spiked, components: Sequence[Any], log_weights: torch.Tensor) -> td.Distribution:
    alike = all(isinstance(c, Spiked) and torch.equal(c.values, first.values) for c in components)
    if not alike:
        return Mixture(components, log_weights)
    each = torch.stack([c.log_weights.double() for c in components], dim=-1)
    joint = each + log_weights[..., None, :]
    total = torch.logsumexp(joint, dim=-1)
    # which component a value of a base came from is told by its being none of the single ones
    base = mix([c.base for c in components], joint[..., -1, :] - total[..., -1:])
    return Spiked(base, first.values, total)


@cdf.register
def _(distribution: Spiked, x: torch.Tensor) -> torch.Tensor:
    weights = distribution.log_weights.exp()
    spikes = (weights[..., :-1] * (distribution.values <= x[..., None])).sum(-1)
    return (spikes + weights[..., -1] * cdf(distribution.base, x)).clamp(max=1)


@atom.register
def _(distribution: Spiked, x: torch.Tensor) -> torch.Tensor:
    if distribution.is_discrete:
        return distribution.log_prob(x).exp()
    weights = distribution.log_weights.exp()
    return (weights[..., :-1] * (distribution.values == x[..., None])).sum(-1)


@quantile.register
def _(distribution: Spiked, q: torch.Tensor) -> torch.Tensor:
    weights, values = distribution.log_weights.double().exp(), distribution.values
    upto = torch.stack([cdf(distribution, v) for v in values.unbind(-1)], dim=-1).double()
    before = upto < q[..., None].double()
    first = torch.where(before, math.inf, values).amin(-1)
    inside = (q - (weights[..., :-1] * before).sum(-1)) / weights[..., -1]
    other = quantile(distribution.base, inside.clamp(2.0**-53, 1 - 2.0**-53))
    return torch.minimum(other.double(), first).to(q.dtype)


@from_uniform.register
def _(distribution: Spiked, u: torch.Tensor) -> torch.Tensor:
    upper = distribution.log_weights.double().exp().cumsum(-1)
    which = torch.searchsorted(upper.contiguous(), (u * upper[..., -1])[..., None], right=True)
    last = distribution.values.shape[-1]
    which = which.clamp(max=last)
    low = upper.gather(-1, (which - 1).clamp(min=0)).masked_fill(which == 0, 0.0)[..., 0]
    share = (u - low) / (upper[..., -1] - upper[..., -2])
    other = from_uniform(distribution.base, share.clamp(2.0**-53, 1 - 2.0**-53)).double()
    spike = distribution.values.gather(-1, which.clamp(max=last - 1))[..., 0]
    return torch.where(which[..., 0] == last, other, spike)
