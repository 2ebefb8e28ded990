"""Comparing numbers to rounding."""

from __future__ import annotations

import torch

from arproc.testing.report import fail

__all__ = ["agree", "gap", "tolerance_of"]

#: How far two ways to the same number may differ, relative to one plus its size. Float32 products
#: differ in their last bits with the batch's shape, and the difference grows through layers.
TOLERANCES = {torch.float64: 1e-8, torch.float32: 2e-4}


def tolerance_of(dtype: torch.dtype) -> float:
    """How far two ways to the same number may differ in this dtype."""
    return TOLERANCES.get(dtype, 1e-2)


def gap(got: torch.Tensor, want: torch.Tensor) -> torch.Tensor:
    """The difference relative to one plus the size; 0 where both are the same infinity."""
    got, want = got.detach().double(), want.detach().double().to(got.device)
    difference = (got - want).abs() / (1 + torch.maximum(got.abs(), want.abs()))
    difference = torch.where(got == want, torch.zeros_like(difference), difference)
    return difference.nan_to_num(nan=torch.inf)


def agree(
    got: torch.Tensor,
    want: torch.Tensor,
    tolerance: float,
    expected: str,
    cause: str,
    axes: tuple[str, ...] = (),
) -> float:
    """Raise `CheckFailed` where `got` differs from `want`; the largest difference otherwise.

    Args:
        got: what came.
        want: what it should be, of the same shape.
        tolerance: the largest difference allowed, see `gap`.
        expected: what should have held, in words.
        cause: what usually breaks it.
        axes: what the tensors' axes are called, for the message.
    """
    if got.shape != want.shape:
        fail(expected, f"the shapes are {tuple(got.shape)} and {tuple(want.shape)}", cause)
    if not got.numel():
        return 0.0
    gaps = gap(got, want)
    worst = float(gaps.max())
    if worst > tolerance:
        at = tuple(int(i) for i in (gaps == gaps.max()).nonzero()[0])
        named = zip(axes or [f"axis {i}" for i in range(len(at))], at, strict=False)
        place = ", ".join(f"{name} {number}" for name, number in named)
        fail(
            expected,
            f"at {place or 'the one value'} {_digits(got[at], want[at])} came instead of "
            f"{_digits(want[at], got[at])} ({int((gaps > tolerance).sum())} of {gaps.numel()} "
            f"values differ by more than {tolerance:g})",
            cause,
        )
    return worst


def _digits(one: torch.Tensor, other: torch.Tensor) -> str:
    """A number with as many digits as tell it from another."""
    short = f"{float(one):.9g}"
    return f"{float(one):.17g}" if short == f"{float(other):.9g}" else short
