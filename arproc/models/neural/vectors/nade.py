"""NADE: neural autoregressive distribution estimation, of a fixed order or of every order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from arproc.contract.randomness import resolve_seed
from arproc.contract.sequences import Sequences
from arproc.contract.state import State
from arproc.data.form import Form, Layout, restore
from arproc.errors import DataError, ParameterError, check_choice, check_integer
from arproc.models.neural.vectors.nade_given import (
    draws,
    log_prob,
    read_gaps,
    read_given,
    without_gaps,
)
from arproc.models.neural.vectors.nade_network import NADENetwork
from arproc.models.neural.vectors.nade_state import NADEState
from arproc.models.neural.vectors.vectors import VectorProcess
from arproc.spaces import Space
from arproc.training import Training

__all__ = ["NADE"]

_ORDERS_HELD_OUT = 4


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
        gaps = read_gaps(self, data, layout, space, name)
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

    def _network(self, space: Space) -> NADENetwork:
        return NADENetwork(
            space.length or 0,
            self._head(space),
            self._sizes(),
            activation=self.activation,
            masks=bool(self.order_agnostic),
            context=self.__dict__.get("n_context_", 0),
        )

    def _start(self, n: int, context: Tensor | None) -> State:
        network = self._fitted()
        assert isinstance(network, NADENetwork)
        return NADEState(network, network.begin(n, context))

    # ---- all orders ---------------------------------------------------------------------------

    def _loss(
        self,
        network: nn.Module,
        x: Tensor,
        context: Tensor | None,
        generator: torch.Generator,
    ) -> Tensor:
        if not self.order_agnostic:
            return super()._loss(network, x, context, generator)
        assert isinstance(network, NADENetwork)
        return order_agnostic_loss(network, x, context, generator)

    def _held_out_loss(
        self,
        network: nn.Module,
        x: Tensor,
        context: Tensor | None,
        generator: torch.Generator,
    ) -> float:
        # several orders of each vector make the estimate less noisy
        times = _ORDERS_HELD_OUT if self.order_agnostic else 1
        given = None if context is None else context.repeat(times, 1)
        return super()._held_out_loss(network, x.repeat(times, 1), given, generator)

    def _of_any_order(self, call: str) -> tuple[NADENetwork, Layout]:
        network, layout = self._any_order(call)
        assert isinstance(network, NADENetwork)
        return network, layout

    def conditional_log_prob(self, data: Any, given: Any = None, *, context: Any = None) -> Any:
        """The log-probability of some values of each vector given some others, nats.

        Exact in the order that has the given values first and then the others, in the model's
        own order; values that are missing in `data` are integrated out. Without `given` it is the
        marginal log-probability of what is there.

        Args:
            data: vectors, in which NaN is missing; of discrete values -1 is as well.
            given: a mask, true where a value is given: of one vector, for all, or of each.
            context: what the vectors are conditioned on.

        Returns:
            A float for one vector, a float64 array [N] for several; a tensor for a tensor.

        Example:
            >>> import arproc, numpy as np
            >>> x = np.array([[0, 0, 1], [1, 1, 0]] * 20)
            >>> plan = arproc.Training(steps=200, lr=0.02)
            >>> model = arproc.NADE(8, order_agnostic=True, training=plan).fit(x)
            >>> last = np.array([False, False, True])
            >>> first = model.conditional_log_prob(np.array([1, -1, 0]), given=last)
            >>> round(float(np.exp(first)), 1)
            1.0
        """
        network, layout = self._of_any_order("conditional_log_prob")
        gaps = read_gaps(self, data, layout)
        known = read_given(given, gaps, layout)
        form, prepared = gaps.sequences.form, self._context(context, len(gaps.seen), 0)
        with torch.set_grad_enabled(torch.is_grad_enabled() and form.kind == "tensor"):
            x = gaps.sequences.padded()[0].to(self.device)
            return form.per_row(log_prob(network, x, known, gaps.seen & ~known, prepared))

    def impute(
        self,
        data: Any,
        n: int = 1,
        seed: int | torch.Generator | None = None,
        *,
        context: Any = None,
    ) -> Any:
        """Fill the missing values of vectors by draws given the values that are there.

        The draws of a vector depend on the seed, on its row and on their number alone.

        Args:
            data: vectors, in which NaN is missing; of discrete values -1 is as well.
            n: how many draws of each vector.
            seed: an int or a `torch.Generator`.
            context: what the vectors are conditioned on.

        Returns:
            The vectors n times, [n, N, ...] ([n, ...] for a single vector), those values filled.
        """
        network, layout = self._of_any_order("impute")
        n = check_integer("n", n, minimum=0)
        gaps = read_gaps(self, data, layout)
        form, rows = gaps.sequences.form, len(gaps.seen)
        prepared = self._context(context, rows, 0)
        x = gaps.sequences.padded()[0].detach().to(self.device)
        with torch.no_grad():
            whole = draws(network, x, gaps.seen, n, resolve_seed(seed), prepared)
        lengths = torch.full((n * rows,), layout.length)
        kind = Form("tensor", device=form.device) if form.kind == "tensor" else Form()
        filled = restore(whole, lengths, self.space, kind, layout)
        return filled if form.single else filled.reshape(n, rows, *layout.shape)

    def _given_seen(
        self,
        x: Tensor,
        seen: Tensor,
        context: Tensor | None,
        n: int,
        seed: int,
        numbers: Tensor,
    ) -> tuple[Tensor, Tensor]:
        network, _ = self._of_any_order("complete")
        drawn = draws(network, x, seen, n, seed, context, numbers)
        known = log_prob(network, x, torch.zeros_like(seen), seen, context)
        return drawn.unflatten(0, (n, len(x))).transpose(0, 1), known


def order_agnostic_loss(
    network: NADENetwork, x: Tensor, context: Tensor | None, generator: torch.Generator
) -> Tensor:
    """An unbiased estimate of the mean nats a site over all orders (Uria et al. 2014).

    Each vector gets an order and a number d of known sites by chance; the D - d others are all
    scored as if each came next, and stand for the D terms by the weight D / (D - d). Where some
    values are missing, D is the number of those that are not, and the orders are theirs: the
    terms are then of the marginal law of what was observed, and the mean is still one of all
    sites, a missing one being worth 0 nats.

    Args:
        network: the network.
        x: vectors [N, sites]; NaN (-1 in whole numbers) is missing.
        context: what they are conditioned on.
        generator: of the orders.
    """
    n, sites = x.shape
    observed = ~x.isnan() if x.is_floating_point() else x >= 0
    whole = bool(observed.all())
    chance = torch.rand((n, sites), generator=generator)
    # one number in each n-th of the range, which makes the estimate less noisy
    spread = torch.randperm(n, generator=generator) + torch.rand(n, generator=generator)
    if whole:
        size = torch.full((n,), sites)
        place = chance.argsort(1)
    else:  # the observed ones come first, in an order by chance
        size = observed.sum(1).cpu()
        place = (chance + 2.0 * ~observed.cpu()).argsort(1).argsort(1)
    count = (spread * (size / n)).long().minimum((size - 1).clamp(min=0))
    device = network.bias.device
    x, count, size = x.to(device), count.to(device), size.to(device)
    seen = place.to(device) < count[:, None]
    context = None if context is None else context.to(device)
    x = x if whole else x.masked_fill(~observed, 0)
    parameters = network.every(network.known(x, seen, context), count, context)
    hidden = seen if whole else seen | ~observed
    terms = network.values.log_prob(parameters, x).masked_fill(hidden, 0.0)
    return -(terms.sum(1) / (size - count).clamp(min=1) * (size / sites)).mean()
