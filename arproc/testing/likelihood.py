"""One likelihood, however it is asked for: by terms, a fast way, any batch, with gradients."""

from __future__ import annotations

from typing import Any

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

__all__ = ["batch_invariance", "fast_terms", "gradient", "terms_sum"]


def terms_sum(subject: Subject) -> str:
    """The chain rule's terms sum to `log_prob`, for short and for long sequences; and `score`."""
    process, batch = subject.process, subject.batch(3, subject.length, "terms")
    lengths = _lengths(subject, batch.length, 3)
    lengths[0] = batch.length
    sequences = subject.ragged(batch, lengths, torch.tensor([True, False, True]))
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
    return f"{off:.1e} over {max(counts)} terms"


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
        for complete in (True, False) if subject.space.terminates else (True,):
            row = batch.rows([i])
            one = subject.ragged(row, [length], complete)
            context = process.read_context(row.context, 1, int(one.n_terms.max()))
            off = max(off, _same_terms(process, one, context, subject.tolerance))
    return f"{off:.1e}"


def _same_terms(process: Process, one: Sequences, context: Any, tolerance: float) -> float:
    return agree(
        process.law_.log_prob_terms(one, context),
        process.law_.derived_log_prob_terms(one, context),
        tolerance,
        "log_prob_terms to give the terms that teacher forcing gives",
        "a fast path that has its own idea of the start, the end or the parameters",
        ("term",),
    )


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
    return f"{off:.1e} over batches of {n} unequal sequences"


def _terms(process: Process, sequences: Sequences, batch: Batch) -> torch.Tensor:
    terms = process.log_prob_terms(sequences, context=batch.context)
    parts = [np.asarray(part) for part in (terms if isinstance(terms, list) else [terms])]
    return torch.from_numpy(np.concatenate(parts))


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
    step = 1e-5 if fine else 1e-2
    ends = [
        subject.process.log_prob(x + sign * step * direction, context=batch.context).sum()
        for sign in (1, -1)
    ]
    off = agree(
        slope.double(),
        (ends[0] - ends[1]).double() / (2 * step),
        1e-5 if fine else 3e-2,
        "the gradient of log_prob to be what finite differences give",
        "a detach() inside, or a path through NumPy for a part of the formula",
    )
    return f"{off:.1e} from finite differences"
