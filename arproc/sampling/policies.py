"""Policies: a conditional and the history in, a conditional out; they chain with `|`.

A law under a policy is again a law (`Process.with_policy`), so the probability of a draw
*under the policy that drew it* is exact too. A policy may carry a state of its own. The policies
themselves are in `narrowing`, `biases`, `repeats` and `guidance`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.distributions import Distribution

from arproc.contract.conditioned import InnerState
from arproc.contract.law import ChainLaw, DerivedLaw
from arproc.contract.machine import Machine, log_probs, side_by_side
from arproc.contract.parameters import Parameters
from arproc.contract.state import State
from arproc.contract.storable import storable
from arproc.contract.track import Track
from arproc.distributions import (
    Categorical,
    PoweredCount,
    Restricted,
    Truncated,
    as_categorical,
    concatenate,
    index,
    present,
)
from arproc.errors import NothingLeftError, ParameterError, UnsupportedError, check_list

__all__ = ["Chain", "Policy", "PolicyLaw", "Present", "emptied"]


class Policy(Parameters):
    """A change of the next-element distribution.

    A policy without memory writes `apply`. One that depends on what came before also sets
    `stateful` and writes `start`, `append` and `select` over immutable states of its own; `apply`
    then gets that state. (Truncating is replaying, which the engine does.) One that has to see
    the law first, what its symbols are called, say, writes `bound`.

    A policy may leave nothing: minus infinity for all symbols. Drawing there is an error that
    names the row and the policy, and sequences that go on from there have probability zero.
    """

    #: Whether `apply` needs a state of the policy's own.
    stateful: bool = False
    #: Whether it may leave nothing, which is then looked for at each step.
    empties: bool = True
    #: Whether it depends on what the law makes of what is still to come.
    looks_ahead: bool = False

    def apply(self, conditional: Distribution, state: Any = None) -> Distribution:
        """The distribution to draw from, of the same batch shape as `conditional`.

        Args:
            conditional: the process's own, batch shape [N], or any shape if not `stateful`.
            state: the policy's state, or None.
        """
        raise UnsupportedError(f"{type(self).__name__} does not write apply.")

    def bound(self, law: ChainLaw) -> Policy:
        """The policy as it holds for a law; raises where it does not fit the law's elements."""
        return self

    def forbids_end(self, law: ChainLaw) -> bool:
        """Whether no sequence of the law can end under it, whatever comes."""
        return False

    def start(self, n: int, law: ChainLaw) -> Any:
        """The policy's state at the start of n rows."""
        return None

    def begin(self, n: int, law: ChainLaw, context: torch.Tensor | None) -> Any:
        """`start`, for policies that look at the law's context as well."""
        return self.start(n, law)

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

    def follow(self, state: Any, x: torch.Tensor, lengths: torch.Tensor | None) -> Any:
        """The policy's state after x [N, K, *event], of which row i takes `lengths[i]`, or all."""
        for j in range(x.shape[1]):
            state = self.append(state, x[:, j], None if lengths is None else lengths > j)
        return state

    def extend(
        self,
        columns: Distribution,
        state: Any,
        x: torch.Tensor,
        lengths: torch.Tensor | None,
    ) -> tuple[Distribution, Any]:
        """All conditionals along x, changed, and the policy's state after it.

        Derived from `apply` and `append`; written by policies that know a faster way.

        Args:
            columns: the process's own, batch shape [N, K + 1].
            state: the policy's state before x.
            x: elements [N, K, *event].
            lengths: how many of row i's elements count for the state after, [N]; all by default.
        """
        if not self.stateful:
            return self.apply(columns), None
        states = [state]
        for j in range(x.shape[1]):
            states.append(self.append(states[-1], x[:, j]))
        changed = [
            index(self.apply(index(columns, (slice(None), j)), own), (slice(None), None))
            for j, own in enumerate(states)
        ]
        after = states[-1] if lengths is None else self.follow(state, x, lengths)
        return concatenate(changed, dim=1), after

    def machine(self, inner: Machine, law: ChainLaw) -> Machine | None:
        """A law's machine under the policy; None where that is no finite one.

        Derived for policies without memory.

        Args:
            inner: the machine of the law as it is before the policy.
            law: the law that is changed.
        """

        def under(scores: torch.Tensor) -> torch.Tensor:
            return log_probs(self.apply(Categorical(scores[0])))

        return None if self.stateful else side_by_side([inner], under)

    def __or__(self, other: Policy) -> Chain:
        return Chain((*_parts(self), *_parts(other)))


def _parts(policy: Policy) -> tuple[Policy, ...]:
    if not isinstance(policy, Policy):
        raise ParameterError(f"a policy joins with another policy; got {policy!r}.")
    return policy.policies if isinstance(policy, Chain) else (policy,)


class Chain(Policy):
    """Policies one after another; what `|` makes.

    Example:
        >>> from arproc.sampling import Temperature, TopK
        >>> Temperature(0.8) | TopK(10)
        Temperature(0.8) | TopK(10)
    """

    def __init__(self, policies: tuple[Policy, ...]) -> None:
        listed = tuple(check_list("policies", policies))
        for policy in listed:
            _parts(policy)
        self.policies = policies if isinstance(policies, tuple) else listed

    @property
    def stateful(self) -> bool:  # type: ignore[override]
        return any(policy.stateful for policy in self.policies)

    @property
    def empties(self) -> bool:  # type: ignore[override]
        return any(policy.empties for policy in self.policies)

    def bound(self, law: ChainLaw) -> Policy:
        made: list[Policy] = []
        for policy in self.policies:
            # one that looks ahead sees the law under those before it
            before = (
                law if not made or not policy.looks_ahead else PolicyLaw(law, Chain(tuple(made)))
            )
            made.append(policy.bound(before))
        return Chain(tuple(made))

    def forbids_end(self, law: ChainLaw) -> bool:
        return any(policy.forbids_end(law) for policy in self.policies)

    def apply(self, conditional: Distribution, state: Any = None) -> Distribution:
        for policy, own in zip(self.policies, self._states(state), strict=True):
            conditional = policy.apply(conditional, own)
        return conditional

    def start(self, n: int, law: ChainLaw) -> Any:
        return tuple(policy.start(n, law) for policy in self.policies)

    def begin(self, n: int, law: ChainLaw, context: torch.Tensor | None) -> Any:
        return tuple(policy.begin(n, law, context) for policy in self.policies)

    def append(self, state: Any, x: torch.Tensor, active: torch.Tensor | None = None) -> Any:
        return tuple(p.append(own, x, active) for p, own in zip(self.policies, state, strict=True))

    def select(self, state: Any, rows: torch.Tensor) -> Any:
        return tuple(p.select(own, rows) for p, own in zip(self.policies, state, strict=True))

    def follow(self, state: Any, x: torch.Tensor, lengths: torch.Tensor | None) -> Any:
        return tuple(
            p.follow(own, x, lengths) for p, own in zip(self.policies, state, strict=True)
        )

    def extend(
        self,
        columns: Distribution,
        state: Any,
        x: torch.Tensor,
        lengths: torch.Tensor | None,
    ) -> tuple[Distribution, Any]:
        after = []
        for policy, own in zip(self.policies, self._states(state), strict=True):
            columns, new = policy.extend(columns, own, x, lengths)
            after.append(new)
        return columns, tuple(after)

    def machine(self, inner: Machine, law: ChainLaw) -> Machine | None:
        found: Machine | None = inner
        for policy in self.policies:
            found = None if found is None else policy.machine(found, law)
        return found

    def _states(self, state: Any) -> tuple[Any, ...]:
        return (None,) * len(self.policies) if state is None else state

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


class _PolicyState(InnerState):
    """The process's state, and the policy's beside it."""

    def __init__(self, inner: State, policy: Policy, own: Any) -> None:
        super().__init__(inner)
        self.block = 1
        self.policy = policy
        self.own = own

    def _conditional(self) -> Distribution:
        own = self.inner.conditional
        changed = self.policy.apply(own, self.own)
        if not self.policy.empties:
            return changed
        gone = emptied(changed)
        if gone is None or not bool(gone.any()):
            return changed
        self._refuse(own, gone)
        if not isinstance(changed, Categorical):
            return changed
        # rows that have ended are nobody's any more, but are drawn from with the others
        return Categorical(
            torch.where(
                gone[:, None], as_categorical(own).scores.to(changed.scores), changed.scores
            )
        )

    def _refuse(self, own: Distribution, gone: torch.Tensor) -> None:
        """Raise for a row that the policy leaves nothing of and that has not ended."""
        before = emptied(own)
        wrong = gone & ~self._ended if before is None else gone & ~before & ~self._ended
        if bool(wrong.any()):
            row = int(wrong.nonzero()[0, 0])
            raise NothingLeftError(row, int(self.lengths[row]), self._name(own, row))

    @property
    def _ended(self) -> torch.Tensor:
        """Which rows' last element was the end, bool [N]."""
        end = self.inner.law.space.end
        if end is None or not self.history.stop:
            return torch.zeros(self.n, dtype=torch.bool, device=self.history.slots.device)
        return (self.lengths > 0) & (self.history.tail(1, -1)[:, 0] == end)

    def _name(self, conditional: Distribution, row: int) -> str:
        """The policy, and where it is a chain the first of it after which a row has nothing."""
        if not isinstance(self.policy, Chain):
            return repr(self.policy)
        for part, own in zip(self.policy.policies, self.policy._states(self.own), strict=True):
            conditional = part.apply(conditional, own)
            gone = emptied(conditional)
            if gone is not None and bool(gone[row]):
                return f"{self.policy!r} (from {part!r} on)"
        return repr(self.policy)

    def _foresee(self, x: torch.Tensor) -> Distribution:
        found = self.inner.foresee(x)
        own = self.policy.follow(self.own, x, None) if self.policy.stateful else None
        changed = self.policy.apply(found, own)
        gone = emptied(changed)
        if gone is None or not bool(gone.any()):
            return changed
        # what the policy makes impossible may be guessed all the same: it will not be kept
        return Categorical(
            torch.where(
                gone[:, None], as_categorical(found).scores, as_categorical(changed).scores
            )
        )

    def _append(self, x: torch.Tensor) -> State:
        own = self.policy.append(self.own, x) if self.policy.stateful else None
        return _PolicyState(self.inner.append(x), self.policy, own)

    def _extend(self, x: torch.Tensor, lengths: torch.Tensor | None) -> tuple[Distribution, State]:
        columns, inner = self.inner.extend(x, lengths)
        changed, own = self.policy.extend(columns, self.own, x, lengths)
        may_empty = self.policy.empties or isinstance(columns, Restricted)
        if may_empty and isinstance(changed, Categorical):
            changed = Restricted(changed.scores)  # what goes on from there has probability zero
        return changed, _PolicyState(inner, self.policy, own)

    def _select(self, rows: torch.Tensor) -> State:
        own = self.policy.select(self.own, rows) if self.policy.stateful else None
        return _PolicyState(self.inner.select(rows), self.policy, own)

    def _truncate(self, lengths: torch.Tensor) -> State:
        inner = self.inner.truncate(self.inner.lengths - self.lengths + lengths)
        own = self._after(self.history.truncate(lengths), self.context)
        return _PolicyState(inner, self.policy, own)

    def _join(self, states: Sequence[Any]) -> State:
        inner = self.inner.join(*(state.inner for state in states[1:]))
        own = self._after(Track.join([state.history for state in states]), inner.context)
        return _PolicyState(inner, self.policy, own)

    def _after(self, history: Track, context: torch.Tensor | None) -> Any:
        """The policy's own state after some elements, if it has one."""
        if not self.policy.stateful:
            return None
        x, lengths = history.padded()
        start = self.policy.begin(history.n, self.inner.law, context)
        return self.policy.follow(start, x, lengths)


def emptied(conditional: Distribution) -> torch.Tensor | None:
    """Where a conditional has nothing left, bool [*batch]; None of kinds that are never empty."""
    if isinstance(conditional, Categorical):
        return ~(conditional.scores > -torch.inf).any(-1)
    if isinstance(conditional, Truncated | PoweredCount):
        return ~(conditional.log_mass > -torch.inf)
    return None


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
        return cls(law, policy.bound(law))

    @property
    def base(self) -> ChainLaw:
        return self.law

    @property
    def foresight(self) -> int:
        return self.law.foresight

    def machine(self) -> Machine | None:
        inner = self.law.machine()
        return None if inner is None else self.policy.machine(inner, self.law)

    def start(self, n: int, context: torch.Tensor | None) -> State:
        own = self.policy.begin(n, self.law, context) if self.policy.stateful else None
        return _PolicyState(self.law.fresh(n, context), self.policy, own)
