"""The probability integral transform by log-probabilities alone."""

from __future__ import annotations

from typing import Any

import torch
from torch import distributions as td

from arproc.distributions import index
from arproc.testing.compare import gap
from arproc.testing.integrals import scored
from arproc.testing.places import Scalars, taken_apart
from arproc.testing.statistics import pit
from arproc.testing.subject import Subject

__all__ = ["INTEGRATED", "believed", "by_density"]

#: How many conditionals are integrated where their own distribution function is not believed.
INTEGRATED = 480
_COMPARED = 64  # conditionals by which it is decided


def believed(subject: Subject, d: Any, x: torch.Tensor, places: torch.Tensor) -> bool:
    """Whether some conditionals' own distribution function at x is the integral of their density.

    Args:
        subject: what is tried.
        d: conditionals [B].
        x: elements [B, *event].
        places: how many elements came before each after the given ones, int64 [B].
    """
    some = torch.as_tensor(subject.rng("believed").permutation(len(x))[:_COMPARED])
    d, x, places = index(d, some), x[some], places[some]
    want = by_density(subject, d, x, places)
    if want is None:
        return True  # nothing to compare with: vectors, which other checks look at
    got = pit(d, x, subject.rng("randomised"))
    return got is not None and bool((gap(got, want) < 1e-3).all())


def by_density(
    subject: Subject, d: Any, x: torch.Tensor, places: torch.Tensor
) -> torch.Tensor | None:
    """`pit` with the sums and integrals of log-probabilities; None for vectors that depend."""
    rng = subject.rng("randomised")
    if isinstance(d, td.Independent):
        x = x.reshape(*d.base_dist.batch_shape)
    elif d.event_shape:
        return None
    v = torch.as_tensor(rng.random(tuple(x.shape)))
    u = torch.full(x.shape, torch.nan, dtype=torch.float64)
    places = places + subject.given
    for group in taken_apart(subject, d, places):
        chosen = torch.ones(len(x), dtype=torch.bool)
        if subject.space.varies:
            chosen = places == group.place
        own = x[chosen]
        gone = torch.isnan(own)
        law = scored(group.d, group.space, own.nan_to_num(_inside(group))[None])
        if not law.adds_up(subject.dtype):
            return None  # another check says so
        below = torch.where(gone, law.missing, law.below[0])
        atom = torch.where(gone, law.missing, law.atom[0])
        u[chosen] = below - v[chosen] * atom
    return None if bool(torch.isnan(u).all()) else u


def _inside(group: Scalars) -> float:
    """A value of the space, in the place of missing ones."""
    return 0.5 if group.space.measure == "density" else 0.0
