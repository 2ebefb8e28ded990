"""The law is defined at every value of its space: zeros, tiny and huge ones, and after them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import numpy as np
import torch

from arproc.data.tables import Table
from arproc.distributions import cdf, from_uniform, index
from arproc.errors import DataError, UnsupportedError
from arproc.spaces import Real, Space
from arproc.testing.compare import agree
from arproc.testing.material import Batch
from arproc.testing.report import fail
from arproc.testing.subject import Subject

__all__ = ["defined"]

#: Real values that every law has to know, in units of the examples' spread or as they are ...
_NEAR = (0.0, 0.1, 0.5, 1.0, 1.3, 2.0, 3.0, 5.0, 12.0, 30.0, 100.0, 1e-3, 1e-30)
#: ... and values that may be refused: what is NaN there must say so.
_FAR = (1e8, 1e15, 1e30, 3e38, 1e150, 1e300, 1e-38, 1e-45, 1e-300, 5e-324)
_COUNTS = (0, 1, 2, 30, 171, 1000, 10**5, 10**9, 2**31, 2**40, 2**53)
_CAUSE = (
    "a space that is larger than where the law is defined (as spaces.Real for values in (0, 1): "
    "see spaces.UnitInterval and spaces.Positive), or infinity minus infinity, or 0 times it"
)


def defined(subject: Subject) -> str:
    """Every sequence of the space has a log-probability: a number or -inf, and never NaN.

    Or it is refused in words. Elements come from all of the space: zeros, tiny, far and huge
    values, and likely ones after them. A density is nowhere infinite; it is zero where a
    conditional's support has ended; and a fast likelihood is the conditionals' there too.
    """
    with np.errstate(all="ignore"):  # what overflows is infinite, and looked at as such
        return _defined(subject)


def _defined(subject: Subject) -> str:
    x = subject.anywhere("anywhere")
    batches = [(Batch(x, subject.context(range(len(x)), x.shape[1])), _public)]
    batches += [(batch, _strict) for batch in _with(subject, _near(subject))]
    batches += [(batch, _public) for batch in _with(subject, _huge(subject))]
    batches += [(batch, _strict) for batch in _alike(subject)]
    refused = sum(_looked_at(subject, batch, look) for batch, look in batches)
    count = sum(batch.n for batch, _ in batches) - refused
    return f"{count} sequences have one" + f", {refused} refused" * bool(refused)


# ---- which values -------------------------------------------------------------------------------


def _values_of(space: Space, sizes: tuple[float, ...], centre: float, scale: float) -> np.ndarray:
    """Values of a space of numbers, each once."""
    if space.kind == "count":
        return np.array(_COUNTS, dtype=float)
    if space.kind == "integer":
        return np.array([*_COUNTS, *(-k for k in _COUNTS[1:])], dtype=float)
    if space.measure != "density":
        return np.zeros(0)
    x = np.array([sign * size for size in sizes for sign in (1, -1)])
    if max(sizes) < 1e3:
        x = np.concatenate([x, centre + scale * x])
    if space.kind == "unit interval":
        x = np.concatenate([np.abs(x), 1 - np.abs(x)])
    values = torch.as_tensor(x).to(space.dtype).unique()
    known = [v for v in values if bool(v.isfinite()) and space.problem(v[None]) is None]
    if space.kind == "real" or space.event_shape:
        known.append(torch.tensor(-0.0, dtype=space.dtype))  # to `unique` it is zero
    return torch.stack(known).double().numpy() if known else np.zeros(0)


def _near(subject: Subject) -> np.ndarray:
    return _all_values(subject, _NEAR)


def _huge(subject: Subject) -> np.ndarray:
    if subject.space.measure != "density":
        return np.zeros(0)
    return _all_values(subject, _FAR)


def _all_values(subject: Subject, sizes: tuple[float, ...]) -> np.ndarray:
    space = subject.space
    if isinstance(space, Table):
        kinds = [column.space for column in subject.columns_of_table]
        found = [_values_of(kind, sizes, 0.0, 1.0) for kind in kinds]
        return np.unique(np.concatenate(found))
    if space.event_shape and space.measure == "density":
        return _values_of(_scalar(space), sizes, 0.0, 1.0)
    return _values_of(space, sizes, *subject.centre)


def _scalar(space: Space) -> Space:
    return Real(precision="float32" if space.dtype == torch.float32 else "float64")


def _with(subject: Subject, values: np.ndarray) -> Iterator[Batch]:
    """Batches of likely sequences with a value in the place of one element: an early, the last."""
    if not len(values):
        return
    length = subject.whole(3)
    examples = subject.batch(2, length, "far values").x[:1]
    for place in sorted({min(subject.given, length - 1), length - 1}):
        x = examples.repeat(len(values), *[1] * (examples.ndim - 1)).clone()
        new = torch.as_tensor(values).to(x)
        keep = torch.ones(len(values), dtype=torch.bool)
        if isinstance(subject.space, Table):
            column = subject.columns_of_table[place].space
            keep = torch.tensor([column.problem(v[None]) is None for v in new])
        x[:, place] = new.reshape(-1, *[1] * (x.ndim - 2))
        if x.ndim > 2:  # vectors: one component alone, in every other row
            x[::2, place, 1:] = examples[:, place, 1:]
        if bool(keep.any()):
            context = subject.context(range(int(keep.sum())), length)
            yield Batch(x[keep], context)


def _alike(subject: Subject) -> Iterator[Batch]:
    """Elements that equal each other: all of a sequence, the last two, the last and its mean."""
    space = subject.space
    if space.varies or not (space.measure == "density" or space.kind == "count"):
        return
    length = subject.whole(6)
    values = torch.as_tensor(_values_of(_scalar(space) if space.event_shape else space,
                                        (0.0, 0.5, 1.0, 2.0), 0.0, 1.0))[:12]  # fmt: skip
    if space.kind == "count":
        values = torch.tensor([0.0, 1.0, 7.0])
    context = subject.context(range(len(values)), length)
    x = values.reshape(-1, 1, *[1] * len(space.event_shape))
    yield Batch(x.expand(-1, length, *space.event_shape).to(space.dtype).clone(), context)
    twins = subject.batch(4, length, "alike")
    twins.x[:, -1] = twins.x[:, -2]
    yield twins
    if space.measure == "density" and length > subject.given + 1:
        middle = subject.batch(4, length, "alike")
        with suppress(NotImplementedError):
            mean = subject.start(middle, length - 1).conditional.mean.to(middle.x)
            if bool(mean.isfinite().all()) and space.problem(mean) is None:
                middle.x[:, -1] = mean
                yield middle


# ---- what is asked of them ----------------------------------------------------------------------


def _looked_at(subject: Subject, batch: Batch, look: Any) -> int:
    """Look at all rows at once; row by row where one is refused. How many were refused."""
    try:
        look(subject, batch)
        return 0
    except DataError:
        refused = 0
    for row in range(batch.n):
        try:
            look(subject, batch.rows([row]))
        except DataError:
            refused += 1
    return refused


def _public(subject: Subject, batch: Batch) -> None:
    """Fail where a public call gives NaN, or a density of infinity."""
    sequences = subject.ragged(batch, [batch.length] * batch.n)
    value = np.asarray(subject.process.log_prob(sequences, context=batch.context))
    _require_numbers(subject, batch, torch.as_tensor(value))


def _strict(subject: Subject, batch: Batch) -> None:
    """Fail where the law itself, asked by any of its ways, gives NaN or infinity."""
    process = subject.process
    sequences = process.sequences(subject.ragged(batch, [batch.length] * batch.n))
    context = process.read_context(batch.context, batch.n, int(sequences.n_terms.max()))
    law = process.law_
    value = law.log_prob(sequences, context).double()
    _require_numbers(subject, batch, value)
    columns = subject.begin(batch).extend(batch.x[:, subject.given :])[0]
    count = batch.length - subject.given
    scored = index(columns, (slice(None), slice(0, count)))
    x = batch.x[:, subject.given :]
    terms = scored.log_prob(x).double()
    _require_numbers(subject, batch, terms.sum(1))
    _require_nothing_outside(subject, batch, scored, terms)
    own = law.log_prob_terms(sequences, context).double().reshape(batch.n, -1)[:, :count]
    agree(
        own,
        terms,
        10 * subject.tolerance,
        "log_prob_terms of far values to be what their conditionals say",
        "a floor or a ceiling in a fast path, or a formula that loses its digits far out",
        ("sequence", "term"),
    )
    _require_draws(subject, batch, scored)


def _require_numbers(subject: Subject, batch: Batch, value: torch.Tensor) -> None:
    wrong = ~(value < torch.inf)
    if not bool(wrong.any()):
        return
    row = int(wrong.nonzero()[0])
    fail(
        "every sequence of the space to have a log-probability, a number or -inf, or a refusal",
        f"that of {batch.x[row].tolist()} is {float(value[row]):g}, and the space is "
        f"{subject.space.describe()}",
        _CAUSE,
    )


def _require_nothing_outside(
    subject: Subject, batch: Batch, columns: Any, terms: torch.Tensor
) -> None:
    """Fail where a value outside of its conditional's support has a probability."""
    support = None
    with suppress(NotImplementedError):
        support = columns.support
    if support is None or subject.space.varies:
        return
    wrong = ~support.check(batch.x[:, subject.given :]) & ~terms.isneginf()
    if bool(wrong.any()):
        row, place = (int(i) for i in wrong.nonzero()[0])
        value = batch.x[row, subject.given + place].tolist()
        fail(
            "values outside of a conditional's support to be refused, or to have the "
            "log-probability -inf",
            f"that of {value} is {float(terms[row, place]):g}, where the support is {support}",
            "a distribution of torch's whose log_prob does not look at its support, over a space "
            "that is larger",
        )


def _require_draws(subject: Subject, batch: Batch, columns: Any) -> None:
    """Fail where nothing can be drawn after such values."""
    u = torch.full((*columns.batch_shape, *columns.event_shape), 0.37, dtype=torch.float64)
    x = from_uniform(columns, u.to(batch.x.device))
    if subject.space.kind == "count":
        _require_inverse(batch, columns, x, 0.37)
    gone = torch.isnan(x) if not subject.space.holds_missing else torch.zeros_like(x).bool()
    if bool(gone.any()):
        row = int(gone.nonzero()[0][0])
        fail(
            "draws after every element of the space to be numbers",
            f"after some of {batch.x[row].tolist()} NaN is drawn",
            _CAUSE,
        )


def _require_inverse(batch: Batch, columns: Any, x: torch.Tensor, u: float) -> None:
    """Fail where the count drawn from u is not the least that reaches it, after large ones too."""
    try:
        upto, below = cdf(columns, x).double(), cdf(columns, x - 1).double()
    except (UnsupportedError, NotImplementedError):
        return
    wrong = ((upto < u - 1e-4) | (below > u + 1e-4)) & (x < 1e6)
    if bool(wrong.any()):
        row, place = (int(i) for i in wrong.nonzero()[0])
        fail(
            f"the count drawn from the uniform {u} to be the least whose distribution function "
            "reaches it",
            f"among {batch.x[row].tolist()} {float(x[row, place]):g} is drawn at place {place}, "
            f"where it is {float(upto[row, place]):.6g}",
            "draws of counts that are cut at a level",
        )
