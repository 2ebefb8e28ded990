"""Broken processes whose mistake shows at some sizes, in forks of a state, or in a second call."""

from __future__ import annotations

import torch
from torch import distributions as td

from arproc.contract.state import State, WindowState
from arproc.distributions import Categorical
from arproc.distributions.shape import map_parameters

from .healthy_states import Quantised, Rolling, RollingState, Urn, UrnState
from .healthy_windows import Chain, Notes, Regressed, Walk

# ---- sizes --------------------------------------------------------------------------------------


class CutTerms(Urn):
    """The fast likelihood is wrong after 100 elements."""

    def _log_prob_terms(self, sequences, context):
        parts = super()._log_prob_terms(sequences, context).split(sequences.lengths.tolist())
        return torch.cat([torch.cat([part[:100], part[100:] + 1e-3]) for part in parts])


class CutSum(Urn):
    """The fast sum leaves out what comes after 1000 terms."""

    def _log_prob(self, sequences, context):
        terms = self._log_prob_terms(sequences, context)
        return torch.stack([part[:1000].sum() for part in terms.split(sequences.lengths.tolist())])


class WideSum(Urn):
    """The fast sum adds the terms of batches of more than 64 rows up in float32."""

    def _log_prob(self, sequences, context):
        total = super()._log_prob(sequences, context)
        return total.float().double() if len(sequences) > 64 else total


class EightRows(Quantised):
    """The fast likelihood works in blocks of eight rows, whose last one keeps the row before."""

    def _log_prob_terms(self, sequences, context):
        each = [self.residuals(sequences.row(i)) for i in range(len(sequences))]
        for i in range(8, len(each), 9):
            each[i] = each[i] * 1.01
        return -0.5 * torch.cat(each) ** 2 - 0.5 * torch.log(torch.tensor(2 * torch.pi).double())


class BlockOfRows(Urn):
    """Batches of a whole number of blocks of 64 rows are scored by a kernel that is wrong."""

    def _log_prob_terms(self, sequences, context):
        terms = super()._log_prob_terms(sequences, context)
        return terms * 1.001 if len(sequences) % 64 == 0 else terms


class EqualRows(Urn):
    """Rows of one length, if they are many, are scored by a kernel that is wrong."""

    def _log_prob_terms(self, sequences, context):
        terms, lengths = super()._log_prob_terms(sequences, context), sequences.lengths
        many = len(lengths) > 16 and bool((lengths == lengths[0]).all())
        return terms + 1e-3 if many else terms


class LateStepState(UrnState):
    """Appending forgets to count from element 2000 on."""

    def _append(self, x):
        late = (self.lengths >= 2000)[:, None]
        return self._new(self.counts + torch.nn.functional.one_hot(x, 3) * ~late)


class LateStep(Urn):
    """The incremental side is wrong after 2000 elements."""

    def _start(self, n, context):
        return LateStepState(super()._start(n, context).counts)


class Lifted(Categorical):
    """Probabilities that add up to 1.05 where the scores are lifted, which else means nothing."""

    def log_prob(self, value):
        return super().log_prob(value) + 0.05 * (self.scores[..., 0] > 1000)


@map_parameters.register
def _(first: Lifted, rest, change):
    return Lifted(change([part.scores for part in (first, *rest)]))


class LateMass(Chain):
    """The parallel and the incremental side agree, but after 2050 elements nothing adds up."""

    def window(self, ctx, position):
        lift = 2000.0 * (position > 2050)
        return Lifted(super().window(ctx, position).scores + lift[..., None])


class WideState(WindowState):
    """Rows beyond 64 are the row before."""

    def _extend(self, x, lengths):
        columns, state = super()._extend(x, lengths)
        if len(x) <= 64:
            return columns, state
        scores = columns.scores.clone()
        scores[64] = scores[63]
        return Categorical(scores), state


class RowsBeyond(Chain):
    """A buffer of 64 rows in `extend`, while the likelihood has a way of its own."""

    def _start(self, n, context):
        return WideState()

    def _log_prob_terms(self, sequences, context):
        terms = []
        for i in range(len(sequences)):
            x = torch.nn.functional.pad(sequences.row(i), (2, 0), value=3)
            scores = self.scores_[x[:-2], x[1:-1]].log_softmax(-1)
            terms.append(scores.gather(1, x[2:, None])[:, 0])
        return torch.cat(terms)


class WideAppendState(UrnState):
    """Appending to more than 32 rows counts twice in the last one."""

    def _append(self, x):
        step = torch.nn.functional.one_hot(x, 3)
        if len(x) > 32:
            step[-1] *= 2
        return self._new(self.counts + step)


class WideAppend(Urn):
    """The incremental side is wrong in wide batches."""

    def _start(self, n, context):
        return WideAppendState(super()._start(n, context).counts)


class LateDrawsState(UrnState):
    """`advance` stops to count after 40 draws."""

    def advance(self, uniforms):
        first, state = super().advance(uniforms[:, :40])
        if uniforms.shape[1] <= 40:
            return first, state
        edges, u = state.counts.cumsum(1), uniforms[:, 40:]
        x = (u[..., None] * edges[:, -1:, None] >= edges[:, None]).sum(-1)
        return torch.cat([first, x], dim=1), state.extend(x)[1]


class LateDraws(Urn):
    """A fast sampler that is right for forty elements."""

    def _start(self, n, context):
        return LateDrawsState(super()._start(n, context).counts)


class WideDrawsState(UrnState):
    """`advance` draws the rows beyond 64 from the first row's uniforms."""

    def advance(self, uniforms):
        u = uniforms.clone()
        u[64:] = u[:1]
        return super().advance(u)


class WideDraws(Urn):
    """A fast sampler of 64 rows."""

    def _start(self, n, context):
        return WideDrawsState(super()._start(n, context).counts)


class ShortSample(Chain):
    """`sample` is cut at 64 elements."""

    def sample(self, n=1, length=None, *args, **kwargs):
        return super().sample(n, None if length is None else min(length, 64), *args, **kwargs)


class RepeatedSample(Walk):
    """`sample` has a buffer of 64 elements, which it goes round."""

    def sample(self, n=1, length=None, prefix=None, policy=None, stop=None, seed=None, **kwargs):
        scored = kwargs.pop("return_log_prob", False)
        draws = super().sample(
            n, length, prefix, policy, stop, seed, return_log_prob=True, **kwargs
        )
        if length is not None and length > 64:
            x = draws.x.copy()
            for begin in range(64, length, 64):
                x[:, begin : begin + 64] = x[:, : min(64, length - begin)]
            draws = draws._replace(x=x)
        return draws if scored else draws.x


# ---- forks --------------------------------------------------------------------------------------


class SharedCacheState(State):
    """The elements so far in one buffer for all; a cut state writes over the longer one's."""

    def __init__(self, buffer, counts):
        self.buffer, self.counts = buffer, counts

    def _conditional(self):
        slots = torch.arange(self.buffer.shape[1])
        inside = (slots < self.counts[:, None])[..., None]
        ages = 0.9 ** (self.counts[:, None] - 1 - slots).clamp(min=0).double()
        held = torch.nn.functional.one_hot(self.buffer, 3) * inside * ages[..., None]
        return Categorical(self.process.scale_ * held.sum(1))

    def _append(self, x):
        buffer = self._room(int(self.counts.max()) + 1 if len(x) else 1)
        buffer[torch.arange(len(x)), self.counts] = x
        return type(self)(buffer, self.counts + 1)

    def _room(self, count):
        # taken by the first that needs it, which is right for those that only append
        width = self.buffer.shape[1]
        used = int(self.lengths.max()) if self.n else 0
        fresh = width < count or self._written(used)
        if not fresh:
            return self.buffer
        grown = torch.zeros(len(self.buffer), max(2 * count, 16), dtype=torch.int64)
        grown[:, :used] = self.buffer[:, :used]
        grown[:, used:] = -1
        return grown.where(grown >= 0, 0) if width < count else grown.clamp(min=0)

    def _written(self, used):
        """Whether another state has gone on from here; a cut state is not asked."""
        return getattr(self, "went_on", False) or setattr(self, "went_on", True) is not None

    def _select(self, rows):
        return type(self)(self.buffer[rows], self.counts[rows])

    def _truncate(self, lengths):
        return type(self)(self.buffer, lengths)


class SharedCache(Urn):
    """Truncated states go on in the buffer of the longer one."""

    def _learn(self, g):
        self.scale_ = 1.5

    def _start(self, n, context):
        empty = torch.zeros(n, 16, dtype=torch.int64)
        return SharedCacheState(empty, torch.zeros(n, dtype=torch.int64))

    def _log_prob_terms(self, sequences, context):
        return self._derived_log_prob_terms(sequences, context)


class RaggedInPlaceState(RollingState):
    """Extending by unequal lengths writes into the cache of the state before."""

    def _extend(self, x, lengths):
        columns, state = super()._extend(x, lengths)
        if lengths is not None:
            self.cache.copy_(state.cache)
        return columns, state


class RaggedInPlace(Rolling):
    """`extend(x, lengths)` in place."""

    def _start(self, n, context):
        fresh = super()._start(n, context)
        return RaggedInPlaceState(fresh.cache, fresh.counts)


class AdvanceInPlaceState(UrnState):
    """`advance` counts in the state that it starts from."""

    def advance(self, uniforms):
        x, state = super().advance(uniforms)
        self.counts = state.counts
        return x, state


class AdvanceInPlace(Urn):
    """A sampler that moves its own state."""

    def _start(self, n, context):
        return AdvanceInPlaceState(super()._start(n, context).counts)


class AliasedSelectState(RollingState):
    """Rows selected once are a view; appending to them writes into it."""

    owned = True

    def _select(self, rows):
        whole = len(rows) == len(self.cache) and bool((rows == torch.arange(len(rows))).all())
        state = self._new(self.cache if whole else self.cache[rows], self.counts[rows])
        state.owned = not whole
        state.aliased = whole
        return state

    aliased = False

    def _append(self, x):
        if not self.aliased:
            return super()._append(x)
        slot = (self.counts % self.cache.shape[1])[:, None]
        return self._new(self.cache.scatter_(1, slot, x[:, None]), self.counts + 1)


class AliasedSelect(Rolling):
    """Selecting all rows gives a view, in which appending writes."""

    def _start(self, n, context):
        fresh = super()._start(n, context)
        return AliasedSelectState(fresh.cache, fresh.counts)


class WrittenInputState(RollingState):
    """Extending sorts out unknown symbols in the user's own array."""

    def _extend(self, x, lengths):
        columns, state = super()._extend(x, lengths)
        x.clamp_(max=1)
        return columns, state


class WrittenInput(Rolling):
    """An operation in place on what was given."""

    def _start(self, n, context):
        fresh = super()._start(n, context)
        return WrittenInputState(fresh.cache, fresh.counts)


class SharedStart(Urn):
    """All calls of `start` with as many rows get one state, in which appending counts."""

    def _start(self, n, context):
        kept = vars(self).setdefault("kept", {})
        if n not in kept:
            kept[n] = InPlaceCounts(super()._start(n, context).counts.clone())
        return kept[n]


class InPlaceCounts(UrnState):
    """Counts in place."""

    def _append(self, x):
        self.counts += torch.nn.functional.one_hot(x, 3)
        return self._new(self.counts.clone())


# ---- calls --------------------------------------------------------------------------------------


class Dropout(Chain):
    """Dropout that is left on: a share of the scores is moved at random."""

    def window(self, ctx, position):
        scores = super().window(ctx, position).scores
        return Categorical(scores + 1e-4 * torch.rand(scores.shape))


class KeptContext(Regressed):
    """The context of the first call with so many rows is kept."""

    def window(self, ctx, position, context):
        kept = vars(self).setdefault("kept", {})
        context = kept.setdefault(tuple(ctx.shape), context)
        return super().window(ctx, position, context)


class FirstContext(Regressed):
    """The first row's context of the very first call is all rows', ever after."""

    def window(self, ctx, position, context):
        first = vars(self).setdefault("first", context[:1].clone())
        return super().window(ctx, position, first.expand_as(context))


class KeptByShape(Urn):
    """The fast likelihood keeps its terms by the shape of what came."""

    def _log_prob_terms(self, sequences, context):
        kept = vars(self).setdefault("kept", {})
        key = tuple(sequences.lengths.tolist())
        if key not in kept or len(key) < 3:
            kept[key] = super()._log_prob_terms(sequences, context)
        return kept[key]


class KeptByAddress(Urn):
    """The fast likelihood keeps its terms by the address of what came."""

    def _log_prob_terms(self, sequences, context):
        kept = vars(self).setdefault("kept", {})
        key = sequences.values.data_ptr()
        if key not in kept:
            # held, so that the address is not another's meanwhile
            kept[key] = sequences.values, super()._log_prob_terms(sequences, context)
        return kept[key][1]


class LosesGradients(Chain):
    """A call leaves torch's gradient mode as it needs it."""

    def window(self, ctx, position):
        torch.set_grad_enabled(True)
        return super().window(ctx, position)


class RunningMean(Notes):
    """A running average of what was asked for moves the conditionals."""

    def window(self, ctx, position):
        mean = vars(self).setdefault("mean", torch.zeros(3))
        mean.mul_(0.99).add_(0.01 * ctx.reshape(-1, 3).sum(0) / max(ctx.numel(), 1))
        parts = td.Bernoulli(
            logits=super().window(ctx, position).base_dist.logits + 0.1 * mean,
            validate_args=False,
        )
        return td.Independent(parts, 1, validate_args=False)
