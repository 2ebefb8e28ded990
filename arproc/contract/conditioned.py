"""A law after a prefix: what follows, with its own likelihood and draws; and wrapping states."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Annotated, Any

import torch
from torch.distributions import Distribution

from arproc.contract.checked import Array, sentences
from arproc.contract.law import ChainLaw
from arproc.contract.machine import Machine
from arproc.contract.sequences import Sequences
from arproc.contract.state import State
from arproc.contract.storable import storable
from arproc.data.form import Layout
from arproc.errors import DataError, UnsupportedError
from arproc.spaces import Space, check_values

__all__ = ["ConditionedLaw", "InnerState"]


class InnerState(State):
    """A state that carries another law's state: the base of wrappers.

    Args:
        inner: the wrapped law's state.
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

    def _foresee(self, x: torch.Tensor) -> Distribution:
        return self.inner.foresee(x)

    def _append(self, x: torch.Tensor) -> State:
        return self._like(self.inner.append(x))

    def _extend(self, x: torch.Tensor, lengths: torch.Tensor | None) -> tuple[Distribution, State]:
        columns, inner = self.inner.extend(x, lengths)
        return columns, self._like(inner)

    def _select(self, rows: torch.Tensor) -> State:
        return self._like(self.inner.select(rows))

    def _truncate(self, lengths: torch.Tensor) -> State:
        return self._like(self.inner.truncate(self.inner.lengths - self.lengths + lengths))

    def _join(self, states: Sequence[Any]) -> State:
        return self._like(self.inner.join(*(state.inner for state in states[1:])))


class _ConditionedState(InnerState):
    def advance(self, uniforms: torch.Tensor) -> tuple[torch.Tensor, State]:
        x, inner = self.inner.advance(uniforms)
        return x, self._carry(self._like(inner), self.history.extend(x), self.context)

    def finish(self, uniforms: torch.Tensor) -> torch.Tensor:
        return self.inner.finish(uniforms)

    @property
    def walks(self) -> bool:
        return self.inner.walks

    def advance_until(
        self, uniforms: torch.Tensor, enough: Callable[[torch.Tensor], bool]
    ) -> tuple[torch.Tensor, State]:
        x, inner = self.inner.advance_until(uniforms, enough)
        return x, self._carry(self._like(inner), self.history.extend(x), self.context)


class _Later:
    """A machine after a prefix [T]."""

    def __init__(self, inner: Machine, prefix: torch.Tensor) -> None:
        self.inner, self.prefix = inner, prefix
        settled = inner.settled
        self.settled = None if settled is None else max(0, settled - len(prefix))

    def start(self) -> torch.Tensor:
        states = self.inner.start()
        for step, x in enumerate(self.prefix):
            states = self.inner.follow(states, x[None], step)
        return states

    def scores(self, states: torch.Tensor, step: int) -> torch.Tensor:
        return self.inner.scores(states, step + len(self.prefix))

    def follow(self, states: torch.Tensor, x: torch.Tensor, step: int) -> torch.Tensor:
        return self.inner.follow(states, x, step + len(self.prefix))


@storable
@dataclass(frozen=True, eq=False, repr=False)
class ConditionedLaw(ChainLaw):
    """p(what follows | prefix), as a law of its own.

    Attributes:
        law: the law that is conditioned.
        prefix: the first elements [T, *event].
        given: what the whole sequence is conditioned on, [1, c] or [1, T, c], or None.
    """

    law: ChainLaw
    prefix: torch.Tensor
    given: Annotated[torch.Tensor | None, Array("...", kind="real")] = None

    def problems(self) -> Iterator[str]:
        law, known = self.law, self.prefix
        shape, length = law.space.event_shape, law.space.length
        yield from sentences(
            (known.ndim != 1 + len(shape) or tuple(known.shape[1:]) != shape, "prefix has shape "
             f"{list(known.shape)}; expected elements of shape {list(shape)}"),
            (len(known) < law.n_given or (length is not None and len(known) > length),
             f"prefix has {len(known)} elements"),
        )  # fmt: skip
        layout = law.layout
        place = None if layout is None or layout.order is None else torch.tensor(layout.order)
        place = None if place is None else place[: len(known)]
        check_values(known, law.space, "prefix", law.takes_missing, place)
        yield from self._context_problems()

    def _context_problems(self) -> Iterator[str]:
        form, given = self.law.context, self.given
        shape = () if given is None else tuple(given.shape)
        axes = 0 if form is None else 2 if form.kind == "static" else 3
        size = None if form is None else form.classes or form.size
        if self.law.clocked and shape:  # its last column is t; alone, of a law without a context
            axes, size = axes or 2, (size or 0) + 1 if form is None or size is not None else None
        sizes = (None, shape[-1]) if shape else ()
        wrong = len(shape) != axes or (axes > 0 and (shape[0] != 1 or size not in sizes))
        yield from sentences(
            (wrong, f"given has shape {list(shape)}, and is no context of the law")
        )

    @classmethod
    def after_prefix(
        cls, law: ChainLaw, known: Sequences, context: torch.Tensor | None
    ) -> ConditionedLaw:
        """The law after one sequence, or the error that a wrong one deserves."""
        if len(known) != 1:
            raise DataError(f"condition takes one prefix; got {len(known)} sequences.")
        if int(known.lengths[0]) < law.n_given:
            raise DataError(
                f"the prefix has {int(known.lengths[0])} elements; this law needs its "
                f"first {law.n_given} given values."
            )
        return cls(law, known.row(0).clone(), context)  # of its own, whatever becomes of the array

    @cached_property
    def space(self) -> Space:  # type: ignore[override]
        layout = self.law.layout
        order = None if layout is None else layout.order
        return self.law.space.rest(len(self.prefix), order)

    @property
    def layout(self) -> Layout | None:
        return super().layout if len(self.prefix) else self.law.layout

    @property
    def takes_any_order(self) -> bool:  # type: ignore[override]
        return self.law.takes_any_order and not len(self.prefix)

    @property
    def orders_agree(self) -> bool:  # type: ignore[override]
        return self.law.orders_agree

    def in_order(self, ordering: str | Sequence[int]) -> ChainLaw:
        if len(self.prefix):
            raise UnsupportedError(
                "in_order is of whole examples; this process is of what follows a prefix. Ask the "
                "process itself, and give the prefix as known values."
            )
        return replace(self, law=self.law.in_order(ordering))

    @property
    def takes_missing(self) -> bool:  # type: ignore[override]
        return self.law.takes_missing

    @property
    def longest_gap(self) -> int | None:  # type: ignore[override]
        return self.law.longest_gap

    @property
    def carries_parameter_uncertainty(self) -> bool:  # type: ignore[override]
        return self.law.carries_parameter_uncertainty

    @property
    def foresight(self) -> int:
        return self.law.foresight

    @property
    def device(self) -> torch.device:
        return self.law.device

    def machine(self) -> Machine | None:
        inner = None if self.given is not None else self.law.machine()
        return None if inner is None else _Later(inner, self.prefix)

    def start(self, n: int, context: torch.Tensor | None) -> State:
        known, law = self.prefix[None], self.law
        state = law.fresh(1, self.given)
        if known.shape[1]:
            state = state.extend(known.to(law.device))[1]
        return _ConditionedState(state.select(torch.zeros(n, dtype=torch.int64)))

    def predictive(self, state: State, horizon: int) -> Distribution | None:
        assert isinstance(state, InnerState)
        return self.law.predictive(state.inner, horizon)

    def joint(self, state: State, horizon: int) -> Distribution | None:
        assert isinstance(state, InnerState)
        return self.law.joint(state.inner, horizon)
