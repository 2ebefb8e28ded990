"""Evidence: what is known of a sequence that is still to be drawn, in any form.

Evidence is a likelihood of whole sequences, written step by step: after each element it gives a
factor, and at the end another. So a particle filter can weigh by it early, a finite machine can
carry it backwards, and where it is linear a normal law can be given it in closed form.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from arproc.contract.law import ChainLaw
from arproc.contract.machine import latest
from arproc.contract.parameters import Parameters
from arproc.errors import DataError, ParameterError

__all__ = [
    "Allowed",
    "Both",
    "Evidence",
    "Likelihood",
    "Linear",
    "Setting",
    "Terms",
    "impossible",
    "joined",
    "parts_of",
    "pick",
]

#: What evidence remembers of each row: a tensor [N, k], or one for each of several parts.
Memory = Any


class Allowed(NamedTuple):
    """What may come next: symbols (bool, [V] or [N, V]; None for all), and numbers between two.

    Attributes:
        symbols: which symbols.
        low: the least number.
        high: the greatest.
    """

    symbols: Tensor | None = None
    low: float = -torch.inf
    high: float = torch.inf

    def also(self, other: Allowed) -> Allowed:
        masks = [mask for mask in (self.symbols, other.symbols) if mask is not None]
        both = masks[0] & masks[-1] if masks else None
        return Allowed(both, max(self.low, other.low), min(self.high, other.high))


class Linear(NamedTuple):
    """Evidence of numbers x [D]: `matrix @ x` is `value`, up to normal noise.

    Attributes:
        matrix: [m, D].
        value: [m].
        variance: of the noise, [m]; 0 for none.
    """

    matrix: Tensor
    value: Tensor
    variance: Tensor


@dataclass(frozen=True)
class Setting:
    """What evidence is about.

    Attributes:
        law: the law of the sequences, which has no context.
        steps: how many elements are drawn at most; None where sequences end by themselves.
        show: elements [N, t, *event] in the user's own form.
    """

    law: ChainLaw
    steps: int | None
    show: Callable[[Tensor], Any]

    def place(self, position: int, name: str) -> int:
        """The step at which the element of a position, as the user counts, is drawn."""
        if self.steps is not None and not 0 <= position < self.steps:
            raise ParameterError(
                f"{name} names position {position}; the {self.steps} elements to be drawn have "
                f"positions 0 to {self.steps - 1}."
            )
        layout = self.law.layout
        if layout is None or layout.order is None:
            return position
        return layout.order.index(position)

    def require_steps(self, name: str) -> int:
        """How many elements there are."""
        if self.steps is None:
            raise ParameterError(
                f"length is needed: {name} is about a number of elements that is known beforehand."
            )
        return self.steps


class Terms:
    """Evidence of a setting, as the algorithms read it; this one says nothing.

    Attributes:
        horizon: after how many elements all is said; None where only the end says it.
        finite: whether what it remembers are few numbers a row, which may be compared.
        settled: from which step on the step makes no difference; None where it always may.
        twisted: whether it has a `twist`.
        at_once: whether it may say much at one step, and foretells nothing of that.
    """

    horizon: int | None = 0
    finite: bool = True
    twisted: bool = False
    at_once: bool = False

    @property
    def settled(self) -> int | None:
        return self.horizon

    def start(self, n: int) -> Memory:
        """What is remembered at the start of n rows."""
        return torch.zeros((n, 0))

    def forced(self, own: Memory, step: int) -> Tensor | None:
        """What the next element must be, float64 [N, *event], NaN where it is free; or None."""
        return None

    def allowed(self, own: Memory, step: int) -> Allowed | None:
        """What the next element may be, as far as that is easily told; or None."""
        return None

    def append(self, own: Memory, x: Tensor, step: int) -> tuple[Memory, Tensor]:
        """What is remembered after an element x [N, *event], not the end; its factor.

        The factor, a logarithm in nats, float64 [N], is minus infinity for what is impossible.
        """
        return own, torch.zeros(len(x), dtype=torch.float64, device=x.device)

    def finish(self, own: Memory, step: int, ended: bool) -> Tensor:
        """The factor of the end after `step` elements, which came by itself or by the length."""
        return torch.zeros(len(own), dtype=torch.float64)

    def twist(self, own: Memory, step: int) -> Tensor:
        """An estimate of log p(all that is known | what was drawn), nats, [N]."""
        return torch.zeros(len(own), dtype=torch.float64)

    def free_until(self, step: int) -> int:
        """Up to which step it lets the elements from `step` on be whatever they are."""
        return 2**62 if self.horizon is not None and step >= self.horizon else step

    def known_until(self, step: int) -> int:
        """Up to which step all elements from `step` on are known to every row."""
        return step

    def linear(self, steps: int) -> Linear | None:
        """The evidence as a linear one of the first steps' numbers, where it is one."""
        return None


class Both(Terms):
    """Several terms that hold together."""

    def __init__(self, parts: tuple[Terms, ...]) -> None:
        self.parts = parts
        self.horizon = latest(part.horizon for part in parts)
        self.finite = all(part.finite for part in parts)
        self.twisted = any(part.twisted for part in parts)
        self.at_once = any(part.at_once for part in parts)

    @property
    def settled(self) -> int | None:
        return latest(part.settled for part in self.parts)

    def start(self, n: int) -> Memory:
        return tuple(part.start(n) for part in self.parts)

    def forced(self, own: Memory, step: int) -> Tensor | None:
        found: Tensor | None = None
        for part, mine in zip(self.parts, own, strict=True):
            one = part.forced(mine, step)
            if one is not None:  # where two disagree the factor of the second says so
                found = one if found is None else torch.where(found.isnan(), one, found)
        return found

    def allowed(self, own: Memory, step: int) -> Allowed | None:
        found: Allowed | None = None
        for part, mine in zip(self.parts, own, strict=True):
            one = part.allowed(mine, step)
            if one is not None:
                found = one if found is None else found.also(one)
        return found

    def append(self, own: Memory, x: Tensor, step: int) -> tuple[Memory, Tensor]:
        pairs = [p.append(mine, x, step) for p, mine in zip(self.parts, own, strict=True)]
        return tuple(after for after, _ in pairs), _sum([factor for _, factor in pairs])

    def finish(self, own: Memory, step: int, ended: bool) -> Tensor:
        return _sum([p.finish(mine, step, ended) for p, mine in zip(self.parts, own, strict=True)])

    def twist(self, own: Memory, step: int) -> Tensor:
        return _sum([p.twist(mine, step) for p, mine in zip(self.parts, own, strict=True)])

    def free_until(self, step: int) -> int:
        return min(part.free_until(step) for part in self.parts)


def _sum(factors: list[Tensor]) -> Tensor:
    return torch.stack([factor.double() for factor in factors]).sum(0)


def impossible(wrong: Tensor) -> Tensor:
    """The factor of rows some of which are impossible, bool [N]."""
    return torch.zeros(len(wrong), dtype=torch.float64).masked_fill(wrong.cpu(), -torch.inf)


def pick(own: Memory, rows: Tensor) -> Memory:
    """The memory of some rows."""
    return tuple(part[rows] for part in own) if isinstance(own, tuple) else own[rows]


class Evidence(Parameters):
    """What is known of a sequence. Evidence joins with `&`; see the kinds of it.

    A kind of your own writes `bound`, which gives `Terms`; but `Likelihood`, which takes any
    function of the whole sequence, is simpler.

    Example:
        >>> from arproc.sampling import Barrier, Known
        >>> Known({3: 1.0}) & Barrier(low=0.0)
        Known({3: 1.0}) & Barrier(low=0.0)
    """

    def bound(self, setting: Setting) -> Terms:
        """The evidence about sequences of a law, or the error that it deserves there."""
        raise NotImplementedError

    def __and__(self, other: Any) -> Evidence:
        if not isinstance(other, Evidence):
            raise ParameterError(
                f"evidence joins with evidence by &; got a {type(other).__name__}. Wrap values in "
                "Known(...), a function in Likelihood(...)."
            )
        return All((*parts_of(self), *parts_of(other)))


class All(Evidence):
    """Several pieces of evidence that hold together."""

    def __init__(self, parts: tuple[Evidence, ...]) -> None:
        self.parts = parts

    def bound(self, setting: Setting) -> Terms:
        return Both(tuple(part.bound(setting) for part in self.parts))

    def __repr__(self) -> str:
        return " & ".join(map(repr, self.parts))


def parts_of(evidence: Evidence) -> tuple[Evidence, ...]:
    """The pieces of evidence that were joined."""
    return evidence.parts if isinstance(evidence, All) else (evidence,)


def joined(parts: Sequence[Evidence]) -> Evidence:
    """Several pieces of evidence as one."""
    return parts[0] if len(parts) == 1 else All(tuple(parts))


class Likelihood(Evidence):
    """Any likelihood of the whole sequence, as a function of draws in the user's own form.

    Args:
        function: gets several sequences as `sample` gives them (a list of strings, an array
            [n, T] ...) and returns the log-likelihood of each, nats, [n]; minus infinity for what
            is impossible.
        twist: the same of sequences that are not finished: an estimate of the logarithm of what
            the likelihood is expected to be, by which draws are weighed on the way. It does not
            change the law that is drawn from, only how well.

    Example:
        >>> import arproc
        >>> walk = arproc.AR.from_parameters([0.9])
        >>> warm = Likelihood(lambda x: -((x[:, -1] - 3.0) ** 2))
        >>> found = arproc.sampling.condition(walk, warm, n=2000, length=5, seed=0)
        >>> bool(1.0 < found.expectation()[-1] < 3.0)
        True
    """

    def __init__(
        self, function: Callable[[Any], Any], twist: Callable[[Any], Any] | None = None
    ) -> None:
        for name, value in (("function", function), ("twist", twist)):
            if not callable(value) and (name == "function" or value is not None):
                raise ParameterError(f"{name} must be a function of draws; got {value!r}.")
        self.function, self.twist = function, twist

    def bound(self, setting: Setting) -> Terms:
        return _LikelihoodTerms(self, setting)


class _LikelihoodTerms(Terms):
    """A likelihood; what is remembered are the elements themselves, [N, t, *event]."""

    horizon = None
    finite = False

    def __init__(self, evidence: Likelihood, setting: Setting) -> None:
        self.evidence, self.setting = evidence, setting
        self.twisted = evidence.twist is not None
        self.at_once = not self.twisted

    def start(self, n: int) -> Memory:
        space = self.setting.law.space
        return torch.zeros((n, 0, *space.event_shape), dtype=space.dtype)

    def append(self, own: Memory, x: Tensor, step: int) -> tuple[Memory, Tensor]:
        after = torch.cat([own, x[:, None].to(own)], dim=1)
        return after, torch.zeros(len(x), dtype=torch.float64)

    def finish(self, own: Memory, step: int, ended: bool) -> Tensor:
        return self._asked(self.evidence.function, own, "function")

    def twist(self, own: Memory, step: int) -> Tensor:
        assert self.evidence.twist is not None or not self.twisted
        if self.evidence.twist is None:
            return torch.zeros(len(own), dtype=torch.float64)
        return self._asked(self.evidence.twist, own, "twist")

    def free_until(self, step: int) -> int:
        return step if self.twisted else 2**62

    def _asked(self, function: Callable[[Any], Any], own: Tensor, name: str) -> Tensor:
        """What the user's function says of some rows, checked."""
        if not len(own):
            return torch.zeros(0, dtype=torch.float64)
        found = function(self.setting.show(own))
        try:
            if not isinstance(found, torch.Tensor):
                found = torch.as_tensor(np.asarray(found, dtype=np.float64))
            scores = found.detach().cpu().double()
        except (TypeError, ValueError):
            scores = torch.zeros(0)
        if scores.shape != (len(own),) or bool((scores.isnan() | (scores == torch.inf)).any()):
            raise DataError(
                f"{name} of Likelihood must return one log-likelihood for each of {len(own)} "
                f"sequences, none NaN or infinite but minus infinity; got {_shown(found)}."
            )
        return scores


def _shown(value: Any) -> str:
    shape = getattr(value, "shape", None)
    kind = type(value).__name__
    return f"a {kind}" if shape is None else f"a {kind} of shape {list(shape)} ({value!r:.60})"
