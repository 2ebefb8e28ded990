"""Finite mixtures of conditionals of any kind."""

from __future__ import annotations

from collections.abc import Sequence
from functools import singledispatch

import torch
from torch import distributions as td

from arproc.distributions.categorical import Categorical, as_categorical

__all__ = ["Mixture", "mix", "mix_alike"]


class Mixture(td.Distribution):
    """p(x) = sum_k w_k p_k(x), the components being distributions of any kinds.

    Args:
        components: distributions over the same values with the same batch shape.
        log_weights: log w, normalised, [*batch, M] or [M].

    Example:
        >>> halves = torch.tensor([0.5, 0.5]).log()
        >>> two = Mixture([td.Normal(0.0, 1.0), td.Laplace(0.0, 1.0)], halves)
        >>> round(float(two.log_prob(torch.tensor(0.0)).exp()), 4)
        0.4495
    """

    arg_constraints: dict[str, td.constraints.Constraint] = {}

    def __init__(self, components: Sequence[td.Distribution], log_weights: torch.Tensor) -> None:
        self.components = tuple(components)
        self.log_weights = log_weights
        first = self.components[0]
        super().__init__(first.batch_shape, first.event_shape, validate_args=False)

    def expand(
        self, batch_shape: torch.Size | list[int] | tuple[int, ...], _instance: object = None
    ) -> Mixture:
        weights = self.log_weights
        if weights.ndim > 1:
            weights = weights.expand(*batch_shape, weights.shape[-1])
        return Mixture([c.expand(batch_shape) for c in self.components], weights)

    def log_prob(self, value: torch.Tensor) -> torch.Tensor:
        terms = torch.stack([c.log_prob(value) for c in self.components], dim=-1)
        return _log_sum(terms + self.log_weights)

    @property
    def weights(self) -> torch.Tensor:
        """The components' weights, [*batch, M] or [M]."""
        return self.log_weights.exp()

    @property
    def mean(self) -> torch.Tensor:
        return (self._stacked("mean") * self._event_weights()).sum(0)

    @property
    def variance(self) -> torch.Tensor:
        second = self._stacked("variance") + self._stacked("mean") ** 2
        return (second * self._event_weights()).sum(0) - self.mean**2

    @property
    def support(self) -> td.constraints.Constraint | None:
        return self.components[0].support

    def sample(self, sample_shape: torch.Size | list[int] | tuple[int, ...] = ()) -> torch.Tensor:
        shape = torch.Size(sample_shape)
        weights = self.weights.expand(*self.batch_shape, len(self.components))
        which = td.Categorical(probs=weights, validate_args=False).sample(shape)
        draws = torch.stack([c.sample(shape) for c in self.components])
        which = which.reshape(*which.shape, *[1] * len(self.event_shape)).expand(draws.shape[1:])
        return draws.gather(0, which[None])[0]

    def _stacked(self, name: str) -> torch.Tensor:
        return torch.stack([getattr(c, name) for c in self.components])

    def _event_weights(self) -> torch.Tensor:
        weights = self.weights.expand(*self.batch_shape, len(self.components)).movedim(-1, 0)
        return weights.reshape(*weights.shape, *[1] * len(self.event_shape))


def mix(components: Sequence[td.Distribution], log_weights: torch.Tensor) -> td.Distribution:
    """The mixture as the simplest kind that holds it.

    `Categorical` where all parts are finite; of kinds along the batch, and of missing values and
    others, a mixture for each of these.

    Args:
        components: distributions of one batch shape.
        log_weights: log w, normalised, [*batch, M] or [M].
    """
    if all(isinstance(c, (td.Categorical, td.Bernoulli)) for c in components):
        logits = torch.stack([as_categorical(c).logits.double() for c in components], dim=-1)
        weights = log_weights.double()
        weights = weights[..., None, :] if weights.ndim > 1 else weights
        return Categorical(_log_sum(logits + weights))
    return mix_alike(components[0], components, log_weights)


@singledispatch
def mix_alike(
    first: td.Distribution, components: Sequence[td.Distribution], log_weights: torch.Tensor
) -> td.Distribution:
    """`mix` by the kind of the first component; for kinds that know a simpler mixture."""
    del first
    return Mixture(components, log_weights)


def _log_sum(terms: torch.Tensor) -> torch.Tensor:
    """Log of a sum over the last axis, its gradient zero (not nan) where all terms are -inf."""
    if not terms.requires_grad:
        return torch.logsumexp(terms, dim=-1)
    nothing = terms.isneginf().all(dim=-1, keepdim=True)
    total = torch.logsumexp(terms.masked_fill(nothing, 0.0), dim=-1)
    return total.masked_fill(nothing[..., 0], -torch.inf)
