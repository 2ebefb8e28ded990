"""Causality: a later element never moves an earlier conditional."""

from __future__ import annotations

import torch

from arproc.data.tables import Table
from arproc.testing.compare import gap
from arproc.testing.material import Batch
from arproc.testing.report import NotApplicable, fail
from arproc.testing.subject import Subject
from arproc.testing.tables import other_entries

__all__ = ["causality_by_gradient", "causality_by_perturbation"]

_CAUSE = "a mask that is off by one or soft, or a shift that is forgotten at some position"

#: The shapes are the same before and after, so only what really reaches a conditional moves it.
_ROUNDING = {torch.float64: 1e-12, torch.float32: 1e-6}


def causality_by_perturbation(subject: Subject) -> str:
    """Changing any one element, at every position, moves no conditional up to that element.

    Each position is changed in a row of its own: in all rows of a batch at once the change could
    reach other rows' conditionals only through a leak over the batch.
    """
    length = subject.short(10)
    one = subject.batch(2, length, "causality").rows([0])
    tolerance = _ROUNDING.get(subject.dtype, 1e-4)
    places = torch.arange(subject.given, length)
    if not len(places):
        raise NotApplicable("no element follows the first")
    worst = 0.0
    for variant in range(3):
        changed = one.rows([0] * (len(places) + 1))
        other = subject.random_elements((len(places),), f"perturbation {variant}", places)
        x = changed.x.clone()
        x[torch.arange(len(places)), places] = _different(subject, x, places, other)
        columns = subject.reference(Batch(x, changed.context))
        still = torch.arange(columns.shape[2]) <= (places - subject.given)[:, None]
        gaps = gap(columns[:, :-1], columns[:, -1:]).amax(0).cpu().where(still, 0.0)
        worst = max(worst, float(gaps.max()))
        if worst > tolerance:
            row, column = (int(i) for i in (gaps == gaps.max()).nonzero()[0])
            position = int(places[row])
            fail(
                "a later element to leave earlier conditionals alone",
                f"another element at position {position} moves the conditional of position "
                f"{column + subject.given} by {worst:.1e} (relative to its size)",
                _CAUSE,
            )
    return f"{worst:.1e} at {len(places)} positions"


def _different(
    subject: Subject, x: torch.Tensor, places: torch.Tensor, other: torch.Tensor
) -> torch.Tensor:
    """`other`, moved on where it happens to equal what is there."""
    now = x[torch.arange(len(places)), places]
    space = subject.space
    if isinstance(space, Table):
        return other_entries(subject.columns_of_table, places, now, other)
    if space.kind in ("binary", "binary vector"):
        return 1 - now
    if space.size is None:
        return torch.where(other == now, subject.line(subject.line.inv(other) + 1), other)
    symbols = torch.as_tensor(subject.symbols, device=now.device)
    after = symbols.roll(-1)[torch.searchsorted(symbols, now.long().contiguous())]
    return torch.where(other == now, after.to(now), other)


def causality_by_gradient(subject: Subject) -> str:
    """The gradient of each conditional in its own and in later elements is exactly zero."""
    if not subject.space.dtype.is_floating_point:
        raise NotApplicable("symbols have no gradient")
    length = subject.short(8)
    batch = subject.batch(2, length, "gradient causality")
    reached = False
    with torch.enable_grad():
        x = batch.x.clone().requires_grad_()
        columns = subject.reference(Batch(x, batch.context))
        if not columns.requires_grad:
            raise NotApplicable("the conditionals carry no gradient of the data")
        for column in range(columns.shape[2]):
            value = columns[:, :, column].nan_to_num(neginf=0.0).sum()
            slopes = torch.autograd.grad(value, x, retain_graph=True, allow_unused=True)[0]
            if slopes is None:
                continue
            later = slopes[:, column + subject.given :]
            reached = reached or bool(slopes.any())
            if later.numel() and bool((later != 0).any()):
                place = int((later != 0).nonzero()[0][1]) + column + subject.given
                fail(
                    "a conditional to have no gradient in its own and in later elements",
                    f"the conditional of position {column + subject.given} has a slope of "
                    f"{float(later.abs().max()):.1e} in the element at position {place}",
                    _CAUSE,
                )
    return "exactly zero" if reached else "exactly zero (and nowhere else any)"
