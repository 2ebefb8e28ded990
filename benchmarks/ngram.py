"""n-gram models against KenLM and NLTK, side by side in one run.

    python -m benchmarks ngram [--tokens 1000000] [--order 5] [--rounds 5]

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
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

import arproc
from arproc.data.vocabulary import Vocabulary
from arproc.models.ngram.smoothing.smoothings import DiscountWarning
from benchmarks.timing import REDUCED, side_by_side

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


def made(tokens: int) -> Iterator[str]:
    """Lines of at least so many words in all, from a fixed seed."""
    seen = [line for line in source().split("\n") if line.strip()]
    writer = arproc.NGram(4, tokens=arproc.Tokens(unknown=False)).fit(seen)
    words, seed = 0, 0
    while words < tokens:
        drawn = [line for line in writer.sample(200 if REDUCED else 50_000, seed=seed) if line]
        seed += 1
        for line in drawn:
            yield line
            words += line.count(" ") + 1
            if words >= tokens:
                return


def write_made(path: Path, tokens: int) -> None:
    """A text file of such lines."""
    with path.open("w", encoding="utf-8") as file:
        file.writelines(line + "\n" for line in made(tokens))


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
    """From a text file to a model on disk that is ready to be asked."""
    text, out = folder / "text.txt", folder / "model.arproc"
    text.write_text("\n".join(lines) + "\n", encoding="utf-8")
    tokens = sum(line.count(" ") + 1 for line in lines)
    arproc.NGram(order).fit(lines[:2000]).save(out)  # compiles

    def ours() -> None:
        arproc.NGram(order).fit(text).save(out)

    def bounded() -> None:
        arproc.NGram(order, memory="1GB").fit(text).save(out)

    print(f"text file of {tokens:,} words to a model of order {order} on disk")
    lmplz, build = program("lmplz"), program("build_binary")
    if lmplz is None or build is None:
        rate("  in memory", tokens, ours, rounds)
        rate('  memory="1GB"', tokens, bounded, rounds)
        return
    command = [lmplz, "--discount_fallback", "-o", str(order), "-S", "4G", "-T", f"{folder}/"]
    command += ["--text", str(text), "--arpa", str(folder / "peer.arpa")]

    def counts() -> None:
        subprocess.run(command, check=True, capture_output=True)

    def whole() -> None:
        counts()
        subprocess.run(
            [build, folder / "peer.arpa", folder / "peer.probing"], check=True, capture_output=True
        )

    print(f"  against lmplz -S 4G and build_binary: {side_by_side(ours, whole, rounds)}")
    print(f"  against lmplz alone: {side_by_side(ours, counts, rounds)}")
    print(f'  with memory="1GB", against both: {side_by_side(bounded, whole, rounds)}')
    subprocess.run(
        [build, "trie", folder / "peer.arpa", folder / "peer.trie"],
        check=True,
        capture_output=True,
    )
    ngrams = sum(arproc.load(out).n_ngrams_)
    sizes = {"ours": out, "KenLM probing": folder / "peer.probing", "trie": folder / "peer.trie"}
    listed = ", ".join(f"{n} {p.stat().st_size / ngrams:.1f}" for n, p in sizes.items())
    print(f"  bytes an n-gram, {ngrams:,} n-grams, of the loaded file: {listed}")


def against_nltk(lines: list[str]) -> None:
    """Estimate and score with interpolated Kneser-Ney of order 3, a few lines."""
    nltk = peer("nltk.lm")
    if nltk is None:
        return
    few, asked = lines[:3000], lines[3000:3020]
    tools = importlib.import_module("nltk.lm.preprocessing")

    def slow() -> object:
        model = nltk.KneserNeyInterpolated(3)
        model.fit(*tools.padded_everygram_pipeline(3, [s.split() for s in few]))
        total = 0.0
        for words in (s.split() for s in asked):
            padded = ["<s>", "<s>", *words, "</s>"]
            for i in range(2, len(padded)):
                total += model.logscore(padded[i], padded[i - 2 : i])
        return total

    def same() -> object:
        return arproc.NGram(3, "kneser_ney").fit(few).log_prob(asked)

    ratio = side_by_side(same, slow, 3)
    print(f"NLTK's KneserNeyInterpolated, fit 3,000 lines and score 20: {ratio}")


def scoring(lines: list[str], order: int, rounds: int, folder: Path) -> None:
    """Log-probabilities of lines that the model has not seen, beside KenLM's on the same model."""
    fresh = lines[-max(len(lines) // 8, 1) :]
    seen = lines[: len(lines) - len(fresh)]
    model = arproc.NGram(order).fit(seen)
    tokens = sum(line.count(" ") + 1 for line in fresh)
    encoded = model.sequences(fresh)
    few = fresh[:5000]
    print(f"score {tokens:,} words by {sum(model.n_ngrams_):,} n-grams")
    jobs: dict[str, tuple[int, Callable[[], object]]] = {
        "from text, one call": (tokens, lambda: model.log_prob(fresh)),
        "encoded ids": (tokens, lambda: model.log_prob(encoded)),
        "one line a call": (
            sum(line.count(" ") + 1 for line in few),
            lambda: [model.log_prob(line) for line in few],
        ),
    }
    for name, (size, call) in jobs.items():
        rate(f"  {name}", size, call, rounds)
    kenlm, build, query = peer("kenlm"), program("build_binary"), program("query")
    model.to_arpa(folder / "ours.arpa")
    if kenlm is None or build is None:
        return
    binary = folder / "ours.probing"
    subprocess.run([build, folder / "ours.arpa", binary], check=True, capture_output=True)
    other = kenlm.Model(str(binary))
    ours = model.log_prob(few) / math.log(10)
    theirs = np.array([sum(term for term, *_ in other.full_scores(line)) for line in few])
    print(f"  scores differ from kenlm's by {np.abs(ours - theirs).max():.1e} log10 at most")
    every: Callable[[], object] = lambda: [other.score(line) for line in fresh]  # noqa: E731
    text = side_by_side(jobs["from text, one call"][1], every, rounds)
    print(f"  from text, against kenlm line by line: {text}")
    single = side_by_side(
        jobs["one line a call"][1], lambda: [other.score(s) for s in few], rounds
    )
    print(f"  one line a call, against kenlm: {single}")
    if query is not None:
        path = folder / "fresh.txt"
        path.write_text("\n".join(fresh) + "\n", encoding="utf-8")
        ids = side_by_side(jobs["encoded ids"][1], lambda: _query(query, binary, path), rounds)
        print(f"  encoded ids on all cores, against KenLM's query (from text, one core): {ids}")
    rows(model, other, rounds, kenlm)


def _query(query: Path, binary: Path, text: Path) -> None:
    with text.open("rb") as file:
        subprocess.run(
            [query, "-v", "summary", binary], stdin=file, check=True, capture_output=True
        )


def rows(model: arproc.NGram, other: Any, rounds: int, kenlm: ModuleType) -> None:
    """The next word's whole distribution after 1,000 contexts; the peer is asked 2 of them."""
    words = model.vocabulary.symbols
    rng = np.random.default_rng(0)
    prefixes = [" ".join(words[i] for i in rng.integers(1, len(words), 2)) for _ in range(1000)]
    state = model.start(prefixes)

    def ask() -> None:
        for prefix in prefixes[:2]:
            before, after, out = kenlm.State(), kenlm.State(), kenlm.State()
            other.BeginSentenceWrite(before)
            for word in prefix.split():
                other.BaseScore(before, word, after)
                before, after = after, before
            for word in words:
                other.BaseScore(before, word, out)

    found = side_by_side(lambda: state.select(range(1000)).conditional.scores, ask, rounds)
    scaled = [500 * ratio for ratio in (found.median, found.low, found.high)]
    print(
        f"  next-word rows of {len(words):,} words after 1,000 contexts "
        f"{found.ours * 1e3:.0f} ms, against kenlm asked word by word (2 contexts, times 500): "
        f"{scaled[0]:.0f} times ({scaled[1]:.0f} to {scaled[2]:.0f})"
    )


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
        command += [
            "--discount_fallback",
            "--text",
            str(text),
            "--arpa",
            str(files["lmplz's order"]),
        ]
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
    count = 100 if REDUCED else 10_000
    drawn = model.sample(count, seed=0)
    tokens = sum(len(line.split()) for line in drawn)
    rate(f"sample {count:,} lines", tokens, lambda: model.sample(count, seed=0), rounds)


def characters() -> None:
    """Bits per character on nanoGPT's split of tiny Shakespeare."""
    if not SHAKESPEARE.is_file():
        print(f"  ({SHAKESPEARE} is not here: no bits per character)")
        return
    text = source()[: 20_000 if REDUCED else None]
    cut = int(0.9 * len(text))
    vocabulary = Vocabulary.build(text, "char")
    for order in range(3, 9):
        model = arproc.NGram(order, tokens=vocabulary).fit(text[:cut])
        bits = -model.score(text[cut:]) / math.log(2)
        print(f"tiny Shakespeare, order {order}: {bits:.4f} bits/character")


def main(arguments: Sequence[str] = ()) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--tokens", type=int, default=2_000 if REDUCED else 1_000_000)
    parser.add_argument("--order", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=1 if REDUCED else 5)
    options = parser.parse_args(arguments)
    with warnings.catch_warnings(), tempfile.TemporaryDirectory() as name:
        warnings.simplefilter("ignore", DiscountWarning)
        begin = time.perf_counter()
        lines = list(made(options.tokens))
        print(
            f"made {len(lines):,} lines in {time.perf_counter() - begin:.1f} s, compiling included"
        )
        estimation(lines, options.order, options.rounds, Path(name))
        scoring(lines, options.order, options.rounds, Path(name))
        against_nltk(lines)
        arpa_files(lines, options.order, options.rounds, Path(name))
        sampling(lines, options.order, options.rounds)
        characters()
