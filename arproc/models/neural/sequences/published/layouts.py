"""The names and shapes of published tensors, and of ours.

Linear maps of GPT-2 are stored transposed. Llama keeps queries, keys and values apart, and turns
feature k with feature k + dim / 2 of a head; ours are in one matrix, and neighbours turn together.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from arproc.errors import FileFormatError

__all__ = ["Layout", "layout_of", "published", "read_state"]

_PARTS: dict[str, dict[str, tuple[str, ...]]] = {
    "gpt2": {
        "attention_norm": ("ln_1",),
        "qkv": ("attn.c_attn",),
        "out": ("attn.c_proj",),
        "mlp_norm": ("ln_2",),
        "up": ("mlp.c_fc",),
        "down": ("mlp.c_proj",),
    },
    "llama": {
        "attention_norm": ("input_layernorm",),
        "qkv": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
        "out": ("self_attn.o_proj",),
        "mlp_norm": ("post_attention_layernorm",),
        "up": ("mlp.gate_proj", "mlp.up_proj"),
        "down": ("mlp.down_proj",),
    },
}
_WHOLE = {
    "gpt2": {"embedding": "wte", "position": "wpe", "norm": "ln_f"},
    "llama": {"embedding": "embed_tokens", "norm": "norm"},
}
_PREFIX = {"gpt2": "transformer.", "llama": "model."}
_LAYERS = {"gpt2": "h", "llama": "layers"}
_NORMS = ("attention_norm", "mlp_norm")
_LINEAR = {"qkv": "qkv", "out": "out", "up": "mlp", "down": "mlp"}
#: Buffers that old files hold; `attn.c_attn.bias` is none of them.
_BUFFERS = re.compile(r"h\.\d+\.attn\.(bias|masked_bias)|.*rotary_emb\.inv_freq")


class Layout(NamedTuple):
    """One of our tensors, and those that it is made of: side by side, and perhaps transposed."""

    ours: str
    theirs: tuple[str, ...]
    transposed: bool


def layout_of(family: str, arguments: Mapping[str, Any]) -> Iterator[Layout]:
    """The tensors of a network of these arguments, theirs without the prefix."""
    layered = arguments["norm"] == "layer"
    for ours, name in _WHOLE[family].items():
        yield Layout(f"{ours}.weight", (f"{name}.weight",), False)
        if ours == "norm" and layered:
            yield Layout(f"{ours}.bias", (f"{name}.bias",), False)
    if not arguments["tied"]:
        yield Layout("head.weight", ("lm_head.weight",), False)
    for number in range(arguments["layers"]):
        for ours, theirs in _PARTS[family].items():
            linear = ours not in _NORMS
            biased = _LINEAR[ours] in arguments["biases"] if linear else layered
            for kind in ("weight", "bias") if biased else ("weight",):
                names = tuple(f"{_LAYERS[family]}.{number}.{name}.{kind}" for name in theirs)
                turned = family == "gpt2" and linear and kind == "weight"
                yield Layout(f"layers.{number}.{ours}.{kind}", names, turned)


def read_state(
    family: str,
    arguments: Mapping[str, Any],
    names: list[str],
    get: Callable[[str], Tensor],
) -> dict[str, Tensor]:
    """Our tensors, made of theirs.

    Args:
        family: "gpt2" or "llama".
        arguments: of the network.
        names: of the tensors in the files.
        get: gives one of them.

    Raises:
        FileFormatError: a tensor is not there, or there is one too many.
    """
    prefix = _PREFIX[family]
    known = {name.removeprefix(prefix): name for name in names}
    state, used = {}, set()
    for ours, theirs, transposed in layout_of(family, arguments):
        for name in theirs:
            if name not in known:
                raise FileFormatError(
                    f"the weights have no tensor {name!r}, which config.json speaks of."
                )
        used |= set(theirs)
        parts = [get(known[name]) for name in theirs]
        if ours.split(".")[-2] == "qkv" and arguments["positions"] == "rotary":
            parts[:2] = [interleaved(part, arguments["dim"], name)
                         for part, name in zip(parts[:2], theirs, strict=False)]  # fmt: skip
        state[ours] = _joined(parts, theirs, transposed)
    if arguments["tied"] and "lm_head.weight" in known:
        used.add("lm_head.weight")
        if not torch.equal(get(known["lm_head.weight"]), state["embedding.weight"]):
            raise FileFormatError(
                "config.json ties the head to the embedding, and the weights have another "
                "'lm_head.weight'."
            )
    for name in sorted(known.keys() - used):
        if not _BUFFERS.fullmatch(name):
            raise FileFormatError(
                f"the weights have a tensor {known[name]!r} that config.json does not speak of."
            )
    return state


def _joined(parts: list[Tensor], names: tuple[str, ...], transposed: bool) -> Tensor:
    if len({(part.ndim, part.shape[1:]) for part in parts}) > 1:
        raise FileFormatError(
            f"the tensors {', '.join(names)} have shapes {[tuple(p.shape) for p in parts]}, which "
            "do not go together."
        )
    whole = parts[0] if len(parts) == 1 else torch.cat(parts)
    return whole.T.contiguous() if transposed else whole


def interleaved(x: Tensor, dim: int, name: str) -> Tensor:
    """Rows k and k + dim / 2 of each head side by side."""
    if x.ndim == 0 or x.shape[0] % dim or dim % 2:
        raise FileFormatError(
            f"the tensor {name!r} has shape {tuple(x.shape)}; its heads are {dim} wide."
        )
    return x.unflatten(0, (-1, 2, dim // 2)).transpose(1, 2).flatten(0, 2)


def _halved(x: Tensor, dim: int) -> Tensor:
    """What `interleaved` undoes."""
    return x.unflatten(0, (-1, dim // 2, 2)).transpose(1, 2).flatten(0, 2)


def published(
    family: str, arguments: Mapping[str, Any], state: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Their tensors, made of ours."""
    prefix, dim = _PREFIX[family], arguments["dim"]
    queries, keys = arguments["heads"] * dim, arguments["kv_heads"] * dim
    found = {}
    for ours, theirs, transposed in layout_of(family, arguments):
        whole = state[ours].T if transposed else state[ours]
        parts = [whole]
        if len(theirs) == 3:
            q, k, v = whole.split([queries, keys, keys])
            parts = [_halved(q, dim), _halved(k, dim), v]
        elif len(theirs) == 2:
            parts = list(whole.chunk(2))
        for name, part in zip(theirs, parts, strict=True):
            at = name if name.startswith("lm_head") else prefix + name
            found[at] = part.contiguous()
    return found
