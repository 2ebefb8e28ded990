"""Every form of input that a space takes gives the same numbers, and no rows give none."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import torch

from arproc.data.tables import Table
from arproc.errors import ArprocError
from arproc.spaces import Categorical
from arproc.testing.compare import agree
from arproc.testing.frames import frames
from arproc.testing.report import fail
from arproc.testing.subject import Batch, Subject

__all__ = ["input_forms", "no_rows"]

_CAUSE = "a call that reads the user's data itself, and knows some forms only"

_AXES = ("probe value", "row", "column")


def input_forms(subject: Subject) -> str:
    """All forms of one batch give one likelihood, those of a prefix one conditional and one draw.

    Lists, tuples, arrays of any dtype and stride, tensors, pandas, text and numbers; rows of a
    table as DataFrames of every kind.
    """
    if isinstance(subject.space, Table):
        return frames(subject)
    batch = subject.batch(3, subject.whole(7), "input forms")
    batch = Batch(_coarse(batch.x), batch.context)
    found = 0
    calls = {
        "log_prob": lambda x, c: subject.process.log_prob(x, context=c),
        "log_prob_terms": lambda x, c: subject.process.log_prob_terms(x, context=c),
        "score": lambda x, c: subject.process.score(x, context=c),
    }
    one = batch.rows([1])
    known = max(subject.given, subject.short(4) - 1)
    begun = Batch(one.x[:, :known], one.context)
    several, single = dict(_several(subject, batch)), dict(_single(subject, one, one.length))
    begins = dict(_single(subject, begun, known, True))
    for k, (name, call) in enumerate(calls.items()):
        found += _alike(subject, name, call, _share(several, k // 2), batch.context)
        found += _alike(subject, name, call, _share(single, k // 2), one.context)
    for k, (name, call) in enumerate(_on_prefixes(subject).items()):
        found += _alike(subject, name, call, _share(begins, k), one.context)
    return f"{found + _state_forms(subject)} calls"


def _state_forms(subject: Subject) -> int:
    """Elements given to a state as lists, arrays and tensors are the same elements."""
    batch = subject.batch(2, subject.short(4), "forms of elements")
    begun, x = subject.begin(batch), batch.x[:, subject.given :]
    if not x.shape[1]:
        return 0
    want = subject.table(begun.extend(x)[0])
    array = x.numpy() if x.dtype == torch.float64 else subject.as_user(x)
    close = max(1e-11, 0.01 * subject.tolerance)
    steps = [begun]
    for t in range(x.shape[1]):
        steps.append(steps[-1].append(x[:, t]))
    for form, given in (("an array", array), ("lists", array.tolist())):
        columns = subject.table(begun.extend(given)[0])
        agree(columns, want, close, f"extend of {form} to be that of a tensor", _CAUSE, _AXES)
        state = begun
        for t, then in enumerate(steps[1:]):
            element = array[:, t] if form == "an array" else array[:, t].tolist()
            state = state.append(element)
            agree(
                subject.table(state.conditional), subject.table(then.conditional), close,
                f"append of {form} to be that of a tensor", _CAUSE, _AXES,
            )  # fmt: skip
    return 4


def _share(forms: dict[str, Any], number: int) -> dict[str, Any]:
    """All forms for the first calls; for others, which read alike, the first form and some."""
    names = list(forms)
    kept = names if number == 0 else [names[0], *names[1 + number % 2 :: 2]]
    return {name: forms[name] for name in kept}


def _alike(
    subject: Subject,
    name: str,
    call: Callable[[Any, Any], Any],
    forms: dict[str, Any],
    context: Any,
) -> int:
    """Compare what a call gives for each form with what it gives for the first."""
    want = None
    for form, data in forms.items():
        try:
            got = torch.cat([
                torch.as_tensor(np.asarray(part, dtype=np.float64).copy()).reshape(-1)
                for part in _parts(call(data, context))
            ])  # fmt: skip
        except ArprocError as error:
            fail(
                f"{name} to take {form}",
                f"it was refused: {str(error).rstrip('.')}",
                _CAUSE,
            )
        except (ValueError, TypeError, RuntimeError, AttributeError, LookupError) as error:
            fail(f"{name} to take {form}", f"it raised {type(error).__name__}: {error}", _CAUSE)
        want = got if want is None else want
        agree(
            got, want, subject.tolerance, f"{name} of {form} to be that of {next(iter(forms))}",
            _CAUSE, ("number",),
        )  # fmt: skip
    return len(forms)


def _parts(value: Any) -> list[Any]:
    if isinstance(value, torch.Tensor):
        return [value.detach().cpu()]
    if getattr(value, "ndim", 1) == 2 and hasattr(value, "columns"):  # a column for each series
        return [value.to_numpy().T]
    return [np.asarray(v) for v in value] if isinstance(value, (list, tuple)) else [value]


def _coarse(x: torch.Tensor) -> torch.Tensor:
    """Numbers that a float32 holds, so that no form rounds them."""
    return x.float().to(x.dtype) if x.is_floating_point() else x


def _whole(array: np.ndarray) -> bool:
    return bool((array == np.floor(array)).all())


def _dtypes(array: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """The array in other dtypes and memory layouts, of the same numbers."""
    kinds: list[Any] = [np.float64, np.float32]
    if _whole(array):
        kinds += [np.int64, np.int32]
        if array.min() >= 0 and array.max() < 256:
            kinds.append(np.uint8)
        if set(np.unique(array)) <= {0, 1}:
            kinds.append(np.bool_)
    for kind in kinds:
        yield f"an array of {np.dtype(kind).name}", array.astype(kind)
    yield "an array in Fortran's order", np.asfortranarray(array)
    yield "a view of an array", np.repeat(array, 2, axis=-1)[..., ::2]
    fixed = array.copy()
    fixed.flags.writeable = False
    yield "a read-only array", fixed


def _tensors(array: np.ndarray) -> Iterator[tuple[str, torch.Tensor]]:
    kinds = [torch.float64, torch.float32] + [torch.int64] * _whole(array)
    kinds += [torch.bool] * (set(np.unique(array)) <= {0, 1})
    for kind in kinds:
        yield f"a tensor of {str(kind).removeprefix('torch.')}", torch.tensor(array).to(kind)


def _several(subject: Subject, batch: Batch) -> Iterator[tuple[str, Any]]:
    """Several sequences of one length in every form."""
    import pandas as pd

    array = subject.user_data(batch)
    yield "an array", array
    yield from _dtypes(array)
    yield from _tensors(array)
    yield "nested lists", array.tolist()
    yield "a list of arrays", list(array)
    yield "a tuple of lists", tuple(array.tolist())
    yield "a list of tensors", [torch.tensor(row) for row in array]
    if subject.process.layout is None and not subject.space.event_shape:
        yield "a DataFrame of columns", pd.DataFrame(array.T)
        yield "a list of Series", [pd.Series(row) for row in array]
    if subject.is_text:
        yield from _texts(subject, batch)


def _texts(subject: Subject, batch: Batch) -> Iterator[tuple[str, Any]]:
    """Texts that read back to the symbols which made them; none where some do not."""
    import pandas as pd

    space = subject.space
    assert isinstance(space, Categorical)
    assert space.vocabulary is not None
    layout = subject.process.layout
    whole = layout is not None and batch.length == layout.length
    x = layout.from_sites(batch.x) if layout is not None and whole else batch.x
    numbers = [row.cpu().numpy() for row in x]
    texts = [space.vocabulary.decode(row) for row in numbers]
    try:
        again = [space.vocabulary.encode(text) for text in texts]
    except ArprocError:
        return
    if not all(np.array_equal(a, b) for a, b in zip(again, numbers, strict=True)):
        return
    yield "a list of texts", texts
    yield "a tuple of texts", tuple(texts)
    if all(isinstance(text, str) for text in texts):
        yield "a Series of texts", pd.Series(texts)
        yield "an array of texts", np.array(texts, dtype=object)


def _single(
    subject: Subject, one: Batch, length: int, prefix: bool = False
) -> Iterator[tuple[str, Any]]:
    """One sequence, or the first elements of one, in every form."""
    import pandas as pd

    array = subject.as_user(one.x)[0] if prefix else subject.user_data(one)[0]
    if not length:
        yield "an empty list", []
        return
    yield "an array", array
    yield from _dtypes(array)
    yield from _tensors(array)
    yield "a list", array.tolist()
    yield "a tuple", tuple(array.tolist())
    yield "a list of one", [array]
    yield "an array [1, ...]", array[None]
    if subject.process.layout is None:
        form = pd.DataFrame if array.ndim > 1 else pd.Series
        yield f"a {form.__name__}", form(array)
        if subject.takes_dates:
            dates = pd.date_range("2001-01-01", periods=len(array))
            yield f"a {form.__name__} by dates", form(array, dates)
    if subject.is_text:
        for form_name, texts in _texts(subject, one):
            if form_name == "a list of texts":
                yield "a text", texts[0]


def _on_prefixes(subject: Subject) -> dict[str, Callable[[Any, Any], Any]]:
    """Calls that begin with the first elements of one sequence."""
    process = subject.process
    length = 1 if subject.space.length is None else min(1, subject.length - 1)

    def sampled(x: Any, c: Any) -> Any:
        draws = process.sample(2, length, x, seed=1, return_log_prob=True, context=_twice(c))
        return np.asarray(draws.log_prob.tolist())

    def conditioned(x: Any, c: Any) -> Any:
        follows = process.condition(x, context=None if c is None else c[0])
        return subject.table(follows.start().conditional)

    def told(x: Any, c: Any) -> Any:
        return subject.table(process.start(x, context=c).conditional)

    return {
        "conditional": lambda x, c: _flat(subject, process.conditional(x, context=c)),
        "sample(prefix=)": sampled,
        "condition": conditioned,
        "start": told,
    }


def _flat(subject: Subject, conditional: Any) -> Any:
    return subject.table(conditional).reshape(-1)


def _twice(context: Any) -> Any:
    return None if context is None else np.repeat(context, 2, axis=0)


# ---- no rows ------------------------------------------------------------------------------------


def no_rows(subject: Subject) -> str:
    """No rows give no numbers, or are refused in words by every call alike.

    No draws, and draws of no elements, are empty and have the probability one.
    """
    process, space = subject.process, subject.space
    empty = np.zeros((0, subject.whole(4), *space.event_shape), dtype=space.user_dtype)
    said = set()
    given: list[tuple[str, Any]] = [
        ("an array of no rows", empty),
        ("a tensor of no rows", torch.as_tensor(empty)),
    ]
    if not space.terminates:  # there it is the sequence that ends at once
        given.append(("[]", []))
    for name, data in given:
        for call in (process.log_prob, process.log_prob_terms):
            said.add(_said(f"{call.__name__} of {name}", partial(call, data)))
    if len(said) > 1:
        fail(
            "no rows to be refused, or to give no numbers, by every call alike",
            "some calls refuse them and some do not",
            "a call that reads the data itself",
        )
    _empty_draws(subject)
    _empty_states(subject)
    return f"no rows are {said.pop()}"


def _said(what: str, call: Callable[[], Any]) -> str:
    try:
        found = call()
    except ArprocError:
        return "refused"
    if not hasattr(found, "__len__") or len(found):
        fail(
            f"{what} to be refused or to be empty",
            f"{found!r} came",
            "a first row taken for granted",
        )
    return "empty"


def _empty_draws(subject: Subject) -> None:
    process, total = subject.process, subject.short(4)
    length = total - subject.given
    none = subject.prefix(2, total, "no rows")
    context = None if none.context is None else none.context[:0]
    if not subject.given:
        for draws in (
            process.sample(0, length, seed=0, context=context),
            process.sample(0, length, seed=0, return_log_prob=True, context=context).x,
        ):
            if len(draws):
                fail("sample(0) to give no rows", f"it gave {len(draws)}", "a row drawn anyhow")
        scores = process.sample(0, length, seed=0, return_log_prob=True, context=context).log_prob
        if len(scores):
            fail("sample(0) to give no probabilities", f"it gave {len(scores)}", "a row too many")
    draws = process.sample(
        2, 0, subject.user_prefix(none), seed=0, return_log_prob=True, context=none.context
    )
    if len(draws.x) != 2 or any(len(np.atleast_1d(row)) if not isinstance(row, str) else row
                                for row in _rows(draws.x)):  # fmt: skip
        fail(
            "sample(2, 0) to give two rows without elements",
            f"it gave {draws.x!r}",
            "a first element drawn before the length is looked at",
        )
    agree(
        torch.as_tensor(np.asarray(draws.log_prob, dtype=float)),
        torch.zeros(2, dtype=torch.float64),
        1e-300,
        "draws of no elements to have the log-probability 0",
        "an end, or a first element, that is counted anyhow",
    )


def _rows(x: Any) -> list[Any]:
    return list(x.to_numpy()) if hasattr(x, "iloc") else list(x)


def _empty_states(subject: Subject) -> None:
    batch = subject.batch(2, subject.short(3), "no rows")
    none = subject.begin(batch).select(torch.zeros(0, dtype=torch.int64))
    columns, after = none.extend(batch.x[:0, subject.given :])
    for shape, want in (
        (tuple(none.conditional.batch_shape), (0,)),
        (tuple(columns.batch_shape), (0, batch.length - subject.given + 1)),
        (tuple(after.conditional.batch_shape), (0,)),
    ):
        if shape != want:
            fail(
                f"a state of no rows to have conditionals of batch shape {want}",
                f"it is {shape}",
                "a row that is taken for granted",
            )
