"""n-gram models against KenLM and NLTK, side by side in one run.

    python -m benchmarks.ngram [--tokens 1000000] [--order 5] [--rounds 5]

The text is made: a word model of tiny Shakespeare (in shared/data; else of the English text that
comes with Python) draws lines from a fixed seed until there are enough words, so it has more
distinct n-grams than speech has, and the same for everybody.

Peers are taken where they are found, and rows whose peer is not there are skipped with a message:
`kenlm` and `nltk` as Python packages (a folder of packages in ARPROC_PEERS is searched too), and
KenLM's programs `lmplz` and `query` in the folder that KENLM_BIN names.
"""

from __future__ import annotations

import argparse
import gzip
import importlib
import math
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np

import arproc
from arproc.ngram.smoothing import DiscountWarning
from arproc.text import Vocabulary
from benchmarks.timing import machine, side_by_side

SHAKESPEARE = Path(__file__).parents[2] / "shared" / "data" / "tinyshakespeare.txt.gz"


def peer(name: str) -> ModuleType | None:
    """A Python package, or None with a message."""
    folder = os.environ.get("ARPROC_PEERS")
    if folder and folder not in sys.path:
        sys.path.append(folder)
    try:
        return importlib.import_module(name)
    except ImportError:
        print(f"  ({name} can not be imported: its rows are skipped)")
        return None


def program(name: str) -> Path | None:
    """One of KenLM's programs, or None with a message."""
    path = Path(os.environ.get("KENLM_BIN", "")) / name
    if os.environ.get("KENLM_BIN") and path.is_file():
        return path
    print(f"  (KENLM_BIN names no folder with {name}: its rows are skipped)")
    return None


def source() -> str:
    """The text that the made one is drawn from."""
    if SHAKESPEARE.is_file():
        return gzip.decompress(SHAKESPEARE.read_bytes()).decode()
    import pydoc_data.topics

    return "\n".join(pydoc_data.topics.topics.values())


def made(tokens: int) -> list[str]:
    """Lines of at least so many words in all, from a fixed seed."""
    seen = [line for line in source().split("\n") if line.strip()]
    writer = arproc.NGram(4, unknown=False).fit(seen)
    lines: list[str] = []
    words, seed = 0, 0
    while words < tokens:
        drawn = [line for line in writer.sample(10000, seed=seed) if line]
        lines += drawn
        words += sum(line.count(" ") + 1 for line in drawn)
        seed += 1
    return lines


def rate(
    name: str, count: int, call: Callable[[], object], rounds: int, unit: str = "tokens"
) -> None:
    """A row without a peer: tokens (or what `unit` says) a second, the median of some rounds."""
    call()
    times = []
    for _ in range(rounds):
        begin = time.perf_counter()
        call()
        times.append(time.perf_counter() - begin)
    print(f"{name}: {count / float(np.median(times)):,.0f} {unit}/s")


def estimation(lines: list[str], order: int, rounds: int, folder: Path) -> None:
    """From a text file to a fitted model."""
    text = folder / "text.txt"
    text.write_text("\n".join(lines) + "\n", encoding="utf-8")
    tokens = sum(line.count(" ") + 1 for line in lines)

    def ours() -> object:
        return arproc.NGram(order).fit(text)

    rate(f"fit order {order}, {tokens:,} words, from a file", tokens, ours, rounds)
    lmplz = program("lmplz")
    if lmplz is not None:
        command = [lmplz, "-o", str(order), "-S", "4G", "-T", str(folder)]
        command += ["--text", str(text), "--arpa", str(folder / "peer.arpa")]

        def theirs() -> object:
            return subprocess.run(command, check=True, capture_output=True)

        print(f"  against lmplz (which writes an ARPA file): {side_by_side(ours, theirs, rounds)}")
    nltk = peer("nltk.lm")
    if nltk is not None:
        few = lines[:300]
        preprocessing = importlib.import_module("nltk.lm.preprocessing")

        def slow() -> object:
            model = nltk.KneserNeyInterpolated(3)
            model.fit(*preprocessing.padded_everygram_pipeline(3, [s.split() for s in few]))
            return [model.logscore(w, s.split()[:1]) for s in few[:2] for w in s.split()[1:2]]

        def same() -> object:
            return arproc.NGram(3).fit(few)

        print(f"  against nltk (300 lines, order 3, fit alone): {side_by_side(same, slow, 3)}")


def scoring(lines: list[str], order: int, rounds: int, folder: Path) -> None:
    """Log-probabilities of lines that the model has not seen."""
    seen, fresh = lines[::2], lines[1::2]
    model = arproc.NGram(order).fit(seen)
    tokens = sum(line.count(" ") + 1 for line in fresh)
    encoded = model.sequences(fresh)
    rate("score from text, one call", tokens, lambda: model.log_prob(fresh), rounds)
    rate("score encoded ids", tokens, lambda: model.log_prob(encoded), rounds)
    few = fresh[:500]
    rate(
        "score one line a call",
        sum(line.count(" ") + 1 for line in few),
        lambda: [model.log_prob(line) for line in few],
        rounds,
    )
    kenlm = peer("kenlm")
    if kenlm is not None:
        model.to_arpa(folder / "ours.arpa")
        other = kenlm.Model(str(folder / "ours.arpa"))
        ours = model.log_prob(few) / math.log(10)
        theirs = np.array([other.score(line) for line in few])
        print(
            f"  kenlm on our ARPA file: scores differ by {np.abs(ours - theirs).max():.1e} log10"
        )
        ratio = side_by_side(
            lambda: model.log_prob(fresh),
            lambda: [other.score(line) for line in fresh],
            rounds,
        )
        print(f"  from text, against kenlm line by line: {ratio}")
        rows(model, other, rounds)


def rows(model: arproc.NGram, other: object, rounds: int) -> None:
    """The next word's whole distribution after 20 contexts."""
    words = model.vocabulary.symbols
    prefixes = [" ".join(words[i : i + 2]) for i in range(1, 21)]
    state = model.start(prefixes)

    def ask() -> None:
        for prefix in prefixes[:1]:
            for word in words:
                other.score(f"{prefix} {word}", bos=True, eos=False)  # type: ignore[attr-defined]

    ratio = side_by_side(lambda: state.select(range(20)).conditional.logits, ask, rounds)
    print(f"  next-word rows of {len(words):,} words, 20 contexts against kenlm's 1: {ratio}")


def arpa_files(lines: list[str], order: int, rounds: int, folder: Path) -> None:
    """ARPA files out and in: n-grams a second, and kenlm on the same file."""
    model = arproc.NGram(order).fit(lines)
    ours, size = folder / "arpa.arpa", sum(model.n_ngrams_)
    rate(f"write ARPA, {size:,} n-grams", size, lambda: model.to_arpa(ours), rounds, "n-grams")
    files = {"our order": ours}
    lmplz = program("lmplz")
    if lmplz is not None:
        text, files["lmplz's order"] = folder / "arpa.txt", folder / "lmplz.arpa"
        text.write_text("\n".join(lines) + "\n", encoding="utf-8")
        command = [lmplz, "-o", str(order), "-S", "1G", "-T", f"{folder}/"]
        command += ["--text", str(text), "--arpa", str(files["lmplz's order"])]
        subprocess.run(command, check=True, capture_output=True)
    kenlm = peer("kenlm")
    for name, path in files.items():

        def read(path: Path = path) -> object:
            return arproc.NGram.from_arpa(path)

        rate(f"read ARPA, {name}", size, read, rounds, "n-grams")
        if kenlm is not None:

            def other(path: Path = path) -> object:
                config = kenlm.Config()
                config.show_progress = False
                return kenlm.Model(str(path), config)

            print(f"  against kenlm.Model on it: {side_by_side(read, other, rounds)}")


def sampling(lines: list[str], order: int, rounds: int) -> None:
    """Draws of whole lines."""
    model = arproc.NGram(order).fit(lines)
    drawn = model.sample(5000, seed=0)
    tokens = sum(len(line.split()) for line in drawn)
    rate("sample 5,000 lines", tokens, lambda: model.sample(5000, seed=0), rounds)


def characters() -> None:
    """Bits per character on nanoGPT's split of tiny Shakespeare."""
    if not SHAKESPEARE.is_file():
        print(f"  ({SHAKESPEARE} is not here: no bits per character)")
        return
    text = source()
    cut = int(0.9 * len(text))
    vocabulary = Vocabulary.build(text, "char")
    for order in range(3, 9):
        model = arproc.NGram(order, tokens=vocabulary).fit(text[:cut])
        bits = -model.score(text[cut:]) / math.log(2)
        print(f"tiny Shakespeare, order {order}: {bits:.4f} bits/character")


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--tokens", type=int, default=1_000_000, help="words of the made text")
    parser.add_argument("--order", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args(arguments)
    with warnings.catch_warnings(), tempfile.TemporaryDirectory() as name:
        warnings.simplefilter("ignore", DiscountWarning)
        begin = time.perf_counter()
        lines = made(options.tokens)
        print(
            f"made {len(lines):,} lines in {time.perf_counter() - begin:.1f} s, compiling included"
        )
        estimation(lines, options.order, options.rounds, Path(name))
        scoring(lines, options.order, options.rounds, Path(name))
        arpa_files(lines, options.order, options.rounds, Path(name))
        sampling(lines, options.order, options.rounds)
        characters()


if __name__ == "__main__":
    print(machine())
    main()
