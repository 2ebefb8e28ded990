"""The law of a transformer, and its states: a window of keys and values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Distribution

from arproc.contract.checked import sentences
from arproc.contract.sequences import Sequences
from arproc.contract.state import State
from arproc.contract.storable import storable
from arproc.contract.track import Track
from arproc.distributions import Categorical, from_uniform
from arproc.models.neural.base import NetworkLaw
from arproc.models.neural.channels import axis_problems
from arproc.models.neural.sequences.cache import SLACK, KeyValueCache
from arproc.models.neural.sequences.few_inputs import Weights
from arproc.models.neural.sequences.fresh_pass import passes, refreshed, room
from arproc.models.neural.sequences.network import SequenceNetwork

__all__ = ["TransformerLaw", "TransformerState"]

#: Inputs that are fed at once: the scores of more would take much room.
_LARGEST = 1024
#: How many inputs go through the network together where whole sequences are scored, and how many
#: scores there are at a time.
_INPUTS, _SCORES = 2**12, 2**24


@storable
@dataclass(frozen=True, eq=False, repr=False)
class TransformerLaw(NetworkLaw):
    """The law of symbols that a decoder gives.

    Attributes:
        network: the decoder.
        channel_axis: which axis of the user's images holds the channels; None where there are no
            channels, or no images.
    """

    network: SequenceNetwork
    channel_axis: int | None = None

    def problems(self) -> Iterator[str]:
        yield from super().problems()
        yield from sentences(*axis_problems(self.channel_axis, self.layout))

    @property
    def reading(self) -> dict[str, int | None]:
        """How texts are read: the symbol before the first, and how far a layer looks.

        `positions` is after how many inputs a fresh pass over the last `carried` of them begins,
        None where positions do not end.
        """
        network = self.network
        return {
            "start": network.start,
            "window": network.window,
            "positions": network.limit,
            "carried": network.carried or None,
        }

    @property
    def foresight(self) -> int:
        return len(self.network.ahead)

    def log_prob_terms(self, sequences: Sequences, context: Tensor | None) -> Tensor:
        """In one pass each, where they are short enough; a few scores are held at a time."""
        limit = min(_LARGEST, self.network.limit or _LARGEST)
        if not len(sequences) or int(sequences.n_terms.max()) > limit:
            return super().log_prob_terms(sequences, context)
        offsets, weights = sequences.term_offsets, self.network.weights()
        places, terms = [], []
        for rows in sequences.batches(_INPUTS):
            x = sequences.padded(rows, ends=True)[0].to(self.device)
            inside = torch.arange(x.shape[1]) < sequences.n_terms[rows][:, None]
            places.append((offsets[rows][:, None] + torch.arange(x.shape[1]))[inside])
            given = None if context is None else context[rows.to(context.device)]
            terms.append(self._terms_of(x, inside.to(self.device), weights, given))
        order = torch.cat(places).argsort()
        return torch.cat(terms)[order.to(self.device)]

    def _terms_of(self, x: Tensor, inside: Tensor, weights: Any, context: Tensor | None) -> Tensor:
        """The terms of symbols x [N, T] that are inside, float64, row by row."""
        network = self.network
        inputs = torch.cat([x.new_full((len(x), 1), network.start), x], dim=1)[:, : x.shape[1]]
        hidden = network.whole(inputs, weights, context)[inside]
        step = max(1, _SCORES // network.symbols)
        parts = [
            Categorical(network.scores(part, weights)).log_prob(chosen)
            for part, chosen in zip(hidden.split(step), x[inside].split(step), strict=True)
        ]
        return torch.cat(parts).double() if parts else hidden.new_zeros(0).double()

    def start(self, n: int, context: Tensor | None) -> State:
        network = self.network
        first = torch.full((n, 1), network.start, device=self.device)
        weights, offset = Weights(network), network.offset(context)
        hidden, cache = KeyValueCache.empty(network, n).feed(first, weights, offset)
        return TransformerState(weights, cache, hidden[:, 0])


class TransformerState(State):
    """The keys and values of the last inputs, and what the last layer says of the next element.

    Args:
        weights: those of the network.
        cache: of the start symbol and the elements so far.
        hidden: what the last layer says [N, width]; None computes it when it is asked for.
        recent: the same at the last elements, [N, K, width], of which the last is `hidden`;
            a state that is taken back by fewer than K elements finds its own there.
    """

    in_vain = 1

    def __init__(
        self,
        weights: Weights,
        cache: KeyValueCache,
        hidden: Tensor | None,
        recent: Tensor | None = None,
    ) -> None:
        self.weights, self.cache, self.hidden, self.recent = weights, cache, hidden, recent

    def _offset(self) -> Tensor | None:
        return self.cache.network.offset(self.context)

    def _conditional(self) -> Distribution:
        return self._scored(self._last())

    def _foresee(self, x: Tensor) -> Distribution:
        return self._scored(self.weights.further(self._last(), x))

    def _scored(self, hidden: Tensor) -> Categorical:
        return Categorical(self.weights.scores(hidden))

    def _last(self) -> Tensor:
        """What the last layer says of the next element, [N, width]."""
        if self.hidden is None:
            # the last input is fed again, over the cache without it
            network = self.cache.network
            last = self.history.tail(1, padding=network.start)
            cache = self.cache.truncate(torch.ones(self.n, dtype=torch.int64))
            assert cache is not None
            before = self._before(self.history, skipped=1)
            self.hidden = cache.feed(last, self.weights, self._offset(), before)[0][:, 0]
        return self.hidden

    def _before(self, history: Track, skipped: int = 0) -> Tensor | None:
        """The symbols that the network looks up with the next input, [N, reach].

        Args:
            history: the elements before it.
            skipped: how many of the last of them come after it.
        """
        network = self.cache.network
        if not network.reach:
            return None
        found = history.tail(network.reach + skipped, padding=network.start)
        return found[:, : network.reach]

    def _append(self, x: Tensor) -> TransformerState:
        cache = self._with_room(self.cache, self.history)
        before = self._before(self.history)
        hidden, cache = cache.feed(x[:, None], self.weights, self._offset(), before)
        return TransformerState(self.weights, cache, hidden[:, 0])

    def _with_room(self, cache: KeyValueCache, history: Track) -> KeyValueCache:
        """The cache after `history`, in which every row has a place for one more input."""
        if room(cache) != 0:
            return cache
        network = cache.network
        recent = history.tail(network.reach + network.carried, padding=network.start)
        return refreshed(cache, recent, self.weights, self._offset())

    def _extend(self, x: Tensor, lengths: Tensor | None) -> tuple[Distribution, TransformerState]:
        hidden, cache, history = [self._last()[:, None]], self.cache, self.history
        offset, ends = self._offset(), cache.network.limit is not None
        before = self._before(history)
        parts: list[tuple[Tensor, KeyValueCache]] = []
        begin = 0
        while begin < x.shape[1]:
            cache = self._with_room(cache, history)
            block = x[:, begin : begin + _chunk(cache)]
            found, cache = cache.feed(block, self.weights, offset, before)
            before = _shifted(before, block)
            history = history.extend(block) if ends else history
            hidden.append(found)
            stop = begin + block.shape[1]
            if lengths is not None:
                parts += cache.rows_that_end(lengths, begin, stop)
            begin = stop
        joined = torch.cat(hidden, dim=1)
        columns, last = self._scored(joined), joined[:, -1]
        recent = joined if joined.shape[1] <= SLACK else joined[:, -SLACK:].clone()
        if lengths is not None:
            order = torch.cat([rows for rows, _ in parts]).argsort()
            cache = KeyValueCache.concatenate([part for _, part in parts]).select(order)
            last = joined[torch.arange(len(x), device=x.device), lengths]
            return columns, TransformerState(self.weights, cache, last)
        return columns, TransformerState(self.weights, cache, last, recent)

    def advance(self, uniforms: Tensor) -> tuple[Tensor, State]:
        conditional, cache, drawn = self.conditional, self.cache, [self.history.slots[:, :0]]
        hidden = self._last()
        offset, history, ends = self._offset(), self.history, cache.network.limit is not None
        before = self._before(history)
        for u in uniforms.unbind(1):
            x = from_uniform(conditional, u)[:, None]
            cache = self._with_room(cache, history)
            found, cache = cache.feed(x, self.weights, offset, before)
            before = _shifted(before, x)
            history = history.extend(x) if ends else history
            hidden = found[:, 0]
            conditional = self._scored(hidden)
            drawn.append(x)
        joined = torch.cat(drawn, dim=1)
        history = history if ends else history.extend(joined)
        state = self._carry(TransformerState(self.weights, cache, hidden), history, self.context)
        state._cached = conditional
        return joined, state

    @property
    def block(self) -> int:  # type: ignore[override]
        """How many elements to draw at once: a row that has ended goes on to the block's end."""
        return 4 if self.law.space.terminates else 32

    def _select(self, rows: Tensor) -> TransformerState:
        hidden = None if self.hidden is None else self.hidden[rows]
        return TransformerState(self.weights, self.cache.select(rows), hidden)

    def _join(self, states: Sequence[Any]) -> State:
        cache = KeyValueCache.concatenate([state.cache for state in states])
        hidden = torch.cat([state._last() for state in states])
        return TransformerState(self.weights, cache, hidden)

    def _truncate(self, lengths: Tensor) -> State:
        cache, network = self.cache.truncate(self.lengths - lengths), self.cache.network
        if cache is not None and network.limit is not None:
            before, after = (
                passes(n + 1, network.limit, network.carried) for n in (lengths, self.lengths)
            )
            cache = cache if bool((before == after).all()) else None
        if cache is None:
            return super()._truncate(lengths)
        return TransformerState(self.weights, cache, self._hidden_before(self.lengths - lengths))

    def _hidden_before(self, drop: Tensor) -> Tensor | None:
        """What the last layer said before the last `drop[i]` elements, where that is kept."""
        if self.recent is None or not len(drop) or int(drop.max()) >= self.recent.shape[1]:
            return None
        rows = torch.arange(self.n, device=drop.device)
        return self.recent[rows, self.recent.shape[1] - 1 - drop]


def _shifted(before: Tensor | None, x: Tensor) -> Tensor | None:
    """The last symbols after more of them x [N, T], as many as before."""
    return None if before is None else torch.cat([before, x], dim=1)[:, x.shape[1] :]


def _chunk(cache: KeyValueCache) -> int:
    """How many inputs are fed at once."""
    most, left = max(min(cache.network.window, _LARGEST), 128), room(cache)
    return most if left is None else min(most, left)
