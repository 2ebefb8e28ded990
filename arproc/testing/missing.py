"""A process that takes missing values gives the marginal law of what was observed."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch.distributions import Distribution, MixtureSameFamily, Normal

from arproc.contract.sequences import Sequences
from arproc.distributions import quantile
from arproc.errors import UnsupportedError
from arproc.testing.compare import agree
from arproc.testing.forks import grow_and_ask_again
from arproc.testing.gaps import public_calls, within_reach
from arproc.testing.material import Batch
from arproc.testing.report import NotApplicable
from arproc.testing.subject import Subject

__all__ = ["missing_values"]

_NODES = 121  # of an integral over one element
_REACH = 7.5  # standard deviations that it goes to


def missing_values(subject: Subject) -> str:
    """A missing element has a term of 0, and the likelihood is the integral over its values.

    For gaps of every kind: one, several in a row, right after the given values, at both ends,
    every second element, all; of vectors in part. Gaps of several elements are compared with the
    integral over one of them, the others still missing, down to none. In a batch of rows with
    unlike gaps each is as it is alone, and the state tells the same law whether it is extended by
    all elements, by one at a time, or was selected and cut back in between. Where the law says how
    long a gap may be at most (`longest_gap`), gaps are no longer.
    """
    if not subject.process.law_.takes_missing:
        raise NotApplicable("takes_missing is False: NaN is refused")
    off = 0.0
    for number in range(4 if subject.thorough else 1):
        batch = subject.batch(6, subject.whole(16), f"missing {number}")
        gaps = _with_gaps(subject, batch, number)
        off = max(off, _one_law(subject, gaps), _terms(subject, gaps))
        off = max(off, grow_and_ask_again(subject, gaps, f"gaps {number}", steps=12)[0])
        off = max(off, public_calls(subject, gaps))
        drawn = _drawn(subject, batch)
        off = max(off, *_marginals(subject, _with_gaps(subject, drawn, number), drawn))
    return f"{off:.1e}"


def _with_gaps(subject: Subject, batch: Batch, number: int) -> Batch:
    """Gaps of a kind of its own in each of six rows."""
    given, x = subject.given, batch.x.clone()
    x[0, given + 4 : given + 6] = torch.nan  # two in a row
    x[1, given : given + 2] = torch.nan  # right after what is given, and at the end
    x[1, -2:] = torch.nan
    x[2, given:] = torch.nan  # all
    x[3, given + 1 : given + 10] = torch.nan  # longer than most orders
    x[4, given + 1 :: 2] = torch.nan
    rng = subject.rng(f"gaps {number}")
    x[5, given:][torch.as_tensor(rng.random(x.shape[1] - given) < 0.5)] = torch.nan
    return Batch(within_reach(subject, x, batch.x), batch.context)


def _terms(subject: Subject, gaps: Batch) -> float:
    """Missing elements have terms of 0, and each row's terms are those of it alone."""
    process, given = subject.process, subject.given
    terms = process.log_prob_terms(_sequences(subject, gaps), context=gaps.context)
    found = torch.as_tensor(np.stack(terms))
    agree(
        found.masked_fill(~_gone(gaps.x[:, given:]), 0.0),
        torch.zeros_like(found),
        1e-300,
        "the term of a missing element to be 0",
        "a missing value that is scored",
        ("row", "element"),
    )
    alone = []
    for i in range(gaps.n):
        row = gaps.rows([i])
        alone += [process.log_prob_terms(_sequences(subject, row), context=row.context)]
    return agree(
        found,
        torch.as_tensor(np.stack([np.asarray(part).reshape(-1) for part in alone])),
        subject.tolerance,
        "the terms of rows with unlike gaps in one batch to be those of each alone",
        "the gaps of one row taken for those of all, or padding taken for a gap",
        ("row", "element"),
    )


def _drawn(subject: Subject, batch: Batch) -> Batch:
    """Elements that the process draws: none is so far off that an integral loses digits."""
    steps = batch.length - subject.given
    shape = (batch.n, steps, *subject.space.event_shape)
    u = torch.as_tensor(subject.rng("missing").uniform(0.01, 0.99, shape))
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
            state = state.select(torch.arange(batch.n).flip(0)).select(
                torch.arange(batch.n).flip(0)
            )
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
    lengths = (torch.arange(batch.n) * 3).clamp(max=batch.length - subject.given)
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


def _marginals(subject: Subject, gaps: Batch, drawn: Batch) -> list[float]:
    """Some missing elements of each row, integrated out while the others stay missing."""
    found, given, rng = [0.0], subject.given, subject.rng("integrated")
    if subject.space.event_shape:
        return _partly(subject, drawn)
    for i in range(gaps.n):
        places = torch.isnan(gaps.x[i, given:]).nonzero()[:, 0] + given
        chosen = {int(places[0]), int(places[-1])} if i in (0, 1) else set()
        chosen |= {int(k) for k in rng.choice(places, 2 if subject.thorough else 1)}
        for t in sorted(chosen):
            found.append(_marginal(subject, gaps.rows([i]), t))
    for t in (given, given + 5):  # a single one, all others seen
        one = Batch(drawn.x[2:3].clone(), gaps.rows([2]).context)
        one.x[:, t] = torch.nan
        found.append(_marginal(subject, one, t))
    return found


def _marginal(subject: Subject, row: Batch, t: int) -> float:
    """The likelihood with element t missing against its integral over that element.

    The trapezoid rule on the normal scale of the element's own distribution function, which
    converges at once where what follows is smooth in it. The quantiles of a mixture are not, where
    one part ends and the next begins; there the rule goes over the values themselves.
    """
    upto = row.x[:, subject.given : t]
    before = subject.begin(row).extend(upto)[1].conditional
    values, weight = _nodes(before)
    count, values = len(values), values.to(row.x.dtype)
    filled = row.x.repeat(count, 1)
    filled[:, t] = values
    table = _scored(subject, Batch(filled, _repeated(row.context, count)))
    rest = table.sum(1) - table[:, t - subject.given]  # its own density is the weight
    gone = torch.isnan(row.x[0]).nonzero()[:, 0].tolist()
    return agree(
        _scored(subject, row).sum(1)[0],
        torch.logsumexp(rest + weight, 0),
        1e-6,
        f"the likelihood without the elements {gone} to be that without the others, integrated "
        f"over element {t}",
        "a missing value that is filled in, or skipped as if time had stood still",
    )


def _nodes(law: Distribution) -> tuple[torch.Tensor, torch.Tensor]:
    """Values of a distribution of batch shape [1], and the logarithms of their shares in it."""
    count = _NODES if isinstance(law, Normal) else 4 * _NODES
    z = torch.linspace(-_REACH, _REACH, count, dtype=torch.float64)
    if not isinstance(law, MixtureSameFamily):
        shares = -0.5 * z**2 - 0.5 * np.log(2 * np.pi) + torch.log(z[1] - z[0])
        return quantile(law, torch.special.ndtr(z)), shares
    low, high = quantile(law, torch.special.ndtr(z[[0, -1]]))
    values = torch.linspace(float(low), float(high), count, dtype=torch.float64)
    return values, law.log_prob(values).double() + torch.log(values[1] - values[0])


def _scored(subject: Subject, batch: Batch) -> torch.Tensor:
    """The terms of whole rows with gaps, [n, T - given]."""
    sequences = _sequences(subject, batch)
    terms: Any = subject.process.log_prob_terms(sequences, context=batch.context)
    return torch.as_tensor(np.stack([np.asarray(part).reshape(-1) for part in terms]))


def _repeated(context: np.ndarray | None, n: int) -> np.ndarray | None:
    return None if context is None else np.repeat(context, n, axis=0)


def _partly(subject: Subject, drawn: Batch) -> list[float]:
    """Vectors observed in part, where the process scores them: one component integrated out."""
    found, given = [0.0], subject.given
    dimension = subject.space.event_shape[0]
    for others in (0, 1):  # with all else seen, and with the component before missing too
        for j in {0, dimension - 1}:
            for t in (given, given + 4):
                row = Batch(drawn.x[1:2].clone(), drawn.rows([1]).context)
                row.x[:, t, j] = torch.nan
                if others:
                    row.x[:, t + 1, 0] = torch.nan
                    row.x[:, t, (j + 1) % dimension] = torch.nan
                try:
                    found.append(_component(subject, row, t, j))
                except UnsupportedError:  # refused in words
                    return found
    return found


def _component(subject: Subject, row: Batch, t: int, j: int) -> float:
    upto = row.x[:, subject.given : t]
    before = subject.begin(row).extend(upto)[1].conditional
    centre, scale = before.mean[0, j].double(), before.variance[0, j].double().sqrt()
    z = torch.linspace(-9, 9, 181, dtype=torch.float64)
    filled = row.x.repeat(len(z), 1, 1)
    filled[:, t, j] = (centre + scale * z).to(filled.dtype)
    table = _scored(subject, Batch(filled, _repeated(row.context, len(z)))).sum(1)
    cell = torch.log(scale * (z[1] - z[0]))
    return agree(
        _scored(subject, row).sum(1)[0],
        torch.logsumexp(table + cell, 0),
        1e-6,
        f"the likelihood with component {j} of element {t} missing to be the integral over it",
        "a vector observed in part that is scored as if it were whole, or as if its components "
        "were independent",
    )
