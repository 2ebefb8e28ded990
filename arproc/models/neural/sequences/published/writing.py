"""A transformer's law as a folder of published weights."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from arproc.data.tokenizers import TokenizerVocabulary
from arproc.errors import UnsupportedError
from arproc.models.neural.sequences.law import TransformerLaw
from arproc.models.neural.sequences.published.files import write_tensors
from arproc.models.neural.sequences.published.layouts import layout_of, published
from arproc.models.neural.sequences.standard import StandardDecoder

__all__ = ["write_published"]

_GPT2: dict[str, Any] = {
    "positions": "learned",
    "norm": "layer",
    "biases": ["mlp", "out", "qkv"],
}
_LLAMA: dict[str, Any] = {"positions": "rotary", "norm": "rms", "activation": "swiglu"}
_GELUS = {"gelu_tanh": "gelu_new", "gelu": "gelu"}
#: By the biases: the kind of Llama-like model, and what its config says of them.
_KINDS: dict[tuple[str, ...], tuple[str, dict[str, Any]]] = {
    (): ("llama", {"attention_bias": False, "mlp_bias": False}),
    ("qkv",): ("qwen2", {}),
    ("out", "qkv"): ("llama", {"attention_bias": True, "mlp_bias": False}),
    ("mlp",): ("llama", {"attention_bias": False, "mlp_bias": True}),
    ("mlp", "out", "qkv"): ("llama", {"attention_bias": True, "mlp_bias": True}),
}


def write_published(
    law: TransformerLaw, folder: str | os.PathLike[str], block: int, most: int
) -> None:
    """Write a law's network in transformers' layout; see `Transformer.to_pretrained`.

    Args:
        law: of a `StandardDecoder`.
        folder: made where it is not there.
        block: how many positions the model was made for.
        most: how many bytes of weights a file has at most.
    """
    network, family = law.network, _family(law)
    assert isinstance(network, StandardDecoder)
    arguments = _arguments(network)
    rows = len(network.embedding.weight)
    named = network.state_dict()
    named = {k: v for k, v in named.items() if not k.startswith("ahead.")}  # only guess
    state = {k: v.detach().cpu() for k, v in named.items()}
    if "head.weight" in state and rows > network.symbols:  # the start has no output of its own
        none = state["head.weight"].new_zeros(
            rows - network.symbols, network.embedding.embedding_dim
        )
        state["head.weight"] = torch.cat([state["head.weight"], none])
    wanted = {layout.ours for layout in layout_of(family, arguments)}
    if other := sorted(wanted ^ state.keys()):
        raise UnsupportedError(
            f"The network has other parts than it was made with ({other[0]}); take adapters out "
            "first, or merge them into the weights."
        )
    tokenizer = _tokenizer(law)
    entries = _gpt2(arguments) if family == "gpt2" else _llama(arguments, block)
    entries |= _tokens(law, network, rows) | {"tie_word_embeddings": arguments["tied"]}
    _write(Path(folder), entries, published(family, arguments, state), tokenizer, most)


def _family(law: TransformerLaw) -> str:
    """Whose layout holds the network."""
    network = law.network
    if not isinstance(network, StandardDecoder):
        raise UnsupportedError(
            "This network is our own recipe, which no published layout holds; fit a Transformer "
            'with the usual choices (positions="rotary", say).'
        )
    if network.given is not None:
        raise UnsupportedError("This law has a context, which no published layout holds.")
    if network.ngrams is not None:
        raise UnsupportedError(
            "This network has vectors of n-grams (ngrams), which no published layout holds."
        )
    have = _arguments(network) | {"biases": sorted(network.arguments.get("biases", ()))}
    gpt2 = {**_GPT2, "activation": have["activation"] if have["activation"] in _GELUS else "gelu"}
    gpt2["kv_heads"] = have["heads"]
    wanted = {"learned": gpt2, "rotary": _LLAMA}.get(have["positions"], _LLAMA)
    for name, value in wanted.items():
        if have[name] != value:
            raise _refusal(name, have[name], value)
    if wanted is _LLAMA:
        if tuple(have["biases"]) not in _KINDS:
            raise _refusal("biases", have["biases"], " or ".join(map(str, map(list, _KINDS))))
        return "llama"
    for name, value in (("window", network.limit), ("dim", have["width"] // have["heads"])):
        if have[name] < (value or 0):
            raise _refusal(name, have[name], f"{value} (all positions)")
    return "gpt2"


def _refusal(name: str, value: Any, wanted: Any) -> UnsupportedError:
    return UnsupportedError(
        f"No published layout holds this network: {name} is {value!r}; expected {wanted!r}."
    )


def _arguments(network: StandardDecoder) -> dict[str, Any]:
    """All arguments of a network, defaults included."""
    first: Any = network.layers[0]
    return {
        "norm": "rms", "biases": (), "tied": False, "rotary_base": network.rotary_base,
        "rotary_scaling": network.rotary_scaling, "epsilon": network.norm.eps,
    } | dict(network.arguments) | {
        "dim": network.dim, "heads": network.heads, "kv_heads": network.kv_heads,
        "width": network.embedding.embedding_dim, "layers": len(network.layers),
        "hidden": first.down.in_features, "positions": network.positions,
        "activation": network.activation, "window": network.window, "limit": network.limit,
    }  # fmt: skip


def _gpt2(arguments: dict[str, Any]) -> dict[str, Any]:
    return {
        "model_type": "gpt2",
        "architectures": ["GPT2LMHeadModel"],
        "activation_function": _GELUS[arguments["activation"]],
        "layer_norm_epsilon": arguments["epsilon"],
        "n_embd": arguments["width"],
        "n_head": arguments["heads"],
        "n_layer": arguments["layers"],
        "n_inner": arguments["hidden"],
        "n_positions": arguments["limit"],
    }


def _llama(arguments: dict[str, Any], block: int) -> dict[str, Any]:
    kind, biases = _KINDS[tuple(sorted(arguments["biases"]))]
    window, scaling = arguments["window"], arguments["rotary_scaling"]
    entries: dict[str, Any] = {}
    if kind == "llama" and window < block and not arguments["biases"]:
        kind, biases, entries = "mistral", {}, {"sliding_window": window}
    elif kind == "qwen2" and window < block:
        entries = {"use_sliding_window": True, "sliding_window": window, "max_window_layers": 0}
    elif kind == "llama":
        block = window
    name = {"llama": "Llama", "mistral": "Mistral", "qwen2": "Qwen2"}[kind]
    rotary: dict[str, Any] | None = None
    if scaling is not None:
        names = ("factor", "low_freq_factor", "high_freq_factor")
        rotary = dict(zip(names, scaling, strict=False))
        rotary["rope_type"] = "linear" if len(scaling) == 1 else "llama3"
        if len(scaling) == 4:
            rotary["original_max_position_embeddings"] = int(scaling[3])
    return {
        "model_type": kind,
        "architectures": [f"{name}ForCausalLM"],
        "hidden_act": "silu",
        "hidden_size": arguments["width"],
        "intermediate_size": arguments["hidden"],
        "num_hidden_layers": arguments["layers"],
        "num_attention_heads": arguments["heads"],
        "num_key_value_heads": arguments["kv_heads"],
        "head_dim": arguments["dim"],
        "max_position_embeddings": block,
        "rms_norm_eps": arguments["epsilon"],
        "rope_theta": arguments["rotary_base"],
        "rope_scaling": rotary,
        **biases,
        **entries,
    }


def _tokens(law: TransformerLaw, network: StandardDecoder, rows: int) -> dict[str, Any]:
    found: dict[str, Any] = {
        "vocab_size": rows,
        "bos_token_id": network.start,
        "eos_token_id": law.space.end,
        "dtype": "float32",
    }
    if rows > network.symbols:
        found["start_is_input_only"] = True
    return found


def _tokenizer(law: TransformerLaw) -> str | None:
    """The tokenizer as JSON, with the start before every text, as the law has it."""
    vocabulary = getattr(law.space, "vocabulary", None)
    if not isinstance(vocabulary, TokenizerVocabulary) or "tokenizer" not in vocabulary.to_dict():
        return None
    from tokenizers import Tokenizer, processors  # type: ignore[import-not-found, unused-ignore]

    tokenizer = Tokenizer.from_str(vocabulary.to_dict()["tokenizer"])
    own = (("<|end|>", law.space.end), ("<|start|>", law.network.start))
    for name, number in own:  # those that the law has beyond the tokenizer's
        if number is not None and number >= len(vocabulary):
            tokenizer.add_special_tokens([name])
            if tokenizer.token_to_id(name) != number:
                raise UnsupportedError(
                    f"The tokenizer of {len(vocabulary)} tokens can not hold {name!r} as number "
                    f"{number}."
                )
    start = law.network.start
    token = tokenizer.id_to_token(start)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{token} $A", pair=f"{token} $A $B", special_tokens=[(token, start)]
    )
    found: str = tokenizer.to_str()
    return found


def _write(
    folder: Path,
    entries: dict[str, Any],
    tensors: dict[str, Tensor],
    tokenizer: str | None,
    most: int,
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    defaults = {k: entries[k] for k in ("bos_token_id", "eos_token_id")}
    if "start_is_input_only" in entries:
        defaults["suppress_tokens"] = [entries["bos_token_id"]]
    texts = {"config.json": json.dumps(entries, indent=2),
             "generation_config.json": json.dumps(defaults, indent=2)}  # fmt: skip
    if tokenizer is not None:
        found = json.loads(tokenizer)
        names = {token["id"]: token["content"] for token in found["added_tokens"]}
        special = {k: names.get(entries[f"{k}_id"]) for k in ("bos_token", "eos_token")}
        texts["tokenizer.json"] = tokenizer
        texts["tokenizer_config.json"] = json.dumps(
            {"tokenizer_class": "PreTrainedTokenizerFast"}
            | {k: v for k, v in special.items() if v is not None}
        )
    write_tensors(folder, tensors, most)
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
