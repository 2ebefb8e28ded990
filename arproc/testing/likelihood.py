"""One likelihood, however it is asked for: by terms, a fast way, any batch, with gradients."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import numpy as np
import torch

from arproc.contract.law import ChainLaw
from arproc.contract.sequences import Sequences
from arproc.process import Process
from arproc.process.written import WrittenLaw
from arproc.testing.compare import agree
from arproc.testing.material import Batch
from arproc.testing.report import NotApplicable, fail
from arproc.testing.subject import Subject
from arproc.testing.work import late, rows_to_look_at, widths

__all__ = ["batch_invariance", "fast_terms", "gradient", "terms_sum"]


def terms_sum(subject: Subject) -> str:
    """The chain rule's terms sum to `log_prob` (also long ones, and wide batches), and `score`."""
    long = late(subject, "terms", rows=3)
    batch = subject.batch(3, long, "terms")
    middle = subject.given + 1 + (long - subject.given) // 9
    lengths = [long, subject.given + 1, min(middle, long)]
    off, most = _summed(subject, batch, lengths, torch.tensor([True, False, True]))
    for n in widths(subject, 8, "terms"):
        batch = subject.batch(n, subject.whole(8), "wide terms")
        lengths = _unequal(subject, batch, "wide terms")
        off = max(off, _summed(subject, batch, lengths, torch.arange(n) % 3 != 0)[0])
    return f"{off:.1e} over {most} terms"


def _summed(
    subject: Subject, batch: Batch, lengths: list[int], complete: torch.Tensor
) -> tuple[float, int]:
    """The largest difference of `log_prob` from the sum of its terms, and how many there are."""
    process, sequences = subject.process, subject.ragged(batch, lengths, complete)
    whole = np.asarray(process.log_prob(sequences, context=batch.context))
    terms = process.log_prob_terms(sequences, context=batch.context)
    counts = [len(part) for part in terms]
    wanted = (sequences.n_terms - subject.given).tolist()
    if counts != wanted:
        fail(
            f"{wanted} terms (one an element, one for the end of a complete sequence)",
            f"log_prob_terms gave {counts}",
            "a forgotten end element, or given elements that are counted",
        )
    # sums of the same float64 terms: a rounding of each, not of the model's own precision
    tolerance = 1e-9 if subject.dtype == torch.float64 else 1e-5
    off = agree(
        torch.as_tensor(whole),
        torch.as_tensor(np.array([np.sum(part, dtype=np.float64) for part in terms])),
        tolerance,
        "log_prob to be the sum of log_prob_terms",
        "a fast _log_prob that adds up in float32, or leaves out the first or the end's term",
        ("sequence",),
    )
    score = process.score(sequences, context=batch.context)
    agree(
        torch.tensor(score, dtype=torch.float64),
        torch.tensor(float(whole.sum()) / sum(counts), dtype=torch.float64),
        max(tolerance, 1e-9),
        "score to be the mean of the terms",
        "another count of elements than the terms'",
    )
    return off, max(counts)


def _unequal(subject: Subject, batch: Batch, purpose: str) -> list[int]:
    """Lengths at random, the shortest and the whole ones among them; empty where that can be."""
    low = subject.given + (not subject.space.terminates)
    drawn = subject.rng(f"lengths of {purpose}").integers(low, batch.length + 1, batch.n)
    drawn[:2] = low, batch.length
    return [int(k) for k in drawn]


def _lengths(subject: Subject, longest: int, n: int) -> list[int]:
    """Unequal lengths, short ones among them; whole examples only where the size is fixed."""
    low = subject.given + 1
    spread = np.linspace(low, max(longest, low), n).astype(int)
    return [int(k) for k in spread]


def fast_terms(subject: Subject) -> str:
    """An overridden `log_prob_terms` equals teacher forcing, sequence by sequence."""
    process = subject.process
    law = process.law_
    if isinstance(law, WrittenLaw):
        derived = type(law.model)._log_prob_terms is Process._log_prob_terms
    else:
        derived = type(law).log_prob_terms is ChainLaw.log_prob_terms
    if derived:
        raise NotApplicable("log_prob_terms is the derived one")
    off = 0.0
    batch = subject.batch(6, min(subject.length, 40 + subject.given), "hooks")
    lengths = _lengths(subject, batch.length, 6)
    for i, length in enumerate(lengths):
        off = max(off, _same_terms(subject, batch.rows([i]), length))
    if subject.space.terminates:
        off = max(off, _same_terms(subject, batch.rows([0]), subject.given))
    return f"{max(off, _same_long_terms(subject)):.1e}"


def _same_long_terms(subject: Subject) -> float:
    """The same far behind every block, at lengths drawn at random and at a multiple of blocks."""
    if subject.space.length is not None:
        return 0.0
    off, rng = 0.0, subject.rng("long hooks")
    for number in range(5 if subject.thorough else 1):
        long = late(subject, f"hooks {number}")
        batch = subject.batch(2, long, f"long hooks {number}")
        block = 64 * int(rng.integers(2, 9)) + subject.given
        middle = int(rng.integers(41, 400)) + subject.given
        for row, length in ((0, long), (1, long), (1, block), (1, middle)):
            off = max(off, _same_terms(subject, batch.rows([row]), min(length, long)))
    return off


def _same_terms(subject: Subject, row: Batch, length: int) -> float:
    """The terms of one sequence, whole and cut where that differs, against teacher forcing."""
    law, off = subject.process.law_, 0.0
    assert isinstance(law, ChainLaw)
    for complete in (True, False) if subject.space.terminates and length <= 64 else (True,):
        one = subject.ragged(row, [length], complete)
        if not int(one.n_terms[0]) - subject.given:
            continue
        context = subject.process.read_context(row.context, 1, int(one.n_terms.max()))
        expected = "log_prob_terms to give the terms that teacher forcing gives"
        off = max(
            off,
            agree(
                law.log_prob_terms(one, context),
                law.derived_log_prob_terms(one, context),
                subject.tolerance,
                f"{expected} (here over {length} elements)",
                "a fast path that has its own idea of the start, the end or the parameters, or "
                "that ends with a block",
                ("term",),
            ),
        )
    return off


def batch_invariance(subject: Subject) -> str:
    """Results depend on neither a batch's size, nor its order, nor its padding."""
    process, n = subject.process, 6
    batch = subject.batch(n, min(subject.length, 30 + subject.given), "batches")
    lengths = _lengths(subject, batch.length, n)
    complete = torch.arange(n) % 3 != 0
    alone = [
        _terms(
            process, subject.ragged(batch.rows([i]), [lengths[i]], complete[i]), batch.rows([i])
        )
        for i in range(n)
    ]
    orders = (list(range(n)), list(range(n))[::-1], [4, 1, 1, 5])
    off = 0.0
    for order in orders:
        rows = batch.rows(order)
        ragged = subject.ragged(rows, [lengths[i] for i in order], complete[order])
        off = max(
            off,
            agree(
                _terms(process, ragged, rows),
                torch.cat([alone[i] for i in order]),
                subject.tolerance,
                f"the terms of sequences {order} in one batch to be those of each alone",
                "padding that leaks into shorter rows, statistics taken over the batch, or rows "
                "that are not put back into their order",
                ("term",),
            ),
        )
    wide = widths(subject, 8, "batches")
    off = max([off, *(_among_many(subject, n) for n in wide)])
    return f"{off:.1e} over batches of {', '.join(map(str, [n, *wide]))} sequences"


def _among_many(subject: Subject, n: int) -> float:
    """Sequences in a wide batch, of unequal and of equal lengths, against a few of them."""
    off, rng = 0.0, subject.rng(f"among {n}")
    batch = subject.batch(n, subject.whole(8), f"among {n}")
    ragged = _unequal(subject, batch, f"among {n}")
    ragged[-1] = batch.length
    if subject.space.length is None:
        batch, ragged[n // 2] = _with_a_long_row(subject, batch)
    for lengths in (ragged, [min(ragged[1], 8 + subject.given)] * n):
        complete = torch.arange(n) % 4 != 1
        every = subject.ragged(batch, lengths, complete)
        terms = _terms(subject.process, every, batch).split(
            (every.n_terms - subject.given).tolist()
        )
        looked = list(range(n)) if subject.thorough else rows_to_look_at(n, rng)
        rng.shuffle(looked)
        for begin in range(0, len(looked), 5):
            few = looked[begin : begin + 5]
            rows = batch.rows(few)
            off = max(
                off,
                agree(
                    torch.cat([terms[i] for i in few]),
                    _terms(
                        subject.process,
                        subject.ragged(rows, [lengths[i] for i in few], complete[few]),
                        rows,
                    ),
                    subject.tolerance,
                    f"the terms of sequences {few} among {n} in one batch to be those of these "
                    "alone",
                    "rows beyond a block left out or mixed up, a buffer of a fixed number "
                    "of rows, or statistics taken over the batch",
                    ("term",),
                ),
            )
    return off


def _with_a_long_row(subject: Subject, batch: Batch) -> tuple[Batch, int]:
    """The batch with one row of some hundred elements among the short ones, and its length."""
    length = batch.length + int(subject.rng("a long row").integers(90, 200))
    most = subject.budget.longest(length, batch.n)
    if most <= batch.length:
        return batch, batch.length
    rest = subject.random_elements((1, most - batch.length), "a long row")
    x = torch.cat([batch.x, rest.expand(batch.n, *rest.shape[1:])], dim=1)
    return Batch(x, subject.context(range(batch.n), most)), most


def _terms(process: Process, sequences: Sequences, batch: Batch) -> torch.Tensor:
    terms = process.log_prob_terms(sequences, context=batch.context)
    parts = [np.asarray(part) for part in (terms if isinstance(terms, list) else [terms])]
    return torch.from_numpy(np.concatenate(parts))


def _other_slopes(subject: Subject) -> float:
    """The gradients of more and longer sequences, of one alone, and of the terms are the same."""
    if subject.process.layout is not None or not subject.space.dtype.is_floating_point:
        return 0.0
    length = subject.given + subject.budget.longest(50, 10)
    batch = subject.batch(10, subject.whole(length - subject.given), "other slopes")
    process, off = subject.process, 0.0

    def slope(call: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
        with torch.enable_grad():
            x = batch.x.clone().requires_grad_()
            value = call(x)
            if not value.requires_grad:
                return torch.zeros_like(x)
            found = torch.autograd.grad(value, x, allow_unused=True)[0]
            return torch.zeros_like(x) if found is None else found

    def by_states(x: torch.Tensor) -> torch.Tensor:
        columns = subject.columns(Batch(x[:, :-1], batch.context))
        return columns.log_prob(x[:, subject.given :]).double().sum()

    want = slope(by_states)
    if not bool(want.any()):
        return 0.0
    if subject.dtype == torch.float64:
        off = _by_differences(subject, by_states, batch.x, want)
    one = None if batch.context is None else batch.context[-1:]
    calls = {
        "log_prob of ten sequences": lambda x: process.log_prob(x, context=batch.context).sum(),
        "log_prob_terms": lambda x: torch.stack(
            [part.sum() for part in process.log_prob_terms(x, context=batch.context)]
        ).sum(),
        "log_prob of one sequence": lambda x: process.log_prob(x[-1], context=one).sum(),
    }
    for name, call in calls.items():
        aim = want
        if name.endswith("one sequence"):
            aim = torch.zeros_like(want)
            aim[-1] = want[-1]
        scale = aim.abs().max().clamp(min=1e-9)
        off = max(
            off,
            agree(
                slope(call) / scale,
                aim / scale,
                1e-7 if subject.dtype == torch.float64 else 1e-3,
                f"the gradient of {name} in the data to be that of the conditionals' terms",
                "a detach() in a path that is taken for many rows, long ones, one alone, or terms",
                ("row", "element"),
            ),
        )
    return off


def _by_differences(
    subject: Subject,
    value: Callable[[torch.Tensor], torch.Tensor],
    x: torch.Tensor,
    slope: torch.Tensor,
) -> float:
    """The gradient along a random direction against finite differences."""
    drawn = subject.rng("other direction").standard_normal(tuple(x.shape))
    step = 1e-5 * torch.as_tensor(drawn).to(x) * subject.slope(x) * subject.centre[1]
    return agree(
        (slope * step).sum().double() / 1e-5,
        (value(x + step) - value(x - step)).double() / 2e-5,
        1e-4,
        "the gradient of the conditionals of longer sequences to be what finite differences give",
        "a detach() of what lies far back",
    )


def _slope_of_differences(
    value: Callable[[float], torch.Tensor], steps: Sequence[float]
) -> torch.Tensor:
    """The slope at 0 by central differences of ever smaller steps, float64.

    Of two steps the differences are alike where neither curvature nor rounding counts: of the
    pair that is most alike that of the smaller step.
    """
    found = [(value(h).double() - value(-h).double()) / (2 * h) for h in steps]
    pairs = [(float((b - a).abs()), b) for a, b in itertools.pairwise(found)]
    return min(pairs, key=lambda pair: pair[0])[1] if pairs else found[0]


def gradient(subject: Subject) -> str:
    """`log_prob` of a tensor is differentiable: in the data as finite differences say."""
    if subject.space.measure == "mass":
        raise NotApplicable("discrete elements have no gradient")
    batch = subject.batch(2, subject.whole(10), "gradient")
    fine = subject.dtype == torch.float64
    x = batch.x.double() if fine else batch.x
    layout = subject.process.layout
    x = x if layout is None else layout.from_sites(x)
    size = subject.sizes.to(x) if layout is None else layout.from_sites(subject.sizes[None]).to(x)
    direction = torch.as_tensor(subject.rng("direction").standard_normal(tuple(x.shape))).to(x)
    direction = direction * size * subject.slope(x)
    with torch.enable_grad():
        moving = x.clone().requires_grad_()
        value = subject.process.log_prob(moving, context=batch.context).sum()
        if not value.requires_grad:
            fail(
                "log_prob of a tensor that asks for gradients to have one",
                "it has none",
                "a compiled or NumPy path taken for tensors too, or a detach()",
            )
        slope = (torch.autograd.grad(value, moving)[0] * direction).sum()
    want = _slope_of_differences(
        lambda step: subject.process.log_prob(x + step * direction, context=batch.context).sum(),
        (1e-5,) if fine else (1e-2, 3e-3, 1e-3),
    )
    off = agree(
        slope.double(),
        want,
        1e-5 if fine else 3e-2,
        "the gradient of log_prob to be what finite differences give",
        "a detach() inside, or a path through NumPy for a part of the formula",
    )
    return f"{max(off, _other_slopes(subject)):.1e} from finite differences"
