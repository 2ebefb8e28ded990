"""The incremental side is the parallel side, however a state came about."""

from __future__ import annotations

import numpy as np
import torch
from torch.distributions import Distribution

from arproc.contract.state import State
from arproc.testing.compare import agree
from arproc.testing.forks import forks
from arproc.testing.material import Batch
from arproc.testing.report import NotApplicable, fail
from arproc.testing.sizes import late_states
from arproc.testing.subject import Subject
from arproc.testing.work import widths

__all__ = [
    "any_length",
    "immutability",
    "parallel_equals_incremental",
    "ragged_extend",
    "select",
    "start_from_prefix",
    "truncate",
]

#: Lengths up to this are short: `parallel_equals_incremental` looks at the first ones closely.
_SHORT = 64
_AXES = ("probe value", "row", "column")


def parallel_equals_incremental(subject: Subject) -> str:
    """Appending one by one from the start gives each of the parallel pass's conditionals."""
    batch = subject.batch(4, subject.short(16), "incremental")
    columns = _one_by_one(subject, subject.begin(batch), batch)
    off = agree(
        columns,
        subject.reference(batch),
        subject.tolerance,
        "the conditional after appending one by one to be the column of one parallel pass",
        "two definitions of one model: a mask against a cache, or the start handled twice",
        _AXES,
    )
    return f"{off:.1e} at {columns.shape[2]} positions"


def _one_by_one(
    subject: Subject, state: State, batch: Batch, steps: int | None = None
) -> torch.Tensor:
    """The conditionals from a state on, appending what follows in the batch, [probes, n, ...]."""
    columns, start = [subject.table(state.conditional)], int(state.lengths[0])
    stop = batch.length if steps is None else min(start + steps, batch.length)
    for t in range(start, stop):
        state = state.append(batch.x[:, t])
        columns.append(subject.table(state.conditional))
    return torch.stack(columns, dim=2)


def any_length(subject: Subject) -> str:
    """The same far beyond a window: appending, and extending in unequal chunks.

    And at places drawn at random beyond 2,100 elements, where a pass over them is cheap.
    """
    length = subject.length if subject.space.length is None else subject.short(subject.length)
    if length - subject.given <= _SHORT:
        raise NotApplicable(f"no sequence has more than {_SHORT} elements")
    batch = subject.batch(2, length, "long")
    wanted = subject.reference(batch)
    off = agree(
        _one_by_one(subject, subject.begin(batch), batch)[:, :, _SHORT:],
        wanted[:, :, _SHORT:],
        subject.tolerance,
        f"appending to equal the parallel pass at any length (here beyond {_SHORT} elements)",
        "a cache, a table of positions or a window that runs out",
        _AXES,
    )
    state, position, chunk = subject.begin(batch), subject.given, 1
    while position < length:
        block = batch.x[:, position : position + chunk]
        columns, state = state.extend(block)
        place = position - subject.given
        off = max(
            off,
            agree(
                subject.table(columns),
                wanted[:, :, place : place + block.shape[1] + 1],
                subject.tolerance,
                f"extending by {chunk} at position {position} to equal one parallel pass",
                "a chunk that attends to too little of what came before it",
                _AXES,
            ),
        )
        position, chunk = position + chunk, 2 * chunk + 1
    if subject.space.length is None:
        further, longest = late_states(subject)
        off, length = max(off, further), max(length, longest)
    return f"{off:.1e} over {length} elements"


def start_from_prefix(subject: Subject) -> str:
    """`start(prefix)` is where one gets by appending: its conditional, and what grows from it."""
    length = subject.short(16)
    batch = subject.batch(4, length, "prefix")
    wanted = subject.reference(batch)
    off, room = 0.0, length - subject.given
    for upto in sorted({room // 2, max(room - 2, 0), room}):
        columns = _one_by_one(subject, subject.start(batch, upto + subject.given), batch, steps=2)
        off = max(
            off,
            agree(
                columns,
                wanted[:, :, upto : upto + columns.shape[2]],
                subject.tolerance,
                f"a state started with {upto} elements, and appended to, to give the conditionals "
                "of one parallel pass",
                "an extend whose columns are right but whose state is stale",
                _AXES,
            ),
        )
    return f"{off:.1e}"


def ragged_extend(subject: Subject) -> str:
    """`extend(x, lengths)` and `start` of unequal prefixes give what each row gives alone."""
    length = subject.short(40)
    _need(length - subject.given, 3)
    off = _ragged(subject, 5, length)
    for n in widths(subject, 12, "ragged"):
        off = max(off, _ragged(subject, n, min(length, subject.short(12))))
    return f"{off:.1e}"


def _ragged(subject: Subject, n: int, length: int) -> float:
    batch = subject.batch(n, length, f"ragged {n}")
    wanted = subject.reference(batch)
    rng, room = subject.rng(f"lengths {n}"), length - subject.given
    first = np.resize([0, room // 3, 1, room // 2, room // 4], n).clip(0, room)
    block = max(1, (length - subject.given - int(first.max())) // 2)
    second = rng.integers(0, block + 1, n)
    second[:2] = 0, block
    at = torch.as_tensor(first)
    state = subject.process.start(
        subject.ragged(batch, at + subject.given, False), context=batch.context
    )
    off = _same_place(subject, state, wanted, at, "starting with prefixes of unequal lengths")
    for number, lengths in enumerate((torch.as_tensor(second), torch.zeros(n, dtype=torch.int64))):
        x = _next(batch.x, at + subject.given, block)
        columns, state = state.extend(x, lengths)
        places = at[:, None] + torch.arange(block + 1)
        off = max(off, _same_columns(subject, columns, wanted, places))
        at = at + lengths
        what = f"extend number {number + 1} with lengths {lengths[:5].tolist()}"
        off = max(off, _same_place(subject, state, wanted, at, what))
    state = state.append(_next(batch.x, at + subject.given, 1)[:, 0])
    off = max(off, _same_place(subject, state, wanted, at + 1, "append to rows of unequal length"))
    columns, state = state.extend(batch.x[:, :0])
    return max(off, _same_columns(subject, columns, wanted, (at + 1)[:, None]))


def _need(room: int, least: int) -> None:
    if room < least:
        raise NotApplicable("sequences are too short for it")


_RAGGED = "rows padded into a shared cache, or positions counted from the padding"


def _next(x: torch.Tensor, at: torch.Tensor, count: int) -> torch.Tensor:
    """The `count` elements of each row from its own place on, [n, count, *event]."""
    places = at[:, None] + torch.arange(count)
    return x[torch.arange(len(x))[:, None], places]


def _same_columns(
    subject: Subject, columns: Distribution, wanted: torch.Tensor, places: torch.Tensor
) -> float:
    want = wanted[:, torch.arange(len(places))[:, None], places]
    expected = "every column of a ragged extend to be the conditional of its row alone"
    return agree(subject.table(columns), want, subject.tolerance, expected, _RAGGED, _AXES)


def _same_place(
    subject: Subject, state: State, wanted: torch.Tensor, at: torch.Tensor, what: str
) -> float:
    """The state's conditional is the parallel side's at each row's own place."""
    return agree(
        subject.table(state.conditional),
        wanted[:, torch.arange(len(at)), at],
        subject.tolerance,
        f"the conditional after {what} to be each row's own",
        _RAGGED,
        _AXES,
    )


def select(subject: Subject) -> str:
    """`select` reorders, repeats and drops rows: conditionals follow, and what grows from them."""
    length = subject.short(12)
    upto = max(subject.given, length - 4)
    batch = subject.batch(5, length, "select")
    wanted = subject.reference(batch)
    off = 0.0
    for rows in ([3, 0, 4, 1, 2], [2, 2, 0], [4], [True, False, True, True, False]):
        numbers = [i for i, r in enumerate(rows) if r] if rows[0] is True else list(map(int, rows))
        state = subject.start(batch, upto).select(torch.tensor(rows))
        columns = _one_by_one(subject, state, batch.rows(numbers))
        off = max(
            off,
            agree(
                columns,
                wanted[:, numbers, upto - subject.given :],
                subject.tolerance,
                f"the rows after select({rows}) to be those rows, and to go on as such",
                "a cache, a context or a policy's state that is not reordered with the rows",
                _AXES,
            ),
        )
    off = max(off, _copies_apart(subject, batch, upto))
    if length - subject.given >= 2:
        _of_no_rows(subject)
    return f"{off:.1e}"


def _copies_apart(subject: Subject, batch: Batch, upto: int) -> float:
    """One row selected many times: its copies go on with elements of their own."""
    n = batch.n
    x = batch.x[:1].repeat(n, *[1] * (batch.x.ndim - 1))
    context = None if batch.context is None else batch.context[[0] * n]
    state = subject.start(batch, upto).select([0] * n)
    x[:, upto:] = subject.possible_after(state, batch.x[:, upto:], "copies")
    apart = Batch(x, context)
    return agree(
        _one_by_one(subject, state, apart),
        subject.reference(apart)[:, :, upto - subject.given :],
        subject.tolerance,
        "copies of one row, by select, to go on each with its own elements",
        "rows that are a view of one (expand), into which all write",
        _AXES,
    )


def _of_no_rows(subject: Subject) -> None:
    """A state without rows takes every call, and what it says has no rows."""
    batch = subject.batch(2, subject.short(4), "no rows")
    first = subject.begin(batch)
    x = batch.x[:0, subject.given :]
    u = torch.zeros(x[:, :1].shape, dtype=torch.float64, device=x.device)
    empty = first.select([])
    made = {
        "select([])": empty,
        "append": empty.append(x[:, 0]),
        "extend": empty.extend(x[:, :1])[1],
        "advance": empty.advance(u)[1],
        "truncate": empty.append(x[:, 0]).truncate(subject.given),
        "select": empty.select([]),
    }
    for what, state in made.items():
        shape = tuple(state.conditional.batch_shape)
        if shape != (0,) or state.n != 0:
            fail(
                f"a state without rows after {what} to have none",
                f"it has {state.n}, and its conditional the batch shape {shape}",
                "a cache that is not selected with the rows",
            )


def truncate(subject: Subject) -> str:
    """`truncate` goes back 64 elements at least, row by row, however they came; and on."""
    length = subject.short(80)
    room = length - subject.given - 1  # one is left to go on with
    _need(room, 2)
    off = _cut(subject, 5, length)
    for n in widths(subject, 12, "truncate"):
        off = max(off, _cut(subject, n, min(length, subject.short(12))))
    return f"{off:.1e} up to {min(64, room)} elements back"


def _cut(subject: Subject, n: int, length: int) -> float:
    room = length - subject.given - 1
    batch = subject.batch(n, length, f"truncate {n}")
    wanted = subject.reference(batch)
    off = 0.0
    for grown in ("append", "extend"):
        state = subject.start(batch, subject.given + room // 2)
        rest = batch.x[:, subject.given + room // 2 : -1]
        if grown == "extend":
            state = state.extend(rest)[1]
        else:
            for t in range(rest.shape[1]):
                state = state.append(rest[:, t])
        back = torch.as_tensor(np.resize([1, 0, min(64, room), room // 3, room], n))
        for lengths in (room - back, torch.full((n,), room // 2), torch.zeros(n).long()):
            kept = state.truncate(lengths + subject.given)
            what = f"truncating {room} elements (by {grown}) to {lengths[:5].tolist()}"
            off = max(off, _back(subject, kept, wanted, lengths, what))
            on = kept.append(_next(batch.x, lengths + subject.given, 1)[:, 0])
            off = max(off, _back(subject, on, wanted, lengths + 1, f"going on after {what}"))
            twice = on.truncate(lengths // 2 + subject.given)
            what = f"truncating to {(lengths // 2)[:5].tolist()} after {what}"
            off = max(off, _back(subject, twice, wanted, lengths // 2, what))
    return off


def _back(
    subject: Subject, state: State, wanted: torch.Tensor, at: torch.Tensor, what: str
) -> float:
    return agree(
        subject.table(state.conditional),
        wanted[:, torch.arange(len(at)), at],
        subject.tolerance,
        f"the state after {what} to be as it was there",
        "a cache that is cut for the longest row only, or that has dropped what it needs",
        _AXES,
    )


def immutability(subject: Subject) -> str:
    """A state stays valid when others grow from it: forks do not disturb each other.

    Also in trees of states grown at random by `append`, `extend` (by nothing, and by unequal
    lengths), `select` with rows repeated, `truncate` and `advance`, whose every state is asked
    again at the end.
    """
    length = subject.short(12)
    upto = max(subject.given, length - 4)
    batch = subject.batch(4, length, "fork")
    other = Batch(batch.x.clone(), batch.context)
    other.x[:, upto:] = subject.random_elements(
        (4, length - upto), "other branch", torch.arange(upto, length)
    )
    other = subject.possible(other, "other branch")
    wanted, wanted_other = subject.reference(batch), subject.reference(other)
    root = subject.start(batch, upto)
    first = root.append(batch.x[:, upto])
    second = root.append(other.x[:, upto])
    root.extend(other.x[:, upto:])
    first.select([0, 0, 1, 2])
    root.truncate(subject.given)
    off = 0.0
    for state, rows, want in ((first, batch, wanted), (second, other, wanted_other)):
        columns = _one_by_one(subject, state, rows)
        off = max(off, _undisturbed(subject, columns, want[:, :, upto + 1 - subject.given :]))
    again = subject.table(root.extend(batch.x[:, upto:])[0])
    off = max(off, _undisturbed(subject, again, wanted[:, :, upto - subject.given :]))
    further, grown = forks(subject)
    return f"{max(off, further):.1e} in {grown} states"


def _undisturbed(subject: Subject, got: torch.Tensor, want: torch.Tensor) -> float:
    return agree(
        got,
        want,
        subject.tolerance,
        "a state to stay as it was when other states grow from the same one",
        "append or extend writing into what it shares with the state before it",
        _AXES,
    )
