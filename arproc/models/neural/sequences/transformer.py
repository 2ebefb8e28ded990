"""Transformer: a decoder over symbols, with one definition of attention at any length."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.distributions import Distribution

from arproc.contract.sequences import Layout, Sequences
from arproc.contract.state import State
from arproc.data import intake
from arproc.data.images import image_axes, image_layout
from arproc.data.tokenizers import categorical_space
from arproc.distributions import Categorical, from_uniform
from arproc.errors import DataError, ParameterError, check_integer
from arproc.models.neural.base import NeuralProcess
from arproc.models.neural.context import ContextLaw
from arproc.models.neural.examples import Examples
from arproc.models.neural.sequences.cache import KeyValueCache
from arproc.models.neural.sequences.crops import IGNORED, Crops, shifted
from arproc.models.neural.sequences.decoder import Decoder, Weights
from arproc.spaces import Space
from arproc.training import Loss, Training, seed_of

__all__ = ["Transformer", "TransformerState"]

_STREAM = 3
_BLOCK = 128


class Transformer(ContextLaw, NeuralProcess):
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

    Vaswani et al. 2017, with root-mean-square norms (Zhang and Sennrich 2019), rotary positions
    (Su et al. 2021), normalised queries and keys (Henry et al. 2020) and squared ReLU (So et al.
    2021).

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
        channel_axis: "first" for images [N, C, H, W] or "last" for [N, H, W, C]; None takes the
            axis that has 1, 3 or 4 entries.
        conditioned: whether each sequence is conditioned on a vector: `context` [N, c] in every
            call that takes data.
        classes: how many classes there are, where each sequence is conditioned on its label:
            `context` is then the labels [N], 0 ... classes-1.
        training: how it is trained.

    Attributes:
        shape_: the shape of one image; None for sequences of free length.
        channel_axis_: which axis of it holds the channels, or None.

    Example:
        >>> import arproc
        >>> model = arproc.Transformer(layers=1, heads=2, width=16, block=16, tokens="char",
        ...                            training=arproc.Training(steps=100, batch_size=8))
        >>> _ = model.fit("abcabcabcabc" * 20)
        >>> model.sample(1, length=6, prefix="abc", seed=0)
        ['abcabc']
    """

    shape_: tuple[int, ...] | None
    channel_axis_: int | None

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
        channel_axis: str | None = None,
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
        self.channel_axis = channel_axis
        self.conditioned = conditioned
        self.classes = classes
        self.training = training

    # ---- learning -----------------------------------------------------------------------------

    def _opened(self, data: Any) -> Any:
        levels = self.tokens is None or isinstance(self.tokens, int)
        folder = isinstance(data, (str, os.PathLike)) and os.path.isdir(data)
        return intake.opened(data) if levels and folder else data

    def _infer_space(self, data: Any) -> Space:
        self._check()
        shape = tuple(np.shape(data)[1:]) if getattr(data, "ndim", 0) > 2 else None
        axis = None if shape is None else image_axes(shape, self.channel_axis)
        self._image = shape, axis
        if shape is None:
            return categorical_space(data, self.tokens, end=self.end)
        if self.end:
            raise ParameterError("end=True is for sequences; images have a fixed size.")
        if not math.prod(data.shape):
            raise DataError(f"data has shape {tuple(data.shape)}; expected at least one image.")
        rows = data.reshape(len(data), -1)
        space = categorical_space(rows, self.tokens, end=False)
        return replace(space, length=math.prod(shape))

    def _geometry(self) -> tuple[tuple[int, ...] | None, int | None]:
        image = self.__dict__.get("_image")
        return (self.shape_, self.channel_axis_) if image is None else image

    def _layout_of(self, space: Space) -> Layout | None:
        shape, axis = self._geometry() if space.length is not None else (None, None)
        return super()._layout_of(space) if shape is None else image_layout(shape, axis)

    def _block(self, space: Space) -> int:
        """How many terms a training crop has."""
        return self.block or space.length or _BLOCK

    def _check(self) -> None:
        self._check_context_parameters()
        for name in ("layers", "heads", "width"):
            check_integer(name, getattr(self, name), minimum=1)
        for name in ("block", "attention_window"):
            if getattr(self, name) is not None:
                check_integer(name, getattr(self, name), minimum=1)
        if self.width % (2 * self.heads):
            raise ParameterError(
                f"width must be a multiple of twice the heads, {2 * self.heads}; got {self.width}."
            )
        if not isinstance(self.dropout, (int, float)) or not 0 <= self.dropout < 1:
            raise ParameterError(f"dropout must be at least 0 and below 1; got {self.dropout!r}.")

    def _network(self, space: Space) -> Decoder:
        return Decoder(
            space.size or 0,
            layers=self.layers,
            heads=self.heads,
            width=self.width,
            window=self.attention_window or self._block(space),
            dropout=float(self.dropout),
            context=self.__dict__.get("n_context_", 0),
        )

    def _fit(
        self, sequences: Sequences, *, validation: Sequences | None, context: Tensor | None
    ) -> None:
        self.shape_, self.channel_axis_ = self._geometry()
        self.__dict__.pop("_image", None)
        self.n_context_ = 0 if context is None else context.shape[1]

        layout, block = self._layout_of(sequences.space), self._block(sequences.space)
        whole = layout is not None and block >= layout.length
        if layout is not None and not whole and self._settings.augment is not None:
            raise ParameterError(
                f"Training(augment=...) needs whole images; block={self.block} takes parts of "
                f"them. Leave block out, or give {layout.length}."
            )

        def objective(network: nn.Module) -> tuple[Loss, Callable[[], float] | None]:
            crops, size = Crops(sequences, block), self._settings.batch_size
            examples = None
            if layout is not None and whole:
                examples = Examples(sequences, context, self._settings, layout)

            def loss(step: int, generator: torch.Generator) -> Tensor:
                if examples is not None:
                    x, given = examples.batch(step)
                    return _loss(network, *shifted(x, crops.start), given)
                inputs, targets, rows = crops(size, generator)
                return _loss(network, inputs, targets, _of(context, rows))

            return loss, None if validation is None else self._validation(network, validation)

        self._train(sequences.given(context), objective)

    @property
    def takes_augment(self) -> bool:  # type: ignore[override]
        return self.__dict__.get("shape_") is not None

    def _validation(self, network: nn.Module, held_out: Sequences) -> Callable[[], float]:
        """The mean loss on a fixed set of crops of the validation data."""
        settings = self._settings
        generator = torch.Generator().manual_seed(seed_of(settings.seed, _STREAM))
        block = self._block(held_out.space)
        crops = Crops(held_out, block)
        whole = int(held_out.n_terms.double().div(block).ceil().sum())
        batches = min(-(-whole // settings.batch_size), settings.validation_batches)
        drawn = [crops(settings.batch_size, generator) for _ in range(batches)]

        def score() -> float:
            total = terms = 0.0
            for inputs, targets, rows in drawn:
                kept = int((targets != IGNORED).sum())
                given = _of(held_out.context, rows)
                total += float(_loss(network, inputs, targets, given)) * kept
                terms += kept
            return total / terms

        return score

    # ---- conditionals -------------------------------------------------------------------------

    def _start(self, n: int, context: Tensor | None) -> State:
        network = self._fitted()
        assert isinstance(network, Decoder)
        first = torch.full((n, 1), network.symbols, device=self.device)
        weights = network.weights()
        offset = network.offset(context)
        scores, cache = KeyValueCache.empty(network, n).feed(first, weights, offset)
        return TransformerState(weights, cache, scores[:, 0])


class TransformerState(State):
    """The keys and values of the last inputs, and the scores of the next element.

    Args:
        weights: those of the network.
        cache: of the start symbol and the elements so far.
        scores: of the next element [N, symbols]; None computes them when they are asked for.
    """

    def __init__(self, weights: Weights, cache: KeyValueCache, scores: Tensor | None) -> None:
        self.weights, self.cache, self.scores = weights, cache, scores

    def _offset(self) -> Tensor | None:
        return self.cache.network.offset(self.context)

    def _conditional(self) -> Distribution:
        if self.scores is None:
            # the last input is fed again, over the cache without it
            network = self.cache.network
            last = self.history.tail(1, padding=network.symbols)
            before = self.cache.truncate(torch.ones(self.n, dtype=torch.int64))
            assert before is not None
            self.scores = before.feed(last, self.weights, self._offset())[0][:, 0]
        return Categorical(self.scores)

    def _append(self, x: Tensor) -> TransformerState:
        scores, cache = self.cache.feed(x[:, None], self.weights, self._offset())
        return TransformerState(self.weights, cache, scores[:, 0])

    def _extend(self, x: Tensor, lengths: Tensor | None) -> tuple[Distribution, TransformerState]:
        first = self.conditional
        assert isinstance(first, Categorical)
        columns, cache, offset = [first.scores[:, None]], self.cache, self._offset()
        parts: list[tuple[Tensor, KeyValueCache]] = []
        chunk = max(cache.network.window, 128)
        for begin in range(0, x.shape[1], chunk):
            block = x[:, begin : begin + chunk]
            scores, cache = cache.feed(block, self.weights, offset)
            columns.append(scores)
            if lengths is not None:
                parts += _rows_that_end(cache, lengths, begin, begin + block.shape[1])
        joined = torch.cat(columns, dim=1)
        last = joined[:, -1]
        if lengths is not None:
            order = torch.cat([rows for rows, _ in parts]).argsort()
            cache = KeyValueCache.concatenate([part for _, part in parts]).select(order)
            last = joined[torch.arange(len(x), device=x.device), lengths]
        return Categorical(joined), TransformerState(self.weights, cache, last)

    def advance(self, uniforms: Tensor) -> tuple[Tensor, State]:
        conditional, cache, drawn = self.conditional, self.cache, [self.history.slots[:, :0]]
        offset = self._offset()
        for u in uniforms.unbind(1):
            x = from_uniform(conditional, u)[:, None]
            scores, cache = cache.feed(x, self.weights, offset)
            conditional = Categorical(scores[:, 0])
            drawn.append(x)
        assert isinstance(conditional, Categorical)
        joined = torch.cat(drawn, dim=1)
        state = TransformerState(self.weights, cache, conditional.scores)
        return joined, self._carry(state, self.history.extend(joined), self.context)

    @property
    def block(self) -> int:  # type: ignore[override]
        """How many elements to draw at once: a row that has ended goes on to the block's end."""
        return 4 if self.process.space.terminates else 32

    def _select(self, rows: Tensor) -> TransformerState:
        scores = None if self.scores is None else self.scores[rows]
        return TransformerState(self.weights, self.cache.select(rows), scores)

    def _truncate(self, lengths: Tensor) -> State:
        cache = self.cache.truncate(self.lengths - lengths)
        if cache is None:
            return super()._truncate(lengths)
        return TransformerState(self.weights, cache, None)


def _rows_that_end(
    cache: KeyValueCache, lengths: Tensor, begin: int, stop: int
) -> list[tuple[Tensor, KeyValueCache]]:
    """The rows whose length lies in this chunk, and their cache at their length."""
    ends = (lengths <= stop) & ((lengths > begin) | (begin == 0))
    rows = ends.nonzero()[:, 0]
    return [(rows, cache.gather(rows, stop - lengths[rows]))] if len(rows) else []


def _of(context: Tensor | None, rows: Tensor) -> Tensor | None:
    """The contexts of some sequences."""
    return None if context is None else context[rows.to(context.device)]


def _loss(
    network: nn.Module, inputs: Tensor, targets: Tensor, context: Tensor | None = None
) -> Tensor:
    """Mean nats a term."""
    device = next(network.parameters()).device
    scores = network(inputs.to(device), None if context is None else context.to(device))
    return F.cross_entropy(scores.flatten(0, 1).float(), targets.to(device).flatten())
