"""Values known in any places, for laws of every order: by the order that has them first.

A law of one order is asked what it draws given later values, and the same model knows the order in
which these come first. The draws of that order are independent, and near to those of the law where
the model's orders are near to one another; weighed by what the law says of them (importance
sampling) they are its own. A fifth of them is drawn from the law itself, the known values
put in where they come, and all are weighed by the mixture (the balance heuristic, Veach and Guibas
1995), so that orders which are far apart do little harm.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from arproc.contract.law import ChainLaw
from arproc.contract.randomness import Uniforms
from arproc.contract.sequences import Sequences
from arproc.errors import DataError
from arproc.sampling.evidence import Terms
from arproc.sampling.facts import KnownTerms
from arproc.sampling.guides import share_of
from arproc.sampling.particles import Cloud, Filter
from arproc.sampling.weights import effective_size, families

__all__ = ["across_orders", "known_first", "merged", "other_order_pays"]


def merged(parts: tuple[Terms, ...]) -> KnownTerms | None:
    """Known values of one set as one, where nothing else is known; else None."""
    known = [part for part in parts if isinstance(part, KnownTerms)]
    if not known or len(known) < len(parts):
        return None
    if len(known) == 1:
        return known[0]
    shape = known[0].values.shape[2:]
    values = torch.full((1, max(part.values.shape[1] for part in known), *shape), torch.nan)
    values = values.double()
    for part in known:
        here = values[:, : part.values.shape[1]]
        both = ~part.values.isnan() & ~here.isnan()
        if bool((part.values[both] != here[both]).any()):
            raise DataError("evidence has probability zero: it names two values for one element.")
        here[:] = torch.where(part.values.isnan(), here, part.values)
    return KnownTerms(values, known[0].law)


def known_first(known: KnownTerms, length: int) -> tuple[list[int], Tensor]:
    """The sites in an order that has the known ones first, and the values in that order.

    Args:
        known: values of scalar sites.
        length: how many sites there are.

    Returns:
        Of each site of the new order which it is in the old one; float64 [1, length].
    """
    values = torch.full((1, length), torch.nan, dtype=torch.float64)
    values[:, : known.values.shape[1]] = known.values
    path = values[0].isnan().long().argsort(stable=True)
    return path.tolist(), values[:, path]


def across_orders(
    law: ChainLaw, member: ChainLaw, known: KnownTerms, sets: int, particles: int, seed: int
) -> Cloud:
    """Weighted draws of a law given known values, most of them drawn in another order.

    Args:
        law: the law, of a fixed size, without a context.
        member: the same model's in the order of `known_first`.
        known: what is known of one example.
        sets: how many independent sets of draws.
        particles: of each.
        seed: of the draws.
    """
    length = law.space.length or 0
    path, values = known_first(known, length)
    own = share_of(particles)
    first = _forced(law, known, sets, own, Uniforms(seed))
    other = KnownTerms(values, member)
    second = _forced(member, other, sets, particles - own, Uniforms(seed, "draft"))
    back = torch.tensor(path, device=second.x.device).argsort()
    x = torch.cat([first.x, second.x[..., back].to(first.x.dtype)], dim=1)
    log_weights = _weights(law, member, x.flatten(0, 1), path, values, own / particles)
    log_weights = log_weights.reshape(sets, particles)
    log_evidence = torch.logsumexp(log_weights, 1) - math.log(particles)
    dead = ~(log_evidence > -math.inf)
    shape = (sets, particles)
    return Cloud(
        x, torch.full(shape, length), torch.ones(shape, dtype=torch.bool),
        log_weights.masked_fill(dead[:, None], 0.0), log_evidence,
        torch.full((sets,), float(particles)), torch.arange(particles).repeat(sets, 1),
        torch.where(dead, length, -1),
    )  # fmt: skip


def other_order_pays(
    law: ChainLaw, member: ChainLaw, known: KnownTerms, particles: int, seed: int
) -> bool:
    """Whether draws across orders are worth more than those of a filter, by a small trial of both.

    The trial has uniforms of its own, so that estimates which follow it stay unbiased.

    Args:
        law: see `across_orders`, as for the others.
        member: the law in the other order.
        known: what is known.
        particles: how many each of the two gets.
        seed: of the trial.
    """
    across = across_orders(law, member, known, 1, particles, seed)
    other = Filter(
        law.fresh(1, None), known, law.space.length, particles, Uniforms(seed),
        Uniforms(seed, "resample"),
    ).run()  # fmt: skip
    if bool((across.died >= 0).any()) or bool((other.died >= 0).any()):
        return bool((other.died >= 0).any())
    worth = families(other.log_weights, other.lineage)
    return bool((effective_size(across.log_weights) > worth).all())


def _forced(
    law: ChainLaw, known: KnownTerms, sets: int, particles: int, uniforms: Uniforms
) -> Cloud:
    """Draws of a law into which the known values are put where they come."""
    state = law.fresh(sets, None)
    return Filter(state, known, law.space.length, particles, uniforms, None).run()


def _weights(
    law: ChainLaw, member: ChainLaw, x: Tensor, path: list[int], values: Tensor, share: float
) -> Tensor:
    """Log p(x) less the log-probability of drawing what is unknown of it, [R]."""
    order = torch.tensor(path, device=x.device)
    unknown = values[0].isnan()  # of the sites in the new order
    p, q = _terms(law, x), _terms(member, x[:, order])
    forced = p[:, order.cpu()][:, unknown].sum(1)
    drawn = q[:, unknown].sum(1)
    mixture = torch.logaddexp(math.log(share) + forced, math.log1p(-share) + drawn)
    total = p.sum(1)
    return torch.where(total > -math.inf, total - mixture, -math.inf)


def _terms(law: ChainLaw, x: Tensor) -> Tensor:
    """The chain rule's terms of whole examples x [R, length], float64 [R, length]."""
    offsets = torch.arange(len(x) + 1) * x.shape[1]
    batch = Sequences(x.reshape(-1).to(law.space.dtype), offsets, law.space)
    return law.log_prob_terms(batch, None).double().cpu().reshape(x.shape)
