"""A fitted law is a value: nothing that happens to its model moves it, and it can be copied."""

from __future__ import annotations

import copy
import pickle
import warnings
from typing import Any

import numpy as np
import torch

from arproc.errors import ArprocError
from arproc.process import Process
from arproc.testing.compare import agree
from arproc.testing.material import Batch, numbers_of
from arproc.testing.report import NotApplicable, fail
from arproc.testing.subject import Subject

__all__ = ["copies", "outlives_refit", "parameters_set_later", "refused_refit"]


def outlives_refit(subject: Subject) -> str:
    """A state made before a refit to other data goes on speaking its own law."""
    batch = _batch(subject)
    want = subject.reference(batch)
    model = copy.copy(subject.process)
    state = model.start(
        subject.ragged(batch, [subject.given] * batch.n, False), context=batch.context
    )
    _refit(subject, model)
    columns = state.extend(batch.x[:, subject.given :])[0]
    off = agree(
        subject.table(columns),
        want,
        subject.tolerance,
        "a state made before a refit to speak the law it was made of",
        "what was learnt written into arrays, classes or modules that the old law shares",
        ("probe value", "row", "column"),
    )
    return f"{off:.1e} after a refit"


def refused_refit(subject: Subject) -> str:
    """A fit to data that are refused leaves the model as it was."""
    model = copy.copy(subject.process)
    refused = 0
    for data in (object(), [], np.array(["?", None], dtype=object), np.full(7, np.inf)):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                model.fit(data)
        except Exception:  # whether the message is clear, `clear_errors` asks
            refused += 1
            _require_same(subject, model, "a refit that was refused to change nothing")
    if not refused:
        raise NotApplicable("it refuses no data")
    return f"{refused} refits refused"


def parameters_set_later(subject: Subject) -> str:
    """`set_params` after `fit` changes nothing until the next fit."""
    model = copy.copy(subject.process)
    names = list(model.get_params(deep=False))
    if not names:
        raise NotApplicable("it has no parameters")
    model.set_params(**dict.fromkeys(names, object()))
    _require_same(subject, model, "set_params after fit to change nothing until the next fit")
    return f"{len(names)} parameters set to something else"


def copies(subject: Subject) -> str:
    """A copy by `copy.deepcopy`, and by pickle, of a model in use is an equal model."""
    subject.reference(_batch(subject))  # what a law has computed may not stand in the way
    made = {"copy.deepcopy": copy.deepcopy(subject.process)}
    if "<locals>" not in type(subject.process).__qualname__:
        # in memory, of an object that is at hand: files never hold pickles
        made["pickle"] = pickle.loads(pickle.dumps(subject.process))
    for how, model in made.items():
        _require_same(subject, model, f"a copy by {how} to be equal")
    return " and ".join(made)


def _batch(subject: Subject) -> Batch:
    return subject.batch(3, subject.short(6), "values")


def _refit(subject: Subject, model: Process) -> None:
    """Fit to a few draws of its own, as few steps as can be; not applicable where it can not."""
    known = subject.examples
    if known is None:
        raise NotApplicable("it can not be drawn from")
    if "training__steps" in model.get_params():
        model.set_params(training__steps=1)
    context = subject.context(range(len(known)), int(known.n_terms.max()))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.fit(known.restore(subject.process.layout), context=context)
    except (ArprocError, np.linalg.LinAlgError) as error:
        raise NotApplicable(f"it is not fitted to draws of its own: {error}") from None


def _require_same(subject: Subject, model: Process, expected: str) -> None:
    """Raise `CheckFailed` unless a model gives the subject's likelihoods, states and draws."""
    cause = "a call that reads the parameters of the constructor, or a law that is not kept whole"
    try:
        other = subject.with_process(model)
        pairs: list[tuple[Any, Any]] = [
            (_numbers(other), _numbers(subject)),
            (other.reference(_batch(subject)), subject.reference(_batch(subject))),
        ]
        drawn = [_drawn(one) for one in (other, subject)]
    except Exception as error:
        fail(expected, f"it raised {type(error).__name__}: {error}", cause)
    for got, want in pairs:
        agree(got, want, 1e-12, expected, cause)
    if not all(_equal(a, b) for a, b in zip(*drawn, strict=True)):
        fail(expected, "the same seed gives other draws", cause)


def _equal(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two draws are the same; missing entries are."""
    return np.array_equal(a, b, equal_nan=a.dtype.kind == "f")


def _numbers(subject: Subject) -> torch.Tensor:
    """The likelihoods of a few sequences."""
    batch = subject.batch(3, subject.whole(8), "values of likelihoods")
    sequences = subject.ragged(batch, [batch.length] * 3)
    found = subject.process.log_prob(sequences, context=batch.context)
    return torch.as_tensor(np.asarray(found))


def _drawn(subject: Subject) -> list[np.ndarray]:
    length = subject.short(5)
    prefix = subject.prefix(3, length, "values of draws")
    x = subject.process.sample(
        3, length - subject.given, subject.user_prefix(prefix), seed=3, context=prefix.context
    )
    if hasattr(x, "iloc"):
        x = numbers_of(subject.process, x)
    return [np.asarray(row) for row in x]
