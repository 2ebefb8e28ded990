"""The level of a process at every element: terms of the position, and regressors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch

from arproc.contract.context import split_clock
from arproc.gaussian.terms import Terms

__all__ = ["Level"]


@dataclass(frozen=True)
class Level:
    """A number for every element: terms and regressors times their coefficients.

    Attributes:
        terms: the columns that follow from the position.
        coefficients: theirs, [q].
        weights: coefficients of the context's columns, [c]; none where they are none of its.
        width: how many columns the context has, the clock left out (see `split_clock`).
    """

    terms: Terms
    coefficients: torch.Tensor
    weights: torch.Tensor = field(default_factory=lambda: torch.zeros(0, dtype=torch.float64))
    width: int = 0

    @property
    def constant(self) -> bool:
        """Whether it is one number for all elements."""
        return not len(self.weights) and self.terms.n == self.terms.n_trend <= 1

    @property
    def nothing(self) -> bool:
        """Whether it is 0 for all elements."""
        return not len(self.weights) and self.terms.n == 0

    def at(self, position: torch.Tensor, context: torch.Tensor | None = None) -> torch.Tensor:
        """The level at these positions.

        Args:
            position: int64 [K], the same for all rows, or [N, K].
            context: [N, T, c], for those that have weights; with t where rows do not begin at 0.

        Returns:
            A scalar where the level is constant, else [K], or [N, K] where position or context is
            so; nan where the context has ended.
        """
        if self.constant:
            none = self.coefficients.new_zeros(())
            return self.coefficients[0] if len(self.coefficients) else none
        context, first = split_clock(context, self.width)
        level = self._of_terms(position if first is None else position + first[:, None])
        if not len(self.weights):
            return level
        return level + self._of_context(position, self._products(context))

    def at_rows(
        self, position: torch.Tensor, rows: torch.Tensor, context: torch.Tensor | None
    ) -> torch.Tensor:
        """The level of elements in any order: of row `rows[k]` at `position[k]`, [K] each."""
        if self.constant:
            return self.at(position)
        context, first = split_clock(context, self.width)
        level = self._of_terms(position if first is None else position + first[rows])
        if not len(self.weights):
            return level
        return level + self._products(context)[rows, position]

    def map(self, change: Callable[[torch.Tensor], torch.Tensor]) -> Level:
        """The same with its tensors changed: moved to a device, or detached."""
        coefficients, weights = change(self.coefficients), change(self.weights)
        return Level(self.terms, coefficients, weights, self.width)

    def _of_terms(self, position: torch.Tensor) -> torch.Tensor:
        if self.terms.n == 0:
            return self.coefficients.new_zeros(position.shape)
        if self.terms.n == 2 == self.terms.n_trend:
            return self.coefficients[0] + self.coefficients[1] * position
        return self.terms.columns(position) @ self.coefficients

    def _products(self, context: torch.Tensor | None) -> torch.Tensor:
        """The regressors' part at every step of the context, [N, T]."""
        assert context is not None
        return context.to(self.weights) @ self.weights

    def _of_context(self, position: torch.Tensor, products: torch.Tensor) -> torch.Tensor:
        last = products.shape[1] - 1
        if last < 0:
            return products.new_full((len(products), position.shape[-1]), torch.nan)
        inside = position.clamp(min=0, max=last)
        if position.ndim == 1:
            found = products[:, inside]
        else:
            found = products.expand(len(position), -1).gather(1, inside)
        # beyond the context nothing is known: nan there, and the caller sees it at once
        return found.masked_fill(position > last, torch.nan)
