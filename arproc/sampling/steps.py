"""Several sites at a time: laws of fixed size whose sites are independent within a step.

A process that knows every order can draw all sites of a step at once, each given those of earlier
steps alone (Hoogeboom et al. 2022, section 4). That is another law, and for a fixed order and
fixed steps one with a likelihood of its own, exact in nats: what steps cost is the difference.
The best steps of each number are found by dynamic programming over what each would cost.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.distributions import Distribution

from arproc.contract.checked import sentences
from arproc.contract.holder import Holder, require_chain
from arproc.contract.law import ChainLaw, DerivedLaw
from arproc.contract.state import State
from arproc.contract.storable import storable
from arproc.distributions import concatenate, from_uniform, index
from arproc.errors import ParameterError, UnsupportedError, check_integer, check_list

__all__ = ["StepCurve", "StepLaw", "step_curve"]


@storable
@dataclass(frozen=True, eq=False, repr=False)
class StepLaw(DerivedLaw):
    """A law whose sites are drawn in steps, independently within each.

    Attributes:
        law: a law that knows every order, in the order that the steps follow.
        sizes: how many sites each step has.
    """

    law: ChainLaw
    sizes: tuple[int, ...]

    def problems(self) -> Iterator[str]:
        length = self.law.space.length
        yield from sentences(
            (not self.law.takes_any_order, "the law does not know every order of its sites"),
            (any(size < 1 for size in self.sizes) or sum(self.sizes) != length,
             f"sizes are {list(self.sizes)}, and are not whole numbers that sum to {length}"),
        )  # fmt: skip

    @classmethod
    def of(cls, law: ChainLaw, sizes: Any) -> StepLaw:
        """The law in these steps, or the error that something else deserves."""
        _require_orders(law, "in_steps")
        found = [check_integer("sizes", size, minimum=1) for size in check_list("sizes", sizes)]
        if sum(found) != law.space.length:
            raise ParameterError(
                f"sizes sum to {sum(found)}; the process has {law.space.length} sites."
            )
        return cls(law, tuple(found))

    @property
    def base(self) -> ChainLaw:
        return self.law

    def step(self, site: int) -> tuple[int, int]:
        """The first site of the step that a site belongs to, and the one behind its last."""
        begin = 0
        for size in self.sizes:
            if site < begin + size:
                break
            begin += size
        return begin, begin + size

    def start(self, n: int, context: Tensor | None) -> State:
        return _StepState(None)


class _StepState(State):
    """A state whose rows are all as long; others are side by side.

    Args:
        columns: the conditionals of the present step's sites, batch [N, size]; None where they
            are still to be computed.
    """

    law: StepLaw

    def __init__(self, columns: Distribution | None) -> None:
        self.columns = columns

    @property
    def block(self) -> int:  # type: ignore[override]
        return self.law.space.length or 1

    def _of_step(self) -> tuple[Distribution, int, int]:
        """The conditionals of the present step, where it begins and where it ends."""
        begin, end = self.law.step(self.history.stop)
        if self.columns is None:
            known = self.history.slots[:, :begin]
            self.columns = each_next(self.law.law, known, end, self.context)
        return self.columns, begin, end

    def _conditional(self) -> Distribution:
        columns, begin, _ = self._of_step()
        return index(columns, (slice(None), self.history.stop - begin))

    def _append(self, x: Tensor) -> State:
        site = self.history.stop
        last = site + 1 == self.law.step(site)[1]
        return _StepState(None if last else self.columns)

    def _select(self, rows: Tensor) -> State:
        return _StepState(None if self.columns is None else index(self.columns, (rows,)))

    def _truncate(self, lengths: Tensor) -> State:
        if len(lengths) and bool((lengths != lengths[0]).any()):
            return super()._truncate(lengths)
        return _StepState(None)

    def advance(self, uniforms: Tensor) -> tuple[Tensor, State]:
        state: State = self
        drawn, place = [self.history.slots[:, :0]], 0
        while place < uniforms.shape[1]:
            assert isinstance(state, _StepState)
            columns, begin, end = state._of_step()
            first = state.history.stop - begin
            count = min(end - state.history.stop, uniforms.shape[1] - place)
            own = index(columns, (slice(None), slice(first, first + count)))
            x = from_uniform(own, uniforms[:, place : place + count]).to(self.law.space.dtype)
            left = columns if first + count < end - begin else None
            state = self._carry(_StepState(left), state.history.extend(x), self.context)
            drawn.append(x)
            place += count
        return torch.cat(drawn, dim=1), state


def each_next(law: ChainLaw, x: Tensor, end: int, context: Tensor | None) -> Any:
    """The conditionals of the sites behind x [N, a], before `end`, each as if it came next.

    Returns:
        A distribution of batch shape [N, end - a].
    """
    begin = x.shape[1]
    every = law.each_next(x, context)
    if every is not None:
        return index(every, (slice(None), slice(0, end - begin)))
    layout = law.layout
    assert layout is not None
    order = list(range(layout.length) if layout.order is None else layout.order)
    columns = []
    for site in range(begin, end):
        chosen = [*order[:begin], order[site], *order[begin:site], *order[site + 1 :]]
        other = law if site == begin else law.in_order(chosen)
        state = other.fresh(len(x), context)
        state = state.extend(x)[1] if begin else state
        columns.append(index(state.conditional, (slice(None), None)))
    return concatenate(columns, dim=1)


@dataclass(frozen=True)
class StepCurve:
    """What steps cost: the exact mean nats of data in the best 1, 2 ... steps.

    Attributes:
        nats: the mean of -log p over the data with the best k + 1 steps, nats, float64 [sites].
        ends: of each number of steps, before which sites its steps end.
    """

    nats: np.ndarray
    ends: tuple[tuple[int, ...], ...]

    def sizes(self, steps: int) -> tuple[int, ...]:
        """The sizes of the best so many steps, what `Process.in_steps` takes."""
        check_integer("steps", steps, minimum=1, maximum=len(self.nats))
        ends = self.ends[steps - 1]
        return tuple(int(b - a) for a, b in zip((0, *ends), ends, strict=False))


@torch.no_grad()
def step_curve(process: Holder, data: Any, *, context: Any = None) -> StepCurve:
    """The trade of steps against nats, exact for these data and the process's order.

    Every part of the sites is scored as a step of its own, and dynamic programming finds the best
    division into 1, 2 ... steps. The curve is that of laws (`Process.in_steps`), not of bounds.
    It takes a pass over the data for each site (for each pair of sites, where a process has no way
    to tell all sites' conditionals at once).

    Args:
        process: one of a fixed size that knows every order: NADE, MADE, PixelCNN and
            Transformer with `order_agnostic=True`, `KernelDensity`.
        data: whole examples, in any form that `fit` takes. Choose the steps by other data than
            those that they are judged by.
        context: what they are conditioned on.

    Returns:
        A `StepCurve`.

    Raises:
        UnsupportedError: the process does not know every order.

    Example:
        >>> import arproc, numpy as np
        >>> x = np.random.default_rng(0).integers(0, 2, (50, 6))
        >>> model = arproc.NADE(8, order_agnostic=True, training=arproc.Training(steps=20)).fit(x)
        >>> curve = step_curve(model, x)
        >>> steps = model.in_steps(curve.sizes(2))
        >>> bool(np.isclose(steps.log_prob(x).mean(), -curve.nats[1]))
        True
        >>> bool(np.isclose(model.log_prob(x).mean(), -curve.nats[-1]))
        True
    """
    law = require_chain(process, "step_curve")
    _require_orders(law, "step_curve")
    sequences = process.sequences(data)
    given = process.read_context(context, sequences, int(sequences.lengths.max()))
    x = sequences.padded()[0].to(law.device)
    sites = x.shape[1]
    costs = np.full((sites + 1, sites + 1), np.inf)  # of a step from a to before b
    for begin in range(sites):
        columns = each_next(law, x[:, :begin], sites, given)
        nats = -columns.log_prob(x[:, begin:]).double().mean(0).cpu().numpy()
        costs[begin, begin + 1 :] = nats.cumsum()
    return _best(costs)


def _best(costs: np.ndarray) -> StepCurve:
    """The best divisions into each number of steps, by dynamic programming."""
    sites = len(costs) - 1
    total, parents, nats = costs[0].copy(), [], [costs[0, sites]]
    for _ in range(sites - 1):
        through = total[:, None] + costs
        parents.append(through.argmin(0))
        total = through.min(0)
        nats.append(total[sites])
    return StepCurve(np.array(nats), tuple(_ends(parents, k, sites) for k in range(sites)))


def _ends(parents: Sequence[np.ndarray], more: int, sites: int) -> tuple[int, ...]:
    """Where the steps of the best division into `more` + 1 end."""
    ends = [sites]
    for parent in reversed(parents[:more]):
        ends.append(int(parent[ends[-1]]))
    return tuple(reversed(ends))


def _require_orders(law: ChainLaw, call: str) -> None:
    if not law.takes_any_order or law.space.length is None:
        raise UnsupportedError(
            f"{call} asks for sites given any others; {law!r} knows one order of them. NADE, "
            "MADE, PixelCNN and Transformer with order_agnostic=True know all, and KernelDensity."
        )
