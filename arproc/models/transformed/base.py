"""What a change of variables is, and several of them one after the other."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import distributions as td
from torch.distributions import Distribution

from arproc.contract.parameters import Parameters
from arproc.distributions import Truncated, transformed
from arproc.errors import ParameterError, UnsupportedError, check_list

__all__ = ["Composed", "Transform"]


class Transform(Parameters):
    """A map from the user's values y to the process's values x, invertible given the past.

    A subclass writes `outward`, and where they apply `given`, `fit`, `check` and `reach`.
    Transforms are put one after the other by `|`, the first one first: `Log() | Difference()`.
    """

    #: Whether a missing value is a missing x and no other: true of maps of each value alone.
    takes_missing: bool = False

    @property
    def given(self) -> int:
        """How many first values it needs before it can map any (a difference needs one)."""
        return 0

    @property
    def reach(self) -> tuple[float, float]:
        """Between which numbers its values x lie.

        Where that is not the whole line, conditionals are cut to it and renormalised.
        """
        return -math.inf, math.inf

    def fit(self, values: torch.Tensor) -> None:
        """Learn what the transform needs from the user's values, flat."""

    def fit_jointly(self, values: torch.Tensor, log_prob: Callable[[Transform], float]) -> None:
        """Learn from the values and from the likelihood; `fit` alone by default.

        Args:
            values: the user's values, flat.
            log_prob: the maximised log-likelihood, on the user's scale, of the process under a
                transform that is given in place of this one.
        """
        self.fit(values)

    @property
    def learns_alone(self) -> bool:
        """Whether it learns from the values, by `fit`, and nothing from the likelihood."""
        return type(self).fit_jointly is Transform.fit_jointly

    def check(self, y: torch.Tensor) -> None:
        """Raise `DataError` where a value can not be mapped."""

    def outward(self, past: torch.Tensor) -> td.Transform:
        """The map from x to y, given the last `given` values `past` [..., given]."""
        raise UnsupportedError(f"{type(self).__name__} does not write outward.")

    # ---- derived ---------------------------------------------------------------------------

    def law(self, inner: Distribution, past: torch.Tensor) -> Distribution:
        """The conditional law of y, from that of x."""
        return transformed(self.cut(inner), self.outward(past))

    def cut(self, inner: Distribution) -> Distribution:
        """The law of x given that it can occur."""
        low, high = self.reach
        if math.isinf(low) and math.isinf(high):
            return inner
        return Truncated(inner, low, high)

    def marginals(self, inner: Distribution, past: torch.Tensor) -> Distribution | None:
        """The marginal laws of several steps, batch [N, horizon], from those of x, where known."""
        outward = self.outward(past)
        if self.given or not isinstance(inner, _exact(outward)):
            return None
        return transformed(inner, outward)

    def joint(self, inner: Distribution, past: torch.Tensor) -> Distribution | None:
        """The joint law of the next steps from that of x, see `Process._joint`, where known."""
        return None if self.given else transformed(inner, self.outward(past))

    def __or__(self, other: Transform) -> Composed:
        if not isinstance(other, Transform):
            return NotImplemented
        return Composed([*_parts(self), *_parts(other)])


def _exact(outward: td.Transform) -> type:
    """The laws whose mean under this map is known: all under an affine one, else normal ones."""
    return Distribution if isinstance(outward, td.AffineTransform) else td.Normal


def _parts(transform: Transform) -> list[Transform]:
    return list(transform.transforms) if isinstance(transform, Composed) else [transform]


class Composed(Transform):
    """Transforms one after the other, the first one first; made by `|`.

    `Transformed(process, a | b)` is `Transformed(Transformed(process, b), a)`.

    Args:
        transforms: the transforms.

    Example:
        >>> from arproc.transforms import Difference, Log
        >>> len((Log() | Difference(12) | Difference()).transforms)
        3
    """

    def __init__(self, transforms: Sequence[Transform]) -> None:
        self.transforms = transforms

    def split(self) -> tuple[Transform, Transform | None]:
        """The first transform, and what follows it."""
        parts: list[Any] = check_list("transforms", self.transforms)
        if not parts or not all(isinstance(part, Transform) for part in parts):
            raise ParameterError(f"transforms must be a list of transforms; got {parts!r}.")
        first, rest = parts[0], parts[1:]
        if isinstance(first, Composed):
            first, inside = first.split()
            rest = ([] if inside is None else [inside]) + rest
        return first, (None if not rest else rest[0] if len(rest) == 1 else Composed(rest))

    def clone(self) -> Composed:
        return Composed([part.clone() for part in self.transforms])
