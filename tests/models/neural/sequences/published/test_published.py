"""Published weights: read, scored, drawn from, written, adapted; what is not known is named."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import arproc
from arproc import Training, Transformer
from arproc.errors import DataError, FileFormatError, ParameterError, UnsupportedError

SYMBOLS, LENGTH = 41, 29
SMALL = {"num_hidden_layers": 2, "hidden_size": 16, "intermediate_size": 24,
         "num_attention_heads": 4, "max_position_embeddings": 32}  # fmt: skip
LLAMA3 = {"rope_type": "llama3", "rope_theta": 5e5, "factor": 8.0, "low_freq_factor": 1.0,
          "high_freq_factor": 4.0, "original_max_position_embeddings": 16}  # fmt: skip
GPT2 = {"n_layer": 2, "n_embd": 16, "n_head": 4, "n_positions": 32}

KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "GPT-2": ("GPT2", GPT2),
    "GPT-2, exact GELU, another MLP, a head of its own": (
        "GPT2", GPT2 | {"activation_function": "gelu", "n_inner": 20, "tie_word_embeddings": False}
    ),
    "Llama": ("Llama", SMALL),
    "Llama, grouped, scaled": (
        "Llama", SMALL | {"num_key_value_heads": 2, "rope_parameters": LLAMA3}
    ),
    "Llama, one head of keys, stretched": (
        "Llama", SMALL | {"num_key_value_heads": 1, "rope_parameters": {
            "rope_type": "linear", "rope_theta": 100.0, "factor": 3.0}}
    ),
    "Llama with biases, tied": (
        "Llama", SMALL | {"attention_bias": True, "mlp_bias": True, "tie_word_embeddings": True}
    ),
    "Llama, wide heads": ("Llama", SMALL | {"head_dim": 6}),
    "Qwen2": ("Qwen2", SMALL | {"num_key_value_heads": 2}),
    "Qwen2 with a window": ("Qwen2", SMALL | {
        "num_key_value_heads": 2, "use_sliding_window": True, "sliding_window": 5,
        "max_window_layers": 0}),
    "Mistral": ("Mistral", SMALL | {"num_key_value_heads": 2, "sliding_window": 7}),
}  # fmt: skip


def theirs(kind: str, settings: dict[str, Any]) -> Any:
    """A network of transformers' with random weights, large enough that all of them count."""
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = getattr(transformers, f"{kind}Config")(
        vocab_size=SYMBOLS, bos_token_id=1, eos_token_id=2, initializer_range=0.4, **settings
    )
    name = "GPT2LMHeadModel" if kind == "GPT2" else f"{kind}ForCausalLM"
    network = getattr(transformers, name)(config).eval()
    for p in network.parameters():
        if p.ndim == 1:
            p.data.add_(torch.randn(p.shape) / 3)
    return network


def symbols(n: int = 3, length: int = LENGTH) -> torch.Tensor:
    return torch.randint(SYMBOLS, (n, length), generator=torch.Generator().manual_seed(3))


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A folder of each kind, made once, and their logits."""
    made: dict[str, tuple[Path, torch.Tensor]] = {}

    def folder(name: str) -> tuple[Path, torch.Tensor]:
        if name not in made:
            network = theirs(*KINDS[name])
            path = tmp_path_factory.mktemp("weights")
            network.save_pretrained(path)
            with torch.no_grad():
                made[name] = path, network(symbols()).logits
        return made[name]

    return folder


@pytest.fixture
def copied(folders, tmp_path):
    """A folder of one kind, to be spoilt."""

    def copy(name: str = "Llama") -> Path:
        path: Path = shutil.copytree(folders(name)[0], tmp_path / "copy")
        return path

    return copy


def change(folder: Path, **entries: Any) -> Path:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | entries))
    return folder


def change_tensors(folder: Path, function: Any) -> Path:
    tensors = load_file(folder / "model.safetensors")
    save_file(function(tensors), folder / "model.safetensors")
    return folder


# ---- reading ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", KINDS)
def test_logits_are_those_of_transformers(folders, name):
    path, expected = folders(name)
    model = Transformer.from_pretrained(path)
    assert float(expected.std()) > 0.3
    torch.testing.assert_close(model.network_(symbols()), expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", ["GPT-2", "Llama, grouped, scaled", "Mistral"])
def test_every_call_of_the_contract(folders, name, tmp_path):
    path, _ = folders(name)
    model = Transformer.from_pretrained(path)
    x = symbols(2, LENGTH - 1)
    first = torch.cat([torch.full((2, 1), 1), x], dim=1)
    terms = model.network_(first).log_softmax(-1)[:, :-1].gather(-1, x[..., None])[..., 0]
    np.testing.assert_allclose(model.log_prob_terms(x.numpy()), terms.numpy(), atol=1e-4)
    np.testing.assert_allclose(model.log_prob(x.numpy()), terms.double().sum(1), atol=1e-3)
    prefix = x[0, :5].numpy()
    drawn = model.sample(2, length=60, prefix=prefix, seed=0)
    np.testing.assert_array_equal(drawn[0], model.sample(1, length=60, prefix=prefix, seed=0)[0])
    greedy = model.sample(1, length=6, prefix=prefix, policy=arproc.sampling.TopK(1), seed=0)
    row = first[:1, :6]
    for _ in range(6):
        row = torch.cat([row, model.network_(row)[:, -1:].argmax(-1)], dim=1)
    assert greedy[0].tolist() == row[0, 6:].tolist()
    other = Transformer.from_pretrained(folders("Llama")[0])
    both = arproc.Mixture([model, other], weights=[0.5, 0.5])
    assert np.isfinite(both.log_prob(x.numpy())).all()
    model.save(tmp_path / "model")
    again = arproc.load(tmp_path / "model")
    np.testing.assert_array_equal(again.log_prob(x.numpy()), model.log_prob(x.numpy()))


@pytest.mark.parametrize("name", ["GPT-2", "Llama"])
def test_files_as_the_publishers_have_them(copied, folders, name):
    """No prefix, buffers among the weights, 16 bits, several files."""
    folder = copied(name)
    prefix = "transformer." if name == "GPT-2" else "model."
    tensors = {
        k.removeprefix(prefix): v.bfloat16() for k, v in
        load_file(folder / "model.safetensors").items()
    }  # fmt: skip
    if name == "GPT-2":
        tensors["h.0.attn.bias"] = torch.ones(1, 1, 32, 32)
        tensors["h.1.attn.masked_bias"] = torch.tensor(-1e4)
    else:
        tensors["layers.0.self_attn.rotary_emb.inv_freq"] = torch.ones(2)
    place = {}
    for part, keys in enumerate((sorted(tensors)[::2], sorted(tensors)[1::2])):
        file = f"model-0000{part + 1}-of-00002.safetensors"
        save_file({k: tensors[k] for k in keys}, folder / file)
        place |= dict.fromkeys(keys, file)
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": place}))
    model = Transformer.from_pretrained(folder)
    whole = Transformer.from_pretrained(folders(name)[0])
    for mine, exact in zip(model.network_.parameters(), whole.network_.parameters(), strict=True):
        assert mine.dtype == torch.float32
        torch.testing.assert_close(mine, exact.bfloat16().float(), rtol=0, atol=0)


def test_a_config_of_an_older_version(copied):
    """rope_theta and rope_scaling apart, and defaults left out."""
    folder = copied("Llama, grouped, scaled")
    expected = Transformer.from_pretrained(folder).network_(symbols())
    entries = json.loads((folder / "config.json").read_text())
    scaling = entries.pop("rope_parameters")
    entries |= {"rope_theta": scaling.pop("rope_theta"), "rope_scaling": scaling}
    for name in ("rms_norm_eps", "mlp_bias", "head_dim", "tie_word_embeddings", "dtype"):
        del entries[name]
    (folder / "config.json").write_text(json.dumps(entries))
    torch.testing.assert_close(Transformer.from_pretrained(folder).network_(symbols()), expected)


def test_starts_and_ends(folders):
    path, _ = folders("Llama")
    x = symbols(1, 9)[0].numpy()
    x = x[x != 2]
    stream = Transformer.from_pretrained(path)
    ending = Transformer.from_pretrained(path, end=True)
    other = Transformer.from_pretrained(path, start=7, end=2)
    assert (stream.space.end, ending.space.end, other.space.end) == (None, 2, 2)
    last = stream.condition(x).conditional().log_prob(torch.tensor(2))
    assert ending.log_prob(x) == pytest.approx(stream.log_prob(x) + float(last), abs=1e-4)
    assert other.network_.start == 7
    assert other.log_prob(x) != pytest.approx(ending.log_prob(x), abs=1e-3)
    for wrong in (SYMBOLS, -1, "<s>", 1.5):
        with pytest.raises(ParameterError, match="start must be"):
            Transformer.from_pretrained(path, start=wrong)
    with pytest.raises(ParameterError, match="attention_window must be at least 1"):
        Transformer.from_pretrained(path, attention_window=0)


def test_several_ends_are_asked_about(copied):
    folder = change(copied(), eos_token_id=[2, 5])
    assert Transformer.from_pretrained(folder).space.end is None
    with pytest.raises(ParameterError, match=r"config.json names \[2, 5\].*give end="):
        Transformer.from_pretrained(folder, end=True)
    assert Transformer.from_pretrained(folder, end=5).space.end == 5
    folder = change(folder, bos_token_id=None)
    (folder / "generation_config.json").unlink()
    with pytest.raises(ParameterError, match="give start="):
        Transformer.from_pretrained(folder)


@pytest.mark.parametrize(
    ("kind", "entry", "message"),
    [
        ("GPT-2", {"scale_attn_by_inverse_layer_idx": True}, "scale_attn_by_inverse_layer_idx"),
        ("GPT-2", {"scale_attn_weights": False}, "scale_attn_weights = False"),
        ("GPT-2", {"add_cross_attention": True}, "add_cross_attention"),
        ("GPT-2", {"activation_function": "relu"}, "activation_function = 'relu'"),
        ("Llama", {"model_type": "mamba"}, "model_type = 'mamba'.*expected one of gpt2, llama"),
        ("Llama", {"model_type": None}, "model_type = None"),
        ("Llama", {"hidden_act": "gelu"}, "hidden_act = 'gelu'"),
        ("Llama", {"rope_parameters": {"rope_type": "yarn", "factor": 2.0}}, "rope_type = 'yarn'"),
        ("Llama", {"rope_scaling": {"type": "dynamic", "factor": 2.0}, "rope_parameters": None},
         "rope_type = 'dynamic'"),
        ("Llama", {"partial_rotary_factor": 0.5}, "partial_rotary_factor = 0.5"),
        ("Llama", {"quantization_config": {"bits": 4}}, "quantization_config"),
        ("Llama", {"final_logit_softcapping": 30.0}, "final_logit_softcapping = 30.0"),
        ("Llama", {"sliding_window": 4}, "sliding_window = 4"),
        ("Llama", {"architectures": ["LlamaForSequenceClassification"]}, "architectures"),
        ("Qwen2 with a window", {"layer_types": ["full_attention", "sliding_attention"]},
         "layer_types"),
    ],
)  # fmt: skip
def test_what_is_not_supported_is_refused_by_name(copied, kind, entry, message):
    with pytest.raises(UnsupportedError, match=message):
        Transformer.from_pretrained(change(copied(kind), **entry))


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"hidden_size": "16"}, "hidden_size = '16'; expected a positive integer"),
        ({"num_hidden_layers": None}, "num_hidden_layers = None"),
        ({"num_hidden_layers": 10**9}, "no tensor 'layers.2.input_layernorm.weight'"),
        ({"num_hidden_layers": 1}, "tensor 'model.layers.1.*' that config.json does not speak of"),
        ({"vocab_size": 40}, "weights of embedding.weight have shape"),
        ({"intermediate_size": 25}, "weights of layers.0.up.weight have shape"),
        ({"head_dim": 3}, "heads are 3 wide"),
        ({"attention_bias": True}, "no tensor 'layers.0.self_attn.q_proj.bias'"),
        ({"num_key_value_heads": 3}, "num_key_value_heads = 3"),
        ({"rms_norm_eps": -1}, "rms_norm_eps = -1"),
        ({"bos_token_id": 41}, "bos_token_id = 41"),
        ({"tie_word_embeddings": True}, "another 'lm_head.weight'"),
        ({"tie_word_embeddings": "yes"}, "expected true or false"),
        ({"rope_parameters": {"rope_type": "linear"}}, "expected .*factor"),
        ({"rope_parameters": 3}, "expected a mapping"),
    ],
)
def test_what_does_not_go_together_is_refused(copied, entry, message):
    with pytest.raises(FileFormatError, match=message):
        Transformer.from_pretrained(change(copied(), **entry))


def test_damaged_and_missing_files_are_refused(copied):
    folder = copied()
    with pytest.raises(DataError, match="There is no folder"):
        Transformer.from_pretrained(folder / "nowhere")
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[:-100])
    with pytest.raises(FileFormatError, match="can not be read"):
        Transformer.from_pretrained(folder)
    (folder / "model.safetensors").unlink()
    with pytest.raises(DataError, match="There are no weights"):
        Transformer.from_pretrained(folder)
    (folder / "pytorch_model.bin").write_bytes(b"cos\nsystem\n")
    with pytest.raises(UnsupportedError, match=r"pytorch_model.bin, a pickle.*safetensors"):
        Transformer.from_pretrained(folder)
    for places, message in [
        ({"weight_map": {"norm.weight": "../secret.safetensors"}}, "not a file beside it"),
        ({"weight_map": {"norm.weight": "gone.safetensors"}}, "can not be read"),
        ({"weight_map": []}, "no weight_map"),
    ]:
        (folder / "model.safetensors.index.json").write_text(json.dumps(places))
        with pytest.raises(FileFormatError, match=message):
            Transformer.from_pretrained(folder)
    for text, message in [("{", "is not JSON"), ("[1]", "holds a list")]:
        (folder / "config.json").write_text(text)
        with pytest.raises(FileFormatError, match=message):
            Transformer.from_pretrained(folder)


def test_strange_tensors_are_refused(copied):
    folder = copied("GPT-2")
    kept = load_file(folder / "model.safetensors")
    key = "transformer.h.0.attn.c_attn.bias"  # no buffer, though it is called a bias
    change_tensors(folder, lambda t: {k: v for k, v in t.items() if k != key})
    with pytest.raises(FileFormatError, match=r"no tensor 'h.0.attn.c_attn.bias'"):
        Transformer.from_pretrained(folder)
    save_file(kept | {"adapter.weight": torch.ones(2)}, folder / "model.safetensors")
    with pytest.raises(FileFormatError, match=r"tensor 'adapter.weight' that config.json"):
        Transformer.from_pretrained(folder)
    save_file(kept | {key: kept[key].to(torch.float8_e4m3fn)}, folder / "model.safetensors")
    with pytest.raises(UnsupportedError, match="float8_e4m3fn"):
        Transformer.from_pretrained(folder)
    save_file(kept | {key: kept[key] * torch.nan}, folder / "model.safetensors")
    with pytest.raises(ParameterError, match="not finite"):
        Transformer.from_pretrained(folder)


# ---- beyond the positions -----------------------------------------------------------------


def test_learned_positions_go_on_in_fresh_passes(folders):
    """Each element beyond the limit is predicted from the last inputs, read from the beginning."""
    model = Transformer.from_pretrained(folders("GPT-2")[0])
    network, limit = model.network_, 32
    x = symbols(2, 90)
    inputs = torch.cat([torch.full((2, 1), 1), x], dim=1)
    expected = []
    for n in range(1, 91):
        count = n if n <= limit else limit // 2 + 1 + (n - limit - 1) % (limit - limit // 2)
        expected.append(network(inputs[:, n - count : n])[:, -1])
    scores = torch.stack(expected, dim=1).log_softmax(-1)
    terms = scores.gather(-1, x[..., None])[..., 0]
    np.testing.assert_allclose(model.log_prob_terms(x.numpy()), terms.numpy(), atol=1e-4)
    state = model.start(2).extend(x[:, :70], [70, 31])[1]
    for row, length in enumerate((70, 31)):
        grown = state.select([row]).extend(x[row : row + 1, length:])[0].scores.log_softmax(-1)
        torch.testing.assert_close(grown[0, :-1], scores[row, length:], atol=1e-4, rtol=1e-4)
    with pytest.raises(UnsupportedError, match="32 positions"):
        network(inputs)


# ---- writing ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", KINDS)
def test_written_again_they_give_equal_logits_there(folders, name, tmp_path):
    transformers = pytest.importorskip("transformers")
    path, expected = folders(name)
    Transformer.from_pretrained(path).to_pretrained(tmp_path)
    network = transformers.AutoModelForCausalLM.from_pretrained(tmp_path)
    with torch.no_grad():
        torch.testing.assert_close(network(symbols()).logits, expected, atol=1e-4, rtol=1e-4)


QUICK = Training(steps=3, batch_size=2)
GPT2_LIKE = {"positions": "learned", "norm": "layer", "activation": "gelu",
             "biases": ["qkv", "out", "mlp"], "tied": True}  # fmt: skip


@pytest.mark.parametrize("end", [False, True])
@pytest.mark.parametrize(
    "choices", [GPT2_LIKE, {"kv_heads": 1}, {"biases": ["qkv"], "attention_window": 5}]
)
def test_ours_are_read_there(choices, end, tmp_path):
    transformers = pytest.importorskip("transformers")
    x = np.arange(50) % 7
    model = Transformer(2, 2, 16, block=12, tokens=7, training=QUICK, **choices)
    model.fit([x, x[:9]] if end else x)
    model.to_pretrained(tmp_path)
    network = transformers.AutoModelForCausalLM.from_pretrained(tmp_path)
    inputs = torch.cat([torch.tensor([[model.network_.start]]), torch.as_tensor(x[None, :9])], 1)
    with torch.no_grad():
        logits = network(inputs).logits[..., : model.space.size]
    torch.testing.assert_close(logits, model.network_(inputs), atol=1e-4, rtol=1e-4)
    again = Transformer.from_pretrained(tmp_path, end=end)
    assert again.space == model.space
    np.testing.assert_allclose(again.log_prob(x), model.log_prob(x), atol=1e-4)
    assert network.generation_config.suppress_tokens == [model.network_.start]


def test_large_weights_go_into_several_files_as_there(tmp_path):
    transformers = pytest.importorskip("transformers")
    model = Transformer(2, 2, 16, block=12, tokens=40, kv_heads=1, training=QUICK)
    x = np.arange(50) % 40
    model.fit(x)
    model.to_pretrained(tmp_path, max_shard_size="6KB")
    index = json.loads((tmp_path / "model.safetensors.index.json").read_text())
    files = sorted({*index["weight_map"].values()})
    assert files == sorted(path.name for path in tmp_path.glob("*.safetensors"))
    assert files[0] == f"model-00001-of-{len(files):05d}.safetensors"
    tensors = {}
    for name in files:
        held = load_file(tmp_path / name)
        assert len(held) == 1 or sum(tensor.nbytes for tensor in held.values()) <= 6000
        tensors |= held
    assert tensors.keys() == index["weight_map"].keys()
    assert index["metadata"]["total_size"] == sum(tensor.nbytes for tensor in tensors.values())
    network = transformers.AutoModelForCausalLM.from_pretrained(tmp_path)
    inputs = torch.cat([torch.tensor([[model.network_.start]]), torch.as_tensor(x[None, :9])], 1)
    with torch.no_grad():
        torch.testing.assert_close(
            network(inputs).logits[..., :40], model.network_(inputs), atol=1e-4, rtol=1e-4
        )
    network.save_pretrained(tmp_path / "theirs", max_shard_size="6KB")
    theirs = json.loads((tmp_path / "theirs" / "model.safetensors.index.json").read_text())
    assert len({*theirs["weight_map"].values()}) == len(files)
    again = Transformer.from_pretrained(tmp_path)
    np.testing.assert_allclose(again.log_prob(x), model.log_prob(x), atol=1e-4)
    # one that fits again leaves none of the others behind, and the other way round
    model.to_pretrained(tmp_path)
    assert [path.name for path in tmp_path.glob("*.safetensors*")] == ["model.safetensors"]
    model.to_pretrained(tmp_path, 6000)
    assert not (tmp_path / "model.safetensors").exists()
    for wrong in ("much", 0, 1.5, True):
        with pytest.raises(ParameterError, match="max_shard_size must be"):
            model.to_pretrained(tmp_path, max_shard_size=wrong)


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({}, "our own recipe"),
        ({"positions": "alibi"}, "positions is 'alibi'; expected 'rotary'"),
        ({"norm": "layer"}, "norm is 'layer'"),
        ({"activation": "squared_relu"}, "activation is 'squared_relu'"),
        ({"biases": ["out"]}, "biases is"),
        (GPT2_LIKE | {"kv_heads": 1}, "kv_heads is 1; expected 2"),
        (GPT2_LIKE | {"attention_window": 3}, "window is 3"),
    ],
)
def test_what_no_layout_holds_is_refused(choices, message, tmp_path):
    model = Transformer(1, 2, 8, block=8, tokens=3, training=QUICK, **choices)
    with pytest.raises(UnsupportedError, match=message):
        model.fit(np.arange(20) % 3).to_pretrained(tmp_path / "folder")
    assert not (tmp_path / "folder").exists()


# ---- with a tokenizer ---------------------------------------------------------------------

TEXTS = ["the cat sat on the mat.", "a rat, the cat", "sat on  the hat!"]


@pytest.fixture(scope="module")
def worded(tmp_path_factory):
    """GPT-2 with a tokenizer of bytes that puts a token before every text."""
    tokenizers = pytest.importorskip("tokenizers")
    tokenizer = tokenizers.ByteLevelBPETokenizer()
    tokenizer.train_from_iterator(
        TEXTS * 5, vocab_size=290, min_frequency=1, special_tokens=["<|endoftext|>"],
        show_progress=False,
    )  # fmt: skip
    path = tmp_path_factory.mktemp("worded")
    size = tokenizer.get_vocab_size()
    network = theirs("GPT2", GPT2)
    config = network.config.__class__(**GPT2, vocab_size=size, bos_token_id=0, eos_token_id=0)
    type(network)(config).save_pretrained(path)
    inner = tokenizers.Tokenizer.from_str(tokenizer.to_str())
    inner.post_processor = tokenizers.processors.TemplateProcessing(
        single="<|endoftext|> $A", special_tokens=[("<|endoftext|>", 0)]
    )
    inner.save(str(path / "tokenizer.json"))
    return path


def test_text_goes_in_and_comes_back(worded, tmp_path):
    transformers = pytest.importorskip("transformers")
    model = Transformer.from_pretrained(worded, start="<|endoftext|>", end=True)
    numbers = model.sequences(TEXTS[0]).row(0).tolist()
    assert numbers[0] != 0  # what stands before the first token is the law's
    assert model.space.vocabulary.decode(numbers) == TEXTS[0]
    assert isinstance(model.sample(1, length=5, seed=0)[0], str)
    model.save(tmp_path / "model")
    assert arproc.load(tmp_path / "model").log_prob(TEXTS[0]) == model.log_prob(TEXTS[0])
    model.to_pretrained(tmp_path / "folder")
    again = Transformer.from_pretrained(tmp_path / "folder", end=True)
    assert again.log_prob(TEXTS).tolist() == model.log_prob(TEXTS).tolist()
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "folder")
    assert tokenizer(TEXTS[0])["input_ids"] == [0, *numbers]
    assert tokenizer.eos_token == "<|endoftext|>"


def test_ours_with_a_tokenizer_take_it_along(worded, tmp_path):
    tokens = Transformer.from_pretrained(worded).tokens
    model = Transformer(1, 2, 8, block=8, tokens=tokens, kv_heads=1, training=QUICK).fit(TEXTS)
    model.to_pretrained(tmp_path)
    again = Transformer.from_pretrained(tmp_path, end=True)
    np.testing.assert_allclose(again.log_prob(TEXTS), model.log_prob(TEXTS), rtol=1e-5)
    assert json.loads((tmp_path / "tokenizer_config.json").read_text())["eos_token"] == "<|end|>"


def test_a_damaged_tokenizer_is_refused(worded, tmp_path):
    folder = shutil.copytree(worded, tmp_path / "copy")
    (folder / "tokenizer.json").write_text('{"model": 3}')
    with pytest.raises(FileFormatError, match="is no tokenizer"):
        Transformer.from_pretrained(folder)
    shutil.copy(worded / "tokenizer.json", folder)
    with pytest.raises(ParameterError, match="end must be a token that the tokenizer has"):
        Transformer.from_pretrained(folder, end="</s>")


# ---- adapters -----------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["GPT-2", "Qwen2"])
def test_adapters_of_peft_take_effect(folders, name, tmp_path):
    peft = pytest.importorskip("peft")
    model = Transformer.from_pretrained(folders(name)[0])
    x = symbols(2, 12)
    before = model.log_prob(x.numpy())
    settings = peft.LoraConfig(r=2, target_modules=["qkv", "down"], init_lora_weights=False)
    adapted = peft.get_peft_model(model.network_, settings)
    assert adapted.get_nb_trainable_parameters()[0] > 0
    changed = model.log_prob(x.numpy())
    assert np.abs(changed - before).min() > 1e-3
    optimizer = torch.optim.SGD([p for p in adapted.parameters() if p.requires_grad], lr=1e-3)
    for _ in range(3):
        optimizer.zero_grad()
        (-model.log_prob(x).sum()).backward()
        optimizer.step()
    assert model.log_prob(x.numpy()).sum() > changed.sum()
    state = model.start(2).extend(x)[1]
    assert state.conditional.probs.shape == (2, SYMBOLS)
    for write in (lambda: model.save(tmp_path / "a"), lambda: model.to_pretrained(tmp_path)):
        with pytest.raises((ParameterError, UnsupportedError), match="merge them into"):
            write()
    learnt = model.log_prob(x.numpy())
    adapted.merge_and_unload()
    np.testing.assert_allclose(model.log_prob(x.numpy()), learnt, atol=1e-3)
    model.to_pretrained(tmp_path)
    again = Transformer.from_pretrained(tmp_path).log_prob(x.numpy())
    np.testing.assert_allclose(again, learnt, atol=1e-3)
