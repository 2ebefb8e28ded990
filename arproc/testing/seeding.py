"""A draw knows its probability; a seed says what is drawn; what follows a prefix is a process."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from arproc.contract.sequences import Sequences
from arproc.sampling import Policy
from arproc.testing.compare import agree, gap
from arproc.testing.drawing import Drawn, drawn, same_text
from arproc.testing.generation import policies
from arproc.testing.material import Batch, marked, numbers_of
from arproc.testing.report import fail
from arproc.testing.subject import Subject

__all__ = ["conditioning", "draw_probability", "same_probability", "seeds"]


# ---- probabilities of draws ---------------------------------------------------------------------


def draw_probability(subject: Subject) -> str:
    """`return_log_prob` gives `log_prob` of the draw: under the model, and under the policy."""
    total = subject.short(8)
    upto = max(subject.given, total // 2)
    found, off = [], 0.0
    tried: list[Policy | None] = [None, *policies(subject)]
    for chosen in tried:
        for known in sorted({subject.given, upto}):
            batch = subject.batch(6, total, "probability of a draw")
            prefix = Batch(batch.x[:, :known], batch.context)
            given = drawn(subject, prefix, total - known, 3, chosen)
            off = max(off, same_probability(subject, given, chosen))
        found.append("model" if chosen is None else repr(chosen))
    return f"{off:.1e} under {' and '.join(found)}"


def same_probability(subject: Subject, given: Drawn, chosen: Policy | None) -> float:
    """Compare both probabilities that draws know with those of the sequences; the difference."""
    whole, context = given.whole(subject), given.prefix.context
    process = subject.process
    under = process if chosen is None else process.with_policy(chosen)
    known = given.prefix.length - subject.given
    off = 0.0
    for law, name in ((process, "log_prob"), (under, "policy_log_prob")):
        terms = law.log_prob_terms(whole, context=context)
        off = max(
            off,
            agree(
                torch.as_tensor(np.asarray(getattr(given.draws, name))),
                torch.as_tensor(np.array([part[known:].sum() for part in terms])),
                subject.tolerance,
                f"{name} of return_log_prob=True to be that of what was drawn",
                "model and policy taken for each other, or an end counted for a draw that was cut",
                ("draw",),
            ),
        )
    return off


# ---- seeds --------------------------------------------------------------------------------------


def seeds(subject: Subject) -> str:
    """One seed, one sample: in any batch, resumed after a prefix, from an int or a Generator."""
    total = subject.short(10)
    length, n = total - subject.given, 12
    prefix = subject.prefix(n, total, "seeds")
    first = drawn(subject, prefix, length, 7)
    again = drawn(subject, prefix, length, 7)
    _equal(subject, again.new, first.new, "the same seed to give the same sample", exact=True)
    few = drawn(subject, prefix.rows(list(range(5))), length, 7)
    what = "row i to be the same in a batch of any size"
    _equal(subject, few.new, first.new[:5], what)
    generators = [torch.Generator().manual_seed(5) for _ in range(2)]
    one, two = (drawn(subject, prefix, length, g).new for g in generators)  # type: ignore[arg-type]
    _equal(subject, one, two, "Generators in the same state to give the same sample", exact=True)
    _differ(subject, first, drawn(subject, prefix, length, 8))
    _all_seeds(subject, first, length)
    if length >= 2:
        _resumed(subject, first, prefix, length)
    if subject.is_text:
        same_text(subject, first)
    return f"{n} rows of {length}"


def _equal(
    subject: Subject,
    got: list[torch.Tensor],
    want: list[torch.Tensor],
    expected: str,
    exact: bool = False,
) -> None:
    """Rows are the same; in float32 a symbol may flip at a boundary, so one row may differ."""
    coarse = subject.dtype != torch.float64 and not exact
    limit = 1e-4 if coarse else 0.0 if exact else 1e-7
    wrong = [
        i
        for i, (a, b) in enumerate(zip(got, want, strict=True))
        if a.shape != b.shape or (a.numel() and float(gap(marked(a), marked(b)).max()) > limit)
    ]
    if len(wrong) > (1 if coarse and subject.space.measure != "density" else 0):
        fail(
            expected,
            f"{len(wrong)} of {len(want)} rows differ, the first is row {wrong[0]}: "
            f"{got[wrong[0]].tolist()} against {want[wrong[0]].tolist()}",
            "random numbers that do not come from (seed, row, position) alone",
        )


def _differ(subject: Subject, first: Drawn, other: Drawn, what: str = "another seed") -> None:
    if float(np.max(np.asarray(first.draws.log_prob))) > -1e-6 and subject.space.size is not None:
        return  # next to nothing is random
    pairs = zip(first.new, other.new, strict=True)
    same = [torch.equal(marked(a), marked(b)) for a, b in pairs]
    if all(same):
        fail(
            f"{what} to give another sample",
            f"all {len(same)} rows are the same",
            "a seed that is not passed on, that is cut to fewer bits or to its size, or a "
            "Generator of which only the first seed is read",
        )
    alike = {tuple(row.flatten().tolist()) for row in first.new}
    if len(alike) == 1:
        fail("rows to differ", f"all {len(same)} rows are the same", "one row's uniforms for all")


def _all_seeds(subject: Subject, first: Drawn, length: int) -> None:
    """0 is a seed, so are negative and huge ones, and NumPy's; a Generator moves on."""
    prefix = first.prefix
    for seed in (7 + 2**32, -7):
        _differ(subject, first, drawn(subject, prefix, length, seed))
    ours: Any = np.int64(7)
    same = "the same seed, as an int of NumPy's, to give the same sample"
    _equal(subject, drawn(subject, prefix, length, ours).new, first.new, same, exact=True)
    zero = [drawn(subject, prefix, length, 0).new for _ in range(2)]
    _equal(subject, zero[0], zero[1], "the seed 0 to give the same sample", exact=True)
    generator: Any = torch.Generator().manual_seed(5)
    one, two = (drawn(subject, prefix, length, generator) for _ in range(2))
    _differ(subject, one, two, "a Generator that moved on")


def _resumed(subject: Subject, first: Drawn, prefix: Batch, length: int) -> None:
    """Drawing on after the first half gives the second half."""
    half = drawn(subject, prefix, length // 2, 7)
    parts = [torch.cat([p, x.to(p)]) for p, x in zip(prefix.x, half.new, strict=True)]
    known = [subject.as_user(part) for part in parts]
    rest = subject.process.sample(
        prefix.n, length - length // 2, known, seed=7, return_log_prob=True, context=prefix.context
    )
    going = [i for i, row in enumerate(half.new) if len(row) == length // 2 and len(row)]
    if subject.is_text:
        return
    tails = [torch.as_tensor(np.asarray(rest.x[i])).to(subject.space.dtype) for i in going]
    want = [first.new[i][length // 2 :] for i in going]
    _equal(subject, tails, want, "a draw that is resumed after its first half to go on the same")


# ---- what follows a prefix ----------------------------------------------------------------------


def conditioning(subject: Subject) -> str:
    """`condition(prefix)` is the process of what follows: its likelihood and its samples."""
    total = subject.short(10)
    known = max(subject.given, min(subject.given + 4, total // 2))
    batch = subject.batch(2, total, "condition")
    off = 0.0
    for i in range(batch.n):
        row = batch.rows([i])
        prefix = subject.as_user(row.x[0, :known])
        context = None if row.context is None else row.context[0]
        follows = subject.process.condition(prefix, context=context)
        rest = Sequences(
            row.x[0, known:], torch.tensor([0, total - known]), follows.space, torch.tensor([True])
        )
        whole = subject.ragged(row, [total])
        if follows.space.length is not None:
            rest.complete = whole.complete
        prepared = subject.process.read_context(row.context, 1, total + 1)
        terms = subject.process.law_.derived_log_prob_terms(whole, prepared)
        want = terms[known - subject.given :].sum()
        off = max(
            off,
            agree(
                torch.tensor(follows.log_prob(rest), dtype=torch.float64).reshape(-1)[0],
                want,
                subject.tolerance,
                "log_prob under condition(prefix) to be the sum of the terms after the prefix",
                "a prefix that is cut, forgotten or counted twice",
            ),
        )
        _same_samples(subject, row, prefix, follows, total - known)
    return f"{off:.1e}"


def _same_samples(subject: Subject, row: Batch, prefix: Any, follows: Any, length: int) -> None:
    ours = follows.sample(4, length, seed=5)
    theirs = subject.process.sample(4, length, prefix, seed=5, context=row.rows([0] * 4).context)
    if subject.is_text:
        if list(ours) != list(theirs):
            fail(
                "condition(prefix).sample to draw what sample(prefix=prefix) draws",
                f"{ours[0]!r} came instead of {theirs[0]!r}",
                "a prefix that is cut or forgotten",
            )
        return
    pair = [numbers_of(law, x) for law, x in ((follows, ours), (subject.process, theirs))]
    what = "condition(prefix).sample to draw what sample(prefix=prefix) draws"
    _equal(subject, pair[0], pair[1], what)
