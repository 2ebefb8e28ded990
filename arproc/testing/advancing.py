"""The fast way to draw: an overridden `advance` is the inverse of `extend`."""

from __future__ import annotations

import torch

from arproc.contract.state import State
from arproc.distributions import from_uniform, index
from arproc.testing.compare import agree, gap
from arproc.testing.material import marked
from arproc.testing.report import NotApplicable, fail
from arproc.testing.subject import Subject

__all__ = ["fast_advance"]


def fast_advance(subject: Subject) -> str:
    """An overridden `advance` draws what the conditionals draw from the same uniforms.

    Teacher forcing over its own draws gives the columns; each draw must be the column's draw from
    its uniform. (In float32 a symbol may flip where its uniform lies within rounding of a
    boundary: one in a thousand is let pass.)
    """
    length = subject.short(20)
    upto = min(subject.given + 2, length - 1)
    batch = subject.batch(16, length, "advance")
    start = subject.start(batch, max(upto, subject.given))
    if type(start).advance is State.advance:
        raise NotApplicable("advance is the derived one")
    count = length - int(start.lengths[0])
    shape = (16, count, *subject.space.event_shape)
    u = torch.as_tensor(subject.rng("uniforms").random(shape)).clamp(1e-12, 1 - 1e-12)
    x, state = start.advance(u.to(batch.x.device))
    columns, same = start.extend(x)
    drawn = from_uniform(index(columns, (slice(None), slice(0, -1))), u.to(x.device))
    alive = _before_end(x, subject.space.end)
    _same_draws(subject, x, drawn.to(x.dtype), alive)
    live = alive.all(dim=1)
    off = agree(
        subject.table(state.conditional)[:, live],
        subject.table(same.conditional)[:, live],
        subject.tolerance,
        "the state after advance to be the state after extending by what it drew",
        "an advance that does not carry its cache on",
        ("probe value", "row"),
    )
    return f"{count} draws of 16 rows equal, state {off:.1e}"


def _before_end(x: torch.Tensor, end: int | None) -> torch.Tensor:
    """Which draws [N, K] count: those up to the end, the end itself included."""
    if end is None:
        return torch.ones(x.shape[:2], dtype=torch.bool, device=x.device)
    ended = (x == end).cumsum(dim=1)
    return (ended - (x == end).long()) == 0


def _same_draws(
    subject: Subject, x: torch.Tensor, drawn: torch.Tensor, alive: torch.Tensor
) -> None:
    coarse = subject.dtype != torch.float64
    wrong = gap(marked(x), marked(drawn)) > (1e-4 if coarse else 1e-7)
    wrong = wrong.reshape(*alive.shape, -1).any(-1) & alive
    allowed = 1 + int(alive.sum()) // 1000 if coarse and subject.space.measure != "density" else 0
    if int(wrong.sum()) > allowed:
        row, place = (int(i) for i in wrong.nonzero()[0])
        fail(
            "advance to draw what the conditionals draw from the same uniforms",
            f"{int(wrong.sum())} of {int(alive.sum())} draws differ, the first in row {row} at "
            f"draw {place}: {x[row, place].tolist()} instead of {drawn[row, place].tolist()}",
            "a compiled path with its own parameters, precision or temperature",
        )
