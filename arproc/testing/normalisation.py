"""Probabilities add up to one: over all sequences, and at every step."""

from __future__ import annotations

import itertools

import numpy as np
import torch
from torch.distributions import Distribution

from arproc.contract.sequences import Sequences
from arproc.data.tables import Table
from arproc.distributions import index
from arproc.testing.compare import agree
from arproc.testing.integrals import scored
from arproc.testing.material import Batch
from arproc.testing.places import conditionals, taken_apart
from arproc.testing.report import NotApplicable, fail
from arproc.testing.subject import Subject
from arproc.testing.vectors import weighted
from arproc.testing.work import late

__all__ = [
    "longest_listed",
    "normalisation",
    "outcomes",
    "scored_outcomes",
    "total_mass",
]

_SHORT_SUMS = 2**16  # symbols and places over which sums are short
_OUTCOMES = 1200  # sequences that an enumeration may have
_CAUSE = (
    "a head that is not normalised, a floor under probabilities or something added to them, a "
    "forgotten end element, or a conditional that sees the element it predicts"
)


def normalisation(subject: Subject) -> str:
    """All probabilities add up to one.

    Small discrete processes: the sum of exp(log_prob) over all sequences up to a length, the
    ended ones included, for several lengths. Every process: the conditionals at each step of a
    batch that holds unlikely contexts too, by sum, by quadrature to the ends of floats for
    scalar densities, and by two-dimensional quadrature or importance sampling for vectors. Also at
    places beyond 2,100 elements, where a pass over as many is cheap.
    """
    return f"{total_mass(subject)}{_late_mass(subject)}"


def total_mass(subject: Subject) -> str:
    """See `normalisation`; also used for the process under a policy."""
    found = []
    longest = longest_listed(subject, _OUTCOMES)
    for length in sorted({1, 2, longest} & set(range(1, longest + 1))):
        found.append(_enumerate(subject, length))
    by_step = _by_step(subject)
    if longest:
        return f"all sequences up to {longest} elements: {max(found):.1e}; each step: {by_step}"
    return f"each step: {by_step}"


# ---- all sequences ------------------------------------------------------------------------------


def longest_listed(subject: Subject, limit: int) -> int:
    """The largest length of which all outcomes can be listed; 0 where there are too many."""
    space = subject.space
    if space.size is None:
        return 0
    most = 12 if space.length is None else space.length - subject.given
    length = 0
    while length < most and len(subject.symbols) ** (length + 1) <= limit:
        length += 1
    return length


def outcomes(subject: Subject, length: int) -> list[tuple[tuple[int, ...], bool]]:
    """All outcomes of drawing `length` elements: the new elements, and whether they ended."""
    space = subject.space
    symbols, found = subject.symbols.tolist(), []
    for size in range(length if space.terminates else 0):
        found += [(x, True) for x in itertools.product(symbols, repeat=size)]
    return found + [(x, False) for x in itertools.product(symbols, repeat=length)]


def scored_outcomes(subject: Subject, length: int, prefix: Batch) -> np.ndarray:
    """The probability that `log_prob` gives each of `outcomes` after the given elements."""
    listed = outcomes(subject, length)
    head = prefix.x[0]
    dtype, device = head.dtype, head.device
    parts = [torch.cat([head, torch.tensor(x, device=device).to(dtype)]) for x, _ in listed]
    offsets = torch.zeros(len(parts) + 1, dtype=torch.int64)
    offsets[1:] = torch.tensor([len(part) for part in parts]).cumsum(0)
    ended = torch.tensor([end for _, end in listed])
    if subject.space.length is not None:
        ended = offsets.diff() == subject.space.length
    sequences = Sequences(torch.cat(parts), offsets, subject.space, ended)
    context = None if prefix.context is None else np.repeat(prefix.context, len(parts), axis=0)
    return np.exp(np.asarray(subject.process.log_prob(sequences, context=context)))


def _enumerate(subject: Subject, length: int) -> float:
    prefixes = subject.prefix(2, subject.given + length, f"enumeration {length}")
    off = 0.0
    for row in range(2 if subject.given or prefixes.context is not None else 1):
        total = scored_outcomes(subject, length, prefixes.rows([row])).sum()
        off = max(
            off,
            agree(
                torch.as_tensor(total),
                torch.tensor(1.0, dtype=torch.float64),
                1e-10 if subject.dtype == torch.float64 else 5e-6,
                f"the probabilities of all sequences of up to {length} element(s) to add up to 1",
                _CAUSE,
            ),
        )
    return off


# ---- each step ----------------------------------------------------------------------------------


def _by_step(subject: Subject) -> str:
    found = masses(subject, *conditionals(subject))
    return f"{max(found.values()):.1e} ({' and '.join(found)})"


def masses(
    subject: Subject, d: Distribution, places: torch.Tensor, when: str = ""
) -> dict[str, float]:
    """Raise `CheckFailed` unless each of conditionals [B] has the mass 1: how far off, by how.

    Args:
        subject: whose conditionals they are.
        d: the conditionals [B].
        places: at which elements, int64 [B].
        when: of which they are, in words for messages.
    """
    found: dict[str, float] = {}
    for group in taken_apart(subject, d, places):
        law = scored(group.d, group.space)
        mass, close = law.mass + law.missing, law.close(subject.dtype)
        if law.cut and bool((mass < 1 + close).all()):
            continue  # there are more whole numbers than are summed
        _adds_up(mass, law.how, close, group.where + when, found)
    if not found and isinstance(subject.space, Table):
        raise NotApplicable("its whole numbers lie too wide to be summed")
    if not found:
        mass, how, close = _of_vectors(subject, d)
        _adds_up(mass, how, close, when, found)
    return found


def _adds_up(
    mass: torch.Tensor, how: str, close: float, where: str, found: dict[str, float]
) -> None:
    if bool(torch.isnan(mass).any()):
        fail(
            f"every conditional{where} to have a log-probability at every element",
            f"{int(torch.isnan(mass).sum())} of {mass.numel()} conditionals have NaN at some",
            "infinity minus infinity, or 0 times it, far out; or a law on a part of the space",
        )
    off = agree(
        mass,
        torch.ones_like(mass),
        close,
        f"every conditional{where} to have the mass 1 ({how})",
        _CAUSE,
        ("conditional",),
    )
    found[how] = max(off, found.get(how, 0.0))


def _late_mass(subject: Subject) -> str:
    """The same far into a long sequence: at every place where sums are short."""
    if subject.space.length is not None:
        return ""
    length = late(subject, "mass")
    width = length - subject.given + 1
    symbols = subject.space.size
    places = subject.rng("late mass").integers(0, width, 3)
    if symbols is not None and symbols * width <= _SHORT_SUMS:
        places = np.arange(width)
    columns = subject.columns(subject.batch(2, length, "late mass").rows([1]))
    every = torch.as_tensor([*places, width - 1])
    d = index(columns, (torch.zeros_like(every), every))
    found = masses(subject, d, every + subject.given, f" after up to {length} elements")
    return f"; after {length} elements: {max(found.values()):.1e}"


def _of_vectors(subject: Subject, d: Distribution) -> tuple[torch.Tensor, str, float]:
    """The masses of conditionals [B] of vectors, how they were found, and how exact that is."""
    space = subject.space
    if space.kind == "binary vector":
        if space.event_shape[0] > 12:
            raise NotApplicable("a binary vector of more than 12 components is not enumerated")
        values = torch.tensor(list(itertools.product((0.0, 1.0), repeat=space.event_shape[0])))
        spread = values.to(space.dtype).unsqueeze(1).expand(-1, *d.batch_shape, -1)
        return d.log_prob(spread).double().exp().sum(0), "sum", 5e-6
    if not space.event_shape:
        raise NotApplicable("there are more symbols than are summed")
    law = weighted(d, space, subject.rng("vectors"))
    return law.mass, law.how, law.close
