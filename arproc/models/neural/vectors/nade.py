"""NADE: neural autoregressive distribution estimation, of a fixed order or of every order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from arproc.contract.sequences import Sequences
from arproc.contract.storable import storable
from arproc.errors import DataError, ParameterError, check_choice
from arproc.models.neural.vectors.agnostic_law import AgnosticLaw
from arproc.models.neural.vectors.nade_given import read_gaps, without_gaps
from arproc.models.neural.vectors.nade_network import NADENetwork
from arproc.models.neural.vectors.vectors import VectorProcess
from arproc.spaces import Space
from arproc.training import Training

__all__ = ["NADE", "NADELaw"]


@storable
@dataclass(frozen=True, eq=False, repr=False)
class NADELaw(AgnosticLaw):
    """The law of vectors that a `NADENetwork` gives; see `NADE`."""

    network: NADENetwork


class NADE(VectorProcess):
    r"""Neural autoregressive distribution estimator (Larochelle and Murray 2011).

    A law of vectors, :math:`p(x) = \prod_j p(x_{o_j} | x_{o_1} \ldots x_{o_{j-1}})`, whose
    conditionals share one hidden layer: each known value adds its weights to the layer's inputs,
    so all D conditionals cost O(D H), and so does a draw. Of real values it is RNADE (Uria,
    Murray and Larochelle 2013).

    With `order_agnostic=True` it is the deep NADE of Uria, Murray and Larochelle (2014): one
    network, which also sees *which* values are known, is trained for all orders at once. It can
    then be asked in any order (`in_order`), and so for any sites given any others
    (`conditional_log_prob`, `impute`); `OrderEnsemble` averages its laws over several orders. Two
    orders give two laws, which are alike as far as training has made them so. Such a model is
    also fitted to vectors with missing values (NaN; -1 among whole numbers): what was observed is
    given and scored, and nothing else. That learns the law of the data where being missing has
    nothing to do with the values (missing completely at random), and another law where it has.

    Args:
        hidden: size of the hidden layer, or sizes of several. The first alone is updated at O(H);
            further ones are computed at every site.
        head: the distribution of a site, as in `MADE`: "bernoulli", "categorical",
            "discretised_logistic", or of a real value "normal", "normal_mixture",
            "logistic_mixture" or "student_t". "auto" takes "bernoulli" for zeros and ones,
            "categorical" for other whole numbers, and "normal_mixture" for floating-point data
            with fractions.
        levels: how many values a site takes, one number or one for each site; see `MADE`.
        components: how many components a mixture has.
        min_scale: what the scales of real values are at least, in the unit of the data: one
            number, or one for each position; half the rounding step is a sound choice for rounded
            data.
        activation: of the hidden units: "relu", or "sigmoid" (as in the first paper).
        order_agnostic: whether it is trained for all orders.
        ordering: "natural"; "random", drawn from the training's seed; or a permutation, whose
            j-th entry is the (flat) position of the j-th site.
        conditioned: whether each vector is conditioned on another: `context` is then [N, c], in
            every call that takes data.
        classes: how many classes there are, where each vector is conditioned on its label:
            `context` is then the labels [N], 0 ... classes-1.
        training: how it is trained.

    Example:
        >>> import arproc, numpy as np
        >>> x = np.array([[0, 0, 1], [1, 1, 0]] * 20)
        >>> model = arproc.NADE(8, training=arproc.Training(steps=200, lr=0.02)).fit(x)
        >>> np.exp(model.log_prob(np.array([[0, 0, 1], [1, 0, 1]]))).round(1)
        array([0.5, 0. ])
    """

    law_class = NADELaw

    law_: NADELaw
    network_: NADENetwork

    def __init__(
        self,
        hidden: int | Sequence[int] = 500,
        *,
        head: str = "auto",
        levels: int | Sequence[int] | None = None,
        components: int = 10,
        min_scale: float | Sequence[float] = 0.0,
        activation: str = "relu",
        order_agnostic: bool = False,
        ordering: str | Sequence[int] = "natural",
        conditioned: bool = False,
        classes: int | None = None,
        training: Training | None = None,
    ) -> None:
        self.hidden = hidden
        self.head = head
        self.levels = levels
        self.components = components
        self.min_scale = min_scale
        self.activation = activation
        self.order_agnostic = order_agnostic
        self.ordering = ordering
        self.conditioned = conditioned
        self.classes = classes
        self.training = training

    def _check_parameters(self) -> None:
        super()._check_parameters()
        check_choice("activation", self.activation, ("relu", "sigmoid"))
        if not isinstance(self.order_agnostic, bool):
            raise ParameterError(
                f"order_agnostic must be True or False; got {self.order_agnostic!r}."
            )
        if not self._sizes():
            raise ParameterError("hidden must name at least one layer's size; got none.")

    # ---- missing values -----------------------------------------------------------------------

    def _infer_space(self, data: Any) -> Space:
        if not self.order_agnostic or isinstance(data, Sequences):
            return super()._infer_space(data)
        return super()._infer_space(without_gaps(data, whole=True)[0])

    def _read_training(self, data: Any, space: Space, name: str) -> Sequences:
        if not self.order_agnostic:
            return super()._read_training(data, space, name)
        layout = self._layout_of(space)
        gaps = read_gaps(
            lambda x: self._read(x, space, name),
            data,
            layout,
            space.measure == "mass",
            self._labels.features,
        )
        never = ~gaps.seen.any(0)
        if name == "data" and bool(never.any()):
            site = int(never.nonzero()[0])
            flat = site if layout.order is None else layout.order[site]
            place = tuple(int(i) for i in np.unravel_index(flat, layout.shape))
            raise DataError(
                f"data has no observed value at {place[0] if len(place) == 1 else place}: it is "
                "missing in every vector, so nothing can be learnt of it; leave it out."
            )
        return gaps.sequences.observed(gaps.seen)

    # ---- learning -----------------------------------------------------------------------------

    def _network(self, space: Space, context: int) -> NADENetwork:
        return NADENetwork(
            space.length or 0,
            self._head(space),
            self._sizes(),
            activation=self.activation,
            masks=self.order_agnostic,
            context=context,
        )
