"""A per-step mixture of any processes over one space."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Annotated, Any

import torch
from torch.distributions import Distribution

from arproc.contract.checked import Array, Number, sentences
from arproc.contract.context import ContextForm, split_clock
from arproc.contract.law import ChainLaw, DerivedLaw
from arproc.contract.machine import Machine, side_by_side
from arproc.contract.sequences import Sequences
from arproc.contract.state import State
from arproc.contract.storable import storable
from arproc.data.form import Layout
from arproc.data.labels import Labels
from arproc.distributions import mix
from arproc.errors import NotComparableError, NotFittedError, ParameterError, check_number
from arproc.inference.weights import fit_weights, given_weights
from arproc.process import Fit, Process
from arproc.process.fit import Learnt
from arproc.spaces import Space

__all__ = ["Mixture", "MixtureLaw"]


@storable
@dataclass(frozen=True, eq=False, repr=False)
class MixtureLaw(DerivedLaw):
    """The per-step mixture of laws over one space that start in the same way.

    Attributes:
        parts: the laws.
        weights: theirs, float64 [M], none negative and summing to one.
    """

    parts: tuple[ChainLaw, ...]
    weights: Annotated[torch.Tensor, Array("n_parts", low=0, high=1 + 1e-9)]

    def problems(self) -> Iterator[str]:
        yield from sentences(
            (not self.parts, "there are no parts"),
            (abs(float(self.weights.sum()) - 1) > 1e-6, "the weights do not sum to one"),
        )
        first = self.parts[0]
        for part in self.parts[1:]:
            _check_alike(type(first).__name__, first, type(part).__name__, part)

    @property
    def n_parts(self) -> int:
        """How many laws are mixed."""
        return len(self.parts)

    @property
    def base(self) -> ChainLaw:
        return self.parts[0]

    @cached_property
    def log_weights(self) -> torch.Tensor:
        """The logarithms of the weights, float64 [M]."""
        return self.weights.log()

    def log_prob_terms(self, sequences: Sequences, context: torch.Tensor | None) -> torch.Tensor:
        terms = part_terms(self.parts, sequences, context)
        return torch.logsumexp(terms + self.log_weights.to(terms.device)[:, None], dim=0)

    def midway(self) -> MixtureLaw:
        return replace(self, parts=tuple(part.midway() for part in self.parts))

    def machine(self) -> Machine | None:
        def mixed(scores: torch.Tensor) -> torch.Tensor:
            return torch.logsumexp(scores + self.log_weights[:, None, None], dim=0)

        return side_by_side([part.machine() for part in self.parts], mixed)

    @property
    def clocked(self) -> bool:  # type: ignore[override]
        return any(part.clocked for part in self.parts)

    @property
    def counts_from_zero(self) -> bool:  # type: ignore[override]
        return any(part.counts_from_zero for part in self.parts)

    def start(self, n: int, context: torch.Tensor | None) -> State:
        own = _contexts(self.parts, context)
        states = [part.fresh(n, one) for part, one in zip(self.parts, own, strict=True)]
        return _MixtureState(states, self.log_weights)


def part_terms(
    parts: Sequence[ChainLaw], sequences: Sequences, context: torch.Tensor | None
) -> torch.Tensor:
    """Every part's terms, float64 [M, total]."""
    own = _contexts(parts, context)
    return torch.stack(
        [
            part.log_prob_terms(sequences, one).double()
            for part, one in zip(parts, own, strict=True)
        ]
    )


def _contexts(
    parts: Sequence[ChainLaw], context: torch.Tensor | None
) -> list[torch.Tensor | None]:
    """The context of each part: with t in it for those that count time."""
    if context is None or not any(part.clocked for part in parts):
        return [context] * len(parts)
    plain = split_clock(context, context.shape[-1] - 1)[0]
    return [context if part.clocked else plain for part in parts]


class Mixture(Process):
    """p(x_t | x_<t) = sum_k w_k p_k(x_t | x_<t), the weights w the same at every step.

    (Jelinek and Mercer 1980: linear interpolation.) The parts are processes of any family over
    one space, fitted before; `fit` learns the weights alone, by EM, and must be given data that
    the parts were *not* fitted on: on their own training data the part that overfits most wins.

    Args:
        processes: fitted processes over one space that start in the same way.
        weights: fixed weights, one a process, positive and summing to one; None to fit them.
        tolerance: EM stops when an iteration gains less than this, in nats per element.

    Attributes:
        weights_: the fitted weights, float64 [M].
        n_iterations_: how many iterations EM took.

    Example:
        >>> import arproc
        >>> calm = arproc.AR(1).fit([0.1, 0.2, -0.3, 0.2, -0.1])
        >>> wild = arproc.AR(0).fit([3.0, -2.0, 1.0])
        >>> mixture = arproc.Mixture([calm, wild]).fit([0.3, -0.2, 2.5, 0.1, -0.2])
        >>> round(float(mixture.weights_.sum()), 6)
        1.0
    """

    weights_: Annotated[torch.Tensor, Array("k", low=0, high=1)]
    n_iterations_: Annotated[int, Number(low=0)]

    def __init__(
        self,
        processes: Sequence[Process],
        weights: Sequence[float] | None = None,
        tolerance: float = 1e-9,
    ) -> None:
        self.processes = processes
        self.weights = weights
        self.tolerance = tolerance

    # ---- what it is made of ----------------------------------------------------------------

    @property
    def law_(self) -> MixtureLaw:
        if not super().__sklearn_is_fitted__() and self.weights is not None:
            self._hold_given()
        law = super().law_
        assert isinstance(law, MixtureLaw)
        return law

    @property
    def fit_(self) -> Fit:
        if not super().__sklearn_is_fitted__() and self.weights is not None:
            self._hold_given()
        return super().fit_

    def _hold_given(self) -> None:
        """Hold the law of the processes as they are when it is first asked for."""
        parts = self._parts()
        assert self.weights is not None
        weights = given_weights(self.weights, len(parts))
        first: Any = next(iter(self.processes))
        fit = Fit(form=first.fit_.form, labels=self._known_labels(), notes={"weights": weights})
        self._held = Learnt(MixtureLaw(parts, weights), fit)

    def _not_fitted(self) -> NotFittedError:
        return NotFittedError(
            "this Mixture has no weights yet; call fit(held-out data), or give weights=."
        )

    def __sklearn_is_fitted__(self) -> bool:
        return self.weights is not None or super().__sklearn_is_fitted__()

    def _parts(self) -> tuple[ChainLaw, ...]:
        """The laws of the processes, checked: over one space, with one kind of start."""
        listed = isinstance(self.processes, (list, tuple))
        processes: list[Any] = list(self.processes) if listed else [self.processes]
        if not listed or not processes or not all(isinstance(one, Process) for one in processes):
            kinds = ", ".join(type(one).__name__ for one in processes) or "nothing"
            raise ParameterError(f"processes must be a list of processes; got {kinds}.")
        laws = tuple(process.law_ for process in processes)
        for process, law in zip(processes, laws, strict=True):
            _check_alike(type(processes[0]).__name__, laws[0], type(process).__name__, law)
        return laws

    def _context_form(self) -> ContextForm | None:
        return self._parts()[0].context

    def _known_labels(self) -> Labels:
        one: Any = self.processes[0]
        return one.fit_.labels

    @property
    def _counts_time(self) -> bool:
        return any(part.clocked for part in self._parts())

    @property
    def context_kind(self) -> Any:  # type: ignore[override]
        form = self._context_form()
        return None if form is None else form.kind

    def _layout_of(self, space: Space) -> Layout | None:
        return self._parts()[0].layout

    # ---- fitting ---------------------------------------------------------------------------

    def _infer_space(self, data: Any) -> Space:
        return self._parts()[0].space

    def _fit(
        self, sequences: Sequences, *, validation: Sequences | None, context: torch.Tensor | None
    ) -> tuple[MixtureLaw, Fit]:
        if validation is not None:
            raise ParameterError(
                "a Mixture fits its weights on the data given, which should be held out from its "
                "parts; it takes no validation."
            )
        check_number("tolerance", self.tolerance, low=0)
        parts = self._parts()
        terms = part_terms(parts, sequences, context)
        weights = torch.full((len(terms),), 1 / len(terms), dtype=torch.float64)
        weights, steps = fit_weights(terms, weights, self.tolerance)
        used = weights if self.weights is None else given_weights(self.weights, len(parts))
        return MixtureLaw(parts, used), Fit(notes={"weights": weights, "n_iterations": steps})


class _MixtureState(State):
    """The parts' states side by side."""

    def __init__(self, parts: Sequence[State], log_weights: torch.Tensor) -> None:
        self.parts = parts
        self.log_weights = log_weights

    def _conditional(self) -> Distribution:
        return mix([part.conditional for part in self.parts], self.log_weights)

    def _append(self, x: torch.Tensor) -> State:
        return _MixtureState([part.append(x) for part in self.parts], self.log_weights)

    def _extend(self, x: torch.Tensor, lengths: torch.Tensor | None) -> tuple[Distribution, State]:
        pairs = [part.extend(x, lengths) for part in self.parts]
        columns = mix([columns for columns, _ in pairs], self.log_weights)
        return columns, _MixtureState([state for _, state in pairs], self.log_weights)

    def _select(self, rows: torch.Tensor) -> State:
        return _MixtureState([part.select(rows) for part in self.parts], self.log_weights)

    def _truncate(self, lengths: torch.Tensor) -> State:
        return _MixtureState([part.truncate(lengths) for part in self.parts], self.log_weights)

    def _join(self, states: Sequence[Any]) -> State:
        each = zip(*(state.parts for state in states), strict=True)
        return _MixtureState([first.join(*rest) for first, *rest in each], self.log_weights)


def _check_alike(one: str, first: ChainLaw, other: str, part: ChainLaw) -> None:
    """Raise `NotComparableError` unless two laws may be mixed step by step."""
    if part.space != first.space:
        raise NotComparableError(
            f"the parts of a mixture need one space; {one} has "
            f"{first.space.describe()} ({first.space.measure}) elements, "
            f"{other} has {part.space.describe()} ({part.space.measure}) "
            f"ones{_same_kind(first.space, part.space)}."
        )
    if part.n_given != first.n_given or part.layout != first.layout:
        raise NotComparableError(
            f"the parts of a mixture must start in the same way and go in the same order; "
            f"{one} and {other} do not."
        )
    kinds = [None if law.context is None else law.context.kind for law in (first, part)]
    if kinds[0] != kinds[1]:
        raise NotComparableError(
            f"the parts of a mixture need one kind of context; {one} "
            f"takes {kinds[0]}, {other} {kinds[1]}."
        )


def _same_kind(a: Space, b: Space) -> str:
    if a.describe() != b.describe():
        return ""
    return " with another vocabulary or another end (fit both on the same form of the data)"
