"""Drafts: what guesses the next elements of rows, for a law to verify in one pass."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from arproc.contract.law import ChainLaw
from arproc.contract.randomness import Uniforms
from arproc.contract.state import State
from arproc.distributions import Categorical, as_categorical, from_uniform, index, to
from arproc.errors import UnsupportedError, check_integer
from arproc.sampling.verification import Guess, RowStream

__all__ = [
    "Asked",
    "Draft",
    "FirstOf",
    "Own",
    "ProcessDraft",
    "PromptLookup",
    "RowLookup",
    "before_end",
    "uniforms_of",
]


@dataclass(frozen=True)
class Asked:
    """What a draft is asked for.

    Attributes:
        wanted: how many elements each row may get, int64 [m].
        own: the law's own uniforms of these places, [m, K, *event], K the largest of `wanted`.
        rows: the rows' numbers, [m].
        state: the law's state, after all that is known but what is held.
        held: the last element of each row [m, *event], which the state has not seen; or None.
    """

    wanted: Tensor
    own: Tensor
    rows: Tensor
    state: State
    held: Tensor | None


class Draft(ABC):
    """What guesses the next elements of some rows."""

    #: What its guesses are called in the report.
    name: str

    @abstractmethod
    def propose(self, asked: Asked) -> Guess:
        """Guesses of at most as many elements as are asked for, fewer where there are none."""

    @abstractmethod
    def follow(self, x: Tensor, counts: Tensor) -> None:
        """What has come in truth: the first `counts` [m] of x [m, K, *event]."""

    @abstractmethod
    def select(self, rows: Tensor) -> None:
        """Go on with these rows alone."""


class ProcessDraft(Draft):
    """A process drafts: any over the law's space, the cheaper the better.

    Args:
        state: after what is known, m rows.
        uniforms: its own; None draws from the law's own uniforms, as coupling wants it.
        name: for the report.
    """

    def __init__(self, state: State, uniforms: Uniforms | None, n: int, name: str) -> None:
        self.state, self.name, self.coupled = state, name, uniforms is None
        self.stream = None if uniforms is None else RowStream(uniforms, n)

    def propose(self, asked: Asked) -> Guess:
        law = self.state.law
        u = uniforms_of(asked, self.stream, asked.wanted)
        x, _ = self.state.advance(u.to(law.device))
        counts = before_end(x.cpu(), asked.wanted, law.space.end)
        if self.stream is None:
            return Guess(x.cpu(), counts)
        columns = self.state.extend(x[:, :-1])[0]
        return Guess(
            x.cpu(), counts, columns if law.device.type == "cpu" else to(columns, device="cpu")
        )

    def follow(self, x: Tensor, counts: Tensor) -> None:
        device = self.state.law.device
        self.state = self.state.extend(x.to(device), counts.to(device))[1]

    def select(self, rows: Tensor) -> None:
        self.state = self.state.select(rows)


def uniforms_of(asked: Asked, stream: RowStream | None, counts: Tensor) -> Tensor:
    """What a draft draws by: the law's own uniforms, or the next `counts` [m] of its stream."""
    own = asked.own
    if stream is None:
        return own
    return stream.take(asked.rows, own.shape[1], counts, tuple(own.shape[2:]))


def before_end(x: Tensor, wanted: Tensor, end: int | None) -> Tensor:
    """How many of the guesses x [m, K] are asked for, and not behind an end."""
    if end is None:
        return wanted
    ended = x == end
    first = torch.where(ended.any(1), ended.int().argmax(1) + 1, x.shape[1])
    return torch.minimum(wanted, first)


class PromptLookup:
    """Drafts by looking up how the last symbols went on before (Saxena 2023).

    Where the last symbols of a row, at least `shortest` of them, came earlier in the same row (its
    prefix included) or in a corpus, what followed the longest such place is the guess. It costs
    next to nothing, and pays where texts are copied: summaries, edits, code.

    Args:
        shortest: how many symbols must be the same.
        longest: how many are compared.
        corpus: sequences to look in as well, in any form that the process takes.

    Example:
        >>> import arproc
        >>> model = arproc.PPM(order=3, tokens="char").fit("abcabc" * 5)
        >>> drawn, report = arproc.sampling.speculative(
        ...     model, arproc.sampling.PromptLookup(2), 1, length=12, prefix="abcabc", seed=0)
        >>> report.elements
        12
    """

    def __init__(self, shortest: int = 3, longest: int = 16, corpus: Any = None) -> None:
        self.shortest = check_integer("shortest", shortest, minimum=1)
        self.longest = check_integer("longest", longest, minimum=self.shortest)
        self.corpus = corpus

    def __repr__(self) -> str:
        corpus = "" if self.corpus is None else ", corpus=..."
        return f"PromptLookup({self.shortest}, {self.longest}{corpus})"


class RowLookup(Draft):
    """`PromptLookup` at work: an index of each row, and one of the corpus.

    Args:
        lookup: its settings.
        symbols: how many symbols there are.
        end: the symbol that ends a sequence, or None.
        known: what each row has already.
        corpus: the sequences of the corpus.
        coupled: whether guesses are only compared, so that no distribution is needed.
    """

    name = "look-up"

    def __init__(
        self,
        lookup: PromptLookup,
        law: ChainLaw,
        known: Sequence[np.ndarray],
        corpus: Sequence[np.ndarray],
        coupled: bool,
    ) -> None:
        if law.space.size is None or law.space.event_shape:
            raise UnsupportedError(
                f"PromptLookup drafts for processes of symbols; {law!r} has none."
            )
        self.lookup, self.symbols, self.coupled = lookup, law.space.size, coupled
        self.texts = [_Text(lookup, row) for row in known]
        # symbols that no text has keep sequences of the corpus apart
        joined = [part for row in corpus for part in (row, [-1])]
        self.corpus = _Text(lookup, np.concatenate(joined)) if joined else None

    def propose(self, asked: Asked) -> Guess:
        x = torch.zeros(asked.own.shape[:2], dtype=torch.int64)
        counts = torch.zeros_like(asked.wanted)
        for row, (text, most) in enumerate(zip(self.texts, asked.wanted.tolist(), strict=True)):
            found = self._guess(text, most)
            counts[row] = len(found)
            x[row, : len(found)] = torch.tensor(found, dtype=torch.int64)
        if self.coupled:
            return Guess(x, counts)
        scores = torch.full((*x.shape, self.symbols), -torch.inf, dtype=torch.float64)
        return Guess(x, counts, Categorical(scores.scatter_(2, x[..., None], 0.0)))

    def _guess(self, text: _Text, most: int) -> list[int]:
        if not most:
            return []
        size, place = text.match(text)
        source = text
        if self.corpus is not None:
            other = self.corpus.match(text)
            if other[0] > size:
                (size, place), source = other, self.corpus
        if size < self.lookup.shortest:
            return []
        found = source.symbols[place : place + most]
        return found[: found.index(-1)] if -1 in found else found

    def follow(self, x: Tensor, counts: Tensor) -> None:
        for text, row, count in zip(self.texts, x.tolist(), counts.tolist(), strict=True):
            text.grow(row[:count])

    def select(self, rows: Tensor) -> None:
        self.texts = [self.texts[row] for row in rows.tolist()]


class _Text:
    """Symbols, and where each run of `shortest` of them came."""

    #: How many places, the latest first, are looked at.
    MOST = 8

    def __init__(self, lookup: PromptLookup, symbols: np.ndarray) -> None:
        self.shortest, self.longest = lookup.shortest, lookup.longest
        self.symbols: list[int] = []
        self.places: dict[tuple[int, ...], list[int]] = {}
        self.grow(symbols.tolist())

    def grow(self, symbols: list[int]) -> None:
        """Go on with these symbols. The places of a run are those behind it."""
        self.symbols += symbols
        for stop in range(max(len(self.symbols) - len(symbols), self.shortest), len(self.symbols)):
            run = tuple(self.symbols[stop - self.shortest : stop])
            self.places.setdefault(run, []).append(stop)

    def match(self, text: _Text) -> tuple[int, int]:
        """How many of a text's last symbols came here, and the place behind them."""
        last = text.symbols[-self.longest :]
        if len(last) < self.shortest:
            return 0, 0
        best, place = 0, 0
        for stop in self.places.get(tuple(last[-self.shortest :]), [])[: -self.MOST - 1 : -1]:
            size = self.shortest
            while (
                size < len(last)
                and size < stop
                and self.symbols[stop - size - 1] == last[-size - 1]
            ):
                size += 1
            if size > best:
                best, place = size, stop
            if best == len(last):
                break
        return best, place


class FirstOf(Draft):
    """Several drafts, of which each row takes the first that has something to offer."""

    name = "several"

    def __init__(self, drafts: Sequence[Draft]) -> None:
        self.drafts = drafts

    def propose(self, asked: Asked) -> Guess:
        wanted = asked.wanted
        x = torch.zeros(asked.own.shape[:2], dtype=torch.int64)
        counts, sources = torch.zeros_like(wanted), torch.zeros_like(wanted)
        scores: Tensor | None = None
        for number, draft in enumerate(self.drafts):
            left = torch.where(counts > 0, 0, wanted)
            if not bool(left.any()):
                break
            guess = draft.propose(replace(asked, wanted=left))
            chosen = (counts == 0) & (guess.counts > 0)
            x[chosen], counts[chosen], sources[chosen] = (
                guess.x[chosen],
                guess.counts[chosen],
                number,
            )
            if guess.columns is not None:
                found = torch.log_softmax(as_categorical(guess.columns).scores.double(), -1)
                scores = (
                    found if scores is None else torch.where(chosen[:, None, None], found, scores)
                )
        columns = None if scores is None else Categorical(scores)
        return Guess(x, counts, columns, sources)

    def follow(self, x: Tensor, counts: Tensor) -> None:
        for draft in self.drafts:
            draft.follow(x, counts)

    def select(self, rows: Tensor) -> None:
        for draft in self.drafts:
            draft.select(rows)


class Own(Draft):
    """The law's own guess at itself: what it drew behind the last place where it changed its mind.

    Fixed-point decoding: elements that were drawn from the same uniforms given a past that is not
    yet right are the next guess (Jacobi's iteration); new places at the window's end are drawn
    from the conditional of the last place that there is.

    Args:
        state: the law's, after what is known; its conditional is the first guess.
    """

    name = "itself"

    def __init__(self, state: State) -> None:
        self.last: Any = index(state.conditional, (slice(None), None))
        self.rest: Tensor | None = None
        self.sizes = torch.zeros(state.n, dtype=torch.int64)
        self.dtype = state.law.space.dtype

    def propose(self, asked: Asked) -> Guess:
        own = asked.own
        x = from_uniform(self._wide(own.shape[1]), own).to(self.dtype)
        if self.rest is not None:
            width = min(self.rest.shape[1], x.shape[1])
            kept = torch.arange(width) < self.sizes[:, None]
            kept = kept.reshape(*kept.shape, *[1] * (x.ndim - 2))
            x[:, :width] = torch.where(kept, self.rest[:, :width], x[:, :width])
        return Guess(x, asked.wanted)

    def _wide(self, count: int) -> Any:
        return index(self.last, (slice(None), torch.zeros(count, dtype=torch.int64)))

    def learn(self, columns: Any, drawn: Tensor, kept: Tensor, counts: Tensor) -> None:
        """Take what the law drew: behind what is kept, and one more, lies the next guess.

        Args:
            columns: the law's conditionals, batch [m, K + 1].
            drawn: what it drew from them, [m, K + 1, *event].
            kept: how much of the guess was right, [m].
            counts: how much of it was asked for, [m].
        """
        every = torch.arange(len(kept))
        self.last = index(columns, (every[:, None], counts[:, None]))
        self.sizes = (counts - kept).clamp(min=0)
        place = kept[:, None] + 1 + torch.arange(drawn.shape[1])
        self.rest = drawn[every[:, None], place.clamp(max=drawn.shape[1] - 1)]

    def follow(self, x: Tensor, counts: Tensor) -> None:
        return

    def select(self, rows: Tensor) -> None:
        self.last = index(self.last, (rows,))
        self.sizes = self.sizes[rows]
        self.rest = None if self.rest is None else self.rest[rows]
