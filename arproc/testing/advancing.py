"""The fast way to draw: an overridden `advance` is the inverse of `extend`."""

from __future__ import annotations

import numpy as np
import torch

from arproc.contract.state import State
from arproc.distributions import from_uniform, index
from arproc.testing.compare import agree, gap
from arproc.testing.material import marked
from arproc.testing.report import NotApplicable, fail
from arproc.testing.subject import Subject
from arproc.testing.work import late, widths

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
    off = _drawn_right(subject, start, [length - int(start.lengths[0])])
    sizes = [(16, length), *((n, subject.short(6)) for n in widths(subject, 6, "draws"))]
    if subject.space.length is None:
        sizes.append((2, late(subject, "draws", rows=2)))
    for n, length in sizes[1:]:
        begun = subject.begin(subject.prefix(n, length, f"advance {n}"))
        parts = _parts_of(length - subject.given, subject.rng(f"parts {n}"))
        off = max(off, _drawn_right(subject, begun, parts))
    return f"draws of {', '.join(f'{n} rows of {k}' for n, k in sizes)} equal, state {off:.1e}"


def _parts_of(count: int, rng: np.random.Generator) -> list[int]:
    """A count in unequal parts, one of them long."""
    cuts = np.unique(rng.integers(1, count, 2)) if count > 64 else np.zeros(0, dtype=int)
    return np.diff(np.concatenate([[0], cuts, [count]])).astype(int).tolist()


def _drawn_right(subject: Subject, start: State, parts: list[int]) -> float:
    """Advance by each of the parts in turn: the draws are those of the conditionals."""
    count, space = sum(parts), subject.space
    shape = (start.n, count, *space.event_shape)
    u = torch.as_tensor(subject.rng(f"uniforms {shape}").random(shape)).clamp(1e-12, 1 - 1e-12)
    state, drawn = start, []
    for part in u.to(start.history.slots.device).split(parts, dim=1):
        x, state = state.advance(part)
        drawn.append(x)
    x = torch.cat(drawn, dim=1)
    if x.shape != shape:
        fail(
            f"advance to draw {count} elements of {start.n} rows",
            f"the shape of its draws is {tuple(x.shape)}",
            "a sampler that draws a block whatever it was asked for",
        )
    columns, same = start.extend(x)
    wanted = from_uniform(index(columns, (slice(None), slice(0, -1))), u.to(x.device))
    alive = _before_end(x, space.end)
    _same_draws(subject, x, wanted.to(x.dtype), alive)
    live = alive.all(dim=1)
    if not bool(live.any()) or (space.length is not None and state.history.stop >= space.length):
        return 0.0
    return agree(
        subject.table(state.conditional)[:, live],
        subject.table(same.conditional)[:, live],
        subject.tolerance,
        "the state after advance to be the state after extending by what it drew",
        "an advance that does not carry its cache on",
        ("probe value", "row"),
    )


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
    # in float32 a symbol, or the component of a mixture, may flip at a boundary
    allowed = 1 + int(alive.sum()) // 1000 if coarse else 0
    if int(wrong.sum()) > allowed:
        row, place = (int(i) for i in wrong.nonzero()[0])
        fail(
            "advance to draw what the conditionals draw from the same uniforms",
            f"{int(wrong.sum())} of {int(alive.sum())} draws differ, the first in row {row} at "
            f"draw {place}: {x[row, place].tolist()} instead of {drawn[row, place].tolist()}",
            "a compiled path with its own parameters, precision or temperature",
        )
