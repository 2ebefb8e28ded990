"""States and draws at any size: late in a long sequence, in a wide batch, of many elements."""

from __future__ import annotations

import numpy as np
import torch

from arproc.contract.state import State
from arproc.distributions import index
from arproc.sampling.ancestral import check_length
from arproc.testing.compare import agree
from arproc.testing.drawing import drawn, explodes, same_text
from arproc.testing.material import Batch
from arproc.testing.report import NotApplicable, fail
from arproc.testing.statistics import berkowitz, kolmogorov_smirnov, pit
from arproc.testing.subject import Subject
from arproc.testing.work import late, rows_to_look_at, widths

__all__ = ["any_width", "late_states", "long_draws"]

_AXES = ("probe value", "row", "column")
_RUN = 3  # elements that are looked at from a late place on


# ---- late in a long sequence --------------------------------------------------------------------


def late_states(subject: Subject) -> tuple[float, int]:
    """States far behind every block, crop and window say what one parallel pass says there.

    At places drawn at random, by appending and by extending.

    Returns:
        The largest difference, and how many elements the longest sequence had.
    """
    found = [_late_states(subject, number) for number in range(4 if subject.thorough else 1)]
    return max(off for off, _ in found), max(n for _, n in found)


def _late_states(subject: Subject, number: int) -> tuple[float, int]:
    replays = subject.budget.replays  # each of its states costs as much as a pass
    length = late(subject, f"states {number}", rows=1 if replays else 2)
    if length - subject.given < 3 * _RUN:
        return 0.0, length
    batch = subject.batch(2, length, f"late {number}").rows([1] if replays else [0, 1])
    rng = subject.rng(f"places {number}")
    few = 12 if subject.thorough else 0 if replays else 3
    drawn = rng.integers(subject.given + 1, length - _RUN, few)
    places = [int(k) for k in np.unique([*drawn, length - _RUN])]
    columns = subject.columns(batch)
    state, here = subject.begin(batch).append(batch.x[:, subject.given]), subject.given + 1
    states = []
    for place in places:
        state, here = state.extend(batch.x[:, here:place])[1], place
        states.append(state)
    off = 0.0
    for place, state in zip(places, states, strict=True):
        cut = slice(place - subject.given, place - subject.given + _RUN + 1)
        want = subject.table(index(columns, (slice(None), cut)))
        off = max(off, _run_from(subject, state, batch, want, place))
    return off, length


def _run_from(
    subject: Subject, state: State, batch: Batch, want: torch.Tensor, place: int
) -> float:
    """Extend by some elements from a late state on, and append them one by one."""
    block = batch.x[:, place : place + _RUN]
    together = subject.table(state.extend(block)[0])
    off = _late(subject, together, want, f"extending from element {place} on")
    steps = [subject.table(state.conditional)]
    for x in block.unbind(1):
        state = state.append(x)
        steps.append(subject.table(state.conditional))
    got = torch.stack(steps, dim=2)
    return max(off, _late(subject, got, want, f"appending from element {place} on"))


def _late(subject: Subject, got: torch.Tensor, want: torch.Tensor, what: str) -> float:
    return agree(
        got,
        want,
        subject.tolerance,
        f"{what} to give the conditionals of one parallel pass",
        "a block, a crop, a table of positions or a counter that ends before the sequence does",
        _AXES,
    )


# ---- in a wide batch ----------------------------------------------------------------------------


def any_width(subject: Subject) -> str:
    """A state of hundreds of rows says of each row what a state of a few rows says of it.

    By extending and by appending; `ragged_extend`, `select` and `truncate` have wide ones too.
    """
    length = subject.short(7)
    if length - subject.given < 3:
        raise NotApplicable("sequences are too short for it")
    wide = widths(subject, length, "states")
    if not wide:
        raise NotApplicable("a batch of more than eight rows is too much work")
    off = max(_wide_states(subject, n, length) for n in wide)
    return f"{off:.1e} in {' and '.join(map(str, wide))} rows"


def _wide_states(subject: Subject, n: int, length: int) -> float:
    rng = subject.rng(f"width {n}")
    batch = subject.batch(n, length, f"width {n}")
    looked = np.array(range(n) if subject.thorough else rows_to_look_at(n, rng))
    rng.shuffle(looked)
    few = [looked[i : i + 5] for i in range(0, len(looked), 5)]
    want = torch.cat([subject.reference(batch.rows(rows)) for rows in few], dim=1)
    begun = subject.begin(batch)
    columns = begun.extend(batch.x[:, subject.given :])[0]
    off = _wide(subject, subject.table(columns)[:, looked], want, n, "extend")
    state, said = begun, [subject.table(begun.conditional)[:, looked]]
    for x in batch.x[:, subject.given :].unbind(1):
        state = state.append(x)
        said.append(subject.table(state.conditional)[:, looked])
    return max(off, _wide(subject, torch.stack(said, dim=2), want, n, "append"))


def _wide(subject: Subject, got: torch.Tensor, want: torch.Tensor, n: int, what: str) -> float:
    return agree(
        got,
        want,
        subject.tolerance,
        f"{what} in a state of {n} rows to give what a state of a few of them gives",
        "rows beyond a block that are left out, a buffer of a fixed number of rows, or statistics "
        "taken over the batch",
        ("probe value", "row looked at", "column"),
    )


# ---- many elements drawn ------------------------------------------------------------------------


def long_draws(subject: Subject) -> str:
    """`sample` of many elements gives that many, all of them drawn from their conditionals."""
    if subject.space.length is not None:
        return "all elements"
    rows = 8 if subject.thorough else 4
    most = late(subject, "long draws", rows)
    fast = type(subject.begin(subject.batch(1, subject.given, "long draws"))).advance
    if explodes(subject):
        return "no more, for draws explode"
    if fast is State.advance and not subject.thorough:  # a step in Python each
        most = min(most, subject.given + 90 + int(subject.rng("long draws").integers(30)))
    prefix = subject.prefix(rows, most, "long draws")
    given = drawn(subject, prefix, most - subject.given, 21)
    if subject.is_text:
        same_text(subject, given)
    _whole_length(subject, given.new, given.complete, most - subject.given)
    x, lengths = given.whole(subject).padded(ends=True)
    x = x.to(subject.process.device)
    columns = subject.columns(Batch(x[:, :-1], prefix.context))
    inside = (torch.arange(x.shape[1]) < lengths[:, None])[:, subject.given :]
    every = inside.nonzero().unbind(1)
    u = pit(
        index(columns, every),
        x[every[0], every[1] + subject.given],
        subject.rng("randomised long draws"),
    )
    if u is None:
        return f"{rows} rows of up to {most} elements, without a transform"
    found, width = [1.0], inside.shape[1]
    for first, stop in ((0, width // 8), (width // 8, width // 2), (width // 2, width)):
        there = (every[1] >= first) & (every[1] < stop)
        if int(there.sum()) < 20:
            continue
        own, row = u[there], every[0][there]
        expected = f"draws number {first} to {stop} to be draws from their conditionals"
        found.append(kolmogorov_smirnov(own, expected, _DRAWS))
        flat = own.flatten(1) if own.ndim > 1 else own[:, None]
        pairs = torch.stack([flat[:-1], flat[1:]], dim=-1)[row[1:] == row[:-1]].reshape(-1, 2)
        found.append(berkowitz(own.flatten(), pairs, expected, _DRAWS))
    _unrepeated(u, every)
    return f"{rows} rows of up to {most} elements, transforms p = {min(found):.2g}"


def _unrepeated(u: torch.Tensor, every: tuple[torch.Tensor, ...]) -> None:
    """No correlation at any lag: seven standard errors, a false alarm in a million."""
    first = u.reshape(len(u), -1)[:, 0]
    z = torch.special.ndtri(first.double().clamp(1e-9, 1 - 1e-9)).cpu().numpy()
    row = every[0].cpu().numpy()
    longest = int(np.bincount(row).max()) if len(row) else 0
    sums, counts = np.zeros(longest), np.zeros(longest)
    for i in np.unique(row):  # products of what lies a lag apart, of mean 0, by Fourier
        own = z[row == i]
        n = len(own)
        spectrum = np.abs(np.fft.rfft(own, 2 * n)) ** 2
        sums[:n] += np.fft.irfft(spectrum, 2 * n)[:n]
        counts[:n] += n - np.arange(n)
    enough = (counts >= 100) & (np.arange(longest) > 0)
    if not enough.any():
        return
    errors = np.where(enough, np.abs(sums) / np.sqrt(np.maximum(counts, 1)), 0.0)
    lag = int(errors.argmax())
    if errors[lag] > 7:
        fail(
            "every element drawn to have a uniform of its own",
            f"those {lag} elements apart are correlated by {errors[lag]:.1f} standard errors",
            "a buffer of draws or of random numbers that is gone through again",
        )


_DRAWS = (
    "a sampler that works in blocks and is wrong from the second one on, or that stops to look "
    "at the past"
)


def _whole_length(
    subject: Subject, new: list[torch.Tensor], complete: torch.Tensor, length: int
) -> None:
    limits = check_length(subject.space, length, torch.zeros(len(new), dtype=torch.int64))
    assert limits is not None
    for i, (row, most) in enumerate(zip(new, limits.tolist(), strict=True)):
        ended = subject.space.terminates and bool(complete[i])
        if len(row) != most and not (ended and len(row) < most):
            fail(
                f"sample(length={length}) to draw {length} elements, or to end by itself",
                f"row {i} has {len(row)} of them, and is {'' if ended else 'not '}complete",
                "a sampler that is cut at a length of its own",
            )
