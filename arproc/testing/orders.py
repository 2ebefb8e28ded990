"""Laws that know other orders of their sites: each is proper, and completes what is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from arproc.contract.conditioned import ConditionedLaw
from arproc.contract.law import ChainLaw
from arproc.contract.randomness import Uniforms
from arproc.process.written import OneClass, WrittenLaw
from arproc.sampling import complete
from arproc.sampling.ancestral import draw
from arproc.testing.compare import agree
from arproc.testing.material import holds_network
from arproc.testing.normalisation import total_mass
from arproc.testing.report import NotApplicable, fail
from arproc.testing.states import parallel_equals_incremental
from arproc.testing.statistics import two_samples
from arproc.testing.subject import Subject

__all__ = ["any_order"]

_DRAWS = 300


def any_order(subject: Subject) -> str:
    """`in_order` gives a proper law in the order asked for, of the same examples.

    It adds up to one, its states are one law, and its own order gives the law itself. Unless it
    is a network, which learns each order for itself, the joint law is the same in every order.
    Half-known examples are completed by that law: `complete` gives its probability and its draws.
    """
    law, layout = subject.process.law_, subject.process.layout
    if not _knows_orders(law):
        raise NotApplicable("it has one order of sites")
    if layout is None:
        fail("a law that knows orders to have a layout", "it has none", "a _layout_of left out")
    length = layout.length
    own = tuple(layout.order or range(length))
    _same_joint(subject, own, "its own order to be itself")
    rng, found = subject.rng("orders"), []
    orders = [own[::-1], tuple(int(k) for k in rng.permutation(length))]
    for order in dict.fromkeys(orders):
        member = subject.process.in_order(order)
        if member.layout is None or tuple(member.layout.order or range(length)) != order:
            fail(
                f"in_order({order}) to generate the sites in that order",
                f"its layout says {member.layout}",
                "an order that is not put into the layout",
            )
        if law.orders_agree or not holds_network(law):
            _same_joint(subject, order, "every order to be one joint law")
        other = Subject(member, None, subject._context, subject.seed)
        found.append(total_mass(other))
        parallel_equals_incremental(other)
    completed = (
        _completed(subject, rng) if law.takes_any_order and not subject.space.varies else ""
    )
    return "; ".join([*found, completed] if completed else found)


def _knows_orders(law: ChainLaw) -> bool:
    if law.takes_any_order:
        return True
    if isinstance(law, ConditionedLaw):  # of what follows a prefix there is one order
        return not len(law.prefix) and _knows_orders(law.law)
    if isinstance(law, WrittenLaw):
        return type(law.model)._in_order is not OneClass._in_order
    # a network's law may have the method and yet have been trained for one order
    return type(law).in_order is not ChainLaw.in_order and not holds_network(law)


def _same_joint(subject: Subject, order: tuple[int, ...], expected: str) -> None:
    batch = subject.batch(4, subject.length, "orders")
    data, member = subject.user_data(batch), subject.process.in_order(order)
    agree(
        torch.as_tensor(np.asarray(member.log_prob(data, context=batch.context))),
        torch.as_tensor(np.asarray(subject.process.log_prob(data, context=batch.context))),
        subject.tolerance,
        f"in_order({order}): {expected}",
        "sites or parameters that are permuted the wrong way round",
        ("row",),
    )


def _completed(subject: Subject, rng: np.random.Generator) -> str:
    """`complete` against the law in the order that has what is known first."""
    process, layout = subject.process, subject.process.layout
    assert layout is not None
    batch = subject.batch(3, layout.length, "completion")
    data, length = subject.user_data(batch), layout.length
    flat = np.zeros(length, dtype=bool)
    flat[rng.permutation(length)[: max(1, length // 2)]] = True
    known = flat.reshape(layout.shape)
    info: Any = complete(process, data, known, _DRAWS, 5, context=batch.context, return_info=True)
    kept = np.asarray(data)[:, None][..., known]
    if not np.array_equal(info.x[..., known], np.broadcast_to(kept, info.x[..., known].shape)):
        fail("completions to keep what is known", "it differs", "draws of the known sites too")
    own = list(layout.order or range(length))
    order = [s for s in own if flat[s]] + [s for s in own if not flat[s]]
    member = process.in_order(order)
    sites = np.asarray(data).reshape(len(data), length)[:, order]
    count = int(flat.sum())
    terms = member.log_prob_terms(data, context=batch.context)
    off = agree(
        torch.as_tensor(np.asarray(info.log_prob_known)),
        torch.as_tensor(np.array([np.asarray(part)[:count].sum() for part in terms])),
        subject.tolerance,
        "log_prob_known of a completion to be the law's, the known sites first",
        "a fast way for given sites that reads other ones",
        ("example",),
    )
    context = None if batch.context is None else np.repeat(batch.context[:1], _DRAWS, 0)
    head = torch.as_tensor(sites[:1, :count]).to(member.space.dtype).expand(_DRAWS, -1)
    with torch.no_grad():  # by the engine of `sample`, whose draws of text are text
        state = member.law_.fresh(_DRAWS, member.read_context(context, _DRAWS, length))
        state = state.extend(head.to(member.law_.device))[1]
        drawn, _, _ = draw(state, Uniforms(6), length - count, None, member.space)
    want = drawn.double().cpu().numpy()
    got = np.asarray(info.x[0], dtype=float).reshape(_DRAWS, length)[:, order][:, count:]
    cause = "completions that are drawn in another order than the known sites leave"
    weights = np.linspace(1, 2, want.shape[1])
    for what, a, b in (("each site", got, want), ("all sites", got @ weights, want @ weights)):
        for j in range(a.shape[1] if a.ndim > 1 else 1):
            one, two = (torch.as_tensor(x[:, j] if x.ndim > 1 else x) for x in (a, b))
            two_samples(
                one, two, f"completions to follow the law given what is known ({what})", cause
            )
    return f"completions to {off:.1e}"
