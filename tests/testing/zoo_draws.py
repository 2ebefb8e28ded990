"""Broken processes whose draws and forecasts are of another law; see `zoo.ZOO`."""

from __future__ import annotations

import torch
from torch import distributions as td

from arproc.contract.randomness import resolve_seed
from arproc.distributions import from_uniform
from arproc.process import Process
from arproc.sampling.policies import PolicyLaw

from .broken import Broken
from .healthy_states import NoRepeat, Urn
from .healthy_windows import Chain, Coin, LinearWalk, Shares, Walk

# ---- draws --------------------------------------------------------------------------------------


class Narrow(td.Normal):
    """A normal whose draws have nine tenths of its standard deviation."""


@from_uniform.register
def _(distribution: Narrow, u):
    return distribution.loc + 0.9 * distribution.scale * torch.special.ndtri(u)


class NarrowDraws(Walk):
    """An inverse cdf that does not belong to the density."""

    def window(self, ctx, position):
        right = super().window(ctx, position)
        return Narrow(right.loc, right.scale, validate_args=False)

    def _predictive(self, state, horizon):
        return None


class Torn(td.Normal):
    """A normal whose inverse cdf is NaN in its tail."""


@from_uniform.register
def _(distribution: Torn, u):
    x = distribution.loc + distribution.scale * torch.special.ndtri(u)
    return torch.where(u > 0.999, torch.nan, x)


class TornDraws(NarrowDraws):
    """Draws that are NaN once in a thousand."""

    def window(self, ctx, position):
        right = super().window(ctx, position)
        return Torn(right.loc, right.scale, validate_args=False)


class Overreaching(Shares):
    """Numbers between 0 and 1 with a normal law, which reaches beyond."""

    def window(self, ctx, position):
        mean = torch.full_like(ctx[..., 0], 0.5)
        return td.Normal(mean, torch.full_like(mean, 0.3), validate_args=False)


class HiddenTemperature(Chain):
    """`sample` sharpens unless a policy is given."""

    def sample(self, n=1, length=None, prefix=None, policy=None, *args, **kwargs):
        from arproc.sampling import Temperature

        return super().sample(n, length, prefix, policy or Temperature(0.7), *args, **kwargs)


class CrowdTemperature(Chain):
    """`sample` sharpens a little where many rows are asked for, by another path."""

    def sample(self, n=1, length=None, prefix=None, policy=None, *args, **kwargs):
        from arproc.sampling import Temperature

        if n >= 100:
            policy = policy or Temperature(0.8)
        return super().sample(n, length, prefix, policy, *args, **kwargs)


class ModelsOwnScores(PolicyLaw):
    """Under a policy, but with the model's likelihood."""

    def log_prob_terms(self, sequences, context):
        return self.law.log_prob_terms(sequences, context)


class UnscoredPolicy(Chain):
    """The probability under a policy is the model's."""

    def with_policy(self, policy):
        return Process.of(ModelsOwnScores.under(self.law_, policy), self.fit_)


class MixedUp(Chain):
    """The draws' probability under the policy is given as the model's."""

    def sample(self, *args, return_log_prob=False, **kwargs):
        draws = super().sample(*args, return_log_prob=return_log_prob, **kwargs)
        return draws._replace(log_prob=draws.policy_log_prob) if return_log_prob else draws


class SeedIgnored(Coin):
    """Whatever the seed, torch's global generator decides."""

    def sample(self, *args, seed=None, **kwargs):
        return super().sample(*args, seed=None, **kwargs)


class BatchSeed(Chain):
    """What row i is depends on how many rows are drawn."""

    def sample(self, n=1, length=None, prefix=None, policy=None, stop=None, seed=None, **kwargs):
        if prefix is None:
            seed = resolve_seed(seed) + n
        return super().sample(n, length, prefix, policy, stop, seed, **kwargs)


class ForgottenPrefix(Chain):
    """`condition` keeps only the last element."""

    def condition(self, prefix, *, context=None):
        return super().condition(prefix[-1:], context=context)


class OneStepErrors(Walk):
    """Forecasts have the standard deviation of one step at every step."""

    def _predictive(self, state, horizon):
        right = super()._predictive(state, horizon)
        return td.Normal(right.loc, right.scale[:, :1].expand_as(right.loc), validate_args=False)


class IndependentSteps(LinearWalk):
    """The joint law of the next elements forgets that they hang together."""

    def _joint(self, state, horizon):
        scale = super()._joint(state, horizon).variance.sqrt()
        mean = self._predictive(state, horizon).mean
        return td.MultivariateNormal(mean, scale_tril=torch.diag_embed(scale))


class ZeroFilled(Walk):
    """What is missing is taken for zero by those that come after."""

    takes_missing = True

    def window(self, ctx, position):
        return super().window(ctx.nan_to_num(0.0), position)


class CountingPadding(NoRepeat):
    """Counts what is appended in rows that take nothing."""

    def append(self, state, x, active=None):
        return super().append(state, x)


def _under_counting_padding():
    return Urn.made().with_policy(CountingPadding())


DRAWS: dict[str, Broken] = {
    "policy that counts padding": Broken(_under_counting_padding, "ragged_extend"),
    "inverse cdf too narrow": Broken(NarrowDraws.made, "samples"),
    "draws of NaN": Broken(TornDraws.made, "samples"),
    "draws outside the space": Broken(Overreaching.made, "samples"),
    "hidden temperature of many": Broken(CrowdTemperature.made, "samples", alone=True),
    "hidden temperature": Broken(HiddenTemperature.made, "samples"),
    "policy without a likelihood": Broken(UnscoredPolicy.made, "policy", alone=True),
    "probabilities mixed up": Broken(MixedUp.made, "draw_probability", alone=True),
    "seed ignored": Broken(SeedIgnored.made, "seeds"),
    "seed of the batch": Broken(BatchSeed.made, "seeds", alone=True),
    "prefix cut": Broken(ForgottenPrefix.made, "conditioning", alone=True),
    "forecast errors that do not grow": Broken(OneStepErrors.made, "forecast", alone=True),
    "steps taken as independent": Broken(IndependentSteps.made, "joint", alone=True),
    "missing values filled": Broken(ZeroFilled.made, "missing_values", alone=True),
}
