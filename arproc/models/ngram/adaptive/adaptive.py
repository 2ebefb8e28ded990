"""What context-tree weighting and PPM share: fitting, learning on, and the states that learn."""

from __future__ import annotations

from abc import abstractmethod
from itertools import pairwise
from typing import Any, Self

import numpy as np
import torch
from torch.distributions import Distribution

from arproc.contract.sequences import Sequences
from arproc.contract.state import State, WindowState
from arproc.data.tokenizers import space_under
from arproc.errors import UnsupportedError, check_integer
from arproc.models.ngram.adaptive.contexts import Contexts
from arproc.models.ngram.tables import NO_TABLE, NO_UNIFORMS, categorical
from arproc.process import Process
from arproc.process.model import require_fitted
from arproc.spaces import Categorical as CategoricalSpace
from arproc.spaces import Space

__all__ = ["ContextModel", "ContextState", "with_ends"]

_NO_TERMS = np.empty(0)


class ContextModel(Process):
    """A model of symbols that counts what followed each context, and may go on doing so.

    Adaptive, it learns from each sequence while predicting it: the likelihood is the sequential
    (prequential) one, p(x_t | the data of `fit`, x_<t). Each sequence begins with what fitting
    left. Frozen, it looks at the last symbols only.
    """

    contexts_: Contexts
    tokens: Any
    adaptive: bool
    min_count: int
    max_size: int | None
    unknown: bool | None
    end: bool | None

    # ---- what a subclass writes --------------------------------------------------------------

    @property
    @abstractmethod
    def _depth(self) -> int:
        """The longest context."""

    @property
    @abstractmethod
    def _method(self) -> tuple[int, tuple[float, float, bool]]:
        """The kernels' method and settings."""

    @abstractmethod
    def _check_parameters(self) -> None:
        """Raise `ParameterError` where a parameter of the constructor is wrong."""

    # ---- fitting -----------------------------------------------------------------------------

    @classmethod
    def untrained(cls, *arguments: Any, **parameters: Any) -> Self:
        """A model that has seen nothing, of `tokens=` so many symbols, 0, 1, 2 ...

        Its `log_prob` is the universal code length of a sequence, in nats. The arguments are
        those of the constructor.
        """
        model = cls(*arguments, **parameters)
        model._check_parameters()
        symbols = check_integer("tokens", model.tokens, minimum=1)
        ends = bool(model.end)
        model.space_ = CategoricalSpace(symbols + int(ends), None, symbols if ends else None)
        model.form_ = "numpy"
        model.contexts_ = Contexts(symbols + int(ends))
        return model

    def _infer_space(self, data: Any) -> Space:
        self._check_parameters()
        check_integer("min_count", self.min_count, minimum=1)
        return space_under(self, data)

    def _fit(
        self,
        sequences: Sequences,
        *,
        validation: Sequences | None,
        context: torch.Tensor | None,
    ) -> None:
        assert isinstance(sequences.space, CategoricalSpace)
        self.contexts_ = Contexts(sequences.space.size)
        values, begin, steps = with_ends(sequences)
        terms = np.empty(len(values))
        known = np.zeros(len(begin), np.int64)
        empty = Contexts(sequences.space.size)
        self._run(
            self.contexts_, np.full(1, -1), values, begin, steps, known, True, terms, base=empty
        )
        self._learnt(float(terms.sum()))

    def _learnt(self, log_evidence: float) -> None:
        """Told the sequential log-likelihood of the data that were fitted."""

    # ---- the law -----------------------------------------------------------------------------

    @property
    def vocabulary(self) -> Any:
        """The vocabulary, or None where the data are numbers."""
        return self.space.vocabulary  # type: ignore[attr-defined]

    @property
    def n_contexts_(self) -> int:
        """How many contexts were seen in fitting."""
        return self.contexts_.n_contexts

    @property
    def window_length(self) -> int:
        if self.adaptive:
            raise UnsupportedError(
                f"An adaptive {type(self).__name__} learns from all that came before, so it has "
                "no finite order; adaptive=False freezes it after fitting."
            )
        return self._depth

    def window(self, ctx: torch.Tensor, position: torch.Tensor) -> Distribution:
        n, k, p = ctx.shape
        values = np.ascontiguousarray(ctx.reshape(n * k, p).cpu().numpy())
        table = np.empty((n * k, 1, self.contexts_.symbols))
        self._run(
            Contexts(self.contexts_.symbols), np.full(1, -1), values.reshape(-1),
            np.arange(1, n * k + 1) * p, np.zeros(n * k, np.int64),
            position.reshape(-1).cpu().numpy(), False, table=table,
        )  # fmt: skip
        return categorical(table.reshape(n, k, -1), ctx.device)

    def _start(self, n: int, context: torch.Tensor | None) -> State:
        require_fitted(self)
        return ContextState(None, 0) if self.adaptive else WindowState()

    def _log_prob_terms(self, sequences: Sequences, context: torch.Tensor | None) -> torch.Tensor:
        values, begin, steps = with_ends(sequences)
        terms, parts = np.empty(len(values)), _batches(steps)
        for low, high in parts:
            own = slice(begin[low], begin[high - 1] + steps[high - 1])
            self._run(
                Contexts(self.contexts_.symbols), np.full(high - low, -1), values, begin[low:high],
                steps[low:high], np.zeros(high - low, np.int64), self.adaptive, terms[own],
            )  # fmt: skip
        return torch.from_numpy(terms).to(sequences.values.device)

    def _run(
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
        base: Contexts | None = None,
    ) -> None:
        """The compiled loop, given more room as long as it asks for it; see `run` there."""
        from arproc.models.ngram.adaptive import context_kernels as kernels

        base = self.contexts_ if base is None else base
        method, settings = self._method
        progress = np.zeros(3, np.int64)
        while not kernels.run(
            method, own.arrays, base.arrays, roots, values, begin, steps, known, self._depth,
            own.symbols, settings, learn, uniforms, terms, table, progress,
        ):  # fmt: skip
            own.enlarge(self._depth)


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

    process: ContextModel

    def __init__(self, rows: _Rows | None, version: int) -> None:
        self._rows, self._version = rows, version
        self.block = 64

    def _conditional(self) -> Distribution:
        process = self.process
        rows, tail = self._own(), self._tail(0)
        table = np.empty((self.n, 1, process.contexts_.symbols))
        process._run(rows.contexts, rows.roots, *self._places(tail, 0), False, table=table)
        return categorical(table[:, 0], self.history.slots.device)

    def _append(self, x: torch.Tensor) -> State:
        return self._learn(x[:, None])

    def _extend(self, x: torch.Tensor, lengths: torch.Tensor | None) -> tuple[Distribution, State]:
        table = np.empty((self.n, x.shape[1] + 1, self.process.contexts_.symbols))
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
        self.process._run(
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
        self.process._run(
            rows.contexts, rows.roots, *self._places(values, x.shape[1]), True, table=table
        )
        return self._newer(rows)

    def _newer(self, rows: _Rows) -> ContextState:
        rows.version += 1
        return ContextState(rows, rows.version)

    def _own(self) -> _Rows:
        """The rows as they were when this state was made."""
        if self._rows is None or self._rows.version != self._version:
            process = self.process
            self._rows, self._version = _Rows(self.n, process.contexts_.symbols), 0
            x, lengths = self.history.padded()
            values = np.ascontiguousarray(x.cpu().numpy())
            begin = np.arange(self.n) * values.shape[1]
            known = np.zeros(self.n, np.int64)
            process._run(
                self._rows.contexts, self._rows.roots, values.reshape(-1), begin,
                lengths.cpu().numpy(), known, True,
            )  # fmt: skip
        return self._rows

    def _tail(self, room: int) -> np.ndarray:
        """The last symbols, and room for some more: int64 [N, depth + room]."""
        depth = self.process._depth
        values = np.zeros((self.n, depth + room), np.int64)
        values[:, :depth] = self.history.tail(depth).cpu().numpy()
        return values

    def _places(
        self, values: np.ndarray, count: int
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """For the kernel: flat values, where each row's next symbol is, steps, symbols before."""
        begin = np.arange(self.n) * values.shape[1] + self.process._depth
        known = np.ascontiguousarray(self.lengths.cpu().numpy())
        return values.reshape(-1), begin, np.full(self.n, count), known


def with_ends(sequences: Sequences) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The symbols with their ends among them, flat; where each sequence begins; its length."""
    space = sequences.space
    assert isinstance(space, CategoricalSpace)
    values, offsets = sequences.values.cpu().numpy(), sequences.offsets.numpy()
    ends = sequences.complete.numpy() & (space.end is not None)
    lengths = np.diff(offsets)
    steps = lengths + ends
    begin = np.cumsum(steps) - steps
    out = np.full(int(steps.sum()), 0 if space.end is None else space.end, np.int64)
    out[np.arange(len(values)) + np.repeat(begin - offsets[:-1], lengths)] = values
    return out, begin, steps


def _batches(steps: np.ndarray, most: int = 2**18) -> list[tuple[int, int]]:
    """Ranges of neighbouring sequences of together about `most` symbols at most."""
    share = (np.cumsum(steps) - 1) // most
    cuts = [0, *(np.flatnonzero(np.diff(share)) + 1).tolist(), len(steps)]
    return [(a, b) for a, b in pairwise(cuts) if a < b]
