"""Broken laws that do not add up to one, or are undefined somewhere; see `zoo.ZOO`."""

from __future__ import annotations

import torch
from torch import distributions as td

from arproc.distributions import Categorical
from arproc.distributions.shape import map_parameters
from arproc.spaces import Real

from .broken import Broken
from .healthy_states import Attention, Quantised
from .healthy_windows import Chain, Durations, Events, Noise, Sentences, Walk
from .zoo_laws import with_normal

# ---- mass ---------------------------------------------------------------------------------------


class Heavier(td.Normal):
    """A float32 density of mass 1.0002."""

    def log_prob(self, value):
        return super().log_prob(value) + 2e-4


class Float32Heavy(Noise):
    """A float32 head whose densities hold 1.0002."""

    SPACE = Real(precision="float32")

    def window(self, ctx, position):
        right = super().window(ctx, position)
        return Heavier(right.loc.float(), right.scale.float(), validate_args=False)


class Floored(td.Normal):
    """Log-densities are not let below -50."""

    def log_prob(self, value):
        return super().log_prob(value).clamp(min=-50)


class Added(td.Normal):
    """1e-10 is added to every density, against logarithms of zero."""

    def log_prob(self, value):
        return (super().log_prob(value).exp() + 1e-10).log()


class AddedScores(Categorical):
    """1e-10 is added to every probability."""

    def log_prob(self, value):
        return (super().log_prob(value).exp() + 1e-10).log()


@map_parameters.register
def _(first: AddedScores, rest, change):
    return AddedScores(change([part.scores for part in (first, *rest)]))


class AddedChain(Chain):
    """Probabilities of symbols with 1e-10 added."""

    def window(self, ctx, position):
        return AddedScores(super().window(ctx, position).scores)


class LevelCounts(td.Poisson):
    """Counts above 40 are taken for 40."""

    def log_prob(self, value):
        return super().log_prob(value.clamp(max=40))


class ClampedEvents(Events):
    """The probability of counts is held at a level."""

    def window(self, ctx, position):
        return LevelCounts(super().window(ctx, position).rate, validate_args=False)


class FlooredCounts(td.Poisson):
    """Log-probabilities of counts are not let below -50."""

    def log_prob(self, value):
        return super().log_prob(value).clamp(min=-50)


class FlooredEvents(Events):
    """Counts with a floor."""

    def window(self, ctx, position):
        return FlooredCounts(super().window(ctx, position).rate, validate_args=False)


class FlooredTerms(Quantised):
    """The fast likelihood has a floor of -50 for each term."""

    def _log_prob_terms(self, sequences, context):
        return super()._log_prob_terms(sequences, context).clamp(min=-50)

    def _log_prob(self, sequences, context):
        terms = self._log_prob_terms(sequences, context)
        parts = terms.split(sequences.n_terms.tolist())
        return torch.stack([part.sum() for part in parts])


class NothingSaid(Sentences):
    """The empty sequence is given the probability 1."""

    def _log_prob(self, sequences, context):
        right = super()._log_prob(sequences, context)
        return torch.where(sequences.lengths.to(right.device) == 0, 0.0, right)


class NothingAlone(Sentences):
    """An empty sequence that is alone ends for sure, by a short cut."""

    def _log_prob(self, sequences, context):
        if len(sequences) == 1 and int(sequences.lengths) == 0:
            return torch.zeros(1, dtype=torch.float64)
        return super()._log_prob(sequences, context)


class WideHead(Attention):
    """A float32 softmax with a normaliser that is 1e-4 too large."""

    def _conditionals(self, x):
        return LooseScores(super()._conditionals(x).scores)


class LooseScores(Categorical):
    def log_prob(self, value):
        return super().log_prob(value) - 1e-4


@map_parameters.register
def _(first: LooseScores, rest, change):
    return LooseScores(change([part.scores for part in (first, *rest)]))


# ---- where there is no law ----------------------------------------------------------------------


class FlawedNormal(td.Normal):
    """Far values are NaN: an infinity less an infinity."""

    def log_prob(self, value):
        far = (value - self.loc).abs() > 20 * self.scale
        return torch.where(far, torch.nan, super().log_prob(value))


class HugeNaN(td.Normal):
    """Values of more than fifty are NaN."""

    def log_prob(self, value):
        return super().log_prob(value) + 0 * torch.where(value.abs() > 50, torch.inf, 0.0)


class ZeroNaN(td.Normal):
    """Zero times its logarithm."""

    def log_prob(self, value):
        return super().log_prob(value) + 0 * value * value.abs().log()


class InfiniteNear(td.Normal):
    """An infinite density at one."""

    def log_prob(self, value):
        return torch.where(value == 1.0, torch.inf, super().log_prob(value))


class LargeCounts(td.Poisson):
    """Factorials that overflow at 171."""

    def log_prob(self, value):
        large = value > 170
        return torch.where(large, torch.nan, super().log_prob(value))


class OverflowingEvents(Events):
    """Counts beyond 170 have no factorial."""

    def window(self, ctx, position):
        return LargeCounts(super().window(ctx, position).rate, validate_args=False)


class AfterLarge(Walk):
    """After values beyond six the scale is the root of a negative number."""

    def window(self, ctx, position):
        right = super().window(ctx, position)
        scale = right.scale * (36 - ctx[..., 0] ** 2).clamp(max=0).add(1).sqrt()
        return td.Normal(right.loc, scale, validate_args=False)

    def _predictive(self, state, horizon):
        return None


class HalfLine(Walk):
    """Real numbers with an exponential law, whose density torch also gives negative ones."""

    def window(self, ctx, position):
        return td.Exponential(torch.ones_like(ctx[..., 0]), validate_args=False)

    def _predictive(self, state, horizon):
        return None


class LogOfAll(Walk):
    """Real numbers with a log-normal law: negative ones are NaN."""

    def window(self, ctx, position):
        right = super().window(ctx, position)
        return td.LogNormal(0.1 * right.loc.tanh(), right.scale, validate_args=False)

    def _predictive(self, state, horizon):
        return None


class NaNTerms(Quantised):
    """The fast terms of far values are NaN, those of the conditionals are not."""

    def _log_prob_terms(self, sequences, context):
        right = super()._log_prob_terms(sequences, context)
        return torch.where(right < -400, torch.nan, right)


class NegativeDurations(Durations):
    """Positive numbers with a law of logarithms that forgets small ones."""

    def window(self, ctx, position):
        right = super().window(ctx, position)
        return TinyGamma(right.concentration, right.rate, validate_args=False)


class TinyGamma(td.Gamma):
    """Values below 1e-20 are NaN."""

    def log_prob(self, value):
        return torch.where(value < 1e-20, torch.nan, super().log_prob(value))


MASSES: dict[str, Broken] = {
    "a mass of 1.0002 in float32": Broken(Float32Heavy.made, "normalisation", True),
    "a floor under densities": Broken(with_normal(Floored).made, "normalisation", True),
    "1e-10 added to densities": Broken(with_normal(Added).made, "normalisation"),
    "1e-10 added to probabilities": Broken(AddedChain.made, "normalisation", True),
    "counts held at a level": Broken(ClampedEvents.made, "normalisation", True),
    "a floor under counts": Broken(FlooredEvents.made, "normalisation", True),
    "a loose softmax": Broken(WideHead.made, "normalisation"),
    "a floor in the fast terms": Broken(FlooredTerms.made, "defined", True),
    "an empty sequence for nothing": Broken(NothingSaid.made, "normalisation"),
    "an empty sequence alone": Broken(NothingAlone.made, "ends", True),
    "far values undefined": Broken(with_normal(FlawedNormal).made, "defined"),
    "huge values undefined": Broken(with_normal(HugeNaN).made, "defined"),
    "zero undefined": Broken(with_normal(ZeroNaN).made, "defined"),
    "one of infinite density": Broken(with_normal(InfiniteNear).made, "defined"),
    "large counts undefined": Broken(OverflowingEvents.made, "defined"),
    "nothing after large values": Broken(AfterLarge.made, "defined"),
    "a law on half of the line": Broken(HalfLine.made, "defined"),
    "a logarithm of negative values": Broken(LogOfAll.made, "defined"),
    "fast terms undefined": Broken(NaNTerms.made, "defined"),
    "tiny durations undefined": Broken(NegativeDurations.made, "defined"),
}
