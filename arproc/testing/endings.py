"""Where sequences end: the end's probability after any elements, none of them included."""

from __future__ import annotations

import numpy as np
import torch

from arproc.contract.sequences import Sequences
from arproc.testing.compare import agree
from arproc.testing.material import Batch
from arproc.testing.report import NotApplicable
from arproc.testing.subject import Subject

__all__ = ["ends"]

_SYMBOLS = 4096  # symbols that are tried after one sequence
_CAUSE = (
    "an end that is forgotten, counted twice or given a law of its own where a sequence is empty, "
    "short or alone in its batch"
)


def ends(subject: Subject) -> str:
    """Sequences end as often as their conditionals say: empty ones, short ones, alone or not.

    And what `log_prob` gives a sequence that goes on is what it gives this sequence's end and
    all its continuations together.
    """
    space, given = subject.space, subject.given
    if not space.terminates:
        raise NotApplicable("sequences do not end by a symbol")
    batch = subject.batch(4, given + 12, "ends")
    worst = 0.0
    for length in (given, given + 1, given + 2, given + 12):
        worst = max(worst, _same_ends(subject, batch, length))
    if len(subject.symbols) <= _SYMBOLS:
        for length in (given, given + 1, given + 3):
            worst = max(worst, _adds_up(subject, batch.rows([length % 2]), length))
    return f"{worst:.1e} after 0, 1, 2, 3 and 12 elements"


def _same_ends(subject: Subject, batch: Batch, length: int) -> float:
    """Fail unless the likelihood's share of the end is the conditional's, in a batch and alone."""
    end = torch.full((batch.n,), subject.space.end or 0, device=batch.x.device)
    want = subject.start(batch, length).conditional.log_prob(end).double()
    begun = _log_prob(subject, batch, length, False)
    likely = begun > -torch.inf  # after what can not happen, anything may
    whole = (_log_prob(subject, batch, length, True) - begun)[likely]
    rows = [batch.rows([i]) for i in likely.nonzero()[:, 0].tolist()]
    alone = [
        _log_prob(subject, row, length, True) - _log_prob(subject, row, length, False)
        for row in rows
    ]
    want = want[likely]
    expected = f"the end after {length} elements to have the probability that conditionals give it"
    tolerance = max(1e-9, subject.tolerance)
    off = agree(whole, want, tolerance, f"{expected}, in a batch", _CAUSE, ("sequence",))
    if not rows:
        return off
    return max(
        off, agree(torch.cat(alone), want, tolerance, f"{expected}, alone", _CAUSE, ("sequence",))
    )


def _log_prob(subject: Subject, batch: Batch, length: int, complete: bool) -> torch.Tensor:
    if length == subject.given and not complete:
        return torch.zeros(batch.n, dtype=torch.float64)  # of nothing
    sequences = subject.ragged(batch, [length] * batch.n, complete)
    found = subject.process.log_prob(sequences, context=batch.context)
    return torch.as_tensor(np.asarray(found))


def _adds_up(subject: Subject, one: Batch, length: int) -> float:
    """Fail unless the end and all next symbols share the probability of going on."""
    symbols = torch.as_tensor(subject.symbols, device=one.x.device).to(one.x.dtype)
    head = one.x[0, :length]
    parts = [head] + [torch.cat([head, s[None]]) for s in symbols]
    offsets = torch.tensor([0, *np.cumsum([len(part) for part in parts])])
    complete = torch.arange(len(parts)) == 0
    sequences = Sequences(torch.cat(parts), offsets, subject.space, complete)
    context = None if one.context is None else np.repeat(one.context, len(parts), axis=0)
    found = torch.as_tensor(np.asarray(subject.process.log_prob(sequences, context=context)))
    return agree(
        torch.logsumexp(found, dim=0),
        _log_prob(subject, one, length, False)[0],
        1e-10 if subject.dtype == torch.float64 else 2e-5,
        f"the end after {length} elements and all {len(symbols)} symbols that may come instead to "
        "have the probability of their beginning (log-probabilities are compared)",
        _CAUSE,
    )
