"""Ancestral sampling: the one engine that draws from every process."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch

from arproc.contract.holder import Holder
from arproc.contract.law import ChainLaw, DerivedLaw, Draws, Law
from arproc.contract.randomness import Uniforms
from arproc.contract.sequences import Sequences
from arproc.contract.state import State
from arproc.data.form import Form, restore
from arproc.data.tables.space import Table
from arproc.errors import DataError, NothingLeftError, ParameterError, check_count
from arproc.sampling.drawers import Drawer, Sequential
from arproc.sampling.policies import PolicyLaw
from arproc.spaces import Categorical, Space

if TYPE_CHECKING:
    from arproc.data.vocabulary import Vocabulary

__all__ = ["MOST", "MOST_UNDER_POLICY", "check_drawn", "check_length", "draw", "sample"]

Stop = Callable[[torch.Tensor], torch.Tensor]
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
    known = None if prefix is None else _prefix_rows(process, prefix, n)
    before = torch.zeros(n, dtype=torch.int64) if known is None else known.lengths
    if n and int(before.min()) < law.n_given:
        raise DataError(
            f"sample needs prefix= with at least the first {law.n_given} values: this law "
            "begins after them."
        )
    limits = check_length(space, length, before)
    if limits is None and stop is None:
        _require_end(drawn_from)
    longest = 0 if limits is None or not n else int((before + limits).max())
    steps, of = max(longest, int(before.max()) if n else 0), known if known is not None else n
    prepared = process.read_context(context, of, steps, offset, "prefix")
    with torch.no_grad():
        state = drawn_from.fresh(n, prepared)
        if known is not None and n:
            state = drawn_from.after(known, prepared)
        stopper = _stop(stop, space)
        # without rows the limit is what the width would have been
        most = (length if length is not None else space.length) if n == 0 else limits
        uniforms = Uniforms(seed)
        by = None if drawer is None or not n else drawer(state, uniforms, known, prepared)
        x, lengths, complete = draw(state, uniforms, most, stopper, space, by, at_once)
    form = _form(law, process.fit_, prefix, known, x.shape[1])
    result = restore(x, lengths, space, form, None if known is not None else law.layout)
    if not return_log_prob:
        return result
    with torch.no_grad():
        scores = [_scores(one, known, x, lengths, complete, prepared) for one in (law, drawn_from)]
    given = [form.per_row(score) for score in (*scores, complete)]
    return Draws(result, *given)


def _require_end(law: Law) -> None:
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
    stop: Stop | None,
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
        stop: see `Process.sample`; a function of the elements so far of the unfinished rows.
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
    drawer = drawer or Sequential(state, uniforms, space)
    before = state.lengths.cpu()
    limits = torch.as_tensor(limit).expand(n) if limit is not None else None
    store = _Store(n, space, device, 0 if limits is None else int(limits.max()))
    most = MOST_UNDER_POLICY if _under_policy(state.law) else MOST
    lengths = torch.zeros(n, dtype=torch.int64)
    complete, done = torch.zeros(n, dtype=torch.bool), torch.zeros(n, dtype=torch.bool)
    queue = _Queue(n, at_once, drawer)
    alive = queue.go_on(queue.alive, done, limits, store.counts)
    while len(alive):
        left = None if limits is None else limits[alive] - store.counts[alive]
        try:
            x, counts = drawer.advance(left, stop is not None)
        except NothingLeftError as error:
            raise error.of_row(int(alive[error.row])) from None
        begun = store.counts[alive]
        store.put(alive, x, counts)
        taken, ended = _ends(x, space.end, counts)
        lengths[alive] += torch.where(done[alive], 0, taken)
        complete[alive] |= ended & ~done[alive]
        done[alive] |= ended
        if stop is not None:
            _apply_stop(stop, store, alive, begun, lengths, done)
        alive = queue.go_on(alive, done, limits, store.counts)
        if limits is None and len(alive) and int(store.counts[alive].max()) >= most:
            _refuse_endless(alive[~done[alive]], n, state.law, most)
    x = store.values[:, : int(lengths.max())]
    check_drawn(x, state.law, space, before)
    if int(lengths.min()) < x.shape[1]:
        inside = (torch.arange(x.shape[1]) < lengths[:, None]).to(device)
        x = x * inside.view(*inside.shape, *[1] * (x.ndim - 2)).to(x.dtype)
    if space.length is not None:
        complete |= before + lengths == space.length
    return x, lengths, complete


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


class _Store:
    """The elements drawn so far, [N, width, *event], in a buffer that doubles as it fills.

    Attributes:
        counts: how many of them each row has, int64 [N].
    """

    def __init__(self, n: int, space: Space, device: torch.device, capacity: int) -> None:
        self.capacity = capacity
        shape = (n, 0, *space.event_shape)
        self.buffer = torch.zeros(shape, dtype=space.dtype, device=device)
        self.counts = torch.zeros(n, dtype=torch.int64)

    @property
    def values(self) -> torch.Tensor:
        return self.buffer[:, : int(self.counts.max())]

    def put(self, rows: torch.Tensor, x: torch.Tensor, counts: torch.Tensor | None = None) -> None:
        """The next elements x [n, K, *event] of some rows, of which `counts` count, or all."""
        begin = self.counts[rows]
        taken = torch.full_like(begin, x.shape[1]) if counts is None else counts
        first, stop = int(begin.min()), int((begin + taken).max())
        x = x.to(self.buffer.dtype)
        if x.shape == (len(self.buffer), self.capacity, *x.shape[2:]) and stop == self.capacity:
            self.buffer, self.counts[rows] = x, taken  # all there is to come, at once
            return
        if stop > self.buffer.shape[1]:
            width = max(2 * stop, 16, self.capacity) if self.counts.any() else self.capacity
            larger = self.buffer.new_zeros(
                (len(self.buffer), max(width, stop), *self.buffer.shape[2:])
            )
            larger[:, : self.buffer.shape[1]] = self.buffer
            self.buffer = larger
        self.counts[rows] = begin + taken
        if stop - first == x.shape[1] and int(taken.min()) == x.shape[1]:
            if len(rows) == len(self.buffer):
                self.buffer[:, first:stop] = x
            else:
                self.buffer[rows.to(x.device), first:stop] = x
            return
        row, column = (torch.arange(x.shape[1]) < taken[:, None]).nonzero(as_tuple=True)
        places = rows[row].to(x.device), (begin[row] + column).to(x.device)
        self.buffer[places] = x[row.to(x.device), column.to(x.device)]


def _apply_stop(
    stop: Stop,
    store: _Store,
    alive: torch.Tensor,
    begun: torch.Tensor,
    lengths: torch.Tensor,
    done: torch.Tensor,
) -> None:
    """End the unfinished rows where they meet the stop condition, after each of their elements.

    Args:
        stop: the condition.
        store: of all elements.
        alive: the rows in question, [m].
        begun: how many elements they had before, [m].
        lengths: how many elements count in each row, [N]; shortened where one stops before them.
        done: which rows are finished, [N].
    """
    window = stop.window if isinstance(stop, _StopStrings) else None
    for step in range(1, int((store.counts[alive] - begun).max()) + 1):
        place = begun + step
        asked = ~done[alive] & (place <= store.counts[alive])
        for count in place[asked].unique().tolist():
            rows = alive[asked & (place == count)]
            first = 0 if window is None else max(count - window, 0)
            seen = store.buffer[rows.to(store.buffer.device), first:count]
            met = rows[_told(stop, seen)]
            done[met], lengths[met] = True, count


def _told(stop: Stop, seen: torch.Tensor) -> torch.Tensor:
    """What a stop condition says of the elements so far [m, t] of some rows, bool [m]."""
    found = stop(seen)
    try:
        met = torch.as_tensor(found)
    except Exception:  # whatever a function may give
        raise ParameterError(
            f"stop must return one truth value a row, bool [{len(seen)}]; got {found!r}."
        ) from None
    if met.shape != seen.shape[:1] or met.dtype != torch.bool:
        raise ParameterError(
            f"stop must return one truth value a row, bool [{len(seen)}]; got {met.dtype} of "
            f"shape {list(met.shape)}."
        )
    return met.cpu()


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


class _Queue:
    """The rows that are being drawn, and those that wait for a place.

    Args:
        n: how many rows there are in all.
        at_once: how many are drawn at a time; None for all.
        drawer: which draws them, and holds all of them at first.
    """

    def __init__(self, n: int, at_once: int | None, drawer: Drawer) -> None:
        every = torch.arange(n)
        self.places = n if at_once is None else min(at_once, n)
        self.alive, self.waiting, self.drawer = every[: self.places], every[self.places :], drawer
        if len(self.waiting):
            drawer.select(self.alive)

    def go_on(
        self,
        alive: torch.Tensor,
        done: torch.Tensor,
        limits: torch.Tensor | None,
        counts: torch.Tensor,
    ) -> torch.Tensor:
        """Which rows are drawn next: full ones leave at once, finished ones when they are many.

        Since a batch is made anew then, that is when they are half of it, or a quarter where
        others wait.
        """
        finished = done[alive]
        full = None if limits is None else limits[alive] <= counts[alive]
        over = finished if full is None else finished | full
        if bool(over.all()) and not len(self.waiting):
            return alive[:0]
        share = 4 if len(self.waiting) else 2
        gone = finished & (share * int(finished.sum()) >= len(alive))
        gone = gone if full is None else gone | full
        if not bool(gone.any()):
            return alive
        keep = (~gone).nonzero()[:, 0]
        self.drawer.select(keep)
        alive = alive[keep]
        new, self.waiting = self.waiting.split([
            min(self.places - len(alive), len(self.waiting)),
            max(len(self.waiting) - self.places + len(alive), 0),
        ])  # fmt: skip
        if len(new):
            self.drawer.admit(new)
            # what is full before it begins leaves again
            return self.go_on(torch.cat([alive, new]), done, limits, counts)
        return alive


def _prefix_rows(process: Holder, prefix: Any, n: int) -> Sequences:
    known = process.known(prefix)
    if len(known) == n:
        return known
    if len(known) == 1:
        one = known.values
        offsets = torch.arange(n + 1) * len(one)
        values = one.repeat(n, *[1] * (one.ndim - 1))
        complete = torch.zeros(n, dtype=torch.bool)
        form = Form(known.form.kind, indexes=known.form.indexes)
        return Sequences(values, offsets, known.space, complete, form, known.missing)
    raise DataError(f"prefix has {len(known)} sequences; expected one, or n = {n} of them.")


def _stop(stop: Any, space: Space) -> Stop | None:
    """A function from the elements so far [N, t] to a mask [N]."""
    if stop is None or callable(stop):
        return stop
    strings = [stop] if isinstance(stop, str) else stop
    vocabulary = space.vocabulary if isinstance(space, Categorical) else None
    if (
        vocabulary is None
        or not isinstance(strings, (list, tuple))
        or not strings
        or not all(isinstance(s, str) and s for s in strings)
    ):
        raise ParameterError(
            "stop must be a function of the elements so far [N, t] to a mask [N], or (for models "
            f"of text) a string or a list of strings, none empty; got {stop!r}."
        )
    return _StopStrings(tuple(strings), vocabulary)


class _StopStrings:
    """Whether the text of the last symbols holds one of some strings.

    Attributes:
        window: how many symbols to look at. Each symbol is at least one byte of UTF-8, so as many
            as the longest string has bytes hold it wherever it ends.
    """

    def __init__(self, strings: tuple[str, ...], vocabulary: Vocabulary) -> None:
        self.strings = strings
        self.vocabulary = vocabulary
        self.window = max(len(s.encode()) for s in strings)

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        tails = [self.vocabulary.decode(row.cpu().numpy()) for row in x]
        return torch.tensor([any(s in tail for s in self.strings) for tail in tails])


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


def _scores(
    law: ChainLaw,
    known: Sequences | None,
    x: torch.Tensor,
    lengths: torch.Tensor,
    complete: torch.Tensor,
    context: torch.Tensor | None,
) -> torch.Tensor:
    """The draws' log-probabilities given the prefix, by the parallel side."""
    n = len(lengths)
    if n == 0:
        return torch.zeros(0, dtype=torch.float64)
    parts = [x[i, : int(lengths[i])] for i in range(n)]
    before = torch.zeros(n, dtype=torch.int64)
    if known is not None:
        before = known.lengths
        parts = [torch.cat([known.row(i), part]) for i, part in enumerate(parts)]
    offsets = torch.zeros(n + 1, dtype=torch.int64)
    offsets[1:] = (before + lengths).cumsum(0)
    gaps = known is not None and known.missing
    whole = Sequences(torch.cat(parts), offsets, law.space, complete, missing=gaps)
    terms = law.log_prob_terms(whole, context)
    counts = whole.n_terms - law.n_given
    row = torch.repeat_interleave(torch.arange(n), counts)
    place = torch.arange(len(row)) - (counts.cumsum(0) - counts)[row]
    new = place >= (before - law.n_given)[row]
    # a policy may forbid what the prefix holds: its minus infinity does not count here
    kept = torch.where(new.to(terms.device), terms, 0.0)
    return torch.zeros(n, dtype=torch.float64, device=terms.device).index_add(0, row, kept)


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
