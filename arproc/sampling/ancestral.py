"""Ancestral sampling: the one engine that draws from every process."""

from __future__ import annotations

import math
from typing import Any

import torch

from arproc.contract.holder import Holder
from arproc.contract.law import ChainLaw, DerivedLaw, Draws, Law
from arproc.contract.randomness import Uniforms
from arproc.contract.sequences import Sequences
from arproc.contract.state import State
from arproc.data.form import Form, restore
from arproc.data.tables.space import Table
from arproc.errors import DataError, NothingLeftError, ParameterError, check_count
from arproc.sampling.policies import PolicyLaw
from arproc.sampling.scoring import scores_after, scores_of
from arproc.sampling.stopping import Stopper, stopper
from arproc.spaces import Space

__all__ = ["Drawing", "MOST", "MOST_UNDER_POLICY", "check_drawn", "check_length", "draw", "sample"]

#: How many elements of endless rows are drawn at once, so that their uniforms come in blocks.
_BLOCK = 64
#: A row that is given no limit and has not ended after so many elements is taken for endless; and
#: under a policy, which may have taken the end away (and draws element by element, slowly).
MOST, MOST_UNDER_POLICY = 100_000, 10_000


def sample(
    process: Holder,
    drawn_from: ChainLaw,
    n: int,
    length: int | None,
    prefix: Any,
    stop: Any,
    seed: int | torch.Generator | None,
    return_log_prob: bool,
    context: Any,
    offset: Any,
) -> Any:
    """See `Process.sample`; `drawn_from` is the law that draws, the process's under a policy."""
    law = process.law_
    n = check_count("n", n, minimum=0)
    space = law.space
    known, shared = (None, False) if prefix is None else _prefix_rows(process, prefix, n)
    before = torch.zeros(n, dtype=torch.int64) if known is None else known.lengths
    if n and int(before.min()) < law.n_given:
        raise DataError(
            f"sample needs prefix= with at least the first {law.n_given} values: this law "
            "begins after them."
        )
    limits = check_length(space, length, before)
    if limits is None and stop is None:
        require_end(drawn_from)
    longest = 0 if limits is None or not n else int((before + limits).max())
    steps, of = max(longest, int(before.max()) if n else 0), known if known is not None else n
    prepared = process.read_context(context, of, steps, offset, "prefix")
    with torch.no_grad():
        shared = shared and (prepared is None or bool((prepared == prepared[:1]).all()))
        state = begun(drawn_from, n, known, prepared, shared)
        # without rows the limit is what the width would have been
        most = (length if length is not None else space.length) if n == 0 else limits
        x, lengths, complete = draw(state, Uniforms(seed), most, stopper(stop, law), space)
    form = _form(law, process.fit_, prefix, known, x.shape[1])
    result = restore(x, lengths, space, form, None if known is not None else law.layout)
    if not return_log_prob:
        return result
    with torch.no_grad():
        if shared and n:
            own = state if drawn_from is law else begun(law, n, known, prepared, True)
            scores = [scores_after(s, x, lengths, complete) for s in (own, state)]
        else:
            pair = (law, drawn_from)
            scores = [scores_of(one, known, x, lengths, complete, prepared) for one in pair]
    given = [form.per_row(score) for score in (*scores, complete)]
    return Draws(result, *given)


def require_end(law: Law) -> None:
    """Raise where no draw can come to an end by itself, since a policy forbids the end."""
    while isinstance(law, DerivedLaw):
        if isinstance(law, PolicyLaw) and law.policy.forbids_end(law.law):
            raise ParameterError(
                f"length is needed: under {law.policy!r} no sequence ends. Pass length=, the "
                "number of elements to draw, or stop=."
            )
        law = law.base


def draw(
    state: State,
    uniforms: Uniforms,
    limit: torch.Tensor | int | None,
    stop: Stopper | None,
    space: Space,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Draw from a state until every row has ended, met `stop` or has `limit` more elements.

    Args:
        state: where to begin, N rows.
        uniforms: what is random.
        limit: how many more elements at most, one for all or [N]; None where rows end by
            themselves.
        stop: what cuts rows before.
        space: the process's space.

    Returns:
        The elements [N, T, *event] padded with zeros, their numbers [N], and whether a row came
        to its own end.

    Raises:
        DataError: the law drew NaN, which is no element of the space.
        ParameterError: without a limit, a row has not ended after `MOST` elements, under a policy
            `MOST_UNDER_POLICY`.
        NothingLeftError: a policy left nothing that could come next in a row.
    """
    n, device = state.n, state.history.slots.device
    if n == 0:
        width = limit if isinstance(limit, int) else 0
        none = torch.zeros(0, dtype=torch.int64)
        shape = (0, width, *space.event_shape)
        return torch.zeros(shape, dtype=space.dtype, device=device), none, none.bool()
    run = Drawing(state, uniforms, limit, stop, space)
    while len(run.alive):
        run.advance(_block_size(run.state, stop, space))
    return run.result()


class Drawing:
    """Draws on their way: `draw` step by step. Its arguments are those of `draw`.

    Attributes:
        alive: the numbers of the rows that go on, int64.
        state: the state of these rows, after what was drawn.
        complete: which rows came to their own end, bool [N].
        stopped: which rows met `stop`, bool [N].
    """

    def __init__(
        self,
        state: State,
        uniforms: Uniforms,
        limit: torch.Tensor | int | None,
        stop: Stopper | None,
        space: Space,
    ) -> None:
        n, self.device = state.n, state.history.slots.device
        self.uniforms, self.stop, self.space = uniforms, stop, space
        self.before, self.first = state.lengths.cpu(), state.positions.cpu()
        self.limits = torch.as_tensor(limit).expand(n) if limit is not None else None
        self.store = _Store(
            n, space, self.device, 0 if self.limits is None else int(self.limits.max())
        )
        self.most = MOST_UNDER_POLICY if _under_policy(state.law) else MOST
        self.lengths = torch.zeros(n, dtype=torch.int64)
        self.complete, self.done = (torch.zeros(n, dtype=torch.bool) for _ in range(2))
        self.stopped = torch.zeros(n, dtype=torch.bool)
        self.nats = None
        if stop is not None:
            stop.begin()
            self.nats = torch.zeros(n, dtype=torch.float64) if stop.counts_nats else None
        self.alive, self.state = _keep_open(torch.arange(n), self.done, self.limits, 0, state)

    def advance(self, count: int) -> None:
        """Draw up to `count` more elements of the rows that go on."""
        alive, done, store = self.alive, self.done, self.store
        if self.limits is not None:
            count = min(count, int(self.limits[alive].min()) - store.count)
        place = (self.first[alive] + store.count).numpy()
        u = self.uniforms.block(alive, place, count, self.space.event_shape)
        before = self.state
        try:
            x, self.state = before.advance(u.to(self.device))
        except NothingLeftError as error:
            raise error.of_row(int(alive[error.row])) from None
        store.put(alive, x)
        if self.space.terminates:
            taken, ended = _ends(x.cpu(), self.space.end)
            self.lengths[alive] += torch.where(done[alive], 0, taken)
            self.complete[alive] |= ended & ~done[alive]
            done[alive] |= ended
        else:
            self.lengths[alive] += torch.where(done[alive], 0, count)
        if self.stop is not None:
            self._apply_stop(self.stop, before, x)
        self.alive, self.state = _keep_open(alive, done, self.limits, store.count, self.state)
        if self.limits is None and store.count >= self.most and len(self.alive):
            open_ = self.alive[~done[self.alive]]
            _refuse_endless(open_, len(done), self.state.law, self.most)

    def _apply_stop(self, stop: Stopper, before: State, x: torch.Tensor) -> None:
        """Mark as done those of the unfinished rows that meet the stop condition."""
        if self.nats is not None:
            self.nats[self.alive] -= before.conditional.log_prob(x[:, 0]).double().cpu()
        rows = self.alive[~self.done[self.alive]]
        if not len(rows):
            return
        seen = self.store.values
        seen = seen if stop.window is None else seen[:, -stop.window :]
        nats = None if self.nats is None else self.nats[rows]
        met = stop.met(seen[rows.to(seen.device)], rows, nats)
        self.stopped[rows] |= met
        self.done[rows] |= met

    def result(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """What `draw` returns."""
        x = self.store.values[:, : int(self.lengths.max())]
        check_drawn(x, self.state.law, self.space, self.before)
        inside = (torch.arange(x.shape[1]) < self.lengths[:, None]).to(self.device)
        x = x * inside.view(*inside.shape, *[1] * (x.ndim - 2)).to(x.dtype)
        complete = self.complete
        if self.space.length is not None:
            complete = complete | (self.before + self.lengths == self.space.length)
        return x, self.lengths, complete


def _under_policy(law: Law) -> bool:
    """Whether a law, or one that it is made of, is one under a policy."""
    if isinstance(law, PolicyLaw):
        return True
    held = [x for v in vars(law).values() for x in (v if isinstance(v, tuple) else (v,))]
    return any(_under_policy(inner) for inner in held if isinstance(inner, Law))


def _refuse_endless(rows: torch.Tensor, n: int, law: Law, most: int) -> None:
    """Raise for rows that do not come to an end, as where a policy takes all ends away."""
    if not len(rows):
        return
    under = ""
    if _under_policy(law):
        under = " under the policy, which may leave the end no probability,"
    raise ParameterError(
        f"length is needed: {len(rows)} of {n} draws (the first is draw {int(rows[0])}) have not "
        f"ended{under} after {most:,} elements, and perhaps never will. Pass length=, the number "
        "of elements at most, or draw under another policy."
    )


def check_drawn(
    x: torch.Tensor, law: Law, space: Space, before: torch.Tensor | None = None
) -> None:
    """Raise `DataError` where a law drew NaN and the space has no missing values.

    Args:
        x: what was drawn, [N, T, *event].
        law: what drew it.
        space: what the elements should be of.
        before: how many elements there were before these, int64 [N].
    """
    # one pass: a sum is a number where all are (or infinities meet: then look closer)
    if space.holds_missing or not x.is_floating_point() or not math.isnan(float(x.sum())):
        return
    if not bool(torch.isnan(x).any()):
        return
    row, place = (int(i) for i in torch.isnan(x).nonzero()[0, :2])
    place += 0 if before is None else int(before[row])
    raise DataError(
        f"{law!r} drew NaN, not a number, for element {place} of sequence {row}: its parameters, "
        "or what it is conditioned on, lie where it has no law."
    )


def _block_size(state: State, stop: Stopper | None, space: Space) -> int:
    """How many elements to draw at once: one where each may be the last, or as the state says."""
    if stop is not None:
        return 1
    return state.block if space.terminates else max(state.block, _BLOCK)


class _Store:
    """The elements drawn so far, [N, count, *event], in a buffer that doubles as it fills."""

    def __init__(self, n: int, space: Space, device: torch.device, capacity: int) -> None:
        shape = (n, capacity, *space.event_shape)
        self.buffer = torch.zeros(shape, dtype=space.dtype, device=device)
        self.count = 0

    @property
    def values(self) -> torch.Tensor:
        return self.buffer[:, : self.count]

    def put(self, rows: torch.Tensor, x: torch.Tensor) -> None:
        """The next elements x [n, K, *event] of some rows."""
        stop = self.count + x.shape[1]
        if stop > self.buffer.shape[1]:
            larger = self.buffer.new_zeros(
                (len(self.buffer), max(2 * stop, 16), *self.buffer.shape[2:])
            )
            larger[:, : self.count] = self.values
            self.buffer = larger
        if len(rows) == len(self.buffer):
            self.buffer[:, self.count : stop] = x
        else:
            self.buffer[rows.to(x.device), self.count : stop] = x.to(self.buffer.dtype)
        self.count = stop


def _ends(x: torch.Tensor, end: int | None) -> tuple[torch.Tensor, torch.Tensor]:
    """How many elements of a block [N, K] come before its end, and whether there is one."""
    n, count = x.shape[:2]
    if end is None:
        return torch.full((n,), count), torch.zeros(n, dtype=torch.bool)
    is_end = x == end
    ended = is_end.any(dim=1)
    return torch.where(ended, is_end.int().argmax(dim=1), count), ended


def _keep_open(
    alive: torch.Tensor,
    done: torch.Tensor,
    limits: torch.Tensor | None,
    count: int,
    state: State,
) -> tuple[torch.Tensor, State]:
    """Drop the rows that are full at once, and finished ones when they are half of the batch."""
    finished = done[alive]
    full = None if limits is None else limits[alive] <= count
    if bool((finished if full is None else finished | full).all()):
        return alive[:0], state
    gone = finished & (2 * int(finished.sum()) >= len(alive))
    gone = gone if full is None else gone | full
    if not bool(gone.any()):
        return alive, state
    keep = (~gone).nonzero()[:, 0]
    return alive[keep], state.select(keep)


def begun(
    law: ChainLaw,
    n: int,
    known: Sequences | None,
    context: torch.Tensor | None,
    shared: bool,
) -> State:
    """The state after a prefix in each of n rows; one that all share is read once."""
    if known is None or not n:
        return law.fresh(n, context)
    if not shared:
        return law.after(known, context)
    one = known.select(torch.zeros(1, dtype=torch.int64))
    state = law.after(one, None if context is None else context[:1])
    return state.select(torch.zeros(n, dtype=torch.int64))


def _prefix_rows(process: Holder, prefix: Any, n: int) -> tuple[Sequences, bool]:
    """The prefix of each of n rows, and whether all have the same one."""
    known = process.known(prefix)
    if len(known) == n:
        return known, False
    if len(known) == 1:
        one = known.values
        offsets = torch.arange(n + 1) * len(one)
        values = one.repeat(n, *[1] * (one.ndim - 1))
        complete = torch.zeros(n, dtype=torch.bool)
        form = Form(known.form.kind, indexes=known.form.indexes)
        whole = Sequences(values, offsets, known.space, complete, form, known.missing)
        return whole, True
    raise DataError(f"prefix has {len(known)} sequences; expected one, or n = {n} of them.")


def _form(law: ChainLaw, fit: Any, prefix: Any, known: Sequences | None, count: int) -> Form:
    """The form of draws of `count` elements: the prefix's, or the kind of the data of `fit`."""
    if known is not None and isinstance(prefix, torch.Tensor):
        return Form("tensor", device=prefix.device)
    space, kind = law.space, fit.form
    begin = 0 if known is None or not len(known) else int(known.lengths[0])
    given = kind if known is None else known.form.kind
    if given == "rows" and law.layout is not None and len(law.layout.shape) == 1:
        names = fit.labels.in_order(law.layout.order)[begin : begin + count]
        return Form("rows", names=names) if len(names) == count else Form()
    if isinstance(space, Table) and given == "table":
        columns = space.ordered(None if law.layout is None else law.layout.order)
        return Form("table", names=tuple(c.name for c in columns[begin : begin + count]))
    return Form("tensor" if kind == "tensor" else "numpy")


def check_length(space: Space, length: int | None, known: torch.Tensor) -> torch.Tensor | None:
    """How many elements may still come in each row, given what the user asked and the size.

    Args:
        space: of the process.
        length: what the user asked for.
        known: how many elements each row has already, int64 [N].

    Returns:
        int64 [N], or None where sequences end by themselves.
    """
    fixed = space.length
    if length is not None:
        length = check_count("length", length, minimum=0)
    if fixed is not None:
        left = fixed - known
        most = int(left.max()) if len(left) else fixed
        if length is not None and length > most:
            raise ParameterError(
                f"length is {length}; this process has {fixed} elements, of which {most} are left."
            )
        return left if length is None else left.clamp(max=length)
    if length is None and not space.terminates:
        raise ParameterError(
            "length is needed: this process is a stream without an end. Pass length=, the number "
            "of elements to draw."
        )
    return None if length is None else torch.full_like(known, length)
