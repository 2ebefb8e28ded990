"""NeuralAR: feed-forward autoregression over the last elements."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from arproc.contract.sequences import Sequences
from arproc.errors import check_integer
from arproc.models.neural.sequences.element_choice import check_frame_sizes
from arproc.models.neural.sequences.element_law import ElementLaw
from arproc.models.neural.sequences.element_process import ElementProcess
from arproc.models.neural.sequences.window_network import WindowNetwork
from arproc.process import Fit
from arproc.spaces import Count, Real, Space
from arproc.training import Training

__all__ = ["NeuralAR"]


class NeuralAR(ElementProcess):
    r"""Feed-forward autoregression: the next element by a network of the last `order` ones.

    Of time series it is the autoregression that need not be linear (NNAR, Hyndman and
    Athanasopoulos 2021, section 12.4), with a law of the next value in place of the value; over
    many series, each on a scale of its own, a global model, which a long window lets see the
    seasons (Montero-Manso and Hyndman 2021). Of symbols it is the neural language model of Bengio
    et al. (2003). `layers=0` is linear; a layer adds what is not.

    Heads, scales, covariates and labels are those of `RNN`. The first elements of a sequence have
    a shorter past, beyond which the window is zero; with `scaling=k` at least `order` none is
    scored that has.

    Args:
        order: how many elements the next one depends on.
        layers: how many layers, each of twice `width` units, add what is not linear.
        width: how many units describe the next element.
        head: see `RNN`.
        tokens: how text is cut, see `Transformer`; an int says how many symbols there are.
        end: whether sequences of symbols end (True) or are streams (False); None lets a single
            sequence be a stream, and several end.
        components: of a mixture.
        hidden: the sizes of a frame's hidden layers; None takes 128 units.
        min_scale: what the scales of real numbers are at least, in the unit of the data.
        scaling: None, a number of first values or "context"; see `RNN`.
        block: how many terms a training stretch has; None takes 128.
        dropout: the share of a layer's inner units that is dropped in training.
        own_draws: in which share of the training stretches the network sees values of its own,
            each drawn given the true ones before it, and learns what truly follows (scheduled
            sampling, Bengio et al. 2015): forecasts of many steps, which go on from draws, may
            gain by it; the likelihood of one step does not.
        conditioned: whether each sequence is conditioned on a vector: `context` [N, c].
        classes: how many labels there are, where it is conditioned on its label: `context` [N].
        covariates: whether each step is conditioned on what is known of it beforehand: `context`
            [N, T, c], the future included where one samples or forecasts.
        training: how it is trained. Its `augment` gets pieces of sequences [n, T, *event].

    Example:
        >>> import numpy as np
        >>> import arproc
        >>> x = [0.1]  # the logistic map, which no linear autoregression foresees
        >>> for _ in range(400):
        ...     x.append(3.9 * x[-1] * (1 - x[-1]))
        >>> training = arproc.Training(steps=300, batch_size=8, lr=0.01)
        >>> model = arproc.NeuralAR(1, width=16, head="normal", block=32, training=training)
        >>> model = model.fit(np.array(x))
        >>> model.score(np.array(x)) > arproc.AR(1).fit(np.array(x)).score(np.array(x)) + 1
        True
    """

    no_missing = (
        "NeuralAR takes none: a window with a gap in it has no closed form. Fill the gaps, or "
        "pass the pieces between them as a list."
    )

    law_: ElementLaw
    network_: WindowNetwork

    def __init__(
        self,
        order: int = 8,
        layers: int = 1,
        width: int = 64,
        *,
        head: str = "auto",
        tokens: Any = None,
        end: bool | None = None,
        components: int = 3,
        hidden: Any = None,
        min_scale: float = 0.0,
        scaling: int | str | None = None,
        block: int | None = None,
        dropout: float = 0.0,
        own_draws: float = 0.0,
        conditioned: bool = False,
        classes: int | None = None,
        covariates: bool = False,
        training: Training | None = None,
    ) -> None:
        self.order = order
        self.layers = layers
        self.width = width
        self.head = head
        self.tokens = tokens
        self.end = end
        self.components = components
        self.hidden = hidden
        self.min_scale = min_scale
        self.scaling = scaling
        self.block = block
        self.dropout = dropout
        self.own_draws = own_draws
        self.conditioned = conditioned
        self.classes = classes
        self.covariates = covariates
        self.training = training

    @property
    def _lead(self) -> int:  # type: ignore[override]
        """A stretch from within a sequence has the window before it."""
        return max(self.order - self._given, 0)

    def _infer_space(self, data: Any) -> Space:
        check_integer("order", self.order, minimum=1)
        check_integer("layers", self.layers, minimum=0)
        check_integer("width", self.width, minimum=2)
        check_frame_sizes(self.hidden)
        self._check_elements()
        return self._element_space(data)

    def _fit(
        self, sequences: Sequences, *, validation: Sequences | None, context: Tensor | None
    ) -> tuple[ElementLaw, Fit]:
        # a number enters by a linear map, so that one of what it becomes says all
        entry = 1 if isinstance(sequences.space, (Real, Count)) else self.width

        def build(size: int) -> WindowNetwork:
            return WindowNetwork(
                self._element(sequences.space, self.hidden), self.order, self.layers, entry,
                dropout=float(self.dropout), context=size, scaled=self.scaling == "context",
            )  # fmt: skip

        return self._learnt_elements(build, sequences, validation, context)
