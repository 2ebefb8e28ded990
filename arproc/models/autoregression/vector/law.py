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
from arproc.contract.context import split_clock
from arproc.contract.law import ChainLaw, hold_apart
from arproc.contract.sequences import Sequences
from arproc.contract.state import State, WindowState
from arproc.contract.storable import storable
from arproc.distributions import index, observed_scores
from arproc.errors import UnsupportedError
from arproc.models.autoregression.filtering import Belief, refuse_given
from arproc.models.autoregression.vector import filtering, likelihood, recursion, simulation
from arproc.models.autoregression.vector.inputs import plain
from arproc.models.autoregression.vector.recursion import VectorRecursion
from arproc.spaces import RealVector

__all__ = ["VARLaw", "VectorState"]

Numbers = np.ndarray | torch.Tensor
#: A root so near one leaves no mean: an estimate's is further off, or exactly there.
_NEAR = 1e-4

_AT_ONCE = 2**20  # elements that one call draws, in all rows together


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
    """

    coef: Annotated[Numbers, Array("p", "d", "d", kind="real")]
    sigma: Annotated[Numbers, Array("d", "d", kind="real")]
    mean: Annotated[Numbers, Array("d", kind="real", nan=True)]
    slope: Annotated[Numbers, Array("d", kind="real", nan=True)]
    intercept: Annotated[Numbers, Array("d", kind="real")]
    drift: Annotated[Numbers, Array("d", kind="real")]
    initial: Literal["stationary", "given"] | MultivariateNormal = "stationary"

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
        parts = (self.coef, self.sigma, self.mean, self.slope)
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

    def risen(self, context: torch.Tensor | None) -> torch.Tensor | None:
        """How far the line has risen where rows begin, [N, d]; None where all begin at t = 0.

        A process about a line that begins later is the same process less that.
        """
        first = split_clock(context, 0)[1]
        if first is None:
            return None
        slope = torch.as_tensor(self.slope, dtype=torch.float64)
        if bool(torch.isnan(slope).any()):
            raise UnsupportedError(
                "this VAR has a drift and a unit root, so its line can not be begun elsewhere; "
                "leave offset and dates out, or begin the data where those of fit did."
            )
        return first[:, None] * slope

    def window(
        self, ctx: torch.Tensor, position: torch.Tensor, context: torch.Tensor | None = None
    ) -> Distribution:
        risen = self.risen(context)
        if risen is None:
            return self.recursion.conditional(ctx, position)
        found = self.recursion.conditional(ctx - risen[:, None, None], position)
        loc = found.loc + risen[:, None]
        return MultivariateNormal(loc, scale_tril=found.scale_tril, validate_args=False)

    def start(self, n: int, context: torch.Tensor | None) -> State:
        _ = self.recursion  # refuses parameters that have no law
        return VectorState(n)

    def log_prob_terms(self, sequences: Sequences, context: torch.Tensor | None) -> torch.Tensor:
        if sequences.missing:
            return self.derived_log_prob_terms(sequences, context)
        x = self._level(sequences, context)
        return likelihood.log_prob_terms(x, sequences.lengths, self.recursion, self.n_given)

    def _level(self, sequences: Sequences, context: torch.Tensor | None) -> torch.Tensor:
        """The elements as they were if all sequences began at t = 0, [total, d]."""
        x, risen = sequences.values.to(torch.float64), self.risen(context)
        if risen is None:
            return x
        return x - torch.repeat_interleave(risen, sequences.lengths, dim=0).to(x.device)

    def residuals(
        self, sequences: Sequences, context: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Each element less its mean given those before, and the same whitened, [total, d]."""
        if sequences.missing:
            return self._filtered_residuals(sequences, context)
        x = self._level(sequences, context)
        return likelihood.residuals(x, sequences.lengths, self.recursion, self.n_given)

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
        mean, covariance = simulation.marginals(*self._known(state), horizon)
        if isinstance(state, VectorState) and state.belief is not None:
            doubt = self._doubt(state, horizon).unflatten(1, (horizon, -1))
            covariance = covariance + doubt @ doubt.mT
        risen = self.risen(state.context)
        mean = mean if risen is None else mean + risen[:, None]
        return MultivariateNormal(mean, covariance, validate_args=False)

    def joint(self, state: State, horizon: int) -> MultivariateNormal:
        mean, factor = simulation.joint(*self._known(state), horizon)
        if isinstance(state, VectorState) and state.belief is not None:
            doubt = self._doubt(state, horizon)
            factor = torch.linalg.cholesky(factor @ factor.mT + doubt @ doubt.mT)
        risen = self.risen(state.context)
        mean = mean if risen is None else mean + risen.repeat(1, horizon)
        return MultivariateNormal(mean, scale_tril=factor, validate_args=False)

    def _known(self, state: State) -> tuple[torch.Tensor, torch.Tensor, VectorRecursion]:
        """The last p elements, how many there were, and the recursion; without gradients."""
        if self.n_given:
            _ = state.conditional  # refuses a history shorter than what must be given
        before, risen = state.history.tail(self.order).detach(), self.risen(state.context)
        before = before if risen is None else before - risen[:, None]
        recursion = self.recursion.detach()
        if isinstance(state, VectorState) and state.belief is not None:
            means = state.belief.mean.detach().unflatten(1, (self.order, -1))
            before = means + recursion.center
        return before, state.lengths, recursion

    def _doubt(self, state: VectorState, horizon: int) -> torch.Tensor:
        """How the unknown part of the last elements moves the next ones, [N, horizon d, p d]."""
        assert state.belief is not None
        covariance, recursion = state.belief.covariance.detach(), self.recursion.detach()
        values, vectors = torch.linalg.eigh(covariance)
        factor = vectors * values.clamp(min=0).sqrt()[:, None]
        return simulation.carried(state.lengths, recursion, horizon) @ factor


class VectorState(WindowState):
    """The last elements, and a fast way to draw many more.

    Args:
        n: how many rows there are, on which depends how many elements are drawn at once.
        belief: what is known of the last elements, where a component of one is missing.
        gaps: whether anything so far is missing.
    """

    law: VARLaw

    def __init__(self, n: int, belief: Belief | None = None, gaps: bool = False) -> None:
        super().__init__(max(16, _AT_ONCE // max(n, 1)))
        self.belief = belief
        self.gaps = gaps

    def advance(self, uniforms: torch.Tensor) -> tuple[torch.Tensor, State]:
        if self.belief is not None:  # one by one, until p are drawn and all before is known
            steps = max(self.law.order, 1)
            if uniforms.shape[1] <= steps:
                return State.advance(self, uniforms)
            first, state = State.advance(self, uniforms[:, :steps])
            rest, state = state.advance(uniforms[:, steps:])
            return torch.cat([first, rest], dim=1), state
        x, risen = simulation.draw(uniforms, *self.law._known(self)), self.law.risen(self.context)
        x = x if risen is None else x + risen[:, None]
        after = VectorState(self.n, gaps=self.gaps)
        return x, self._carry(after, self.history.extend(x), self.context)

    def _conditional(self) -> Distribution:
        if self.belief is None:
            return super()._conditional()
        return index(self._filtered(self.history.slots[:, :0], None)[0], (slice(None), 0))

    def _append(self, x: torch.Tensor) -> State:
        if self.belief is None and not bool(torch.isnan(x.detach()).any()):
            return VectorState(self.n, gaps=self.gaps)
        return self._extend(x[:, None], None)[1]

    def _extend(self, x: torch.Tensor, lengths: torch.Tensor | None) -> tuple[Distribution, State]:
        gone = bool(torch.isnan(x.detach()).any())
        if self.belief is None and not gone:
            return super()._extend(x, lengths)[0], VectorState(self.n, gaps=self.gaps)
        columns, belief = self._filtered(x, lengths)
        known = None if belief.certain else belief
        return columns, VectorState(self.n, known, self.gaps or gone)

    def _select(self, rows: torch.Tensor) -> State:
        belief = None if self.belief is None else self.belief.select(rows)
        return VectorState(len(rows), belief, self.gaps)

    def _truncate(self, lengths: torch.Tensor) -> State:
        if self.gaps:
            return State._truncate(self, lengths)
        return VectorState(self.n)

    def _filtered(
        self, x: torch.Tensor, lengths: torch.Tensor | None
    ) -> tuple[MultivariateNormal, Belief]:
        """The conditionals along x, where components are missing, and what is known after it."""
        law, risen = self.law, self.law.risen(self.context)
        place = self.lengths[:, None] + torch.arange(x.shape[1], device=x.device)
        if bool(((place < law.n_given)[..., None] & torch.isnan(x)).any()):
            refuse_given(law.n_given)
        before, x = self.history.tail(law.order).to(torch.float64), x.to(torch.float64)
        if risen is not None:
            before, x = before - risen[:, None], x - risen[:, None]
        laws, belief = filtering.run(x, before, self.lengths, self.belief, law.recursion, lengths)
        if risen is not None:
            loc = laws.loc + risen[:, None]
            laws = MultivariateNormal(loc, scale_tril=laws.scale_tril, validate_args=False)
        return laws, belief
