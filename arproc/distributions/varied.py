"""Conditionals that differ in kind from one entry of a batch to the next, and missing values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import distributions as td

from arproc.distributions.calculus import atom, cdf, quantile
from arproc.distributions.draws import from_uniform
from arproc.distributions.mixture import Mixture, mix, mix_alike
from arproc.distributions.shape import index, map_parameters

__all__ = ["MaybeMissing", "Varied", "present"]

Apply = Callable[[Any, torch.Tensor], torch.Tensor]
Shape = torch.Size | list[int] | tuple[int, ...]


class Varied(td.Distribution):
    """A batch of scalar distributions of several kinds, such as those of a table's columns.

    Log-probabilities of an entry are in the measure of its own kind: a density where that is
    continuous, a mass where it is discrete. A value that an entry can not take has probability 0.

    Args:
        parts: a distribution for each kind, of the whole batch shape; entries that `which` does
            not choose have no meaning.
        which: the kind of each entry, a number of `parts`, int64 [*batch].

    Example:
        >>> parts = [td.Normal(torch.zeros(2), 1.0), td.Poisson(torch.ones(2))]
        >>> two = Varied(parts, torch.tensor([0, 1]))
        >>> two.log_prob(torch.tensor([[0.0, 0.0], [0.5, 0.5]])).exp()
        tensor([[0.3989, 0.3679],
                [0.3521, 0.0000]], dtype=torch.float64)
    """

    arg_constraints: dict[str, td.constraints.Constraint] = {}

    def __init__(self, parts: Sequence[td.Distribution], which: torch.Tensor) -> None:
        self.parts, self.which = tuple(parts), which
        super().__init__(which.shape, validate_args=False)

    def expand(self, batch_shape: Shape, _instance: object = None) -> Varied:
        parts = [part.expand(torch.Size(batch_shape)) for part in self.parts]
        return Varied(parts, self.which.expand(*batch_shape))

    def __repr__(self) -> str:
        kinds = ", ".join(type(part).__name__ for part in self.parts)
        return f"Varied(of {kinds}, batch_shape: {tuple(self.batch_shape)})"

    def by_part(self, function: Apply, value: torch.Tensor) -> torch.Tensor:
        """`function(part, values)` at the entries of each part, float64 [*value and batch]."""
        shape = torch.broadcast_shapes(value.shape, self.batch_shape)
        own = shape[len(shape) - len(self.batch_shape) :]
        whole = self if own == self.batch_shape else self.expand(own)
        value = value.expand(shape)
        found = torch.full(shape, torch.nan, dtype=torch.float64, device=value.device)
        for kind, part in enumerate(whole.parts):
            chosen = whole.which == kind
            if bool(chosen.any()):
                found[..., chosen] = function(index(part, chosen), value[..., chosen]).double()
        return found

    def log_prob(self, value: torch.Tensor) -> torch.Tensor:
        return self.by_part(_log_prob_inside, value)

    @property
    def support(self) -> td.constraints.Constraint | None:
        """None where the entries differ: no one constraint holds for all."""
        kinds = self.which.unique().tolist()
        return self.parts[kinds[0]].support if len(kinds) == 1 else None

    @property
    def mean(self) -> torch.Tensor:
        return self._figures("mean")

    @property
    def variance(self) -> torch.Tensor:
        return self._figures("variance")

    def _figures(self, name: str) -> torch.Tensor:
        return self.by_part(lambda part, _: getattr(part, name), self.which.double())

    def sample(self, sample_shape: Shape = ()) -> torch.Tensor:
        return _sample(self, sample_shape, self.which.device)


def _log_prob_inside(part: td.Distribution, x: torch.Tensor) -> torch.Tensor:
    """Log-probabilities, minus infinity outside of the support (torch's own raise, or err)."""
    support = part.support
    if support is None:
        return part.log_prob(x)
    inside = support.check(x)
    return part.log_prob(x.where(inside, 0.0)).masked_fill(~inside, -torch.inf)


def _sample(distribution: Any, sample_shape: Shape, device: torch.device) -> torch.Tensor:
    shape = torch.Size(sample_shape) + distribution.batch_shape
    u = torch.rand(shape, dtype=torch.float64, device=device).clamp(min=2.0**-53)
    with torch.no_grad():
        return from_uniform(distribution.expand(shape), u)


@map_parameters.register
def _(first: Varied, rest: Sequence[Any], change: Any) -> Varied:
    parts = [
        map_parameters(part[0], part[1:], change)
        for part in zip(*(v.parts for v in (first, *rest)), strict=True)
    ]
    # a change of precision is not for numbers of kinds
    return Varied(parts, change([v.which for v in (first, *rest)]).long())


@mix_alike.register
def _(first: Varied, components: Sequence[Any], log_weights: torch.Tensor) -> td.Distribution:
    alike = all(isinstance(c, Varied) and torch.equal(c.which, first.which) for c in components)
    if not alike:
        return Mixture(components, log_weights)
    parts = zip(*(c.parts for c in components), strict=True)
    return Varied([mix(part, log_weights) for part in parts], first.which)


@from_uniform.register
def _(distribution: Varied, u: torch.Tensor) -> torch.Tensor:
    return distribution.by_part(from_uniform, u)


@cdf.register
def _(distribution: Varied, x: torch.Tensor) -> torch.Tensor:
    return distribution.by_part(cdf, x)


@quantile.register
def _(distribution: Varied, q: torch.Tensor) -> torch.Tensor:
    return distribution.by_part(quantile, q)


@atom.register
def _(distribution: Varied, x: torch.Tensor) -> torch.Tensor:
    return distribution.by_part(atom, x)


class MaybeMissing(td.Distribution):
    """A value that may be missing: NaN, an event with a probability, or else drawn from `base`.

    Where values have to be in an order (`cdf`, draws from uniforms), missing comes before all.

    Args:
        base: the law of a value that is there, of scalars.
        logit: log-odds of missing, [*batch]; minus infinity where it can not be.

    Example:
        >>> half = MaybeMissing(td.Normal(0.0, 1.0), torch.tensor(0.0))
        >>> half.log_prob(torch.tensor([torch.nan, 0.0])).exp()
        tensor([0.5000, 0.1995])
    """

    arg_constraints: dict[str, td.constraints.Constraint] = {}

    def __init__(self, base: Any, logit: torch.Tensor) -> None:
        self.base, self.logit = base, logit
        super().__init__(base.batch_shape, validate_args=False)

    def expand(self, batch_shape: Shape, _instance: object = None) -> MaybeMissing:
        shape = torch.Size(batch_shape)
        return MaybeMissing(self.base.expand(shape), self.logit.expand(shape))

    def __repr__(self) -> str:
        return f"MaybeMissing({self.base!r})"

    @property
    def missing(self) -> torch.Tensor:
        """The probability of missing, [*batch]."""
        return torch.sigmoid(self.logit)

    def log_prob(self, value: torch.Tensor) -> torch.Tensor:
        gone = torch.isnan(value)
        inside = self.base.log_prob(value.masked_fill(gone, 0.0)) + F.logsigmoid(-self.logit)
        return torch.where(gone, F.logsigmoid(self.logit).expand(inside.shape), inside)

    @property
    def support(self) -> td.constraints.Constraint | None:
        """None: no constraint holds for a missing value and for others."""
        return None

    @property
    def mean(self) -> torch.Tensor:
        """The mean of values that are there."""
        return self.base.mean

    @property
    def variance(self) -> torch.Tensor:
        """The variance of values that are there."""
        return self.base.variance

    def sample(self, sample_shape: Shape = ()) -> torch.Tensor:
        return _sample(self, sample_shape, self.logit.device)


def present(distribution: Any) -> Any:
    """The law of a value given that it is not missing; a law without missing ones as it is.

    Example:
        >>> present(MaybeMissing(td.Normal(0.0, 1.0), torch.tensor(0.0)))
        Normal(loc: 0.0, scale: 1.0)
    """
    return distribution.base if isinstance(distribution, MaybeMissing) else distribution


@map_parameters.register
def _(first: MaybeMissing, rest: Sequence[Any], change: Any) -> MaybeMissing:
    base = map_parameters(first.base, [part.base for part in rest], change)
    return MaybeMissing(base, change([part.logit for part in (first, *rest)]))


@mix_alike.register
def _(
    first: MaybeMissing, components: Sequence[Any], log_weights: torch.Tensor
) -> td.Distribution:
    del first
    if not all(isinstance(c, MaybeMissing) for c in components):
        return Mixture(components, log_weights)
    logits = torch.stack([c.logit for c in components], dim=-1)
    there = log_weights + F.logsigmoid(-logits)
    gone = torch.logsumexp(log_weights + F.logsigmoid(logits), dim=-1)
    total = torch.logsumexp(there, dim=-1, keepdim=True)
    # which component a value that is there came from is told by its being there
    base = mix([c.base for c in components], there - total)
    return MaybeMissing(base, gone - total[..., 0])


def _apart(distribution: MaybeMissing, q: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Which levels are missing's, and the place of the others among values that are there."""
    missing = distribution.missing.double()
    inside = (q - missing) / torch.sigmoid(-distribution.logit.double())
    return q < missing, inside.clamp(2.0**-53, 1 - 2.0**-53)


@from_uniform.register
def _(distribution: MaybeMissing, u: torch.Tensor) -> torch.Tensor:
    gone, inside = _apart(distribution, u)
    return from_uniform(distribution.base, inside).double().masked_fill(gone, torch.nan)


@quantile.register
def _(distribution: MaybeMissing, q: torch.Tensor) -> torch.Tensor:
    gone, inside = _apart(distribution, q)
    return quantile(distribution.base, inside).masked_fill(gone, torch.nan)


@cdf.register
def _(distribution: MaybeMissing, x: torch.Tensor) -> torch.Tensor:
    gone, there = torch.isnan(x), torch.sigmoid(-distribution.logit)
    below = cdf(distribution.base, x.masked_fill(gone, 0.0))
    return distribution.missing + there * below.masked_fill(gone, 0.0)


@atom.register
def _(distribution: MaybeMissing, x: torch.Tensor) -> torch.Tensor:
    gone, there = torch.isnan(x), torch.sigmoid(-distribution.logit)
    inside = there * atom(distribution.base, x.masked_fill(gone, 0.0))
    return torch.where(gone, distribution.missing.expand(inside.shape), inside)
