"""A back-off model as flat arrays, and what one asks it: terms, rows, draws."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from arproc.ngram.counts import Alphabet, Counts

__all__ = ["Trie"]


@dataclass(frozen=True, eq=False)
class Trie:
    """All n-grams with log-probability and back-off weight, in breadth-first order.

    A node is an n-gram, and as a *state* it is the longest suffix of the history that is an
    n-gram of order below N. One symbol further, the state's children are searched; where the
    symbol is not among them, the state's back-off weight is paid and the search goes on at
    `link`, as in the automaton of Aho and Corasick (1975). So a symbol costs about two searches,
    whatever the order.

    Attributes:
        alphabet: the symbols' numbers.
        levels: int64 [N + 2]; the k-grams are the nodes levels[k] to levels[k + 1].
        symbol: int32 [n], the last symbol of each n-gram.
        link: int32 [n], its longest proper suffix that is an n-gram here.
        first_child: int32 [contexts + 1], where the continuations of each n-gram begin.
        log_prob: float64 [n], natural logarithm of p(last symbol | symbols before).
        back_off: float64 [contexts], log-weight of the shorter context; without interpolation the
            log-probability of a symbol that did not follow.
        interpolated: whether an unseen continuation is looked up in the shorter context; if not,
            `back_off` is final, and a context that is not here has the uniform distribution.
    """

    alphabet: Alphabet
    levels: np.ndarray
    symbol: np.ndarray
    link: np.ndarray
    first_child: np.ndarray
    log_prob: np.ndarray
    back_off: np.ndarray
    interpolated: bool = True

    @classmethod
    def of(cls, counts: Counts, p: np.ndarray, weight: np.ndarray, interpolated: bool) -> Trie:
        """The trie of some counts with probabilities p [n] and weights [contexts]."""
        with np.errstate(divide="ignore"):
            log_prob, back_off = np.log(p), np.log(weight)
        return cls(
            counts.alphabet, counts.levels, counts.symbol, counts.link, counts.first_child,
            log_prob, back_off, interpolated,
        )  # fmt: skip

    @property
    def order(self) -> int:
        """The highest order N."""
        return len(self.levels) - 2

    @property
    def start(self) -> int:
        """The state before the first symbol: after `<s>`, or the empty context of a stream."""
        if self.order == 1 or not self.alphabet.terminates:
            return 0
        return 1 + self.alphabet.begin

    @property
    def arrays(self) -> tuple:
        """What the kernels take."""
        return (
            self.levels, self.symbol, self.link, self.first_child, self.log_prob, self.back_off,
            self.interpolated, self.alphabet.symbols,
        )  # fmt: skip

    # ---- asking ------------------------------------------------------------------------------

    def terms(self, values: np.ndarray, offsets: np.ndarray, complete: np.ndarray) -> np.ndarray:
        """The chain rule's terms of all sequences, flat, float64 in nats.

        Args:
            values: flat symbols.
            offsets: int64 [N + 1], where each sequence begins.
            complete: bool [N], whether the end of it is a term too (where there is an end).
        """
        from arproc.ngram import query_kernels as kernels

        ends = complete if self.alphabet.terminates else np.zeros(len(complete), bool)
        first_term = offsets[:-1] + np.cumsum(ends) - ends
        out = np.empty(int(offsets[-1] - offsets[0]) + int(ends.sum()))
        end = self.alphabet.end
        kernels.terms(
            self.arrays, values, offsets[:-1], offsets[1:], first_term, ends, self.start, end, out
        )
        return out

    def states(self, ctx: np.ndarray, position: np.ndarray) -> np.ndarray:
        """The states, int64 [M], after windows ctx int64 [M, p] at positions [M]."""
        from arproc.ngram import query_kernels as kernels

        return kernels.states_after(self.arrays, ctx, position, self.start)

    def rows(self, states: np.ndarray, position: np.ndarray) -> np.ndarray:
        """Log-probabilities of every next symbol, float64 [M, V], at states [M].

        Args:
            states: int64 [M].
            position: int64 [M], how many symbols came before.
        """
        from arproc.ngram import query_kernels as kernels

        if not self.interpolated:
            states = states.copy()
            kernels.unseen(self.arrays, states, position + int(self.alphabet.terminates))
        out = np.empty((len(states), self.alphabet.symbols))
        kernels.rows(self.arrays, states, out)
        return out

    def follow(self, states: np.ndarray, x: np.ndarray) -> np.ndarray:
        """The states after each column of symbols x int64 [N, K], int64 [N, K]."""
        from arproc.ngram import query_kernels as kernels

        return kernels.follow(self.arrays, states, x)

    def draw(
        self, states: np.ndarray, position: np.ndarray, uniforms: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Draw K symbols for each of N rows by inverse distribution function.

        Args:
            states: int64 [N].
            position: int64 [N], how many symbols came before.
            uniforms: float64 in (0, 1), [N, K].

        Returns:
            The symbols int64 [N, K] and the states after them int64 [N].
        """
        from arproc.ngram import query_kernels as kernels

        x, final = np.empty(uniforms.shape, np.int64), np.empty(len(states), np.int64)
        known = position + int(self.alphabet.terminates)
        kernels.draw(self.arrays, self._cumulated, states, known, uniforms, x, final)
        return x, final

    @cached_property
    def _cumulated(self) -> np.ndarray:
        from arproc.ngram import query_kernels as kernels

        return kernels.cumulate(self.arrays)
