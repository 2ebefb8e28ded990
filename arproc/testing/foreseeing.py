"""Laws that foresee elements after the next: each guess is a proposal of its own row."""

from __future__ import annotations

import torch
from torch import Tensor

from arproc.contract.state import State
from arproc.errors import UnsupportedError
from arproc.testing.compare import agree
from arproc.testing.material import Batch
from arproc.testing.report import NotApplicable, fail
from arproc.testing.subject import Subject

__all__ = ["foresight"]

_CAUSE = "what is foreseen read from a cache of other rows, or of another place"
_AXES = ("probe value", "row")


def foresight(subject: Subject) -> str:
    """`foresee` is a function of a row's own elements, however its state came about.

    After no further elements it is the conditional itself; further than the law's `foresight` it
    is refused. How good the guesses are is nobody's promise: they may be any distribution.
    """
    reach = subject.process.law_.foresight
    if not reach:
        raise NotApplicable("it foresees no elements after the next")
    length = subject.short(8)
    upto = subject.given + (length - subject.given) // 2
    batch = subject.batch(4, length, "foresight")
    states = _ways(subject, batch, upto)
    off = 0.0
    for k in range(min(reach, length - upto) + 1):
        further = batch.x[:, upto : upto + k]
        wanted = _alone(subject, batch, upto, further)
        for way, state in states.items():
            found = subject.table(state.foresee(further))
            what = f"{k} elements further, of a state by {way}, to be each row's own"
            off = max(off, agree(found, wanted, subject.tolerance, what, _CAUSE, _AXES))
            if k == 0:
                now, what = subject.table(state.conditional), "after no elements the conditional"
                off = max(off, agree(found, now, subject.tolerance, what, _CAUSE, _AXES))
    _refused(subject, states["a prefix"], reach)
    return f"{off:.1e} up to {reach} further"


def _ways(subject: Subject, batch: Batch, upto: int) -> dict[str, State]:
    """States after the first `upto` elements of each row, by the way they came there."""
    begun, order = subject.begin(batch), torch.tensor([2, 0, 3, 1])
    walked = begun
    for t in range(subject.given, upto):
        walked = walked.append(batch.x[:, t])
    return {
        "a prefix": subject.start(batch, upto),
        "append": walked,
        "extend": begun.extend(batch.x[:, subject.given : upto])[1],
        "truncate": begun.extend(batch.x[:, subject.given :])[1].truncate(upto),
        "select": walked.select(order).select(order.argsort()),
        "join": walked.select([0, 1]).join(walked.select([2, 3])),
    }


def _alone(subject: Subject, batch: Batch, upto: int, further: Tensor) -> Tensor:
    """What is foreseen of each row where there is no other, [probes, rows]."""
    found = []
    for row in range(batch.n):
        state = subject.start(batch.rows([row]), upto)
        found.append(subject.table(state.foresee(further[row : row + 1])))
    return torch.cat(found, dim=1)


def _refused(subject: Subject, state: State, reach: int) -> None:
    beyond = subject.batch(4, reach + 1, "beyond foresight").x
    try:
        state.foresee(beyond)
    except UnsupportedError:
        return
    fail(
        f"foresee to refuse {reach + 1} elements, where foresight is {reach}",
        "it gave a distribution",
        "a foresee in place of _foresee",
    )
