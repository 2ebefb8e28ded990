"""Forecasts keep the chain rule, at any horizon, and are the same in any company."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from arproc.contract.state import State
from arproc.distributions import cdf, from_uniform, quantile
from arproc.errors import UnsupportedError
from arproc.testing.compare import agree
from arproc.testing.drawing import explodes
from arproc.testing.futures import closed, numbers, room, steps, table_of
from arproc.testing.report import NotApplicable, fail
from arproc.testing.subject import Batch, Subject

__all__ = ["histories", "horizons"]

_LEVELS = (0.001, 0.05, 0.5, 0.95, 0.999)
_FAR_LEVELS = (1e-6, 1e-4, 0.2, 0.8, 1 - 1e-4, 1 - 1e-6)
_WHOLE = 3000  # the most values of a whole number that are added up


# ---- the chain rule -----------------------------------------------------------------------------


def horizons(subject: Subject) -> str:
    """Closed forecasts keep the chain rule.

    The law k + 1 steps ahead is that k steps ahead of each next element, averaged over it. Every
    step to the 40th, quantiles far into both tails, after short and long histories; by
    quadrature, so to more digits than any sample shows.
    """
    off, longest = 0.0, 0
    exact = [k for k in steps(subject) if k < subject.length or not explodes(subject)]
    for known in exact:
        horizon = room(subject, known)
        off = max(off, _chained(subject, known, horizon), _next_step(subject, known))
        longest = max(longest, horizon)
    return f"{off:.1e}, {longest} steps"


def _chained(subject: Subject, known: int, horizon: int) -> float:
    batch = numbers(subject, 1, known, horizon, f"horizons {known}")
    state = subject.start(batch, known)
    if subject.space.event_shape or closed(subject, state, horizon) is None:
        raise NotApplicable("there is no closed form of single numbers (see forecast and paths)")
    history = subject.as_user(batch.x[0])
    table = subject.process.forecast(history, horizon, _LEVELS, context=batch.context)
    lines = torch.as_tensor(table_of(subject, table, horizon, 1 + len(_LEVELS))[0, :, 0])
    x, weights = _next_elements(subject, state)
    after = state.select(torch.zeros(len(x), dtype=torch.int64)).append(x)
    mean, reached, below = _averaged(subject, state, after, x, weights, lines)
    levels = torch.tensor(_LEVELS, dtype=torch.float64).expand_as(reached)
    fine = subject.dtype == torch.float64
    where = f"after {known} elements, "
    cause = (
        "the spread of another step, a horizon beyond which it stands still, or a history or a "
        "context to come that is left out"
    )
    size = (levels * (1 - levels)).clamp(min=1e-3)
    if subject.space.measure == "mass":
        slack = (1e-6 if fine else 1e-3) * size
        reached = torch.where(
            (below <= levels + slack) & (reached >= levels - slack), levels, reached
        )
    off = agree(
        (reached - levels) / size,
        torch.zeros_like(levels),
        2e-4 if fine else 2e-2,
        where + "the share of the law below each forecast quantile to be its level (what came is "
        "the difference over q (1 - q))",
        cause,
        ("step (from 0)", f"quantile of {list(_LEVELS)}"),
    )
    spread = (lines[:, -2] - lines[:, 2]).abs().clamp(min=1e-9)
    # a mean beyond most of its law is made by elements further out than are averaged over
    inner = (lines[:, 2] <= lines[:, 0]) & (lines[:, 0] <= lines[:, 4])
    compared = (
        mean.isfinite() & lines[:, 0].isfinite() & (inner | (subject.space.measure == "mass"))
    )
    moved = torch.where(compared, (lines[:, 0] - mean) / spread, 0.0)
    agree(
        moved,
        torch.zeros_like(moved),
        1e-4 if fine else 1e-2,
        where + "each forecast mean to be the average over the next element (what came is the "
        "difference over the spread)",
        cause,
        ("step (from 0)",),
    )
    return off


def _next_step(subject: Subject, known: int) -> float:
    """A forecast of one step is the conditional: its quantiles far into both tails."""
    batch = numbers(subject, 1, known, 1, f"one step {known}")
    history = subject.as_user(batch.x[0])
    table = subject.process.forecast(history, 1, _FAR_LEVELS, context=batch.context)
    lines = torch.as_tensor(table_of(subject, table, 1, 1 + len(_FAR_LEVELS))[0, 0, 0])
    levels = torch.tensor(_FAR_LEVELS, dtype=torch.float64)
    conditional = subject.start(batch, known).conditional
    try:
        want = torch.stack([quantile(conditional, q.reshape(1))[0] for q in levels]).double()
    except (UnsupportedError, NotImplementedError):
        return 0.0
    slack = 1e-5 if subject.dtype == torch.float64 else 1e-2
    spread = (want[3] - want[2]).abs().clamp(min=1e-9)
    if subject.space.measure == "mass":
        slack, spread = 0.5, torch.ones_like(spread)
    return agree(
        (lines[1:] - want) / spread,
        torch.zeros_like(want),
        slack,
        f"after {known} elements, the quantiles {list(_FAR_LEVELS)} of a forecast of one step to "
        "be those of the conditional (what came is the difference over the spread)",
        "a way of its own for one step, or quantiles that are cut",
        ("quantile",),
    )


def _next_elements(subject: Subject, state: State) -> tuple[torch.Tensor, torch.Tensor]:
    """Values of the next element and their weights: all of them, or nodes of quadrature."""
    space, conditional = subject.space, state.conditional
    device = state.history.slots.device
    if space.measure == "mass":
        count = space.size or int(from_uniform(conditional, torch.tensor([1 - 1e-13]))[0]) + 2
        if space.kind == "binary":
            count = 2
        if count > _WHOLE:
            raise NotApplicable(f"more than {_WHOLE} values are likely")
        x = torch.arange(count, device=device).to(space.dtype)
        return x, conditional.log_prob(x).double().exp()
    z = torch.linspace(-7.5, 7.5, 121, dtype=torch.float64)  # the trapezium rule in normal scores
    weights = torch.exp(-0.5 * z**2)
    many = state.select(torch.zeros(len(z), dtype=torch.int64)).conditional
    x = from_uniform(many, torch.special.ndtr(z).to(device)).to(space.dtype)
    return x, (weights / weights.sum()).to(device)


def _averaged(
    subject: Subject,
    state: State,
    after: State,
    x: torch.Tensor,
    weights: torch.Tensor,
    lines: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The means [horizon], and the shares up to and below the quantiles [horizon, levels]."""
    horizon, values = len(lines), lines[:, 1:]
    whole = subject.space.measure == "mass"
    first = state.conditional
    try:
        upto = [cdf(first, v.to(x)).double() for v in values[:1].T]
        under = [cdf(first, v.to(x) - 1).double() for v in values[:1].T] if whole else upto
    except (UnsupportedError, NotImplementedError) as error:
        raise NotApplicable(f"its conditionals have no distribution function: {error}") from None
    reached, below = [torch.stack(upto, -1)], [torch.stack(under, -1)]
    means = [(weights * x.double()).sum()[None]]
    if horizon > 1:
        inner = closed(subject, after, horizon - 1)
        if inner is None:
            raise NotApplicable("one step later there is no closed form (see forecast and paths)")
        mean = inner.mean.double()
        each = values[1:].T[:, None].to(inner.mean)
        share = inner.cdf(each).double()
        means.append((weights[:, None] * mean).sum(0))
        reached.append((weights[:, None] * share).sum(1).T)
        share = inner.cdf(each - 1).double() if whole else share
        below.append((weights[:, None] * share).sum(1).T)
    return torch.cat(means), torch.cat(reached), torch.cat(below)


# ---- any company --------------------------------------------------------------------------------


def histories(subject: Subject) -> str:
    """A forecast depends on its history, context and seed alone.

    Several histories of different length at once give each what it has with the others left out;
    a longer horizon and other quantiles change none of the first steps; the future is labelled by
    the steps that follow.
    """
    lengths = [known for known in (3, 1, 9) if subject.space.length is None] or [0, 0]
    lengths = [subject.given + known for known in lengths]
    if subject.space.length is None:
        lengths.insert(1, subject.length + 60)
    horizon = room(subject, max(lengths), 12)
    batch = numbers(subject, len(lengths), max(lengths), horizon, "histories")
    known = [subject.as_user(row[:k]) for row, k in zip(batch.x, lengths, strict=True)]
    every = _forecast(subject, known, horizon, (0.01, 0.5, 0.9), batch.context)
    off = 0.0
    for i in range(len(known)):
        # simulated paths depend on the place of their series, so the first ones stay in place
        kept = list(range(i + 1))
        short = _as_closed(subject, batch, horizon, max(1, horizon - 4 * (i % 2)))
        got = _forecast(subject, [known[k] for k in kept], short, (0.9, 0.01), _rows(batch, kept))
        want = every[kept][:, :short][..., [0, 3, 1]]
        off = max(off, _same(subject, got, want, f"{i + 1} of {len(known)} histories"))
    off = max(off, _others_replaced(subject, batch, known, horizon, every))
    single = _forecast(subject, known[0], horizon, (0.01, 0.5, 0.9), _rows(batch, [0]))
    off = max(off, _same(subject, single, every[:1], "one history that is not in a list"))
    _seeded(subject, known[0], horizon, _rows(batch, [0]))
    if subject.space.length is None:
        _labelled(subject, batch, lengths[0], horizon, every[:1])
        off = max(off, _remembered(subject))
    return f"{off:.1e}, histories of {lengths}"


def _remembered(subject: Subject) -> float:
    """The first elements of a long history count in paths as they do in its conditional.

    Paths of one seed are drawn by the same uniforms after any history of one length: so they lie
    at the same places of the conditionals after a history and after one that began elsewhere.
    """
    if subject.space.event_shape:
        return 0.0
    known = steps(subject)[-1]
    batch = numbers(subject, 2, known, 1, "remembered")
    x = batch.x.clone()
    x[1] = x[0]
    few = slice(subject.given, subject.given + 12)
    x[1, few] = subject.random_elements((known,), "remembered").to(x)[few]
    batch = Batch(x, _rows(batch, [0, 0]))
    conditional = subject.start(batch, known).conditional
    own = _rows(batch, [0])
    drawn = [
        table_of(
            subject,
            subject.process.sample_paths(subject.as_user(row), 1, 40, 8, context=own),
            1,
            40,
        )[0, 0, 0]
        for row in x
    ]
    value = torch.as_tensor(np.stack(drawn)).to(x).T  # [paths, 2]
    try:
        upto = cdf(conditional, value).double()
        under = cdf(conditional, value - 1).double() if subject.space.measure == "mass" else upto
    except (UnsupportedError, NotImplementedError):
        return 0.0
    if subject.space.measure == "density" and not _by_inverse(conditional):
        return 0.0
    apart = (under[:, 0] - upto[:, 1]).clamp(min=0) + (under[:, 1] - upto[:, 0]).clamp(min=0)
    return agree(
        apart,
        torch.zeros_like(apart),
        1e-6 if subject.dtype == torch.float64 else 1e-2,
        "paths after two long histories that begin unlike to be drawn from their conditionals "
        "(what came is how far their probabilities lie apart)",
        "a history that is cut to its last elements",
        ("path",),
    )


def _by_inverse(conditional: Any) -> bool:
    """Whether uniforms are places of the law: those of a mixture choose its component too."""
    u = torch.tensor([0.1, 0.35, 0.6, 0.85], dtype=torch.float64)
    places = torch.stack([cdf(conditional, from_uniform(conditional, v.expand(2))) for v in u])
    return bool((places.double() - u[:, None]).abs().max() < 1e-3)


def _others_replaced(
    subject: Subject, batch: Batch, known: list[Any], horizon: int, every: np.ndarray
) -> float:
    """Other series, with other contexts, in the place of all but the last: that stays as it is.

    So do its paths; and what follows the last element is what its state says.
    """
    process, last = subject.process, len(known) - 1
    rows = [(i + 1) % last for i in range(last)] + [last] if last > 1 else [last, last]
    others = [known[i] for i in rows]
    context = _rows(batch, rows)
    got = _forecast(subject, others, horizon, (0.01, 0.5, 0.9), context)
    what = "the last of several histories, the others replaced"
    off = _same(subject, got[last:], every[last:], what)
    paths = [
        table_of(subject, process.sample_paths(x, horizon, 7, 4, context=c), horizon, 7, len(x))
        for x, c in ((known, batch.context), (others, context))
    ]
    off = max(off, _same(subject, paths[1][last:], paths[0][last:], f"{what} (sample_paths)"))
    alone = process.sample_paths(known[0], horizon, 7, 4, context=_rows(batch, [0]))
    own = table_of(subject, alone, horizon, 7)
    return max(off, _same(subject, paths[0][:1], own, "the first of several (sample_paths)"))


def _as_closed(subject: Subject, batch: Batch, horizon: int, short: int) -> int:
    """`short` where forecasts of that many steps are simulated just if those of `horizon` are."""
    state = subject.start(batch, batch.length)
    kinds = {closed(subject, state, steps) is None for steps in (short, horizon)}
    return short if len(kinds) == 1 else horizon


def _rows(batch: Batch, rows: list[int]) -> np.ndarray | None:
    return None if batch.context is None else batch.context[rows]


def _forecast(
    subject: Subject, known: Any, horizon: int, levels: tuple[float, ...], context: Any
) -> np.ndarray:
    n = len(known) if isinstance(known, list) else 1
    table = subject.process.forecast(known, horizon, levels, seed=4, context=context, n_paths=60)
    return table_of(subject, table, horizon, 1 + len(levels), n)


def _same(subject: Subject, got: np.ndarray, want: np.ndarray, what: str) -> float:
    return agree(
        torch.as_tensor(got),
        torch.as_tensor(want),
        max(subject.tolerance, 1e-7),
        f"a forecast from {what}, of fewer steps and other quantiles, to be part of the whole one",
        "series that are padded to one length, quantiles or a horizon that change what is "
        "simulated, or statistics of the batch",
        ("series", "step (from 0)", "component", "column"),
    )


def _seeded(subject: Subject, known: Any, horizon: int, context: Any) -> None:
    process = subject.process
    tables = [
        process.forecast(known, horizon, (0.3,), seed=seed, context=context, n_paths=60)
        for seed in (5, 5, 6)
    ]
    arrays = [table.to_numpy(dtype=float) for table in tables]
    cause = "a seed that is not passed on, or random numbers from elsewhere"
    if not np.array_equal(arrays[0], arrays[1], equal_nan=True):
        fail("the same seed to give the same forecast", "they differ", cause)
    paths = [
        process.sample_paths(known, horizon, 8, seed, context=context).to_numpy(dtype=float)
        for seed in (5, 5, 6)
    ]
    if not np.array_equal(paths[0], paths[1], equal_nan=True):
        fail("the same seed to give the same paths", "they differ", cause)
    _other_seeds(subject, known, horizon, context)
    spread = np.ptp(paths[0], axis=-1).max() if not subject.space.event_shape else 1.0
    if spread > 0 and np.array_equal(paths[0], paths[2]) and subject.space.measure == "density":
        fail("another seed to give other paths", "all are the same", cause)


def _other_seeds(subject: Subject, known: Any, horizon: int, context: Any) -> None:
    """0 is a seed of forecasts and of paths too, and a Generator gives the seed."""
    process = subject.process

    def generator(seed: int) -> torch.Generator:
        return torch.Generator().manual_seed(seed)

    def forecast(seed: Any) -> np.ndarray:
        table = process.forecast(known, horizon, (0.3,), seed=seed, context=context, n_paths=20)
        return np.asarray(table.to_numpy(dtype=float))

    def paths(seed: Any) -> np.ndarray:
        table = process.sample_paths(known, horizon, 20, seed, context=context)
        return np.asarray(table.to_numpy(dtype=float))

    for call in (forecast, paths):
        for one, two in ((0, 0), (generator(3), generator(3))):
            if not np.array_equal(call(one), call(two), equal_nan=True):
                fail(
                    f"{call.__name__} with the seed 0, or of equal Generators, to be the same",
                    f"two calls with {one!r} differ",
                    "a seed 0 taken for none, or random numbers from elsewhere",
                )
    continuous = subject.space.measure == "density"
    if continuous and np.array_equal(paths(generator(3)), paths(generator(4)), equal_nan=True):
        fail(
            "Generators of unlike states to give unlike paths",
            "all are the same",
            "a Generator that is not asked for its number",
        )


def _labelled(subject: Subject, batch: Batch, length: int, horizon: int, want: np.ndarray) -> None:
    """The history as pandas: the steps' labels go on, and the numbers are the same."""
    import pandas as pd

    if not subject.takes_dates:
        return
    x = subject.as_user(batch.x[0, :length])
    index = pd.date_range("2001-01-31", periods=length + horizon, freq="D", name="day")
    frame = pd.DataFrame(x, index[:length]) if x.ndim > 1 else pd.Series(x, index[:length])
    table = subject.process.forecast(
        frame, horizon, (0.01, 0.5, 0.9), seed=4, context=_rows(batch, [0]), n_paths=60
    )
    _same(subject, table_of(subject, table, horizon, 4), want, "a pandas object")
    if length > 1 and list(table.index) != list(index[length:]):
        fail(
            f"the forecast's index to go on after the history's: {index[length]} ...",
            f"it begins with {table.index[0]}",
            "a table without the future's labels",
        )
