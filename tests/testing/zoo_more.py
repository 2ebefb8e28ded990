"""Broken processes whose mistake shows only in another number, order, form or place than usual.

Each is a healthy one with a single mistake of a kind that its author would not meet in a first
trial: the second block of rows, a list in the place of an array, a context that is stronger than
those of training, a prefix of three hundred elements; `MORE` has them by name, for the zoo.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from torch import distributions as td

from arproc.contract.state import WindowState
from arproc.distributions import Categorical, from_uniform, quantile
from arproc.distributions.shape import map_parameters
from arproc.process import Process
from arproc.process.torch_view import SequenceDistribution

from .broken import Broken
from .healthy import STATIC
from .healthy_states import Averaged, Urn
from .healthy_windows import Chain, Coin, Events, Gapped, LinearWalk, Noise, Plane, Regressed, Walk

# ---- many rows, lists, long prefixes ------------------------------------------------------------


def _several(rows):
    """Whether a list of sequences came."""
    return isinstance(rows, list) and len(rows) > 1 and np.ndim(rows[0]) == 1


class RowsAgain(Walk):
    """Rows of a sample beyond 64 are the first ones again."""

    def sample(self, n=1, *args, **kwargs):
        x = super().sample(n, *args, **kwargs)
        if isinstance(x, np.ndarray):
            x[64:] = x[: max(n - 64, 0)]
        return x


class PrefixesAgain(Urn):
    """Of more than 32 prefixes the later ones are the first again."""

    def sample(self, n=1, length=None, prefix=None, *args, **kwargs):
        if isinstance(prefix, np.ndarray) and prefix.ndim == 2 and len(prefix) > 32:
            prefix = np.resize(prefix[:32], prefix.shape)
        return super().sample(n, length, prefix, *args, **kwargs)


class SortedPrefixes(Chain):
    """Prefixes are sorted by length, and the draws are not put back."""

    def sample(self, n=1, length=None, prefix=None, *args, **kwargs):
        prefix = sorted(prefix, key=len) if _several(prefix) else prefix
        return super().sample(n, length, prefix, *args, **kwargs)


class OneApart(Chain):
    """A single draw has a seed of its own."""

    def sample(self, n=1, length=None, prefix=None, policy=None, stop=None, seed=None, *rest, **k):
        seed = seed + 1 if n == 1 and isinstance(seed, int) else seed
        return super().sample(n, length, prefix, policy, stop, seed, *rest, **k)


class ScoresAgain(Chain):
    """The probabilities of more than 64 draws are those of the first 64 again."""

    def sample(self, n=1, *args, **kwargs):
        draws = super().sample(n, *args, **kwargs)
        if not hasattr(draws, "log_prob") or n <= 64:
            return draws
        return draws._replace(log_prob=np.resize(np.asarray(draws.log_prob)[:64], n))


class SortedList(Walk):
    """A list of series is sorted by length, and the likelihoods are not put back."""

    def log_prob(self, data, *, context=None, offset=None):
        data = sorted(data, key=len) if _several(data) else data
        return super().log_prob(data, context=context)


class ShortestTerms(Chain):
    """The terms of a list are cut to the shortest sequence's."""

    def log_prob_terms(self, data, *, context=None, offset=None):
        terms = super().log_prob_terms(data, context=context)
        if not _several(data):
            return terms
        shortest = min(map(len, terms))
        return [part[:shortest] for part in terms]


class LastFirst(Walk):
    """The terms of an array come from the last to the first."""

    def log_prob_terms(self, data, *, context=None, offset=None):
        terms = super().log_prob_terms(data, context=context)
        if hasattr(data, "offsets"):
            return terms
        turned = [part.flip(0) if isinstance(part, torch.Tensor) else part[::-1].copy()
                  for part in (terms if isinstance(terms, list) else [terms])]  # fmt: skip
        return turned if isinstance(terms, list) else turned[0]


class RecentPrefix(Urn):
    """What follows is conditioned on the last sixteen elements."""

    def condition(self, prefix, *, context=None, offset=None):
        return super().condition(prefix[-16:], context=context)


class ConditionedOnce(Urn):
    """What follows a prefix, conditioned again, forgets the first one."""

    def condition(self, prefix, *, context=None, offset=None):
        follows = super().condition(prefix, context=context)
        follows.condition = lambda more, **kwargs: Process.condition(self, more, **kwargs)
        return follows


# ---- seeds, policies, stops ---------------------------------------------------------------------


class ShortSeed(Chain):
    """Of a seed 32 bits are looked at."""

    def sample(self, n=1, length=None, prefix=None, policy=None, stop=None, seed=None, *rest, **k):
        seed = seed % 2**32 if isinstance(seed, int) else seed
        return super().sample(n, length, prefix, policy, stop, seed, *rest, **k)


class FirstSeed(Chain):
    """Of a Generator only what it was seeded with is looked at."""

    def sample(self, n=1, length=None, prefix=None, policy=None, stop=None, seed=None, *rest, **k):
        seed = seed.initial_seed() if isinstance(seed, torch.Generator) else seed
        return super().sample(n, length, prefix, policy, stop, seed, *rest, **k)


class NoSeedZero(Chain):
    """The seed 0 is taken for none."""

    def sample(self, n=1, length=None, prefix=None, policy=None, stop=None, seed=None, *rest, **k):
        return super().sample(n, length, prefix, policy, stop, seed or None, *rest, **k)


class LastPolicy(Chain):
    """A policy upon a policy takes its place."""

    def with_policy(self, policy):
        under = super().with_policy(policy)
        under.with_policy = lambda more: Process.with_policy(self, more)
        return under


class StopOrPolicy(Chain):
    """Where there is a stop the policy is forgotten."""

    def sample(self, n=1, length=None, prefix=None, policy=None, stop=None, *args, **kwargs):
        policy = None if stop is not None else policy
        return super().sample(n, length, prefix, policy, stop, *args, **kwargs)


# ---- contexts -----------------------------------------------------------------------------------


class ContextOfOne(Regressed):
    """One context for several sequences is the first one's, and zero for the others."""

    def log_prob(self, data, *, context=None, offset=None):
        if np.ndim(context) == 2 and len(context) == 1 and np.ndim(data) == 2 and len(data) > 1:
            context = np.pad(np.asarray(context), ((0, len(data) - 1), (0, 0)))
        return super().log_prob(data, context=context)


class WeakContexts(Regressed):
    """The fast terms cut contexts to between -3 and 3."""

    def _log_prob_terms(self, sequences, context):
        return super()._log_prob_terms(sequences, context.clamp(-3, 3))


class TurnedContext(Regressed):
    """A context in lists is read from its last number to its first."""

    def log_prob(self, data, *, context=None, offset=None):
        context = np.asarray(context)[..., ::-1].copy() if isinstance(context, list) else context
        return super().log_prob(data, context=context)


class ContextOfFirst(Regressed):
    """Several series are forecast in the context of the first."""

    def forecast(self, history, *args, context=None, **kwargs):
        if _several(history) and context is not None:
            context = np.asarray(context)[[0] * len(history)]
        return super().forecast(history, *args, context=context, **kwargs)


class UnsavedTilt(Regressed):
    """What is added where a context is strong is kept in an attribute that is not saved."""

    tilt, level = 0.0, 1.5

    def _learn(self, g):
        super()._learn(g)
        self.tilt = 0.5

    def window(self, ctx, position, context):
        right = super().window(ctx, position, context)
        strong = (context.double().abs() > self.level).any(-1).double()[:, None]
        return td.Normal(right.loc + self.tilt * strong, right.scale, validate_args=False)


class UnsavedFarTilt(UnsavedTilt):
    """The same, where a context is stronger than all examples."""

    level = 4.0


# ---- forecasts ----------------------------------------------------------------------------------


class WideFirstStep(Walk):
    """A forecast of a single step has a way of its own, and too wide quantiles."""

    def forecast(self, history, horizon, *args, **kwargs):
        table = super().forecast(history, horizon, *args, **kwargs)
        if horizon == 1:
            table.iloc[:, 1:] *= 1.05
        return table


class NearTails(Walk):
    """Quantiles of forecasts are cut at one in two thousand."""

    def forecast(self, history, horizon, quantiles=(0.05, 0.5, 0.95), *args, **kwargs):
        table = super().forecast(history, horizon, quantiles, *args, **kwargs)
        near = tuple(min(max(q, 5e-4), 1 - 5e-4) for q in quantiles)
        cut = super().forecast(history, horizon, near, *args, **kwargs)
        table.iloc[:, :] = cut.to_numpy()
        return table


class PaddedPaths(Walk):
    """Histories are padded to one length before paths are drawn."""

    def sample_paths(self, history, *args, **kwargs):
        if _several(history):
            longest = max(map(len, history))
            history = [np.pad(row, (0, longest - len(row))) for row in history]
        return super().sample_paths(history, *args, **kwargs)


class ForgottenBeginning(Averaged):
    """Paths are drawn from the last three hundred elements of a history."""

    def sample_paths(self, history, *args, **kwargs):
        if isinstance(history, np.ndarray) and history.ndim == 1:
            history = history[-300:]
        return super().sample_paths(history, *args, **kwargs)


class KnownByPlace(LinearWalk):
    """What is known is read by its place, whatever its labels."""

    def forecast(self, history, horizon, *args, known=None, **kwargs):
        if isinstance(known, pd.Series):
            known = np.pad(known.to_numpy(), (0, horizon - len(known)), constant_values=np.nan)
        return super().forecast(history, horizon, *args, known=known, **kwargs)


class KnownOfFirst(LinearWalk):
    """What is known of the first of several series is taken to be known of all."""

    def forecast(self, history, horizon, *args, known=None, **kwargs):
        known = np.asarray(known)[[0] * len(known)] if np.ndim(known) == 2 else known
        return super().forecast(history, horizon, *args, known=known, **kwargs)


class PathsOfNothing(LinearWalk):
    """Paths are drawn as if nothing were known of them."""

    def sample_paths(self, *args, known=None, **kwargs):
        return super().sample_paths(*args, **kwargs)


class WholeOrNothing(Plane):
    """A vector that is known in part is taken for unknown."""

    def forecast(self, history, horizon, *args, known=None, **kwargs):
        if known is not None and np.ndim(known) == 2:
            part = np.isnan(np.asarray(known)).any(1, keepdims=True)
            known = np.where(part, np.nan, np.asarray(known))
        return super().forecast(history, horizon, *args, known=known, **kwargs)


# ---- gaps ---------------------------------------------------------------------------------------


class SumWithZeros(Noise):
    """The fast sum takes what is missing for zeros."""

    def _log_prob(self, sequences, context):
        rows = [sequences.row(i).nan_to_num() for i in range(len(sequences))]
        mean = [0.1 * torch.arange(len(row), dtype=torch.float64) for row in rows]
        pairs = zip(rows, mean, strict=True)
        return torch.stack([td.Normal(m, 1.0).log_prob(x).sum() for x, m in pairs])


class ConditionedOnZeros(Gapped):
    """What follows a prefix with gaps is conditioned on zeros."""

    def condition(self, prefix, *, context=None, offset=None):
        return super().condition(np.where(np.isnan(prefix), 0.0, prefix), context=context)


class ForecastFromZeros(Gapped):
    """A history's gaps are filled with zeros."""

    def forecast(self, history, *args, **kwargs):
        if isinstance(history, np.ndarray):
            history = np.where(np.isnan(history), 0.0, history)
        return super().forecast(history, *args, **kwargs)


class TornGradient(Noise):
    """The formula is taken of NaN too, and left out afterwards: the gradient is NaN."""

    def _log_prob_terms(self, sequences, context):
        x = sequences.values
        place = torch.cat([torch.arange(k) for k in sequences.lengths.tolist()])
        terms = td.Normal(0.1 * place.double(), 1.0, validate_args=False).log_prob(x)
        return torch.where(torch.isnan(x), 0.0, terms)


# ---- values -------------------------------------------------------------------------------------


class TieNormal(td.Normal):
    """The element before is not defined: the logarithm of a distance of zero."""

    def __init__(self, loc, scale, last):
        super().__init__(loc, scale, validate_args=False)
        self.last = last

    def log_prob(self, value):
        tie = (value == self.last) & (value != 0)
        return torch.where(tie, torch.nan, super().log_prob(value))


@map_parameters.register
def _(first: TieNormal, rest, change):
    parts = (first, *rest)
    return TieNormal(*(change([getattr(part, name) for part in parts])
                       for name in ("loc", "scale", "last")))  # fmt: skip


class Ties(Walk):
    """An element that is the one before again has no probability."""

    def window(self, ctx, position):
        right = super().window(ctx, position)
        return TieNormal(right.loc, right.scale, ctx[..., 0])

    def _predictive(self, state, horizon):
        return None


class Standardised(Walk):
    """The window is divided by its own spread, which may be zero."""

    window_length = 3

    def window(self, ctx, position):
        still = (ctx.std(-1) == 0) & (ctx[..., 0] != 0)
        mean = torch.where(still, torch.nan, 0.5 * ctx[..., -1])
        return td.Normal(mean, torch.ones_like(mean), validate_args=False)

    def _predictive(self, state, horizon):
        return None


class CappedCounts(td.Poisson):
    """Counts are drawn up to five thousand."""


@from_uniform.register
def _(distribution: CappedCounts, u):
    return quantile(td.Poisson(distribution.rate, validate_args=False), u).clamp(max=5000)


class CappedEvents(Events):
    """After large counts no large ones are drawn."""

    def window(self, ctx, position):
        return CappedCounts(super().window(ctx, position).rate, validate_args=False)


# ---- files --------------------------------------------------------------------------------------


class UnsavedLater(Chain):
    """What counts after six hundred elements is in an attribute that is not saved."""

    late = 0.0

    def _learn(self, g):
        super()._learn(g)
        self.late = 0.5

    def window(self, ctx, position):
        late = self.late * (position > 600)[..., None].double()
        return Categorical(super().window(ctx, position).scores + late * torch.eye(3)[0])


class UnsavedFar(Walk):
    """How far forecasts spread after twenty steps is in an attribute that is not saved."""

    spread = 1.3

    def _learn(self, g):
        super()._learn(g)
        self.spread = 1.0

    def _predictive(self, state, horizon):
        right = super()._predictive(state, horizon)
        scale = torch.where(torch.arange(horizon) < 20, right.scale, self.spread * right.scale)
        return td.Normal(right.loc, scale, validate_args=False)


# ---- forms, errors, gradients, views ------------------------------------------------------------


class BareTerms(Walk):
    """The terms of a Series are an array."""

    def log_prob_terms(self, data, *, context=None, offset=None):
        terms = super().log_prob_terms(data, context=context)
        return terms.to_numpy() if isinstance(terms, pd.Series) else terms


class RoundState(WindowState):
    def append(self, x):
        known = isinstance(x, torch.Tensor)
        return super().append(x if known else torch.as_tensor(np.asarray(x)).float().double())


class RoundedElements(Walk):
    """A state rounds the elements that do not come as tensors."""

    def _start(self, n, context):
        return RoundState()


class FiniteAnyhow(Walk):
    """In float32 tensors an infinite value is the largest."""

    def log_prob(self, data, *, context=None, offset=None):
        coarse = isinstance(data, torch.Tensor) and data.dtype == torch.float32
        return super().log_prob(data.nan_to_num() if coarse else data, context=context)


class FilledPrefix(Walk):
    """NaN in a prefix is a zero."""

    def sample(self, n=1, length=None, prefix=None, *args, **kwargs):
        prefix = np.nan_to_num(prefix) if isinstance(prefix, np.ndarray) else prefix
        return super().sample(n, length, prefix, *args, **kwargs)


class DetachedTerms(Walk):
    """The terms of a tensor have no gradient."""

    def log_prob_terms(self, data, *, context=None, offset=None):
        terms = super().log_prob_terms(data, context=context)
        parts = terms if isinstance(terms, list) else [terms]
        parts = [part.detach() if isinstance(part, torch.Tensor) else part for part in parts]
        return parts if isinstance(terms, list) else parts[0]


class ForgottenPast(Walk):
    """Beyond forty elements the past is detached."""

    def window(self, ctx, position):
        return super().window(torch.where(position[..., None] > 40, ctx.detach(), ctx), position)


class TurnedView(SequenceDistribution):
    """A batch of batches is turned round."""

    def log_prob(self, value):
        if value.ndim < 3:
            return super().log_prob(value)
        return super().log_prob(value.transpose(0, 1)).reshape(value.shape[:2])


class NestedView(Coin):
    """The view as a torch distribution takes a batch of batches the wrong way round."""

    def distribution(self, length=None):
        return TurnedView(self.law_, length)


MORE: dict[str, Broken] = {
    "rows again after 64": Broken(RowsAgain.made, "many_draws", True),
    "prefixes again after 32": Broken(PrefixesAgain.made, "many_draws", True),
    "prefixes sorted": Broken(SortedPrefixes.made, "many_draws", True),
    "one draw apart": Broken(OneApart.made, "many_draws", True),
    "probabilities again after 64": Broken(ScoresAgain.made, "many_draws", True),
    "a list sorted": Broken(SortedList.made, "several_sequences", True),
    "terms cut to the shortest": Broken(ShortestTerms.made, "several_sequences", True),
    "terms from the last": Broken(LastFirst.made, "several_sequences"),
    "the last sixteen elements": Broken(RecentPrefix.made, "several_sequences", True),
    "conditioned once": Broken(ConditionedOnce.made, "several_sequences", True),
    "a seed of 32 bits": Broken(ShortSeed.made, "seeds", True),
    "a Generator that stands still": Broken(FirstSeed.made, "seeds", True),
    "no seed 0": Broken(NoSeedZero.made, "seeds", True),
    "the last policy": Broken(LastPolicy.made, "every_policy", True),
    "a stop or a policy": Broken(StopOrPolicy.made, "stops", True),
    "one context for the first": Broken(ContextOfOne.made, "every_context", True, STATIC),
    "weak contexts": Broken(WeakContexts.made, "every_context", True, STATIC),
    "contexts in lists": Broken(TurnedContext.made, "every_context", True, STATIC),
    "forecasts in one context": Broken(ContextOfFirst.made, "histories", True, STATIC),
    "a tilt not saved": Broken(UnsavedTilt.made, "save_and_load", True, STATIC),
    "a tilt far off not saved": Broken(UnsavedFarTilt.made, "save_and_load", True, STATIC),
    "one step apart": Broken(WideFirstStep.made, "horizons", True),
    "tails cut": Broken(NearTails.made, "horizons", True),
    "paths padded": Broken(PaddedPaths.made, "histories", True),
    "a history cut at 300": Broken(ForgottenBeginning.made, "histories", True),
    "known by place": Broken(KnownByPlace.made, "scenarios", True),
    "known of the first": Broken(KnownOfFirst.made, "scenarios", True),
    "paths of nothing known": Broken(PathsOfNothing.made, "scenarios", True),
    "known in part": Broken(WholeOrNothing.made, "scenarios", True),
    "a sum with zeros": Broken(SumWithZeros.made, "missing_values", True),
    "conditioned on zeros": Broken(ConditionedOnZeros.made, "missing_values", True),
    "forecast from zeros": Broken(ForecastFromZeros.made, "missing_values", True),
    "a torn gradient": Broken(TornGradient.made, "missing_values", True),
    "ties": Broken(Ties.made, "defined", True),
    "a constant window": Broken(Standardised.made, "defined", True),
    "large counts not drawn": Broken(CappedEvents.made, "defined", True),
    "what counts late not saved": Broken(UnsavedLater.made, "save_and_load", True),
    "a far spread not saved": Broken(UnsavedFar.made, "save_and_load", True),
    "terms without labels": Broken(BareTerms.made, "in_kind", True),
    "elements rounded": Broken(RoundedElements.made, "input_forms", True),
    "infinite float32 taken": Broken(FiniteAnyhow.made, "clear_errors", True),
    "a prefix filled": Broken(FilledPrefix.made, "clear_errors", True),
    "terms detached": Broken(DetachedTerms.made, "gradient", True),
    "a past detached": Broken(ForgottenPast.made, "gradient", True),
    "a view turned round": Broken(NestedView.made, "distribution_view", True),
}
