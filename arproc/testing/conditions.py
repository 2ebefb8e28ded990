"""Contexts: each form of them is read alike, and each one given is heeded, stronger ones too."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from arproc.errors import DataError
from arproc.testing.compare import agree
from arproc.testing.material import Batch
from arproc.testing.report import NotApplicable
from arproc.testing.several import lawful_terms
from arproc.testing.subject import Subject

__all__ = ["every_context", "scored_in_contexts"]

_MOST = 48  # contexts that are looked at
_CAUSE = (
    "a call that reads the context itself: by its shape or its type, for the first row only, or "
    "cut to what was seen in training"
)


def every_context(subject: Subject) -> str:
    """All example contexts, and ones twice and five times as far off, are heeded alike.

    The public likelihood of each row, in its batch and alone, is teacher forcing's; and one
    context in any form (an array, lists, a tensor, a DataFrame; one for all rows, or one for
    each) gives the same numbers.
    """
    if subject.process.law_.context is None:
        raise NotApplicable("it takes no context")
    off, count = 0.0, 0
    for batch in _batches(subject):
        whole = subject.ragged(batch, [batch.length] * batch.n)
        want = torch.stack([p.sum() for p in lawful_terms(subject, whole, batch.context)])
        data = subject.user_data(batch)
        got = torch.as_tensor(np.asarray(subject.process.log_prob(data, context=batch.context)))
        expected = "log_prob in each context to be what teacher forcing gives"
        off = max(off, agree(got, want, subject.tolerance, expected, _CAUSE, ("context",)))
        for i in range(0, batch.n, max(1, batch.n // 6)):
            row = batch.rows([i])
            alone = subject.process.log_prob(subject.user_data(row), context=row.context)
            own = torch.as_tensor(np.asarray(alone)).reshape(-1)
            agree(own, want[i : i + 1], subject.tolerance, f"{expected}, alone", _CAUSE)
        count += batch.n
    off = max(off, _forms(subject))
    return f"{off:.1e} in {count} contexts"


def scored_in_contexts(subject: Subject) -> list[np.ndarray]:
    """The likelihoods in all example contexts and stronger ones; none where it takes none."""
    if subject.process.law_.context is None:
        return []
    return [
        np.asarray(subject.process.log_prob(subject.user_data(batch), context=batch.context))
        for batch in _batches(subject)
    ]


def _batches(subject: Subject) -> Iterator[Batch]:
    """A row for each context; those that the law refuses in words are left out."""
    for contexts in _contexts(subject):
        length = subject.whole(5)
        x = subject.batch(len(contexts), length, "every context").x
        if contexts.ndim == 3:
            contexts = np.stack([np.resize(c, (length + 1, c.shape[1])) for c in contexts])
        try:
            subject.process.read_context(contexts, len(x), length + 1)
        except DataError:
            continue
        yield Batch(x, contexts)


def _contexts(subject: Subject) -> Iterator[np.ndarray]:
    given = subject._context
    assert given is not None
    rng = subject.rng("contexts")
    chosen = given if len(given) <= _MOST else given[rng.choice(len(given), _MOST, replace=False)]
    yield chosen
    form = subject.process.law_.context
    if form is None or form.classes is not None:
        return
    flat = given.reshape(-1, given.shape[-1])
    spread = flat.std(0) + 0.1 * np.abs(flat).max()
    for far in (2.0, 5.0):
        few = np.resize(given, (8, *given.shape[1:]))
        yield few + far * spread * rng.choice([-1.0, 1.0], few.shape)


def _forms(subject: Subject) -> float:
    """One context in any form, for one row and for several."""
    import pandas as pd

    batch = subject.batch(3, subject.whole(5), "forms of contexts")
    data, contexts = subject.user_data(batch), np.asarray(batch.context)
    coarse = contexts.astype(np.float32).astype(np.float64)
    forms: dict[str, Any] = {
        "lists": coarse.tolist(),
        "a float32 array": coarse.astype(np.float32),
        "a tensor": torch.as_tensor(coarse),
        "a float32 tensor": torch.as_tensor(coarse).float(),
    }
    if coarse.ndim == 2:
        forms["a DataFrame"] = pd.DataFrame(coarse)
    off = 0.0
    want = _asked(subject, data, coarse)
    for form, context in forms.items():
        got = _asked(subject, data, context)
        expected = f"log_prob with a context that is {form} to be that with an array"
        off = max(off, agree(got, want, subject.tolerance, expected, _CAUSE, ("row",)))
    one = coarse[1]
    want = _asked(subject, data, np.stack([one] * 3))
    shared = [("[1, ...]", one[None])]
    if one.shape[0] != 3 or one.ndim == 2:  # [3] would be a number for each row
        shared.append(("without rows", one))
    for form, context in shared:
        got = _asked(subject, data, context)
        expected = f"one context {form} for all rows to be that given for each"
        off = max(off, agree(got, want, subject.tolerance, expected, _CAUSE, ("row",)))
    got = _asked(subject, data[1], one if one.ndim == 2 or len(one) > 1 else one[None])
    expected = "one sequence in its own context to be as it is among others"
    return max(off, agree(got, want[1:2], subject.tolerance, expected, _CAUSE))


def _asked(subject: Subject, data: Any, context: Any) -> torch.Tensor:
    found = subject.process.log_prob(data, context=context)
    return torch.as_tensor(np.asarray(found, dtype=np.float64)).reshape(-1)
