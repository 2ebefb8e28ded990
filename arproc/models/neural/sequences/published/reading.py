"""A folder of published weights as a law, with the parameters that describe it."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch

from arproc.errors import (
    DataError,
    FileFormatError,
    ParameterError,
    check_integer,
)
from arproc.models.neural.sequences.law import TransformerLaw
from arproc.models.neural.sequences.published.config import network_arguments
from arproc.models.neural.sequences.published.files import (
    opened_tensors,
    read_json,
    tokenizer_of,
)
from arproc.models.neural.sequences.published.layouts import read_state
from arproc.models.neural.sequences.standard import StandardDecoder
from arproc.spaces import Categorical

__all__ = ["read_published"]

#: Which of the network's arguments are the model's parameters too.
_PARAMETERS = (
    "layers", "heads", "width", "block", "positions", "norm", "activation", "hidden", "kv_heads",
    "tied", "biases", "rotary_base", "rotary_scaling",
)  # fmt: skip


def read_published(
    folder: str | os.PathLike[str],
    *,
    start: str | int | None,
    end: bool | str | int,
    attention_window: int | None,
) -> tuple[TransformerLaw, dict[str, Any]]:
    """The law of published weights, and the parameters of a `Transformer` of its kind.

    See `Transformer.from_pretrained`.
    """
    if not isinstance(folder, (str, os.PathLike)) or not os.path.isdir(folder):
        raise DataError(
            f"There is no folder {str(folder)!r}; expected one with config.json, "
            "model.safetensors and tokenizer.json."
        )
    folder = Path(folder)
    entries = read_json(folder / "config.json")
    arguments = network_arguments(entries)
    defaults = read_json(folder / "generation_config.json", optional=True)
    bare = entries.get("start_is_input_only") is True
    bos, eos = (_named(entries, defaults, f"{name}_token_id") for name in ("bos", "eos"))
    vocabulary = tokenizer_of(folder, without=bos if bare and isinstance(bos, int) else None)
    rows = arguments["symbols"]
    first = _first(start, bos, vocabulary, rows)
    last = _last(end, eos, vocabulary, rows)
    if bare and first == rows - 1:  # one more row than there are symbols, for the start alone
        arguments["symbols"] = rows - 1
    sliding = attention_window
    if attention_window is not None:
        check_integer("attention_window", attention_window, minimum=1)
        arguments["window"] = attention_window
    elif arguments["window"] < arguments["block"]:
        sliding = arguments["window"]
    parameters = {k: arguments[k] for k in _PARAMETERS if arguments.get(k) is not None}
    parameters |= {"attention_window": sliding, "end": last is not None}
    parameters["tokens"] = arguments["symbols"] if vocabulary is None else vocabulary
    network = _filled(folder, entries["model_type"], arguments, first, rows)
    if vocabulary is not None and len(vocabulary) > arguments["symbols"]:
        raise FileFormatError(
            f"the tokenizer in {str(folder)!r} has {len(vocabulary)} tokens, and config.json "
            f"speaks of {arguments['symbols']}."
        )
    space = Categorical(arguments["symbols"], vocabulary, last)
    return TransformerLaw(network, space), parameters


def _filled(
    folder: Path, kind: str, arguments: dict[str, Any], start: int, rows: int
) -> StandardDecoder:
    """The network with the weights of the files."""
    family = "gpt2" if kind == "gpt2" else "llama"
    with ExitStack() as stack:
        names, get = opened_tensors(folder, stack)
        state = read_state(family, arguments, names, get)
    if "head.weight" in state and len(state["head.weight"]) == rows:
        state["head.weight"] = state["head.weight"][: arguments["symbols"]].contiguous()
    own = {k: v for k, v in arguments.items() if k != "block"}
    if own["positions"] == "learned":
        own["limit"] = arguments["block"]
    with torch.device("meta"):
        network = StandardDecoder(**own, start=start)
    for name, tensor in network.state_dict().items():
        if state[name].shape != tensor.shape:
            raise FileFormatError(
                f"the weights of {name} have shape {tuple(state[name].shape)}; config.json speaks "
                f"of {tuple(tensor.shape)}."
            )
    network.load_state_dict(state, assign=True)
    return network


def _named(entries: dict[str, Any], defaults: dict[str, Any], name: str) -> Any:
    value = entries.get(name)
    return defaults.get(name) if value is None else value


def _first(start: str | int | None, bos: Any, vocabulary: Any, symbols: int) -> int:
    """The token at position 0."""
    if start is not None:
        return _token("start", start, vocabulary, symbols)
    if bos is None:
        raise ParameterError(
            "config.json names no token that begins a text (bos_token_id), and the first element "
            "needs one before it; give start=, a token or its number (the end of a text often "
            "serves)."
        )
    return _number("bos_token_id", bos, symbols)


def _last(end: bool | str | int, eos: Any, vocabulary: Any, symbols: int) -> int | None:
    """The token that ends a sequence, None for streams."""
    if end is False:
        return None
    if end is not True:
        return _token("end", end, vocabulary, symbols)
    eos = eos[0] if isinstance(eos, list) and len(eos) == 1 else eos
    if eos is None or isinstance(eos, list):
        told = "names none" if eos is None else f"names {eos}"
        raise ParameterError(
            f"end=True needs the token that ends a text, and config.json {told} (eos_token_id); "
            "give end= the token or its number."
        )
    return _number("eos_token_id", eos, symbols)


def _token(name: str, value: str | int, vocabulary: Any, symbols: int) -> int:
    if isinstance(value, str):
        known = None if vocabulary is None else vocabulary.tokenizer.token_to_id(value)
        if known is None:
            raise ParameterError(f"{name} must be a token that the tokenizer has; got {value!r}.")
        value = int(known)
    return check_integer(name, value, minimum=0, maximum=symbols - 1)


def _number(name: str, value: Any, symbols: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < symbols:
        raise FileFormatError(
            f"config.json has {name} = {value!r}; expected one of the tokens 0 to {symbols - 1}."
        )
    return value
