"""`config.json` of published weights: which network it describes, or what in it is not supported.

Every entry is looked at: it is read, or has no part in the conditionals of a trained model, or
the file is refused by the entry's name. Defaults are those of transformers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from arproc.errors import FileFormatError, UnsupportedError

__all__ = ["FAMILIES", "network_arguments"]

#: The kinds of published models that are read.
FAMILIES = ("gpt2", "llama", "mistral", "qwen2")

#: Entries about training, generation, classification and the file itself.
_UNREAD = """
architectures model_type dtype torch_dtype transformers_version use_cache initializer_range
attn_pdrop embd_pdrop resid_pdrop attention_dropout hidden_dropout resid_dropout
classifier_dropout bos_token_id eos_token_id pad_token_id sep_token_id decoder_start_token_id
unk_token_id summary_activation summary_first_dropout summary_proj_to_labels summary_type
summary_use_proj task_specific_params n_ctx pretraining_tp reorder_and_upcast_attn
max_window_layers layer_types name_or_path id2label label2id num_labels problem_type
finetuning_task return_dict return_dict_in_generate output_attentions output_hidden_states
output_scores torchscript chunk_size_feed_forward is_decoder
max_length min_length do_sample early_stopping num_beams num_beam_groups diversity_penalty
temperature top_k top_p typical_p repetition_penalty length_penalty no_repeat_ngram_size
encoder_no_repeat_ngram_size bad_words_ids num_return_sequences remove_invalid_values
suppress_tokens begin_suppress_tokens exponential_decay_length_penalty forced_bos_token_id
forced_eos_token_id prefix tokenizer_class gradient_checkpointing start_is_input_only
"""
_ACTIVATIONS = {"gelu_new": "gelu_tanh", "gelu_pytorch_tanh": "gelu_tanh", "gelu": "gelu"}


class _Config:
    """The entries of a `config.json`, and which of them have been read."""

    def __init__(self, entries: Mapping[str, Any]) -> None:
        self.entries, self.read = entries, set(_UNREAD.split())

    def take(self, name: str, default: Any = None) -> Any:
        self.read.add(name)
        value = self.entries.get(name)
        return default if value is None else value

    def size(self, name: str, default: int | None = None) -> int:
        value = self.take(name, default)
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise FileFormatError(
                f"config.json has {name} = {value!r}; expected a positive integer."
            )
        return value

    def number(self, name: str, default: float) -> float:
        return _positive(self.take(name, default), name)

    def flag(self, name: str, default: bool) -> bool:
        value = self.take(name, default)
        if not isinstance(value, bool):
            raise FileFormatError(f"config.json has {name} = {value!r}; expected true or false.")
        return value

    def require(self, name: str, expected: Any) -> None:
        """Refuse the file unless this entry is not there or as expected."""
        if self.take(name, expected) != expected:
            raise _refusal(name, self.entries[name], f"only {expected!r} is")

    def require_all_read(self) -> None:
        """Refuse entries that nobody has looked at, save what is switched off."""
        for name, value in self.entries.items():
            if name not in self.read and not name.startswith("_") and value not in (None, False):
                raise _refusal(name, value, "leave it out if it changes nothing")


def network_arguments(entries: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of the `StandardDecoder` that a `config.json` describes.

    `window` is a sliding window's size, or how many positions the model was made for; `block` is
    the latter.

    Raises:
        UnsupportedError: something in it is not supported; the message names it.
        FileFormatError: something in it is not what it should be, or not there.
    """
    kind = entries.get("model_type")
    if kind not in FAMILIES:
        raise UnsupportedError(
            f"config.json has model_type = {kind!r}, which is not supported; expected one of "
            f"{', '.join(FAMILIES)}."
        )
    for name in entries.get("architectures") or ():
        if not str(name).endswith(("ForCausalLM", "LMHeadModel", "GPT2Model")):
            raise _refusal("architectures", name, "only language models are")
    config = _Config(entries)
    config.require("is_encoder_decoder", False)
    found = _gpt2(config) if kind == "gpt2" else _llama(config, str(kind))
    found["symbols"] = config.size("vocab_size")
    config.require_all_read()
    return found


def _gpt2(config: _Config) -> dict[str, Any]:
    for name, expected in (
        ("scale_attn_weights", True),
        ("scale_attn_by_inverse_layer_idx", False),
        ("add_cross_attention", False),
    ):
        config.require(name, expected)
    activation = config.take("activation_function", "gelu_new")
    if activation not in _ACTIVATIONS:
        raise _refusal("activation_function", activation, f"only {', '.join(_ACTIVATIONS)} are")
    width, block = config.size("n_embd"), config.size("n_positions")
    heads = config.size("n_head")
    _require_multiple("n_embd", width, heads)
    return {
        "layers": config.size("n_layer"),
        "heads": heads,
        "width": width,
        "window": block,
        "block": block,
        "hidden": config.size("n_inner", 4 * width),
        "positions": "learned",
        "norm": "layer",
        "epsilon": config.number("layer_norm_epsilon", 1e-5),
        "activation": _ACTIVATIONS[activation],
        "biases": ("qkv", "out", "mlp"),
        "tied": config.flag("tie_word_embeddings", True),
    }


def _llama(config: _Config, kind: str) -> dict[str, Any]:
    config.require("hidden_act", "silu")
    heads, width = config.size("num_attention_heads"), config.size("hidden_size")
    dim = config.take("head_dim")
    if dim is None:
        _require_multiple("hidden_size", width, heads)
    block = config.size("max_position_embeddings")
    base, scaling = _rotary(config)
    kv_heads = config.size("num_key_value_heads", {"llama": heads, "mistral": 8}.get(kind, 32))
    if heads % kv_heads:
        raise FileFormatError(
            f"config.json has num_key_value_heads = {kv_heads}, which does not divide "
            f"num_attention_heads = {heads}."
        )
    return {
        "layers": config.size("num_hidden_layers"),
        "heads": heads,
        "width": width,
        "window": _sliding(config, kind) or block,
        "block": block,
        "hidden": config.size("intermediate_size"),
        "kv_heads": kv_heads,
        "dim": width // heads if dim is None else config.size("head_dim"),
        "positions": "rotary",
        "norm": "rms",
        "epsilon": config.number("rms_norm_eps", 1e-6),
        "activation": "swiglu",
        "biases": _biases(config, kind),
        "tied": config.flag("tie_word_embeddings", False),
        "rotary_base": base,
        "rotary_scaling": scaling,
    }


def _biases(config: _Config, kind: str) -> tuple[str, ...]:
    if kind == "qwen2":
        return ("qkv",)
    if kind == "mistral":
        return ()
    attention = ("qkv", "out") if config.flag("attention_bias", False) else ()
    return (*attention, "mlp") if config.flag("mlp_bias", False) else attention


def _sliding(config: _Config, kind: str) -> int | None:
    """The size of the sliding window, None where layers see everything."""
    if kind == "llama":
        config.require("sliding_window", None)
        return None
    default = "sliding_window" not in config.entries and kind == "mistral"
    window = config.take("sliding_window", 4096 if default else None)
    if kind == "qwen2" and not config.flag("use_sliding_window", False):
        return None
    if window is None:
        return None
    layers = config.size("num_hidden_layers")
    first = config.entries.get("max_window_layers", 28) if kind == "qwen2" else 0
    types = config.entries.get("layer_types") or ["sliding_attention"] * layers
    if "layer_types" not in config.entries and first > 0:
        types = ["full_attention"] * min(first, layers) + types[first:]
    if set(types) == {"full_attention"}:
        return None
    if set(types) != {"sliding_attention"}:
        raise _refusal("layer_types", sorted(set(types)), "only layers that are all alike are")
    return config.size("sliding_window", window)


def _rotary(config: _Config) -> tuple[float, tuple[float, ...] | None]:
    """The base of rotary positions, and their scaling."""
    given = config.take("rope_parameters") or config.take("rope_scaling") or {}
    config.read |= {"rope_parameters", "rope_scaling"}
    if not isinstance(given, dict):
        raise FileFormatError(f"config.json has rope_scaling = {given!r}; expected a mapping.")
    given = dict(given)
    old = config.number("rope_theta", 10_000.0)
    base = _positive(given.pop("rope_theta", None) or old, "rope_theta")
    kind = given.pop("rope_type", None) or given.pop("type", "default")
    given.pop("type", None)
    partial = config.take("partial_rotary_factor", given.pop("partial_rotary_factor", None))
    if partial not in (None, 1.0):
        raise _refusal("partial_rotary_factor", partial, "only 1.0 is")
    if kind == "default":
        return base, None
    names = {
        "linear": ("factor",),
        "llama3": (
            "factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings",
        ),
    }.get(kind)  # fmt: skip
    if names is None:
        raise _refusal("rope_type", kind, "only default, linear and llama3 are")
    if set(given) != set(names):
        raise FileFormatError(
            f"config.json has {sorted(given)} for positions of rope_type {kind!r}; expected "
            f"{sorted(names)}."
        )
    return base, tuple(_positive(given[name], name) for name in names)


def _positive(value: Any, name: str) -> float:
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 < value < 1e300:
        raise FileFormatError(f"config.json has {name} = {value!r}; expected a positive number.")
    return float(value)


def _require_multiple(name: str, width: int, heads: int) -> None:
    if width % heads:
        raise FileFormatError(
            f"config.json has {name} = {width}, which is no multiple of its {heads} heads."
        )


def _refusal(name: str, value: Any, why: str) -> UnsupportedError:
    return UnsupportedError(f"config.json has {name} = {value!r}, which is not supported: {why}.")
