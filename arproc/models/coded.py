"""`Coded`: a process of real numbers as one of their codes, with masses and not densities.

A code's mass is the difference of the conditional's distribution function over the code's
interval. Processes of real numbers are so compared with those of codes (n-grams, `WaveNet`) in
one unit, bits a sample.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch.distributions import Distribution

from arproc.contract.context import ContextForm
from arproc.contract.law import ChainLaw, DerivedLaw
from arproc.contract.sequences import Sequences
from arproc.contract.state import State
from arproc.contract.storable import storable
from arproc.data.form import Layout
from arproc.data.sounds import MuLaw
from arproc.distributions import Binned
from arproc.errors import ParameterError, check_flag, check_integer
from arproc.process import Fit, Process
from arproc.spaces import Ordinal, Real, Space

__all__ = ["Coded", "CodedLaw"]


class Coded(Process):
    """A process of real numbers as a process of mu-law codes.

    The process is fitted to the numbers that the codes stand for, and what it says next is given
    to the codes: each gets the mass of its interval, the first and the last the tails. It is an
    exact law of codes, whose masses add up to one.

    Args:
        process: of real numbers; it is cloned, and the clone fitted.
        levels: how many codes there are, 0 ... levels-1; see `arproc.audio.encode`.
        companded: whether the process is of the companded scale, on which codes lie evenly from
            -1 to 1, rather than of the waveform.

    Attributes:
        process_: the fitted process of real numbers.

    Example:
        >>> import numpy as np
        >>> import arproc
        >>> codes = arproc.audio.encode(np.sin(np.arange(200.0) / 4) / 2, levels=64)
        >>> model = Coded(arproc.AR(2), levels=64).fit(codes)
        >>> bits = arproc.evaluate(model, codes).bits_per_element
        >>> bool(bits < 4), model.sample(1, length=5, seed=0).dtype
        (True, dtype('uint8'))
    """

    process_: Process

    def __init__(self, process: Process, levels: int = 256, companded: bool = False) -> None:
        self.process = process
        self.levels = levels
        self.companded = companded

    def _infer_space(self, data: Any) -> Space:
        check_integer("levels", self.levels, minimum=2)
        check_flag("companded", self.companded)
        if not isinstance(self.process, Process):
            raise ParameterError(
                f"Coded takes a process, such as Coded(AR(2)); got {self.process!r}."
            )
        space = Ordinal(levels=MuLaw(self.levels).levels)
        inner = self.process._infer_space(torch.zeros(2, dtype=torch.float64))
        if type(inner) is not Real:
            raise ParameterError(
                f"Coded is for processes of real scalars; {type(self.process).__name__} has "
                f"{inner.describe()} elements."
            )
        return space

    def _fit(
        self, sequences: Sequences, *, validation: Sequences | None, context: torch.Tensor | None
    ) -> tuple[CodedLaw, Fit]:
        code = MuLaw(self.levels)
        held_out = None
        if validation is not None:
            held_out = _inward(validation, code, self.companded).given(validation.context)
        inner = self.process.fitted_to(_inward(sequences, code, self.companded), held_out, context)
        return CodedLaw(inner.law_, code, self.companded), Fit(notes={"process": inner})

    @property
    def _counts_time(self) -> bool:
        return self.process._counts_time

    @property
    def context_kind(self) -> Any:  # type: ignore[override]
        return self.process.context_kind

    def _context_form(self) -> ContextForm | None:
        return self.process._context_form()


@storable
@dataclass(frozen=True, eq=False, repr=False)
class CodedLaw(DerivedLaw):
    """The law of codes whose numbers have a law.

    Attributes:
        law: of the numbers.
        code: the codes.
        companded: whether the numbers are those of the companded scale.
    """

    law: ChainLaw
    code: MuLaw
    companded: bool = False

    @property
    def base(self) -> ChainLaw:
        return self.law

    @property
    def space(self) -> Space:  # type: ignore[override]
        return Ordinal(levels=self.code.levels)

    @property
    def layout(self) -> Layout | None:
        return None

    @property
    def carries_parameter_uncertainty(self) -> bool:  # type: ignore[override]
        return self.law.carries_parameter_uncertainty

    @cached_property
    def values(self) -> torch.Tensor:
        """The number that each code stands for, float64 [levels]."""
        return _values(self.code, self.companded).to(self.device)

    @cached_property
    def edges(self) -> torch.Tensor:
        """What lies between neighbouring codes, float64 [levels - 1]."""
        if not self.companded:
            return torch.from_numpy(self.code.edges).to(self.device)
        return (self.values[1:] + self.values[:-1]) / 2

    def start(self, n: int, context: torch.Tensor | None) -> State:
        return _CodedState(self.law.fresh(n, context), self)


class _CodedState(State):
    """The state of the process of numbers."""

    def __init__(self, inner: State, coded: CodedLaw) -> None:
        self.inner, self.coded = inner, coded

    def _conditional(self) -> Distribution:
        return Binned(self.inner.conditional, self.coded.edges)

    def _append(self, x: torch.Tensor) -> State:
        return self._like(self.inner.append(self._numbers(x)))

    def _extend(self, x: torch.Tensor, lengths: torch.Tensor | None) -> tuple[Distribution, State]:
        columns, inner = self.inner.extend(self._numbers(x), lengths)
        return Binned(columns, self.coded.edges), self._like(inner)

    def _select(self, rows: torch.Tensor) -> State:
        return self._like(self.inner.select(rows))

    def _truncate(self, lengths: torch.Tensor) -> State:
        return self._like(self.inner.truncate(lengths))

    def _numbers(self, x: torch.Tensor) -> torch.Tensor:
        return self.coded.values.to(self.coded.law.space.dtype)[x.long()]

    def _like(self, inner: State) -> State:
        return _CodedState(inner, self.coded)


def _values(code: MuLaw, companded: bool) -> torch.Tensor:
    return torch.from_numpy(code.companded if companded else code.values)


def _inward(sequences: Sequences, code: MuLaw, companded: bool) -> Sequences:
    """The numbers that codes stand for."""
    x = _values(code, companded).to(sequences.values.device)[sequences.values.long()]
    found = Sequences(x, sequences.offsets, Real(), sequences.complete)
    return found if sequences.weights is None else found.weighted(sequences.weights)
