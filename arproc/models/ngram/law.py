"""The law of an n-gram model, and its state: a node of its trie for each row."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch.distributions import Distribution

from arproc.contract.checked import sentences
from arproc.contract.law import ChainLaw
from arproc.contract.machine import Machine, log_probs
from arproc.contract.sequences import Sequences
from arproc.contract.state import State
from arproc.contract.storable import storable
from arproc.data.vocabulary import Vocabulary
from arproc.distributions import Categorical
from arproc.errors import DataError
from arproc.models.ngram.backoff.sums import furthest, told
from arproc.models.ngram.backoff.trie import Trie
from arproc.models.ngram.counting.counts import Alphabet
from arproc.models.ngram.symbols import symbol_problems, symbol_space
from arproc.spaces import Categorical as CategoricalSpace
from arproc.spaces import Space

__all__ = ["NGramLaw", "NGramState", "alphabet_of"]


@storable
@dataclass(frozen=True, eq=False, repr=False)
class NGramLaw(ChainLaw):
    """p(x_t | x_<t) = p(x_t | x_{t-N+1} ... x_{t-1}), as a trie of n-grams tells it.

    Attributes:
        space: the symbols.
        trie: the n-grams with their log-probabilities and back-off weights.
        begins: whether what is scored begins as sequences do, after `<s>`; else with the empty
            context, as something cut out of one.
    """

    space: CategoricalSpace
    trie: Trie
    begins: bool = True

    def problems(self) -> Iterator[str]:
        fits = self.trie.alphabet == alphabet_of(self.space)
        yield from sentences(
            *symbol_problems(self.space, self.trie.alphabet.symbols),
            (not fits, "the n-grams and the space have other ends or another <unk>"),
        )

    def inner_problems(self) -> Iterator[str]:
        """Whether the probabilities after each context add up: else draws are of another law."""
        worst = furthest(self.trie)
        if worst is not None:
            off = told(self.trie, self.space.vocabulary, worst)
            yield f"the n-grams are no distribution: {off}"

    @classmethod
    def over(cls, vocabulary: Vocabulary | None, trie: Trie) -> NGramLaw:
        """The law of a trie over the symbols of a vocabulary."""
        alphabet = trie.alphabet
        end = alphabet.end if alphabet.terminates else None
        return cls(CategoricalSpace(alphabet.symbols, vocabulary, end), trie)

    @cached_property
    def asked(self) -> Trie:
        """The n-grams as sequences of this law begin in them."""
        return self.trie if self.begins else self.trie.midway()

    def midway(self) -> NGramLaw:
        return replace(self, begins=False)

    @property
    def n_ngrams(self) -> list[int]:
        """How many n-grams of each order there are."""
        return np.diff(self.trie.levels)[1:].tolist()

    @property
    def window_length(self) -> int:
        return self.trie.order - 1

    def window(self, ctx: torch.Tensor, position: torch.Tensor) -> Distribution:
        n, k, p = ctx.shape
        flat = position.reshape(-1).cpu().numpy()
        states = self.asked.states(ctx.reshape(n * k, p).cpu().numpy(), flat)
        rows = torch.from_numpy(self.asked.rows(states, flat))
        return Categorical(rows.unflatten(0, (n, k)).to(ctx.device))

    def start(self, n: int, context: torch.Tensor | None) -> State:
        return NGramState(self.asked, np.full(n, self.asked.start))

    def machine(self) -> Machine:
        return _Nodes(self.asked)

    def log_prob_terms(self, sequences: Sequences, context: torch.Tensor | None) -> torch.Tensor:
        terms = self.asked.terms(*_flat(sequences), threads=torch.get_num_threads())
        return torch.from_numpy(terms).to(sequences.values.device)

    @cached_property
    def text_scorer(self) -> Callable[[bytes], float] | None:
        """What scores one text of words in a single compiled call; None where none can."""
        trie, vocabulary = self.asked, self.space.vocabulary
        if not trie.interpolated or vocabulary is None or vocabulary.kind != "word":
            return None
        from arproc.models.ngram.backoff.sentence import text_scorer

        words, missing = vocabulary.word_table
        return text_scorer(trie.arrays, words, missing, trie.start, trie.alphabet.end)

    def matches(self, sequences: Sequences) -> np.ndarray:
        """The longest n-gram that ends with each term, a node, int64, flat."""
        return self.asked.matches(*_flat(sequences))

    def stupid_backoff_terms(self, sequences: Sequences, alpha: float) -> torch.Tensor:
        """The terms of `NGram.stupid_backoff_score`, where the trie holds relative frequencies."""
        trie, found = self.asked, self.matches(sequences)
        first = sequences.n_terms.cumsum(0) - sequences.n_terms
        position = np.arange(len(found)) - np.repeat(first.numpy(), sequences.n_terms.numpy())
        possible = np.minimum(position + trie.before, trie.order - 1) + 1
        back = possible - trie.level(found)
        return torch.from_numpy(trie.log_prob[found] + back * math.log(alpha))


class NGramState(State):
    """One node a row: the longest suffix of its history that is an n-gram below the order.

    Args:
        trie: the n-grams.
        nodes: int64 [N], or None where they are still to be found from the history.
    """

    def __init__(self, trie: Trie, nodes: np.ndarray | None) -> None:
        self.trie = trie
        self.block = 16 if trie.alphabet.terminates else 256
        self._found = nodes

    @property
    def nodes(self) -> np.ndarray:
        """The rows' nodes, int64 [N]."""
        if self._found is None:
            ctx = self.history.tail(self.trie.order - 1).cpu().numpy()
            self._found = self.trie.states(ctx, self.lengths.cpu().numpy())
        return self._found

    def _conditional(self) -> Distribution:
        return self._rows(self.nodes, self.lengths)

    def _append(self, x: torch.Tensor) -> State:
        after = self.trie.follow(self.nodes, x.cpu().numpy()[:, None])
        return NGramState(self.trie, after[:, 0])

    def _extend(self, x: torch.Tensor, lengths: torch.Tensor | None) -> tuple[Distribution, State]:
        after = self.trie.follow(self.nodes, np.ascontiguousarray(x.cpu().numpy()))
        nodes = np.concatenate([self.nodes[:, None], after], axis=1)
        position = self.lengths[:, None] + torch.arange(x.shape[1] + 1, device=x.device)
        last = np.full(len(nodes), x.shape[1]) if lengths is None else lengths.cpu().numpy()
        final = nodes[np.arange(len(nodes)), last]
        return self._rows(nodes, position), NGramState(self.trie, final)

    def _select(self, rows: torch.Tensor) -> State:
        return NGramState(self.trie, self.nodes[rows.cpu().numpy()])

    def _truncate(self, lengths: torch.Tensor) -> State:
        return NGramState(self.trie, None)

    def _join(self, states: Sequence[Any]) -> State:
        return NGramState(self.trie, np.concatenate([state.nodes for state in states]))

    def advance(self, uniforms: torch.Tensor) -> tuple[torch.Tensor, State]:
        x, nodes = self.trie.draw(
            self.nodes, self.lengths.cpu().numpy(), np.ascontiguousarray(uniforms.cpu().numpy())
        )
        drawn = torch.from_numpy(x).to(uniforms.device)
        state = NGramState(self.trie, nodes)
        return drawn, self._carry(state, self.history.extend(drawn), self.context)

    def _rows(self, nodes: np.ndarray, position: torch.Tensor) -> Distribution:
        rows = self.trie.rows(nodes.reshape(-1), position.reshape(-1).cpu().numpy())
        scores = torch.from_numpy(rows).view(*nodes.shape, rows.shape[-1])
        return Categorical(scores.to(position.device))


class _Nodes:
    """The states of the n-grams as a machine: one node each."""

    def __init__(self, trie: Trie) -> None:
        # how many symbols came may matter as long as they do not fill the context
        self.trie, self.settled = trie, 0 if trie.interpolated else trie.order

    def start(self) -> torch.Tensor:
        return torch.tensor([[int(self.trie.start)]])

    def scores(self, states: torch.Tensor, step: int) -> torch.Tensor:
        rows = self.trie.rows(states[:, 0].numpy(), np.full(len(states), step))
        return log_probs(Categorical(torch.from_numpy(rows)))

    def follow(self, states: torch.Tensor, x: torch.Tensor, step: int) -> torch.Tensor:
        return torch.from_numpy(self.trie.follow(states[:, 0].numpy(), x.numpy()[:, None]))


def alphabet_of(space: Space) -> Alphabet:
    """Which numbers stand for what in the tables of a model over this space."""
    symbols = symbol_space(space)
    if symbols.end is not None and symbols.end != symbols.size - 1:
        raise DataError(
            f"Expected the end as the last of {symbols.size} symbols; got {symbols.end}."
        )
    unknown = None if symbols.vocabulary is None else symbols.vocabulary.unknown
    return Alphabet(symbols.size, symbols.end is not None, unknown)


def _flat(sequences: Sequences) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The symbols, where each sequence begins, and whether its end was seen; as `Trie.terms`."""
    return (
        sequences.values.cpu().numpy(),
        sequences.offsets.numpy(),
        sequences.complete.numpy(),
    )
