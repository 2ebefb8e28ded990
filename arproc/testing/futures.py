"""What the checks of forecasts share: histories, tables as arrays, and who has any."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from arproc.contract.randomness import Uniforms
from arproc.contract.state import State
from arproc.distributions import component_marginals
from arproc.forecasting.marginals import Closed
from arproc.spaces import Binary, BinaryVector, Count, Ordinal, Real
from arproc.testing.report import NotApplicable, fail
from arproc.testing.subject import Batch, Subject

__all__ = ["closed", "continued", "numbers", "room", "steps", "table_of"]

_LONGEST = 40  # steps


def room(subject: Subject, known: int, longest: int = _LONGEST) -> int:
    """How many steps may be forecast after `known` elements; not applicable where none."""
    space = subject.space
    if not isinstance(space, (Real, Count, Ordinal, Binary, BinaryVector)) or space.terminates:
        raise NotApplicable("forecasts are for endless sequences of numbers")
    left = longest if space.length is None else min(longest, space.length - known)
    if left < 1:
        raise NotApplicable("sequences are too short for it")
    return left


def steps(subject: Subject) -> list[int]:
    """Lengths of histories: the shortest, a few elements, and far more than a window has."""
    given, fixed = subject.given, subject.space.length
    if fixed is None:
        return [given, given + 6, subject.length + 60]
    return sorted({given, min(given + 3, fixed - 1)})


def continued(subject: Subject, batch: Batch, total: int) -> Batch:
    """Rows that go on as the process itself does: elements that it may well meet."""
    if batch.length >= total:
        return batch
    state = subject.start(batch, batch.length)
    positions = state.positions.cpu().numpy()
    u = Uniforms(subject.seed).block(
        range(batch.n), positions, total - batch.length, subject.space.event_shape
    )
    x, _ = state.advance(u.to(state.history.slots.device))
    return Batch(torch.cat([batch.x, x.to(batch.x)], dim=1), batch.context)


def numbers(subject: Subject, n: int, known: int, horizon: int, purpose: str) -> Batch:
    """Histories of `known` elements, drawn by the process, with contexts for the steps to come."""
    prefix = subject.prefix(n, known + horizon, purpose)
    return continued(subject, prefix, known)


def closed(subject: Subject, state: State, horizon: int) -> Closed | None:
    """The law's own marginals of the next steps, where they are in closed form."""
    found = subject.process.law_.predictive(state, horizon)
    if found is None:
        return None
    try:
        return Closed(component_marginals(found), subject.space.measure == "mass")
    except NotImplementedError:  # its mean has no closed form, so forecasts are simulated
        return None


def table_of(subject: Subject, table: Any, horizon: int, columns: int, n: int = 1) -> np.ndarray:
    """A forecast's table as numbers [n, horizon, components, columns]."""
    components = int(np.prod(subject.space.event_shape, dtype=np.int64))
    want = (n * horizon, components * columns)
    if getattr(table, "shape", None) != want:
        fail(
            f"a table of {want[0]} rows (steps) and {want[1]} columns",
            f"its shape is {getattr(table, 'shape', None)}",
            "another idea of the horizon",
        )
    x = np.array(table.to_numpy(dtype=float))  # writable, as torch likes it
    return x.reshape(n, horizon, components, columns)
