"""Ancestral sampling: the one engine that draws from every process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from arproc.errors import DataError, ParameterError, check_integer
from arproc.law import Draws, require_fitted
from arproc.process import Process, State, check_length
from arproc.randomness import Uniforms
from arproc.sequences import Form, Sequences, restore
from arproc.spaces import Categorical, Space

__all__ = ["draw", "sample"]

Stop = Callable[[torch.Tensor], torch.Tensor]


def sample(
    process: Process,
    n: int,
    length: int | None,
    prefix: Any,
    policy: Any,
    stop: Any,
    seed: int | torch.Generator | None,
    return_log_prob: bool,
    context: Any,
) -> Any:
    """See `Process.sample`."""
    require_fitted(process)
    n = check_integer("n", n, minimum=0)
    drawn_from = process if policy is None else process.with_policy(policy)
    known = None
    if prefix is not None:
        known = _prefix_rows(process, prefix, n)
    shortest = 0 if known is None else int(known.lengths.min())
    longest = 0 if known is None else int(known.lengths.max())
    if n == 0:
        empty = torch.zeros((0, length or 0, *process.space.event_shape))
        x, lengths, complete = empty, torch.zeros(0, dtype=torch.int64), torch.zeros(0).bool()
    else:
        if shortest < process.n_given:
            raise DataError(
                f"sample needs prefix= with at least the first {process.n_given} values: this law "
                "begins after them."
            )
        limit = check_length(process, length, longest)
        prepared = process._context(context, n, longest + (limit or 0))
        with torch.no_grad():
            state = (
                drawn_from._fresh(n, prepared)
                if known is None
                else drawn_from._after(known, prepared)
            )
            uniforms = Uniforms(seed)
            x, lengths, complete = draw(
                state, uniforms, limit, _stop(stop, process.space), process.space
            )
    form = _form(process, prefix, known)
    result = restore(x, lengths, process.space, form, _whole_layout(process, known))
    if not return_log_prob:
        return result
    with torch.no_grad():
        scores = [
            _scores(law, known, x, lengths, complete, context) for law in (process, drawn_from)
        ]
    given = [form.per_row(score) for score in (*scores, complete)]
    return Draws(result, *given)


def draw(
    state: State,
    uniforms: Uniforms,
    limit: int | None,
    stop: Stop | None,
    space: Space,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Draw from a state until every row has ended, met `stop` or has `limit` more elements.

    Returns:
        The elements [N, T, *event] padded with zeros, their numbers [N], and whether a row came
        to its own end.
    """
    n, device = state.n, state.history.slots.device
    rows = torch.arange(n)
    blocks: list[torch.Tensor] = []
    lengths = torch.zeros(n, dtype=torch.int64)
    complete = torch.full((n,), space.length is not None and limit == _left(space, state))
    done = torch.zeros(n, dtype=torch.bool)
    alive, drawn = rows, 0
    first = state.positions.cpu()
    ends = space.terminates or stop is not None
    while len(alive) and (limit is None or drawn < limit):
        count = _block_size(state, ends and stop is not None, limit, drawn)
        u = uniforms.block(alive, (first[alive] + drawn).numpy(), count, space.event_shape)
        x, state = state.advance(u.to(device))
        block = torch.zeros((n, count, *space.event_shape), dtype=x.dtype, device=device)
        block[alive] = x
        blocks.append(block)
        if not ends:
            lengths += count
            drawn += count
            continue
        taken, ended = _ends(x.cpu(), space.end)
        live = ~done[alive]
        lengths[alive[live]] += taken[live]
        complete[alive[live]] |= ended[live]
        done[alive] |= ended
        drawn += count
        if stop is not None:
            so_far = torch.cat(blocks, dim=1)[alive]
            done[alive] |= torch.as_tensor(stop(so_far)).cpu()
        alive, state = _drop_finished(alive, done, state)
    x = torch.cat(blocks, dim=1) if blocks else state.history.slots[:, :0].expand(n, 0)
    x = x[:, : int(lengths.max()) if n else 0]
    inside = (torch.arange(x.shape[1]) < lengths[:, None]).to(device)
    return x * inside.view(*inside.shape, *[1] * (x.ndim - 2)).to(x.dtype), lengths, complete


def _left(space: Space, state: State) -> int:
    known = int(state.lengths.max()) if state.n else 0
    return (space.length or 0) - known


def _block_size(state: State, stepwise: bool, limit: int | None, drawn: int) -> int:
    """A stop condition looks at every element; compiled states are given longer blocks."""
    count = 1 if stepwise else state.block
    return count if limit is None else max(1, min(count, limit - drawn))


def _ends(x: torch.Tensor, end: int | None) -> tuple[torch.Tensor, torch.Tensor]:
    """How many elements of a block [N, K] come before its end, and whether there is one."""
    n, count = x.shape[:2]
    if end is None:
        return torch.full((n,), count), torch.zeros(n, dtype=torch.bool)
    is_end = x == end
    ended = is_end.any(dim=1)
    return torch.where(ended, is_end.int().argmax(dim=1), count), ended


def _drop_finished(
    alive: torch.Tensor, done: torch.Tensor, state: State
) -> tuple[torch.Tensor, State]:
    """Finished rows are ignored until they are half of the batch, then dropped."""
    finished = done[alive]
    if bool(finished.all()):
        return alive[:0], state
    if 2 * int(finished.sum()) >= len(alive):
        keep = (~finished).nonzero()[:, 0]
        return alive[keep], state.select(keep)
    return alive, state


def _prefix_rows(process: Process, prefix: Any, n: int) -> Sequences:
    known = process.sequences(prefix, name="prefix", complete=False)
    if len(known) == n:
        return known
    if len(known) == 1:
        one = known.values
        offsets = torch.arange(n + 1) * len(one)
        values = one.repeat(n, *[1] * (one.ndim - 1))
        complete = torch.zeros(n, dtype=torch.bool)
        return Sequences(values, offsets, known.space, complete, Form(known.form.kind))
    raise DataError(f"prefix has {len(known)} sequences; expected one, or n = {n} of them.")


def _stop(stop: Any, space: Space) -> Stop | None:
    """A function from the elements so far [N, t] to a mask [N]."""
    if stop is None or callable(stop):
        return stop
    strings = [stop] if isinstance(stop, str) else list(stop)
    vocabulary = space.vocabulary if isinstance(space, Categorical) else None
    if vocabulary is None or not all(isinstance(s, str) and s for s in strings):
        raise ParameterError(
            "stop must be a function of the elements so far [N, t] to a mask [N], or (for models "
            f"of text) a string or a list of strings; got {stop!r}."
        )

    def met(x: torch.Tensor) -> torch.Tensor:
        # a string of m characters spans at most m symbols, but words may be split by spaces
        window = max(len(s) for s in strings)
        tails = [vocabulary.decode(row.cpu().numpy()) for row in x[:, -window:]]
        return torch.tensor([any(s in tail for s in strings) for tail in tails])

    return met


def _form(process: Process, prefix: Any, known: Sequences | None) -> Form:
    kind = process.__dict__.get("form_", "numpy")
    if known is not None and isinstance(prefix, torch.Tensor):
        kind = "tensor"
    return Form("tensor" if kind == "tensor" else "numpy")


def _whole_layout(process: Process, known: Sequences | None) -> Any:
    """The user's layout, where whole examples were drawn and not the rest of a prefix."""
    return process.layout if known is None else None


def _scores(
    law: Process,
    known: Sequences | None,
    x: torch.Tensor,
    lengths: torch.Tensor,
    complete: torch.Tensor,
    context: Any,
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
    whole = Sequences(torch.cat(parts), offsets, law.space, complete)
    prepared = law._context(context, n, int((before + lengths).max()))
    terms = law._log_prob_terms(whole, prepared)
    counts = whole.n_terms - law.n_given
    row = torch.repeat_interleave(torch.arange(n), counts)
    place = torch.arange(len(row)) - (counts.cumsum(0) - counts)[row]
    new = place >= (before - law.n_given)[row]
    # a policy may forbid what the prefix holds: its minus infinity does not count here
    kept = torch.where(new.to(terms.device), terms, 0.0)
    return torch.zeros(n, dtype=torch.float64, device=terms.device).index_add(0, row, kept)
