"""A process after a prefix: what follows, with its own `log_prob` and `sample`."""

from __future__ import annotations

from typing import Any

import torch
from torch.distributions import Distribution

from arproc.contract.process import Process
from arproc.contract.sequences import Layout, Sequences
from arproc.contract.state import State
from arproc.errors import DataError, UnsupportedError
from arproc.spaces import Space

__all__ = ["ConditionedProcess", "InnerState"]


class InnerState(State):
    """A state that carries another process's state: the base of wrappers.

    Args:
        inner: the wrapped process's state.
    """

    def __init__(self, inner: State) -> None:
        self.inner = inner
        self.block = inner.block

    def _like(self, inner: State) -> InnerState:
        return type(self)(inner)

    @property
    def positions(self) -> torch.Tensor:
        return self.inner.positions

    def _conditional(self) -> Distribution:
        return self.inner.conditional

    def _append(self, x: torch.Tensor) -> State:
        return self._like(self.inner.append(x))

    def _extend(self, x: torch.Tensor, lengths: torch.Tensor | None) -> tuple[Distribution, State]:
        columns, inner = self.inner.extend(x, lengths)
        return columns, self._like(inner)

    def _select(self, rows: torch.Tensor) -> State:
        return self._like(self.inner.select(rows))

    def _truncate(self, lengths: torch.Tensor) -> State:
        return self._like(self.inner.truncate(self.inner.lengths - self.lengths + lengths))


class _ConditionedState(InnerState):
    def advance(self, uniforms: torch.Tensor) -> tuple[torch.Tensor, State]:
        x, inner = self.inner.advance(uniforms)
        return x, self._carry(self._like(inner), self.history.extend(x), self.context)


class ConditionedProcess(Process):
    """p(what follows | prefix), as a process; made by `Process.condition`.

    Args:
        process: the process that is conditioned.
        prefix: one sequence, in any form the process takes.
        context: what the whole sequence is conditioned on, for processes that take it.
    """

    def __init__(self, process: Process, prefix: Any, context: Any = None) -> None:
        self.process = process
        self.prefix = prefix
        self.context = context
        self.form_ = process.__dict__.get("form_", "numpy")

    def check(self) -> None:
        """Raise the error that a wrong prefix deserves."""
        _ = self._prefix

    @property
    def _prefix(self) -> Sequences:
        """The prefix as read; once, for it may be long text."""
        read = self.__dict__.get("_read_prefix")
        if read is None or read[0] is not self.prefix or read[1] is not self.process:
            read = self._read_prefix = (self.prefix, self.process, self._checked_prefix())
        return read[2]

    def _checked_prefix(self) -> Sequences:
        sequences = self.process._known(self.prefix)
        if len(sequences) != 1:
            raise DataError(f"condition takes one prefix; got {len(sequences)} sequences.")
        if int(sequences.lengths[0]) < self.process.n_given:
            raise DataError(
                f"the prefix has {int(sequences.lengths[0])} elements; this law needs its "
                f"first {self.process.n_given} given values."
            )
        return sequences

    @property
    def space(self) -> Space:
        layout = self.process.layout
        order = None if layout is None else layout.order
        return self.process.space.rest(int(self._prefix.lengths[0]), order)

    @property
    def takes_missing(self) -> bool:  # type: ignore[override]
        return self.process.takes_missing

    @property
    def device(self) -> torch.device:
        return self.process.device

    def _layout_of(self, space: Space) -> Layout | None:
        # what is left of a fixed-size law, in the order of generation
        return None if space.length is None else Layout((space.length,))

    def _infer_space(self, data: Any) -> Space:
        raise UnsupportedError(
            "a conditioned process is not fitted; fit the process it is made of."
        )

    def _fit(self, sequences: Sequences, *, validation: Any, context: Any) -> None:
        raise UnsupportedError(
            "a conditioned process is not fitted; fit the process it is made of."
        )

    def _start(self, n: int, context: torch.Tensor | None) -> State:
        state = self.process.start(self._prefix, context=self.context)
        return _ConditionedState(state.select(torch.zeros(n, dtype=torch.int64)))

    def _predictive(self, state: State, horizon: int) -> Distribution | None:
        assert isinstance(state, InnerState)
        return self.process._predictive(state.inner, horizon)

    def _joint(self, state: State, horizon: int) -> Distribution | None:
        assert isinstance(state, InnerState)
        return self.process._joint(state.inner, horizon)
