"""The policy that keeps a constraint, by masks or by looking ahead to its end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch.distributions import Distribution

from arproc.contract.law import ChainLaw
from arproc.contract.machine import Machine
from arproc.distributions import Categorical, as_categorical
from arproc.errors import ParameterError, check_choice, check_count
from arproc.sampling.constraints.acceptor import Acceptor
from arproc.sampling.constraints.constraint import Constraint
from arproc.sampling.constraints.terms import AcceptorTerms, MaskedMachine
from arproc.sampling.given import Given
from arproc.sampling.policies import Policy

__all__ = ["Constrain", "kept"]


@dataclass(frozen=True, eq=False)
class _Run:
    """The automaton's state in each row."""

    automaton: Acceptor
    states: tuple[Any, ...]


class Constrain(Policy):
    """Keeps a constraint: no symbol comes, and no end, that would break it.

    There are two ways, which are different laws:

    - `mode="masking"`: at each step what may not come is left out, and the rest of the conditional
      is renormalised. It is local, as servers do it, and works with every process of symbols; but
      it does not know what its choices cost later, and a constraint that lets a finished sequence
      go on may hold the process there, since an end that is improbable stays so.
    - `mode="conditioning"`: the law of the process given that the whole sequence keeps the
      constraint. Each symbol is weighed by the probability that what follows can keep it, which
      backward messages tell exactly where the process and the constraint have finitely many states
      (n-grams, and mixtures of them). For other processes see `constrained`, which draws from the
      same law by rejection or with particles.

    The constraint is on the whole sequence, a prefix too; on what follows alone it is put with
    `model.condition(prefix).with_policy(...)`.

    Args:
        constraint: `Regex`, `JSONSchema`, `Grammar`, `Automaton`, `AllowedAt`, or one of your own.
        mode: "masking" or "conditioning".
        length: with "conditioning", how many elements sequences have at most; of streams, which
            do not end, the number of elements that keep the constraint.

    Raises:
        UnsupportedError: the constraint is of texts and the process of none; or with
            "conditioning", one of the two has no finite states.
        ParameterError: nothing that the process can give keeps the constraint.

    Example:
        >>> import arproc
        >>> from arproc.sampling import Regex
        >>> text = arproc.NGram(2, "witten_bell", tokens="char").fit(["ab", "aab", "b", "abbbbb"])
        >>> masked = text.with_policy(Constrain(Regex("a+b?")))
        >>> given = text.with_policy(Constrain(Regex("a+b?"), mode="conditioning"))
        >>> odds = [p.log_prob("ab") - p.log_prob("a") for p in (text, masked, given)]
        >>> bool(abs(odds[0] - odds[2]) < 1e-9), bool(abs(odds[0] - odds[1]) < 1e-9)
        (True, False)
    """

    stateful = True

    @property
    def looks_ahead(self) -> bool:  # type: ignore[override]
        return self.mode == "conditioning"

    def __init__(
        self, constraint: Constraint, mode: str = "masking", length: int | None = None
    ) -> None:
        if not isinstance(constraint, Constraint):
            raise ParameterError(
                f"constraint must be a Constraint such as Regex('[ab]+'); got {constraint!r}."
            )
        self.constraint = constraint
        self.mode = check_choice("mode", mode, ("masking", "conditioning"))
        self.length = length if length is None else check_count("length", length, minimum=1)
        if length is not None and mode == "masking":
            raise ParameterError(
                'length is for mode="conditioning"; a mask does not look so far. Draw with '
                "length= to cut sequences."
            )

    def bound(self, law: ChainLaw) -> Policy:
        constraint = self.constraint.clone()
        if self.mode == "conditioning":
            return kept(constraint, law, self.length)
        constraint.acceptor(law)
        return Constrain(constraint)

    def start(self, n: int, law: ChainLaw) -> Any:
        found = self.constraint.acceptor(law)
        return _Run(found, (found.start,) * n)

    def append(self, state: Any, x: torch.Tensor, active: torch.Tensor | None = None) -> Any:
        step = state.automaton.step
        moves = [True] * len(x) if active is None else active.tolist()
        pairs = zip(state.states, x.tolist(), moves, strict=True)
        return _Run(state.automaton, tuple(step(s, int(v)) if go else s for s, v, go in pairs))

    def select(self, state: Any, rows: torch.Tensor) -> Any:
        return _Run(state.automaton, tuple(state.states[i] for i in rows.tolist()))

    def apply(self, conditional: Distribution, state: Any = None) -> Distribution:
        categorical = as_categorical(conditional)
        return Categorical(state.automaton.changed(categorical, state.states))

    def extend(
        self,
        columns: Distribution,
        state: Any,
        x: torch.Tensor,
        lengths: torch.Tensor | None,
    ) -> tuple[Distribution, Any]:
        categorical, step = as_categorical(columns), state.automaton.step
        paths = []
        for at, row in zip(state.states, x.tolist(), strict=True):
            path = [at]
            for value in row:
                path.append(step(path[-1], int(value)))
            paths.append(path)
        every = [s for path in paths for s in path]
        flat = Categorical(categorical.scores.flatten(0, 1))
        changed = state.automaton.changed(flat, every).reshape(categorical.scores.shape)
        last = [-1] * len(paths) if lengths is None else lengths.tolist()
        after = tuple(path[k] for path, k in zip(paths, last, strict=True))
        return Categorical(changed), _Run(state.automaton, after)

    def machine(self, inner: Machine, law: ChainLaw) -> Machine | None:
        acceptor = self.constraint.acceptor(law)
        return MaskedMachine(inner, AcceptorTerms(acceptor, law)) if acceptor.finite else None


def kept(constraint: Constraint, law: ChainLaw, length: int | None) -> Given:
    """The policy that gives a law under a constraint, exactly.

    Raises:
        UnsupportedError: the law or the constraint has no finite states.
        ParameterError: the constraint is kept with probability zero; or a stream has no length.
    """
    ends = law.space.terminates
    if not ends and length is None:
        raise ParameterError(
            "length is needed: this process is a stream without an end, and the constraint is to "
            "be kept by some number of its elements. Pass length=, that number."
        )
    # one step more, in which the end of those of the full length must come
    found = Given(constraint, law, None if length is None else length + int(ends))
    if found.ahead('mode="conditioning"').log_evidence == -torch.inf:
        raise ParameterError(
            f"{constraint.acceptor(law).name} is kept with probability zero by this process"
            + ("." if length is None else f" within {length} elements.")
        )
    return found
