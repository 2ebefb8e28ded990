"""The average of a model's laws over several orders of the sites."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np
import torch
from torch import Tensor

from arproc.errors import (
    NotComparableError,
    ParameterError,
    UnsupportedError,
    check_integer,
)
from arproc.law import require_fitted
from arproc.process import Process
from arproc.randomness import Uniforms
from arproc.sampling.ancestral import draw
from arproc.sequences import Layout, Sequences
from arproc.spaces import Space
from arproc.whole import WholeLaw

__all__ = ["OrderEnsemble"]

_DRAWN = 8


class OrderEnsemble(WholeLaw):
    r"""The mixture of laws in different orders, :math:`p(x) = \frac{1}{M} \sum_o p_o(x)`.

    (Uria, Murray and Larochelle 2014; Germain et al. 2015.) The likelihood is exact, the log of
    the mean of the members' likelihoods; it is never less than the mean of their logarithms. A
    draw takes an order by chance and is drawn in it.

    Args:
        model: a fitted model that can be asked in any order (it has `in_order`, as `NADE` and
            `MADE` with `order_agnostic`); or a list of fitted processes over vectors of one space,
            each in an order of its own.
        orderings: how many orders are drawn, or a list of permutations. None takes those that
            the model was trained for (`MADE(order_agnostic=16)`), else draws 8; for a list of
            processes it is left out.
        seed: of the orders.

    Example:
        >>> import arproc, numpy as np
        >>> x = np.array([[0, 0, 1], [1, 1, 0]] * 20)
        >>> plan = arproc.Training(steps=100, lr=0.02)
        >>> model = arproc.NADE(8, order_agnostic=True, training=plan).fit(x)
        >>> ensemble = arproc.OrderEnsemble(model, orderings=4)
        >>> single = [model.in_order(o).log_prob(x[0]) for o in ensemble.orders]
        >>> bool(np.isclose(ensemble.log_prob(x[0]), np.log(np.mean(np.exp(single)))))
        True
    """

    no_conditional = (
        "it is a mixture over orders of the sites, and the conditionals of a mixture in one order "
        "need sums over what the other orders have yet to draw"
    )

    def __init__(
        self,
        model: Any,
        orderings: int | Sequence[Sequence[int]] | None = None,
        seed: int = 0,
    ) -> None:
        self.model = model
        self.orderings = orderings
        self.seed = seed

    # ---- what it is made of ----------------------------------------------------------------

    @property
    def orders(self) -> list[tuple[int, ...]]:
        """The members' orders of the sites."""
        if isinstance(self.model, (list, tuple)):
            layouts = [_layout(part) for part in self._listed()]
            return [layout.order or tuple(range(layout.length)) for layout in layouts]
        model = self._single()
        length = _layout(model).length
        given = self.orderings
        if given is None:
            given = getattr(model, "orders", None) or _DRAWN
        if not isinstance(given, (int, np.integer)):
            try:
                orders = [tuple(int(j) for j in order) for order in given]
            except (TypeError, ValueError):
                raise ParameterError(
                    f"orderings must be how many orders, or a list of them; got {given!r}."
                ) from None
            if not orders:
                raise ParameterError("orderings is empty; expected at least one order.")
            return orders
        count = check_integer("orderings", given, minimum=1)
        rng = np.random.default_rng(check_integer("seed", self.seed, minimum=0))
        return [tuple(rng.permutation(length).tolist()) for _ in range(count)]

    @property
    def members(self) -> list[Process]:
        """The processes, one an order."""
        if isinstance(self.model, (list, tuple)):
            return self._listed()
        model = self._single()
        return [model.in_order(order) for order in self.orders]

    def _single(self) -> Any:
        if not isinstance(self.model, Process) or not hasattr(self.model, "in_order"):
            raise ParameterError(
                "model must be a process that can be asked in any order (NADE or MADE with "
                f"order_agnostic=True), or a list of processes; got a {type(self.model).__name__}."
            )
        require_fitted(self.model)
        return self.model

    def _listed(self) -> list[Process]:
        parts = list(self.model)
        if not parts or not all(isinstance(part, Process) for part in parts):
            kinds = ", ".join(type(part).__name__ for part in parts) or "nothing"
            raise ParameterError(f"model must be a list of processes; got {kinds}.")
        if self.orderings is not None:
            raise ParameterError(
                "orderings is for one model that can be asked in any order; each process of a "
                "list has its own."
            )
        first = parts[0]
        for part in parts:
            require_fitted(part)
            same = part.space == first.space and part.context_kind == first.context_kind
            if not same or _layout(part).shape != _layout(first).shape:
                raise NotComparableError(
                    "the members of an ensemble must be laws of the same vectors; "
                    f"{type(first).__name__} is one of {first.space.describe()} values in the "
                    f"shape {list(_layout(first).shape)}, {type(part).__name__} of "
                    f"{part.space.describe()} ones in {list(_layout(part).shape)}."
                )
        return parts

    @property
    def _first(self) -> Process:
        return self._listed()[0] if isinstance(self.model, (list, tuple)) else self._single()

    @property
    def context_kind(self) -> Any:  # type: ignore[override]
        return self._first.context_kind

    @property
    def space(self) -> Space:
        return self._first.space

    @property
    def device(self) -> torch.device:
        return self._first.device

    def _layout_of(self, space: Space) -> Layout:
        return _layout(self._first)

    @property
    def form_(self) -> str:  # type: ignore[override]
        """The form of the data that the model was fitted on, in which draws go back."""
        return self._first.form_

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def _infer_space(self, data: Any) -> NoReturn:
        raise UnsupportedError(
            "an OrderEnsemble learns nothing itself; fit the model that it is made of."
        )

    def _fit(
        self, sequences: Sequences, *, validation: Sequences | None, context: Tensor | None
    ) -> None:
        self._infer_space(sequences)

    # ---- the law ---------------------------------------------------------------------------

    def _log_prob(self, sequences: Sequences, context: Tensor | None) -> Tensor:
        sequences.require_length(self.space.length or 0)
        x = _layout(self._first).from_sites(sequences.padded()[0])
        scores = []
        for member in self.members:
            sites = _layout(member).to_sites(x)
            ordered = Sequences(sites.flatten(0, 1), sequences.offsets, member.space)
            scores.append(member._log_prob(ordered, context))
        return torch.logsumexp(torch.stack(scores), dim=0) - math.log(len(scores))

    def _draw(self, n: int, uniforms: Uniforms, context: Tensor | None) -> Tensor:
        members, space = self.members, self.space
        chance = Uniforms(uniforms.seed, "component").block(torch.arange(n), 0, 1)[:, 0]
        which = (chance * len(members)).long().clamp(max=len(members) - 1)
        mine = _layout(self._first)
        found = torch.zeros((n, mine.length), dtype=space.dtype, device=self.device)
        for k, member in enumerate(members):
            rows = (which == k).nonzero()[:, 0]
            if not len(rows):
                continue
            state = member._fresh(len(rows), None if context is None else context[rows])
            x, _, _ = draw(state, _OfRows(uniforms, rows), mine.length, None, space)
            found[rows] = mine.to_sites(_layout(member).from_sites(x))
        return found


class _OfRows(Uniforms):
    """The uniforms of some rows, which keep their own in whatever batch they are drawn.

    Args:
        uniforms: of all rows.
        rows: which of these are rows 0, 1, ... here, int64 [n].
    """

    def __init__(self, uniforms: Uniforms, rows: Tensor) -> None:
        self.seed, self._key, self.rows = uniforms.seed, uniforms._key, rows

    def block(
        self,
        rows: Tensor | np.ndarray | Sequence[int],
        start: Tensor | np.ndarray | int,
        count: int,
        event_shape: tuple[int, ...] = (),
    ) -> Tensor:
        return super().block(self.rows[torch.as_tensor(rows)], start, count, event_shape)


def _layout(process: Process) -> Layout:
    layout = process.layout
    if layout is None:
        raise ParameterError(
            f"a {type(process).__name__} has no order of sites: its sequences have no fixed "
            "length."
        )
    return layout
