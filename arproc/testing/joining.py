"""States of one law side by side: each row goes on as it would alone."""

from __future__ import annotations

import torch

from arproc.contract.state import State
from arproc.testing.compare import agree
from arproc.testing.report import NotApplicable
from arproc.testing.subject import Batch, Subject

__all__ = ["join"]

_CAUSE = "a cache whose rows are joined in another order, or whose places are not each row's own"
_AXES = ("probe value", "row", "column")


def join(subject: Subject) -> str:
    """`join` puts rows of states that are unequally far side by side, and changes none of them."""
    length = subject.short(12)
    room = length - subject.given
    if room < 3:
        raise NotApplicable("sequences are too short for it")
    batch = subject.batch(5, length, "join")
    wanted = subject.reference(batch)
    every = [subject.given + step for step in (room - 2, 0, room // 2)]
    parts = [
        _walked(subject, batch.rows(rows), upto)
        for rows, upto in zip(([3, 1], [4], [0, 2]), every, strict=True)
    ]
    order = torch.tensor([3, 1, 4, 0, 2])
    at = torch.tensor([every[0]] * 2 + [every[1]] + [every[2]] * 2)
    joined = parts[0].join(*parts[1:])
    x, rows = batch.x[order], torch.arange(5)
    off = _same(subject, joined, wanted, order, at, "the rows of joined states")
    columns, further = joined.extend(x[rows[:, None], at[:, None] + torch.arange(2)])
    places = at[:, None] - subject.given + torch.arange(3)
    off = max(
        off,
        agree(
            subject.table(columns),
            wanted[:, order[:, None], places],
            subject.tolerance,
            "the columns along joined rows to be those of each row",
            _CAUSE,
            _AXES,
        ),
    )
    off = max(off, _same(subject, further, wanted, order, at + 2, "joined rows after two more"))
    mixed = joined.select(torch.tensor([4, 2, 0]))
    kept = torch.tensor([4, 2, 0])
    off = max(off, _same(subject, mixed, wanted, order[kept], at[kept], "rows selected of joined"))
    begin = 0
    for part in parts:
        own = slice(begin, begin + part.n)
        off = max(off, _same(subject, part, wanted, order[own], at[own], "a state after the join"))
        begin += part.n
    return f"{off:.1e}"


def _walked(subject: Subject, batch: Batch, upto: int) -> State:
    """A state that came there element by element: what a long prefix does is another check's."""
    state = subject.start(batch, subject.given)
    for t in range(subject.given, upto):
        state = state.append(batch.x[:, t])
    return state


def _same(
    subject: Subject,
    state: State,
    wanted: torch.Tensor,
    rows: torch.Tensor,
    at: torch.Tensor,
    what: str,
) -> float:
    """The state's conditionals are the parallel side's, of these rows at their own places."""
    return agree(
        subject.table(state.conditional),
        wanted[:, rows, at - subject.given],
        subject.tolerance,
        f"{what} to have the conditionals of each row alone",
        _CAUSE,
        _AXES,
    )
