"""Forecasts agree with samples, and joint laws with the likelihood."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from arproc.distributions import component_marginals, step_marginals
from arproc.testing.compare import agree
from arproc.testing.drawing import explodes
from arproc.testing.futures import continued, room
from arproc.testing.report import NotApplicable, fail
from arproc.testing.subject import Subject

__all__ = ["forecast", "joint"]


def forecast(subject: Subject) -> str:
    """Forecasts agree with samples: the mean, and the share of samples below each quantile.

    Each figure is compared at 5.5 standard errors, a false alarm in 25 million.
    """
    space, process = subject.space, subject.process
    known = max(subject.given, subject.short(9) - 5)
    horizon, n, levels = room(subject, known, 8), 2500, (0.02, 0.1, 0.5, 0.9, 0.98)
    total = known + horizon
    one = subject.batch(1, total, "forecast")
    history = subject.as_user(one.x[0, :known])
    table = process.forecast(history, horizon, levels, seed=11, context=one.context, n_paths=n)
    columns = (1 + len(levels)) * int(np.prod(space.event_shape, dtype=np.int64))
    if table.shape != (horizon, columns):
        fail(
            f"a table of {horizon} rows and {columns} columns",
            f"its shape is {table.shape}",
            "another idea of the horizon",
        )
    rows = one.rows([0] * n)
    paths = np.asarray(
        process.sample(n, horizon, history, seed=12, context=rows.context), dtype=float
    ).reshape(n, horizon, -1)
    lines = table.to_numpy(dtype=float).reshape(horizon, -1, 1 + len(levels))
    worst = 0.0
    for step, component in np.ndindex(*lines.shape[:2]):
        x, line = paths[:, step, component], lines[step, component]
        squares = (x - x.mean()) ** 2
        if squares.max() <= 0.1 * squares.sum():  # else a few draws make the mean, if it has one
            error = max(x.std() * np.sqrt(2 / n), 1e-9)
            worst = max(worst, _within(abs(line[0] - x.mean()) / error, "mean", step, line[0]))
        for q, value in zip(levels, line[1:], strict=True):
            error = np.sqrt(2 * q * (1 - q) / n)
            below, upto = (x < value - 1e-9).mean(), (x <= value + 1e-9).mean()
            off = max(below - q, q - upto, 0.0) / error
            worst = max(worst, _within(off, f"{q:g} quantile", step, value))
    return f"{worst:.1f} standard errors at most, {horizon} steps"


def _within(errors: float, name: str, step: int, value: float) -> float:
    if errors > 5.5:
        fail(
            "forecasts to agree with sample paths",
            f"the {name} at step {step + 1}, {value:.6g}, is {errors:.1f} standard errors away",
            "the variance of one step used for all, or a mean that forgets the history",
        )
    return errors


def joint(subject: Subject) -> str:
    """The joint law of the next elements is the product of their conditionals, from any place.

    And its marginals are the ones that forecasts are made of.
    """
    process, event = subject.process, subject.space.event_shape
    off, n = 0.0, 3
    fixed = subject.space.length
    horizon = 24 if fixed is None else max(1, min(24, fixed - subject.given - 1))
    if process.law_.joint(subject.begin(subject.prefix(n, subject.short(6), "joint")), 1) is None:
        raise NotApplicable("there is no joint normal law")
    longest = subject.length + 60 if fixed is None else fixed - horizon
    if explodes(subject):  # and floats hold few of the digits of what comes late
        longest = subject.given + 9
    for known in sorted({subject.given, min(subject.given + 1, longest), longest}):
        batch = subject.prefix(n, known + horizon, f"joint {known}")
        batch = continued(subject, batch, known + horizon)
        state = subject.start(batch, known)
        law: Any = process.law_.joint(state, horizon)
        x = batch.x[:, known:].to(torch.float64)
        terms = state.extend(x[:, :-1])[0].log_prob(x).double().sum(1)
        off = max(
            off,
            agree(
                law.log_prob(x.reshape(n, -1)),
                terms,
                subject.tolerance,
                f"the joint law of {horizon} elements after {known} to have their likelihood",
                "covariances between steps that are left out, or components before steps",
                ("row",),
            ),
        )
        marginals = process.law_.predictive(state, horizon)
        if marginals is None:
            fail("a process with a joint law to have marginals", "_predictive is None", "")
        own, derived = (
            component_marginals(d) for d in (marginals, step_marginals(law, horizon, event))
        )
        what = "the marginals of the joint law to be those of forecasts"
        off = max(
            off,
            agree(
                own.log_prob(x),
                derived.log_prob(x),
                subject.tolerance,
                what,
                "a variance of one step used for all",
            ),
        )
    return f"{off:.1e}, {horizon} steps"
