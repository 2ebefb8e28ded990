"""A process of transformed values, with the Jacobian of the transform.

`Transformed(process, transform)` fits the process to transformed data; its likelihood is that of
the data on the user's own scale, log p(y_t | y_<t) = log q(x_t | x_<t) + log |dx_t / dy_t|, so
it can be compared with that of a process of the data as they are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.distributions import Distribution

from arproc.contract.context import ContextForm
from arproc.contract.law import ChainLaw, DerivedLaw
from arproc.contract.sequences import Sequences
from arproc.contract.state import State
from arproc.contract.storable import storable
from arproc.data.form import Layout
from arproc.distributions import index
from arproc.errors import ParameterError
from arproc.models.transformed.base import Composed, Transform
from arproc.process import Fit, Process
from arproc.spaces import Real, Space

__all__ = ["Transformed", "TransformedLaw", "mapped"]


class Transformed(Process):
    """A process of transformed values as a process of the values themselves.

    Args:
        process: the process of the transformed values; it is cloned, and the clone fitted.
        transform: the change of variables, or several joined by `|`, the first one first.

    Attributes:
        process_: the fitted process of the transformed values; under several transforms it is
            again `Transformed`, by all but the first.
        transform_: the fitted transform, the first of several.

    Example:
        >>> import numpy as np
        >>> import arproc
        >>> from arproc.transforms import Difference, Log
        >>> y = np.exp(np.cumsum(np.sin(np.arange(40.0) ** 2)) / 9)
        >>> model = Transformed(arproc.AR(2), Log() | Difference()).fit(y)
        >>> model.n_given, model.forecast(y, 2).shape
        (1, (2, 4))
    """

    process_: Process
    transform_: Transform

    def __init__(self, process: Process, transform: Transform) -> None:
        self.process = process
        self.transform = transform

    def _infer_space(self, data: Any) -> Space:
        if not isinstance(self.process, Process) or not isinstance(self.transform, Transform):
            raise ParameterError(
                "Transformed takes a process and a transform, such as Transformed(AR(2), Log()); "
                f"got {self.process!r} and {self.transform!r}."
            )
        space = self.process._infer_space(data)
        if type(space) is not Real:
            raise ParameterError(
                f"Transformed is for processes of real scalars; {type(self.process).__name__} has "
                f"{space.describe()} elements."
            )
        return space

    def _fit(
        self, sequences: Sequences, *, validation: Sequences | None, context: torch.Tensor | None
    ) -> tuple[TransformedLaw, Fit]:
        first, process = self.layers()
        transform = first.clone()
        transform.check(sequences.values)

        def log_prob(candidate: Transform) -> float:
            law = _law(process, candidate, sequences, None, context)[0]
            with torch.no_grad():
                return float(law.log_prob(sequences, context).sum())

        transform.fit_jointly(sequences.values, log_prob)
        law, inner = _law(process, transform, sequences, validation, context)
        return law, Fit(notes={"process": inner})

    def _split(self) -> tuple[Transform, Transform | None]:
        """The first transform, and those that follow it."""
        if isinstance(self.transform, Composed):
            return self.transform.split()
        return self.transform, None

    def layers(self) -> tuple[Transform, Process]:
        """The first transform, and the process of what it makes of the values."""
        first, rest = self._split()
        return first, self.process if rest is None else Transformed(self.process, rest)

    @property
    def takes_missing(self) -> bool:  # type: ignore[override]
        """Where the process does and each value is mapped alone, without a cut."""
        transform, inner = self.layers()
        return transform.takes_missing and inner.takes_missing

    @property
    def _counts_time(self) -> bool:
        return self.process._counts_time

    @property
    def _counts_from_zero(self) -> bool:
        return self.process._counts_from_zero

    @property
    def context_kind(self) -> Any:  # type: ignore[override]
        return self.process.context_kind

    def _context_form(self) -> ContextForm | None:
        return self.process._context_form()

    def _layout_of(self, space: Space) -> Layout | None:
        return self.process._layout_of(space)

    def _read_training(self, data: Any, space: Space, name: str) -> Sequences:
        sequences = super()._read_training(data, space, name)
        self._split()[0].check(sequences.values)
        return sequences


def mapped(transform: Transform, y: np.ndarray) -> tuple[Transform, np.ndarray]:
    """A copy of a transform that has learnt from the values alone, and what it makes of them.

    Args:
        transform: one that needs no likelihood, see `Transform.learns_alone`.
        y: one sequence, [T].

    Returns:
        The copy, and the transformed values [T - given].

    Raises:
        DataError: it can not map them, or they are no more than are given.
    """
    own = transform.clone()
    sequences = Sequences.of(y, Real(), missing=own.takes_missing)
    own.check(sequences.values)
    own.fit(sequences.values)
    return own, _inward(sequences, own)[0].values.numpy()


def _law(
    process: Process,
    transform: Transform,
    sequences: Sequences,
    validation: Sequences | None,
    context: torch.Tensor | None,
) -> tuple[TransformedLaw, Process]:
    """The law of the sequences where a clone of the process is fitted to what they map to."""
    held_out = None
    if validation is not None:
        given = _later(validation.context, transform, process._counts_time)
        held_out = _inward(validation, transform)[0].given(given)
    inward = _inward(sequences, transform)[0]
    later = _later(context, transform, process._counts_time)
    inner = process.fitted_to(inward, held_out, later)
    return TransformedLaw(inner.law_, transform), inner


def _later(
    context: torch.Tensor | None, transform: Transform, clocked: bool
) -> torch.Tensor | None:
    """The context of the transformed values, which begin after the given ones.

    Their t counts from the first of them.
    """
    if context is None or context.ndim == 2 or not transform.given:
        return context
    later = context[:, transform.given :]
    if clocked:
        plain = later[..., :-1]
        later = torch.cat([plain, context[:, : later.shape[1], -1:]], dim=-1)
    return later


def _inward(sequences: Sequences, transform: Transform) -> tuple[Sequences, torch.Tensor]:
    """The transformed sequences, and log |dx/dy| of each of their values."""
    given = transform.given
    if given:
        sequences.require_length(given)
    column = torch.arange(len(sequences.values))
    row = torch.repeat_interleave(torch.arange(len(sequences)), sequences.lengths)
    kept = column[column - sequences.offsets[row] >= given]
    y = sequences.values[kept]
    back = kept[:, None] + torch.arange(-given, 0)
    outward = transform.outward(sequences.values[back])
    gaps = sequences.missing
    if gaps:  # a gap is filled with what was seen, so that its gradient is zero and not NaN
        gone = y.isnan()
        y = torch.where(gone, y[~gone][:1].detach(), y) if not bool(gone.all()) else y
    x = outward.inv(y)
    jacobian = -outward.log_abs_det_jacobian(x, y).expand(y.shape)
    if gaps:
        x, jacobian = x.masked_fill(gone, torch.nan), jacobian.masked_fill(gone, 0.0)
    offsets = sequences.offsets - given * torch.arange(len(sequences) + 1)
    return Sequences(x, offsets, sequences.space, sequences.complete, missing=gaps), jacobian


@storable
@dataclass(frozen=True, eq=False, repr=False)
class TransformedLaw(DerivedLaw):
    """The law of values whose transforms have a law.

    Attributes:
        law: of the transformed values.
        transform: the fitted transform.
    """

    law: ChainLaw
    transform: Transform

    @property
    def base(self) -> ChainLaw:
        return self.law

    @property
    def n_given(self) -> int:  # type: ignore[override]
        return self.transform.given + self.law.n_given

    @property
    def takes_missing(self) -> bool:  # type: ignore[override]
        return self.transform.takes_missing and self.law.takes_missing

    @property
    def counts_from_zero(self) -> bool:  # type: ignore[override]
        return self.law.counts_from_zero

    @property
    def longest_gap(self) -> int | None:  # type: ignore[override]
        return self.law.longest_gap

    @property
    def carries_parameter_uncertainty(self) -> bool:  # type: ignore[override]
        return self.law.carries_parameter_uncertainty

    def check(self, sequences: Sequences) -> None:
        self.transform.check(sequences.values)

    def log_prob_terms(self, sequences: Sequences, context: torch.Tensor | None) -> torch.Tensor:
        if not all(math.isinf(end) for end in self.transform.reach):
            # each term has a mass of its own that is cut
            return self.derived_log_prob_terms(sequences, context)
        inner, jacobian = _inward(sequences, self.transform)
        terms = self.law.log_prob_terms(inner, _later(context, self.transform, self.law.clocked))
        given = self.law.n_given
        if given:
            place = torch.arange(len(jacobian))
            row = torch.repeat_interleave(torch.arange(len(inner)), inner.lengths)
            jacobian = jacobian[place - inner.offsets[row] >= given]
        return terms + jacobian

    def start(self, n: int, context: torch.Tensor | None) -> State:
        inner = _later(context, self.transform, self.law.clocked)
        return _TransformedState(self.law.fresh(n, inner), self.transform)

    def joint(self, state: State, horizon: int) -> Distribution | None:
        if self.n_given:
            _ = state.conditional  # refuses a history shorter than what must be given
        assert isinstance(state, _TransformedState)
        inner = self.law.joint(state.inner, horizon)
        past = state.history.tail(self.transform.given)
        return None if inner is None else self.transform.joint(inner, past)

    def predictive(self, state: State, horizon: int) -> Distribution | None:
        if self.transform.given:
            return super().predictive(state, horizon)
        assert isinstance(state, _TransformedState)
        inner = self.law.predictive(state.inner, horizon)
        return None if inner is None else self.transform.marginals(inner, state.history.tail(0))


class _TransformedState(State):
    """The inner process's state; the last values that the transform needs are in the history."""

    def __init__(self, inner: State, transform: Transform) -> None:
        self.inner = inner
        self.transform = transform

    def _conditional(self) -> Distribution:
        past = self.history.tail(self.transform.given)
        return self.transform.law(self.inner.conditional, past)

    def _append(self, x: torch.Tensor) -> State:
        return self._extend(x[:, None], None)[1]

    def _extend(self, x: torch.Tensor, lengths: torch.Tensor | None) -> tuple[Distribution, State]:
        given, count = self.transform.given, x.shape[1]
        joined = torch.cat([self.history.tail(given), x], dim=1)
        past = _windows(joined, given, count + 1)
        inward = self.transform.outward(past[:, :count]).inv(x)
        if not given:
            columns, inner = self.inner.extend(inward, lengths)
            return self.transform.law(columns, past), self._like(inner)
        # a row that has not yet its given values passes the first of x by
        skip = (given - self.lengths).clamp(0, count)
        place = (torch.arange(count, device=x.device) + skip[:, None]).clamp(max=count - 1)
        taken = torch.full_like(skip, count) if lengths is None else lengths
        shifted = inward.gather(1, place) if count else inward
        columns, inner = self.inner.extend(shifted, (taken - skip).clamp(min=0))
        column = (torch.arange(count + 1, device=x.device) - skip[:, None]).clamp(min=0)
        rows = torch.arange(len(x), device=x.device)[:, None]
        columns = index(columns, (rows, column))
        return self.transform.law(columns, past), self._like(inner)

    def _select(self, rows: torch.Tensor) -> State:
        return self._like(self.inner.select(rows))

    def _truncate(self, lengths: torch.Tensor) -> State:
        inner = (lengths - self.transform.given).clamp(min=0)
        return self._like(self.inner.truncate(inner))

    def _like(self, inner: State) -> State:
        return _TransformedState(inner, self.transform)


def _windows(joined: torch.Tensor, given: int, count: int) -> torch.Tensor:
    """The last `given` values before each of `count` places, [N, count, given]."""
    if given == 0:
        return joined.new_empty((joined.shape[0], count, 0))
    return joined.unfold(1, given, 1)[:, :count]
