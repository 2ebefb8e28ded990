"""The parameters of a transformer's network, checked, and the network that they describe."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from arproc.errors import ParameterError, check_choice, check_flag, check_integer, check_number
from arproc.models.neural.sequences.decoder import Decoder
from arproc.models.neural.sequences.network import SequenceNetwork
from arproc.models.neural.sequences.standard import (
    ACTIVATIONS,
    BIASES,
    NORMS,
    POSITIONS,
    StandardDecoder,
)

__all__ = ["CHOICES", "check_choices", "check_sizes", "new_network"]

#: The parameters any of which makes the network a `StandardDecoder`.
CHOICES = (
    "positions", "norm", "activation", "hidden", "kv_heads", "tied", "biases", "rotary_base",
    "rotary_scaling",
)  # fmt: skip
_SETS = {"positions": POSITIONS, "norm": NORMS, "activation": ACTIVATIONS}


def check_sizes(layers: Any, heads: Any, width: Any) -> None:
    """Raise `ParameterError` unless these are sizes of a network."""
    for name, value in (("layers", layers), ("heads", heads), ("width", width)):
        check_integer(name, value, minimum=1)
    if width % (2 * heads):
        raise ParameterError(
            f"width must be a multiple of twice the heads, {2 * heads}; got {width}."
        )


def check_choices(choices: Mapping[str, Any], heads: int) -> None:
    """Raise `ParameterError` unless the choices given are some that a network can have."""
    for name, value in choices.items():
        if name in _SETS:
            check_choice(name, value, _SETS[name])
        elif name in ("hidden", "kv_heads"):
            check_integer(name, value, minimum=1)
        elif name == "tied":
            check_flag(name, value)
        elif name == "rotary_base":
            check_number(name, value, above=0)
    check_biases(choices.get("biases", ()))
    if heads % choices.get("kv_heads", 1):
        raise ParameterError(
            f"kv_heads must divide the heads, {heads}; got {choices['kv_heads']}."
        )
    rotary = [name for name in ("rotary_base", "rotary_scaling") if name in choices]
    if rotary and choices.get("positions", "rotary") != "rotary":
        raise ParameterError(
            f"{rotary[0]} is for rotary positions, and positions is {choices['positions']!r}; "
            "leave it out."
        )
    if "rotary_scaling" in choices:
        check_scaling(choices["rotary_scaling"])


def check_biases(biases: Any) -> None:
    if isinstance(biases, str) or not isinstance(biases, (list, tuple)):
        raise ParameterError(f"biases must be a list of some of {BIASES}; got {biases!r}.")
    for name in biases:
        check_choice("biases", name, BIASES)


def check_scaling(scaling: Any) -> None:
    """Raise `ParameterError` unless this is a scaling that `rotary_angles` takes."""
    hint = (
        "rotary_scaling must be one positive number (a factor), or four: factor, low, high with "
        f"low < high, and the original length; got {scaling!r}."
    )
    if not isinstance(scaling, (list, tuple)) or len(scaling) not in (1, 4):
        raise ParameterError(hint)
    for number in scaling:
        check_number("rotary_scaling", number, above=0)
    if len(scaling) == 4 and not scaling[1] < scaling[2]:
        raise ParameterError(hint)


def new_network(
    choices: Mapping[str, Any], symbols: int, *, block: int, **sizes: Any
) -> SequenceNetwork:
    """A network with random weights: our own recipe where none of the usual choices is given."""
    if not choices:
        return Decoder(symbols, **sizes)
    named = dict(choices)
    for name in ("biases", "rotary_scaling"):
        if name in named:
            named[name] = tuple(named[name])
    if named.get("positions") == "learned":
        named["limit"] = block
    return StandardDecoder(symbols, **sizes, **named)
