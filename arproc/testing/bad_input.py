"""Bad input is refused in words: by an error of ours that names the argument."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from arproc.contract.parameters import Parameters
from arproc.data.tables import Table
from arproc.errors import ArprocError, NotFittedError
from arproc.process import Process
from arproc.testing.futures import room
from arproc.testing.material import Batch
from arproc.testing.report import NotApplicable, fail
from arproc.testing.subject import Subject
from arproc.testing.tables import bad_entries

__all__ = ["clear_errors"]

#: What is bad, what the message must hold, and the call.
BadCall = tuple[str, str, Callable[[], Any]]


def clear_errors(subject: Subject) -> str:
    """Every bad input raises an `ArprocError` whose message names the argument."""
    count = 0
    for what, name, call in _bad_calls(subject):
        count += 1
        try:
            call()
        except ArprocError as error:
            if name not in str(error):
                fail(
                    f"the error about {what} to name {name!r}",
                    f"it says: {error}",
                    "an error raised too deep to know the argument",
                )
        except Exception as error:
            fail(
                f"an ArprocError about {what}",
                f"{type(error).__name__} came: {error}",
                "input that is used before it is checked",
            )
        else:
            fail(f"an error about {what}", "none came", "input that is not checked")
    return f"{count} bad inputs refused"


def _bad_calls(subject: Subject) -> Iterator[BadCall]:
    process, space = subject.process, subject.space
    batch = subject.batch(2, subject.whole(4), "errors")
    context = batch.context
    good = subject.user_data(batch)

    def log_prob(data: Any) -> Callable[[], Any]:
        return lambda: process.log_prob(data, context=context)

    not_finite = [(np.inf, "an infinite value")]
    if not process.law_.takes_missing and not space.holds_missing:
        not_finite.append((np.nan, "NaN"))
    for value, what in not_finite:
        bad = good.astype(np.float64)
        bad.reshape(-1)[-1] = value
        yield f"{what} in data", "data", log_prob(bad)
        yield f"{what} in a tensor", "data", log_prob(torch.as_tensor(bad))
        yield f"{what} in a float32 tensor", "data", log_prob(torch.as_tensor(bad).float())
        yield from _bad_prefixes(subject, batch, value, what)
    yield "data without a sequence", "data", log_prob(good[:0])
    yield "complex data", "data", log_prob(good.astype(np.complex128))
    yield "an object array", "data", log_prob(np.array([object(), None]))
    yield "None as data", "data", log_prob(None)
    yield "too many axes", "data", log_prob(good[None, None, None])
    if not subject.is_text:
        yield "text for a process over numbers", "data", log_prob("no numbers")
    if not space.terminates and space.length is None:
        yield "a sequence without elements", "data", log_prob(good[:, :0])
    yield from _bad_values(subject, good, log_prob)
    yield from _bad_arguments(subject, batch)
    yield from _bad_forecasts(subject, batch)
    yield from _bad_contexts(subject, batch)
    yield from _unfitted(subject, good)


def _bad_values(
    subject: Subject, good: np.ndarray, log_prob: Callable[[Any], Callable[[], Any]]
) -> Iterator[BadCall]:
    space = subject.space
    if isinstance(space, Table):
        for what, place, entry, column in bad_entries(space.columns):
            bad = good.copy()
            bad[..., place] = entry
            yield what, repr(column), log_prob(bad)
    wrong: list[tuple[str, float]] = []
    if space.size is not None:
        wrong = [("a symbol beyond the last", space.size), ("a symbol below zero", -1)]
    elif space.kind == "binary vector":
        wrong = [("a two among zeros and ones", 2)]
    elif space.kind == "count":
        wrong = [("a count below zero", -1), ("half a count", 0.5)]
    elif space.kind in ("unit interval", "positive"):
        wrong = [("a zero", 0), ("a number below zero", -1)]
        wrong += [("a one", 1)] * (space.kind == "unit interval")
    if space.terminates and space.end is not None:
        wrong.append(("the end among the elements", space.end))
    for what, value in wrong:
        bad = good.astype(np.float64)
        bad.reshape(-1)[-1] = value
        yield what, "data", log_prob(bad)
    if subject.given:
        short = subject.ragged(subject.batch(2, subject.given, "short"), [0, subject.given], False)
        yield "fewer elements than are given", "data", log_prob(short)


def _bad_prefixes(subject: Subject, batch: Batch, value: float, what: str) -> Iterator[BadCall]:
    """A value that is none in what calls begin with."""
    process = subject.process
    known = max(subject.given, subject.short(2))
    bad = subject.as_user(batch.x[0, :known]).astype(np.float64)
    bad.reshape(-1)[-1] = value
    one = None if batch.context is None else batch.context[:1]
    single = None if one is None else one[0]
    where = f"{what} in a prefix"
    yield f"{where} of sample", "prefix", lambda: process.sample(1, 1, bad, seed=0, context=one)
    yield f"{where} of conditional", "prefix", lambda: process.conditional(bad, context=one)
    yield f"{where} of start", "prefix", lambda: process.start(bad, context=one)
    yield f"{where} of condition", "prefix", lambda: process.condition(bad, context=single)
    if _forecasts(subject, known):
        yield f"{what} in a history", "history", lambda: process.forecast(bad, 1, context=one)


def _forecasts(subject: Subject, known: int) -> bool:
    with suppress(NotApplicable):
        return room(subject, known, 1) == 1
    return False


def _bad_forecasts(subject: Subject, batch: Batch) -> Iterator[BadCall]:
    process = subject.process
    known = max(subject.given, subject.short(2))
    if not _forecasts(subject, known):
        return
    history = subject.as_user(batch.x[0, :known])
    context = None if batch.context is None else batch.context[:1]
    horizons: tuple[Any, ...] = (0, -1, 1.5)
    for horizon in horizons:
        for call in (process.forecast, process.sample_paths):
            yield (
                f"a horizon of {horizon} in {call.__name__}",
                "horizon",
                partial(call, history, horizon, context=context),
            )
    for level in (0.0, 1.2):
        yield (
            f"a quantile of {level}",
            "quantile",
            partial(process.forecast, history, 1, (level,), context=context),
        )


def _bad_contexts(subject: Subject, batch: Batch) -> Iterator[BadCall]:
    data, context = subject.user_data(batch), batch.context
    if context is None:
        return
    gone = np.array(context)
    gone.reshape(-1)[-1] = np.nan
    wide = np.concatenate([context, context], axis=-1)
    tried = [("NaN in a context", gone), ("a context of too many numbers", wide)]
    for what, bad in tried:
        yield what, "context", partial(subject.process.log_prob, data, context=bad)


def _bad_arguments(subject: Subject, batch: Batch) -> Iterator[BadCall]:
    process, context = subject.process, batch.context
    prefix = subject.user_prefix(Batch(batch.x[:, : subject.given], None))
    numbers: dict[str, Any] = {"prefix": prefix, "context": context}
    no_seed: Any = "one"
    no_policy: Any = "greedy"
    yield "a seed that is no number", "seed", lambda: process.sample(2, 1, seed=no_seed, **numbers)
    yield "a negative number of draws", "n", lambda: process.sample(-1, 1, **numbers)
    yield "a negative length", "length", lambda: process.sample(2, -1, **numbers)
    yield (
        "a policy that is none",
        "policy",
        lambda: process.sample(2, 1, policy=no_policy, **numbers),
    )
    if not subject.space.terminates and subject.space.length is None:
        yield "no length for a stream", "length", lambda: process.sample(2, **numbers)
    if process.law_.context is None:
        yield (
            "a context for a process without",
            "context",
            lambda: process.log_prob(subject.user_data(batch), context=np.ones((2, 1))),
        )
    else:
        yield "no context", "context", lambda: process.log_prob(subject.user_data(batch))
    state = subject.begin(batch)
    yield "elements for too few rows", "x", lambda: state.append(batch.x[:1, 0])
    yield "a row that is not there", "rows", lambda: state.select([0, 2])
    yield "truncating to more than there is", "lengths", lambda: state.truncate(10**6)


def _unfitted(subject: Subject, good: np.ndarray) -> Iterator[BadCall]:
    def unfitted() -> Any:
        return _clone(subject.process)

    try:
        _ = unfitted().space
    except NotFittedError:
        pass
    except ArprocError:
        return  # a wrapper that can not even be made around an unfitted process
    else:
        return  # nothing is learnt
    yield "scoring with an unfitted model", "fit", lambda: unfitted().log_prob(good)
    yield "sampling from an unfitted model", "fit", lambda: unfitted().sample(1, 1)
    yield "starting an unfitted model", "fit", lambda: unfitted().start(1)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "unfitted"
        yield "saving an unfitted model", "fit", lambda: unfitted().save(path)


def _clone(value: Any) -> Any:
    """A new object with the same parameters and nothing learnt, nested ones too."""
    if not isinstance(value, Parameters):
        return value
    params = {k: _clone(v) for k, v in value.get_params(deep=False).items()}
    if "policies" in params and not isinstance(value, Process):
        return value  # a chain of policies learns nothing
    return type(value)(**params)
