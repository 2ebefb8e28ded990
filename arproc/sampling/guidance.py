"""Policies that set one process against another: guidance and contrast."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch.distributions import Distribution

from arproc.contract.holder import require_chain
from arproc.contract.law import ChainLaw
from arproc.contract.state import State
from arproc.distributions import Categorical, as_categorical, geometric_mixture
from arproc.errors import ParameterError, check_number
from arproc.sampling.biases import symbols_of
from arproc.sampling.policies import Policy

__all__ = ["Contrast", "Guidance"]


class Guidance(Policy):
    r"""p(x)^scale q(x)^(1 - scale), renormalised, q being the conditional of another process.

    With `scale` above 1 what the process says beyond the other is said louder (classifier-free
    guidance, Ho and Salimans 2022; Sanchez et al. 2023); with 1 the process is as it was, with 0
    it is the other on the symbols that the process itself holds possible, and between these the
    geometric mean of both. Where the other holds something impossible that the process does not
    and `scale` is above 1, only such symbols are left, which is the limit of the formula.

    So for real numbers and counts, whose product of powers is integrated or summed: normal laws in
    closed form (see `arproc.distributions.geometric_mixture`). Where the other is narrower and
    taken away, there may be no such law, which is an error.

    The other process goes through the same elements, a prefix included. It gets the same context
    if it takes one.

    Args:
        other: a fitted process over the same elements.
        scale: at least 0.

    Example:
        >>> import arproc
        >>> one = arproc.PPM(order=1, tokens="char").fit(["abab", "ba"])
        >>> two = arproc.PPM(order=2, tokens="char").fit(["abab", "ba"])
        >>> loud = two.with_policy(Guidance(one, 1.5))
        >>> p, q, g = (m.conditional("a").logits for m in (two, one, loud))
        >>> gap = g - (1.5 * p - 0.5 * q)
        >>> bool((gap - gap[0]).abs().max() < 1e-6)
        True
    """

    stateful = True

    def __init__(self, other: Any, scale: float) -> None:
        check_number("scale", scale, low=0)
        self.other, self.scale = other, scale

    def bound(self, law: ChainLaw) -> Policy:
        space, name = law.space, f"Guidance({self.other!r}, {self.scale})"
        numbers = not space.varies and (space.measure == "density" or space.kind == "count")
        return _Guided(self._law(law, not numbers), self.scale, 0.0, name, numbers)

    def _law(self, law: ChainLaw, of_symbols: bool = True) -> ChainLaw:
        """The other's law as it is now, checked: over the same elements, and these symbols."""
        name = type(self).__name__
        if of_symbols:
            symbols_of(law, name)
        other = require_chain(self.other, name)
        alike = other.space == law.space and other.layout == law.layout
        if not alike or other.n_given > law.n_given:
            raise ParameterError(
                f"{name} needs another process over the same elements, begun and laid out alike; "
                f"other has {other.space.describe()} elements, this process "
                f"{law.space.describe()}."
            )
        if (other.context is not None or other.clocked) and other.context != law.context:
            raise ParameterError(
                f"{name}'s other process takes a context that this process does not take; fix it "
                "first, or take a process without one."
            )
        return other


class Contrast(Guidance):
    """p(x)^(1 + strength) q(x)^(-strength) on the symbols plausible under the process itself.

    Contrastive decoding (Li et al. 2023, in the form of O'Brien and Lewis 2023): what a large
    model knows beyond a small one, among the symbols that are at least `plausible` times as
    probable as the most probable.

    Args:
        other: a fitted process over the same symbols, the weaker one.
        strength: at least 0; 0 leaves the process as it was, but for the implausible.
        plausible: in (0, 1].
    """

    def __init__(self, other: Any, strength: float = 0.5, plausible: float = 0.1) -> None:
        check_number("strength", strength, low=0)
        check_number("plausible", plausible, above=0, high=1)
        self.other, self.strength, self.plausible = other, strength, plausible

    def bound(self, law: ChainLaw) -> Policy:
        name = f"Contrast({self.other!r}, {self.strength}, {self.plausible})"
        return _Guided(self._law(law), 1 + self.strength, math.log(self.plausible), name)


class _Guided(Policy):
    """Guidance by a law, whose state is the policy's.

    Args:
        law: the other law.
        scale: see `Guidance`.
        log_plausible: log of the least share of the greatest probability; 0 for no such bound.
        name: what the user called it.
        of_numbers: whether the elements are numbers without an end rather than symbols.
    """

    stateful = True

    @property
    def empties(self) -> bool:  # type: ignore[override]
        # of symbols that one of both holds impossible nothing is left
        return self.scale < 1 and not self.of_numbers

    def __init__(
        self,
        law: ChainLaw,
        scale: float,
        log_plausible: float,
        name: str,
        of_numbers: bool = False,
    ) -> None:
        self.law, self.scale, self.log_plausible = law, scale, log_plausible
        self.name, self.of_numbers = name, of_numbers

    def begin(self, n: int, law: ChainLaw, context: torch.Tensor | None) -> State:
        takes = self.law.context is not None or self.law.clocked
        return self.law.fresh(n, context if takes else None)

    def append(self, state: Any, x: torch.Tensor, active: torch.Tensor | None = None) -> Any:
        if active is None:
            return state.append(x)
        return state.extend(x[:, None], active.long())[1]

    def select(self, state: Any, rows: torch.Tensor) -> Any:
        return state.select(rows)

    def follow(self, state: Any, x: torch.Tensor, lengths: torch.Tensor | None) -> Any:
        return state.extend(x, lengths)[1]

    def apply(self, conditional: Distribution, state: Any = None) -> Distribution:
        return self._combined(conditional, state._next())

    def extend(
        self,
        columns: Distribution,
        state: Any,
        x: torch.Tensor,
        lengths: torch.Tensor | None,
    ) -> tuple[Distribution, Any]:
        others, after = state.extend(x, lengths)
        return self._combined(columns, others), after

    def _combined(self, conditional: Distribution, other: Distribution) -> Any:
        if self.of_numbers:
            return geometric_mixture(conditional, other, self.scale)
        p, q = as_categorical(conditional).logits, as_categorical(other).logits
        possible = p > -torch.inf
        if self.log_plausible:
            possible = possible & (p >= p.amax(-1, keepdim=True) + self.log_plausible)
        if self.scale > 1:  # what the other holds impossible outweighs all else
            beyond = possible & (q == -torch.inf)
            possible = torch.where(beyond.any(-1, keepdim=True), beyond, possible)
            q = torch.where(q == -torch.inf, 0.0, q)
        if self.scale == 1:
            return Categorical(p.masked_fill(~possible, -torch.inf))
        mixed = self.scale * torch.where(possible, p, 0.0) + (1 - self.scale) * q
        return Categorical(mixed.masked_fill(~possible, -torch.inf))

    def __repr__(self) -> str:
        return self.name
