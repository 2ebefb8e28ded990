"""Scores of text under published weights, beside transformers and minicons.

    python -m benchmarks scoring

A model in GPT-2's shape with random weights: the log-likelihoods of 8 texts of 256 tokens, beside
transformers with a log-softmax of which the text's tokens are gathered, with the most memory that
each needs beyond its weights; and surprisals of the words of sentences by a smaller one with a
tokenizer of its own, beside minicons (a folder of packages in ARPROC_PEERS is searched too).
"""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

import arproc
from benchmarks.ngram import peer
from benchmarks.text_models import DATA
from benchmarks.timing import REDUCED, side_by_side

SHAPE = {"n_embd": 32, "n_layer": 2, "n_head": 2} if REDUCED else {}
SMALL = SHAPE or {"n_embd": 384, "n_layer": 6, "n_head": 6}
SYMBOLS = 300 if REDUCED else 50_257
TEXTS, LENGTH = (2, 16) if REDUCED else (8, 256)
SENTENCES = 4 if REDUCED else 1_000

#: What a process of its own does to tell how much more memory the second call needs at most.
MEMORY = """
import sys
from benchmarks import scoring
from benchmarks.timing import memory
call = getattr(scoring, sys.argv[1])(sys.argv[2])
before = memory("VmRSS")
call()
print((memory() - before) / 2**20)
"""


def tokens() -> np.ndarray:
    """Texts of random tokens [TEXTS, LENGTH]."""
    return np.random.default_rng(0).integers(0, SYMBOLS, (TEXTS, LENGTH))


def ours(folder: str) -> Any:
    """What scores the texts by arproc."""
    model, x = arproc.Transformer.from_pretrained(folder), tokens()
    return lambda: model.log_prob(x)


def theirs(folder: str) -> Any:
    """What scores the texts by transformers."""
    from transformers import AutoModelForCausalLM

    network = AutoModelForCausalLM.from_pretrained(folder).eval()
    x = torch.from_numpy(tokens())
    start = torch.full((len(x), 1), network.config.bos_token_id)
    inputs = torch.cat([start, x[:, :-1]], dim=1)

    @torch.no_grad()
    def score() -> Any:
        logits = network(inputs).logits.log_softmax(-1)
        return logits.gather(-1, x[..., None])[..., 0].sum(1).double().numpy()

    return score


def published(folder: str, shape: dict[str, int], symbols: int, tokenizer: Any = None) -> None:
    """Write a model in GPT-2's shape with random weights."""
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(0)
    end = symbols - 1 if tokenizer is None else tokenizer.bos_token_id
    config = GPT2Config(vocab_size=symbols, bos_token_id=end, eos_token_id=end, **shape)
    GPT2LMHeadModel(config).save_pretrained(folder)
    if tokenizer is not None:
        tokenizer.save_pretrained(folder)


def likelihoods(folder: str) -> None:
    """The texts' log-likelihoods."""
    published(folder, SHAPE, SYMBOLS)
    a, b = ours(folder), theirs(folder)
    np.testing.assert_allclose(a(), b(), rtol=1e-5)
    print(f"{TEXTS} x {LENGTH} tokens of {SYMBOLS}: {side_by_side(a, b, rounds=7)}")
    for name in ("ours", "theirs"):
        command = [sys.executable, "-c", MEMORY, name, folder]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        print(f"  {name}: {float(done.stdout):.0f} MiB more than before")


def sentences() -> list[str]:
    """Lines of plays."""
    path = DATA / "tinyshakespeare.txt.gz"
    if not path.is_file():
        return ["The quick brown fox jumps over the lazy dog."] * SENTENCES
    lines = gzip.decompress(path.read_bytes()).decode().splitlines()
    return [line.strip() for line in lines if len(line.split()) > 3][:SENTENCES]


def surprisals(folder: str) -> None:
    """Of the words of sentences."""
    from tokenizers import ByteLevelBPETokenizer
    from transformers import PreTrainedTokenizerFast

    texts = sentences()
    bpe = ByteLevelBPETokenizer(add_prefix_space=False)
    symbols = 300 if REDUCED else 20_000
    bpe.train_from_iterator(texts, symbols, special_tokens=["<|endoftext|>"])
    end = "<|endoftext|>"
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe._tokenizer, bos_token=end, eos_token=end, pad_token=end
    )
    published(folder, SMALL, max(len(tokenizer), symbols), tokenizer)
    model = arproc.Transformer.from_pretrained(folder)
    minicons = peer("minicons.scorer")
    if minicons is None:
        return
    scorer = minicons.IncrementalLMScorer(folder, "cpu")

    def their_words(**settings: Any) -> Any:
        found = []
        for k in range(0, len(texts), 64):
            found += scorer.word_score_tokenized(
                texts[k : k + 64], bos_token=True, tokenize_function=str.split, surprisal=True,
                **settings,
            )  # fmt: skip
        return found

    def exactly() -> Any:  # with the probability of what closes each word
        return arproc.surprisal_table(model, texts, units="word", unit="nats")

    def corrected() -> Any:
        return their_words(bow_correction=True)

    def our_words() -> Any:
        return arproc.surprisal_table(model, texts, by="word", unit="nats", entropy=False)

    mine = our_words().surprisal.to_numpy()
    other = [value for row in their_words() for _, value in row]
    print(f"  largest difference of a word {np.abs(mine - other).max():.1e} nats")
    print(f"words of {len(texts)} sentences: {side_by_side(our_words, their_words, rounds=5)}")
    print(f"  with their closing: {side_by_side(exactly, corrected, rounds=5)}")


def main() -> None:
    try:
        import transformers  # noqa: F401
    except ImportError:
        print("transformers is not installed, so there is nothing to compare with")
        return
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    for run in (likelihoods, surprisals):
        with tempfile.TemporaryDirectory() as folder:
            run(str(Path(folder)))
