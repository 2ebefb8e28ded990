"""Many draws at once: none is another again, and each has its own prefix and probability."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from arproc.contract.sequences import Sequences
from arproc.testing.compare import agree
from arproc.testing.drawing import Drawn, drawn, engine_rows
from arproc.testing.material import Batch, marked, numbers_of
from arproc.testing.report import fail
from arproc.testing.several import far_prefix, lawful_terms
from arproc.testing.subject import Subject

__all__ = ["many_draws"]

_CHANCE = 1e-7  # of two equal rows, where the draws are right
_MIXED = (
    "rows beyond a block that are those of the block again, sorted by the length of their prefix "
    "and not put back, or scored with another row's prefix"
)


def many_draws(subject: Subject) -> str:
    """Hundreds of draws, each after a prefix of its own, are as many, and know their probability.

    No row is another one again (where that is next to impossible); a draw is the same with and
    without its probability, and in a batch of any size, of one too. The probabilities are those
    of teacher forcing; also after a list of prefixes of unequal length, one of them long.
    """
    n = _width(subject)
    total = subject.short(4)
    batch = subject.batch(n, total, "many draws")
    known = max(subject.given, min(subject.given + 2, total - 1))
    prefix, length = Batch(batch.x[:, :known], batch.context), total - known
    many = drawn(subject, prefix, length, 41)
    off = _scored(subject, many, [known] * n, f"{n} draws")
    _as_few(subject, many, length, (1, n // 3))
    plain = _same_without(subject, many, length)
    _distinct(subject, plain, prefix)
    _long_ones(subject, n)
    return f"{n} draws; {max(off, _unequal_prefixes(subject)):.1e}"


def _width(subject: Subject) -> int:
    """Beyond 300 rows, or as many as are cheap."""
    wanted = int(subject.rng("many draws").integers(310, 420))
    wanted = 4 * wanted if subject.thorough else wanted
    return max(12, subject.budget.widest(wanted, subject.short(30)))


def _sums(subject: Subject, whole: Sequences, known: list[int], context: Any) -> torch.Tensor:
    """The log-probability of what follows the first `known` elements of each row, [n]."""
    terms = lawful_terms(subject, whole, context)
    return torch.stack(
        [part[k - subject.given :].sum() for part, k in zip(terms, known, strict=True)]
    )


def _scored(subject: Subject, given: Drawn, known: list[int], what: str) -> float:
    return agree(
        torch.as_tensor(np.asarray(given.draws.log_prob)).double(),
        _sums(subject, given.whole(subject), known, given.prefix.context),
        subject.tolerance,
        f"each of {what} to have the log-probability that teacher forcing gives it",
        _MIXED,
        ("draw",),
    )


def _rows(subject: Subject, x: Any) -> list[Any]:
    return list(x) if subject.is_text else list(numbers_of(subject.process, x))


def _equal(a: Any, b: Any) -> bool:
    words = isinstance(a, (str, list))  # a text, or a list of tokens
    return bool(a == b) if words else bool(torch.equal(marked(a), marked(b)))


def _asked(subject: Subject, prefix: Batch, length: int, **more: Any) -> Any:
    return subject.process.sample(
        prefix.n, length, subject.user_prefix(prefix), seed=41, context=prefix.context, **more
    )


def _same_without(subject: Subject, many: Drawn, length: int) -> list[Any]:
    """The rows as they come without their probabilities."""
    plain = _rows(subject, _asked(subject, many.prefix, length))
    rows = _rows(subject, many.draws.x)
    wrong = [i for i, (a, b) in enumerate(zip(plain, rows, strict=True)) if not _equal(a, b)]
    if wrong:
        fail(
            "draws to be the same with and without return_log_prob",
            f"{len(wrong)} of {len(rows)} rows differ, the first is row {wrong[0]}",
            "two paths through one sampler, or rows that are drawn again",
        )
    return plain


def _as_few(subject: Subject, many: Drawn, length: int, sizes: tuple[int, ...]) -> None:
    """The first rows are the same where fewer are drawn (in float32 a symbol may flip)."""
    coarse = subject.dtype != torch.float64
    for n in sizes:
        few = drawn(subject, many.prefix.rows(list(range(n))), length, 41)
        off = [_apart(a, b, coarse) for a, b in zip(few.new, many.new, strict=False)]
        if sum(off) > (1 + n // 50) * (coarse and subject.space.measure != "density"):
            fail(
                f"the first {n} of {len(many.new)} draws to be the same where {n} are drawn",
                f"row {off.index(True)} differs",
                "random numbers that do not come from (seed, row, position) alone, or a way of "
                "its own for one row",
            )


def _apart(a: torch.Tensor, b: torch.Tensor, coarse: bool) -> bool:
    if a.shape != b.shape:
        return True
    slack = 1e-3 if coarse else 1e-7
    return not torch.allclose(marked(a).double(), marked(b).double(), slack, slack)


def _long_ones(subject: Subject, n: int) -> None:
    """Symbols are few: only draws of many of them can not well be equal."""
    if subject.space.measure == "density":
        return
    total = subject.short(16 if subject.budget.stepwise else 30)
    prefix = subject.prefix(n, total, "many draws", same=True)
    _distinct(subject, _rows(subject, _asked(subject, prefix, total - prefix.length)), prefix)


def _distinct(subject: Subject, plain: list[Any], prefix: Batch) -> None:
    """No two draws are equal, where they are too many nats for a coincidence."""
    seen: dict[Any, int] = {}
    again: dict[int, int] = {}
    for i, row in enumerate(plain):
        words = isinstance(row, (str, list))  # a text, or a list of tokens
        key = str(row) if words else row.cpu().numpy().tobytes()
        first = seen.setdefault(key, i)
        if first < i and len(row):
            again.setdefault(first, i)
    unlikely = _unlikely(subject, prefix, plain, list(again.values()))
    for (first, i), wrong in zip(again.items(), unlikely, strict=True):
        if wrong:
            fail(
                f"all of {len(plain)} draws to be drawn anew",
                f"row {i} is row {first} again",
                "rows beyond a block that are those of the block again",
            )


def _unlikely(subject: Subject, prefix: Batch, plain: list[Any], rows: list[int]) -> list[bool]:
    """Whether two draws would hardly both be as unlikely as each of these rows is."""
    space = subject.space
    if not rows or space.measure == "density":
        return [space.kind != "table"] * len(rows)
    if subject.is_text:
        return [False] * len(rows)  # its symbols are the engine's to say: `seeds` compares these
    own = prefix.rows(rows)
    whole = [torch.cat([x, plain[i].to(x)]) for x, i in zip(own.x, rows, strict=True)]
    offsets = torch.tensor([0, *map(len, whole)]).cumsum(0)
    complete = torch.tensor([len(x) == space.length for x in whole])
    sequences = Sequences(torch.cat(whole), offsets, space, complete)
    sums = _sums(subject, sequences, [own.length] * len(rows), own.context)
    return [bool(k) for k in sums < np.log(2 * _CHANCE / len(plain) ** 2)]


# ---- prefixes of unequal length -----------------------------------------------------------------


def _one_for_all(subject: Subject, batch: Batch, known: int, length: int, draws: Any) -> None:
    """One long prefix given once for all rows is that prefix given for each."""
    prefix = subject.as_user(batch.x[1, :known])
    context = None if batch.context is None else batch.context[[1] * 4]
    found = subject.process.sample(
        4, length, prefix, seed=43, return_log_prob=True, context=context
    )
    agree(
        torch.as_tensor(np.asarray(found.log_prob))[1].double(),
        torch.as_tensor(np.asarray(draws.log_prob))[1].double(),
        subject.tolerance,
        f"a draw after {known} elements given for all rows to be that after a list of prefixes",
        "a prefix that is cut to its last elements",
    )


def _unequal_prefixes(subject: Subject) -> float:
    """Draws after a list of prefixes of unequal length, one of them beyond any window."""
    fixed = subject.space.length
    far = fixed or subject.given + far_prefix(subject, 40)
    lengths = [min(subject.given + k, far - 1) for k in (3, far, 0, 5)]
    total = max(lengths) + 4 if fixed is None else fixed
    batch = subject.batch(4, total, "unequal prefixes")
    prefixes = [subject.as_user(x[:k]) for x, k in zip(batch.x, lengths, strict=True)]
    length = min(4, total - max(lengths))
    draws = subject.process.sample(
        4, length, prefixes, seed=43, return_log_prob=True, context=batch.context
    )
    _one_for_all(subject, batch, max(lengths), length, draws)
    new = engine_rows(subject, batch, lengths, length, 43)
    if not subject.is_text:
        new = numbers_of(subject.process, draws.x)
    whole = [torch.cat([x[:k], y.to(x)]) for x, k, y in zip(batch.x, lengths, new, strict=True)]
    offsets = torch.tensor([0, *map(len, whole)]).cumsum(0)
    complete = torch.as_tensor(np.asarray(draws.complete))
    sequences = Sequences(torch.cat(whole), offsets, subject.space, complete)
    return agree(
        torch.as_tensor(np.asarray(draws.log_prob)).double(),
        _sums(subject, sequences, lengths, batch.context),
        subject.tolerance,
        f"draws after a list of prefixes of {lengths} elements to have the log-probability that "
        "teacher forcing gives them",
        _MIXED,
        ("draw",),
    )
