"""Changes of variables: a process of transformed values, with its Jacobian.

`Transformed(process, transform)` fits the process to transformed data; its likelihood is that of
the data on the user's own scale, log p(y_t | y_<t) = log q(x_t | x_<t) + log |dx_t / dy_t|, so
it can be compared with that of a process of the data as they are.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import distributions as td
from torch.distributions import Distribution

from arproc.distributions import index, transformed
from arproc.errors import DataError, ParameterError, UnsupportedError, check_integer
from arproc.parameters import Parameters
from arproc.process import Process, State
from arproc.sequences import Layout, Sequences
from arproc.spaces import Real, Space

__all__ = ["Difference", "Log", "Standardize", "Transform", "Transformed"]


class Transform(Parameters):
    """A map from the user's values y to the process's values x, invertible given the past."""

    @property
    def given(self) -> int:
        """How many first values it needs before it can map any (a difference needs one)."""
        return 0

    def fit(self, values: torch.Tensor) -> None:
        """Learn what the transform needs from the user's values, flat."""

    def check(self, y: torch.Tensor) -> None:
        """Raise `DataError` where a value can not be mapped."""

    def outward(self, past: torch.Tensor) -> td.Transform:
        """The map from x to y, given the last `given` values `past` [..., given]."""
        raise UnsupportedError(f"{type(self).__name__} does not write outward.")


class Log(Transform):
    """x = log y, for positive values.

    Example:
        >>> import arproc
        >>> from arproc.transforms import Log, Transformed
        >>> model = Transformed(arproc.AR(1), Log()).fit([1.0, 2.0, 1.5, 2.5, 2.0])
        >>> type(model.conditional([2.0])).__name__
        'LogNormal'
    """

    def __init__(self) -> None:
        pass

    def check(self, y: torch.Tensor) -> None:
        if y.numel() and float(y.detach().min()) <= 0:
            raise DataError(
                f"a logarithm needs values above 0; the least is {float(y.detach().min()):g}."
            )

    def outward(self, past: torch.Tensor) -> td.Transform:
        return td.ExpTransform()


class Standardize(Transform):
    """x = (y - mean) / standard deviation, both learnt from the data of `fit`.

    Attributes:
        mean_: the mean.
        scale_: the standard deviation (1 for constant data).
    """

    mean_: float
    scale_: float

    def __init__(self) -> None:
        pass

    def fit(self, values: torch.Tensor) -> None:
        self.mean_ = float(values.mean())
        deviation = float(values.std(correction=0))
        self.scale_ = deviation if deviation > 0 else 1.0

    def outward(self, past: torch.Tensor) -> td.Transform:
        return td.AffineTransform(self.mean_, self.scale_)


class Difference(Transform):
    """x_t = y_t - y_{t - lag}; the law begins after the first `lag` values, which are given.

    Args:
        lag: 1 for the ordinary difference, the season's length for the seasonal one.
    """

    def __init__(self, lag: int = 1) -> None:
        self.lag = lag

    @property
    def given(self) -> int:
        return check_integer("lag", self.lag, minimum=1)

    def outward(self, past: torch.Tensor) -> td.Transform:
        return td.AffineTransform(past[..., 0], 1.0)


class Transformed(Process):
    """A process of transformed values as a process of the values themselves.

    Args:
        process: the process of the transformed values; it is cloned, and the clone fitted.
        transform: the change of variables.

    Attributes:
        process_: the fitted process of the transformed values.
        transform_: the fitted transform.
    """

    process_: Process
    transform_: Transform

    def __init__(self, process: Process, transform: Transform) -> None:
        self.process = process
        self.transform = transform

    def _infer_space(self, data: Any) -> Space:
        space = self.process._infer_space(data)
        if not isinstance(space, Real) or space.event_shape:
            raise ParameterError(
                f"Transformed is for processes of real scalars; {type(self.process).__name__} has "
                f"{space.describe()} elements."
            )
        return space

    def _fit(
        self, sequences: Sequences, *, validation: Sequences | None, context: torch.Tensor | None
    ) -> None:
        transform = self.transform.clone()
        transform.check(sequences.values)
        transform.fit(sequences.values)
        process = self.process.clone()
        inner = self._inward(sequences, transform)[0]
        held_out = None if validation is None else self._inward(validation, transform)[0]
        process._fit(inner, validation=held_out, context=self._inner(context, transform))
        process.space_, process.form_ = sequences.space, "numpy"
        self.transform_, self.process_ = transform, process

    @property
    def n_given(self) -> int:
        return self.transform_.given + self.process_.n_given

    @property
    def device(self) -> torch.device:
        fitted = self.__dict__.get("process_", self.process)
        return fitted.device

    @property
    def context_kind(self) -> Any:  # type: ignore[override]
        return self.process.context_kind

    def _inner(self, context: torch.Tensor | None, transform: Transform) -> torch.Tensor | None:
        """The context of the transformed values, which begin after the given ones."""
        if context is None or self.context_kind == "static":
            return context
        return context[:, transform.given :]

    def _layout_of(self, space: Space) -> Layout | None:
        return self.process._layout_of(space)

    def _read(
        self,
        data: Any,
        space: Space,
        name: str,
        complete: bool | None = None,
        missing: bool = False,
    ) -> Sequences:
        sequences = super()._read(data, space, name, complete, missing)
        self.__dict__.get("transform_", self.transform).check(sequences.values)
        return sequences

    def _inward(
        self, sequences: Sequences, transform: Transform
    ) -> tuple[Sequences, torch.Tensor]:
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
        x = outward.inv(y)
        offsets = sequences.offsets - given * torch.arange(len(sequences) + 1)
        inner = Sequences(x, offsets, sequences.space, sequences.complete)
        return inner, -outward.log_abs_det_jacobian(x, y).expand(y.shape)

    def _log_prob_terms(self, sequences: Sequences, context: torch.Tensor | None) -> torch.Tensor:
        inner, jacobian = self._inward(sequences, self.transform_)
        terms = self.process_._log_prob_terms(inner, self._inner(context, self.transform_))
        given = self.process_.n_given
        if given:
            place = torch.arange(len(jacobian))
            row = torch.repeat_interleave(torch.arange(len(inner)), inner.lengths)
            jacobian = jacobian[place - inner.offsets[row] >= given]
        return terms + jacobian

    def _start(self, n: int, context: torch.Tensor | None) -> State:
        inner = self._inner(context, self.transform_)
        return _TransformedState(self.process_._fresh(n, inner), self.transform_)

    def _joint(self, state: State, horizon: int) -> Distribution | None:
        if self.transform_.given:
            return None
        assert isinstance(state, _TransformedState)
        inner = self.process_._joint(state.inner, horizon)
        outward = self.transform_.outward(state.history.tail(0))
        return None if inner is None else transformed(inner, outward)

    def _predictive(self, state: State, horizon: int) -> Distribution | None:
        if self.transform_.given:
            return None  # sums of dependent steps: no marginal of the steps alone gives them
        assert isinstance(state, _TransformedState)
        inner = self.process_._predictive(state.inner, horizon)
        if not isinstance(inner, td.Normal):
            return None
        return transformed(inner, self.transform_.outward(state.history.tail(0)))


class _TransformedState(State):
    """The inner process's state; the last values that the transform needs are in the history."""

    def __init__(self, inner: State, transform: Transform) -> None:
        self.inner = inner
        self.transform = transform

    def _conditional(self) -> Distribution:
        past = self.history.tail(self.transform.given)
        return transformed(self.inner.conditional, self.transform.outward(past))

    def _append(self, x: torch.Tensor) -> State:
        return self._extend(x[:, None], None)[1]

    def _extend(self, x: torch.Tensor, lengths: torch.Tensor | None) -> tuple[Distribution, State]:
        given, count = self.transform.given, x.shape[1]
        joined = torch.cat([self.history.tail(given), x], dim=1)
        past = _windows(joined, given, count + 1)
        inward = self.transform.outward(past[:, :count]).inv(x)
        if not given:
            columns, inner = self.inner.extend(inward, lengths)
            return transformed(columns, self.transform.outward(past)), self._like(inner)
        # a row that has not yet its given values passes the first of x by
        skip = (given - self.lengths).clamp(0, count)
        place = (torch.arange(count, device=x.device) + skip[:, None]).clamp(max=count - 1)
        taken = torch.full_like(skip, count) if lengths is None else lengths
        shifted = inward.gather(1, place) if count else inward
        columns, inner = self.inner.extend(shifted, (taken - skip).clamp(min=0))
        column = (torch.arange(count + 1, device=x.device) - skip[:, None]).clamp(min=0)
        rows = torch.arange(len(x), device=x.device)[:, None]
        columns = index(columns, (rows, column))
        return transformed(columns, self.transform.outward(past)), self._like(inner)

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
