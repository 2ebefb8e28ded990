"""Small healthy processes that look at all that came before, and policies; see `healthy`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import torch
from torch import distributions as td

from arproc.contract.law import ChainLaw
from arproc.contract.state import State
from arproc.contract.storable import storable
from arproc.data.form import Layout
from arproc.data.tables import Column, Table
from arproc.data.vocabulary import Vocabulary
from arproc.distributions import Categorical, MaybeMissing, Varied
from arproc.process import Process
from arproc.sampling import Policy
from arproc.spaces import Binary, Count, Real
from arproc.spaces import Categorical as Symbols

from .healthy_windows import Toy, normal

# ---- all conditionals at once: `_conditionals` --------------------------------------------------


class Attention(Toy):
    """One head of causal attention in float32, nothing cached."""

    SPACE = Symbols(symbols=4)

    def _learn(self, g):
        self.embed_, self.query_, self.key_, self.out_ = (
            normal(g, a, b, dtype=torch.float32) for a, b in ((5, 6), (6, 6), (6, 6), (6, 4))
        )

    def _conditionals(self, x):
        h = self.embed_[torch.nn.functional.pad(x, (1, 0), value=4)]  # the start is symbol 4
        t = torch.arange(h.shape[1])
        scores = (h @ self.query_) @ (h @ self.key_).mT / 40 - 0.05 * (t[:, None] - t).abs()
        return Categorical(torch.softmax(self._masked(scores, t), -1) @ h @ self.out_)

    def _masked(self, scores, t):
        return scores.masked_fill(t > t[:, None], -torch.inf)


class Dots(Toy):
    """A picture of 2 x 3 dots in an order of its own: zeros and ones of fixed number."""

    SPACE = Binary(length=6)
    EXAMPLE = np.zeros((2, 2, 3))

    def _learn(self, g):
        self.weights_ = normal(g, 7, 6).tril(-1)
        self.bias_ = normal(g, 7)

    def _layout_of(self, space):
        return Layout((2, 3), order=(5, 3, 1, 0, 2, 4))

    def _conditionals(self, x):
        n = x.shape[1]
        logits = self.bias_[: n + 1] + x.double() @ self.weights_[: n + 1, :n].T
        return td.Bernoulli(logits=logits, validate_args=False)


@storable
@dataclass(frozen=True, eq=False, repr=False)
class TwinsLaw(ChainLaw):
    """A mixture of two rows of independent coins, as a law: its joint is the same in any order.

    Attributes:
        logits: of each site in the order of generation, [2, sites].
        weights: logarithms of the weights, [2].
        order: the sites in the order of generation.
    """

    logits: Any
    weights: Any
    order: tuple[int, ...]

    @property
    def space(self):
        return Binary(length=len(self.order))

    @property
    def layout(self):
        return Layout((len(self.order),), order=self.order)

    def conditionals(self, x):
        signs = 2 * x.double()[:, :, None] - 1
        each = torch.nn.functional.logsigmoid(signs * self.logits.T[: x.shape[1]])
        before = torch.nn.functional.pad(each.cumsum(1), (0, 0, 1, 0)) + self.weights
        sites = self.logits.T[: x.shape[1] + 1]
        chance = (torch.softmax(before[:, : len(sites)], -1) * torch.sigmoid(sites)).sum(-1)
        whole = x.shape[1] + 1 - len(sites)  # after the last site nothing comes
        chance = torch.nn.functional.pad(chance, (0, whole), value=0.5)
        return td.Bernoulli(probs=chance, validate_args=False)

    def relative(self, ordering):
        """The places in this law's order of the sites in another."""
        return [self.order.index(site) for site in ordering]

    def in_order(self, ordering):
        logits = self.logits[:, self.relative(ordering)]
        return replace(self, logits=logits, order=tuple(ordering))


class Twins:
    """Makes processes of such laws."""

    @staticmethod
    def law_of(seed=0):
        g = torch.Generator().manual_seed(seed)
        weights = torch.tensor([0.3, 0.7], dtype=torch.float64).log()
        return TwinsLaw(2 * normal(g, 2, 5), weights, (3, 0, 4, 1, 2))

    @classmethod
    def made(cls):
        return Process.of(cls.law_of())


class Shuffled(Toy):
    """Texts of four characters, which come in an order of their own."""

    SPACE = Symbols(symbols=3, vocabulary=Vocabulary(("a", "b", "c"), "char"), length=4)
    EXAMPLE: ClassVar[Any] = ["abca", "bbac"]
    window_length = 1

    def _learn(self, g):
        self.scores_ = normal(g, 4, 3, 3)

    def _layout_of(self, space):
        return Layout((4,), order=(2, 0, 3, 1))

    def window(self, ctx, position):
        return Categorical(self.scores_[position.clamp(max=3), ctx[..., 0]])


class Labelled(Dots):
    """The picture, given a label."""

    CONTEXT = np.zeros((2, 1))
    context_kind = "static"

    def _conditionals(self, x, context):
        plain = super()._conditionals(x)
        return td.Bernoulli(logits=plain.logits + context, validate_args=False)


# ---- a state of its own: `_start` ---------------------------------------------------------------


class Urn(Toy):
    """Polya's urn: a symbol drawn makes itself likelier; the state is the counts."""

    SPACE = Symbols(symbols=3)

    def _learn(self, g):
        self.prior_ = torch.tensor([1.0, 2.0, 0.5], dtype=torch.float64)

    def _start(self, n, context):
        return UrnState(self.prior_.expand(n, 3))

    def _log_prob_terms(self, sequences, context):
        terms = []
        for i in range(len(sequences)):
            seen = torch.nn.functional.one_hot(sequences.row(i), 3).double()
            before = self.prior_ + seen.cumsum(0) - seen
            terms.append(((before * seen).sum(-1) / before.sum(-1)).log())
        return torch.cat(terms)


class UrnState(State):
    """The counts [N, 3], the prior's included."""

    block = 8

    def __init__(self, counts):
        self.counts = counts

    def _new(self, counts):
        return type(self)(counts)

    def _conditional(self):
        return Categorical(self.counts.log())

    def _append(self, x):
        return self._new(self.counts + torch.nn.functional.one_hot(x, 3))

    def _extend(self, x, lengths):
        steps = torch.nn.functional.one_hot(x, 3).double()
        zero = torch.zeros(len(x), 1, 3, dtype=torch.float64)
        along = self.counts[:, None] + torch.cat([zero, steps], 1).cumsum(1)
        last = torch.full((len(x),), x.shape[1]) if lengths is None else lengths
        return Categorical(along.log()), self._new(along[torch.arange(len(x)), last])

    def _select(self, rows):
        return self._new(self.counts[rows])

    def _truncate(self, lengths):
        kept, lengths = self.history.truncate(lengths).padded()
        inside = torch.arange(kept.shape[1]) < lengths[:, None]
        seen = torch.nn.functional.one_hot(kept.where(inside, 0), 3) * inside[..., None]
        return self._new(self.process.prior_ + seen.sum(1))

    def advance(self, uniforms):
        """Draws without building a distribution at each step."""
        counts, drawn = self.counts.clone(), []
        for k in range(uniforms.shape[1]):
            edges = counts.cumsum(1)
            u = uniforms[:, k, None] * edges[:, -1:]
            x = (u >= edges).sum(1)
            counts[torch.arange(len(x)), x] += 1
            drawn.append(x)
        x = torch.stack(drawn, dim=1)
        return x, self._carry(self._new(counts), self.history.extend(x), self.context)


class Recurrent(Toy):
    """A recurrent network in float64 whose sequences end; the state is the hidden vector."""

    SPACE = Symbols(symbols=4, end_symbol=0)

    def _infer_space(self, data):
        return self.SPACE

    EXAMPLE = np.ones(4, dtype=int)

    def _learn(self, g):
        self.embed_, self.mix_, self.out_ = normal(g, 4, 5), 0.5 * normal(g, 5, 5), normal(g, 5, 4)

    def _start(self, n, context):
        return RecurrentState(torch.zeros(n, 5, dtype=torch.float64))

    def step(self, hidden, x):
        return torch.tanh(hidden @ self.mix_ + self.embed_[x])


class RecurrentState(State):
    """The hidden vector [N, 5]; extending, selecting and truncating are the derived ones."""

    def __init__(self, hidden):
        self.hidden = hidden

    def _conditional(self):
        return Categorical(self.hidden @ self.process.out_)

    def _append(self, x):
        return type(self)(self.process.step(self.hidden, x))


class Foreseeing(Recurrent):
    """The network, whose states guess at two elements after the next by what a step weighs."""

    foresight = 2

    def _start(self, n, context):
        return ForeseeingState(torch.zeros(n, 5, dtype=torch.float64))


class ForeseeingState(RecurrentState):
    """The embeddings are added up, without the steps between."""

    def _foresee(self, x):
        return Categorical((self.hidden + self.process.embed_[x].sum(1)) @ self.process.out_)


class Steered(Recurrent):
    """The network, pushed at every step by a context of that step."""

    CONTEXT = np.zeros((1, 5, 2))
    context_kind = "steps"

    def _learn(self, g):
        super()._learn(g)
        self.push_ = normal(g, 2, 4)

    def _start(self, n, context):
        return SteeredState(torch.zeros(n, 5, dtype=torch.float64))


class SteeredState(RecurrentState):
    """The hidden vector; the context is the base's to carry."""

    def _conditional(self):
        step = self.lengths.clamp(max=self.context.shape[1] - 1)
        now = self.context[torch.arange(self.n), step]
        return Categorical(self.hidden @ self.process.out_ + now @ self.process.push_)


class Filtered(Toy):
    """Reals given the first, with a state of its own: exponential smoothing."""

    SPACE = Real()
    EXAMPLE = np.linspace(-1, 1, 8)
    n_given = 1

    def _learn(self, g):
        self.gain_ = 0.4

    def _start(self, n, context):
        return FilteredState(torch.zeros(n, dtype=torch.float64))


class FilteredState(State):
    """The smoothed level [N]."""

    def __init__(self, level):
        self.level = level

    def _conditional(self):
        return td.Normal(self.level, torch.ones_like(self.level), validate_args=False)

    def _append(self, x):
        return FilteredState(self.level + self.process.gain_ * (x - self.level))


class Rolling(Toy):
    """A window of eight kept in a cache that rolls: slot t mod 8 of each row holds element t."""

    SPACE = Symbols(symbols=3)
    WIDTH = 8

    def _learn(self, g):
        self.scores_ = normal(g, self.WIDTH, 4, 3)

    def _start(self, n, context):
        return RollingState(torch.full((n, self.WIDTH), 3), torch.zeros(n, dtype=torch.int64))


class RollingState(State):
    """The last elements [N, 8] in rolling order, 3 where there is none, and the counts [N]."""

    def __init__(self, cache, counts):
        self.cache, self.counts = cache, counts

    def _new(self, cache, counts):
        return type(self)(cache, counts)

    def _score(self, recent):
        """Scores from the elements by age, [..., 8] (age 0 first)."""
        ages = torch.arange(recent.shape[-1])
        return Categorical(self.process.scores_[ages, recent].sum(-2))

    def _conditional(self):
        width = self.cache.shape[1]
        slots = (self.counts[:, None] - 1 - torch.arange(width)) % width
        return self._score(self.cache.gather(1, slots))

    def _append(self, x):
        slot = (self.counts % self.cache.shape[1])[:, None]
        return self._new(self.cache.scatter(1, slot, x[:, None]), self.counts + 1)

    def _ordered(self):
        """The last elements, oldest first."""
        width = self.cache.shape[1]
        slots = (self.counts[:, None] + torch.arange(width)) % width
        return self.cache.gather(1, slots)

    def _extend(self, x, lengths):
        width = self.cache.shape[1]
        joined = torch.cat([self._ordered(), x], dim=1)
        columns = self._score(joined.unfold(1, width, 1).flip(-1))
        taken = torch.full((len(x),), x.shape[1]) if lengths is None else lengths
        return columns, self._filled(joined, taken + width, self.counts + taken)

    def _filled(self, joined, stop, counts):
        """The state whose last elements are joined[:, stop - 8 : stop]."""
        width = self.cache.shape[1]
        recent = joined.gather(1, (stop - width)[:, None] + torch.arange(width))
        slots = (counts[:, None] + torch.arange(width)) % width
        return self._new(torch.empty_like(recent).scatter(1, slots, recent), counts)

    def _select(self, rows):
        return self._new(self.cache[rows], self.counts[rows])

    def _truncate(self, lengths):
        kept = self.history.truncate(lengths).tail(self.cache.shape[1], padding=3)
        stop = torch.full((len(kept),), kept.shape[1])
        return self._filled(kept, stop, lengths)


class Quantised(Toy):
    """Real elements with a hand-written path for tensors: `_log_prob` by a quadratic form."""

    SPACE = Real()
    EXAMPLE = np.linspace(-1, 1, 8)
    window_length = 1

    def _learn(self, g):
        self.phi_ = 0.6

    def window(self, ctx, position):
        mean = self.phi_ * ctx[..., 0]
        return td.Normal(mean, torch.ones_like(mean), validate_args=False)

    def residuals(self, row):
        return torch.cat([row[:1], row[1:] - self.phi_ * row[:-1]])

    def _log_prob_terms(self, sequences, context):
        each = [self.residuals(sequences.row(i)) for i in range(len(sequences))]
        return -0.5 * torch.cat(each) ** 2 - 0.5 * np.log(2 * np.pi)

    def _log_prob(self, sequences, context):
        each = [self.residuals(sequences.row(i)) for i in range(len(sequences))]
        return torch.stack([-0.5 * (e @ e) - 0.5 * len(e) * np.log(2 * np.pi) for e in each])


# ---- policies and wrappers ----------------------------------------------------------------------


class NoRepeat(Policy):
    """Symbols lose score for each time they came before: a policy with a state, the counts."""

    stateful = True

    def __init__(self, penalty: float = 0.5) -> None:
        self.penalty = penalty

    def apply(self, conditional, state=None):
        return Categorical(conditional.logits - self.penalty * state)

    def start(self, n, process):
        return torch.zeros(n, process.space.size, dtype=torch.float64)

    def append(self, state, x, active=None):
        step = torch.nn.functional.one_hot(x, state.shape[1]).double()
        return state + (step if active is None else step * active[:, None])

    def select(self, state, rows):
        return state[rows]


class Rows(Toy):
    """Rows of a table: a number, a label and a count, the first two of which may be missing."""

    SPACE = Table(
        (
            Column("height", Real(), missing=True),
            Column("town", Symbols(3), missing=True, labels=("a", "b", "c"), dtype="object"),
            Column("visits", Count(), dtype="int64"),
        )
    )
    EXAMPLE = pd.DataFrame(
        {
            "height": [1.0, np.nan, 0.3, -1.0],
            "town": ["a", "b", None, "c"],
            "visits": [0, 2, 5, 1],
        }
    )
    window_length = 2

    def _learn(self, g):
        self.weights_, self.scores_, self.gone_ = normal(g, 3, 2), normal(g, 2, 3), normal(g, 2)

    def window(self, ctx, position):
        site = position.clamp(max=2)
        seen = torch.tanh(torch.nan_to_num(ctx.double(), nan=-0.7))
        h = (seen * self.weights_[site]).sum(-1)
        height = td.Normal(h, torch.ones_like(h), validate_args=False)
        town = Categorical(h[..., None] * self.scores_[0] + self.scores_[1])
        parts = [
            MaybeMissing(height, self.gone_[0] + 0.5 * h),
            MaybeMissing(town, self.gone_[1] - h),
            td.Poisson(torch.exp(1 + 0.3 * h), validate_args=False),
        ]
        return Varied(parts, site.expand(h.shape))


class Averaged(Toy):
    """Reals about the mean of all before them, of which the state holds the sum."""

    SPACE = Real()
    EXAMPLE = np.linspace(-1, 1, 8)

    def _start(self, n, context):
        return AveragedState(torch.zeros(n, dtype=torch.float64))


class AveragedState(State):
    """The sum [N] of the elements; the base counts them."""

    def __init__(self, total):
        self.total = total

    def _conditional(self):
        mean = self.total / (1 + self.lengths)
        return td.Normal(mean, torch.ones_like(mean), validate_args=False)

    def _append(self, x):
        return AveragedState(self.total + x)
