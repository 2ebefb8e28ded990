"""RNN: recurrent networks over symbols, counts, real numbers and frames of zeros and ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Literal

import torch
from torch import Tensor

from arproc.contract.context import ContextForm
from arproc.contract.sequences import Sequences
from arproc.errors import (
    DataError,
    ParameterError,
    check_choice,
    check_flag,
    check_integer,
    check_number,
)
from arproc.models.neural.base import NeuralProcess
from arproc.models.neural.sequences.element_choice import (
    HEADS,
    check_frame_sizes,
    element_of,
    space_of,
)
from arproc.models.neural.sequences.recurrent import CELLS, RecurrentNetwork
from arproc.models.neural.sequences.recurrent_law import RecurrentLaw
from arproc.models.neural.sequences.scaling import Scale, context_scale, prefix_scale
from arproc.models.neural.sequences.stretches import Stretch, Stretches
from arproc.process import Fit
from arproc.spaces import Categorical, Count, Real, Space
from arproc.training import Loss, Training, seed_of

__all__ = ["RNN"]

_STREAM = 3
_BLOCK = 128
_HIDDEN = 128


class RNN(NeuralProcess):
    r"""Recurrent networks: Elman, LSTM, GRU, of any elements.

    The layers remember what came before in vectors of one size, so that one more element costs
    the same at any length. Their last layer describes the next element by a head:

    - symbols (text, bytes, lists of symbols, numbers 0, 1, ...): "categorical";
    - counts: "poisson" or "negative_binomial";
    - real numbers: "normal", "student_t", "normal_mixture" or "logistic_mixture";
    - frames, vectors of zeros and ones such as the notes that sound at a time: "bernoulli",
      independent given the past, or "nade" or "made", which make them depend on each other
      (RNN-NADE, Boulanger-Lewandowski, Bengio and Vincent 2012).

    Series of unlike sizes are learnt by one model where each has a scale of its own (DeepAR,
    Salinas et al. 2020): with `scaling=k` place and size of a series are those of its first k
    values, which are given and not scored; with `scaling="context"` the first number of the
    context is the size. A forecast of a long series then takes its last values as history.

    It is trained on stretches of `block` terms, whose beginning is that of a sequence, or of a
    memory without content; see `arproc.models.neural.sequences.crops.Crops`.

    Args:
        cell: "elman", "gru" or "lstm".
        layers: how many layers.
        width: how many units each has.
        head: see above; "auto" takes "categorical" for text, symbols and whole numbers,
            "student_t" for fractions, and "nade" for whole vectors [N, T, d] or lists of [T, d].
        tokens: how text is cut, see `Transformer`; an int says how many symbols there are.
        end: whether sequences of symbols end (True) or are streams (False); None lets a single
            sequence be a stream, and several end.
        components: of a mixture.
        hidden: the sizes of a frame's hidden layers; None takes 128 units.
        min_scale: what the scales of real numbers are at least, in the unit of the data.
        scaling: None, a number of first values or "context".
        block: how many terms a training stretch has; None takes 128.
        dropout: the share of units between the layers that is dropped in training.
        conditioned: whether each sequence is conditioned on a vector: `context` [N, c].
        classes: how many labels there are, where it is conditioned on its label: `context` [N].
        covariates: whether each step is conditioned on what is known of it beforehand: `context`
            [N, T, c], the future included where one samples or forecasts.
        training: how it is trained. Its `augment` gets pieces of sequences [n, T, *event].

    Example:
        >>> import arproc
        >>> model = arproc.RNN("gru", width=16, block=12, tokens="char",
        ...                    training=arproc.Training(steps=60, batch_size=8, lr=0.02))
        >>> model.fit("abcabcabcabc" * 20).sample(1, length=6, prefix="abc", seed=0)
        ['abcabc']
    """

    takes_weights = False
    no_missing = (
        "RNN takes none: what the layers remember after a missing value has no closed form. "
        "Fill the gaps, or pass the pieces between them as a list."
    )

    law_: RecurrentLaw
    network_: RecurrentNetwork

    def __init__(
        self,
        cell: str = "lstm",
        layers: int = 1,
        width: int = 128,
        *,
        head: str = "auto",
        tokens: Any = None,
        end: bool | None = None,
        components: int = 3,
        hidden: int | Sequence[int] | None = None,
        min_scale: float = 0.0,
        scaling: int | str | None = None,
        block: int | None = None,
        dropout: float = 0.0,
        conditioned: bool = False,
        classes: int | None = None,
        covariates: bool = False,
        training: Training | None = None,
    ) -> None:
        self.cell = cell
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
        self.conditioned = conditioned
        self.classes = classes
        self.covariates = covariates
        self.training = training

    # ---- space and parameters -----------------------------------------------------------------

    @property
    def context_kind(self) -> Literal["static", "steps"] | None:  # type: ignore[override]
        return "steps" if self.covariates else super().context_kind

    def _context_form(self) -> ContextForm | None:
        form = ContextForm("steps") if self.covariates else super()._context_form()
        scaled = form is not None and self.scaling == "context"
        return replace(form, sizes=1) if form is not None and scaled else form

    def _opened(self, data: Any) -> Any:
        return data  # a str is text

    def _infer_space(self, data: Any) -> Space:
        self._check()
        space = space_of(data, self.head, self.tokens, self.end)
        if self.scaling is not None and not isinstance(space, (Real, Count)):
            raise ParameterError(
                f"scaling is for real numbers and counts; the data are {space.describe()}."
            )
        return space

    def _check(self) -> None:
        self._check_context_parameters()
        check_choice("cell", self.cell, tuple(CELLS))
        check_choice("head", self.head, HEADS)
        check_flag("covariates", self.covariates)
        for name in ("layers", "width", "components"):
            check_integer(name, getattr(self, name), minimum=1)
        if self.block is not None:
            check_integer("block", self.block, minimum=1)
        check_frame_sizes(self.hidden)
        check_number("dropout", self.dropout, low=0, below=1)
        check_number("min_scale", self.min_scale, low=0)
        if self.covariates and (self.conditioned or self.classes is not None):
            raise ParameterError(
                "covariates says that the context is by steps, conditioned and classes that it is "
                "one a sequence; use one of them (and repeat in every step what is one a "
                "sequence)."
            )
        self._check_scaling()

    def _check_scaling(self) -> None:
        if self.scaling is None:
            return
        if isinstance(self.scaling, str):
            check_choice("scaling", self.scaling, ("context",))
            if self.classes is not None or self.context_kind is None:
                raise ParameterError(
                    "scaling='context' needs a context whose first number is the scale: "
                    "conditioned=True or covariates=True."
                )
            return
        check_integer("scaling", self.scaling, minimum=1)

    @property
    def _given(self) -> int:
        """How many first elements are given."""
        return int(self.scaling) if isinstance(self.scaling, int) else 0

    # ---- learning -----------------------------------------------------------------------------

    def _fit(
        self, sequences: Sequences, *, validation: Sequences | None, context: Tensor | None
    ) -> tuple[RecurrentLaw, Fit]:
        if not len(sequences.values):
            raise DataError("data is empty: none of its sequences has an element.")
        for held, name in ((sequences, "data"), (validation, "validation")):
            if held is not None:
                held.require_length(self._given + bool(self._given), name)
        space, form = sequences.space, self._learnt_form(context)
        block = self.block or _BLOCK
        stretches = Stretches(sequences, context, block, self._given, self._settings)

        def build() -> RecurrentNetwork:
            return RecurrentNetwork(
                element_of(
                    space, self.head, self.width, components=self.components,
                    hidden=self.hidden, min_scale=float(self.min_scale),
                ),
                self.cell,
                self.layers,
                dropout=float(self.dropout),
                context=0 if form is None else form.size or 0,
                scaled=self.scaling == "context",
            )  # fmt: skip

        def objective(network: RecurrentNetwork) -> tuple[Loss, Callable[[], float] | None]:
            self._learn_elements(network, stretches)
            size = self._settings.batch_size

            def loss(step: int, generator: torch.Generator) -> Tensor:
                drawn = stretches(size, generator, step)
                total, terms = _scored(network, drawn, self._given, isinstance(space, Count))
                return -total / max(terms, 1)

            if validation is None:
                return loss, None
            held_out = Stretches(
                validation, validation.context, block, self._given, self._settings
            )
            return loss, _score(network, held_out, self._settings)

        network, fit = self._trained(
            build, sequences.given(context), objective, augments=True,
            epoch=-(-stretches.count // self._settings.batch_size),
        )  # fmt: skip
        return RecurrentLaw(network, space, form, n_given=self._given), fit

    def _learn_elements(self, network: RecurrentNetwork, stretches: Stretches) -> None:
        """Let the head learn place and size of the data, of some stretches."""
        if isinstance(stretches.space, Categorical):
            return
        generator = torch.Generator().manual_seed(seed_of(self._settings.seed, _STREAM, 1))
        drawn = stretches(1024, generator)
        drawn = _placed(drawn, network.start.device)
        scale = _scale_of(network, drawn, self._given, isinstance(stretches.space, Count))
        chosen = drawn.counted
        network.element.learn(
            drawn.x[:, 1:][chosen], None if scale is None else scale.masked(chosen)
        )


def _placed(drawn: Stretch, device: torch.device) -> Stretch:
    return Stretch(*(None if part is None else part.to(device) for part in drawn))  # type: ignore[arg-type]


def _scale_of(network: RecurrentNetwork, drawn: Stretch, given: int, counts: bool) -> Scale | None:
    """The scale of each stretch, as the law finds it."""
    if network.scaled:
        assert drawn.context is not None
        return context_scale(drawn.context)
    return prefix_scale(drawn.x[:, 1 : 1 + given], counts) if given else None


def _scored(
    network: RecurrentNetwork, drawn: Stretch, given: int, counts: bool
) -> tuple[Tensor, int]:
    """The log-probability of all terms of some stretches, nats, and how many these are."""
    drawn = _placed(drawn, network.start.device)
    scale = _scale_of(network, drawn, given, counts)
    before, after, chosen = drawn.x[:, :-1], drawn.x[:, 1:], drawn.counted
    shifted = scale
    if scale is not None and scale.size.shape[1] > 1:  # an element has the scale of its own step
        shifted = Scale(*(torch.cat([part[:, :1], part[:, :-1]], dim=1) for part in scale))
    x = network.element.embed(before, shifted)
    first = torch.where(drawn.fresh[:, None], network.start, x[:, 0])
    x = torch.cat([first[:, None], x[:, 1:]], dim=1)
    units, _ = network.run(network.inputs(x, drawn.context), network.begin(len(x)))
    own = None if scale is None else scale.masked(chosen)
    terms = network.element.log_prob(units[chosen], after[chosen], own)
    return terms.sum(), int(chosen.sum())


def _score(
    network: RecurrentNetwork, held_out: Stretches, settings: Training
) -> Callable[[], float]:
    """The mean loss on a fixed set of stretches of the validation data."""
    generator = torch.Generator().manual_seed(seed_of(settings.seed, _STREAM))
    batches = min(-(-held_out.count // settings.batch_size), settings.validation_batches)
    drawn = [held_out(settings.batch_size, generator) for _ in range(max(batches, 1))]
    counts = isinstance(held_out.space, Count)

    def score() -> float:
        total, terms = 0.0, 0
        for part in drawn:
            scored, count = _scored(network, part, held_out.given, counts)
            total, terms = total - float(scored), terms + count
        return total / max(terms, 1)

    return score
