"""The kinds of evidence: values at positions, barriers, an end at a given length."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from arproc.contract.law import ChainLaw
from arproc.errors import (
    DataError,
    ParameterError,
    UnsupportedError,
    check_array,
    check_count,
)
from arproc.sampling.biases import symbol_number
from arproc.sampling.evidence import (
    Allowed,
    Evidence,
    Likelihood,
    Linear,
    Memory,
    Setting,
    Terms,
    impossible,
)
from arproc.spaces import Categorical, check_values

__all__ = ["Barrier", "EndsAt", "Known", "KnownTerms", "as_evidence"]


def as_evidence(given: Any) -> Evidence:
    """What a user gave as evidence: a dict or an array of values, a function, or `Evidence`."""
    if isinstance(given, Evidence):
        return given
    if callable(given):
        return Likelihood(given)
    if isinstance(given, (Mapping, list, tuple, np.ndarray, torch.Tensor)):
        return Known(given)
    raise ParameterError(
        "evidence must be Evidence (Known, Sum, Barrier, EndsAt, Likelihood, joined by &), a dict "
        "of values by position, an array with NaN where nothing is known, or a function of whole "
        f"draws; got a {type(given).__name__}. (A Series has labels: forecast(known=) reads them.)"
    )


# ---- values ------------------------------------------------------------------------------------


class Known(Evidence):
    """The values of some elements.

    Args:
        values: by position, counted from 0 at the first element that is drawn: a dict, or a list
            or array with NaN (or None) where nothing is known. Of text a value is a string, which
            holds the positions from there on; of vectors a vector, NaN where a component is not
            known. Of examples with a shape an array of that shape.

    Example:
        >>> import arproc
        >>> walk = arproc.AR.from_parameters([0.5])
        >>> bridge = arproc.sampling.condition(walk, Known({2: 4.0}), length=4, prefix=[0.0])
        >>> bridge.mean.round(3).tolist()
        [0.762, 1.905, 4.0, 2.0]
    """

    def __init__(self, values: Any) -> None:
        self.values = values

    def bound(self, setting: Setting) -> Terms:
        given = self.values
        found = _by_position(given, setting) if isinstance(given, Mapping) else None
        values = _by_array(given, setting) if found is None else _stacked(found, setting)
        space = setting.law.space
        whole = ~values.isnan().reshape(*values.shape[:1], -1).any(1)
        layout = setting.law.layout
        order = None if layout is None or layout.order is None else torch.tensor(layout.order)
        place = torch.arange(len(values)) if order is None else order[: len(values)]
        check_values(values[whole].to(space.dtype), space, "evidence", place=place[whole])
        return KnownTerms(values[None], setting.law)


def _by_position(given: Mapping[Any, Any], setting: Setting) -> dict[int, Any]:
    """The values by step; of text, one symbol each."""
    found: dict[int, Any] = {}
    for position, value in given.items():
        at = check_count("a position of evidence", position)
        for j, symbol in enumerate(_symbols(value, setting.law)):
            step = setting.place(at + j, "evidence")
            if step in found and not np.array_equal(found[step], symbol, equal_nan=True):
                raise ParameterError(f"evidence names two values for position {at + j}.")
            found[step] = symbol
    if not found:
        raise ParameterError("evidence holds no values; expected one at least.")
    return found


def _symbols(value: Any, law: ChainLaw) -> list[Any]:
    """The elements that one value stands for, as numbers."""
    space = law.space
    vocabulary = space.vocabulary if isinstance(space, Categorical) else None
    if vocabulary is None or (vocabulary.kind != "symbols" and not isinstance(value, str | bytes)):
        return [symbol_number(value, law, "evidence") if vocabulary else value]
    if vocabulary.kind == "symbols":
        return [symbol_number(value, law, "evidence")]
    try:
        numbers = np.asarray(vocabulary.encode(value)).tolist()
    except DataError as error:
        raise DataError(
            f"evidence has the text {value!r}, which can not be read: {error}"
        ) from None
    back = vocabulary.decode(np.asarray(numbers))
    told = value.decode(errors="replace") if isinstance(value, bytes) else value
    if not numbers or back.strip() != told.strip():
        raise DataError(
            f"evidence has the text {value!r}, which this process writes as {back!r}: it is "
            "empty, or holds what is not in the vocabulary."
        )
    return list(numbers)


def _stacked(found: dict[int, Any], setting: Setting) -> Tensor:
    """The values [T, *event], NaN where not known."""
    event = setting.law.space.event_shape
    values = torch.full((max(found) + 1, *event), torch.nan, dtype=torch.float64)
    for step, value in found.items():
        number = check_array(f"the value of evidence at position {step}", value, DataError)
        if number.shape != event:
            raise DataError(
                f"the value of evidence at position {step} has shape {list(number.shape)}; "
                f"expected {list(event)}."
            )
        values[step] = torch.from_numpy(number)
    return values


def _by_array(given: Any, setting: Setting) -> Tensor:
    """The values [T, *event] of an array, in the order of generation."""
    space, layout = setting.law.space, setting.law.layout
    values = torch.from_numpy(check_array("evidence", given, DataError))
    if layout is not None and tuple(values.shape) == (*layout.shape, *space.event_shape):
        return layout.to_sites(values[None])[0]
    most = setting.steps
    fits = values.ndim == 1 + len(space.event_shape) and values.shape[1:] == space.event_shape
    if not fits or not len(values) or (most is not None and len(values) > most):
        event = "".join(f", {d}" for d in space.event_shape)
        raise DataError(
            f"evidence has shape {list(values.shape)}; expected [T{event}] with T at most the "
            f"number of elements to be drawn{'' if most is None else f', {most}'}."
        )
    if bool(values.isnan().all()):
        raise ParameterError("evidence holds no values; expected one at least.")
    return values


class KnownTerms(Terms):
    """Known values, of several sets of rows each its own; what is remembered is the row's set.

    Args:
        values: float64 [E, T, *event], NaN where not known; of one set, or of as many as there
            are rows at the start.
        law: whose elements they are.
        known: which steps are known, bool [T], where NaN is a value too.
    """

    horizon: int

    def __init__(self, values: Tensor, law: ChainLaw, known: Tensor | None = None) -> None:
        space = law.space
        # as the elements will be, so that equality says what is meant
        self.values = torch.where(values.isnan(), values, values.to(space.dtype).double())
        self.law, self.end = law, space.end
        fixed = (~values.isnan()).reshape(*values.shape[:2], -1)
        if known is not None:
            fixed = known.to(fixed.device)[:, None].expand_as(fixed)
        said = fixed.any(2).any(0)
        self.said, self.whole = said.tolist(), fixed.all(2).all(0).tolist()
        self.horizon = int(said.nonzero()[-1]) + 1 if bool(said.any()) else 0

    def start(self, n: int) -> Memory:
        several = len(self.values) > 1
        return torch.arange(n)[:, None] if several else torch.zeros((n, 1), dtype=torch.int64)

    def at(self, own: Memory, begin: int, end: int) -> Tensor:
        """The values of some steps for each row, [N, K, *event]."""
        sets = own[:, 0].to(self.values.device)
        return self.values[sets, begin:end]

    def forced(self, own: Memory, step: int) -> Tensor | None:
        if step >= self.horizon or not self.said[step]:
            return None
        return self.at(own, step, step + 1)[:, 0]

    def allowed(self, own: Memory, step: int) -> Allowed | None:
        if self.end is None or step >= self.horizon:
            return None
        return Allowed(_all_but(self.end, self.law))

    def append(self, own: Memory, x: Tensor, step: int) -> tuple[Memory, Tensor]:
        forced = self.forced(own, step)
        if forced is None:
            return own, torch.zeros(len(x), dtype=torch.float64)
        other = (x.double().cpu() != forced.cpu()) & ~forced.isnan().cpu()
        return own, impossible(other.reshape(len(x), math.prod(other.shape[1:])).any(1))

    def finish(self, own: Memory, step: int, ended: bool) -> Tensor:
        return impossible(torch.full((len(own),), step < self.horizon))

    def free_until(self, step: int) -> int:
        if step >= self.horizon:
            return 2**62
        return step if self.end is not None else step + self.said[step:].index(True)

    def known_until(self, step: int) -> int:
        end = step
        while end < self.horizon and self.whole[end]:
            end += 1
        return end

    def linear(self, steps: int) -> Linear | None:
        flat = self.values[0].flatten()
        at = (~flat.isnan()).nonzero()[:, 0]
        width = math.prod(self.values.shape[2:])
        matrix = torch.zeros((len(at), steps * width), dtype=torch.float64)
        matrix[torch.arange(len(at)), at] = 1.0
        return Linear(matrix, flat[at], torch.zeros(len(at), dtype=torch.float64))


def _all_but(symbol: int, law: ChainLaw) -> Tensor:
    mask = torch.ones(int(law.space.size or 0), dtype=torch.bool)
    mask[symbol] = False
    return mask


# ---- the end -----------------------------------------------------------------------------------


class EndsAt(Evidence):
    """The sequence ends by itself after exactly so many elements.

    Args:
        length: how many elements are drawn before the end.

    Example:
        >>> import arproc
        >>> text = arproc.NGram(2, "witten_bell", tokens="char").fit(["ab", "aab", "abab"])
        >>> found = arproc.sampling.condition(text, EndsAt(3), n=5, seed=0)
        >>> {len(x) for x in found.x}, round(found.log_evidence, 3)
        ({3}, -1.889)
    """

    def __init__(self, length: int) -> None:
        self.length = check_count("length", length)

    def bound(self, setting: Setting) -> Terms:
        if not setting.law.space.terminates:
            raise UnsupportedError(
                "EndsAt is for processes whose sequences end by themselves; this one is of "
                f"{setting.law.space.describe()} elements without an end. Pass length= instead."
            )
        if setting.steps is not None and setting.steps <= self.length:
            raise ParameterError(
                f"length is {setting.steps}, and the sequence is to end after {self.length} "
                "elements; leave length out."
            )
        return _EndTerms(self.length, setting.law)


class _EndTerms(Terms):
    """An end after exactly so many elements."""

    def __init__(self, length: int, law: ChainLaw) -> None:
        self.length, self.horizon = length, length + 1
        assert law.space.end is not None
        self.before = _all_but(law.space.end, law)

    def allowed(self, own: Memory, step: int) -> Allowed | None:
        return Allowed(self.before if step < self.length else ~self.before)

    def append(self, own: Memory, x: Tensor, step: int) -> tuple[Memory, Tensor]:
        return own, impossible(torch.full((len(x),), step >= self.length))

    def finish(self, own: Memory, step: int, ended: bool) -> Tensor:
        return impossible(torch.full((len(own),), not (ended and step == self.length)))


# ---- barriers ----------------------------------------------------------------------------------


class Barrier(Evidence):
    """All elements lie from `low` to `high`.

    For real numbers, counts and ordered levels. An end, or both, may change with the position.

    Args:
        low: the lowest value allowed: a number, a list of them by position (minus infinity where
            there is none), or None.
        high: the highest.

    Example:
        >>> import arproc
        >>> walk = arproc.AR.from_parameters([0.9])
        >>> found = arproc.sampling.condition(walk, Barrier(low=0.0), n=500, length=8, seed=0)
        >>> bool((found.x >= 0).all()), found.effective_sample_size > 50
        (True, True)
    """

    def __init__(self, low: Any = None, high: Any = None) -> None:
        if low is None and high is None:
            raise ParameterError("low and high are both None; expected one end at least.")
        for name, value in (("low", low), ("high", high)):
            found = np.zeros(1) if value is None else check_array(name, value)
            if found.ndim > 1 or np.isnan(found).any() or not found.size:
                raise ParameterError(f"{name} must be a number or a list of them; got {value!r}.")
        self.low, self.high = low, high

    def bound(self, setting: Setting) -> Terms:
        space = setting.law.space
        kinds = ("ordinal", "binary", "count", "integer")
        ordered = space.measure == "density" or space.kind in kinds
        if space.event_shape or space.varies or not ordered:
            raise UnsupportedError(
                "Barrier is for processes of real numbers, counts and ordered levels; this one is "
                f"of {space.describe()} elements."
            )
        ends = [_end(self.low, -np.inf, setting, "low"), _end(self.high, np.inf, setting, "high")]
        widths = [len(end) for end in ends if len(end) > 1]
        steps = max(widths) if widths else setting.require_steps("Barrier")
        low, high = (np.pad(end, (0, steps - len(end)), "edge") if len(end) == 1
                     else np.pad(end, (0, steps - len(end)), constant_values=none)
                     for end, none in zip(ends, (-np.inf, np.inf), strict=True))  # fmt: skip
        if bool((low > high).any()):
            at = int((low > high).argmax())
            raise ParameterError(f"low is {low[at]:g} at step {at}, above high, {high[at]:g}.")
        return _BarrierTerms(low, high, setting.law)


def _end(value: Any, none: float, setting: Setting, name: str) -> np.ndarray:
    """One end of a barrier by step: of length one where it is the same at all."""
    if value is None:
        return np.array([none])
    found = np.atleast_1d(check_array(name, value))
    if np.ndim(value) == 0:
        return found
    places = [setting.place(position, name) for position in range(len(found))]
    by_step = np.full(max(max(places) + 1, 2), none)
    by_step[places] = found
    return by_step


class _BarrierTerms(Terms):
    """An interval for each step."""

    def __init__(self, low: np.ndarray, high: np.ndarray, law: ChainLaw) -> None:
        self.low, self.high, self.horizon = low.tolist(), high.tolist(), len(low)
        self.size = 2 if law.space.kind == "binary" else law.space.size
        self.density, self.counted = law.space.measure == "density", law.space.kind == "count"

    def allowed(self, own: Memory, step: int) -> Allowed | None:
        if step >= len(self.low):
            return None
        low, high = self.low[step], self.high[step]
        if self.density or self.counted:
            return Allowed(None, low, high)
        if self.size is None:  # drawn as they are, and weighed
            return None
        values = torch.arange(self.size)
        return Allowed((values >= low) & (values <= high))

    def append(self, own: Memory, x: Tensor, step: int) -> tuple[Memory, Tensor]:
        if step >= len(self.low):
            return own, torch.zeros(len(x), dtype=torch.float64)
        return own, impossible((x < self.low[step]) | (x > self.high[step]))
