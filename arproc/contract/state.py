"""States: what a process knows after some elements, as immutable values.

`append`, `extend`, `select` and `truncate` return a new state and leave the old one valid. The
base class keeps the history, so a model's own state writes only what it caches: the least is
`_conditional` and `_append`, and everything else is derived from these.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from copy import copy
from typing import Any, Protocol

import torch
from torch.distributions import Distribution

from arproc.contract.context import ContextForm
from arproc.contract.track import Track
from arproc.contract.walk import walk
from arproc.data.arrays import as_given, plain_tensor
from arproc.distributions import concatenate, index
from arproc.errors import ArprocError, DataError, UnsupportedError
from arproc.spaces import Space

__all__ = ["ReplayState", "State", "WindowState"]


class Stepwise(Protocol):
    """What a state needs of its law; `arproc.contract.law.ChainLaw` is one."""

    @property
    def space(self) -> Space: ...
    @property
    def n_given(self) -> int: ...
    @property
    def padding(self) -> float: ...
    @property
    def window_length(self) -> int: ...
    @property
    def device(self) -> torch.device: ...
    @property
    def context(self) -> ContextForm | None: ...

    @property
    def window(self) -> Callable[..., Distribution]: ...
    @property
    def conditionals(self) -> Callable[..., Distribution]: ...

    def start(self, n: int, context: torch.Tensor | None) -> State: ...


class State(ABC):
    """A batch of N partial sequences and the distribution of the element that comes next.

    A subclass writes `_conditional` and `_append`; it may write `_extend`, `_select`,
    `_truncate` and `advance` where it knows a faster way than the derived one. Its methods need
    not care for `law`, `history` and `context`: those are carried by this class.

    Attributes:
        law: the law whose state this is, an immutable value.
        history: the elements so far.
        context: [N, c] (static) or [N, T, c] (per step), or None.
    """

    law: Any
    history: Track
    context: torch.Tensor | None = None
    _cached: Distribution | None = None

    #: How many elements `advance` may draw beyond where somebody who looks at each would stop: 1
    #: where an element costs more than a look at it.
    in_vain: int = 64

    #: How many elements `advance` is best given at once; compiled ones raise it.
    block: int = 1

    # ---- what a subclass writes ------------------------------------------------------------

    @abstractmethod
    def _conditional(self) -> Distribution:
        """The next element's distribution, batch shape [N]."""

    @abstractmethod
    def _append(self, x: torch.Tensor) -> State:
        """The state after one more element in each row, x [N, *event]."""

    def _extend(self, x: torch.Tensor, lengths: torch.Tensor | None) -> tuple[Distribution, State]:
        """See `extend`; derived from `append` column by column."""
        states: list[State] = [self]
        for j in range(x.shape[1]):
            states.append(states[-1].append(x[:, j]))
        every = (slice(None), None)
        columns = concatenate([index(state._next(), every) for state in states], dim=1)
        if lengths is None:
            return columns, states[-1]
        parts = []
        for length in lengths.unique().tolist():
            rows = (lengths == length).nonzero()[:, 0]
            parts.append((rows, states[length].select(rows)))
        return columns, GroupedState(parts)

    def _select(self, rows: torch.Tensor) -> State:
        """See `select`; derived by replaying the chosen rows."""
        context = None if self.context is None else self.context[rows]
        return replay(self.law, self.history.select(rows), context)

    def _truncate(self, lengths: torch.Tensor) -> State:
        """See `truncate`; derived by replaying what is kept."""
        return replay(self.law, self.history.truncate(lengths), self.context)

    def _join(self, states: Sequence[Any]) -> State:
        """See `join`; derived by keeping the states side by side, each with its own rows."""
        sizes = [state.n for state in states]
        begin = [sum(sizes[:i]) for i in range(len(sizes))]
        device = self.history.slots.device
        return GroupedState(
            [
                (torch.arange(first, first + size, device=device), state)
                for first, size, state in zip(begin, sizes, states, strict=True)
            ]
        )

    # ---- the public side -------------------------------------------------------------------

    @property
    def process(self) -> Any:
        """Of a process written in one class: that process as it was fitted."""
        return self.law.model

    @property
    def n(self) -> int:
        """The number of rows."""
        return self.history.n

    @property
    def lengths(self) -> torch.Tensor:
        """How many elements each row has so far, int64 [N]."""
        return self.history.lengths

    @property
    def positions(self) -> torch.Tensor:
        """The next element's position, which addresses its uniforms; counts a prefix too."""
        return self.history.lengths

    @property
    def conditional(self) -> Distribution:
        """The next element's distribution, batch shape [N]."""
        if self._cached is None:
            self._check_place()
            try:
                self._cached = self._conditional()
            except (RuntimeError, IndexError) as error:
                self._blame(self.history.slots, error)
                raise
        return self._cached

    def _blame(self, x: torch.Tensor, error: Exception) -> None:
        """Raise `DataError` where a law failed on elements that are not of its space."""
        space: Space = self.law.space
        if isinstance(error, ArprocError) or space.event_shape or space.varies:
            return
        last = torch.nan if space.end is None else space.end
        problem = space.problem(x[~(torch.isnan(x) | (x == last))])
        if problem is not None:
            raise DataError(f"x is not of the law's space: it has {problem}.") from error

    def _check_place(self) -> None:
        """Raise `DataError` where no distribution is defined: too early, or after all elements."""
        given, fixed = self.law.n_given, self.law.space.length
        if given and self.n and int(self.lengths.min()) < given:
            raise DataError(
                f"this law begins after its first {given} given values, and a row of the "
                f"state has {int(self.lengths.min())}; start it with a longer prefix."
            )
        # the history is right-aligned, so its slots are as many as its longest row's elements
        if fixed is not None and self.n and self.history.stop >= fixed:
            raise DataError(
                f"sequences of this process have {fixed} elements, and a row of the state is "
                "whole; nothing comes after it."
            )

    def append(self, x: Any) -> State:
        """The state after one more element in each row.

        Args:
            x: elements [N, *event] in the space's own numbers.
        """
        x = self._elements(x, 1)
        try:
            after = self._append(x)
        except (RuntimeError, IndexError) as error:
            self._blame(x, error)
            raise
        return self._carry(after, self.history.append(x), self.context)

    def extend(self, x: Any, lengths: Any = None) -> tuple[Distribution, State]:
        """All next-element distributions along x, and the state after it.

        Args:
            x: elements [N, K, *event]; K may be 0.
            lengths: how many of row i's K elements count, int [N]; all by default. Columns beyond
                a row's length are still conditionals given the first elements of x.

        Returns:
            Conditionals with batch shape [N, K + 1], column j being p(. | first j of x), and the
            state after the first `lengths[i]` elements of each row i.
        """
        x = self._elements(x, 2)
        if lengths is not None:
            lengths = _whole(lengths, "lengths", x.device).reshape(-1)
            self._check_lengths(lengths, 0, torch.full_like(lengths, x.shape[1]))
            if bool((lengths == x.shape[1]).all()):
                lengths = None
        try:
            columns, state = self._extend(x, lengths)
        except (RuntimeError, IndexError) as error:
            self._blame(x, error)
            raise
        return columns, self._carry(state, self.history.extend(x, lengths), self.context)

    def select(self, rows: Any) -> State:
        """The rows with these numbers in this order: reorder, repeat or drop.

        Args:
            rows: int [M], or a boolean mask [N].
        """
        rows = _whole(rows, "rows", self.history.slots.device).reshape(-1)
        if rows.dtype == torch.bool:
            if len(rows) != self.n:
                raise DataError(f"rows is a mask of {len(rows)}; the state has {self.n} rows.")
            rows = rows.nonzero()[:, 0]
        if len(rows) and (int(rows.min()) < 0 or int(rows.max()) >= self.n):
            raise DataError(
                f"rows go from {int(rows.min())} to {int(rows.max())}; the state has rows 0 to "
                f"{self.n - 1}."
            )
        context = None if self.context is None else self.context[rows]
        return self._carry(self._select(rows), self.history.select(rows), context)

    def truncate(self, lengths: Any) -> State:
        """The state as it was when row i had `lengths[i]` elements, int [N] or one for all."""
        lengths = _whole(lengths, "lengths", self.history.slots.device)
        lengths = lengths.expand(self.n) if lengths.ndim == 0 else lengths
        now = self.lengths
        self._check_lengths(lengths, 0, now)
        if bool((lengths == now).all()):
            return self
        return self._carry(self._truncate(lengths), self.history.truncate(lengths), self.context)

    def join(self, *others: State) -> State:
        """The rows of this state and of others of the same law, one after another.

        Example:
            >>> import arproc
            >>> model = arproc.AR.from_parameters([0.5])
            >>> both = model.start([[1.0, 4.0]]).join(model.start([[2.0]]))
            >>> both.conditional.mean.tolist(), both.lengths.tolist()
            ([2.0, 1.0], [2, 1])
        """
        states = [self, *others]
        strange = [state for state in states if state.law is not self.law]
        if strange:
            raise DataError(
                f"states of one law can be joined; got one of {strange[0].law!r} beside one of "
                f"{self.law!r}."
            )
        contexts = [state.context for state in states if state.context is not None]
        context = torch.cat(contexts) if contexts else None
        history = Track.join([state.history for state in states])
        alike = all(type(state) is type(self) for state in states)
        joined = self._join(states) if alike else State._join(self, states)
        return self._carry(joined, history, context)

    def advance(self, uniforms: torch.Tensor) -> tuple[torch.Tensor, State]:
        """Draw K more elements from given uniforms: the inverse of `extend`.

        Args:
            uniforms: float64 in (0, 1), [N, K, *event].

        Returns:
            The elements [N, K, *event] and the state after them.
        """
        if not uniforms.shape[1]:
            return self.history.slots[:, :0], self
        return walk(self, uniforms)

    @property
    def walks(self) -> bool:
        """Whether `advance` draws one element after another, and could stop after any."""
        return type(self).advance is State.advance

    def advance_until(
        self, uniforms: torch.Tensor, enough: Callable[[torch.Tensor], bool]
    ) -> tuple[torch.Tensor, State]:
        """`advance` of a state that `walks`, of as many elements as are wanted.

        Args:
            uniforms: float64 in (0, 1), [N, K, *event], K at least 1.
            enough: whether no more are wanted after an element [N, *event].
        """
        return walk(self, uniforms, enough)

    def finish(self, uniforms: torch.Tensor) -> torch.Tensor:
        """The elements of `advance` [N, K, *event], where nobody wants the state after them.

        Written by states that know a cheaper way than to make that state.
        """
        return self.advance(uniforms)[0]

    def foresee(self, x: torch.Tensor) -> Distribution:
        """A cheap guess at the conditional after some more elements, without a pass over them.

        It is a proposal: a distribution of its own, by which elements can be guessed for the law
        to verify. After none it is the conditional itself.

        Args:
            x: what comes next [N, k, *event], k at most the law's `foresight`.

        Raises:
            UnsupportedError: the law does not see so far.
        """
        if x.shape[1] > self.law.foresight:
            raise UnsupportedError(
                f"{self.law!r} foresees {self.law.foresight} elements beyond the next; got "
                f"{x.shape[1]}."
            )
        return self._foresee(x) if x.shape[1] else self.conditional

    # ---- inner parts -----------------------------------------------------------------------

    def _foresee(self, x: torch.Tensor) -> Distribution:
        """See `foresee`; of the states of laws whose `foresight` is not 0."""
        raise UnsupportedError(
            f"{type(self).__name__} does not write _foresee, and its law's foresight is "
            f"{self.law.foresight}."
        )

    def _next(self) -> Distribution:
        """`conditional`, without the question whether all given values are there yet."""
        if self._cached is None:
            self._cached = self._conditional()
        return self._cached

    def context_at(self, position: torch.Tensor) -> torch.Tensor | None:
        """The context [N, c]; of one by steps [N, K, c], at the steps [N, K] of some elements."""
        if self.context is None or self.context.ndim == 2:
            return self.context
        n, steps, size = self.context.shape
        if not steps:
            return self.context.new_full((*position.shape, size), torch.nan)
        rows = torch.arange(n, device=position.device)[:, None]
        values = self.context[rows, position.clamp(max=steps - 1)]
        # beyond the context nothing is known: NaN there, and the caller sees it at once
        return values.masked_fill((position >= steps)[..., None], torch.nan)

    def _carry(self, state: State, history: Track, context: torch.Tensor | None) -> State:
        if state is self:  # a state that caches nothing may give itself back
            state = copy(self)
            state._cached = None
        state.law, state.history, state.context = self.law, history, context
        return state

    def _elements(self, x: Any, axes: int) -> torch.Tensor:
        known = self.history
        n, event, dtype, device = known.n, known.event_shape, known.dtype, known.device
        if not isinstance(x, torch.Tensor):
            x = _numbers(x, "x", device)
        if x.device != device or x.layout is not torch.strided:
            x = plain_tensor(x, "x").to(device)
        if x.dtype != dtype:
            x = plain_tensor(x, "x")
            whole = dtype.is_floating_point or not x.is_floating_point()
            if not whole and not bool((x == x.floor()).all()):
                raise DataError("x has values with a fractional part; expected whole numbers.")
            x = x.to(dtype)
        if x.ndim < axes or x.shape[0] != n or x.shape[axes:] != event:
            given = "".join(f", {d}" for d in event)
            expected = f"[{n}{given}]" if axes == 1 else f"[{n}, K{given}]"
            raise DataError(f"x has shape {list(x.shape)}; expected {expected}.")
        return x

    def _check_lengths(self, lengths: torch.Tensor, low: int, high: torch.Tensor) -> None:
        if len(lengths) != self.n:
            raise DataError(f"lengths has {len(lengths)} entries; the state has {self.n} rows.")
        if bool((lengths < low).any()) or bool((lengths > high).any()):
            row = int(((lengths < low) | (lengths > high)).nonzero()[0])
            raise DataError(
                f"lengths[{row}] is {int(lengths[row])}; expected {low} to {int(high[row])}."
            )


def _numbers(values: Any, name: str, device: torch.device) -> torch.Tensor:
    try:
        if isinstance(values, torch.Tensor):
            return plain_tensor(values, name).to(device)
        return as_given(values, device)
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{name} can not be read as numbers: {error}.") from None


def _whole(values: Any, name: str, device: torch.device) -> torch.Tensor:
    """Whole numbers as int64 (an empty list is none of them), truth values as they are."""
    if isinstance(values, torch.Tensor) and values.dtype == torch.int64:
        return values.to(device)
    given = _numbers(values, name, device) if not isinstance(values, str) else None
    if given is None or (given.is_floating_point() and given.numel()) or given.is_complex():
        raise DataError(f"{name} can not be read as whole numbers; got {values!r}.")
    return given if given.dtype == torch.bool else given.long()


def begin(law: Stepwise, state: State, n: int, context: torch.Tensor | None) -> State:
    """Give a new state what every state carries: its law, an empty history, the context."""
    space = law.space
    state.law, state.context = law, context
    state.history = Track.empty(n, space.event_shape, space.dtype, law.device)
    return state


def replay(law: Stepwise, history: Track, context: torch.Tensor | None) -> State:
    """The state of `law` after the elements of `history`, computed from its start."""
    x, lengths = history.padded()
    fresh = begin(law, law.start(history.n, context), history.n, context)
    return fresh.extend(x, lengths)[1]


class GroupedState(State):
    """Rows of unequal lengths, for states that know no more than to append: one state a length.

    Args:
        parts: the numbers of some rows, int64 [n], and the state [n] of these; together all rows.
    """

    def __init__(self, parts: Sequence[tuple[torch.Tensor, State]]) -> None:
        self.parts: list[tuple[torch.Tensor, State]] = []
        for rows, state in parts:
            if isinstance(state, GroupedState):
                self.parts += [(rows[inner], part) for inner, part in state.parts]
            elif len(rows):
                self.parts.append((rows, state))
        if not self.parts:  # no rows at all: one part without rows says what comes next
            rows, state = parts[0]
            self.parts = state.parts if isinstance(state, GroupedState) else [(rows, state)]

    def _joined(self, columns: Sequence[Distribution]) -> Distribution:
        """The parts' distributions, batch [n, ...], as one in the order of the rows."""
        order = torch.cat([rows for rows, _ in self.parts]).argsort()
        return index(concatenate(columns, dim=0), order)

    def _conditional(self) -> Distribution:
        return self._joined([state._next() for _, state in self.parts])

    def _foresee(self, x: torch.Tensor) -> Distribution:
        return self._joined([state.foresee(x[rows]) for rows, state in self.parts])

    def _append(self, x: torch.Tensor) -> State:
        return GroupedState([(rows, state.append(x[rows])) for rows, state in self.parts])

    def _extend(self, x: torch.Tensor, lengths: torch.Tensor | None) -> tuple[Distribution, State]:
        columns, parts = [], []
        for rows, state in self.parts:
            own = None if lengths is None else lengths[rows]
            part, after = state.extend(x[rows], own)
            columns.append(part)
            parts.append((rows, after))
        return self._joined(columns), GroupedState(parts)

    def _select(self, rows: torch.Tensor) -> State:
        parts = []
        for old, state in self.parts:
            match = rows[:, None] == old
            new, inner = match.nonzero(as_tuple=True)
            parts.append((new, state.select(inner)))
        return GroupedState(parts)

    def _truncate(self, lengths: torch.Tensor) -> State:
        return GroupedState([(rows, state.truncate(lengths[rows])) for rows, state in self.parts])


class WindowState(State):
    """The state of a law of finite order: its `window` says everything.

    Nothing is cached but the history; `window` gets the last `window_length` elements.
    """

    def __init__(self, block: int = 1) -> None:
        self.block = block

    def _conditional(self) -> Distribution:
        law: Stepwise = self.law
        ctx = self.history.tail(law.window_length, law.padding)
        position = self.lengths[:, None]
        columns = law.window(ctx[:, None], position, **self._context_at(position))
        return index(columns, (slice(None), 0))

    def _append(self, x: torch.Tensor) -> State:
        return WindowState(self.block)

    def _extend(self, x: torch.Tensor, lengths: torch.Tensor | None) -> tuple[Distribution, State]:
        law: Stepwise = self.law
        before = self.history.tail(law.window_length, law.padding)
        joined = torch.cat([before, x], dim=1)
        columns = torch.arange(x.shape[1] + 1, device=x.device)
        position = self.lengths[:, None] + columns
        if law.window_length:
            ctx = joined.unfold(1, law.window_length, 1)
            ctx = ctx.movedim(-1, 2)
        else:
            ctx = joined.new_empty((x.shape[0], x.shape[1] + 1, 0, *x.shape[2:]))
        return law.window(ctx, position, **self._context_at(position)), WindowState(self.block)

    def _select(self, rows: torch.Tensor) -> State:
        return WindowState(self.block)

    def _truncate(self, lengths: torch.Tensor) -> State:
        return WindowState(self.block)

    def _join(self, states: Sequence[Any]) -> State:
        # one that caches something knows better what to do with it
        return WindowState(self.block) if type(self) is WindowState else super()._join(states)

    def _context_at(self, position: torch.Tensor) -> dict[str, torch.Tensor]:
        """The context that `window` gets."""
        if self.context is None:
            return {}
        found = self.context_at(position)
        return {} if found is None else {"context": found}


class ReplayState(State):
    """The working default: all conditionals of given sequences are computed anew at each step.

    For a process that writes only `_conditionals(x)`; right, and slow.
    """

    def _conditional(self) -> Distribution:
        x, lengths = self.history.padded()
        columns = self._all(x)
        return index(columns, (torch.arange(len(x), device=x.device), lengths))

    def _append(self, x: torch.Tensor) -> State:
        return ReplayState()

    def _extend(self, x: torch.Tensor, lengths: torch.Tensor | None) -> tuple[Distribution, State]:
        joined, _ = self.history.extend(x).padded()
        rows = torch.arange(len(x), device=x.device)[:, None]
        column = self.lengths[:, None] + torch.arange(x.shape[1] + 1, device=x.device)
        return index(self._all(joined), (rows, column)), ReplayState()

    def _select(self, rows: torch.Tensor) -> State:
        return ReplayState()

    def _truncate(self, lengths: torch.Tensor) -> State:
        return ReplayState()

    def _join(self, states: Sequence[Any]) -> State:
        # one that caches something knows better what to do with it
        return ReplayState() if type(self) is ReplayState else super()._join(states)

    def _all(self, x: torch.Tensor) -> Distribution:
        law: Stepwise = self.law
        beside = {} if self.context is None else {"context": self.context}
        found = law.conditionals(x, **beside)
        wanted = [x.shape[0], x.shape[1] + 1]
        if list(found.batch_shape) != wanted:
            raise DataError(
                f"the conditionals of elements of shape {list(x.shape)} have batch shape "
                f"{list(found.batch_shape)}; expected {wanted}: one before each element, and one "
                "after the last (of no element, the first alone)."
            )
        return found
