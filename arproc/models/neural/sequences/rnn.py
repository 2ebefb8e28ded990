"""RNN: recurrent networks over symbols, counts, real numbers and frames of zeros and ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from arproc.contract.sequences import Sequences
from arproc.errors import check_choice, check_integer
from arproc.models.neural.sequences.element_choice import check_frame_sizes
from arproc.models.neural.sequences.element_law import ElementLaw
from arproc.models.neural.sequences.element_process import ElementProcess
from arproc.models.neural.sequences.recurrent import CELLS, RecurrentNetwork
from arproc.process import Fit
from arproc.spaces import Space
from arproc.training import Training

__all__ = ["RNN"]


class RNN(ElementProcess):
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
    memory without content; see `arproc.models.neural.sequences.crops.Crops`. A single sequence
    is taken for a part of a longer one; of several pieces of frames each begins where it begins.

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
        >>> import arproc
        >>> model = arproc.RNN("gru", width=16, block=12, tokens="char",
        ...                    training=arproc.Training(steps=60, batch_size=8, lr=0.02))
        >>> model.fit("abcabcabcabc" * 20).sample(1, length=6, prefix="abc", seed=0)
        ['abcabc']
    """

    no_missing = (
        "RNN takes none: what the layers remember after a missing value has no closed form. "
        "Fill the gaps, or pass the pieces between them as a list."
    )

    law_: ElementLaw
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
        own_draws: float = 0.0,
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
        self.own_draws = own_draws
        self.conditioned = conditioned
        self.classes = classes
        self.covariates = covariates
        self.training = training

    def _infer_space(self, data: Any) -> Space:
        check_choice("cell", self.cell, tuple(CELLS))
        for name in ("layers", "width"):
            check_integer(name, getattr(self, name), minimum=1)
        check_frame_sizes(self.hidden)
        self._check_elements()
        return self._element_space(data)

    def _fit(
        self, sequences: Sequences, *, validation: Sequences | None, context: Tensor | None
    ) -> tuple[ElementLaw, Fit]:
        def build(size: int) -> RecurrentNetwork:
            return RecurrentNetwork(
                self._element(sequences.space, self.hidden),
                self.cell,
                self.layers,
                dropout=float(self.dropout),
                context=size,
                scaled=self.scaling == "context",
            )

        return self._learnt_elements(build, sequences, validation, context)
