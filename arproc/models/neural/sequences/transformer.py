"""Transformer: a decoder over symbols, with one definition of attention at any length."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from arproc.contract.sequences import Sequences
from arproc.data import intake
from arproc.data.form import Layout
from arproc.data.images import image_axes, image_layout
from arproc.data.tokenizers import categorical_space
from arproc.data.tokens import Tokens
from arproc.errors import (
    DataError,
    ParameterError,
    UnsupportedError,
    check_bytes,
    check_flag,
    check_integer,
)
from arproc.models.neural.examples import Batch, Examples
from arproc.models.neural.sequences.any_order import AgnosticSequenceNetwork
from arproc.models.neural.sequences.attention import AttentionNetwork
from arproc.models.neural.sequences.choices import (
    CHOICES,
    check_choices,
    check_sizes,
    new_network,
)
from arproc.models.neural.sequences.crop_losses import (
    context_of,
    crop_loss,
    crops_of,
    held_out_loss,
)
from arproc.models.neural.sequences.crops import (
    BatchesOfCrops,
    CropBatch,
    Crops,
    shifted,
)
from arproc.models.neural.sequences.element_law import ElementLaw
from arproc.models.neural.sequences.element_process import ElementProcess
from arproc.models.neural.sequences.fixed_size import check_fixed_size, fixed_size_space
from arproc.models.neural.sequences.law import TransformerLaw
from arproc.models.neural.sequences.network import SequenceNetwork
from arproc.models.neural.sequences.published.reading import read_published
from arproc.models.neural.sequences.published.writing import write_published
from arproc.models.neural.vectors.known_sites import KnownSitesLaw
from arproc.process import Fit
from arproc.spaces import Space
from arproc.training import Objective, Training

__all__ = ["Transformer"]

_BLOCK = 128
#: Beyond so many symbols after the next nothing is guessed, and no n-grams are longer.
_FARTHEST = 16
_NONE = {"ahead": 0, "ngrams": 1}


class Transformer(ElementProcess):
    r"""A decoder-only transformer over categorical sequences: text, bytes, any symbols.

    The input at position 0 is a start symbol and that at position j + 1 the element :math:`x_j`;
    the output at position j gives :math:`p(x_j | x_{<j})`. Each layer looks at the
    last W positions (`attention_window`), so L layers together see the last `L (W - 1) + 1`
    inputs, at any length: the likelihood of a long text and the generation of one are the same
    sliding window. Positions are rotary, so only distances count.

    It is trained on crops of `block` terms. A sequence that *ends* has its start symbol before its
    first element only. A *stream* (a single text) begins at any moment: the start symbol says that
    what came before is unknown, see `arproc.models.neural.sequences.crops.Crops`.

    Images, arrays [N, H, W], [N, C, H, W] or [N, H, W, C] of levels 0, 1, 2 ..., are sequences of
    a fixed size in raster order, a pixel's channels one after the other (ImageGPT, Chen et al.
    2020); they go in and come back in their shape.

    The network is our own recipe, or has the usual choices of published models: as soon as one of
    `positions` to `rotary_scaling` is given it is a `StandardDecoder`, in which what is not given
    is as in Llama (rotary positions, RMS norms, SwiGLU, no biases, a head of its own). Learned
    positions end after `block` of them: a longer text goes on in a fresh pass over the last half.
    `from_pretrained` reads such a model from published weights, `to_pretrained` writes them.

    With `order_agnostic=True` its examples have one size (texts of equally many tokens, arrays
    [N, T] of symbols, images), and it is trained for every order of their elements at once.

    With another `head` than "categorical", or with `covariates`, its elements are those of `RNN`:
    real numbers, counts, frames of zeros and ones, and series each on its own scale.

    The recipe: Vaswani et al. 2017, with root-mean-square norms (Zhang and Sennrich 2019), rotary
    positions (Su et al. 2021), normalised queries and keys (Henry et al. 2020) and squared ReLU
    (So et al. 2021).

    Args:
        layers: how many layers.
        heads: attention heads in each.
        width: size of the residual stream; `width / heads` must be even.
        block: how many terms a training crop has; None takes 128, and of images the whole.
        attention_window: how many positions a layer looks at; None takes `block`.
        tokens: how text is cut: "char", "byte", "word", a `Vocabulary` or a tokenizer; None for
            integers (or lists of strings), and an int where it is to say how many there are
            (the levels of images).
        end: whether sequences end (True) or are streams (False); None lets a single sequence be a
            stream, and several end.
        dropout: the share of each layer's additions that is dropped in training.
        ahead: for how many symbols after the next there are heads, trained beside the others
            with three tenths of their weight. No likelihood depends on them: they guess for
            `arproc.sampling.speculative(model, arproc.sampling.OwnHeads())`. The losses in the
            history of the training count them, those of validation do not.
        ngrams: up to how many of the last symbols together have learned vectors of their own,
            which are added to that of the last: 2 for pairs, 3 for these and triples; 1 has none.
            A table has 20,000 rows at most, which n-grams share where there are more of them.
        positions: "rotary", "learned" or "alibi".
        norm: "rms" or "layer".
        activation: of the MLP: "swiglu", "gelu", "gelu_tanh" or "squared_relu".
        hidden: size of its hidden layer; 4 times the width by default.
        kv_heads: how many heads keys and values have, a divisor of `heads` (grouped queries).
        tied: whether the head is the embedding.
        biases: which linear maps have one: some of "qkv", "out" and "mlp".
        rotary_base: the longest wavelength is about `2 pi rotary_base` positions; 10,000.
        rotary_scaling: of Llama 3.1: (factor, low, high, original length); see
            `arproc.models.neural.sequences.blocks.rotary_angles`.
        order_agnostic: whether it is trained for all orders of the elements at once, on whole
            examples of one size: a position sees those on both sides that are known, and a mask
            in the place of the others (Hoogeboom et al. 2022, ARDM). It can then be asked in any
            order (`in_order`), completes examples given any of their elements, and draws several
            at once (`in_steps`, `arproc.sampling.step_curve`); a likelihood costs a pass for each
            element.
        channel_axis: "first" for images [N, C, H, W] or "last" for [N, H, W, C]; None takes the
            axis that has 1, 3 or 4 entries.
        head: what describes the next element: "categorical"; or see `RNN`, as for the next five.
        components: of a mixture.
        min_scale: what the scales of real numbers are at least.
        scaling: of series each on its own scale.
        covariates: whether each step is conditioned on what is known of it beforehand.
        own_draws: in which share of the training stretches it sees draws of its own; see `RNN`.
        conditioned: whether each sequence is conditioned on a vector: `context` [N, c] in every
            call that takes data.
        classes: how many classes there are, where each sequence is conditioned on its label:
            `context` is then the labels [N], 0 ... classes-1.
        training: how it is trained.

    Example:
        >>> import arproc
        >>> model = arproc.Transformer(layers=1, heads=2, width=16, block=16, tokens="char",
        ...                            training=arproc.Training(steps=100, batch_size=8))
        >>> _ = model.fit("abcabcabcabc" * 20)
        >>> model.sample(1, length=6, prefix="abc", seed=0)
        ['abcabc']
    """

    no_missing = (
        "Transformer takes none: what attention sees of a missing value has no closed form. Fill "
        "the gaps, or pass the pieces between them as a list."
    )

    law_: TransformerLaw | ElementLaw | KnownSitesLaw
    network_: SequenceNetwork | AttentionNetwork | AgnosticSequenceNetwork

    def __init__(
        self,
        layers: int = 4,
        heads: int = 4,
        width: int = 128,
        *,
        block: int | None = None,
        attention_window: int | None = None,
        tokens: Any = None,
        end: bool | None = None,
        dropout: float = 0.0,
        ahead: int = 0,
        ngrams: int = 1,
        positions: str | None = None,
        norm: str | None = None,
        activation: str | None = None,
        hidden: int | None = None,
        kv_heads: int | None = None,
        tied: bool | None = None,
        biases: Sequence[str] | None = None,
        rotary_base: float | None = None,
        rotary_scaling: Sequence[float] | None = None,
        order_agnostic: bool = False,
        channel_axis: str | None = None,
        head: str = "categorical",
        components: int = 3,
        min_scale: float = 0.0,
        scaling: int | str | None = None,
        covariates: bool = False,
        own_draws: float = 0.0,
        conditioned: bool = False,
        classes: int | None = None,
        training: Training | None = None,
    ) -> None:
        self.layers = layers
        self.heads = heads
        self.width = width
        self.block = block
        self.attention_window = attention_window
        self.tokens = tokens
        self.end = end
        self.dropout = dropout
        self.ahead = ahead
        self.ngrams = ngrams
        self.positions = positions
        self.norm = norm
        self.activation = activation
        self.hidden = hidden
        self.kv_heads = kv_heads
        self.tied = tied
        self.biases = biases
        self.rotary_base = rotary_base
        self.rotary_scaling = rotary_scaling
        self.order_agnostic = order_agnostic
        self.channel_axis = channel_axis
        self.head = head
        self.components = components
        self.min_scale = min_scale
        self.scaling = scaling
        self.covariates = covariates
        self.own_draws = own_draws
        self.conditioned = conditioned
        self.classes = classes
        self.training = training

    @classmethod
    def from_pretrained(
        cls,
        folder: str | os.PathLike[str],
        *,
        start: str | int | None = None,
        end: bool | str | int = False,
        attention_window: int | None = None,
        training: Training | None = None,
    ) -> Self:
        """A fitted model with published weights: GPT-2, Llama, Mistral or Qwen2.

        The folder is in transformers' layout: config.json, the weights as safetensors in one
        file or several, tokenizer.json (without it the elements are numbers). Logits are those of
        transformers; weights of 16 bits are held in 32. A text longer than the positions that
        GPT-2 was made for goes on in a fresh pass over the last half of them; the other models
        then look at a sliding window of as many positions as they were made for.

        Args:
            folder: where the files are.
            start: the token before the first one, which the tokenizer does not add itself; a
                token or its number. None takes config.json's `bos_token_id`.
            end: whether texts end, by config.json's `eos_token_id` (True), or are streams
                (False); or the token that ends them.
            attention_window: how many positions a layer looks at, where it is not to be what
                config.json says.
            training: for a later `fit`, which begins anew.

        Raises:
            UnsupportedError: config.json has something that is not supported, or the weights are
                pickled; the message names it.
            FileFormatError: a file is damaged, or they do not go together.
            DataError: there is no such folder, or a file is not there.
            ParameterError: start or end is no token, or has to be given.

        Source: Radford et al. 2019 (GPT-2); Touvron et al. 2023 (Llama).
        """
        law, parameters = read_published(
            folder, start=start, end=end, attention_window=attention_window
        )
        form = "numpy" if law.space.vocabulary is None else "text"  # type: ignore[attr-defined]
        return cls.of(law, Fit(form=form), **parameters, training=training)

    def to_pretrained(
        self, folder: str | os.PathLike[str], max_shard_size: int | str = "5GB"
    ) -> None:
        """Write the fitted network as published weights, in transformers' layout.

        For networks of the usual choices that GPT-2 (learned positions, LayerNorm, GELU, all
        biases) or Llama, Mistral or Qwen2 (rotary positions, RMS norms, SwiGLU) have. Logits
        there are those here, as far as the window reaches. A model whose start is no symbol of
        its own has one more row of logits there, for the start, that generation suppresses.
        A tokenizer is written with its start token before each text. Heads for symbols after the
        next (`ahead`) have no place there and are left out; no likelihood depends on them.

        Args:
            folder: made where it is not there; files of these names in it are replaced, and
                weights that other files of a model hold there are removed.
            max_shard_size: how many bytes of weights a file has at most, or text as "5GB" (units
                of 1000); more go into several, with an index. A larger tensor has its own.

        Raises:
            NotFittedError: the model has no law yet.
            ParameterError: max_shard_size is no number of bytes.
            UnsupportedError: no published layout holds the network; the message says why.

        Example:
            >>> import arproc, tempfile
            >>> model = arproc.Transformer(1, 2, 16, block=8, tokens=5, kv_heads=1,
            ...                            training=arproc.Training(steps=2, batch_size=2))
            >>> _ = model.fit([0, 1, 2, 3, 4, 0, 1, 2, 3, 4])
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     model.to_pretrained(folder)
            ...     again = arproc.Transformer.from_pretrained(folder)
            >>> bool(abs(again.log_prob([0, 1, 2]) - model.log_prob([0, 1, 2])) < 1e-5)
            True
        """
        law = self.law_
        if not isinstance(law, TransformerLaw):
            what = f"the head of {law.space.describe()} elements"
            if isinstance(law, KnownSitesLaw):
                what = "a network of every order (order_agnostic=True)"
            raise UnsupportedError(
                "to_pretrained writes models of symbols from left to right; published layouts "
                f"have no place for {what}. Use save(path)."
            )
        most = check_bytes("max_shard_size", max_shard_size)
        if most < 1:
            raise ParameterError(f"max_shard_size must be positive; got {max_shard_size!r}.")
        write_published(law, folder, max(self.block or 0, law.network.window), most)

    @property
    def shape_(self) -> tuple[int, ...] | None:  # type: ignore[override]
        """The shape of one image; None for sequences of free length."""
        return self.law_.shape

    @property
    def channel_axis_(self) -> int | None:
        """Which axis of an image holds the channels, or None."""
        law = self.law_
        return None if isinstance(law, ElementLaw) else law.channel_axis

    # ---- space and layout ---------------------------------------------------------------------

    #: While a fit reads images: the shape of one, and the axis of its channels.
    _image: tuple[tuple[int, ...], int | None] | None = None

    def _opened(self, data: Any) -> Any:
        kind = Tokens.of(self.tokens).kind
        levels = kind is None or isinstance(kind, int)
        folder = isinstance(data, (str, os.PathLike)) and os.path.isdir(data)
        return intake.opened(data) if levels and folder else data

    def _infer_space(self, data: Any) -> Space:
        self._check()
        if self._by_elements:
            return self._element_space(data)
        if getattr(data, "ndim", 0) <= 2:
            if self.order_agnostic:
                return fixed_size_space(data, self.tokens)
            return categorical_space(data, self.tokens, end=self.end)
        shape = tuple(np.shape(data)[1:])
        self._image = shape, image_axes(shape, self.channel_axis)
        if self.end:
            raise ParameterError("end=True is for sequences; images have a fixed size.")
        if not math.prod(data.shape):
            raise DataError(f"data has shape {tuple(data.shape)}; expected at least one image.")
        rows = data.reshape(len(data), -1)
        space = categorical_space(rows, self.tokens, end=False)
        return replace(space, length=math.prod(shape))

    def _layout_of(self, space: Space) -> Layout | None:
        if self._image is not None:
            return image_layout(*self._image)
        return super()._layout_of(space) if space.length is None else Layout((space.length,))

    def _check(self) -> None:
        self._check_elements()
        if check_flag("order_agnostic", self.order_agnostic):
            check_fixed_size(self, by_elements=self._by_elements)
        check_sizes(self.layers, self.heads, self.width)
        check_integer("ahead", self.ahead, minimum=0, maximum=_FARTHEST)
        check_integer("ngrams", self.ngrams, minimum=1, maximum=_FARTHEST)
        for name in ("ahead", "ngrams"):
            if self._by_elements and getattr(self, name) != _NONE[name]:
                raise ParameterError(
                    f"{name} is for symbols; leave it out where head is not 'categorical', or "
                    "with covariates."
                )
        if self.attention_window is not None:
            check_integer("attention_window", self.attention_window, minimum=1)
        check_choices(self._choices, self.heads)
        symbols = self.positions == "learned" or self.tied
        if self._by_elements and symbols:
            raise ParameterError(
                "positions='learned' and tied are for symbols; leave them out where head is not "
                "'categorical', or with covariates."
            )
        if not self._by_elements and self.scaling is not None:
            raise ParameterError("scaling is for real numbers and counts; head is 'categorical'.")
        if not self._by_elements and self.own_draws:
            raise ParameterError(
                "own_draws is for other heads than 'categorical', or covariates; leave it out."
            )

    @property
    def _by_elements(self) -> bool:
        """Whether it is not of plain symbols."""
        return self.head != "categorical" or self.covariates

    @property
    def _choices(self) -> dict[str, Any]:
        """The usual choices that are given; none of them for our own recipe."""
        given = {name: getattr(self, name) for name in CHOICES}
        return {name: value for name, value in given.items() if value is not None}

    # ---- learning -----------------------------------------------------------------------------

    def _fit(
        self, sequences: Sequences, *, validation: Sequences | None, context: Tensor | None
    ) -> tuple[TransformerLaw | ElementLaw | KnownSitesLaw, Fit]:
        if self._by_elements:
            return self._fit_elements(sequences, validation, context)
        if self.order_agnostic:
            return self._fit_any_order(sequences, validation, context)
        if not len(sequences.values):
            raise DataError("data is empty: none of its sequences has an element.")
        space, form = sequences.space, self._learnt_form(context)
        layout, settings = self._layout_of(space), self._settings
        block = self.block or space.length or _BLOCK  # how many terms a training crop has
        whole = layout is not None and block >= layout.length
        if layout is not None and not whole and settings.augment is not None:
            raise ParameterError(
                f"Training(augment=...) needs whole images; block={self.block} takes parts of "
                f"them. Leave block out, or give {layout.length}."
            )

        def build() -> SequenceNetwork:
            return new_network(
                self._choices,
                space.size or 0,
                layers=self.layers,
                heads=self.heads,
                width=self.width,
                window=self.attention_window or block,
                block=block,
                dropout=float(self.dropout),
                ahead=self.ahead,
                ngrams=self.ngrams,
                context=0 if form is None else form.size or 0,
            )

        def objective(network: SequenceNetwork) -> Objective:
            score = (
                None if validation is None else held_out_loss(network, validation, block, settings)
            )
            if layout is not None and whole:
                return _of_images(network, Examples(sequences, context, settings, layout), score)
            crops = BatchesOfCrops(Crops(sequences, block), settings)

            def loss(batch: CropBatch, _: torch.Generator) -> Tensor:
                return crop_loss(
                    network, batch.inputs, batch.targets, context_of(context, batch.rows)
                )

            return Objective(crops, loss, CropBatch.terms, validation=score)

        network, fit = self._trained(
            build, sequences.given(context), objective, augments=self._image is not None,
            epoch=-(-crops_of(sequences, block) // settings.batch_size),
        )  # fmt: skip
        axis = None if self._image is None else self._image[1]
        return TransformerLaw(network, space, form, layout, axis), fit

    def _fit_any_order(
        self, sequences: Sequences, validation: Sequences | None, context: Tensor | None
    ) -> tuple[KnownSitesLaw, Fit]:
        space, form = sequences.space, self._learnt_form(context)
        sites, layout = space.length or 0, self._layout_of(space)
        assert layout is not None

        def build() -> AgnosticSequenceNetwork:
            decoder = new_network(
                self._choices, space.size or 0, layers=self.layers, heads=self.heads,
                width=self.width, window=self.attention_window or sites, block=sites,
                dropout=float(self.dropout), context=0 if form is None else form.size or 0,
            )  # fmt: skip
            return AgnosticSequenceNetwork(decoder, sites)

        network, fit = self._trained_on_examples(build, sequences, validation, context)
        axis = None if self._image is None else self._image[1]
        law = KnownSitesLaw(
            network, space, form, layout=layout, seed=self._settings.seed, channel_axis=axis
        )
        return law, fit

    def _fit_elements(
        self, sequences: Sequences, validation: Sequences | None, context: Tensor | None
    ) -> tuple[ElementLaw, Fit]:
        block = self.block or _BLOCK

        def build(size: int) -> AttentionNetwork:
            decoder = new_network(
                self._choices, self.width, layers=self.layers, heads=self.heads,
                width=self.width, window=self.attention_window or block + self._given,
                block=block, dropout=float(self.dropout), embedded=True,
            )  # fmt: skip
            scaled = self.scaling == "context"
            element = self._element(sequences.space)
            return AttentionNetwork(element, decoder, context=size, scaled=scaled)

        return self._learnt_elements(build, sequences, validation, context)


def _of_images(
    network: SequenceNetwork, examples: Examples, score: Callable[[], float] | None
) -> Objective:
    """What a network of whole images is trained by."""

    def loss(batch: Batch, _: torch.Generator) -> Tensor:
        return crop_loss(network, *shifted(batch.x, network.start), batch.context)

    return Objective(lambda step, _: examples.batch(step), loss, validation=score)
