"""Policies: a conditional and the history in, a conditional out; they chain with `|`.

A law under a policy is again a law (`Process.with_policy`), so the probability of a draw
*under the policy that drew it* is exact too. A policy may carry a state of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import distributions as td
from torch.distributions import Distribution

from arproc.contract.conditioned import InnerState
from arproc.contract.law import ChainLaw, DerivedLaw
from arproc.contract.parameters import Parameters
from arproc.contract.state import State
from arproc.contract.storable import storable
from arproc.distributions import Categorical, as_categorical, concatenate, index, present
from arproc.errors import ParameterError, UnsupportedError, check_integer, check_list, check_number

__all__ = ["Chain", "Policy", "PolicyLaw", "Present", "Temperature", "TopK", "TopP"]


class Policy(Parameters):
    """A change of the next-element distribution.

    A policy without memory writes `apply`. One that depends on what came before also sets
    `stateful` and writes `start`, `append` and `select` over immutable states of its own; `apply`
    then gets that state. (Truncating is replaying, which the engine does.)
    """

    #: Whether `apply` needs a state of the policy's own.
    stateful: bool = False

    def apply(self, conditional: Distribution, state: Any = None) -> Distribution:
        """The distribution to draw from, of the same batch shape as `conditional`.

        Args:
            conditional: the process's own, batch shape [N], or any shape if not `stateful`.
            state: the policy's state, or None.
        """
        raise UnsupportedError(f"{type(self).__name__} does not write apply.")

    def start(self, n: int, law: ChainLaw) -> Any:
        """The policy's state at the start of n rows."""
        return None

    def append(self, state: Any, x: torch.Tensor, active: torch.Tensor | None = None) -> Any:
        """The policy's state after one more element in each row.

        Args:
            state: the state before.
            x: elements [N, *event].
            active: bool [N], the rows that do get one (the others stay as they are); all by
                default.
        """
        return None

    def select(self, state: Any, rows: torch.Tensor) -> Any:
        """The policy's state of these rows."""
        return None

    def __or__(self, other: Policy) -> Chain:
        return Chain((*_parts(self), *_parts(other)))


def _parts(policy: Policy) -> tuple[Policy, ...]:
    if not isinstance(policy, Policy):
        raise ParameterError(f"a policy joins with another policy; got {policy!r}.")
    return policy.policies if isinstance(policy, Chain) else (policy,)


class Chain(Policy):
    """Policies one after another; what `|` makes.

    Example:
        >>> Temperature(0.8) | TopK(10)
        Temperature(0.8) | TopK(10)
    """

    def __init__(self, policies: tuple[Policy, ...]) -> None:
        listed = tuple(check_list("policies", policies))
        for policy in listed:
            _parts(policy)
        self.policies = listed

    @property
    def stateful(self) -> bool:  # type: ignore[override]
        return any(policy.stateful for policy in self.policies)

    def apply(self, conditional: Distribution, state: Any = None) -> Distribution:
        states = state if state is not None else (None,) * len(self.policies)
        for policy, own in zip(self.policies, states, strict=True):
            conditional = policy.apply(conditional, own)
        return conditional

    def start(self, n: int, law: ChainLaw) -> Any:
        return tuple(policy.start(n, law) for policy in self.policies)

    def append(self, state: Any, x: torch.Tensor, active: torch.Tensor | None = None) -> Any:
        return tuple(p.append(own, x, active) for p, own in zip(self.policies, state, strict=True))

    def select(self, state: Any, rows: torch.Tensor) -> Any:
        return tuple(p.select(own, rows) for p, own in zip(self.policies, state, strict=True))

    def __repr__(self) -> str:
        return " | ".join(map(repr, self.policies))


class Present(Policy):
    """Each entry that may be missing is drawn given that it is not: rows without gaps.

    Example:
        >>> import arproc, pandas as pd
        >>> frame = pd.DataFrame({"height": [1.7, None, 1.8, 1.75] * 10})
        >>> model = arproc.MADE((4,), training=arproc.Training(steps=2)).fit(frame)
        >>> bool(model.sample(50, policy=Present(), seed=0).isna().any(axis=None))
        False
    """

    def apply(self, conditional: Distribution, state: Any = None) -> Distribution:
        return present(conditional)


class Temperature(Policy):
    """p(x)^(1/T), renormalised: T < 1 sharpens, T > 1 flattens.

    For symbols the scores are divided by T; a normal conditional's standard deviation is
    multiplied by the square root of T (the same formula, for a density).

    Args:
        temperature: T > 0.
    """

    def __init__(self, temperature: float) -> None:
        check_number("temperature", temperature, above=0)
        self.temperature = temperature

    def apply(self, conditional: Distribution, state: Any = None) -> Distribution:
        if isinstance(conditional, td.Bernoulli):
            return td.Bernoulli(logits=conditional.logits / self.temperature, validate_args=False)
        if isinstance(conditional, td.Normal):
            scale = conditional.scale * self.temperature**0.5
            return td.Normal(conditional.loc, scale, validate_args=False)
        if isinstance(conditional, td.Laplace):
            scale = conditional.scale * self.temperature
            return td.Laplace(conditional.loc, scale, validate_args=False)
        if isinstance(conditional, td.MultivariateNormal):
            tril = conditional.scale_tril * self.temperature**0.5
            return td.MultivariateNormal(conditional.loc, scale_tril=tril, validate_args=False)
        scores = as_categorical(conditional).scores
        # from the greatest score, so that a quotient may be -inf but never inf or nan
        divisor = max(self.temperature, torch.finfo(scores.dtype).tiny)
        return Categorical((scores - scores.amax(-1, keepdim=True)) / divisor)


class TopK(Policy):
    """Only the k most probable symbols, renormalised; ties go to the lower number.

    Args:
        k: how many symbols are kept, at least 1.
    """

    def __init__(self, k: int) -> None:
        self.k = check_integer("k", k, minimum=1)

    def apply(self, conditional: Distribution, state: Any = None) -> Distribution:
        scores = as_categorical(conditional).scores
        if self.k >= scores.shape[-1]:
            return conditional
        ranked = torch.argsort(scores, dim=-1, descending=True, stable=True)
        dropped = torch.ones_like(scores, dtype=torch.bool)
        dropped.scatter_(-1, ranked[..., : self.k], False)
        return Categorical(scores.masked_fill(dropped, -torch.inf))


class TopP(Policy):
    """The fewest most probable symbols that hold at least p of the mass (Holtzman et al. 2020).

    Args:
        p: in (0, 1]. The most probable symbol is always kept.
    """

    def __init__(self, p: float) -> None:
        check_number("p", p, above=0, high=1)
        self.p = p

    def apply(self, conditional: Distribution, state: Any = None) -> Distribution:
        if self.p == 1:
            return conditional
        scores = as_categorical(conditional).scores
        ranked = torch.argsort(scores, dim=-1, descending=True, stable=True)
        probs = torch.softmax(scores.double(), dim=-1).gather(-1, ranked)
        # kept while the mass of the more probable ones is still below p
        before = probs.cumsum(-1) - probs
        dropped = torch.zeros_like(scores, dtype=torch.bool).scatter(-1, ranked, before >= self.p)
        return Categorical(scores.masked_fill(dropped, -torch.inf))


class _PolicyState(InnerState):
    """The process's state, and the policy's beside it."""

    def __init__(self, inner: State, policy: Policy, own: Any) -> None:
        super().__init__(inner)
        self.block = 1
        self.policy = policy
        self.own = own

    def _conditional(self) -> Distribution:
        return self.policy.apply(self.inner.conditional, self.own)

    def _append(self, x: torch.Tensor) -> State:
        own = self.policy.append(self.own, x) if self.policy.stateful else None
        return _PolicyState(self.inner.append(x), self.policy, own)

    def _extend(self, x: torch.Tensor, lengths: torch.Tensor | None) -> tuple[Distribution, State]:
        columns, inner = self.inner.extend(x, lengths)
        if not self.policy.stateful:
            return self.policy.apply(columns), _PolicyState(inner, self.policy, None)
        owns = _owns(self.policy, self.own, x, lengths)
        rows = (slice(None), None)
        changed = [
            index(self.policy.apply(index(columns, (slice(None), j)), own), rows)
            for j, own in enumerate(_owns(self.policy, self.own, x, None))
        ]
        return concatenate(changed, dim=1), _PolicyState(inner, self.policy, owns[-1])

    def _select(self, rows: torch.Tensor) -> State:
        own = self.policy.select(self.own, rows) if self.policy.stateful else None
        return _PolicyState(self.inner.select(rows), self.policy, own)

    def _truncate(self, lengths: torch.Tensor) -> State:
        inner = self.inner.truncate(self.inner.lengths - self.lengths + lengths)
        own = None
        if self.policy.stateful:
            x, kept = self.history.truncate(lengths).padded()
            own = _owns(self.policy, self.policy.start(self.n, self.inner.law), x, kept)[-1]
        return _PolicyState(inner, self.policy, own)


def _owns(policy: Policy, own: Any, x: torch.Tensor, lengths: torch.Tensor | None) -> list[Any]:
    """A policy's states along x [N, K], of which row i takes only the first `lengths[i]`."""
    owns = [own]
    for j in range(x.shape[1]):
        active = None if lengths is None else lengths > j
        owns.append(policy.append(owns[-1], x[:, j], active))
    return owns


@storable
@dataclass(frozen=True, eq=False, repr=False)
class PolicyLaw(DerivedLaw):
    """A law under a policy, as a law of its own.

    Attributes:
        law: the law whose conditionals are changed.
        policy: what changes them.
    """

    law: ChainLaw
    policy: Policy

    @classmethod
    def under(cls, law: ChainLaw, policy: Policy) -> PolicyLaw:
        """The law under a policy, or the error that something else deserves."""
        if not isinstance(policy, Policy):
            raise ParameterError(
                "policy must be an arproc policy such as Temperature(0.8) | TopK(10); got "
                f"{policy!r}."
            )
        return cls(law, policy)

    @property
    def base(self) -> ChainLaw:
        return self.law

    def start(self, n: int, context: torch.Tensor | None) -> State:
        own = self.policy.start(n, self.law) if self.policy.stateful else None
        return _PolicyState(self.law.fresh(n, context), self.policy, own)
