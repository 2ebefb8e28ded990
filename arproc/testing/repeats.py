"""A call answers by what it is given: nothing is kept from one call to the next."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from arproc.process import Model, Process
from arproc.testing.compare import agree
from arproc.testing.material import Batch, marked
from arproc.testing.report import fail
from arproc.testing.subject import Subject

__all__ = ["repeated_calls"]

_KEPT = (
    "something kept from an earlier call: its context, a cache by the shape, the number of rows "
    "or the identity of what came"
)
_RANDOM = "dropout or another random part that is left on, or a running average that is updated"


def repeated_calls(subject: Subject) -> str:
    """The same call gives the same answer, whatever was asked before, and changes nothing.

    Two batches of one shape with other elements and other contexts are asked for in turn, also of
    a copy that was never asked before, and in one array that is overwritten in between; with
    gradients on and off. Neither the arguments nor torch's settings are changed.
    """
    off = 0.0
    for number in range(4 if subject.thorough else 1):
        rng = subject.rng(f"repeats {number}")
        length = int(rng.integers(5, 12)) if subject.space.length is None else 99
        n = int(rng.integers(3, 7))
        first, second = (
            Batch(
                subject.batch(n, subject.short(length), f"repeats {number} {i}").x,
                subject.context(range(i, n + i), subject.short(length)),
            )
            for i in range(2)
        )
        with _unchanged(subject, (first, second)):
            off = max(off, _in_turn(subject, first, second))
            off = max(off, _overwritten(subject, first, second))
    return f"{off:.1e}"


def _in_turn(subject: Subject, first: Batch, second: Batch) -> float:
    exact = 1e-10 if subject.dtype == torch.float64 else 1e-5
    before = _answers(subject, subject.process, first)
    other = _answers(subject, subject.process, second)
    again = _answers(subject, subject.process, first)
    same = "the same call to give the same answer again"
    off = max(agree(b, a, exact, same, _RANDOM) for a, b in zip(before, again, strict=True))
    with torch.enable_grad():
        traced = _answers(subject, subject.process, first)
    what = "a call to give the same answer where gradients are recorded"
    cause = "a path of its own for training, or dropout that is left on"
    for a, b in zip(before, traced, strict=True):
        off = max(off, agree(b, a, subject.tolerance, what, cause))
    # in a batch of both, and of a copy that was asked for nothing before
    joint = _answers(subject, subject.process, _both(first, second))
    what = "a second call of the same shape to answer by its own elements and context"
    half = len(joint[0]) - len(other[0])
    off = max(off, agree(other[0], joint[0][half:], subject.tolerance, what, _KEPT))
    off = max(off, agree(other[1], joint[1][:, first.n :], subject.tolerance, what, _KEPT))
    if subject.untouched is not None:
        new = _answers(subject, subject.untouched, second)
        what = "a copy that was asked for nothing before to give the same answers"
        for a, b in zip(other, new, strict=True):
            off = max(off, agree(a, b, exact, what, _KEPT))
    return off


def _both(first: Batch, second: Batch) -> Batch:
    context = None
    if first.context is not None and second.context is not None:
        context = np.concatenate([first.context, second.context])
    return Batch(torch.cat([first.x, second.x]), context)


def _answers(subject: Subject, process: Process, batch: Batch) -> list[torch.Tensor]:
    """The terms of all sequences one after another, and the conditionals [probes, n, T + 1]."""
    whole = subject.ragged(batch, [batch.length] * batch.n, False)
    terms = process.log_prob_terms(whole, context=batch.context)
    parts = [torch.as_tensor(np.asarray(part)) for part in terms]
    start = subject.ragged(batch, [subject.given] * batch.n, False)
    state = process.start(start, context=batch.context)
    table = subject.table(state.extend(batch.x[:, subject.given :])[0])
    return [torch.cat(parts), table.detach()]


def _overwritten(subject: Subject, first: Batch, second: Batch) -> float:
    """One array that is overwritten between two calls: the second is answered by what it holds."""
    process = subject.process
    sequences = subject.ragged(first, [first.length] * first.n, False)
    process.log_prob_terms(sequences, context=first.context)
    values = second.x.reshape(sequences.values.shape)
    sequences.values.copy_(values)
    got = process.log_prob_terms(sequences, context=first.context)
    own = Batch(second.x, first.context)
    want = process.log_prob_terms(
        subject.ragged(own, [own.length] * own.n, False), context=own.context
    )
    return agree(
        torch.as_tensor(np.concatenate([np.asarray(part) for part in got])),
        torch.as_tensor(np.concatenate([np.asarray(part) for part in want])),
        subject.tolerance,
        "a call with an array that was overwritten to answer by what it holds now",
        "a cache by the identity or the address of what came",
        ("term",),
    )


@contextmanager
def _unchanged(subject: Subject, batches: tuple[Batch, ...]) -> Iterator[None]:
    """What calls may not change: their arguments, torch's settings, the modes of networks."""
    before = [(batch.x.clone(), batch.context) for batch in batches]
    contexts = [None if c is None else c.copy() for _, c in before]
    settings = _settings(subject)
    yield
    for batch, (x, _), context in zip(batches, before, contexts, strict=True):
        same = torch.equal(marked(batch.x), marked(x))
        if context is not None and batch.context is not None:
            same = same and np.array_equal(batch.context, context)
        if not same:
            fail(
                "calls to leave their arguments alone",
                "one was written into",
                "an operation in place",
            )
    for name, value in _settings(subject).items():
        if settings[name] != value:
            fail(
                f"calls to leave {name} as it was",
                f"it was {settings[name]} and is {value}",
                "a mode that is set for a call and not set back",
            )


def _settings(subject: Subject) -> dict[str, Any]:
    return {
        "torch's gradient mode": torch.is_grad_enabled(),
        "torch's inference mode": torch.is_inference_mode_enabled(),
        "torch's default dtype": torch.get_default_dtype(),
        "torch's number of threads": torch.get_num_threads(),
        "NumPy's error handling": np.geterr(),
        "the training mode of networks": [m.training for m in _modules(subject.process.law_)],
    }


def _modules(value: Any, depth: int = 3) -> Iterator[torch.nn.Module]:
    """The networks in a law, and in the laws and models that it is made of."""
    if isinstance(value, torch.nn.Module):
        yield from value.modules()
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from _modules(part, depth)
    elif depth and (hasattr(value, "space") or isinstance(value, Model)):
        for part in list(getattr(value, "__dict__", {}).values()):
            yield from _modules(part, depth - 1)
