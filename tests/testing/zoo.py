"""Broken processes: each a healthy one with a single mistake, which the suite must find.

`ZOO` says for each which check names the mistake, and whether no other check sees it. For every
check there is one that it alone refuses, so no check can be left out.
"""

from __future__ import annotations

import torch
from torch import distributions as td

from arproc.contract.randomness import resolve_seed
from arproc.contract.state import WindowState
from arproc.contract.storable import storable
from arproc.distributions import Categorical, from_uniform
from arproc.distributions.shape import map_parameters
from arproc.errors import ArprocError
from arproc.process import Process
from arproc.process.torch_view import SequenceDistribution
from arproc.sampling.policies import PolicyLaw
from arproc.spaces import Categorical as Symbols
from arproc.spaces import Real

from . import gappy, outsized
from .broken import Broken
from .healthy import (
    STATIC,
    Attention,
    Chain,
    Coin,
    Dots,
    LinearWalk,
    NoRepeat,
    Quantised,
    Recurrent,
    RecurrentState,
    Rolling,
    RollingState,
    Sentences,
    Shares,
    Urn,
    UrnState,
    Walk,
)
from .zoo_laws import LAWS
from .zoo_more import MORE
from .zoo_tables import TABLES
from .zoo_use import USE

# ---- likelihood ---------------------------------------------------------------------------------


class Loud(Categorical):
    """A head whose probabilities add up to 1.05."""

    def log_prob(self, value):
        return super().log_prob(value) + 0.05


@map_parameters.register
def _(first: Loud, rest, change):
    return Loud(change([part.scores for part in (first, *rest)]))


class UnnormalisedHead(Chain):
    """Raw scores taken for log-probabilities."""

    def window(self, ctx, position):
        return Loud(super().window(ctx, position).scores)


class Beyond(Shares):
    """Numbers between 0 and 1 that are said to be any real ones: 1.3 has a density of NaN."""

    SPACE = Real()


class ForgottenEnd(Sentences):
    """Complete sequences are scored like incomplete ones: the end's term is left out."""

    def _log_prob(self, sequences, context):
        terms = self._log_prob_terms(sequences, context)
        parts = terms.split(sequences.n_terms.tolist())
        lengths = sequences.lengths.tolist()
        return torch.stack([part[:k].sum() for part, k in zip(parts, lengths, strict=True)])


class Float32Sum(Sentences):
    """Log-probabilities of long sequences are added up in float32."""

    def _log_prob(self, sequences, context):
        if int(sequences.n_terms.max()) < 40:
            return super()._log_prob(sequences, context)
        terms = self._log_prob_terms(sequences, context).float()
        parts = terms.split(sequences.n_terms.tolist())
        return torch.stack([part.sum() for part in parts]).double()


class RoundedHook(Urn):
    """The fast likelihood has a rounded copy of the parameters."""

    def _log_prob_terms(self, sequences, context):
        exact, self.prior_ = self.prior_, self.prior_ + torch.tensor([0.002, 0.0, 0.0])
        try:
            return super()._log_prob_terms(sequences, context)
        finally:
            self.prior_ = exact


class LeakyPadding(Urn):
    """The fast likelihood pads a batch on the left, and counts the padding as symbols 0."""

    def _log_prob_terms(self, sequences, context):
        lengths = sequences.lengths.tolist()
        terms = []
        for i, length in enumerate(lengths):
            pad = max(lengths) - length
            row = torch.nn.functional.pad(sequences.row(i), (pad, 0))
            seen = torch.nn.functional.one_hot(row, 3).double()
            before = self.prior_ + seen.cumsum(0) - seen
            terms.append(((before * seen).sum(-1) / before.sum(-1)).log()[pad:])
        return torch.cat(terms)


class BatchStatistics(Chain):
    """Scores are centred over the rows of the batch, as a batch normalisation left in training."""

    def window(self, ctx, position):
        scores = super().window(ctx, position).scores
        return Categorical(scores - 0.5 * scores.mean(0, keepdim=True))


class Detached(Quantised):
    """The element before is detached, so the gradient lacks the way through it."""

    def residuals(self, row):
        return torch.cat([row[:1], row[1:] - self.phi_ * row[:-1].detach()])


# ---- causality ----------------------------------------------------------------------------------


class OffByOneMask(Attention):
    """The mask lets each position see the element that it predicts."""

    def _masked(self, scores, t):
        return scores.masked_fill(t > t[:, None] + 1, -torch.inf)


class SoftMask(Attention):
    """The mask subtracts 12.5 at the next element instead of infinity: a leak of 4e-6."""

    def _masked(self, scores, t):
        masked = super()._masked(scores, t)
        return torch.where(t == t[:, None] + 1, scores - 12.5, masked)


class PeekingState(WindowState):
    """Two steps ahead, at position 4 only."""

    def _extend(self, x, lengths):
        columns, state = super()._extend(x, lengths)
        peek = torch.zeros(columns.scores.shape[:2])
        place = 4 - int(self.lengths[0])
        if 0 <= place < x.shape[1] - 2:
            peek[:, place] = x[:, place + 2].float()
        return Categorical(columns.scores + peek[..., None] * torch.arange(3)), state


class Peeking(Chain):
    """A conditional that peeks two steps ahead at a single position."""

    def _start(self, n, context):
        return PeekingState()


class FaintLeakState(WindowState):
    """The mean of each conditional holds 1e-14 of the element it predicts: below rounding."""

    def _extend(self, x, lengths):
        columns, state = super()._extend(x, lengths)
        own = torch.nn.functional.pad(x, (0, 1))
        leaking = td.Normal(columns.loc + 1e-14 * own, columns.scale, validate_args=False)
        return leaking, state


class FaintLeak(Walk):
    """A mask of 1e-14 in the place of zero, which no perturbation shows."""

    def _start(self, n, context):
        return FaintLeakState()


# ---- states -------------------------------------------------------------------------------------


class MisstepState(RollingState):
    """Appending forgets to turn the cache at element 13."""

    def _append(self, x):
        state = super()._append(x)
        state.late = bool((state.counts == 13).any())
        return state

    def _conditional(self):
        conditional = super()._conditional()
        return Categorical(conditional.scores.flip(-1)) if self.late else conditional

    late = False


class Misstep(Rolling):
    """The incremental side is wrong at a single position."""

    def _start(self, n, context):
        fresh = super()._start(n, context)
        return MisstepState(fresh.cache, fresh.counts)


class ShortCounterState(RollingState):
    """The cache's position is a signed byte."""

    def _append(self, x):
        state = super()._append(x)
        over = state.counts > 127
        return self._new(state.cache.where(~over[:, None], 3), state.counts)


class ShortCounter(Rolling):
    """A cache that runs out after 127 elements."""

    def _start(self, n, context):
        fresh = super()._start(n, context)
        return ShortCounterState(fresh.cache, fresh.counts)


class StaleCacheState(RollingState):
    """Filling the cache by blocks of eight, what is left of the last block is left out."""

    def _extend(self, x, lengths):
        columns, state = super()._extend(x, lengths)
        whole = x.shape[1] // 8 * 8
        if lengths is None and whole and not bool(self.counts.any()):
            return columns, self._new(super()._extend(x[:, :whole], None)[1].cache, state.counts)
        return columns, state


class StaleCache(Rolling):
    """The columns of a long prefix are right, the state after it is stale."""

    def _start(self, n, context):
        fresh = super()._start(n, context)
        return StaleCacheState(fresh.cache, fresh.counts)


class PaddedPrefixState(RollingState):
    """Of rows of unequal lengths all elements go into the cache, the padding too."""

    def _extend(self, x, lengths):
        if lengths is None:
            return super()._extend(x, None)
        columns, state = super()._extend(x, None)
        kept = state.counts - x.shape[1] + lengths
        return columns, self._new(state.cache, kept)


class PaddedPrefix(Rolling):
    """Ragged prefixes padded into a rolling cache, and only the counts set back."""

    def _start(self, n, context):
        fresh = super()._start(n, context)
        return PaddedPrefixState(fresh.cache, fresh.counts)


class SortedSelectState(RollingState):
    """Rows are dropped and repeated, but never reordered."""

    def _select(self, rows):
        return super()._select(rows.sort().values)


class SortedSelect(Rolling):
    """A select that forgets the order of the rows."""

    def _start(self, n, context):
        fresh = super()._start(n, context)
        return SortedSelectState(fresh.cache, fresh.counts)


class SwappedJoinState(RollingState):
    def _join(self, states):
        apart = states[::-1]
        return self._new(torch.cat([s.cache for s in apart]), torch.cat([s.counts for s in apart]))


class SwappedJoin(Rolling):
    """A join whose rows come in the order of the last state first."""

    def _start(self, n, context):
        state = super()._start(n, context)
        return SwappedJoinState(state.cache, state.counts)


class ForgetfulTruncateState(RollingState):
    """Going back only moves the count: what rolled over is gone."""

    def _truncate(self, lengths):
        return self._new(self.cache, lengths)


class ForgetfulTruncate(Rolling):
    """A truncate that forgets what the cache no longer holds."""

    def _start(self, n, context):
        fresh = super()._start(n, context)
        return ForgetfulTruncateState(fresh.cache, fresh.counts)


class InPlaceState(RollingState):
    """Appending writes into the cache of the state before."""

    def _append(self, x):
        slot = (self.counts % self.cache.shape[1])[:, None]
        return self._new(self.cache.scatter_(1, slot, x[:, None]), self.counts + 1)


class InPlace(Rolling):
    """States that share what they change."""

    def _start(self, n, context):
        fresh = super()._start(n, context)
        return InPlaceState(fresh.cache, fresh.counts)


class LaggingState(RecurrentState):
    """The hidden vector is one element behind."""

    def __init__(self, hidden, waiting=None):
        super().__init__(hidden)
        self.waiting = waiting

    def _append(self, x):
        hidden = self.hidden
        if self.waiting is not None:
            hidden = self.process.step(hidden, self.waiting)
        return LaggingState(hidden, x)

    def _extend(self, x, lengths):
        return RecurrentState._extend(self._caught_up(), x, lengths)

    def _caught_up(self):
        state = RecurrentState(self.hidden)
        if self.waiting is not None:
            state = RecurrentState(self.process.step(self.hidden, self.waiting))
        return self._carry(state, self.history, self.context)


class Lagging(Recurrent):
    """A stale cache: appending always shows the state before the last element."""

    def _start(self, n, context):
        return LaggingState(super()._start(n, context).hidden)


class HotUrnState(UrnState):
    """`advance` draws at another temperature."""

    temperature = 1.5

    def advance(self, uniforms):
        counts, drawn = self.counts.clone(), []
        for k in range(uniforms.shape[1]):
            edges = (counts ** (1 / self.temperature)).cumsum(1)
            x = (uniforms[:, k, None] * edges[:, -1:] >= edges).sum(1)
            counts[torch.arange(len(x)), x] += 1
            drawn.append(x)
        x = torch.stack(drawn, dim=1)
        return x, self._carry(self._new(counts), self.history.extend(x), self.context)


class HotSampler(Urn):
    """A compiled sampler with a wrong temperature."""

    def _start(self, n, context):
        return HotUrnState(super()._start(n, context).counts)


class WarmUrnState(HotUrnState):
    """`advance` draws at a temperature that no test of samples can tell."""

    temperature = 1.03


class WarmSampler(Urn):
    """A compiled sampler that is right to two digits."""

    def _start(self, n, context):
        return WarmUrnState(super()._start(n, context).counts)


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


# ---- at the boundary ----------------------------------------------------------------------------


class ShiftedColumns(Chain):
    """`conditionals` gives the distribution after each element, not of it."""

    def conditionals(self, data, *, context=None):
        x, _ = self.sequences(data).padded()
        return Categorical(self.start(len(x)).extend(x)[0].scores[:, 1:])


class FlatView(SequenceDistribution):
    """Reads the user's array as if it were in the order of generation."""

    def log_prob(self, value):
        state = self.law.fresh(len(value), None)
        x = value.flatten(1).to(self.law.space.dtype)
        return state.extend(x[:, :-1])[0].log_prob(x).double().sum(-1)


class FlatDots(Dots):
    """The view as a torch distribution does not know the layout."""

    def distribution(self, length=None):
        return FlatView(self.law_, length)


class Float32Result(Attention):
    """The result is a float32."""

    def _log_prob(self, sequences, context):
        return super()._log_prob(sequences, context).float()


class DroppedBuffer(Chain):
    """Something learnt is in an attribute that is not saved."""

    bias = 0.0

    def _learn(self, g):
        super()._learn(g)
        self.bias = 0.5

    def window(self, ctx, position):
        return Categorical(super().window(ctx, position).scores + self.bias * torch.arange(3))


@storable
class AnySymbol(Symbols):
    """Symbols that are not looked at."""

    def problem(self, values):
        return None


class Trusting(Chain):
    """Symbols that do not exist are taken for the last one."""

    SPACE = AnySymbol(symbols=3)

    def window(self, ctx, position):
        return super().window(ctx.clamp(0, 3), position)


# ---- a law is a value ---------------------------------------------------------------------------


class SharedTilt(Chain):
    """Something learnt is kept in the class, for all models alike."""

    tilt = 0.0

    def _fit(self, sequences, *, validation, context):
        super()._fit(sequences, validation=validation, context=context)
        type(self).tilt = float(sequences.values.double().mean()) / 9

    def window(self, ctx, position):
        return Categorical(super().window(ctx, position).scores + self.tilt * torch.arange(3))


class Forgetful(Chain):
    """Data that are refused make it forget what it had learnt."""

    def fit(self, data, y=None, **more):
        try:
            return super().fit(data, y, **more)
        except ArprocError:
            vars(self).pop("_held", None)
            raise


class LiveScale(Coin):
    """The likelihood reads a parameter of the constructor as it is now."""

    def __init__(self, seed: int = 0, scale: float = 1.0) -> None:
        super().__init__(seed)
        self.scale = scale

    def log_prob(self, data, *, context=None):
        return super().log_prob(data, context=context) * self.scale


class EmptyCopies(Chain):
    """A copy has lost what was learnt."""

    def __deepcopy__(self, memo):
        return type(self)(self.seed)


# ---- the zoo ------------------------------------------------------------------------------------


def _under_counting_padding():
    return Urn.made().with_policy(CountingPadding())


ZOO: dict[str, Broken] = {
    "unnormalised head": Broken(UnnormalisedHead.made, "normalisation"),
    "undefined in part of the space": Broken(Beyond.made, "defined", alone=True),
    "forgotten end": Broken(ForgottenEnd.made, "normalisation"),
    "sum in float32": Broken(Float32Sum.made, "terms_sum", alone=True),
    "hook with rounded parameters": Broken(RoundedHook.made, "fast_terms", alone=True),
    "leak through padding": Broken(LeakyPadding.made, "batch_invariance", alone=True),
    "statistics of the batch": Broken(BatchStatistics.made, "batch_invariance"),
    "detached element": Broken(Detached.made, "gradient", alone=True),
    "off-by-one mask": Broken(OffByOneMask.made, "causality_by_perturbation"),
    "soft mask": Broken(SoftMask.made, "causality_by_perturbation", alone=True),
    "peeking at one position": Broken(Peeking.made, "causality_by_perturbation"),
    "leak below rounding": Broken(FaintLeak.made, "causality_by_gradient", alone=True),
    "wrong at one step": Broken(Misstep.made, "parallel_equals_incremental", alone=True),
    "one element behind": Broken(Lagging.made, "parallel_equals_incremental"),
    "position in a byte": Broken(ShortCounter.made, "any_length", alone=True),
    "stale cache": Broken(StaleCache.made, "start_from_prefix", alone=True),
    "prefixes padded into the cache": Broken(PaddedPrefix.made, "ragged_extend", alone=True),
    "policy that counts padding": Broken(_under_counting_padding, "ragged_extend"),
    "select without order": Broken(SortedSelect.made, "select", alone=True),
    "join in another order": Broken(SwappedJoin.made, "join", alone=True),
    "truncate that forgets": Broken(ForgetfulTruncate.made, "truncate", alone=True),
    "states changed in place": Broken(InPlace.made, "immutability", alone=True),
    "sampler at a wrong temperature": Broken(HotSampler.made, "fast_advance"),
    "sampler right to two digits": Broken(WarmSampler.made, "fast_advance", alone=True),
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
    "columns shifted": Broken(ShiftedColumns.made, "conditionals", alone=True),
    "view without the layout": Broken(FlatDots.made, "distribution_view", alone=True),
    "result in float32": Broken(Float32Result.made, "in_kind", alone=True),
    "buffer not saved": Broken(DroppedBuffer.made, "save_and_load", alone=True),
    "missing values filled": Broken(ZeroFilled.made, "missing_values", alone=True),
    "learnt by the class": Broken(SharedTilt.made, "outlives_refit", alone=True),
    "forgets when refused": Broken(Forgetful.made, "refused_refit", alone=True),
    "a parameter read late": Broken(LiveScale.made, "parameters_set_later", alone=True),
    "copies without the law": Broken(EmptyCopies.made, "copies", alone=True),
    "unknown symbols taken": Broken(Trusting.made, "clear_errors", alone=True),
    **LAWS,
    "fast terms wrong after 100": Broken(outsized.CutTerms.made, "fast_terms", alone=True),
    "fast sum cut at 1000": Broken(outsized.CutSum.made, "terms_sum", alone=True),
    "fast sum in float32 for many": Broken(outsized.WideSum.made, "terms_sum", alone=True),
    "every ninth row": Broken(outsized.EightRows.made, "batch_invariance"),
    "whole blocks of rows": Broken(outsized.BlockOfRows.made, "batch_invariance", alone=True),
    "many rows of one length": Broken(outsized.EqualRows.made, "batch_invariance"),
    "append wrong after 2000": Broken(outsized.LateStep.made, "any_length", alone=True),
    "mass wrong after 2050": Broken(outsized.LateMass.made, "normalisation", alone=True),
    "a buffer of 64 rows": Broken(outsized.RowsBeyond.made, "any_width"),
    "append wrong in many rows": Broken(outsized.WideAppend.made, "any_width", alone=True),
    "sampler wrong after 40 draws": Broken(outsized.LateDraws.made, "fast_advance", alone=True),
    "sampler of 64 rows": Broken(outsized.WideDraws.made, "fast_advance"),
    "sample cut at 64": Broken(outsized.ShortSample.made, "samples", alone=True),
    "sample going round": Broken(outsized.RepeatedSample.made, "samples", alone=True),
    "cut state on a shared cache": Broken(outsized.SharedCache.made, "immutability", alone=True),
    "ragged extend in place": Broken(outsized.RaggedInPlace.made, "immutability", alone=True),
    "select that gives a view": Broken(outsized.AliasedSelect.made, "immutability", alone=True),
    "advance in place": Broken(outsized.AdvanceInPlace.made, "immutability"),
    "input written into": Broken(outsized.WrittenInput.made, "immutability"),
    "one start for all": Broken(outsized.SharedStart.made, "immutability"),
    "dropout left on": Broken(outsized.Dropout.made, "repeated_calls"),
    "terms kept by shape": Broken(outsized.KeptByShape.made, "repeated_calls"),
    "terms kept by address": Broken(outsized.KeptByAddress.made, "repeated_calls"),
    "gradients left on": Broken(outsized.LosesGradients.made, "repeated_calls", alone=True),
    "a running mean": Broken(outsized.RunningMean.made, "repeated_calls"),
    "time stands still in gaps": Broken(gappy.StandingStill.made, "missing_values", alone=True),
    "two missing in a row": Broken(gappy.OneGap.made, "missing_values", alone=True),
    "gap at the start": Broken(gappy.FirstGap.made, "missing_values", alone=True),
    "one row's gap for all": Broken(gappy.SharedGap.made, "missing_values", alone=True),
    "gaps longer than eight": Broken(gappy.LongGap.made, "missing_values", alone=True),
    "vector in part as if whole": Broken(
        gappy.IndependentParts.made, "missing_values", alone=True
    ),
    "vector in part as if missing": Broken(
        gappy.PartTakenForAll.made, "missing_values", alone=True
    ),
    "context of the first call": Broken(
        outsized.FirstContext.made, "repeated_calls", context=STATIC
    ),
    "context kept by shape": Broken(outsized.KeptContext.made, "repeated_calls", context=STATIC),
}

ZOO |= {name: Broken(*entry) for name, entry in USE.items()}
ZOO |= MORE | TABLES
