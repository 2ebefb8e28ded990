"""The law of an n-gram model of unbounded order, and its state: each row's chain of contexts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated

import numpy as np
import torch
from torch.distributions import Distribution

from arproc.contract.checked import Array, sentences
from arproc.contract.law import ChainLaw
from arproc.contract.sequences import Sequences
from arproc.contract.state import State
from arproc.contract.storable import storable
from arproc.models.ngram.suffix.suffixes import Suffixes
from arproc.models.ngram.symbols import (
    NO_TABLE,
    NO_UNIFORMS,
    categorical,
    symbol_problems,
    with_ends,
)
from arproc.spaces import Categorical as CategoricalSpace

__all__ = ["InfiniGramLaw", "InfiniState"]

#: Longer sequences are scored in parts of this many symbols, which threads share.
_PART = 2**15
_STEP = 200  # about so many microseconds the interpreter takes to follow a symbol
_COLUMNS = 64  # so many symbols are followed before the chains are brought to size


@storable
@dataclass(frozen=True, eq=False, repr=False)
class InfiniGramLaw(ChainLaw):
    """Interpolated Kneser-Ney smoothing of unbounded order; see `InfiniGram`.

    Attributes:
        space: the symbols.
        suffixes: the training text.
        discounts: D_1, D_2, D_3 for each range of lengths, float64 [26, 3].
    """

    space: CategoricalSpace
    suffixes: Suffixes
    discounts: Annotated[np.ndarray, Array(26, 3, above=0, below=3)]

    def problems(self) -> Iterator[str]:
        yield from sentences(
            *symbol_problems(self.space, self.suffixes.symbols),
            (
                bool((self.discounts >= [1, 2, 3]).any()),
                "the discounts are damaged: one D_j is not below j",
            ),
        )

    @cached_property
    def arrays(self) -> tuple:
        """What the kernels take; see `chain_kernels`."""
        from arproc.compiled.interpreted import suited
        from arproc.models.ngram.suffix import chain_kernels

        symbols = self.suffixes.symbols
        kernels = suited(chain_kernels, 20 * symbols)
        single = np.full(symbols, 1.0 / symbols)
        model = (*self.suffixes.arrays, symbols, self.discounts, single)
        kernels.singles(model, single)
        return model

    def start(self, n: int, context: torch.Tensor | None) -> State:
        chain = self.chain_after(np.zeros(0, np.int64))
        return InfiniState(np.repeat(chain[None], n, axis=0), np.full(n, len(chain)))

    def chain_after(self, past: np.ndarray) -> np.ndarray:
        """The contexts after the symbols `past` [T], a chain int64 [D, 3]; see `chain_kernels`.

        Only as much of the end of `past` is read as decides the longest match.
        """
        from arproc.compiled.interpreted import suited
        from arproc.models.ngram.suffix import walk_kernels

        marked, window = self.space.terminates, 64
        kernels = suited(walk_kernels, _STEP * min(len(past), window))
        while True:
            whole = window >= len(past)
            near = np.ascontiguousarray(past[max(len(past) - window, 0) :], dtype=np.int64)
            chain = np.empty((len(near) + 2, 3), np.int64)
            size = kernels.locate(self.arrays, near, marked and whole, chain)
            if whole or chain[size - 1, 2] < window:
                return chain[:size].copy()
            window *= 4

    def log_prob_terms(self, sequences: Sequences, context: torch.Tensor | None) -> torch.Tensor:
        values, begin, steps = with_ends(sequences)
        out = np.empty(len(values))
        parts = _parts(begin, steps)
        threads = torch.get_num_threads()
        if threads == 1 or len(values) <= _PART:
            self._score(values, parts, out)
            return torch.from_numpy(out).to(sequences.values.device)
        cuts = np.searchsorted(parts[0], len(values) * np.arange(1, 4 * threads) / (4 * threads))
        shares = zip(*[np.split(part, np.unique(cuts)) for part in parts], strict=True)
        self._score(values, [part[:0] for part in parts], out)  # compile before threads race
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(lambda share: self._score(values, share, out), shares))
        return torch.from_numpy(out).to(sequences.values.device)

    def _score(self, values: np.ndarray, parts: Sequence[np.ndarray], out: np.ndarray) -> None:
        """The terms of some parts; see `_parts`."""
        from arproc.compiled.interpreted import suited
        from arproc.models.ngram.suffix import walk_kernels

        first, last, begin = parts
        kernels = suited(walk_kernels, _STEP * int((last - first).sum()))
        fresh = self.chain_after(values[:0])
        late = np.flatnonzero(first > begin)
        found = [fresh, *[self.chain_after(values[begin[i] : first[i]]) for i in late.tolist()]]
        chains, sizes = _stacked(found)
        which = np.zeros_like(first)
        which[late] = np.arange(1, len(late) + 1)
        kernels.terms(self.arrays, values, first, last, chains, sizes, which, out)

    def matches(self, sequences: Sequences) -> np.ndarray:
        """Of each term the length, count and followers of `Matches`, and `matched_orders`.

        Returns:
            int64 [total, 4].
        """
        from arproc.compiled.interpreted import suited
        from arproc.models.ngram.suffix import walk_kernels

        values, begin, steps = with_ends(sequences)
        out = np.zeros((len(values), 4), np.int64)
        kernels = suited(walk_kernels, _STEP * len(values))
        kernels.matches(self.arrays, values, begin, begin + steps, self.space.terminates, out)
        return out


class InfiniState(State):
    """For each row the suffixes of its history that occur in the training data, as intervals.

    Args:
        chains: int64 [N, D, 3], see `chain_kernels`; None where they are still to be found from
            the history.
        sizes: int64 [N], how much of each chain counts.
    """

    law: InfiniGramLaw
    block = 16

    def __init__(self, chains: np.ndarray | None, sizes: np.ndarray | None) -> None:
        self._found = None if chains is None or sizes is None else (chains, sizes)

    @property
    def _chains(self) -> tuple[np.ndarray, np.ndarray]:
        if self._found is None:
            x, lengths = self.history.padded()
            rows, ends = x.cpu().numpy(), lengths.tolist()
            self._found = _stacked(
                [self.law.chain_after(rows[i, :end]) for i, end in enumerate(ends)]
            )
        return self._found

    def _conditional(self) -> Distribution:
        table = np.empty((self.n, 1, self.law.suffixes.symbols))
        self._walk(np.empty((self.n, 0), np.int64), table=table)
        return categorical(table[:, 0], self.history.slots.device)

    def _append(self, x: torch.Tensor) -> State:
        return self._walk(np.ascontiguousarray(x.cpu().numpy())[:, None])

    def _extend(self, x: torch.Tensor, lengths: torch.Tensor | None) -> tuple[Distribution, State]:
        table = np.empty((self.n, x.shape[1] + 1, self.law.suffixes.symbols))
        state = self._walk(np.ascontiguousarray(x.cpu().numpy()), table=table)
        return categorical(table, x.device), state if lengths is None else InfiniState(None, None)

    def _select(self, rows: torch.Tensor) -> State:
        chains, sizes = self._chains
        kept = rows.cpu().numpy()
        return InfiniState(chains[kept], sizes[kept])

    def _truncate(self, lengths: torch.Tensor) -> State:
        return InfiniState(None, None)

    def advance(self, uniforms: torch.Tensor) -> tuple[torch.Tensor, State]:
        given = np.ascontiguousarray(uniforms.cpu().numpy())
        drawn = np.empty(given.shape, np.int64)
        state = self._walk(drawn, uniforms=given)
        x = torch.from_numpy(drawn).to(uniforms.device)
        return x, self._carry(state, self.history.extend(x), self.context)

    def _walk(
        self,
        x: np.ndarray,
        uniforms: np.ndarray = NO_UNIFORMS,
        table: np.ndarray = NO_TABLE,
    ) -> InfiniState:
        """The state after the symbols x [N, K]; for the rest see `walk` there."""
        from arproc.compiled.interpreted import suited
        from arproc.models.ngram.suffix import walk_kernels

        (chains, sizes), width = self._chains, x.shape[1]
        sizes = sizes.copy()
        kernels = suited(walk_kernels, _STEP * x.size + 10 * table.size)
        for low in range(0, max(width, 1), _COLUMNS):
            high = min(low + _COLUMNS, width)
            room = int(sizes.max(initial=1))
            grown = np.empty((self.n, room + high - low, 3), np.int64)
            grown[:, :room] = chains[:, :room]
            kernels.walk(self.law.arrays, grown, sizes, x, low, high, uniforms, table)
            chains = grown
        return InfiniState(np.ascontiguousarray(chains[:, : int(sizes.max(initial=1))]), sizes)


def _stacked(chains: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Chains as one array int64 [N, D, 3], and how much of each counts, int64 [N]."""
    sizes = np.array([len(chain) for chain in chains], np.int64)
    out = np.zeros((len(chains), int(sizes.max(initial=1)), 3), np.int64)
    for row, chain in enumerate(chains):
        out[row, : len(chain)] = chain
    return out, sizes


def _parts(begin: np.ndarray, steps: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sequences cut into parts of at most `_PART` symbols.

    Returns:
        Where each part begins, where it ends, and where its sequence begins, int64.
    """
    pieces = np.maximum(-(-steps // _PART), 1)
    within = np.arange(int(pieces.sum())) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    own = np.repeat(begin, pieces)
    first = own + within * _PART
    return first, np.minimum(first + _PART, np.repeat(begin + steps, pieces)), own
