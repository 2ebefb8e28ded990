"""The law of an autoregression: parameters and arithmetic, nothing of fitting."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated, Any, Literal, Self

import numpy as np
import torch
from torch.distributions import Distribution, MultivariateNormal

from arproc.contract.checked import Array, Number, sentences
from arproc.contract.context import ContextForm
from arproc.contract.law import ChainLaw, hold_apart
from arproc.contract.sequences import Sequences
from arproc.contract.state import State
from arproc.contract.storable import storable
from arproc.errors import UnsupportedError
from arproc.gaussian.terms import Terms, recursion_form
from arproc.models.autoregression import filtering, likelihood, simulation
from arproc.models.autoregression.mean import Level
from arproc.models.autoregression.recursion import (
    Recursion,
    recursion_from_mean,
    recursion_from_normal,
    recursion_given,
)
from arproc.models.autoregression.state import ARState
from arproc.spaces import Real

__all__ = ["ARLaw", "plain"]

Numbers = np.ndarray | torch.Tensor
#: A root so near one leaves no mean: an estimate's is further off, or exactly there.
_NEAR = 1e-6
Scalar = float | torch.Tensor


@storable
@dataclass(frozen=True, eq=False, repr=False)
class ARLaw(ChainLaw):
    """A Gaussian autoregression about a mean: see `AR`.

    Parameters that are tensors stay what they are: likelihoods are differentiable in them.

    Attributes:
        coef: the coefficients, lag 1 first [p].
        sigma2: the innovation variance.
        mean: the mean at t = 0 but for the terms of `beta`; nan where a unit root leaves none.
        slope: the mean's coefficient of t.
        beta: the coefficients of the further terms in the mean, then those of the regressors.
        design: the terms.
        drive: the coefficients of all terms in the recursion [q]; None where they follow from
            those in the mean.
        regressors: what the context's columns are part of, "mean" or "recursion", if anything.
        initial: the law of the first p elements.
    """

    coef: Annotated[Numbers, Array("p", kind="real")]
    sigma2: Annotated[Scalar, Number(above=0)] = 1.0
    mean: Annotated[Scalar, Number(nan=True)] = 0.0
    slope: Annotated[Scalar, Number(nan=True)] = 0.0
    beta: Annotated[Numbers, Array("b", kind="real", nan=True)] = field(
        default_factory=lambda: np.zeros(0)
    )
    design: Terms = Terms("c")  # noqa: RUF009 (it is immutable)
    drive: Annotated[np.ndarray | None, Array("design.n")] = None
    regressors: Literal["mean", "recursion"] | None = None
    initial: Literal["stationary", "given"] | MultivariateNormal = "stationary"

    space = Real()
    takes_missing = True

    def __post_init__(self) -> None:
        super().__post_init__()
        hold_apart(self)

    def problems(self) -> Iterator[str]:
        p, rest, normal = self.order, len(self.beta) - self.further, self.initial
        fits = isinstance(normal, str) or (normal.batch_shape, normal.event_shape) == ((), (p,))
        yield from sentences(
            (rest < 0 or (rest > 0 and not self.regressors), f"beta has {len(self.beta)} "
             f"coefficients, the design {self.further} further terms"),
            (not fits, f"initial is no normal law of the first {p} elements"),
            (self._no_mean and (self.drive is None or self.initial == "stationary"),
             "there is no mean (nan), and the law needs one"),
        )  # fmt: skip
        yield from sentences(
            (self._no_mean and not self._unit_root,
             "there is no mean (nan), and no unit root that leaves none"),
        )  # fmt: skip

    @classmethod
    def of_terms(
        cls, coef: np.ndarray, sigma2: float, design: Terms, beta: np.ndarray, drive: np.ndarray,
        regressors: Literal["mean", "recursion"] | None,
        initial: Literal["stationary", "given"] | MultivariateNormal,
    ) -> Self:  # fmt: skip
        """The law from the coefficients of all terms and regressors, in both forms.

        Args:
            coef: see the class.
            sigma2: see the class.
            design: see the class.
            beta: in the mean; of regressors where they are, [q + c].
            drive: in the recursion, [q] or more.
            regressors: see the class.
            initial: see the class.
        """
        line = design.line
        mean, slope = (float(v) for v in [*beta[:line], 0.0, 0.0][:2])
        further, drive = beta[line:], drive[: design.n]
        return cls(coef, sigma2, mean, slope, further, design, drive, regressors, initial)

    @property
    def _no_mean(self) -> bool:
        """Whether a unit root leaves no mean."""
        parts = (plain(part) for part in (self.mean, self.slope, self.beta))
        return any(bool(np.isnan(part).any()) for part in parts)

    @property
    def _unit_root(self) -> bool:
        """Whether there is one, to rounding, at the frequency of one of the terms."""
        coef = plain(self.coef)
        lags = np.arange(1, len(coef) + 1)
        left = [abs(1 - coef @ np.exp(-1j * angle * lags)) for angle in self.design.angles]
        return min(left, default=1.0) < _NEAR

    # ---- parameters in either form --------------------------------------------------------------

    @property
    def order(self) -> int:
        """The number of lags p."""
        return len(self.coef)

    @property
    def line(self) -> int:
        """How many of the terms are `mean` and `slope`."""
        return self.design.line

    @property
    def further(self) -> int:
        """How many terms there are besides, the first of `beta`."""
        return self.design.n - self.line

    @property
    def terms(self) -> list[str]:
        """The names of what `beta` is of."""
        return self.design.beside_line(len(self.beta))

    @cached_property
    def in_recursion(self) -> np.ndarray:
        """The coefficients of all terms in the recursion, as numbers [q]."""
        if self.drive is not None:
            return self.drive
        line = [plain(self.mean), plain(self.slope)][: self.line]
        beta = np.array([*line, *plain(self.beta)[: self.further]])
        return recursion_form(plain(self.coef), beta, self.design)

    @property
    def intercept(self) -> float:
        """The recursion's constant."""
        return float(self.in_recursion[0]) if self.line else 0.0

    @property
    def drift(self) -> float:
        """The recursion's coefficient of t."""
        return float(self.in_recursion[1]) if self.line > 1 else 0.0

    @cached_property
    def gamma(self) -> np.ndarray:
        """The recursion's coefficients of the further terms, and of regressors that it has."""
        terms = self.in_recursion[self.line :]
        if self.regressors != "recursion":
            return terms
        return np.concatenate([terms, plain(self.beta)[self.further :]])

    @property
    def recursion(self) -> Recursion:
        """What the conditionals need.

        Of parameters that are tensors it is built at each use: they may be changed in place, and
        gradients go through what was built once only.
        """
        return self._built() if self._of_tensors else self._once

    @cached_property
    def _of_tensors(self) -> bool:
        parts = (self.coef, self.sigma2, self.mean, self.slope, self.beta)
        return any(isinstance(part, torch.Tensor) for part in parts)

    @cached_property
    def _once(self) -> Recursion:
        return self._built()

    def _built(self) -> Recursion:
        design, none = self.design, torch.zeros(0, dtype=torch.float64)
        parts = (self.coef, self.mean, self.slope, self.sigma2, self.beta)
        coef, mean, slope, sigma2, beta = map(_tensor, parts)
        terms = torch.cat([torch.stack([mean, slope])[: self.line], beta[: self.further]])
        of_context = beta[self.further :]
        width = len(of_context)
        in_mean = of_context if self.regressors == "mean" else none
        driving = of_context if self.regressors == "recursion" else none
        level = Level(design, terms, in_mean, width)
        if isinstance(self.initial, str) and self.initial == "stationary":
            return recursion_from_mean(coef, sigma2, level)
        drive = None
        if self.regressors == "recursion":
            drive = Level(Terms("n"), none, driving, width)
        if self.regressors != "mean" and not self._of_tensors:
            # the recursion as it is: a mean beyond a root near 1 would cost digits, or not be
            drive = Level(design, _tensor(self.in_recursion), driving, width)
            level = Level(Terms("n"), none, none, width)
        then = recursion_given(coef, sigma2, level, drive)
        if isinstance(self.initial, MultivariateNormal):
            return recursion_from_normal(self.initial, then)
        return then

    # ---- the law --------------------------------------------------------------------------------

    @cached_property
    def n_given(self) -> int:  # type: ignore[override]
        given = isinstance(self.initial, str) and self.initial == "given"
        return self.order if given else 0

    @property
    def clocked(self) -> bool:  # type: ignore[override]
        return self.design.counts_time

    @cached_property
    def context(self) -> ContextForm | None:  # type: ignore[override]
        if self.regressors is None:
            return None
        return ContextForm("steps", len(self.beta) - self.further)

    @property
    def window_length(self) -> int:
        return self.order

    def window(self, ctx: torch.Tensor, position: torch.Tensor) -> Distribution:
        if self.regressors is not None:
            raise UnsupportedError(
                "the window of an AR with regressors is not enough to tell what comes next; use "
                "start(prefix, context=...)."
            )
        recursion = self.recursion.to(ctx.device)
        back = torch.arange(-recursion.order, 1, device=ctx.device)
        level = recursion.level.at((position[..., None] + back).flatten(1))
        if level.ndim:
            level = level.unflatten(1, (-1, recursion.order + 1))
            y, own = ctx - level[..., :-1], level[..., -1]
        else:
            y, own = ctx - level, level
        driven = recursion.driven(position, None)
        return likelihood.conditional(recursion, y, position, own, driven)

    def start(self, n: int, context: torch.Tensor | None) -> State:
        return ARState(n)

    def log_prob(self, sequences: Sequences, context: torch.Tensor | None) -> torch.Tensor:
        lengths, longest = sequences.lengths, int(sequences.lengths.max())
        if sequences.missing or bool((lengths != longest).any()) or longest < self.n_given:
            return super().log_prob(sequences, context)
        # one sequence, or several of one length: no term is ever stored
        x = sequences.values.reshape(len(lengths), longest).to(torch.float64)
        recursion = self.recursion.to(x.device)
        if len(lengths) == 1 and context is None:
            return likelihood.log_prob(x[0], recursion, self.n_given)[None]
        return likelihood.log_prob(x, recursion, self.n_given, context)

    def log_prob_terms(self, sequences: Sequences, context: torch.Tensor | None) -> torch.Tensor:
        rest, variances = self.innovations(sequences, context)
        if not sequences.missing:
            return likelihood.normal_terms(rest, variances)
        gone = torch.isnan(rest)
        return likelihood.normal_terms(rest.masked_fill(gone, 0.0), variances).where(~gone, 0)

    def innovations(
        self, sequences: Sequences, context: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Each element less its mean given those before, and the variance: [total - N n_given].

        NaN of one that is missing.
        """
        x, lengths = sequences.values.to(torch.float64), sequences.lengths
        recursion = self.recursion.to(x.device)
        if sequences.missing:
            return filtering.residuals(sequences, recursion, self.n_given, context)
        return likelihood.residuals(x, lengths, recursion, self.n_given, context)

    def predictive(self, state: State, horizon: int) -> Distribution:
        assert isinstance(state, ARState)
        return state.ahead(horizon)

    def joint(self, state: State, horizon: int) -> Distribution:
        assert isinstance(state, ARState)
        marginals, recursion = state.ahead(horizon), self.recursion.detach()
        factor = simulation.joint_factor(state.lengths, recursion, horizon)
        if state.belief is not None:
            carried = simulation.carried(state.lengths, recursion, horizon)
            doubt = carried @ state.belief.detach().covariance @ carried.mT
            factor = torch.linalg.cholesky(factor @ factor.mT + doubt)
        return MultivariateNormal(marginals.mean, scale_tril=factor, validate_args=False)


def plain(value: Any) -> np.ndarray:
    """Parameters as numbers, without their gradients."""
    gone = value.detach().cpu() if isinstance(value, torch.Tensor) else value
    return np.asarray(gone, dtype=float)


def _tensor(value: Numbers | Scalar) -> torch.Tensor:
    """Parameters as a tensor, float64; numbers are copied."""
    if isinstance(value, torch.Tensor):
        return value.to(torch.float64)
    return torch.tensor(value, dtype=torch.float64)
