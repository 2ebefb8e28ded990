"""The mixture of a model's laws over several orders of the sites, or of several models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from arproc.contract.law import Law, require_fitted
from arproc.contract.process import Process
from arproc.contract.randomness import RowUniforms, Uniforms
from arproc.contract.sequences import Layout, Sequences
from arproc.contract.whole import WholeLaw
from arproc.errors import NotComparableError, ParameterError, check_integer
from arproc.models.mixture import fit_weights, given_weights
from arproc.sampling.ancestral import draw
from arproc.spaces import Space

__all__ = ["OrderEnsemble"]

_DRAWN = 8


class OrderEnsemble(WholeLaw):
    r"""The mixture of laws in different orders, :math:`p(x) = \sum_o w_o \, p_o(x)`.

    (Uria, Murray and Larochelle 2014; Germain et al. 2015.) The likelihood is exact, the log of
    the mean of the members' likelihoods; it is never less than the mean of their logarithms. A
    draw takes a member by chance and is drawn from it.

    The members count alike, unless weights are given or `fit` learns them, by EM, from data that
    the members were *not* fitted on.

    Args:
        model: a fitted model that can be asked in any order (it has `in_order`, as `NADE` and
            `MADE` with `order_agnostic`); or a list of fitted laws of vectors of one space, each
            in an order of its own: processes, flows, or ensembles again.
        orderings: how many orders are drawn, or a list of permutations. None takes those that
            the model was trained for (`MADE(order_agnostic=16)`), else draws 8; for a list of
            laws it is left out.
        weights: of the members, none negative and summing to one; None counts them alike until
            `fit` has learnt weights.
        seed: of the orders.

    Attributes:
        weights_: the weights that `fit` has learnt, float64 [M].

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

    weights_: Tensor

    def __init__(
        self,
        model: Any,
        orderings: int | Sequence[Sequence[int]] | None = None,
        weights: Sequence[float] | None = None,
        seed: int = 0,
    ) -> None:
        self.model = model
        self.orderings = orderings
        self.weights = weights
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
    def members(self) -> list[Law]:
        """The laws, one an order."""
        if isinstance(self.model, (list, tuple)):
            return self._listed()
        model = self._single()
        return [model.in_order(order) for order in self.orders]

    def _single(self) -> Any:
        if not isinstance(self.model, Process) or type(self.model).in_order is Process.in_order:
            raise ParameterError(
                "model must be a process that can be asked in any order (NADE or MADE with "
                f"order_agnostic=True), or a list of laws; got a {type(self.model).__name__}."
            )
        require_fitted(self.model)
        return self.model

    def _listed(self) -> list[Law]:
        parts = list(self.model)
        if not parts or not all(isinstance(part, (Process, WholeLaw)) for part in parts):
            kinds = ", ".join(type(part).__name__ for part in parts) or "nothing"
            raise ParameterError(f"model must be a list of laws of vectors; got {kinds}.")
        if self.orderings is not None:
            raise ParameterError(
                "orderings is for one model that can be asked in any order; each law of a list "
                "has its own."
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
    def _first(self) -> Law:
        return self._listed()[0] if isinstance(self.model, (list, tuple)) else self._single()

    @property
    def context_kind(self) -> Any:  # type: ignore[override]
        return self._first.context_kind

    def _read_context(self, context: Any, n: int, length: int) -> Tensor:
        return self._first._read_context(context, n, length)

    @property
    def space(self) -> Space:
        return self._first.space

    @property
    def device(self) -> torch.device:
        return self._first.device

    def _layout_of(self, space: Space) -> Layout:
        return _layout(self._first)

    @property
    def form_(self) -> str:
        """The form of the data that the model was fitted on, in which draws go back."""
        return self._first.form_

    @form_.setter
    def form_(self, form: str) -> None:
        pass  # `fit` learns weights, and its data's form is not that of the draws

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def _infer_space(self, data: Any) -> Space:
        if self.weights is not None:
            raise ParameterError(
                "fit learns the weights of the members, and weights= has fixed them; leave it out."
            )
        return self.space

    def _fit(
        self, sequences: Sequences, *, validation: Sequences | None, context: Tensor | None
    ) -> None:
        if validation is not None:
            raise ParameterError(
                "an OrderEnsemble fits its weights on the data given, which should be held out "
                "from its members; it takes no validation."
            )
        terms = self._member_scores(sequences, context)
        even = torch.full((len(terms),), 1 / len(terms), dtype=torch.float64)
        self.weights_ = fit_weights(terms, even, tolerance=1e-9)[0]

    # ---- the law ---------------------------------------------------------------------------

    def _log_weights(self, count: int) -> Tensor:
        if self.weights is not None:
            return given_weights(self.weights, count).log()
        even = torch.full((count,), 1 / count, dtype=torch.float64)
        return self.__dict__.get("weights_", even).log()

    def _member_scores(self, sequences: Sequences, context: Tensor | None) -> Tensor:
        """The members' log-probabilities, float64 [M, N]."""
        sequences.require_length(self.space.length or 0)
        x = _layout(self._first).from_sites(sequences.padded()[0])
        scores = []
        for member in self.members:
            sites = _layout(member).to_sites(x)
            ordered = Sequences(sites.flatten(0, 1), sequences.offsets, member.space)
            scores.append(member._log_prob(ordered, context).double())
        return torch.stack(scores)

    def _log_prob(self, sequences: Sequences, context: Tensor | None) -> Tensor:
        scores = self._member_scores(sequences, context)
        return torch.logsumexp(scores + self._log_weights(len(scores))[:, None], dim=0)

    def _draw(self, n: int, uniforms: Uniforms, context: Tensor | None) -> Tensor:
        members, space = self.members, self.space
        chance = Uniforms(uniforms.seed, "component").block(torch.arange(n), 0, 1)[:, 0]
        upper = self._log_weights(len(members)).exp().cumsum(0)
        which = torch.searchsorted(upper, chance * upper[-1], right=True)
        mine = _layout(self._first)
        found = torch.zeros((n, mine.length), dtype=space.dtype, device=self.device)
        for k, member in enumerate(members):
            rows = (which == k).nonzero()[:, 0]
            if not len(rows):
                continue
            given = None if context is None else context[rows]
            x = _drawn(member, len(rows), RowUniforms(uniforms, rows), given)
            found[rows] = mine.to_sites(_layout(member).from_sites(x))
        return found


def _drawn(law: Law, n: int, uniforms: Uniforms, context: Tensor | None) -> Tensor:
    """Draws of a law [n, sites], in its own order."""
    if isinstance(law, WholeLaw):
        return law._draw(n, uniforms, context)
    assert isinstance(law, Process)
    state = law._fresh(n, context)
    return draw(state, uniforms, law.space.length, None, law.space)[0]


def _layout(law: Law) -> Layout:
    layout = law.layout
    if layout is None:
        raise ParameterError(
            f"this {type(law).__name__} has no order of sites: its sequences have no fixed length."
        )
    return layout
