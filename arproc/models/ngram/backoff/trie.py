"""A back-off model as flat arrays, and what one asks it: terms, rows, draws."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from arproc.compiled.threads import shares, threaded
from arproc.contract.storable import storable
from arproc.errors import FileFormatError
from arproc.models.ngram.counting.counts import Alphabet, Counts

__all__ = ["Trie"]

#: Longer sequences are scored in parts of this many symbols, which threads share.
_PART = 2**16
#: Up to so many n-grams a model is estimated in double precision, beyond in single (as KenLM's
#: always are): half the memory, and a relative error of 6e-8 in each logarithm.
_PRECISE = 2**20


@storable
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
        symbol: [n], the last symbol of each n-gram; uint16 where that is enough, else int32.
        link: int32 [n], its longest proper suffix that is an n-gram here.
        first_child: int32 [contexts + 1], where the continuations of each n-gram begin.
        log_prob: [n], natural logarithm of p(last symbol | symbols before), float64 or float32.
        back_off: [contexts], of the same precision, log-weight of the shorter context; without
            interpolation the log-probability of a symbol that did not follow.
        interpolated: whether an unseen continuation is looked up in the shorter context; if not,
            `back_off` is final, and a context that is not here has the uniform distribution.
        stored_index: what `index` gives, where it came from a file.
    """

    alphabet: Alphabet
    levels: np.ndarray
    symbol: np.ndarray
    link: np.ndarray
    first_child: np.ndarray
    log_prob: np.ndarray
    back_off: np.ndarray
    interpolated: bool = True
    stored_index: np.ndarray | None = None

    @classmethod
    def of(cls, counts: Counts, p: np.ndarray, weight: np.ndarray, interpolated: bool) -> Trie:
        """The trie of some counts with probabilities p [n] and weights [contexts]."""
        kind = np.float64 if len(p) <= _PRECISE else np.float32
        log_prob, back_off = _logs(p, kind), _logs(weight, kind)
        if interpolated:
            back_off[0] = 0.0  # the single symbols' own uniform part is in their probabilities
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

    @cached_property
    def arrays(self) -> tuple:
        """What the kernels take."""
        return (
            self.levels, self.symbol, self.link, self.first_child, self.log_prob, self.back_off,
            self.interpolated, self.alphabet.symbols, self.index,
        )  # fmt: skip

    @cached_property
    def index(self) -> np.ndarray:
        """A hash table of the continuations of nodes that have many, int32 [slots]."""
        if self.stored_index is not None:
            return self.stored_index
        return index_of(self.symbol, self.first_child)

    # ---- asking ------------------------------------------------------------------------------

    def terms(
        self, values: np.ndarray, offsets: np.ndarray, complete: np.ndarray, threads: int = 1
    ) -> np.ndarray:
        """The chain rule's terms of all sequences, flat, float64 in nats.

        Args:
            values: flat symbols.
            offsets: int64 [N + 1], where each sequence begins.
            complete: bool [N], whether the end of it is a term too (where there is an end).
            threads: how many threads share the work.
        """
        ends = complete if self.alphabet.terminates else np.zeros(len(complete), bool)
        first_term = offsets[:-1] - offsets[0] + np.cumsum(ends) - ends
        parts: tuple[np.ndarray, ...] = (
            offsets[:-1],
            offsets[1:],
            first_term,
            ends,
            np.zeros(len(ends), np.int64),
        )
        if len(values) > _PART and int(np.diff(offsets).max()) > _PART:
            parts = _split(*parts)
        out = np.empty(int(offsets[-1] - offsets[0]) + int(ends.sum()))
        if threads == 1 or len(values) <= _PART:
            self._terms(values, out, *parts)
            return out
        weights = np.cumsum(parts[1] - parts[0])
        cuts = np.searchsorted(weights, weights[-1] * np.arange(1, 4 * threads) / (4 * threads))
        shares = zip(*[np.split(part, np.unique(cuts)) for part in parts], strict=True)
        self._terms(values, out, *[part[:0] for part in parts])  # compile before threads race
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(lambda share: self._terms(values, out, *share), shares))
        return out

    def _terms(
        self,
        values: np.ndarray,
        out: np.ndarray,
        begin: np.ndarray,
        end: np.ndarray,
        first_term: np.ndarray,
        complete: np.ndarray,
        position: np.ndarray,
    ) -> None:
        """The terms of parts of sequences that begin at `position` in theirs."""
        from arproc.models.ngram.backoff import query_kernels as kernels

        states = np.full(len(begin), self.start)
        for row in np.flatnonzero(position):
            window = min(self.order - 1, int(position[row]))
            ctx = values[begin[row] - window : begin[row]].astype(np.int64)
            states[row] = self.states(ctx[None], position[row : row + 1])[0]
        if self.interpolated:
            kernels.interleaved_terms(
                self.arrays, values, begin, end, first_term, complete, states,
                self.alphabet.end, out,
            )  # fmt: skip
            return
        known = position + int(self.alphabet.terminates)
        kernels.plain_terms(
            self.arrays, values, begin, end, first_term, complete, states, known,
            self.alphabet.end, out,
        )  # fmt: skip

    def matches(self, values: np.ndarray, offsets: np.ndarray, complete: np.ndarray) -> np.ndarray:
        """The longest n-gram that ends with each term, flat int64; arguments as in `terms`."""
        from arproc.models.ngram.backoff import query_kernels as kernels

        ends = complete if self.alphabet.terminates else np.zeros(len(complete), bool)
        out = np.empty(int(offsets[-1] - offsets[0]) + int(ends.sum()), np.int64)
        kernels.matches(self.arrays, values, offsets, ends, self.start, self.alphabet.end, out)
        return out

    def level(self, nodes: np.ndarray) -> np.ndarray:
        """The order of each n-gram, int64."""
        return np.searchsorted(self.levels, nodes, side="right") - 1

    def states(self, ctx: np.ndarray, position: np.ndarray) -> np.ndarray:
        """The states, int64 [M], after windows ctx int64 [M, p] at positions [M]."""
        from arproc.models.ngram.backoff import query_kernels as kernels

        return kernels.states_after(self.arrays, ctx, position, self.start)

    def rows(self, states: np.ndarray, position: np.ndarray) -> np.ndarray:
        """Log-probabilities of every next symbol, in the model's precision, [M, V], at states [M].

        Args:
            states: int64 [M].
            position: int64 [M], how many symbols came before.
        """
        from arproc.models.ngram.backoff import query_kernels as kernels

        if not self.interpolated:
            states = states.copy()
            kernels.unseen(self.arrays, states, position + int(self.alphabet.terminates))
        out = np.empty((len(states), self.alphabet.symbols), self.log_prob.dtype)
        kernels.rows(self.arrays, states, out)
        return out

    def follow(self, states: np.ndarray, x: np.ndarray) -> np.ndarray:
        """The states after each column of symbols x int64 [N, K], int64 [N, K]."""
        from arproc.models.ngram.backoff import query_kernels as kernels

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
        from arproc.models.ngram.backoff import draw_kernels as kernels

        x, final = np.empty(uniforms.shape, np.int64), np.empty(len(states), np.int64)
        known = position + int(self.alphabet.terminates)
        end, cumulated = self.alphabet.end, self._cumulated
        threaded(
            lambda a, b: kernels.draw(
                self.arrays, cumulated, a, b, states, known, uniforms, end, x, final
            ),
            shares(np.arange(1, len(states) + 1) * uniforms.shape[1], smallest=1 << 10),
        )
        return x, final

    @cached_property
    def _cumulated(self) -> np.ndarray:
        from arproc.models.ngram.backoff import draw_kernels as kernels

        return kernels.cumulate(self.arrays)

    # ---- files -------------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """The arrays and what else there is; `from_dict` is the inverse."""
        return {
            "symbols": self.alphabet.symbols,
            "terminates": self.alphabet.terminates,
            "unknown": self.alphabet.unknown,
            "levels": self.levels,
            "symbol": self.symbol,
            "link": self.link,
            "first_child": self.first_child,
            "log_prob": self.log_prob,
            "back_off": self.back_off,
            "interpolated": self.interpolated,
            "index": self.index,
        }

    @staticmethod
    def from_dict(value: dict[str, Any]) -> Trie:
        """The trie that `to_dict` described, checked: compiled code trusts its numbers.

        Raises:
            FileFormatError: the arrays do not make a trie.
        """
        alphabet = Alphabet(value["symbols"], bool(value["terminates"]), value["unknown"])
        names = ("levels", "symbol", "link", "first_child", "log_prob", "back_off")
        arrays = {name: value[name] for name in names}
        interpolated, index = bool(value["interpolated"]), value["index"]
        trie = Trie(alphabet, **arrays, interpolated=interpolated, stored_index=index)
        problem = _wrong_shape(trie)
        if problem is not None:
            raise FileFormatError(f"The file's n-grams are damaged: {problem}.")
        if len(trie.symbol) <= _PRECISE:
            trie.verify()
        return trie

    def verify(self) -> None:
        """Look at every number: whether it leads to where it may, and is in its order.

        Files of up to a million n-grams are looked through when they are loaded; larger ones are
        opened as they are, since this reads all of them.

        Raises:
            FileFormatError: the arrays do not make a trie.
        """
        problem = _wrong_content(self)
        if problem is not None:
            raise FileFormatError(f"The file's n-grams are damaged: {problem}.")


def index_of(symbol: np.ndarray, first_child: np.ndarray) -> np.ndarray:
    """The hash table of the continuations of nodes that have many, int32 [slots]."""
    from arproc.models.ngram.backoff import query_kernels as kernels

    widths = np.diff(first_child[1:])
    index = np.full(slots_for(int(widths[widths > kernels.WIDE].sum())), -1, np.int32)
    kernels.fill_index(symbol, first_child, index)
    return index


def slots_for(entries: int) -> int:
    """How many slots a hash table of so many entries has."""
    return entries * 17 // 10 + 1


def _logs(x: np.ndarray, kind: type[np.floating]) -> np.ndarray:
    """Logarithms in the given precision; of 0 minus infinity."""
    from arproc.models.ngram.backoff import query_kernels as kernels

    out = np.empty(len(x), kind)
    threaded(lambda a, b: kernels.logarithms(x[a:b], out[a:b]), shares(np.arange(1, len(x) + 1)))
    return out


def _split(
    begin: np.ndarray,
    end: np.ndarray,
    first_term: np.ndarray,
    complete: np.ndarray,
    position: np.ndarray,
) -> tuple[np.ndarray, ...]:
    """Cut sequences into parts of at most `_PART` symbols; see `Trie._terms`."""
    pieces = np.maximum(-((begin - end) // _PART), 1)
    row = np.repeat(np.arange(len(begin)), pieces)
    within = np.arange(len(row)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    cut = within * _PART
    last = within == pieces[row] - 1
    return (
        begin[row] + cut,
        np.minimum(begin[row] + cut + _PART, end[row]),
        first_term[row] + cut,
        complete[row] & last,
        position[row] + cut,
    )


def _wrong_shape(trie: Trie) -> str | None:
    """What is wrong with the kinds and lengths of a trie's arrays, or None."""
    levels, size = trie.levels, trie.alphabet.size
    n, contexts = len(trie.symbol), len(trie.back_off)
    whole, real = ("int32",), ("float32", "float64")
    kinds = (
        ("levels", trie.levels, ("int64",)), ("symbol", trie.symbol, ("uint16", "int32")),
        ("link", trie.link, whole), ("first_child", trie.first_child, whole),
        ("log_prob", trie.log_prob, real), ("back_off", trie.back_off, real),
        ("index", trie.index, whole),
    )  # fmt: skip
    for name, array, dtypes in kinds:
        if not isinstance(array, np.ndarray) or str(array.dtype) not in dtypes or array.ndim != 1:
            return f"{name} is not a flat array of {' or '.join(dtypes)}"
    if trie.log_prob.dtype != trie.back_off.dtype:
        return "log_prob and back_off are of different precision"
    if len(levels) < 3 or tuple(levels[:3]) != (0, 1, 1 + size) or (np.diff(levels) < 0).any():
        return "the orders do not begin where they should"
    if not (len(trie.link) == len(trie.log_prob) == n == levels[-1] and contexts == levels[-2]):
        return "the arrays' lengths do not agree"
    return None


def _wrong_content(trie: Trie) -> str | None:
    """What is wrong with the numbers in a trie's arrays, or None."""
    levels, size, contexts = trie.levels, trie.alphabet.size, len(trie.back_off)
    n = len(trie.symbol)
    child = trie.first_child
    if len(child) != contexts + 1 or child[0] != 1 or child[-1] != n or (np.diff(child) < 0).any():
        return "continuations are out of order"
    if (child[levels[:-1]] != levels[1:]).any():
        return "continuations of one order lie in another"
    below = np.repeat(levels[:-1], np.diff(levels))
    if n > 1 and ((trie.link[1:] < 0).any() or (trie.link[1:] >= below[1:]).any()):
        return "a link does not lead to a shorter n-gram"
    inner = np.ones(n, bool)
    inner[child[:-1][child[:-1] < n]] = False  # where a context's continuations begin
    inner[0] = False
    symbol = trie.symbol
    if (symbol[1:] < 0).any() or (symbol[1:] >= size).any():
        return "a symbol is not in the alphabet"
    if (np.diff(symbol.astype(np.int32))[inner[1:]] <= 0).any() or (
        symbol[1 : 1 + size] != np.arange(size)
    ).any():
        return "continuations are not sorted"
    if np.isnan(trie.log_prob[1:]).any() or np.isnan(trie.back_off).any():
        return "a probability is not a number"
    if not _is_index(trie):
        return "the index of continuations is not that of the n-grams"
    return None


def _is_index(trie: Trie) -> bool:
    """Whether the hash table has the continuations of wide nodes, each where it is found."""
    from arproc.models.ngram.backoff import query_kernels as kernels

    index, widths = trie.index, np.diff(trie.first_child[1:])
    wide = int(widths[widths > kernels.WIDE].sum())
    held = index[index >= 0]
    if len(index) != slots_for(wide) or len(held) != wide or (index < -1).any():
        return False
    return wide == 0 or bool(kernels.all_found(trie.symbol, trie.first_child, index))
