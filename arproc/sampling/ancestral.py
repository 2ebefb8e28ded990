"""Ancestral sampling: the one engine that draws from every process."""

from __future__ import annotations

import math
from collections.abc import Callable
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
from arproc.sampling.drawers import Drawer, Enough, Sequential, a_few
from arproc.sampling.policies import PolicyLaw
from arproc.sampling.rows import Queue, Store
from arproc.sampling.scoring import scores_after, scores_of
from arproc.sampling.stopping import Stopper, stopper
from arproc.sampling.watching import Watch, always
from arproc.spaces import Space

__all__ = ["Drawing", "MOST", "MOST_UNDER_POLICY", "check_drawn", "check_length", "draw", "sample"]

MakeDrawer = Callable[[State, Uniforms, Sequences | None, torch.Tensor | None], Drawer]

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
    drawer: MakeDrawer | None = None,
    at_once: int | None = None,
) -> Any:
    """See `Process.sample`.

    `drawn_from` is the law that draws, the process's under a policy; `drawer` makes what draws
    from a state and its uniforms, given what was known and the context.
    """
    law = process.law_
    n = check_count("n", n, minimum=0)
    if at_once is not None:
        at_once = check_count("at_once", at_once, minimum=1)
    space = law.space
    known, shared = (None, False) if prefix is None else _prefix_rows(process, prefix, n)
    before = torch.zeros(n, dtype=torch.int64) if known is None else known.lengths
    if n and int(before.min()) < law.n_given:
        raise DataError(
            f"sample needs prefix= with at least the first {law.n_given} values: this law "
            "begins after them."
        )
    limits = check_length(space, length, before, stops=stop is not None)
    if limits is None and not space.terminates:
        require_no_steps(law)
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
        uniforms = Uniforms(seed)
        by = None if drawer is None or not n else drawer(state, uniforms, known, prepared)
        cut = stopper(stop, law)
        x, lengths, complete = draw(state, uniforms, most, cut, space, by, at_once)
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


def require_no_steps(law: Law) -> None:
    """Raise where nothing says how many steps of a context a draw needs."""
    if law.context is not None and law.context.kind == "steps":
        raise ParameterError(
            "length is needed: this process has a context by steps, and stop= does not say how "
            "many there are. Pass length=, the number of elements at most."
        )


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
    drawer: Drawer | None = None,
    at_once: int | None = None,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Draw from a state until every row has ended, met `stop` or has `limit` more elements.

    Args:
        state: where to begin, N rows.
        uniforms: what is random.
        limit: how many more elements at most, one for all or [N]; None where rows end by
            themselves.
        stop: what cuts rows before.
        space: the process's space.
        drawer: how its rows are drawn; one element after another by default.
        at_once: how many rows are drawn at a time: others wait until some are finished.

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
    run = Drawing(state, uniforms, limit, stop, space, drawer, at_once)
    while len(run.alive):
        run.advance()
    return run.result()


class Drawing:
    """Draws on their way: `draw` step by step. Its arguments are those of `draw`.

    Attributes:
        alive: the numbers of the rows that are being drawn, int64.
        drawer: what draws them.
        store: what each row has so far.
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
        drawer: Drawer | None = None,
        at_once: int | None = None,
    ) -> None:
        n, self.device = state.n, state.history.slots.device
        self.stop, self.space, self.law = stop, space, state.law
        self.before = state.lengths.cpu()
        self.limits = torch.as_tensor(limit).expand(n) if limit is not None else None
        self.store = Store(
            n, space, self.device, 0 if self.limits is None else int(self.limits.max())
        )
        self.most = MOST_UNDER_POLICY if _under_policy(state.law) else MOST
        self.lengths = torch.zeros(n, dtype=torch.int64)
        self.complete, self.done = (torch.zeros(n, dtype=torch.bool) for _ in range(2))
        self.stopped = torch.zeros(n, dtype=torch.bool)
        self.drawer = drawer or Sequential(state, uniforms, space)
        self.nats = None
        if stop is not None:
            stop.begin()
            self.nats = torch.zeros(n, dtype=torch.float64) if stop.counts_nats else None
        if self.nats is not None and not isinstance(self.drawer, Sequential):
            raise ParameterError(
                "stop has a Budget of nats, which is counted element by element; draws by guesses "
                "come several at a time. Leave it out, or draw by sample()."
            )
        self.queue = Queue(n, at_once, self.drawer)
        self.alive = self.queue.go_on(self.queue.alive, self.done, self.limits, self.store.counts)

    @property
    def state(self) -> State:
        """The state of the rows that are being drawn, where they are drawn one by one."""
        assert isinstance(self.drawer, Sequential)
        return self.drawer.state

    def advance(self, single: bool = False) -> None:
        """Draw more elements of the rows that go on; of each but one where `single` says so."""
        alive, done, store = self.alive, self.done, self.store
        left = None if self.limits is None else self.limits[alive] - store.counts[alive]
        before = None if self.nats is None else self.state
        watch = self._watch(single)
        try:
            x, counts = self.drawer.advance(left, watch)
        except NothingLeftError as error:
            raise error.of_row(int(alive[error.row])) from None
        first = store.counts[alive]
        store.put(alive, x, counts)
        taken, ended = _ends(x, self.space.end, counts)
        if self.stop is not None and not isinstance(watch, Watch):
            if before is not None and self.nats is not None:
                self.nats[alive] -= before.conditional.log_prob(x[:, 0]).double().cpu()
            self._apply_stop(self.stop, first, first + taken)
        self.lengths[alive] += torch.where(done[alive], 0, taken)
        self.complete[alive] |= ended & ~done[alive]
        done[alive] |= ended
        if isinstance(watch, Watch):
            self.stopped[watch.met] = done[watch.met] = True
            self.lengths[watch.met] = store.counts[watch.met]
        self.alive = self.queue.go_on(alive, done, self.limits, store.counts)
        if self.limits is not None or not len(self.alive):
            return
        if int(store.counts[self.alive].max()) >= self.most:
            open_ = self.alive[~done[self.alive]]
            _refuse_endless(open_, len(done), self.law, self.most, self.stop is not None)

    def _watch(self, single: bool) -> Enough | None:
        """What looks at each element as it comes, so that none is drawn in vain.

        States that do not walk draw some elements in less time than a question about one takes.
        """
        if single or self.nats is not None:
            return always
        if self.stop is None:
            return None
        if not isinstance(self.drawer, Sequential) or not self.drawer.state.walks:
            return a_few
        counts = self.store.counts[self.alive]
        if int(counts.min()) < int(counts.max()):
            return always
        return Watch(self.stop, self.store, self.alive, self.done, self.space.end)

    def _apply_stop(self, stop: Stopper, first: torch.Tensor, last: torch.Tensor) -> None:
        """End the unfinished rows where they meet the condition, after each of their elements.

        Args:
            stop: the condition.
            first: how many elements they had before, [m].
            last: how many they have now, their end not counted, [m].
        """
        store, done = self.store, self.done
        window = math.inf if stop.window is None else stop.window
        begin = int(max(int(first.min()) + 1 - window, 0))
        open_ = ~done[self.alive]
        if stop.looks_ahead and bool(open_.any()):
            seen = store.seen(self.alive[open_], begin, int(last.max()))
            open_[open_.clone()] = stop.perhaps(seen, last[open_] - begin)
        steps = int((last - first)[open_].max()) if bool(open_.any()) else 0
        for step in range(1, steps + 1):
            place = first + step
            asked = open_ & ~done[self.alive] & (place <= last)
            for count in place[asked].unique().tolist():
                rows = self.alive[asked & (place == count)]
                seen = store.buffer[rows.to(self.device), int(max(count - window, 0)) : count]
                nats = None if self.nats is None else self.nats[rows]
                met = rows[stop.met(seen, rows, nats)]
                self.stopped[met] = done[met] = True
                self.lengths[met] = count

    def result(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """What `draw` returns."""
        x = self.store.values[:, : int(self.lengths.max())]
        if int(self.lengths.min()) < x.shape[1]:
            beyond = (torch.arange(x.shape[1]) >= self.lengths[:, None]).to(self.device)
            x = x.masked_fill(beyond.view(*beyond.shape, *[1] * (x.ndim - 2)), 0)
        check_drawn(x, self.law, self.space, self.before)
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


def _refuse_endless(rows: torch.Tensor, n: int, law: Law, most: int, stops: bool) -> None:
    """Raise for rows that do not come to an end, as where a policy takes all ends away."""
    if not len(rows):
        return
    under, met = "", ", nor met stop=" if stops else ""
    if _under_policy(law):
        under = " under the policy, which may leave the end no probability,"
    raise ParameterError(
        f"length is needed: {len(rows)} of {n} draws (the first is draw {int(rows[0])}) have not "
        f"ended{under} after {most:,} elements{met}, and perhaps never will. Pass length=, the "
        "number of elements at most, or draw under another policy."
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


def _ends(
    x: torch.Tensor, end: int | None, counts: torch.Tensor | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """How many elements of a block [N, K] come before its end, and whether there is one.

    Args:
        x: the block.
        end: the symbol that ends a row, or None.
        counts: how many elements of each row count, [N], or all.
    """
    n, count = x.shape[:2]
    counts = torch.full((n,), count) if counts is None else counts
    if end is None:
        return counts, torch.zeros(n, dtype=torch.bool)
    is_end = (x.cpu() == end) & (torch.arange(count) < counts[:, None])
    ended = is_end.any(dim=1)
    return torch.where(ended, is_end.int().argmax(dim=1), counts), ended


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


def check_length(
    space: Space, length: int | None, known: torch.Tensor, stops: bool = False
) -> torch.Tensor | None:
    """How many elements may still come in each row, given what the user asked and the size.

    Args:
        space: of the process.
        length: what the user asked for.
        known: how many elements each row has already, int64 [N].
        stops: whether a stop condition cuts draws, which a stream may be left to.

    Returns:
        int64 [N], or None where sequences end by themselves or by the condition.
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
    if length is None and not space.terminates and not stops:
        raise ParameterError(
            "length is needed: this process is a stream without an end. Pass length=, the number "
            "of elements to draw, or stop=."
        )
    return None if length is None else torch.full_like(known, length)
