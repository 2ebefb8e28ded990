"""The law of a vector autoregression, and its state."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Literal

import numpy as np
import torch
from torch.distributions import Distribution, MultivariateNormal

from arproc.contract.checked import Array, positive_definite, sentences
from arproc.contract.context import ContextForm, split_clock
from arproc.contract.law import ChainLaw, hold_apart
from arproc.contract.sequences import Sequences
from arproc.contract.state import State
from arproc.contract.storable import storable
from arproc.distributions import index, observed_scores
from arproc.errors import UnsupportedError
from arproc.models.autoregression.vector import likelihood, recursion, simulation
from arproc.models.autoregression.vector.inputs import plain
from arproc.models.autoregression.vector.recursion import VectorRecursion
from arproc.models.autoregression.vector.state import Known, VectorState, raised
from arproc.spaces import RealVector

__all__ = ["VARLaw"]

Numbers = np.ndarray | torch.Tensor
#: A root so near one leaves no mean: an estimate's is further off, or exactly there.
_NEAR = 1e-4


@storable
@dataclass(frozen=True, eq=False, repr=False)
class VARLaw(ChainLaw):
    """The parameters of a Gaussian vector autoregression, arrays or tensors of float64.

    Attributes:
        coef: A_1 ... A_p, [p, d, d]; row a holds component a's equation.
        sigma: the innovations' covariance, [d, d].
        mean: the mean at t = 0, [d]; nan where a unit root leaves none.
        slope: the mean's slope, [d].
        intercept: the recursion's constants, [d].
        drift: the recursion's coefficients of t, [d].
        initial: the law of the first p elements: "stationary", "given" (none), or a normal
            distribution of their p d numbers.
        beta: the regressors' coefficients, [d, c]; None where there are no regressors.
        regressors: what they are part of, "mean" or "recursion", if there are any.
    """

    coef: Annotated[Numbers, Array("p", "d", "d", kind="real")]
    sigma: Annotated[Numbers, Array("d", "d", kind="real")]
    mean: Annotated[Numbers, Array("d", kind="real", nan=True)]
    slope: Annotated[Numbers, Array("d", kind="real", nan=True)]
    intercept: Annotated[Numbers, Array("d", kind="real")]
    drift: Annotated[Numbers, Array("d", kind="real")]
    initial: Literal["stationary", "given"] | MultivariateNormal = "stationary"
    beta: Annotated[Numbers | None, Array("d", "c", kind="real")] = None
    regressors: Literal["mean", "recursion"] | None = None

    takes_missing = True

    def __post_init__(self) -> None:
        super().__post_init__()
        hold_apart(self)

    def problems(self) -> Iterator[str]:
        size, normal = self.order * len(self.sigma), self.initial
        fits = isinstance(normal, str) or (normal.batch_shape, normal.event_shape) == ((), (size,))
        yield from sentences(
            (len(self.sigma) == 0, "sigma has no components"),
            (not fits, f"initial is no normal law of the first {size} numbers"),
            ((self.beta is None) != (self.regressors is None), "beta are coefficients of "
             "regressors, and there are none, or they have no coefficients"),
            (self.regressors == "recursion" and self.initial == "stationary", "a recursion with "
             "regressors has no stationary start"),
            (self.regressors == "mean" and not isinstance(normal, str), "initial is a normal law "
             "of first elements whose mean regressors move"),
            (self._no_mean and self.initial == "stationary", "there is no mean (nan), and the law "
             "needs one"),
            (self._no_mean and not self._unit_root,
             "there is no mean (nan), and no unit root that leaves none"),
            (not positive_definite(self.sigma), "sigma is no covariance: it is not symmetric with "
             "positive eigenvalues"),
        )  # fmt: skip

    @property
    def _no_mean(self) -> bool:
        """Whether a unit root leaves no mean."""
        parts = (torch.as_tensor(part).detach() for part in (self.mean, self.slope))
        return any(bool(part.isnan().any()) for part in parts)

    @property
    def _unit_root(self) -> bool:
        """Whether there is one, to rounding, whatever the components' units."""
        left = np.eye(len(self.sigma)) - plain(self.coef).sum(axis=0)
        return bool(np.abs(np.linalg.eigvals(left)).min() < _NEAR)

    @property
    def order(self) -> int:
        """The number of lags p."""
        return len(self.coef)

    @cached_property
    def space(self) -> RealVector:  # type: ignore[override]
        return RealVector(dimension=len(self.sigma))

    @cached_property
    def context(self) -> ContextForm | None:  # type: ignore[override]
        return None if self.beta is None else ContextForm("steps", self.beta.shape[1])

    @property
    def terms(self) -> list[str]:
        """The names of what `beta` is of."""
        return [f"x{j + 1}" for j in range(0 if self.beta is None else self.beta.shape[1])]

    @property
    def window_length(self) -> int:
        return self.order

    @cached_property
    def n_given(self) -> int:  # type: ignore[override]
        return self.order if isinstance(self.initial, str) and self.initial == "given" else 0

    @property
    def recursion(self) -> VectorRecursion:
        """What the conditionals need; made anew where gradients are to flow through it.

        Raises:
            ParameterError: these parameters have no law.
        """
        return self._recursion if self._is_fixed else self._build()

    @cached_property
    def _is_fixed(self) -> bool:
        parts = (self.coef, self.sigma, self.mean, self.slope)  # beta is none of the recursion's
        return not any(isinstance(part, torch.Tensor) and part.requires_grad for part in parts)

    @cached_property
    def _recursion(self) -> VectorRecursion:
        return self._build()

    def _build(self) -> VectorRecursion:
        parts = (self.coef, self.sigma, self.mean, self.slope, self.intercept, self.drift)
        tensors = (torch.as_tensor(part, dtype=torch.float64, device="cpu") for part in parts)
        return recursion.build(self.initial, *tensors)

    # ---- the contract --------------------------------------------------------------------------

    @property
    def clocked(self) -> bool:  # type: ignore[override]
        return bool((plain(self.drift) != 0).any() or (plain(self.slope) != 0).any())

    def level(
        self,
        context: torch.Tensor | None,
        position: torch.Tensor,
        rows: torch.Tensor | None = None,
    ) -> torch.Tensor | None:
        """What the process is less, to be one about the line from t = 0 without regressors.

        Args:
            context: [N, T, c], or [N, 1] of t alone.
            position: of the elements, int64 [N, K]; or [n], of the rows `rows` [n].
            rows: whose elements these are.

        Returns:
            [N, K, d], or [n, d]; nan where the context has ended; None where it is 0.
        """
        given, first = split_clock(context, len(self.terms))
        level = None
        if self.regressors == "mean":
            level = self._driven_by(given, position, rows)
        if first is None:
            return level
        slope = torch.as_tensor(self.slope, dtype=torch.float64)
        if bool(torch.isnan(slope).any()):
            raise UnsupportedError(
                "this VAR has a drift and a unit root, so its line can not be begun elsewhere; "
                "leave offset and dates out, or begin the data where those of fit did."
            )
        first = first[:, None] if rows is None else first[rows]
        risen = first[..., None] * slope
        if level is not None:
            return level + risen
        return risen.expand(*position.shape, -1)

    def driven(
        self,
        context: torch.Tensor | None,
        position: torch.Tensor,
        rows: torch.Tensor | None = None,
    ) -> torch.Tensor | None:
        """What regressors add to the recursion; arguments and result as for `level`."""
        if self.regressors != "recursion":
            return None
        return self._driven_by(split_clock(context, len(self.terms))[0], position, rows)

    def _driven_by(
        self, context: torch.Tensor | None, position: torch.Tensor, rows: torch.Tensor | None
    ) -> torch.Tensor:
        """The regressors' part at these positions; before the sequence that of its first step."""
        assert context is not None
        assert self.beta is not None
        last = context.shape[1] - 1
        if rows is None:
            rows = torch.arange(len(position), device=position.device)[:, None]
        if last < 0:
            return torch.full((*position.shape, len(self.sigma)), torch.nan, dtype=torch.float64)
        values = context[rows, position.clamp(min=0, max=last)].to(torch.float64)
        found = values @ torch.as_tensor(self.beta, dtype=torch.float64, device="cpu").mT
        # beyond the context nothing is known: nan there, and the caller sees it at once
        return found.masked_fill((position > last)[..., None], torch.nan)

    def window(
        self, ctx: torch.Tensor, position: torch.Tensor, context: torch.Tensor | None = None
    ) -> Distribution:
        if self.regressors is not None:
            raise UnsupportedError(
                "the window of a VAR with regressors is not enough to tell what comes next; use "
                "start(prefix, context=...)."
            )
        level = self.level(context, position)
        if level is None:
            return self.recursion.conditional(ctx, position)
        found = self.recursion.conditional(ctx - level[:, :, None], position)
        return raised(found, level)

    def start(self, n: int, context: torch.Tensor | None) -> State:
        _ = self.recursion  # refuses parameters that have no law
        return VectorState(n)

    def log_prob_terms(self, sequences: Sequences, context: torch.Tensor | None) -> torch.Tensor:
        if sequences.missing:
            return self.derived_log_prob_terms(sequences, context)
        return likelihood.log_prob_terms(*self.flat(sequences, context))

    def flat(
        self, sequences: Sequences, context: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor, VectorRecursion, int, torch.Tensor | None]:
        """The elements less their level, and what else their likelihood needs."""
        x, lengths, driven = sequences.values.to(torch.float64), sequences.lengths, None
        if context is not None:
            rows = torch.repeat_interleave(torch.arange(len(lengths)), lengths)
            place = torch.arange(len(x)) - sequences.offsets[:-1][rows]
            level, driven = (f(context, place, rows) for f in (self.level, self.driven))
            x = x if level is None else x - level
        return x, lengths, self.recursion, self.n_given, driven

    def residuals(
        self, sequences: Sequences, context: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Each element less its mean given those before, and the same whitened, [total, d]."""
        if sequences.missing:
            return self._filtered_residuals(sequences, context)
        return likelihood.residuals(*self.flat(sequences, context))

    def _filtered_residuals(
        self, sequences: Sequences, context: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        plain_parts, white_parts = [], []
        for i in range(len(sequences)):
            x = sequences.row(i)[None].to(torch.float64)
            state = self.fresh(1, None if context is None else context[i : i + 1])
            columns = index(state.extend(x)[0], (slice(None), slice(self.n_given, -1)))
            scored = x[:, self.n_given :]
            plain_parts.append((scored - columns.mean)[0])
            white_parts.append(observed_scores(columns, scored)[0])
        return torch.cat(plain_parts), torch.cat(white_parts)

    def predictive(self, state: State, horizon: int) -> Distribution | None:
        known, level = self.known(state, horizon)
        mean, covariance = simulation.marginals(*known)
        if isinstance(state, VectorState) and state.belief is not None:
            doubt = self._doubt(state, horizon).unflatten(1, (horizon, -1))
            covariance = covariance + doubt @ doubt.mT
        mean = mean if level is None else mean + level
        return MultivariateNormal(mean, covariance, validate_args=False)

    def joint(self, state: State, horizon: int) -> MultivariateNormal:
        known, level = self.known(state, horizon)
        mean, factor = simulation.joint(*known)
        if isinstance(state, VectorState) and state.belief is not None:
            doubt = self._doubt(state, horizon)
            factor = torch.linalg.cholesky(factor @ factor.mT + doubt @ doubt.mT)
        mean = mean if level is None else mean + level.flatten(1)
        return MultivariateNormal(mean, scale_tril=factor, validate_args=False)

    def known(self, state: State, horizon: int) -> tuple[Known, torch.Tensor | None]:
        """What the next elements follow from, without gradients, and their level [N, horizon, d].

        The last p elements less their level, how many there were, the recursion, the horizon, and
        what regressors add.
        """
        if self.n_given:
            _ = state.conditional  # refuses a history shorter than what must be given
        recursion = self.recursion.detach()
        ahead = state.lengths[:, None] + torch.arange(horizon)
        level, driven = (f(state.context, ahead) for f in (self.level, self.driven))
        if isinstance(state, VectorState) and state.belief is not None:
            means = state.belief.mean.detach().unflatten(1, (self.order, -1))
            before = means + recursion.center
        else:
            before = state.history.tail(self.order).detach()
            past = self.level(state.context, state.lengths[:, None] + torch.arange(-self.order, 0))
            before = before if past is None else before - past
        level, driven = (None if v is None else v.detach() for v in (level, driven))
        return (before.detach(), state.lengths, recursion, horizon, driven), level

    def _doubt(self, state: VectorState, horizon: int) -> torch.Tensor:
        """How the unknown part of the last elements moves the next ones, [N, horizon d, p d]."""
        assert state.belief is not None
        covariance, recursion = state.belief.covariance.detach(), self.recursion.detach()
        values, vectors = torch.linalg.eigh(covariance)
        factor = vectors * values.clamp(min=0).sqrt()[:, None]
        return simulation.carried(state.lengths, recursion, horizon) @ factor
