"""A back-off model as flat arrays, and what one asks it: terms, rows, draws."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any

import numpy as np

from arproc.compiled.threads import shares, threaded
from arproc.contract.checked import Array, check_fields, sentences
from arproc.contract.storable import storable
from arproc.errors import FileFormatError, ParameterError
from arproc.models.ngram.backoff.index import index_of
from arproc.models.ngram.counting.counts import Alphabet, Counts

__all__ = ["Trie"]

#: Longer sequences are scored in parts of this many symbols, which threads share.
_PART = 2**16
#: Up to so many n-grams a model is estimated in double precision, beyond in single (as KenLM's
#: always are): half the memory, and a relative error of 6e-8 in each logarithm.
_PRECISE = 2**20
#: So many n-grams of a file are looked at at a time.
_PAGE = 2**20
#: About how many microseconds the interpreter takes to follow a symbol.
_STEP = 10
#: No n-gram is longer.
_MOST_ORDERS = 2**12


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
    levels: Annotated[np.ndarray, Array("orders", kind="int64", low=0)]
    symbol: Annotated[np.ndarray, Array("n", kind="uint16 int32")]
    link: Annotated[np.ndarray, Array("n", kind="int32")]
    first_child: Annotated[np.ndarray, Array("contexts + 1", kind="int32")]
    log_prob: Annotated[np.ndarray, Array("n", kind="float32 float64", nan=True, infinite=True)]
    back_off: Annotated[
        np.ndarray, Array("contexts", kind="float32 float64", nan=True, infinite=True)
    ]
    interpolated: bool = True
    stored_index: Annotated[np.ndarray | None, Array("slots", kind="int32")] = None

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

    @property
    def before(self) -> int:
        """How many symbols are known before the first: `<s>`, where there is one."""
        return int(self.alphabet.terminates)

    def midway(self) -> Trie:
        """The same n-grams, asked about what begins anywhere: nothing is known before it."""
        other = object.__new__(_Midway)
        vars(other).update(vars(self))
        return other

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
        from arproc.compiled.interpreted import suited
        from arproc.models.ngram.backoff import query_kernels

        kernels = suited(query_kernels, _STEP * int((end - begin + 1).sum()))
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
        known = position + self.before
        kernels.plain_terms(
            self.arrays, values, begin, end, first_term, complete, states, known,
            self.alphabet.end, out,
        )  # fmt: skip

    def matches(self, values: np.ndarray, offsets: np.ndarray, complete: np.ndarray) -> np.ndarray:
        """The longest n-gram that ends with each term, flat int64; arguments as in `terms`."""
        from arproc.compiled.interpreted import suited
        from arproc.models.ngram.backoff import query_kernels

        kernels = suited(query_kernels, _STEP * int(offsets[-1] - offsets[0] + len(complete)))
        ends = complete if self.alphabet.terminates else np.zeros(len(complete), bool)
        out = np.empty(int(offsets[-1] - offsets[0]) + int(ends.sum()), np.int64)
        kernels.matches(self.arrays, values, offsets, ends, self.start, self.alphabet.end, out)
        return out

    def level(self, nodes: np.ndarray) -> np.ndarray:
        """The order of each n-gram, int64."""
        return np.searchsorted(self.levels, nodes, side="right") - 1

    def states(self, ctx: np.ndarray, position: np.ndarray) -> np.ndarray:
        """The states, int64 [M], after windows ctx int64 [M, p] at positions [M]."""
        from arproc.compiled.interpreted import suited
        from arproc.models.ngram.backoff import query_kernels

        kernels = suited(query_kernels, _STEP * ctx.size)
        return kernels.states_after(
            self.arrays, np.ascontiguousarray(ctx), np.ascontiguousarray(position), self.start
        )

    def rows(self, states: np.ndarray, position: np.ndarray) -> np.ndarray:
        """Log-probabilities of every next symbol, in the model's precision, [M, V], at states [M].

        Args:
            states: int64 [M].
            position: int64 [M], how many symbols came before.
        """
        from arproc.compiled.interpreted import suited
        from arproc.models.ngram.backoff import query_kernels

        kernels = suited(query_kernels, 2 * len(states) * self.alphabet.symbols)
        if not self.interpolated:
            states = states.copy()
            kernels.unseen(self.arrays, states, position + self.before)
        out = np.empty((len(states), self.alphabet.symbols), self.log_prob.dtype)
        kernels.rows(self.arrays, np.ascontiguousarray(states), out)
        return out

    def follow(self, states: np.ndarray, x: np.ndarray) -> np.ndarray:
        """The states after each column of symbols x int64 [N, K], int64 [N, K]."""
        from arproc.compiled.interpreted import suited
        from arproc.models.ngram.backoff import query_kernels

        kernels = suited(query_kernels, _STEP * x.size)
        return kernels.follow(self.arrays, np.ascontiguousarray(states), np.ascontiguousarray(x))

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
        from arproc.compiled.interpreted import suited
        from arproc.models.ngram.backoff import draw_kernels

        kernels = suited(draw_kernels, 64 * uniforms.size * self.order)
        x, final = np.empty(uniforms.shape, np.int64), np.empty(len(states), np.int64)
        known = position + self.before
        end, cumulated = self.alphabet.end, self.cumulated
        threaded(
            lambda a, b: kernels.draw(
                self.arrays, cumulated, a, b, states, known, uniforms, end, x, final
            ),
            shares(np.arange(1, len(states) + 1) * uniforms.shape[1], smallest=1 << 10),
        )
        return x, final

    @cached_property
    def cumulated(self) -> np.ndarray:
        """What `draw_kernels.cumulate` gives."""
        from arproc.compiled.interpreted import suited
        from arproc.models.ngram.backoff import draw_kernels

        kernels = suited(draw_kernels, 8 * len(self.symbol))
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
        """The trie that `to_dict` described."""
        names = ("levels", "symbol", "link", "first_child", "log_prob", "back_off")
        rest = set(value) - {*names, "symbols", "terminates", "unknown", "interpolated", "index"}
        if rest:
            raise FileFormatError(f"n-grams have no {min(rest)}.")
        alphabet = Alphabet(value["symbols"], value["terminates"], value["unknown"])
        arrays = {name: value[name] for name in names}
        interpolated, index = value["interpolated"], value["index"]
        return Trie(alphabet, **arrays, interpolated=interpolated, stored_index=index)

    def problems(self) -> Iterator[str]:
        """What does not fit together, from the sizes alone; see `arproc.contract.checked`."""
        check_fields(self.alphabet)
        levels, symbol, size = self.levels, self.symbol, self.alphabet.size
        begins = len(levels) >= 3 and tuple(levels[:3]) == (0, 1, 1 + size)
        yield from sentences(
            (not begins or bool((np.diff(levels) < 0).any()), "the orders do not begin where they "
             "should"),
            (len(levels) > _MOST_ORDERS + 2, f"there are {len(levels) - 2} orders"),
        )  # fmt: skip
        yield from sentences(
            (len(symbol) != levels[-1] or len(self.back_off) != levels[-2], "the orders are of "
             f"{levels[-1]} n-grams and {levels[-2]} contexts, the arrays of {len(symbol)} and "
             f"{len(self.back_off)}"),
            (self.log_prob.dtype != self.back_off.dtype, "log_prob and back_off are of different "
             "precision"),
            (size > np.iinfo(symbol.dtype).max, f"{symbol.dtype} does not hold {size} symbols"),
        )  # fmt: skip

    def inner_problems(self) -> Iterator[str]:
        """What is wrong with the numbers: where they lead to, in what order they are.

        Page by page, so that n-grams on disk need not fit into memory.
        """
        from arproc.models.ngram.backoff.verification import wrong_index, wrong_links, wrong_page

        size = self.alphabet.size
        first = self.first_child
        if first[0] != 1 or first[-1] != len(self.symbol):
            yield "continuations are out of order"
        if (first[self.levels[:-1]] != self.levels[1:]).any():
            yield "continuations of one order lie in another"
        for begin in range(0, len(self.symbol), _PAGE):
            yield from wrong_page(self.arrays, size, begin, min(begin + _PAGE, len(self.symbol)))
        yield from wrong_index(self.arrays)
        yield from wrong_links(self.arrays)  # last: it follows what was found to be in order

    def verify(self) -> None:
        """Look at every number, as loading does where it is not told to trust the file.

        Raises:
            FileFormatError: the arrays do not make a trie.
        """
        try:
            check_fields(self, deep=True)
        except ParameterError as error:
            raise FileFormatError(f"The n-grams are damaged: {error}") from None


def _logs(x: np.ndarray, kind: type[np.floating]) -> np.ndarray:
    """Logarithms in the given precision; of 0 minus infinity."""
    from arproc.compiled.interpreted import suited
    from arproc.models.ngram.backoff import query_kernels

    kernels = suited(query_kernels, len(x))
    out = np.empty(len(x), kind)
    threaded(lambda a, b: kernels.logarithms(x[a:b], out[a:b]), shares(np.arange(1, len(x) + 1)))
    return out


class _Midway(Trie):
    """A trie whose sequences begin with the empty context, whether `<s>` is known or not."""

    start = 0
    before = 0


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
