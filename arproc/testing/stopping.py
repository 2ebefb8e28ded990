"""`stop` cuts a draw where it is met, and changes nothing before that."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from arproc.contract.reading import is_read_in_order
from arproc.data.form import Form, restore
from arproc.data.tables import Table
from arproc.spaces import Categorical
from arproc.testing.compare import agree
from arproc.testing.drawing import Drawn, drawn
from arproc.testing.generation import policies
from arproc.testing.material import Batch, numbers_of
from arproc.testing.report import NotApplicable, fail
from arproc.testing.subject import Subject

__all__ = ["stops"]

_CAUSE = "a stop that is left out, cuts before what met it, or draws other elements one by one"


def stops(subject: Subject) -> str:
    """A draw with `stop` is the draw without it, cut after what meets it.

    By a function of the elements so far, and for text by a string and a list of strings; the
    probabilities are those of what is left.
    """
    if isinstance(subject.space, Table):
        raise NotApplicable("draws of a table are whole rows")
    total = subject.short(14)
    length = total - subject.given
    prefix = subject.prefix(6, total, "stop")
    whole = drawn(subject, prefix, length, 13)
    if length < 2 or sum(map(len, whole.new)) < 2:
        raise NotApplicable("next to nothing is drawn")
    seen: list[int] = []
    met = _met(whole, seen)
    _cut(subject, whole, length, met, lambda x: bool(met(x[None])[0]), "a function")
    if seen[0] > 1:
        fail("stop to be asked after each element", f"it was first asked after {seen[0]}", _CAUSE)
    _under_policy(subject, prefix, length)
    found = ["a function"]
    if subject.is_text and is_read_in_order(subject.process.law_):
        found += _by_strings(subject, whole, length)
    return " and ".join(found)


def _under_policy(subject: Subject, prefix: Batch, length: int) -> None:
    """A stop that is never met changes nothing, under a policy too."""
    for policy in policies(subject):
        whole = drawn(subject, prefix, length, 13, policy)
        never = subject.process.sample(
            prefix.n, length, subject.user_prefix(prefix), policy,
            lambda x: torch.zeros(len(x), dtype=torch.bool), 13, True, context=prefix.context,
        )  # fmt: skip
        agree(
            torch.as_tensor(np.asarray(never.policy_log_prob)),
            torch.as_tensor(np.asarray(whole.draws.policy_log_prob)),
            max(subject.tolerance, 1e-6),
            f"draws under {policy!r} with a stop that is never met to be those without it",
            "a policy that is forgotten where there is a stop",
            ("draw",),
        )


def _met(whole: Drawn, seen: list[int]) -> Callable[[torch.Tensor], torch.Tensor]:
    """Whether the last element is one that comes now and then."""
    every = torch.cat(whole.new).double()
    if every.ndim > 1:
        every = every.flatten(1)[:, 0]
    values = Counter(every.tolist())
    most, times = values.most_common(1)[0]
    middle = float(every.median())

    def met(x: torch.Tensor) -> torch.Tensor:
        seen.append(x.shape[1])
        last = x[:, -1].double()
        last = last.flatten(1)[:, 0] if last.ndim > 1 else last
        return last == most if times > 1 else last > middle

    return met


def _by_strings(subject: Subject, whole: Drawn, length: int) -> list[str]:
    space = subject.space
    assert isinstance(space, Categorical)
    assert space.vocabulary is not None
    decode = space.vocabulary.decode
    texts = [decode(row.cpu().numpy()) for row in whole.new]
    text = max(texts, key=len)
    if not isinstance(text, str) or len(text) < 2:
        return []
    at = len(text) // 2
    parts = [text[at - 1 : at + 1], texts[0][-1:] or text[-1:]]

    def meets(strings: list[str]) -> Callable[[torch.Tensor], bool]:
        return lambda x: any(s in decode(x.cpu().numpy()) for s in strings)

    _cut(subject, whole, length, parts[0], meets(parts[:1]), f"the string {parts[0]!r}")
    _cut(subject, whole, length, parts, meets(parts), f"the strings {parts!r}")
    return ["strings"]


def _cut(
    subject: Subject,
    whole: Drawn,
    length: int,
    stop: Any,
    meets: Callable[[torch.Tensor], bool],
    what: str,
) -> None:
    """Compare draws with `stop` to those without it, cut after the first element that meets it."""
    lengths, complete = [], []
    for row, ended in zip(whole.new, whole.complete.tolist(), strict=True):
        first = next((j for j in range(1, len(row) + 1) if meets(row[:j])), None)
        lengths.append(len(row) if first is None else first)
        fixed = subject.space.length is not None and lengths[-1] == len(row)
        complete.append(ended and (first is None or fixed))
    want = [row[:k] for row, k in zip(whole.new, lengths, strict=True)]
    prefix = whole.prefix
    got = subject.process.sample(
        prefix.n, length, subject.user_prefix(prefix), None, stop, 13, True, context=prefix.context
    )
    _same_rows(subject, got.x, want, prefix, what)
    plain = subject.process.sample(
        prefix.n, length, subject.user_prefix(prefix), None, stop, 13, context=prefix.context
    )
    _same_rows(subject, plain, want, prefix, f"{what}, without return_log_prob")
    cut = Drawn(prefix, want, torch.tensor(complete), got)
    terms = subject.process.log_prob_terms(cut.whole(subject), context=prefix.context)
    known = prefix.length - subject.given
    agree(
        torch.as_tensor(np.asarray(got.log_prob)),
        torch.as_tensor(np.array([np.asarray(part)[known:].sum() for part in terms])),
        subject.tolerance,
        f"a draw cut by stop ({what}) to have the probability of what is left",
        "an end counted for a draw that was cut, or elements that were thrown away",
        ("draw",),
    )


def _same_rows(
    subject: Subject, x: Any, want: list[torch.Tensor], prefix: Batch, what: str
) -> None:
    sizes = torch.tensor([len(row) for row in want])
    padded = torch.nn.utils.rnn.pad_sequence(want, batch_first=True)
    layout = subject.process.layout if not prefix.length else None
    expected = restore(padded, sizes, subject.space, Form("numpy"), layout)
    if subject.is_text:
        same = list(x) == list(expected)
    else:
        rows = [numbers_of(subject.process, part) for part in (x, expected)]
        same = len(rows[0]) == len(rows[1]) and all(
            a.shape == b.shape and torch.allclose(a.double(), b.double(), 1e-4, 1e-6)
            for a, b in zip(*rows, strict=True)
        )
    if not same:
        fail(
            f"a draw with stop ({what}) to be that without, cut after what meets it",
            f"{_list(x[0])} came instead of {_list(expected[0])} in the first row, or other rows "
            "differ",
            _CAUSE,
        )


def _list(row: Any) -> Any:
    return row if isinstance(row, str) else np.asarray(row).tolist()
