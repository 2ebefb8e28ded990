"""Generation with the cache, tokens a second, against transformers' `generate` at equal size.

python -m benchmarks generation      (needs transformers; `make bench` has it)

Both sample from the whole distribution, in float32, from one prompt token a row. The peers are
GPT-2 and Llama of the same layers, heads, width and hidden size as ours.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import numpy as np
import torch

import arproc
from benchmarks.timing import REDUCED, side_by_side

LENGTH = 8 if REDUCED else 256
SIZES = {"0.8 million parameters": (4, 4, 128, 65), "25 million": (8, 8, 512, 512)}
if REDUCED:
    SIZES = {"smallest": (1, 2, 16, 65)}


def our_model(layers: int, heads: int, width: int, symbols: int) -> arproc.Transformer:
    """A transformer of this size; how well it is trained does not change its speed."""
    training = arproc.Training(steps=1, batch_size=1)
    model = arproc.Transformer(
        layers, heads, width, block=64, attention_window=1024, tokens=symbols, training=training
    )
    return model.fit(np.arange(200) % symbols)


def peers(layers: int, heads: int, width: int, symbols: int) -> dict[str, torch.nn.Module]:
    """Models of transformers of the same size, randomly initialised."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

    gpt2 = GPT2Config(
        vocab_size=symbols, n_positions=1024, n_embd=width, n_layer=layers, n_head=heads,
        bos_token_id=0, eos_token_id=None, pad_token_id=0,
    )  # fmt: skip
    # three matrices in its MLP instead of two: 8/3 of the width gives the same size
    llama = LlamaConfig(
        vocab_size=symbols, hidden_size=width, intermediate_size=8 * width // 3,
        num_hidden_layers=layers, num_attention_heads=heads, max_position_embeddings=1024,
        bos_token_id=0, eos_token_id=None, pad_token_id=0,
    )  # fmt: skip
    return {"GPT-2": GPT2LMHeadModel(gpt2).eval(), "Llama": LlamaForCausalLM(llama).eval()}


def size(module: torch.nn.Module) -> int:
    """How many parameters a module has."""
    return sum(p.numel() for p in module.parameters())


def sample(model: arproc.Transformer, batch: int) -> Callable[[], object]:
    """A call that draws `LENGTH` tokens for each row by our `sample`."""
    prefix = np.zeros((batch, 1), dtype=np.int64)
    return lambda: model.sample(batch, length=LENGTH, prefix=prefix, seed=0)


def generate(model: torch.nn.Module, batch: int) -> Callable[[], object]:
    """A call that draws `LENGTH` tokens for each row by transformers' `generate`."""
    prompt = torch.zeros((batch, 1), dtype=torch.int64)

    def call() -> object:
        drawn = model.generate(
            prompt, attention_mask=torch.ones_like(prompt), do_sample=True, top_k=0,
            min_new_tokens=LENGTH, max_new_tokens=LENGTH,
        )  # fmt: skip
        assert drawn.shape == (batch, LENGTH + 1)
        return drawn

    return call


def in_sixteen_bits(name: str, shape: tuple[int, int, int, int]) -> None:
    """The same with all weights in bfloat16, one row."""
    ours, peer = our_model(*shape).rounded(), peers(*shape)["GPT-2"].bfloat16()
    ratio = side_by_side(sample(ours, 1), generate(peer, 1), rounds=5)
    print(f"{name}, weights in bfloat16, batch 1: {ratio} (to reach: 3)", flush=True)


def main() -> None:
    try:
        import transformers
    except ImportError:
        print("transformers is not installed: run `make bench`")
        return
    transformers.utils.logging.set_verbosity_error()
    in_sixteen_bits(*list(SIZES.items())[-1])
    for name, shape in SIZES.items():
        ours = our_model(*shape)
        for peer_name, peer in peers(*shape).items():
            for batch in (1, 16):
                ratio = side_by_side(sample(ours, batch), generate(peer, batch), rounds=5)
                tokens = batch * LENGTH
                print(
                    f"{name} (ours {size(ours.network_):,}, {peer_name} {size(peer):,}), batch "
                    f"{batch}: ours {tokens / ratio.ours:,.0f} tokens/s, {peer_name} "
                    f"{tokens / ratio.peer:,.0f}: {ratio.median:.1f} times (quartiles "
                    f"{ratio.low:.1f} to {ratio.high:.1f}; to reach: 1.5)",
                    flush=True,
                )
