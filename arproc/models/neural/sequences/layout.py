"""How a decoder computes, told to the compiled pass over few inputs."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn

__all__ = ["ACTIVATIONS", "Affine", "Layout", "Maps", "affine"]

#: The activations that `decoder_kernels` has, by their numbers there.
ACTIVATIONS = ("squared_relu", "gelu", "gelu_tanh", "swiglu")
#: A linear map: its matrix [outputs, inputs] and its constant [outputs], if any.
Affine = tuple[Tensor, Tensor | None]


class Maps(NamedTuple):
    """The linear maps of a layer, with the gain and the constant of the norm before them."""

    qkv: Affine
    out: Affine
    up: Affine
    down: Affine


class Layout(NamedTuple):
    """A decoder as `decoder_kernels` reads it.

    Attributes:
        table: the embeddings, [inputs, width]; None where inputs are vectors.
        layers: their linear maps.
        gain: of the last norm, [width].
        constant: likewise, or None.
        head: the matrix of the scores, [symbols, width].
        center: whether the norms take the mean away.
        epsilon: added to the mean square in them.
        unit_heads: whether queries and keys are brought to length one.
        activation: one of `ACTIVATIONS`.
        slopes: how fast a head's scores fall with the distance, [heads].
        rotary: whether queries and keys are turned by their places.
    """

    table: Tensor | None
    layers: list[Maps]
    gain: Tensor
    constant: Tensor | None
    head: Tensor
    center: bool
    epsilon: float
    unit_heads: bool
    activation: str
    slopes: Tensor
    rotary: bool


def affine(module: nn.Module, norm: nn.Module | None = None) -> Affine:
    """A linear map after a norm's gain and constant, as one.

    Args:
        module: an `nn.Linear`.
        norm: what is before it, if anything.
    """
    weight, bias = module.weight, module.bias
    if norm is None:
        return weight, bias  # type: ignore[return-value]
    constant = getattr(norm, "bias", None)
    if constant is not None:
        moved = weight @ constant
        bias = moved if bias is None else bias + moved
    return weight * norm.weight, bias  # type: ignore[operator, return-value]
