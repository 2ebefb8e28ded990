"""Several sequences at once, long prefixes, one alone: calls say what the law says of each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from arproc.contract.law import ChainLaw
from arproc.contract.sequences import Sequences
from arproc.data.tables import Table
from arproc.distributions import index
from arproc.testing.compare import agree
from arproc.testing.material import Batch
from arproc.testing.subject import Subject

__all__ = ["far_prefix", "lawful_terms", "several_sequences"]

_CAUSE = (
    "a call that reads the user's data itself: sorted by length and not put back, padded, cut to "
    "the shortest or to the last elements, or with a way of its own for one"
)
_LONG = 60  # elements beyond what other checks call long


def lawful_terms(subject: Subject, whole: Sequences, context: Any) -> list[torch.Tensor]:
    """The terms of each sequence by teacher forcing of the law itself, past every public call."""
    law = subject.process.law_
    assert isinstance(law, ChainLaw)
    prepared = subject.process.read_context(context, len(whole), int(whole.n_terms.max()))
    terms = law.derived_log_prob_terms(whole, prepared).double()
    return list(terms.split((whole.n_terms - subject.given).tolist()))


def several_sequences(subject: Subject) -> str:
    """Of a list of unequal sequences, and of one alone, calls say what the law says of each.

    `log_prob`, its terms and `score` of arrays and tensors, against teacher forcing;
    `conditional`, `conditionals`, `start` and `condition` of prefixes of unequal length, one of
    them longer than any window, against the law's own states; and `condition` twice.
    """
    fixed = subject.space.length
    batch = subject.batch(3, fixed or subject.given + far_prefix(subject, _LONG), "several")
    lengths = _unequal(subject, batch.length)
    off = _likelihoods(subject, batch, [batch.length] * 3 if fixed else lengths)
    known = [min(k, batch.length - 1) for k in lengths]
    off = max(off, _prefixes(subject, batch, known), _long_prefix(subject, batch, max(known)))
    return f"{off:.1e}, of {lengths} elements"


def far_prefix(subject: Subject, further: int) -> int:
    """How many elements a long prefix has: beyond every window, or as many as are cheap."""
    budget = subject.budget
    slow = (budget.stepwise or budget.replays) and not subject.thorough
    return budget.longest(75 if slow else subject.length + further, 4)


def _unequal(subject: Subject, most: int) -> list[int]:
    """Three lengths, neither rising nor falling."""
    low = subject.given + 1
    return [min(low + 4, most), most, min(low, most)]


def _arrays(subject: Subject, batch: Batch, lengths: list[int]) -> list[np.ndarray]:
    return [subject.as_user(x[:k]) for x, k in zip(batch.x, lengths, strict=True)]


def _likelihoods(subject: Subject, batch: Batch, lengths: list[int]) -> float:
    process, context = subject.process, batch.context
    want = lawful_terms(subject, subject.ragged(batch, lengths), context)
    sums = torch.stack([part.sum() for part in want])
    data: Any = _arrays(subject, batch, lengths)
    if subject.space.length is not None:
        data = list(subject.user_data(batch))
    forms: dict[str, Any] = {"a list of arrays": data}
    if not isinstance(subject.space, Table):
        forms["a list of tensors"] = [torch.as_tensor(x) for x in data]
    off = 0.0
    for form, given in forms.items():
        for rows, what in (
            ([0, 1, 2], f"{form} of {lengths} elements"),
            ([2], "one sequence"),
            ([1], f"a list of one of {lengths[1]}"),
        ):
            asked = given[2] if rows == [2] else [given[i] for i in rows]
            own = None if context is None else context[rows]
            got = _flat(process.log_prob_terms(asked, context=own))
            aim = torch.cat([want[i] for i in rows])
            off = max(off, _agreed(subject, got, aim, f"log_prob_terms of {what}", "term"))
            got = _flat(process.log_prob(asked, context=own))
            off = max(off, _agreed(subject, got, sums[rows], f"log_prob of {what}", "sequence"))
            score = torch.tensor([process.score(asked, context=own)], dtype=torch.float64)
            off = max(off, _agreed(subject, score, aim.mean()[None], f"score of {what}", "value"))
    return off


def _agreed(
    subject: Subject, got: torch.Tensor, want: torch.Tensor, what: str, axis: str
) -> float:
    expected = f"{what} to be what the law says of each, in the order of the data"
    return agree(got, want, subject.tolerance, expected, _CAUSE, (axis,))


def _flat(value: Any) -> torch.Tensor:
    """Numbers of one or of several sequences, one after another."""
    if isinstance(value, (list, tuple)):
        return torch.cat([_flat(part) for part in value])
    if isinstance(value, torch.Tensor):
        return value.detach().double().cpu().reshape(-1)
    return torch.as_tensor(np.array(value, dtype=np.float64)).reshape(-1)


# ---- prefixes -----------------------------------------------------------------------------------


def _prefixes(subject: Subject, batch: Batch, lengths: list[int]) -> float:
    """Calls on a list of prefixes of unequal length, against the states of each alone."""
    process, context = subject.process, batch.context
    given = _arrays(subject, batch, lengths)
    states = [_state(subject, batch.rows([i]), k) for i, k in enumerate(lengths)]
    want = torch.cat([subject.table(state.conditional) for state in states], dim=1)
    calls: dict[str, Callable[[], Any]] = {
        "conditional": lambda: process.conditional(given, context=context),
        "start": lambda: process.start(given, context=context).conditional,
    }
    off = 0.0
    for name, call in calls.items():
        got = subject.table(call())
        what = f"{name} of a list of prefixes of {lengths} elements"
        off = max(off, _agreed(subject, got, want, what, "probe value"))
    if subject.space.length is None:
        off = max(off, _columns(subject, batch, lengths, given))
    return off


def _state(subject: Subject, row: Batch, length: int) -> Any:
    """The law's own state after the first elements of a row."""
    process = subject.process
    context = process.read_context(row.context, 1, length)
    return process.law_.fresh(1, context).extend(row.x[:, :length])[1]


def _columns(subject: Subject, batch: Batch, lengths: list[int], given: list[np.ndarray]) -> float:
    """`conditionals` of a list, up to each row's own length."""
    columns = subject.process.conditionals(given, context=batch.context)
    off = 0.0
    for i, k in enumerate(lengths):
        if k > subject.given:
            got = subject.table(index(columns, (i, slice(0, k - subject.given))))
            row = batch.rows([i])
            want = subject.reference(Batch(row.x[:, : k - 1], row.context))[:, 0]
            what = f"conditionals of sequence {i} in a list of {lengths} elements"
            off = max(off, _agreed(subject, got, want, what, "probe value"))
    return off


def _long_prefix(subject: Subject, batch: Batch, known: int) -> float:
    """One prefix longer than any window, given to each call; and `condition` in two steps."""
    process, row = subject.process, batch.rows([1])
    context, single = row.context, None if row.context is None else row.context[0]
    want = subject.table(_state(subject, row, known).conditional)[:, 0]
    prefix = subject.as_user(row.x[0, :known])
    calls: dict[str, Callable[[], Any]] = {
        "conditional": lambda: process.conditional(prefix, context=context),
        "start": lambda: index(process.start(prefix, context=context).conditional, 0),
        "condition": lambda: _begun(process.condition(prefix, context=single)),
    }
    half = subject.given + (known - subject.given) // 2
    if subject.space.length is None and half < known:
        begun = process.condition(prefix[:half], context=single)
        calls[f"condition of {half} elements, and of the others,"] = lambda: _begun(
            begun.condition(prefix[half:])
        )
    off = 0.0
    for name, call in calls.items():
        what = f"{name} of one prefix of {known} elements"
        off = max(off, _agreed(subject, subject.table(call()), want, what, "probe value"))
    return off


def _begun(follows: Any) -> Any:
    return index(follows.start().conditional, 0)
