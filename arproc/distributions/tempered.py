"""Temperature: p(x)^(1/T) renormalised, of every kind of conditional."""

from __future__ import annotations

from functools import singledispatch
from typing import Any

import torch
from torch import distributions as td

from arproc.distributions.calculus import quantile
from arproc.distributions.categorical import Categorical, as_categorical
from arproc.distributions.counted import PoweredCount, is_count
from arproc.distributions.mixture import Mixture
from arproc.distributions.powered import Powered
from arproc.distributions.transformed import transformed
from arproc.distributions.truncated import Truncated
from arproc.distributions.varied import MaybeMissing, Varied
from arproc.errors import UnsupportedError

__all__ = ["tempered"]


@singledispatch
def tempered(distribution: Any, temperature: float) -> Any:
    """The law with the density (or mass) p(x)^(1/T) / Z, of the same batch.

    Of normal, Laplace, Student-t, gamma, beta and log-normal laws and of symbols in closed form;
    of any other density of scalars, mixtures among them, by quadrature (see `Powered`), and of
    counts by summation (see `PoweredCount`).

    Args:
        distribution: any kind of conditional.
        temperature: T > 0.

    Raises:
        UnsupportedError: of a kind for which Z is not known: vectors whose components depend on
            each other other than normally. Or p(x)^(1/T) has no finite integral: its tails are
            too heavy for such a temperature.

    Example:
        >>> tempered(td.Normal(0.0, 1.0), 4.0).scale
        tensor(2.)
        >>> t = tempered(td.StudentT(torch.tensor(5.0), 0.0, 1.0), 2.0)
        >>> float(t.df)
        2.0
    """
    if distribution.event_shape:
        raise UnsupportedError(
            f"the temperature of a {type(distribution).__name__} of vectors is not known: the "
            "integral of p(x)^(1/T) has no closed form there."
        )
    if is_count(distribution):
        return PoweredCount(distribution, 1 / temperature)
    if not _is_density(distribution):
        return _of_symbols(as_categorical(distribution), temperature)
    return Powered(distribution, 1 / temperature)


def _is_density(distribution: Any) -> bool:
    """Whether a law of scalars is continuous; a mixture's support does not say so."""
    if isinstance(distribution, td.MixtureSameFamily):
        return _is_density(distribution.component_distribution)
    if isinstance(distribution, Mixture):
        return all(_is_density(part) for part in distribution.components)
    return distribution.support is not None and not distribution.support.is_discrete


def _of_symbols(conditional: Categorical, temperature: float) -> Categorical:
    scores = conditional.scores
    # from the greatest score, so that a quotient may be -inf but never inf or nan
    divisor = max(temperature, torch.finfo(scores.dtype).tiny)
    return Categorical((scores - scores.amax(-1, keepdim=True)) / divisor)


@tempered.register
def _(distribution: td.Bernoulli, temperature: float) -> td.Bernoulli:
    divisor = max(temperature, torch.finfo(distribution.logits.dtype).tiny)
    return td.Bernoulli(logits=distribution.logits / divisor, validate_args=False)


@tempered.register
def _(distribution: td.Normal, temperature: float) -> td.Normal:
    scale = distribution.scale * temperature**0.5
    return td.Normal(distribution.loc, scale, validate_args=False)


@tempered.register
def _(distribution: td.Laplace, temperature: float) -> td.Laplace:
    scale = distribution.scale * temperature
    return td.Laplace(distribution.loc, scale, validate_args=False)


@tempered.register
def _(distribution: td.MultivariateNormal, temperature: float) -> td.MultivariateNormal:
    tril = distribution.scale_tril * temperature**0.5
    return td.MultivariateNormal(distribution.loc, scale_tril=tril, validate_args=False)


@tempered.register
def _(distribution: td.StudentT, temperature: float) -> td.StudentT:
    # (1 + z^2 / df)^(-(df + 1) / (2 T)) is a Student-t density again
    df = (distribution.df + 1) / temperature - 1
    _require_positive(df, "df", distribution, temperature)
    scale = distribution.scale * (distribution.df / df).sqrt()
    return td.StudentT(df, distribution.loc, scale, validate_args=False)


@tempered.register
def _(distribution: td.Gamma, temperature: float) -> td.Gamma:
    shape = (distribution.concentration - 1) / temperature + 1
    _require_positive(shape, "concentration", distribution, temperature)
    return td.Gamma(shape, distribution.rate / temperature, validate_args=False)


@tempered.register
def _(distribution: td.Exponential, temperature: float) -> td.Exponential:
    return td.Exponential(distribution.rate / temperature, validate_args=False)


@tempered.register
def _(distribution: td.Beta, temperature: float) -> td.Beta:
    shapes = [
        (shape - 1) / temperature + 1
        for shape in (distribution.concentration1, distribution.concentration0)
    ]
    for shape in shapes:
        _require_positive(shape, "concentration", distribution, temperature)
    return td.Beta(shapes[0], shapes[1], validate_args=False)


@tempered.register
def _(distribution: td.LogNormal, temperature: float) -> td.LogNormal:
    # x^(-1/T) dx = exp((1 - 1/T) y) dy, which moves the mean of y = log x
    loc, scale = distribution.loc, distribution.scale
    loc = loc + (temperature - 1) * scale**2
    return td.LogNormal(loc, scale * temperature**0.5, validate_args=False)


@tempered.register
def _(distribution: td.TransformedDistribution, temperature: float) -> Any:
    transforms = distribution.transforms
    plain = type(distribution) is td.TransformedDistribution
    # the slope of an affine map is one number, which goes into Z
    if plain and all(isinstance(transform, td.AffineTransform) for transform in transforms):
        changed = tempered(distribution.base_dist, temperature)
        for transform in transforms:
            changed = transformed(changed, transform)
        return changed
    if distribution.event_shape:
        raise UnsupportedError(
            f"the temperature of a {type(distribution).__name__} of vectors is not known."
        )
    return Powered(distribution, 1 / temperature)


@tempered.register
def _(distribution: td.Independent, temperature: float) -> td.Independent:
    base = tempered(distribution.base_dist, temperature)
    return td.Independent(base, distribution.reinterpreted_batch_ndims, validate_args=False)


@tempered.register
def _(distribution: Truncated, temperature: float) -> Truncated:
    return Truncated(tempered(distribution.base, temperature), distribution.low, distribution.high)


@tempered.register
def _(distribution: PoweredCount, temperature: float) -> PoweredCount:
    power = distribution.power / temperature
    return PoweredCount(distribution.base, power, distribution.low, distribution.high)


@tempered.register
def _(distribution: Powered, temperature: float) -> Any:
    return Powered(distribution.base, distribution.power / temperature)


@tempered.register
def _(distribution: Varied, temperature: float) -> Varied:
    parts = [tempered(part, temperature) for part in distribution.parts]
    return Varied(parts, distribution.which)


@tempered.register
def _(distribution: MaybeMissing, temperature: float) -> MaybeMissing:
    base = tempered(distribution.base, temperature)
    # Z of the values that are there, read off where both densities are large
    place = distribution.logit.device
    x = quantile(distribution.base, torch.full(base.batch_shape, 0.5, device=place).double())
    log_mass = distribution.base.log_prob(x) / temperature - base.log_prob(x)
    logit = distribution.logit / temperature - log_mass
    return MaybeMissing(base, logit.to(distribution.logit.dtype))


def _require_positive(
    value: torch.Tensor, name: str, distribution: Any, temperature: float
) -> None:
    """Refuse a temperature at which p^(1/T) has no integral."""
    if bool((value <= 0).any()):
        raise UnsupportedError(
            f"temperature is {temperature:g}, at which a {type(distribution).__name__} has no "
            f"law: its {name} would be {float(value.min()):g}, and p(x)^(1/T) would have no "
            "finite integral; take a lower temperature."
        )
