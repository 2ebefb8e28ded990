"""What the laws of context-tree weighting and PPM share, and the states that learn."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated

import numpy as np
import torch
from torch.distributions import Distribution

from arproc.contract.checked import Number, sentences
from arproc.contract.law import ChainLaw, NoWindowError
from arproc.contract.sequences import Sequences
from arproc.contract.state import State, WindowState
from arproc.models.ngram.adaptive.contexts import Contexts
from arproc.models.ngram.symbols import (
    NO_TABLE,
    NO_UNIFORMS,
    categorical,
    symbol_problems,
    with_ends,
)
from arproc.spaces import Categorical as CategoricalSpace

__all__ = ["ContextLaw", "ContextState"]

_NO_TERMS = np.empty(0)
#: Contexts are no longer than this; each symbol may need as many nodes.
_DEEPEST = 2**16


@dataclass(frozen=True, eq=False, repr=False)
class ContextLaw(ChainLaw):
    """A law that predicts from how often each symbol followed each context.

    Adaptive, it learns from each sequence while predicting it: the likelihood is the sequential
    (prequential) one, p(x_t | the data of `fit`, x_<t). Each sequence begins with what fitting
    left. Frozen, it looks at the last symbols only.

    Attributes:
        space: the symbols.
        contexts: the contexts that fitting saw; never written to.
        depth: the longest context.
        adaptive: whether it goes on learning.
    """

    space: CategoricalSpace
    contexts: Contexts
    depth: Annotated[int, Number(low=0, high=_DEEPEST)]
    adaptive: bool

    def problems(self) -> Iterator[str]:
        yield from sentences(
            *symbol_problems(self.space, self.contexts.symbols),
            (self.contexts.deepest > self.depth, f"depth is {self.depth}, and there are contexts "
             f"of {self.contexts.deepest} symbols"),
        )  # fmt: skip

    @property
    @abstractmethod
    def method(self) -> tuple[int, tuple[float, float, bool]]:
        """The kernels' method and settings."""

    @property
    def n_contexts(self) -> int:
        """How many contexts were seen in fitting."""
        return self.contexts.n_contexts

    @property
    def window_length(self) -> int:
        if self.adaptive:
            name = type(self).__name__.removesuffix("Law")
            raise NoWindowError(
                f"An adaptive {name} learns from all that came before, so it has no finite order; "
                "adaptive=False freezes it after fitting."
            )
        return self.depth

    def window(self, ctx: torch.Tensor, position: torch.Tensor) -> Distribution:
        n, k, p = ctx.shape
        values = np.ascontiguousarray(ctx.reshape(n * k, p).cpu().numpy())
        table = np.empty((n * k, 1, self.contexts.symbols))
        self.run(
            Contexts(self.contexts.symbols), np.full(1, -1), values.reshape(-1),
            np.arange(1, n * k + 1) * p, np.zeros(n * k, np.int64),
            position.reshape(-1).cpu().numpy(), False, table=table,
        )  # fmt: skip
        return categorical(table.reshape(n, k, self.contexts.symbols), ctx.device)

    def start(self, n: int, context: torch.Tensor | None) -> State:
        return ContextState(None, 0) if self.adaptive else WindowState()

    def log_prob_terms(self, sequences: Sequences, context: torch.Tensor | None) -> torch.Tensor:
        terms = self.terms_of(sequences, self.adaptive)
        return torch.from_numpy(terms).to(sequences.values.device)

    def terms_of(self, sequences: Sequences, learn: bool) -> np.ndarray:
        """The chain rule's terms, flat float64, each sequence beginning with what fitting left."""
        values, begin, steps = with_ends(sequences)
        terms = np.empty(len(values))
        for low, high in _batches(steps):
            own = slice(begin[low], begin[high - 1] + steps[high - 1])
            self.run(
                Contexts(self.contexts.symbols), np.full(high - low, -1), values, begin[low:high],
                steps[low:high], np.zeros(high - low, np.int64), learn, terms[own],
            )  # fmt: skip
        return terms

    def taught(self, sequences: Sequences) -> tuple[Contexts, float]:
        """What a law without contexts learns from sequences, one after the other.

        Returns:
            The contexts, and the sequences' log-probability, predicted symbol by symbol, in nats.
        """
        values, begin, steps = with_ends(sequences)
        terms, known = np.empty(len(values)), np.zeros(len(begin), np.int64)
        own = Contexts(self.contexts.symbols)
        self.run(own, np.full(1, -1), values, begin, steps, known, True, terms)
        return own, float(terms.sum())

    def run(
        self,
        own: Contexts,
        roots: np.ndarray,
        values: np.ndarray,
        begin: np.ndarray,
        steps: np.ndarray,
        known: np.ndarray,
        learn: bool,
        terms: np.ndarray = _NO_TERMS,
        table: np.ndarray = NO_TABLE,
        uniforms: np.ndarray = NO_UNIFORMS,
    ) -> None:
        """The compiled loop, given more room as long as it asks for it; see `run` there."""
        from arproc.compiled.interpreted import suited
        from arproc.models.ngram.adaptive import context_kernels

        work = int(steps.sum()) * 16 * (self.depth + 1) + table.size
        kernels = suited(context_kernels, work + uniforms.size * own.symbols)
        method, settings = self.method
        progress = np.zeros(3, np.int64)
        while not kernels.run(
            method, own.arrays, self.contexts.arrays, roots, values, begin, steps, known,
            self.depth, own.symbols, settings, learn, uniforms, terms, table, progress,
        ):  # fmt: skip
            own.enlarge(self.depth)


class _Rows:
    """The own contexts of N rows, and how far they have come."""

    def __init__(self, n: int, symbols: int) -> None:
        self.contexts = Contexts(symbols)
        # one root for all is the kernels' word for a single row, which this may be
        self.roots = np.full(n, -1)
        self.version = 0


class ContextState(State):
    """The state of an adaptive context model: what each row has taught it.

    Newer states go on writing into the same rows; a state that is asked after that makes its own
    again from its history, and so stays the value it was.

    Args:
        rows: what the rows have learnt, or None where it is still to be made.
        version: how far `rows` had come when this state was made.
    """

    law: ContextLaw

    def __init__(self, rows: _Rows | None, version: int) -> None:
        self._rows, self._version = rows, version
        self.block = 64

    def _conditional(self) -> Distribution:
        law = self.law
        rows, tail = self._own(), self._tail(0)
        table = np.empty((self.n, 1, law.contexts.symbols))
        law.run(rows.contexts, rows.roots, *self._places(tail, 0), False, table=table)
        return categorical(table[:, 0], self.history.slots.device)

    def _append(self, x: torch.Tensor) -> State:
        return self._learn(x[:, None])

    def _extend(self, x: torch.Tensor, lengths: torch.Tensor | None) -> tuple[Distribution, State]:
        table = np.empty((self.n, x.shape[1] + 1, self.law.contexts.symbols))
        after = self._learn(x, table)
        state = after if lengths is None else ContextState(None, 0)
        return categorical(table, x.device), state

    def _select(self, rows: torch.Tensor) -> State:
        return ContextState(None, 0)

    def _truncate(self, lengths: torch.Tensor) -> State:
        return ContextState(None, 0)

    def advance(self, uniforms: torch.Tensor) -> tuple[torch.Tensor, State]:
        count = uniforms.shape[1]
        values = self._tail(count)
        rows, places = self._own(), self._places(values, count)
        self.law.run(
            rows.contexts, rows.roots, *places, True,
            uniforms=np.ascontiguousarray(uniforms.cpu().numpy()),
        )  # fmt: skip
        x = torch.from_numpy(values[:, values.shape[1] - count :].copy()).to(uniforms.device)
        return x, self._carry(self._newer(rows), self.history.extend(x), self.context)

    def _learn(self, x: torch.Tensor, table: np.ndarray = NO_TABLE) -> ContextState:
        """The state after x [N, K]; the rows along the way go into `table`."""
        values = self._tail(x.shape[1])
        values[:, values.shape[1] - x.shape[1] :] = x.cpu().numpy()
        rows = self._own()
        self.law.run(
            rows.contexts, rows.roots, *self._places(values, x.shape[1]), True, table=table
        )
        return self._newer(rows)

    def _newer(self, rows: _Rows) -> ContextState:
        rows.version += 1
        return ContextState(rows, rows.version)

    def _own(self) -> _Rows:
        """The rows as they were when this state was made."""
        if self._rows is None or self._rows.version != self._version:
            law = self.law
            self._rows, self._version = _Rows(self.n, law.contexts.symbols), 0
            x, lengths = self.history.padded()
            values = np.ascontiguousarray(x.cpu().numpy())
            begin = np.arange(self.n) * values.shape[1]
            known = np.zeros(self.n, np.int64)
            law.run(
                self._rows.contexts, self._rows.roots, values.reshape(-1), begin,
                lengths.cpu().numpy(), known, True,
            )  # fmt: skip
        return self._rows

    def _tail(self, room: int) -> np.ndarray:
        """The last symbols, and room for some more: int64 [N, depth + room]."""
        depth = self.law.depth
        values = np.zeros((self.n, depth + room), np.int64)
        values[:, :depth] = self.history.tail(depth).cpu().numpy()
        return values

    def _places(
        self, values: np.ndarray, count: int
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """For the kernel: flat values, where each row's next symbol is, steps, symbols before."""
        begin = np.arange(self.n) * values.shape[1] + self.law.depth
        known = np.ascontiguousarray(self.lengths.cpu().numpy())
        return values.reshape(-1), begin, np.full(self.n, count), known


def _batches(steps: np.ndarray, most: int = 2**18) -> list[tuple[int, int]]:
    """Ranges of neighbouring sequences of together about `most` symbols at most."""
    share = (np.cumsum(steps) - 1) // most
    cuts = [0, *(np.flatnonzero(np.diff(share)) + 1).tolist(), len(steps)]
    return [(a, b) for a, b in pairwise(cuts) if a < b]
