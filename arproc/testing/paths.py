"""Sample paths hang together as draws do, and forecasts are their marginals."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from arproc.errors import DataError
from arproc.testing.compare import agree
from arproc.testing.futures import closed, numbers, room, table_of
from arproc.testing.report import fail
from arproc.testing.statistics import LEVEL
from arproc.testing.subject import Subject

__all__ = ["paths"]

_PATHS = 700
_FAR, _NEAR = 40, 8  # steps
_LEVELS = (0.001, 0.01, 0.2, 0.5, 0.8, 0.99, 0.999)
_LAGS = (1, 2, 5, 12)


def paths(subject: Subject) -> str:
    """`sample_paths` draws what `sample` draws after the history, and forecasts are its marginals.

    Every step is compared, and how the steps hang together. The marginals are compared by ranks,
    so heavy tails do no harm, and pairs of steps by the products of their centred ranks, each at
    5.5 standard errors; quantiles by the exact binomial law of how many paths lie below.
    """
    try:
        return _compared(subject, _FAR)
    except DataError:  # far off it may meet numbers, or draw some, that it refuses in words
        return _compared(subject, _NEAR)


def _compared(subject: Subject, longest: int) -> str:
    known = max(subject.given, subject.short(9) - 5)
    horizon = room(subject, known, longest)
    batch = numbers(subject, 1, known, horizon, "paths")
    context = batch.context
    process, components = subject.process, int(np.prod(subject.space.event_shape, dtype=np.int64))
    table = process.sample_paths(subject.as_user(batch.x[0]), horizon, _PATHS, 21, context=context)
    x = table_of(subject, table, horizon, _PATHS)[0]
    many = batch.rows([0] * _PATHS)
    drawn = process.sample(
        _PATHS, horizon, subject.as_user(batch.x[0]), seed=22, context=many.context
    )
    y = np.asarray(drawn, dtype=float).reshape(_PATHS, horizon, components).transpose(1, 2, 0)
    worst = _same_law(x.reshape(-1, _PATHS), y.reshape(-1, _PATHS), components)
    _as_forecast(subject, subject.as_user(batch.x[0]), horizon, context, x)
    return f"{worst:.1f} standard errors at most, {horizon} steps"


def _same_law(x: np.ndarray, y: np.ndarray, components: int) -> float:
    """Compare paths with draws, [steps * components, n] each."""
    ranks = _ranks(np.concatenate([x, y], axis=1))
    a, b = ranks[:, : x.shape[1]], ranks[:, x.shape[1] :]
    worst = max(
        _apart(a, b, "the middle of the marginal", components),
        _apart(np.abs(a), np.abs(b), "the spread of the marginal", components),
    )
    for lag in sorted({lag * components for lag in _LAGS} | set(range(1, components))):
        if lag < len(a):
            what = f"how each step hangs together with that {max(1, lag // components)} before"
            if lag < components:
                what = "how the components hang together"
            worst = max(worst, _apart(a[lag:] * a[:-lag], b[lag:] * b[:-lag], what, components))
    return worst


def _ranks(x: np.ndarray) -> np.ndarray:
    """The centred ranks of each row, ties in the middle, between -1/2 and 1/2."""
    from scipy.stats import rankdata

    ranks: np.ndarray = rankdata(np.round(x, 9), axis=1) / x.shape[1] - 0.5
    return ranks


def _apart(a: np.ndarray, b: np.ndarray, what: str, components: int) -> float:
    # of each step, and of all together, path by path
    a, b = (np.concatenate([part, part.mean(axis=0, keepdims=True)]) for part in (a, b))
    error = np.sqrt(a.var(axis=1) / a.shape[1] + b.var(axis=1) / b.shape[1])
    errors = np.abs(a.mean(axis=1) - b.mean(axis=1)) / np.maximum(error, 1e-6)
    worst = int(errors.argmax())
    if errors[worst] > 5.5:
        fail(
            "sample_paths to draw what sample(prefix=history) draws",
            f"{what} differs by {errors[worst]:.1f} standard errors "
            + (f"at step {worst // components + 1}" if worst < len(a) - 1 else "over all steps"),
            "paths drawn step by step from the marginals, or from another law or context",
        )
    return float(errors[worst])


def _as_forecast(
    subject: Subject, history: Any, horizon: int, context: Any, x: np.ndarray
) -> None:
    """The forecast's mean and quantiles against the paths [horizon, components, n]."""
    state = subject.start(numbers(subject, 1, len(history), horizon, "paths"), len(history))
    if closed(subject, state, horizon) is None:
        few = min(horizon, 5)
        if closed(subject, state, few) is None:
            _simulated(subject, history, few, context)
    else:
        _quantiles(subject, history, horizon, context, x)


def _simulated(subject: Subject, history: Any, horizon: int, context: Any) -> None:
    """Where nothing is closed, a forecast is that of the paths of its seed."""
    n, process = 101, subject.process
    table = process.forecast(history, horizon, (0.5,), 21, context=context, n_paths=n)
    lines = table_of(subject, table, horizon, 2)[0]
    paths = process.sample_paths(history, horizon, n, 21, context=context)
    x = table_of(subject, paths, horizon, n)[0]
    agree(
        torch.as_tensor(lines),
        torch.as_tensor(np.stack([x.mean(-1), np.median(x, -1)], -1)),
        1e-6,
        "the mean and median of a simulated forecast to be those of the paths of the same seed",
        "a forecast that simulates other paths than sample_paths gives",
        ("step (from 0)", "component", "column"),
    )


def _quantiles(subject: Subject, history: Any, horizon: int, context: Any, x: np.ndarray) -> None:
    """How many paths lie below closed quantiles."""
    from scipy.stats import binom

    n = x.shape[-1]
    table = subject.process.forecast(history, horizon, _LEVELS, context=context)
    lines = table_of(subject, table, horizon, 1 + len(_LEVELS))[0]
    for k, q in enumerate(_LEVELS):
        value = lines[..., k + 1, None]
        slack = 1e-9 * (1 + np.abs(value))
        below, upto = (x < value - slack).sum(-1), (x <= value + slack).sum(-1)
        chance = np.minimum(binom.sf(below - 1, n, q), binom.cdf(upto, n, q))
        if chance.min() < LEVEL / chance.size:
            step, component = (int(i) for i in np.unravel_index(chance.argmin(), chance.shape))
            fail(
                "forecasts to be the quantiles of sample paths",
                f"below the {q:g} quantile of step {step + 1}, "
                f"{lines[step, component, k + 1]:.6g}, lie {below[step, component]} of {n} paths",
                "a spread, or a tail, of another law or another step",
            )
