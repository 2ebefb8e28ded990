"""MADE: a masked autoencoder for vectors of binary, categorical, ordinal or real values."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from arproc.errors import ParameterError
from arproc.neural.made_state import MADEState
from arproc.neural.masks import MaskedNetwork
from arproc.neural.vectors import VectorProcess
from arproc.spaces import Space
from arproc.states import State
from arproc.training import Training

__all__ = ["MADE"]


class MADE(VectorProcess):
    r"""Masked autoencoder for distribution estimation (Germain, Gregor, Murray, Larochelle 2015).

    A law of vectors, :math:`p(x) = \prod_j p(x_{o_j} | x_{o_1} \ldots x_{o_{j-1}})`, in the
    ordering o. One pass of a network gives all conditionals, since masks keep each output from
    seeing its own site and later ones.

    Args:
        hidden: sizes of the hidden layers.
        head: the distribution of a site: "bernoulli" (zeros and ones), "categorical" (levels
            without an order), "discretised_logistic" (ordered levels, such as grey values; a
            mixture, Salimans et al. 2017), or of a real value "normal", "normal_mixture",
            "logistic_mixture" or "student_t" (RNADE's conditionals, Uria et al. 2013). "auto"
            takes "bernoulli" for zeros and ones, "categorical" for other whole numbers, and
            "normal_mixture" for floating-point data with fractions.
        levels: how many values a site takes, one number or one for each site (sites then have
            different numbers, and a level that a site does not have gets probability zero). None
            takes one more than the largest value.
        components: how many components a mixture has.
        min_scale: what the scales of real values are at least, in the unit of the data. Rounded
            data have no bounded density; half the rounding step is a sound choice for them.
        residual: whether each hidden layer but the first adds to the one before it; they then
            have equal sizes.
        direct: whether the conditionals also depend on the earlier values directly.
        ordering: "natural" (for images: row by row); "random", drawn from the training's seed; or
            a permutation, whose j-th entry is the (flat) position of the j-th site.
        conditioned: whether each vector is conditioned on a context: `context` is then a vector
            [N, c], such as a one-hot label, in every call that takes data.
        training: how it is trained.

    Example:
        >>> import arproc, numpy as np
        >>> x = np.array([[0, 0, 1], [1, 1, 0]] * 20)
        >>> model = arproc.MADE((8,), training=arproc.Training(steps=200, lr=0.02)).fit(x)
        >>> np.exp(model.log_prob(np.array([[0, 0, 1], [1, 0, 1]]))).round(1)
        array([0.5, 0. ])
    """

    def __init__(
        self,
        hidden: int | Sequence[int] = (500,),
        *,
        head: str = "auto",
        levels: int | Sequence[int] | None = None,
        components: int = 10,
        min_scale: float = 0.0,
        residual: bool = False,
        direct: bool = False,
        ordering: str | Sequence[int] = "natural",
        conditioned: bool = False,
        training: Training | None = None,
    ) -> None:
        self.hidden = hidden
        self.head = head
        self.levels = levels
        self.components = components
        self.min_scale = min_scale
        self.residual = residual
        self.direct = direct
        self.ordering = ordering
        self.conditioned = conditioned
        self.training = training

    def _check_parameters(self) -> None:
        super()._check_parameters()
        if self.residual and len(set(self._sizes())) > 1:
            raise ParameterError(
                f"residual=True adds each hidden layer to the one before it, so they must have "
                f"equal sizes; got hidden={self.hidden!r}."
            )

    def _network(self, space: Space) -> MaskedNetwork:
        return MaskedNetwork(
            space.length or 0,
            self._head(space),
            self._sizes(),
            residual=self.residual,
            direct=self.direct,
            context=self.__dict__.get("n_context_", 0),
        )

    def _start(self, n: int, context: Tensor | None) -> State:
        network = self._fitted()
        assert isinstance(network, MaskedNetwork)
        return MADEState(network)
