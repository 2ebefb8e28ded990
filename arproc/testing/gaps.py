"""What is asked by arrays with gaps: scores, prefixes, histories, gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from arproc.distributions import index
from arproc.errors import DataError, UnsupportedError
from arproc.testing.compare import agree
from arproc.testing.futures import closed, room
from arproc.testing.material import Batch
from arproc.testing.report import NotApplicable, fail
from arproc.testing.several import lawful_terms
from arproc.testing.subject import Subject

__all__ = ["public_calls", "within_reach"]

_CAUSE = "NaN filled in, or counted, by a call that reads the data itself"


def public_calls(subject: Subject, gaps: Batch) -> float:
    """The public calls on the user's arrays with gaps, against the law; the largest difference."""
    off = _likelihoods(subject, gaps)
    row = gaps.rows([1])
    known = row.length  # the last two are missing
    if subject.space.length is not None:
        known = subject.short(row.length)
    off = max(off, _prefix(subject, Batch(row.x[:, :known], row.context)))
    return max(off, _slope(subject, gaps))


def within_reach(subject: Subject, x: torch.Tensor, whole: torch.Tensor) -> torch.Tensor:
    """Rows with gaps [n, T, *event], of which no mixture of rows has one that is too long.

    Args:
        subject: the process.
        x: the rows.
        whole: the same without gaps.
    """
    most = subject.process.law_.longest_gap
    if most is None:
        return x
    if not subject.thorough:  # the work multiplies with every element
        most = min(most, 4)
    x, enough = x.clone(), max(subject.given, 1)
    for begin in range(subject.given + min(most, 2), x.shape[1], most + enough):
        x[:, begin : begin + enough] = whole[:, begin : begin + enough]
    return x


def _likelihoods(subject: Subject, gaps: Batch) -> float:
    process, context = subject.process, gaps.context
    data = subject.user_data(gaps)
    # past every public call, and with no term of what is missing
    whole = process.sequences(data, missing=True)
    want = [part.sum() for part in lawful_terms(subject, whole, context)]
    got = torch.as_tensor(np.asarray(process.log_prob(data, context=context)))
    expected = "log_prob of an array with gaps to be the sum of the observed elements' terms"
    off = agree(got, torch.stack(want), subject.tolerance, expected, _CAUSE, ("row",))
    seen = ~torch.isnan(gaps.x[:, subject.given :]).reshape(gaps.n, -1).all(0)
    if not subject.space.event_shape and bool(seen.any()):
        count = int((~torch.isnan(gaps.x[:, subject.given :])).sum())
        count += gaps.n if subject.space.terminates else 0
        score = torch.tensor([process.score(data, context=context)], dtype=torch.float64)
        expected = "score to be the mean over the observed elements"
        agree(score, torch.stack(want).sum()[None] / count, 1e-6, expected, _CAUSE)
    return off


def _prefix(subject: Subject, row: Batch) -> float:
    """Calls that begin with a prefix whose last elements are missing."""
    process, law = subject.process, subject.process.law_
    prefix = subject.as_user(row.x[0])
    context, one = row.context, None if row.context is None else row.context[0]
    prepared = process.read_context(context, 1, row.length)
    state = law.fresh(1, prepared).extend(row.x)[1]
    want = subject.table(state.conditional)[:, 0]
    calls: dict[str, Callable[[], Any]] = {
        "conditional": lambda: process.conditional(prefix, context=context),
        "start": lambda: index(process.start(prefix, context=context).conditional, 0),
        "condition": lambda: index(process.condition(prefix, context=one).start().conditional, 0),
    }
    off = 0.0
    for name, call in calls.items():
        expected = f"{name} of a prefix that ends with a gap to be the law's own after it"
        off = max(off, agree(subject.table(call()), want, subject.tolerance, expected, _CAUSE))
    if subject.given == 0 and subject.space.length is None:
        _drawn_after(subject, prefix, context, state)
        _forecast_after(subject, prefix, context, state)
    return off


def _drawn_after(subject: Subject, prefix: Any, context: Any, state: Any) -> None:
    """A draw after a gap knows its probability, which is the conditional's of what was drawn."""
    draws = subject.process.sample(1, 1, prefix, seed=3, return_log_prob=True, context=context)
    x = torch.as_tensor(np.asarray(draws.x, dtype=np.float64))[:, 0].to(subject.space.dtype)
    expected = "a draw after a prefix that ends with a gap to have its conditional's probability"
    agree(
        torch.as_tensor(np.asarray(draws.log_prob)).double(),
        state.conditional.log_prob(x).double(),
        subject.tolerance,
        expected,
        _CAUSE,
    )


def _forecast_after(subject: Subject, prefix: Any, context: Any, state: Any) -> None:
    """The first step of a forecast is the conditional: its mean, exactly or in paths."""
    try:
        room(subject, len(prefix), 1)
        mean, variance = state.conditional.mean, state.conditional.variance
        n = 400
        table = subject.process.forecast(prefix, 1, (0.5,), 3, context=context, n_paths=n)
    except (NotApplicable, UnsupportedError, NotImplementedError):
        return
    except DataError as error:
        fail(
            "a history that ends with a gap to have a forecast",
            f"it was refused: {str(error).rstrip('.')}",
            _CAUSE,
        )
    if not bool(mean.isfinite().all() & variance.isfinite().all()):
        return
    components = mean.numel()
    got = torch.as_tensor(np.array(table, dtype=float)).reshape(components, -1)[:, 0]
    allowed = (variance.reshape(-1).double() / n).sqrt() * 6
    if closed(subject, state, 1) is not None:
        allowed = allowed * 1e-4
    far = (got - mean.reshape(-1).double()).abs() > allowed
    if bool(far.any()):
        fail(
            "a forecast after a history that ends with a gap to begin with its conditional",
            f"its mean is {got.tolist()} instead of {mean.reshape(-1).tolist()}",
            _CAUSE,
        )


def _slope(subject: Subject, gaps: Batch) -> float:
    """The gradient in the observed elements is a number, and what finite differences say."""
    if subject.dtype != torch.float64 or subject.space.measure == "mass":
        return 0.0
    if subject.process.layout is not None:
        return 0.0
    x = gaps.x.double()
    seen = ~torch.isnan(x)
    step = torch.where(seen, 1e-5 * subject.slope(x.nan_to_num(0.5)), 0.0)
    with torch.enable_grad():
        moving = x.clone().requires_grad_()
        value = subject.process.log_prob(moving, context=gaps.context).sum()
        if not value.requires_grad:
            return 0.0  # `gradient` asks for one
        slope = torch.autograd.grad(value, moving)[0]
    agree(
        slope[~seen],
        torch.zeros_like(slope[~seen]),
        1e-300,
        "the gradient in missing elements to be zero",
        "NaN times zero in the gradient of torch.where: fill what is missing before the formula",
        ("missing element",),
    )
    ends = [subject.process.log_prob(x + k * step, context=gaps.context).sum() for k in (1, -1)]
    return agree(
        (torch.where(seen, slope, 0.0) * step).sum().double() / 1e-5,
        (ends[0] - ends[1]).double() / 2e-5,
        1e-4,
        "the gradient in the observed elements of rows with gaps to be what finite differences "
        "give",
        "NaN times zero in the gradient of torch.where: fill what is missing before the formula",
    )
