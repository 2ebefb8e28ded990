"""A process that takes missing values gives the marginal law of what was observed."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from arproc.contract.sequences import Sequences
from arproc.distributions import quantile
from arproc.testing.compare import agree
from arproc.testing.material import Batch
from arproc.testing.report import NotApplicable
from arproc.testing.subject import Subject

__all__ = ["missing_values"]

_NODES = 400


def missing_values(subject: Subject) -> str:
    """A missing element has a term of 0, and the likelihood is the integral over its values.

    The state tells the same law whether it is extended by all elements, by one at a time, or was
    selected and cut back in between.
    """
    process = subject.process
    if not process.law_.takes_missing:
        raise NotApplicable("takes_missing is False: NaN is refused")
    given = subject.given
    batch = subject.batch(4, subject.whole(14), "missing")
    x = batch.x.clone()
    x[0, given + 3 : given + 7] = torch.nan
    x[1, given : given + 3 : 2] = torch.nan
    x[2, given:] = torch.nan
    gaps = Batch(x, batch.context)
    off = _one_law(subject, gaps)
    terms = process.log_prob_terms(_sequences(subject, gaps), context=gaps.context)
    off = max(
        off,
        agree(
            torch.as_tensor(np.stack(terms)).masked_fill(~_gone(x[:, given:]), 0.0),
            torch.zeros(len(x), x.shape[1] - given, dtype=torch.float64),
            1e-300,
            "the term of a missing element to be 0",
            "a missing value that is scored",
            ("row", "element"),
        ),
    )
    if not subject.space.event_shape:
        batch = _drawn(subject, batch)
        places = [given + t for t in (0, 5, 12) if given + t < batch.length]
        off = max(off, *(_marginal(subject, batch, t) for t in places))
    return f"{off:.1e}"


def _drawn(subject: Subject, batch: Batch) -> Batch:
    """Elements that the process draws: none is so far off that an integral loses digits."""
    steps = batch.length - subject.given
    u = torch.as_tensor(subject.rng("missing").uniform(0.01, 0.99, (batch.n, steps)))
    x, _ = subject.begin(batch).advance(u.to(batch.x.device))
    return Batch(torch.cat([batch.x[:, : subject.given], x], dim=1), batch.context)


def _gone(x: torch.Tensor) -> torch.Tensor:
    """Which elements of x [n, T, *event] were not observed at all."""
    return torch.isnan(x).reshape(*x.shape[:2], -1).all(-1)


def _sequences(subject: Subject, batch: Batch) -> Sequences:
    whole = subject.ragged(batch, [batch.length] * batch.n)
    return Sequences(whole.values, whole.offsets, whole.space, whole.complete, missing=True)


def _one_law(subject: Subject, batch: Batch) -> float:
    """Extending by all, appending, selecting and truncating agree on every conditional."""
    begun = subject.begin(batch)
    want = subject.reference(batch)
    state, columns = begun, [subject.table(begun.conditional)]
    for t in range(subject.given, batch.length):
        if t % 3 == 1:  # a detour through other rows and further elements
            state = state.extend(batch.x[:, t : t + 3])[1].truncate(state.lengths)
            state = state.select(torch.arange(batch.n).flip(0)).select([3, 2, 1, 0])
        state = state.append(batch.x[:, t])
        columns.append(subject.table(state.conditional))
    off = agree(
        torch.stack(columns, dim=2),
        want,
        subject.tolerance,
        "a state that met missing values to tell the same law however it came about",
        "what is known of a missing element, lost by append, select or truncate",
        ("probe value", "row", "column"),
    )
    lengths = torch.arange(batch.n) * 3
    ragged = begun.extend(batch.x[:, subject.given :], lengths)[1]
    rows = torch.arange(batch.n)
    return max(
        off,
        agree(
            subject.table(ragged.conditional),
            want[:, rows, lengths],
            subject.tolerance,
            "extend with lengths to stop within the missing values",
            "a memory of the last element instead of the last that counts",
            ("probe value", "row"),
        ),
    )


def _marginal(subject: Subject, batch: Batch, t: int) -> float:
    """The likelihood without element t against its integral, by Gauss-Legendre in its cdf."""
    process = subject.process
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    row = batch.rows([2])
    before = subject.start(Batch(row.x[:, :t], row.context), t)
    values = quantile(before.conditional, torch.as_tensor((nodes + 1) / 2)).to(row.x.dtype)
    filled = row.x.repeat(_NODES, 1)
    filled[:, t] = values
    context = None if row.context is None else np.repeat(row.context, _NODES, axis=0)
    every = Batch(filled, context)
    terms = process.log_prob_terms(subject.ragged(every, [batch.length] * _NODES), context=context)
    table = torch.as_tensor(np.stack(terms))
    rest = table.sum(1) - table[:, t - subject.given]
    want = torch.logsumexp(rest + torch.as_tensor(weights / 2).log(), 0)
    gap = row.x.clone()
    gap[:, t] = torch.nan
    got: Any = process.log_prob(_sequences(subject, Batch(gap, row.context)), context=row.context)
    return agree(
        torch.as_tensor(np.asarray(got))[0],
        want,
        1e-6,
        f"the likelihood without element {t} to be the integral over its values",
        "a missing value that is filled in, or skipped as if time had stood still",
    )
