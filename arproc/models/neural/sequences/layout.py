"""How a decoder computes, told to the compiled pass over few inputs."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn

__all__ = ["ACTIVATIONS", "Affine", "Layout", "Maps", "affine"]

#: The activations that `decoder_kernels` has, by their numbers there.
ACTIVATIONS = ("squared_relu", "gelu", "gelu_tanh", "swiglu")
#: A linear map: its matrix [outputs, inputs] and its constant [outputs], if any. Of a norm its
#: gain and its constant, [width].
Affine = tuple[Tensor, Tensor | None]


class Maps(NamedTuple):
    """The norms and the linear maps of a layer, as they come."""

    attention_norm: Affine
    qkv: Affine
    out: Affine
    mlp_norm: Affine
    up: Affine
    down: Affine


class Layout(NamedTuple):
    """A decoder as `decoder_kernels` reads it.

    Attributes:
        table: the embeddings, [inputs, width]; None where inputs are vectors.
        layers: their linear maps.
        norm: the last one.
        head: the matrix of the scores, [symbols, width].
        sharpness: a factor of the scores.
        center: whether the norms take the mean away.
        epsilon: added to the mean square in them.
        unit_heads: whether queries and keys are brought to length one.
        activation: one of `ACTIVATIONS`.
        slopes: how fast a head's scores fall with the distance, [heads].
        rotary: whether queries and keys are turned by their places.
        ahead: of the heads for the symbols after the next the matrices `up` and `down`.
    """

    table: Tensor | None
    layers: list[Maps]
    norm: Affine
    head: Tensor
    sharpness: float
    center: bool
    epsilon: float
    unit_heads: bool
    activation: str
    slopes: Tensor
    rotary: bool
    ahead: list[tuple[Tensor, Tensor]]


def affine(module: nn.Module) -> Affine:
    """What a linear map, or a norm, multiplies by and adds."""
    return module.weight, getattr(module, "bias", None)  # type: ignore[return-value]
