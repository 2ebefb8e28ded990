"""Rows of a table as DataFrames: columns are read by their names, categories by their labels."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch

from arproc.contract.randomness import Uniforms
from arproc.data.form import Form, restore
from arproc.data.tables import Table
from arproc.data.tables.frames import restore as as_frame
from arproc.errors import ArprocError
from arproc.sampling.ancestral import draw
from arproc.testing.compare import agree
from arproc.testing.material import Batch
from arproc.testing.report import fail
from arproc.testing.subject import Subject

__all__ = ["frames"]

_CAUSE = (
    "columns read by position, categories by the codes of one frame, or missing entries that a "
    "call fills or leaves out itself"
)
_ROWS, _DRAWS = 8, 60


def frames(subject: Subject) -> str:
    """A table's rows in any DataFrame have the likelihood that their numbers have in an array.

    Columns in any order, dtypes that list the categories in another order, plain objects, rows
    alone and with any index; so have the first columns as a prefix. What is drawn comes back as
    the entries that the engine draws.
    """
    process, space = subject.process, subject.space
    assert isinstance(space, Table)
    batch = subject.batch(_ROWS, subject.length, "frames")
    array, context = subject.user_data(batch), batch.context
    calls: dict[str, Callable[[Any, Any], Any]] = {
        "log_prob": lambda x, c: process.log_prob(x, context=c),
        "log_prob_terms": lambda x, c: process.log_prob_terms(x, context=c),
        "score": lambda x, c: process.score(x, context=c),
    }
    count = 0
    for name, call in calls.items():
        want = _numbers(call(array, context))
        for form, frame in _forms(array, space):
            count += _alike(subject, f"{name} of {form}", want, call, frame, context)
    for i in range(_ROWS):
        one = batch.rows([i]).context
        want = _numbers(process.log_prob(array[i], context=one))
        row = as_frame(torch.as_tensor(array[i : i + 1]), space, space.names, None, True)
        count += _alike(subject, "log_prob of a Series", want, calls["log_prob"], row, one)
    return f"{count + _prefixes(subject, batch)} calls; {_drawn(subject)} rows drawn"


def _forms(array: np.ndarray, space: Table) -> Iterator[tuple[str, Any]]:
    """The rows as DataFrames of every kind, of the same rows in the same order."""
    import pandas as pd

    frame = as_frame(torch.as_tensor(array), space, space.names, None, False)
    yield "a DataFrame", frame
    yield "a DataFrame with its columns in another order", frame[list(space.names)[::-1]]
    yield "a DataFrame of objects", frame.astype(object)
    yield "a DataFrame with an index of text", frame.set_axis([f"row {i}" for i in frame.index])
    labelled = [column for column in space.columns if column.labels is not None]
    if labelled:
        kinds: Any = {c.name: pd.CategoricalDtype(list(c.labels or ())[::-1]) for c in labelled}
        yield "a DataFrame whose categories are listed in another order", frame.astype(kinds)


def _alike(
    subject: Subject,
    what: str,
    want: torch.Tensor,
    call: Callable[[Any, Any], Any],
    given: Any,
    context: Any,
) -> int:
    try:
        got = _numbers(call(given, context))
    except ArprocError as error:
        fail(f"{what} to be taken", f"it was refused: {str(error).rstrip('.')}", _CAUSE)
    except Exception as error:
        fail(f"{what} to be taken", f"it raised {type(error).__name__}: {error}", _CAUSE)
    agree(got, want, subject.tolerance, f"{what} to be that of the numbers", _CAUSE, ("number",))
    return 1


def _numbers(found: Any) -> torch.Tensor:
    """All numbers of what a call gave, row by row."""
    if isinstance(found, (list, tuple)):
        return torch.cat([_numbers(part) for part in found])
    return torch.tensor(np.asarray(found, dtype=np.float64)).reshape(-1)


def _prefixes(subject: Subject, batch: Batch) -> int:
    """The first columns in the order of generation, as a DataFrame, are the numbers in them."""
    space = subject.space
    assert isinstance(space, Table)
    columns, count = subject.columns_of_table, 0
    for known in sorted({max(1, subject.given), subject.length // 2, subject.length - 1} - {0}):
        names = [column.name for column in columns[:known]]
        want = subject.table(subject.start(batch, known).conditional)
        frame = as_frame(batch.x[:, :known], space, names, None, False)
        for form, given in (
            ("a DataFrame", frame),
            ("a DataFrame in another order", frame[names[::-1]]),
        ):
            got = subject.table(subject.process.start(given, context=batch.context).conditional)
            agree(
                got,
                want,
                subject.tolerance,
                f"start({form} of the first {known} column(s)) to be that of the numbers",
                _CAUSE,
                ("probe value", "row"),
            )
            count += 1
    return count


def _drawn(subject: Subject) -> int:
    """What `sample` gives are the entries that the engine draws, in the user's form."""
    process, space = subject.process, subject.space
    if subject.given:
        return 0
    rows = subject.prefix(_DRAWS, subject.length, "frames drawn")
    given = process.sample(_DRAWS, seed=14, context=rows.context)
    state = process.start(_DRAWS, context=rows.context)
    with torch.no_grad():
        x, lengths, _ = draw(state, Uniforms(14), subject.length, None, space)
    form = Form(process.fit_.form, names=tuple(getattr(given, "columns", ())))
    want = restore(x, lengths, space, form, process.layout)
    same = given.equals(want) if hasattr(given, "equals") else _equal(given, want)
    if not same:
        fail(
            "sample to give the entries that the engine draws",
            f"the first rows are\n{given[:3]}\ninstead of\n{want[:3]}",
            "entries that are changed on their way out: gaps that are filled, or other labels",
        )
    return _DRAWS


def _equal(given: Any, want: Any) -> bool:
    return np.array_equal(np.asarray(given), np.asarray(want), equal_nan=True)
