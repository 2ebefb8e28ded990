"""Probabilities add up to one: over all sequences, and at every step."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
import torch
from torch.distributions import Distribution

from arproc.contract.sequences import Sequences
from arproc.data.tables import Table
from arproc.distributions import MaybeMissing, index, quantile
from arproc.errors import UnsupportedError
from arproc.spaces import Space
from arproc.testing.compare import agree
from arproc.testing.material import Batch, line_of
from arproc.testing.report import NotApplicable
from arproc.testing.subject import Subject
from arproc.testing.work import late

__all__ = [
    "longest_listed",
    "normalisation",
    "outcomes",
    "scored_outcomes",
    "total_mass",
]

_OUTCOMES = 1200  # sequences that an enumeration may have
_SYMBOLS = 2**16  # symbols over which one step is summed
_COLUMNS = 40  # columns of a table that are looked at
_CAUSE = (
    "a head that is not normalised, a forgotten end element, or a conditional that sees the "
    "element it predicts"
)


def normalisation(subject: Subject) -> str:
    """All probabilities add up to one.

    Small discrete processes: the sum of exp(log_prob) over all sequences up to a length, the
    ended ones included, for several lengths. Every process: the conditionals at each step of a
    batch that holds unlikely contexts too, by sum, by quadrature for scalar densities, and by
    two-dimensional quadrature or importance sampling for vectors. Also at places beyond 2,100
    elements, where a pass over as many is cheap.
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
                max(1e-7, 0.1 * subject.tolerance),
                f"the probabilities of all sequences of up to {length} element(s) to add up to 1",
                _CAUSE,
            ),
        )
    return off


# ---- each step ----------------------------------------------------------------------------------


def _by_step(subject: Subject) -> str:
    varies = subject.space.varies
    batch = subject.batch(6, subject.short(_COLUMNS if varies else 8), "steps")
    columns = subject.columns(batch)
    chosen = subject.rng("columns").permutation(int(np.prod(columns.batch_shape)))[:16]
    width = columns.batch_shape[1]
    if varies:  # each column of a table, after an example and after random entries
        chosen = np.arange(2 * width)
    rows, places = torch.as_tensor(chosen // width), torch.as_tensor(chosen % width)
    d = index(columns, (rows, places))
    if isinstance(subject.space, Table):
        mass, how, tolerance = _mass_of_entries(subject, d, places + subject.given)
    else:
        mass, how, tolerance = _mass(subject.space, d, subject)
    off = agree(
        mass,
        torch.ones_like(mass),
        tolerance,
        f"every conditional to have the mass 1 ({how})",
        _CAUSE,
        ("conditional",),
    )
    return f"{off:.1e} ({how})"


def _late_mass(subject: Subject) -> str:
    """The same at the end of a long sequence, and at some places on the way."""
    if subject.space.length is not None:
        return ""
    length = late(subject, "mass")
    places = subject.rng("late mass").integers(0, length - subject.given + 1, 3)
    columns = subject.columns(subject.batch(2, length, "late mass").rows([1]))
    every = torch.as_tensor([*places, length - subject.given])
    d = index(columns, (torch.zeros_like(every), every))
    mass, how, tolerance = _mass(subject.space, d, subject)
    off = agree(
        mass,
        torch.ones_like(mass),
        tolerance,
        f"every conditional after up to {length} elements to have the mass 1 ({how})",
        _CAUSE,
        ("conditional",),
    )
    return f"; after {length} elements: {off:.1e}"


def _mass_of_entries(
    subject: Subject, d: Distribution, sites: torch.Tensor
) -> tuple[torch.Tensor, str, float]:
    """The same for conditionals of a table's columns: of their values, and of missing."""
    mass = torch.zeros(d.batch_shape, dtype=torch.float64)
    found: dict[str, float] = {}
    for site in sites.unique().tolist():
        chosen = sites == site
        own = index(d, chosen)
        there, how, tolerance = _mass(subject.columns_of_table[site].space, own, subject)
        mass[chosen] = there.double()
        if subject.space.holds_missing:
            gone = own.log_prob(torch.full(own.batch_shape, torch.nan, dtype=torch.float64))
            mass[chosen] += gone.double().exp()
        found[how] = max(tolerance, found.get(how, 0.0))
    return mass, " and ".join(found), max(found.values())


def _mass(space: Space, d: Distribution, subject: Subject) -> tuple[torch.Tensor, str, float]:
    """The mass of each conditional of a batch [B], how it was found, and how exact that is."""
    close = max(1e-7, 0.1 * subject.tolerance)
    if space.kind == "binary vector":
        if space.event_shape[0] > 12:
            raise NotApplicable("a binary vector of more than 12 components is not enumerated")
        values = list(itertools.product((0.0, 1.0), repeat=space.event_shape[0]))
        return _sum(d, torch.tensor(values).to(space.dtype)), "sum", close
    if space.size is not None:
        if space.size > _SYMBOLS:
            raise NotApplicable(f"more than {_SYMBOLS} symbols are not summed")
        return _sum(d, torch.arange(space.size).to(space.dtype)), "sum", close
    if space.kind == "count":
        return _sum(d, torch.arange(_most(d) + 1).to(space.dtype)), "sum", close
    if space.kind == "integer":
        low = int(quantile(_values(d), torch.tensor(1e-12).double()).min()) - 10
        return _sum(d, torch.arange(low, _most(d) + 1).to(space.dtype)), "sum", close
    if not space.event_shape:
        return _quadrature(d, space), "quadrature", max(1e-5, subject.tolerance)
    return _vector_mass(d, space.dtype, subject.rng("vectors"))


def _values(d: Distribution) -> Any:
    """The law of an entry that is not missing."""
    return d.base if isinstance(d, MaybeMissing) else d


def _sum(d: Distribution, values: torch.Tensor) -> torch.Tensor:
    shape = (len(values), *d.batch_shape, *values.shape[1:])
    spread = values.reshape(len(values), *[1] * len(d.batch_shape), *values.shape[1:])
    scale = d.log_prob(spread.expand(shape).to(values.device)).double()
    return torch.logsumexp(scale, dim=0).exp()


def _most(d: Distribution) -> int:
    """A count that none of the conditionals exceeds but with probability 1e-12."""
    d = _values(d)
    try:
        high = quantile(d, torch.full(d.batch_shape, 1 - 1e-12, dtype=torch.float64))
        return int(high.max()) + 10
    except UnsupportedError:
        return int((d.mean + 40 * d.stddev).max()) + 40


def _quadrature(d: Distribution, space: Space) -> torch.Tensor:
    """The integral of each density [B] over the space, whose numbers are mapped onto the line.

    Gauss-Legendre panels between quantiles, which follow peaks wherever they lie, and beyond them
    tails that reach 10^12 times the outermost panel's width, substituted x = a + w sinh(t).
    """
    line = line_of(space)
    tail = torch.logspace(-9, -2, 15, dtype=torch.float64)
    middle = torch.linspace(0.02, 0.98, 49, dtype=torch.float64)
    levels = torch.cat([tail, middle, 1 - tail.flip(0)])
    try:
        knots = torch.stack([quantile(_values(d), q.expand(d.batch_shape)) for q in levels])
    except (UnsupportedError, NotImplementedError):
        draws = _values(d).sample((4000,)).double().sort(dim=0).values
        knots = draws[(levels * 3999).round().long()]
    knots = line.inv(knots.double()).sort(dim=0).values

    def density(z: torch.Tensor) -> torch.Tensor:
        x = line(z)
        value = d.log_prob(x.to(space.dtype)).double() + line.log_abs_det_jacobian(z, x)
        inside = (line.inv(x) - z).abs() <= 1e-6 * (1 + z.abs())  # else x is at the end of floats
        with suppress(NotImplementedError):
            if d.support is not None:
                inside &= d.support.check(x.to(space.dtype))
        return torch.where(inside, value.exp(), 0.0)

    total = _panels(density, knots)
    t = torch.linspace(0, 28, 2801, dtype=torch.float64)
    for edge, inner in ((knots[-1], knots[-2]), (knots[0], knots[1])):
        width = edge - inner  # negative on the left
        z = edge + width * torch.sinh(t)[:, None]
        total = total + torch.trapezoid(
            density(z) * width.abs() * torch.cosh(t)[:, None], t, dim=0
        )
    return total


def _panels(density: Callable[[torch.Tensor], torch.Tensor], knots: torch.Tensor) -> torch.Tensor:
    nodes, weights = (torch.as_tensor(a) for a in np.polynomial.legendre.leggauss(10))
    low, half = knots[:-1], knots.diff(dim=0) / 2
    z = (low + half)[None] + nodes[:, None, None] * half  # [nodes, panels, B]
    return (density(z) * weights[:, None, None] * half).sum((0, 1))


def _vector_mass(
    d: Distribution, dtype: torch.dtype, rng: np.random.Generator
) -> tuple[torch.Tensor, str, float]:
    """The integral of densities of vectors, on coordinates whitened by mean and variance."""
    dimension = d.event_shape[0]
    centre, scale = d.mean.double(), d.variance.double().sqrt()
    covariance = getattr(d, "covariance_matrix", None)
    root = torch.diag_embed(scale) if covariance is None else torch.linalg.cholesky(covariance)
    root = root.double()
    volume = root.diagonal(dim1=-2, dim2=-1).log().sum(-1)
    if dimension <= 2:
        line = torch.linspace(-9, 9, 181, dtype=torch.float64)
        z = torch.cartesian_prod(*[line] * dimension).reshape(-1, dimension)
        cell = dimension * float(torch.log(line[1] - line[0]))
        log_weight = torch.full((len(z),), cell, dtype=torch.float64)
        how, tolerance = f"quadrature in {dimension} dimensions", 1e-5
    else:
        # importance sampling from Student's t of 4 degrees of freedom, heavier than most tails
        proposal = torch.distributions.StudentT(torch.tensor(4.0, dtype=torch.float64))
        draws = rng.standard_t(4, size=(20_000, dimension))
        z = torch.as_tensor(draws)
        log_weight = -proposal.log_prob(z).sum(-1) - np.log(len(z))
        how, tolerance = "importance sampling", 0.0
    x = centre + torch.einsum("bij,pj->pbi", root, z)
    value = d.log_prob(x.to(dtype)).double() + volume + log_weight[:, None]
    mass = torch.logsumexp(value, dim=0).exp()
    # six standard errors of the estimate: a false alarm in 10^8
    spread = len(z) ** 0.5 * value.exp().std(dim=0)
    return mass, how, tolerance or 1e-3 + 6 * float(spread.max())
