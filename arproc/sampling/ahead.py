"""How far a draft runs ahead of each row, learnt from how much of it was kept."""

from __future__ import annotations

import torch
from torch import Tensor

from arproc.errors import ParameterError, check_count, check_number

__all__ = ["Ahead", "Costs"]

#: How fast the count of what was kept forgets, a pass.
_MEMORY = 0.9
#: A row whose draft does not pay rests for so many elements, then twice as many ...
_REST, _LONGEST_REST = 16, 256


class Costs:
    """What drafting and verifying cost, as shares of one pass of the law over one element.

    Args:
        draft: drafting one element.
        verify: one more element in a pass.

    Example:
        >>> Costs(draft=0.0, verify=0.1).best(torch.tensor([0.0, 0.5, 0.95])).tolist()
        [0, 2, 8]
    """

    def __init__(self, draft: float = 0.02, verify: float = 0.1) -> None:
        self.draft = check_number("draft", draft, low=0.0)
        self.verify = check_number("verify", verify, low=0.0)

    def gain(self, rate: Tensor, most: int) -> Tensor:
        """Elements per unit of cost with 0 ... `most` guesses, each kept at a rate [m]; [m, K]."""
        ahead = torch.arange(most + 1)
        expected = (rate[:, None] ** ahead).cumsum(1)  # 1 + r + ... + r^K
        return expected / (1 + (self.draft + self.verify) * ahead)

    def best(self, rate: Tensor, most: int = 8) -> Tensor:
        """How many guesses bring most, int64 [m]; 0 where none pays."""
        return self.gain(rate, most).argmax(1)

    def __repr__(self) -> str:
        return f"Costs(draft={self.draft:.3g}, verify={self.verify:.3g})"


class Ahead:
    """How many elements each row's draft guesses next.

    With a fixed number that is it. Otherwise each row takes the number that brings the most
    elements for what the passes cost, at the rate at which its own guesses were kept lately; and
    where none pays its draft rests, for longer each time. The law of what is drawn does not depend
    on it, since it looks at the past alone; and it looks at the row alone, so a row is the same in
    any batch.

    Args:
        n: how many rows.
        fixed: how many guesses, or None.
        most: how many at most where it adapts.
        costs: what they cost.
    """

    def __init__(self, n: int, fixed: int | None, most: int, costs: Costs) -> None:
        self.fixed, self.most, self.costs = fixed, most, costs
        # as if three of four guesses had been kept
        self.kept, self.tested = torch.full((n,), 1.5), torch.full((n,), 2.0)
        self.resting = torch.zeros(n, dtype=torch.int64)
        self.rest = torch.full((n,), _REST)

    def wanted(self) -> Tensor:
        """How many guesses each row is to get, int64 [m]."""
        if self.fixed is not None:
            return torch.full((len(self.kept),), self.fixed)
        best = self.costs.best(self.kept / self.tested, self.most)
        # one that is back from its rest tries at least a little
        return torch.where(self.resting > 0, 0, best.clamp(min=1))

    @property
    def idle(self) -> int:
        """For how many elements no row's draft is asked."""
        return 0 if self.fixed is not None or not len(self.kept) else int(self.resting.min())

    def learn(self, counts: Tensor, kept: Tensor, drawn: Tensor) -> None:
        """Take what was kept.

        Args:
            counts: how many guesses each row had, [m].
            kept: how many of them were kept, [m].
            drawn: how many elements each row got, [m].
        """
        if self.fixed is not None:
            return
        tried = counts > 0
        memory = torch.where(tried, _MEMORY, 1.0)
        self.kept = self.kept * memory + kept
        self.tested = self.tested * memory + torch.minimum(kept + 1, counts)
        self.resting = (self.resting - drawn).clamp(min=0)
        gives_up = tried & (self.costs.best(self.kept / self.tested, self.most) == 0)
        self.resting = torch.where(gives_up, self.rest, self.resting)
        self.rest = torch.where(gives_up, (2 * self.rest).clamp(max=_LONGEST_REST), self.rest)
        self.rest = torch.where(tried & ~gives_up, _REST, self.rest)

    def rested(self, drawn: int) -> None:
        """Every row got so many elements without a guess."""
        self.resting = (self.resting - drawn).clamp(min=0)

    def select(self, rows: Tensor) -> None:
        """Go on with these rows alone."""
        self.kept, self.tested = self.kept[rows], self.tested[rows]
        self.resting, self.rest = self.resting[rows], self.rest[rows]


def check_ahead(ahead: object) -> int | None:
    """The argument `ahead`, or the error that a wrong one deserves."""
    if ahead is None:
        return None
    number = check_count("ahead", ahead, minimum=0)
    if number > 1024:
        raise ParameterError(f"ahead must be at most 1,024 elements; got {number:,}.")
    return number
