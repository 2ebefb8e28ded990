"""Broken processes that peek ahead, or whose states are of another law; see `zoo.ZOO`."""

from __future__ import annotations

import torch
from torch import distributions as td

from arproc.contract.state import WindowState
from arproc.distributions import Categorical

from .broken import Broken
from .healthy_states import (
    Attention,
    Recurrent,
    RecurrentState,
    Rolling,
    RollingState,
    Urn,
    UrnState,
)
from .healthy_windows import Chain, Walk

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


STATES: dict[str, Broken] = {
    "off-by-one mask": Broken(OffByOneMask.made, "causality_by_perturbation"),
    "soft mask": Broken(SoftMask.made, "causality_by_perturbation", alone=True),
    "peeking at one position": Broken(Peeking.made, "causality_by_perturbation"),
    "leak below rounding": Broken(FaintLeak.made, "causality_by_gradient", alone=True),
    "wrong at one step": Broken(Misstep.made, "parallel_equals_incremental", alone=True),
    "one element behind": Broken(Lagging.made, "parallel_equals_incremental"),
    "position in a byte": Broken(ShortCounter.made, "any_length", alone=True),
    "stale cache": Broken(StaleCache.made, "start_from_prefix", alone=True),
    "prefixes padded into the cache": Broken(PaddedPrefix.made, "ragged_extend", alone=True),
    "select without order": Broken(SortedSelect.made, "select", alone=True),
    "join in another order": Broken(SwappedJoin.made, "join", alone=True),
    "truncate that forgets": Broken(ForgetfulTruncate.made, "truncate", alone=True),
    "states changed in place": Broken(InPlace.made, "immutability", alone=True),
    "sampler at a wrong temperature": Broken(HotSampler.made, "fast_advance"),
    "sampler right to two digits": Broken(WarmSampler.made, "fast_advance", alone=True),
}
