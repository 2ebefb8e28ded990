"""The mixture of a model's laws over several orders of the sites, or of several models."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Annotated, Any

import numpy as np
import torch
from torch import Tensor

from arproc.contract.checked import Array, Number, sentences
from arproc.contract.context import ContextForm
from arproc.contract.law import ChainLaw, Law, WholeLaw
from arproc.contract.randomness import RowUniforms, Uniforms
from arproc.contract.sequences import Sequences
from arproc.contract.storable import storable
from arproc.data.form import Layout
from arproc.data.labels import Labels
from arproc.errors import NotComparableError, ParameterError, check_integer
from arproc.inference.weights import fit_weights, given_weights
from arproc.process import Fit, Process
from arproc.process.fit import Learnt
from arproc.process.model import Model, require_fitted
from arproc.sampling.ancestral import draw
from arproc.spaces import Space

__all__ = ["OrderEnsembleLaw", "OrderEnsemble"]

_DRAWN = 8


class OrderEnsemble(Model):
    r"""The mixture of laws in different orders, :math:`p(x) = \sum_o w_o \, p_o(x)`.

    (Uria, Murray and Larochelle 2014; Germain et al. 2015.) The likelihood is exact, the log of
    the mean of the members' likelihoods; it is never less than the mean of their logarithms. A
    draw takes a member by chance and is drawn from it.

    The members count alike, unless weights are given or `fit` learns them, by EM, from data that
    the members were *not* fitted on.

    Args:
        model: a fitted model that can be asked in any order (it has `in_order`, as `NADE`,
            `MADE`, `PixelCNN` and `Transformer` with `order_agnostic`); or a list of
            fitted laws of vectors of one space, each in an order of its own: processes, flows, or
            ensembles again.
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

    weights_: Annotated[Tensor, Array("k", low=0, high=1)]
    _n_iterations_: Annotated[int, Number(low=0)]
    _members_form_: str

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
        if super().__sklearn_is_fitted__():
            return self.law_.member_orders
        if isinstance(self.model, (list, tuple)):
            layouts = [_layout(part) for part in self._listed()]
            return [layout.order or tuple(range(layout.length)) for layout in layouts]
        model = self._single()
        length = _layout(model.law_).length
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
    def members(self) -> list[Model]:
        """The laws, one an order."""
        if super().__sklearn_is_fitted__():
            return [_holding(law) for law in self.law_.members]
        if isinstance(self.model, (list, tuple)):
            return self._listed()
        model = self._single()
        return [model.in_order(order) for order in self.orders]

    def _single(self) -> Any:
        if not isinstance(self.model, Process) or not _knows_orders(self.model.law_):
            raise ParameterError(
                "model must be a process that can be asked in any order (NADE or MADE with "
                f"order_agnostic=True), or a list of laws; got a {type(self.model).__name__}."
            )
        return self.model

    def _listed(self) -> list[Model]:
        parts = list(self.model)
        if not parts or not all(isinstance(part, Model) for part in parts):
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
            same = part.space == first.space and _kind(part) == _kind(first)
            if not same or _layout(part).shape != _layout(first).shape:
                raise NotComparableError(
                    "the members of an ensemble must be laws of the same vectors; "
                    f"{type(first).__name__} is one of {first.space.describe()} values in the "
                    f"shape {list(_layout(first).shape)}, {type(part).__name__} of "
                    f"{part.space.describe()} ones in {list(_layout(part).shape)}."
                )
        return parts

    @property
    def _first(self) -> Model:
        return self._listed()[0] if isinstance(self.model, (list, tuple)) else self._single()

    def _law(self, weights: Tensor | None = None) -> OrderEnsembleLaw:
        """The law of the members as they are now, with learnt weights where there are some."""
        if isinstance(self.model, (list, tuple)):
            laws, orders = tuple(part.law_ for part in self._listed()), None
        else:
            laws, orders = (self._single().law_,), tuple(self.orders)
        count = len(laws if orders is None else orders)
        if self.weights is not None:
            weights = given_weights(self.weights, count)
        if weights is None:
            weights = torch.full((count,), 1 / count, dtype=torch.float64)
        return OrderEnsembleLaw(laws, weights, orders)

    @property
    def law_(self) -> OrderEnsembleLaw:
        if not super().__sklearn_is_fitted__():  # held as it is when it is first asked for
            given = self._law()
            first = self._first.fit_
            notes = {"weights": given.weights}
            fit = Fit(form=first.form, labels=first.labels, notes=notes)
            self._held = Learnt(given, fit)
        law = super().law_
        assert isinstance(law, OrderEnsembleLaw)
        return law

    @property
    def fit_(self) -> Fit:
        _ = self.law_
        fit = super().fit_
        # draws go back in the form of the members' data, and not of those weights are learnt of
        return replace(fit, form=fit.notes.get("members_form", fit.form))

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def _context_form(self) -> ContextForm | None:
        return self._first.law_.context

    def _known_labels(self) -> Labels:
        return self._first.fit_.labels

    @property
    def context_kind(self) -> Any:  # type: ignore[override]
        form = self._context_form()
        return None if form is None else form.kind

    def _layout_of(self, space: Space) -> Layout:
        return _layout(self._first)

    def _infer_space(self, data: Any) -> Space:
        if self.weights is not None:
            raise ParameterError(
                "fit learns the weights of the members, and weights= has fixed them; leave it out."
            )
        return self._first.space

    def _fit(
        self, sequences: Sequences, *, validation: Sequences | None, context: Tensor | None
    ) -> tuple[OrderEnsembleLaw, Fit]:
        if validation is not None:
            raise ParameterError(
                "an OrderEnsemble fits its weights on the data given, which should be held out "
                "from its members; it takes no validation."
            )
        law = self._law()
        weights = fit_weights(law.member_scores(sequences, context), law.weights, tolerance=1e-9)
        notes = {"n_iterations": weights[1], "members_form": self._first.fit_.form}
        return self._law(weights[0]), Fit(notes=notes)


@storable
@dataclass(frozen=True, eq=False, repr=False)
class OrderEnsembleLaw(WholeLaw):
    """The mixture of laws of the same vectors, each in an order of its own.

    Attributes:
        laws: the laws; or the one law that is asked in several orders.
        weights: the members', float64 [M], none negative and summing to one.
        orders: those in which the one law is asked, or None.
    """

    no_conditional = OrderEnsemble.no_conditional

    laws: tuple[Law, ...]
    weights: Annotated[Tensor, Array("n_members", low=0, high=1 + 1e-9)]
    orders: tuple[tuple[int, ...], ...] | None = None

    def problems(self) -> Iterator[str]:
        yield from sentences(
            (not self.laws or (self.orders is not None and len(self.laws) != 1), "there are "
             f"{len(self.laws)} laws"),
            (abs(float(self.weights.sum()) - 1) > 1e-6, "the weights do not sum to one"),
        )  # fmt: skip
        first = self.laws[0]
        alike = all(
            law.space == first.space and _layout(law).shape == _layout(first).shape
            and law.context == first.context for law in self.laws
        )  # fmt: skip
        sites = list(range(_layout(first).length))
        fine = all(sorted(order) == sites for order in self.orders or ())
        yield from sentences(
            (not alike, "the laws are of vectors of different spaces, shapes or contexts"),
            (not fine, "an order is no permutation of the sites"),
            (self.orders is not None and not _knows_orders(first),
             f"a {type(first).__name__} has one order of its sites"),
        )  # fmt: skip

    @property
    def n_members(self) -> int:
        """How many laws are mixed."""
        return len(self.laws if self.orders is None else self.orders)

    @property
    def member_orders(self) -> list[tuple[int, ...]]:
        """The members' orders of the sites."""
        layouts = map(_layout, self.members)
        return [layout.order or tuple(range(layout.length)) for layout in layouts]

    @cached_property
    def members(self) -> tuple[Law, ...]:
        """The laws, one an order."""
        if self.orders is None:
            return self.laws
        (law,) = self.laws
        assert isinstance(law, ChainLaw)
        return tuple(law.in_order(order) for order in self.orders)

    @property
    def space(self) -> Space:  # type: ignore[override]
        return self.laws[0].space

    @property
    def context(self) -> ContextForm | None:  # type: ignore[override]
        return self.laws[0].context

    @property
    def layout(self) -> Layout:
        return _layout(self.laws[0])

    @property
    def device(self) -> torch.device:
        return self.laws[0].device

    def member_scores(self, sequences: Sequences, context: Tensor | None) -> Tensor:
        """The members' log-probabilities, float64 [M, N]."""
        sequences.require_length(self.space.length or 0)
        x = self.layout.from_sites(sequences.padded()[0])
        scores = []
        for member in self.members:
            sites = _layout(member).to_sites(x)
            ordered = Sequences(sites.flatten(0, 1), sequences.offsets, member.space)
            scores.append(member.log_prob(ordered, context).double())
        return torch.stack(scores)

    def log_prob(self, sequences: Sequences, context: Tensor | None) -> Tensor:
        scores = self.member_scores(sequences, context)
        return torch.logsumexp(scores + self.weights.log()[:, None], dim=0)

    def draw(self, n: int, uniforms: Uniforms, context: Tensor | None) -> Tensor:
        chance = Uniforms(uniforms.seed, "component").block(torch.arange(n), 0, 1)[:, 0]
        upper = self.weights.cumsum(0)
        which = torch.searchsorted(upper, chance * upper[-1], right=True)
        mine = self.layout
        found = torch.zeros((n, mine.length), dtype=self.space.dtype, device=self.device)
        for k, member in enumerate(self.members):
            rows = (which == k).nonzero()[:, 0]
            if not len(rows):
                continue
            given = None if context is None else context[rows]
            x = _drawn(member, len(rows), RowUniforms(uniforms, rows), given)
            found[rows] = mine.to_sites(_layout(member).from_sites(x))
        return found


def _holding(law: Law) -> Model:
    return Process.of(law) if isinstance(law, ChainLaw) else Model.of(law)


def _knows_orders(law: Law) -> bool:
    return isinstance(law, ChainLaw) and type(law).in_order is not ChainLaw.in_order


def _kind(model: Model) -> str | None:
    context = model.law_.context
    return None if context is None else context.kind


def _drawn(law: Law, n: int, uniforms: Uniforms, context: Tensor | None) -> Tensor:
    """Draws of a law [n, sites], in its own order."""
    if isinstance(law, WholeLaw):
        return law.draw(n, uniforms, context)
    assert isinstance(law, ChainLaw)
    return draw(law.fresh(n, context), uniforms, law.space.length, None, law.space)[0]


def _layout(law: Model | Law) -> Layout:
    layout = law.layout
    if layout is None:
        raise ParameterError(
            f"this {type(law).__name__} has no order of sites: its sequences have no fixed length."
        )
    return layout
