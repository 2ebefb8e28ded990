"""Broken laws: conditionals that are of several laws at once.

Each is written in another of the ways to write a process; see `zoo.ZOO`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import distributions as td

from arproc import ChainLaw, Process, storable
from arproc.distributions import Categorical, cdf, from_uniform, quantile
from arproc.distributions.shape import map_parameters
from arproc.spaces import Count

from .broken import Broken
from .healthy_states import Filtered, FilteredState
from .healthy_windows import Events, Heavy, Levels, Noise, Plane, Shares, Walk

ndtr, ndtri = torch.special.ndtr, torch.special.ndtri


def with_normal(kind, base=Walk):
    """The toy `base` whose normal conditionals are of another kind, and forecast by simulation."""

    def window(self, ctx, position, **context):
        right = base.window(self, ctx, position, **context)
        return kind(right.loc, right.scale, validate_args=False)

    def _predictive(self, state, horizon):
        return None

    members = {"window": window, "_predictive": _predictive, "__module__": __name__}
    made = type(f"{base.__name__}Of{kind.__name__}", (base,), members)
    globals()[made.__name__] = made  # where pickle looks for it
    return made


# ---- distribution functions ---------------------------------------------------------------------


class WideCdf(td.Normal):
    """The distribution function is that of a standard deviation of 1.3."""


@cdf.register
def _(distribution: WideCdf, x):
    return ndtr((x - distribution.loc) / (1.3 * distribution.scale))


class OtherLaw(td.Normal):
    """Distribution function, quantiles and draws of a standard deviation of 1.3."""

    def cdf(self, value):
        return ndtr((value - self.loc) / (1.3 * self.scale))


@cdf.register
def _(distribution: OtherLaw, x):
    return distribution.cdf(x)


@quantile.register
def _(distribution: OtherLaw, q):
    return distribution.loc + 1.3 * distribution.scale * ndtri(q)


class ThickCdf(td.Normal):
    """The distribution function has a floor of 1e-4."""


@cdf.register
def _(distribution: ThickCdf, x):
    return ndtr((x - distribution.loc) / distribution.scale).clamp(1e-4, 1)


class ShiftedCountsCdf(td.Poisson):
    """The distribution function is that of fewer than x."""


@cdf.register
def _(distribution: ShiftedCountsCdf, x):
    return cdf(td.Poisson(distribution.rate, validate_args=False), x - 1)


class ShiftedCounts(Events):
    """P(X < x) for P(X <= x)."""

    def window(self, ctx, position):
        return ShiftedCountsCdf(super().window(ctx, position).rate, validate_args=False)


class StrangeUnitCdf(td.Beta):
    """A distribution function with the two concentrations exchanged."""


@cdf.register
def _(distribution: StrangeUnitCdf, x):
    a, b = distribution.concentration1, distribution.concentration0
    return cdf(td.Beta(b, a, validate_args=False), x)


class StrangeShares(Shares):
    """Shares whose distribution function is of others."""

    def window(self, ctx, position):
        right = super().window(ctx, position)
        return StrangeUnitCdf(right.concentration1, right.concentration0, validate_args=False)


class TiltedLevels(Categorical):
    """The distribution function is that of scores half as far apart."""


@cdf.register
def _(distribution: TiltedLevels, x):
    return cdf(Categorical(distribution.scores / 2), x)


@map_parameters.register
def _(first: TiltedLevels, rest, change):
    return TiltedLevels(change([part.scores for part in (first, *rest)]))


class TiltedOrder(Levels):
    """Ordered levels with another distribution function."""

    def window(self, ctx, position):
        return TiltedLevels(super().window(ctx, position).scores)


# ---- quantiles ----------------------------------------------------------------------------------


class CutQuantiles(td.Normal):
    """Quantiles end at 2.6 standard deviations."""


@quantile.register
def _(distribution: CutQuantiles, q):
    return distribution.loc + distribution.scale * ndtri(q).clamp(-2.6, 2.6)


@from_uniform.register
def _(distribution: CutQuantiles, u):
    return distribution.loc + distribution.scale * ndtri(u)


class FarQuantiles(CutQuantiles):
    """Quantiles are right but for one in a million."""


@quantile.register
def _(distribution: FarQuantiles, q):
    z = ndtri(q)
    return distribution.loc + distribution.scale * torch.where(z.abs() > 4.8, 1.3 * z, z)


class LateCounts(td.Poisson):
    """Quantiles are one too many in the upper tail."""


@quantile.register
def _(distribution: LateCounts, q):
    right = quantile(td.Poisson(distribution.rate, validate_args=False), q)
    return right + (q > 0.999)


@from_uniform.register
def _(distribution: LateCounts, u):
    return quantile(td.Poisson(distribution.rate, validate_args=False), u)


class LateEvents(Events):
    """Counts with quantiles of their own."""

    def window(self, ctx, position):
        return LateCounts(super().window(ctx, position).rate, validate_args=False)


# ---- draws --------------------------------------------------------------------------------------


class CutDraws(td.Normal):
    """Draws end at 2.6 standard deviations."""


@from_uniform.register
def _(distribution: CutDraws, u):
    return distribution.loc + distribution.scale * ndtri(u).clamp(-2.6, 2.6)


class ShortDraws(td.Normal):
    """Draws of more than five standard deviations are shortened to five."""


@from_uniform.register
def _(distribution: ShortDraws, u):
    return distribution.loc + distribution.scale * ndtri(u).clamp(-5, 5)


class CutHeavyParts(td.MixtureSameFamily):
    """Draws of a heavy mixture end at fifty."""


@from_uniform.register
def _(distribution: CutHeavyParts, u):
    parts = distribution.mixture_distribution, distribution.component_distribution
    return from_uniform(td.MixtureSameFamily(*parts, validate_args=False), u).clamp(-50, 50)


@map_parameters.register
def _(first: CutHeavyParts, rest, change):
    parts = (first, *rest)
    mixing = [part.mixture_distribution for part in parts]
    inner = [part.component_distribution for part in parts]
    return CutHeavyParts(
        map_parameters(mixing[0], mixing[1:], change),
        map_parameters(inner[0], inner[1:], change),
        validate_args=False,
    )


class CutHeavy(Heavy):
    """Heavy tails that are not drawn."""

    def window(self, ctx, position):
        right = super().window(ctx, position)
        parts = right.mixture_distribution, right.component_distribution
        return CutHeavyParts(*parts, validate_args=False)


class TorchsOwn(td.Normal):
    """Torch's own sample has another standard deviation."""

    def rsample(self, sample_shape=()):
        return self.loc + 1.2 * (super().rsample(sample_shape) - self.loc)

    def sample(self, sample_shape=()):
        with torch.no_grad():
            return self.rsample(sample_shape)


class ShortVectors(td.MultivariateNormal):
    """Vectors whose draws end at four standard deviations."""


@from_uniform.register
def _(distribution: ShortVectors, u):
    white = ndtri(u).clamp(-4, 4)
    return distribution.loc + (distribution.scale_tril @ white[..., None])[..., 0]


class ShortPlane(Plane):
    """A VAR without its tails."""

    def window(self, ctx, position):
        right = super().window(ctx, position)
        return ShortVectors(right.loc, scale_tril=right.scale_tril, validate_args=False)


class CutFilterState(FilteredState):
    def _conditional(self):
        right = super()._conditional()
        return ShortDraws(right.loc, right.scale, validate_args=False)

    def _append(self, x):
        return CutFilterState(super()._append(x).level)


class CutFilter(Filtered):
    """A state of its own whose draws end at five standard deviations."""

    def _start(self, n, context):
        return CutFilterState(super()._start(n, context).level)


@storable
@dataclass(frozen=True, eq=False, repr=False)
class RareLaw(ChainLaw):
    """Counts of which 8 and more are never drawn."""

    rate: float
    space = Count()
    window_length = 1

    def window(self, ctx, position):
        return RareCounts(torch.full_like(ctx[..., 0], self.rate), validate_args=False)


class RareCounts(td.Poisson):
    """Poisson counts that are drawn up to eleven."""


@from_uniform.register
def _(distribution: RareCounts, u):
    return quantile(td.Poisson(distribution.rate, validate_args=False), u).clamp(max=11)


# ---- moments ------------------------------------------------------------------------------------


class WrongMean(td.Normal):
    @property
    def mean(self):
        return self.loc + 0.01 * self.scale


class WrongVariance(td.Normal):
    @property
    def variance(self):
        return 1.01 * self.scale**2


class WrongDeviation(td.Normal):
    @property
    def stddev(self):
        return self.scale**2 * 1.1


class WrongEntropy(td.Normal):
    def entropy(self):
        return super().entropy() + 0.01


class WrongMode(td.Normal):
    @property
    def mode(self):
        return self.loc + self.scale


class WrongCountVariance(td.Poisson):
    @property
    def variance(self):
        return self.rate**2


class CountsOfSquares(Events):
    """Counts whose variance is the square of their mean."""

    def window(self, ctx, position):
        return WrongCountVariance(super().window(ctx, position).rate, validate_args=False)


class WideVectors(td.MultivariateNormal):
    @property
    def variance(self):
        return 1.1 * super().variance


class WidePlane(Plane):
    """Vectors whose variance is of others."""

    def window(self, ctx, position):
        right = super().window(ctx, position)
        return WideVectors(right.loc, scale_tril=right.scale_tril, validate_args=False)


LAWS: dict[str, Broken] = {
    "a cdf of another scale": Broken(with_normal(WideCdf).made, "distribution_function", True),
    "cdf, quantiles and draws of another law": Broken(
        with_normal(OtherLaw).made, "distribution_function"
    ),
    "draws of another law": Broken(with_normal(OtherLaw).made, "draws_of_conditionals"),
    "a cdf with a floor": Broken(with_normal(ThickCdf).made, "distribution_function", True),
    "a cdf of fewer than x": Broken(ShiftedCounts.made, "distribution_function"),
    "a cdf of other shares": Broken(StrangeShares.made, "distribution_function"),
    "a cdf of other levels": Broken(TiltedOrder.made, "distribution_function", True),
    "quantiles cut": Broken(with_normal(CutQuantiles).made, "quantiles", True),
    "quantiles cut, regressed": Broken(with_normal(CutQuantiles, Noise).made, "quantiles", True),
    "quantiles wrong once in a million": Broken(with_normal(FarQuantiles).made, "quantiles", True),
    "quantiles of counts, one late": Broken(LateEvents.made, "quantiles", True),
    "draws cut at 2.6 deviations": Broken(
        with_normal(CutDraws).made, "draws_of_conditionals", True
    ),
    "draws cut at 5 deviations": Broken(
        with_normal(ShortDraws).made, "draws_of_conditionals", True
    ),
    "draws of a mixture cut": Broken(CutHeavy.made, "draws_of_conditionals", True),
    "torch's own draws of another law": Broken(
        with_normal(TorchsOwn).made, "draws_of_conditionals", True
    ),
    "draws of vectors cut": Broken(ShortPlane.made, "draws_of_conditionals", True),
    "draws of a state cut": Broken(CutFilter.made, "draws_of_conditionals", True),
    "counts that are never drawn": Broken(
        lambda: Process.of(RareLaw(2.0)), "draws_of_conditionals", True
    ),
    "mean of another law": Broken(with_normal(WrongMean).made, "moments", True),
    "variance of another law": Broken(with_normal(WrongVariance).made, "moments", True),
    "deviation of another law": Broken(with_normal(WrongDeviation).made, "moments", True),
    "entropy of another law": Broken(with_normal(WrongEntropy).made, "moments", True),
    "mode of another law": Broken(with_normal(WrongMode).made, "moments", True),
    "variance of other counts": Broken(CountsOfSquares.made, "moments", True),
    "variance of other vectors": Broken(WidePlane.made, "moments", True),
}
