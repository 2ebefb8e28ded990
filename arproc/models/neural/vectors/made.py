"""MADE: a masked autoencoder for vectors of any values, and for tables of mixed columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from arproc.contract.sequences import Sequences
from arproc.contract.state import State
from arproc.contract.storable import storable
from arproc.data.form import Layout
from arproc.data.tables import Table, table_of
from arproc.data.vectors import order_of
from arproc.errors import ParameterError, check_integer
from arproc.models.neural.vectors.heads import Head
from arproc.models.neural.vectors.made_state import MADEState
from arproc.models.neural.vectors.masks import MaskedNetwork, MaskSampling
from arproc.models.neural.vectors.nade_given import RevealingLaw
from arproc.models.neural.vectors.nade_state import NADEState
from arproc.models.neural.vectors.table_head import TableHead
from arproc.models.neural.vectors.table_network import TableNetwork
from arproc.models.neural.vectors.vectors import REAL_HEADS, VectorProcess
from arproc.spaces import Space
from arproc.training import Training

__all__ = ["MADE", "MADELaw"]


@storable
@dataclass(frozen=True, eq=False, repr=False)
class MADELaw(RevealingLaw):
    """The law of vectors that a masked network gives; see `MADE`."""

    network: MaskedNetwork | TableNetwork

    @property
    def orders(self) -> list[tuple[int, ...]]:
        """The orders of the sites that it is trained for; empty where it is for all."""
        if isinstance(self.network, TableNetwork):
            return []
        if self.network.masks is not None:
            return list(self.network.masks.orders)
        return [self.layout.order or tuple(range(self.layout.length))]

    def start(self, n: int, context: Tensor | None) -> State:
        if isinstance(self.network, TableNetwork):
            return NADEState(self.network, self.network.begin(n, context))
        return MADEState(self.network)


class MADE(VectorProcess):
    r"""Masked autoencoder for distribution estimation (Germain, Gregor, Murray, Larochelle 2015).

    A law of vectors, :math:`p(x) = \prod_j p(x_{o_j} | x_{o_1} \ldots x_{o_{j-1}})`, in the
    ordering o. One pass of a network gives all conditionals, since masks keep each output from
    seeing its own site and later ones.

    A DataFrame is a table, whose columns have kinds of their own: real, counts, whole numbers or
    categories, any of them with missing entries, which are events with a probability. `log_prob`
    of a row is then in the product of the columns' measures, and DataFrames come out as they went
    in. See `arproc.tables.table_of` for how kinds are told, and `TableHead` for the conditionals.

    Args:
        hidden: sizes of the hidden layers.
        head: the distribution of a site: "bernoulli" (zeros and ones), "categorical" (levels
            without an order), "discretised_logistic" (ordered levels, such as grey values; a
            mixture, Salimans et al. 2017), or of a real value "normal", "normal_mixture",
            "logistic_mixture" or "student_t" (RNADE's conditionals, Uria et al. 2013). "auto"
            takes "bernoulli" for zeros and ones, "categorical" for other whole numbers, and
            "normal_mixture" for floating-point data with fractions. For a table, the density of
            real columns.
        levels: how many values a site takes, one number or one for each site (sites then have
            different numbers, and a level that a site does not have gets probability zero). None
            takes one more than the largest value.
        components: how many components a mixture has.
        min_scale: what the scales of real values are at least, in the unit of the data: one
            number, or one for each position. Rounded data have no bounded density; half the
            rounding step is a sound choice for them.
        residual: whether each hidden layer but the first adds to the one before it; they then
            have equal sizes.
        direct: whether the conditionals also depend on the earlier values directly.
        order_agnostic: whether the network is trained for many orders of the sites and, with each,
            another set of masks: for all (True), or for so many of them, its own and others drawn
            from the training's seed (`orders`). It can then be asked in any (`in_order`), and
            `OrderEnsemble` averages its laws. For a table, True trains a network that sees which
            columns are known (the deep NADE of Uria, Murray and Larochelle 2014): any columns
            given any others, by `impute`, `conditional_log_prob` and `sample(known=...)`.
        ordering: "natural" (for images: row by row); "random", drawn from the training's seed; or
            a permutation, whose j-th entry is the (flat) position of the j-th site, or for a table
            the name of the j-th column.
        conditioned: whether each vector is conditioned on another: `context` is then [N, c], in
            every call that takes data.
        classes: how many classes there are, where each vector is conditioned on its label:
            `context` is then the labels [N], 0 ... classes-1.
        columns: the kinds of a table's columns by name (by position for an array), or a list of
            them, for a DataFrame whose kinds are to be others than they look, and for an array
            [N, D] that is to be read as a table: "real", "count", "integer", "lattice",
            "categorical", "time" or "auto"; or an `arproc.tables.Kind` (or a dict of its
            arguments), which says more: ends, atoms, a step, a label for unseen ones. An array
            holds a category as its number 0, 1, 2 ... and missing as NaN.
        training: how it is trained.

    Example:
        >>> import arproc, numpy as np
        >>> x = np.array([[0, 0, 1], [1, 1, 0]] * 20)
        >>> model = arproc.MADE((8,), training=arproc.Training(steps=200, lr=0.02)).fit(x)
        >>> np.exp(model.log_prob(np.array([[0, 0, 1], [1, 0, 1]]))).round(1)
        array([0.5, 0. ])
    """

    law_class = MADELaw

    law_: MADELaw
    network_: MaskedNetwork | TableNetwork

    def __init__(
        self,
        hidden: int | Sequence[int] = (500,),
        *,
        head: str = "auto",
        levels: int | Sequence[int] | None = None,
        components: int = 10,
        min_scale: float | Sequence[float] = 0.0,
        residual: bool = False,
        direct: bool = False,
        order_agnostic: bool | int = False,
        ordering: str | Sequence[int] = "natural",
        conditioned: bool = False,
        classes: int | None = None,
        columns: Mapping[Any, Any] | Sequence[Any] | None = None,
        training: Training | None = None,
    ) -> None:
        self.hidden = hidden
        self.head = head
        self.levels = levels
        self.components = components
        self.min_scale = min_scale
        self.residual = residual
        self.direct = direct
        self.order_agnostic = order_agnostic
        self.ordering = ordering
        self.conditioned = conditioned
        self.classes = classes
        self.columns = columns
        self.training = training

    def _check_parameters(self) -> None:
        super()._check_parameters()
        if self.residual and len(set(self._sizes())) > 1:
            raise ParameterError(
                f"residual=True adds each hidden layer to the one before it, so they must have "
                f"equal sizes; got hidden={self.hidden!r}."
            )
        if not isinstance(self.order_agnostic, bool):
            check_integer("order_agnostic", self.order_agnostic, minimum=2)

    # ---- tables -------------------------------------------------------------------------------

    def _infer_space(self, data: Any) -> Space:
        if not self._is_table(data):
            return super()._infer_space(data)
        self._check_parameters()
        if not isinstance(self.order_agnostic, bool):
            raise ParameterError(
                f"order_agnostic={self.order_agnostic!r} trains for some orders of plain vectors; "
                "of a table a network that sees what is known serves every order: say True."
            )
        if self.order_agnostic and not self._sizes():
            raise ParameterError(
                "order_agnostic=True needs a hidden layer for a table; hidden names none."
            )
        if self.levels is not None or self.head not in ("auto", *REAL_HEADS):
            raise ParameterError(
                f"a table's columns are told by columns=, and head is the density of its real "
                f"ones ({', '.join(REAL_HEADS)}); got head={self.head!r}, levels={self.levels!r}."
            )
        space = table_of(data, self.columns)
        self._shape = (len(space.columns),)
        return space

    @property
    def takes_tables(self) -> bool:  # type: ignore[override]
        """Whether `fit` takes the rows of a DataFrame as those of a table."""
        return self.columns is not None or (self.head == "auto" and self.levels is None)

    def _is_table(self, data: Any) -> bool:
        """Whether the data of `fit` are a table: asked for, or a DataFrame without a head."""
        if isinstance(data, Sequences):
            return False
        frame = hasattr(data, "columns") and hasattr(data, "iloc")
        return self.columns is not None or (frame and self.takes_tables)

    def _layout_of(self, space: Space) -> Layout:
        if not isinstance(space, Table):
            return super()._layout_of(space)
        names, ordering = list(space.names), self.ordering
        if not isinstance(ordering, str):
            given = list(ordering)
            by_place = all(isinstance(j, (int, np.integer)) for j in given)
            if sorted(map(repr, given)) == sorted(map(repr, names)):
                ordering = [names.index(name) for name in given]
            elif not by_place:
                raise ParameterError(
                    f"ordering must name each column of the table once, {names}; got {given}."
                )
        return Layout((len(names),), order_of(ordering, len(names), self._settings.seed))

    def _head(self, space: Space) -> Head:
        if not isinstance(space, Table):
            return super()._head(space)
        order = self._layout_of(space).order
        columns = space.ordered(order)
        return TableHead(columns, self._real_head(order or range(len(columns))), self.components)

    # ---- the network --------------------------------------------------------------------------

    def _network(self, space: Space, context: int) -> MaskedNetwork | TableNetwork:
        head = self._head(space)
        if self.order_agnostic and isinstance(head, TableHead):
            return TableNetwork(
                head, self._sizes(), residual=self.residual, direct=self.direct, context=context
            )
        length = space.length or 0
        masks = None
        if self.order_agnostic:
            own = self._layout_of(space).order or tuple(range(length))
            count = None if self.order_agnostic is True else self.order_agnostic
            masks = MaskSampling.of_so_many(own, count, self._settings.seed)
        return MaskedNetwork(
            length,
            head,
            self._sizes(),
            residual=self.residual,
            direct=self.direct,
            context=context,
            masks=masks,
        )

    @property
    def orders(self) -> list[tuple[int, ...]]:
        """The orders of the sites that it is trained for; empty where it is for all."""
        return self.law_.orders
