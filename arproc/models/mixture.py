"""A per-step mixture of any processes over one space."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch.distributions import Distribution

from arproc.contract.law import require_fitted
from arproc.contract.process import Process, State
from arproc.contract.sequences import Layout, Sequences
from arproc.distributions import mix
from arproc.errors import DataError, NotComparableError, NotFittedError, ParameterError
from arproc.spaces import Space

__all__ = ["Mixture"]


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

    weights_: torch.Tensor
    n_iterations_: int

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
    def parts(self) -> list[Process]:
        """The parts, checked: fitted processes over one space with one kind of start."""
        parts = list(self.processes)
        if not parts or not all(isinstance(part, Process) for part in parts):
            kinds = ", ".join(type(part).__name__ for part in parts) or "nothing"
            raise ParameterError(f"processes must be a list of processes; got {kinds}.")
        for part in parts:
            require_fitted(part)
        first = parts[0]
        for part in parts[1:]:
            if part.space != first.space:
                raise NotComparableError(
                    f"the parts of a mixture need one space; {type(first).__name__} has "
                    f"{first.space.describe()} ({first.space.measure}) elements, "
                    f"{type(part).__name__} has {part.space.describe()} ({part.space.measure}) "
                    f"ones{_same_kind(first.space, part.space)}."
                )
            if part.n_given != first.n_given or part._layout_of(part.space) != first._layout_of(
                first.space
            ):
                raise NotComparableError(
                    f"the parts of a mixture must start in the same way and go in the same order; "
                    f"{type(first).__name__} and {type(part).__name__} do not."
                )
            if part.context_kind != first.context_kind:
                raise NotComparableError(
                    f"the parts of a mixture need one kind of context; {type(first).__name__} "
                    f"takes {first.context_kind}, {type(part).__name__} {part.context_kind}."
                )
        return parts

    @property
    def context_kind(self) -> Any:  # type: ignore[override]
        return self.parts[0].context_kind

    def _read_context(self, context: Any, n: int, length: int) -> torch.Tensor:
        return self.parts[0]._read_context(context, n, length)

    @property
    def space(self) -> Space:
        return self.parts[0].space

    @property
    def device(self) -> torch.device:
        return self.parts[0].device

    @property
    def n_given(self) -> int:
        return self.parts[0].n_given

    @property
    def log_weights(self) -> torch.Tensor:
        """The logarithms of the weights in use, float64 [M]."""
        if self.weights is not None:
            return given_weights(self.weights, len(self.processes)).log()
        if "weights_" not in self.__dict__:
            raise NotFittedError(
                "this Mixture has no weights yet; call fit(held-out data), or give weights=."
            )
        return self.weights_.log()

    def __sklearn_is_fitted__(self) -> bool:
        return self.weights is not None or "weights_" in self.__dict__

    def _layout_of(self, space: Space) -> Layout | None:
        return self.parts[0]._layout_of(space)

    # ---- fitting ---------------------------------------------------------------------------

    def _infer_space(self, data: Any) -> Space:
        return self.space

    def _fit(
        self, sequences: Sequences, *, validation: Sequences | None, context: torch.Tensor | None
    ) -> None:
        if validation is not None:
            raise ParameterError(
                "a Mixture fits its weights on the data given, which should be held out from its "
                "parts; it takes no validation."
            )
        terms = self._part_terms(sequences, context)
        weights = torch.full((len(terms),), 1 / len(terms), dtype=torch.float64)
        weights, steps = fit_weights(terms, weights, self.tolerance)
        self.weights_, self.n_iterations_ = weights, steps

    def _part_terms(self, sequences: Sequences, context: torch.Tensor | None) -> torch.Tensor:
        """Every part's terms, float64 [M, total]."""
        each = [part._log_prob_terms(sequences, context) for part in self.parts]
        return torch.stack([terms.double() for terms in each])

    # ---- the process -----------------------------------------------------------------------

    def _log_prob_terms(self, sequences: Sequences, context: torch.Tensor | None) -> torch.Tensor:
        terms = self._part_terms(sequences, context)
        return torch.logsumexp(terms + self.log_weights.to(terms.device)[:, None], dim=0)

    def _start(self, n: int, context: torch.Tensor | None) -> State:
        return _MixtureState([part._fresh(n, context) for part in self.parts], self.log_weights)


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


def given_weights(weights: Sequence[float], count: int) -> torch.Tensor:
    """The user's weights of so many parts, checked, float64 [count]."""
    given = torch.as_tensor(weights, dtype=torch.float64)
    if len(given) != count or not bool((given >= 0).all()):
        raise ParameterError(f"weights must be {count} numbers, none negative; got {weights!r}.")
    if abs(float(given.sum()) - 1) > 1e-6:
        raise ParameterError(f"weights must sum to 1; they sum to {float(given.sum()):g}.")
    return given / given.sum()


def fit_weights(
    terms: torch.Tensor, weights: torch.Tensor, tolerance: float, limit: int = 10_000
) -> tuple[torch.Tensor, int]:
    """EM for the weights of a mixture with fixed parts (Dempster, Laird and Rubin 1977, 4.3).

    The log-likelihood is concave in the weights, so EM finds its maximum.

    Args:
        terms: log p_k(x_t | x_<t), float64 [M, total].
        weights: where to start, [M], positive.
        tolerance: the least gain, in nats per element, that lets it go on.
        limit: how many iterations at most.

    Returns:
        The weights [M], and how many iterations there were.
    """
    best = terms.max(dim=0).values
    if not bool(torch.isfinite(best).all()):
        where = int((~torch.isfinite(best)).nonzero()[0])
        raise DataError(
            f"every part of the mixture gives element {where} of the data probability zero (or a "
            "likelihood that is not a number), so no weights can be fitted."
        )
    scaled = (terms - best).exp()
    last = -torch.inf
    for step in range(1, limit + 1):
        total = weights @ scaled
        gain = float(total.log().mean())
        weights = weights * (scaled / total).mean(dim=1)
        if gain - last < tolerance:
            return weights / weights.sum(), step
        last = gain
    return weights / weights.sum(), limit


def _same_kind(a: Space, b: Space) -> str:
    if a.describe() != b.describe():
        return ""
    return " with another vocabulary or another end (fit both on the same form of the data)"
