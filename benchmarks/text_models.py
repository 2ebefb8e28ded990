"""How well the models of symbols predict real text, beside general compressors.

    python -m benchmarks text_models [--only-kenlm]

Bits per character on nanoGPT's split of tiny Shakespeare (the first nine tenths to learn from, the
rest to predict): n-grams of characters, PPM and context-tree weighting, frozen after fitting and
adaptive; and what gzip, xz and zstd (where one is installed) add to their file for the rest. Then,
for each smoothing of an n-gram model of words, perplexity on both corpora in shared/data (the
presidents' speeches: learnt from 1789 to 1999, tested after 2006), `<unk>` and line ends counted
as words.

Beside these, KenLM's own: what its program `lmplz` (in the folder that KENLM_BIN names) estimates
from the same lines, scored by its Python module (a folder of packages in ARPROC_PEERS is searched
too) on the same test lines, and its 6-gram of characters. `--only-kenlm` runs these rows alone.
"""

from __future__ import annotations

import argparse
import gzip
import importlib
import lzma
import math
import re
import subprocess
import tempfile
import time
import warnings
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import arproc
from arproc.data.vocabulary import Vocabulary
from arproc.evaluation import word_perplexity
from arproc.models.ngram.smoothing.smoothings import SMOOTHINGS, DiscountWarning
from arproc.process import Process
from benchmarks.ngram import peer, program
from benchmarks.timing import REDUCED

DATA = Path(__file__).parents[2] / "shared" / "data"


def read(name: str) -> str | None:
    """A corpus, or None with a message."""
    path = DATA / name
    if not path.is_file():
        print(f"  ({path} is not here: its rows are skipped)")
        return None
    return gzip.decompress(path.read_bytes()).decode()


def compressors() -> dict[str, Callable[[bytes], int]]:
    """Compressed sizes in bytes, at each program's highest level."""
    found: dict[str, Callable[[bytes], int]] = {
        "gzip -9": lambda raw: len(zlib.compress(raw, 9)),
        "xz -9e": lambda raw: len(lzma.compress(raw, preset=9 | lzma.PRESET_EXTREME)),
    }
    for name in ("compression.zstd", "zstandard"):
        try:
            compress = importlib.import_module(name).compress
        except ImportError:
            continue
        found["zstd -19"] = lambda raw, compress=compress: len(compress(raw, 19))
        return found
    print("  (no zstd is installed: its row is skipped)")
    return found


def characters(text: str) -> None:
    """Bits per character of the last tenth, given the first nine."""
    cut = int(0.9 * len(text))
    seen, rest = text[:cut], text[cut:]
    for name, size in compressors().items():
        added = size(text.encode()) - size(seen.encode())
        print(f"{name:32s} {8 * added / len(rest):.4f} bits/character")
    letters = Vocabulary.build(text, "char")
    for order in range(3, 13):
        report(f"n-gram, order {order}", arproc.NGram(order, tokens=letters), seen, rest)
    report("n-gram, unbounded (InfiniGram)", arproc.InfiniGram(letters), seen, rest)
    for order in (3, 4, 5, 6, 8):
        for method in "CD":
            report(f"PPM{method}, order {order}", arproc.PPM(order, method, letters), seen, rest)
    for depth in (4, 6, 8):
        for alpha in (0.5, 1 / len(letters)):
            tree = arproc.ContextTree(depth, letters, alpha=alpha)
            report(f"context tree, depth {depth}, alpha {alpha:.3f}", tree, seen, rest)


def report(name: str, model: Process, seen: str, rest: str) -> None:
    """One line: frozen, and adaptive where the model can be."""
    begin = time.perf_counter()
    model.fit(seen)
    fitted = time.perf_counter() - begin
    adaptive = getattr(model, "adaptive", False)
    line = f"{name:32s} "
    if adaptive:
        line += f"adaptive {-model.score(rest) / math.log(2):.4f}, "
        model.adaptive = False  # type: ignore[attr-defined]
    print(
        f"{line}frozen {-model.score(rest) / math.log(2):.4f} bits/character, {fitted:.1f} s fit"
    )


def words(name: str, seen: list[str], held_out: list[str], rest: list[str]) -> None:
    """Test perplexity of each smoothing, order 3 and 5."""
    for smoothing in SMOOTHINGS:
        found = []
        for order in (3, 5):
            model = arproc.NGram(order, smoothing).fit(seen, validation=held_out)
            found.append(f"order {order}: {math.exp(-model.score(rest)):,.1f}")
        print(f"{name}, {smoothing:22s} perplexity {', '.join(found)}")


def kenlm_model(seen: list[str], order: int) -> Any:
    """KenLM's own model of some lines, or None with a message where KenLM is not here."""
    lmplz, kenlm = program("lmplz"), peer("kenlm")
    if lmplz is None or kenlm is None:
        return None
    with tempfile.TemporaryDirectory() as name:
        text, arpa = Path(name) / "text", Path(name) / "arpa"
        text.write_text("\n".join(seen) + "\n", encoding="utf-8")
        command = [lmplz, "-o", order, "-S", "1G", "-T", f"{name}/", "--discount_fallback"]
        command += ["--text", text, "--arpa", arpa]
        subprocess.run([str(part) for part in command], check=True, capture_output=True)
        config = kenlm.Config()
        config.show_progress = False
        return kenlm.Model(str(arpa), config)


def words_beside_kenlm(name: str, seen: list[str], rest: list[str]) -> None:
    """Test perplexity with and without unknown words, ours and KenLM's own."""
    for order in (3, 5):
        ours = word_perplexity(arproc.NGram(order).fit(seen), rest)
        found = [("arproc", ours.iloc[0], ours.iloc[1])]
        theirs = kenlm_model(seen, order)
        if theirs is not None:
            rows = [row for line in rest for row in theirs.full_scores(line)]
            log_prob, unknown = np.array([r[0] for r in rows]), np.array([r[2] for r in rows])
            both = [10 ** -log_prob.mean(), 10 ** -log_prob[~unknown].mean()]
            found.append(("KenLM", *both))
        for who, every, known in found:
            print(
                f"{name}, order {order}, {who:6s} perplexity {every:,.3f}, "
                f"without unknown words {known:,.3f}"
            )


def characters_beside_kenlm(text: str, order: int = 6) -> None:
    """Bits per character of the last tenth, ours and KenLM's own."""
    cut = int(0.9 * len(text))
    spelt = {" ": "<U+0020>", "\n": "<U+000A>"}
    seen, rest = (" ".join(spelt.get(c, c) for c in part) for part in (text[:cut], text[cut:]))
    model = arproc.NGram(order, tokens=Vocabulary.build(text, "char")).fit(text[:cut])
    bits = -model.score(text[cut:]) / math.log(2)
    print(f"tiny Shakespeare, characters, order {order}, arproc {bits:.4f} bits/character")
    theirs = kenlm_model([seen], order)
    if theirs is not None:
        # the text is one stream, so neither begin nor end is scored
        log_prob = [row[0] for row in theirs.full_scores(rest, bos=False, eos=False)]
        bits = -sum(log_prob) / len(log_prob) / math.log10(2)
        print(f"tiny Shakespeare, characters, order {order}, KenLM  {bits:.4f} bits/character")


def by_year(text: str) -> list[tuple[int, list[str]]]:
    """The presidents' speeches, each with its year, as lines."""
    speeches = []
    for part in text.split("\f"):
        title, _, body = part.strip().partition("\n")
        year = re.match(r"\d{4}", title)
        if year is not None:
            lines = [line for line in body.split("\n") if line.strip()]
            speeches.append((int(year.group()), lines))
    return speeches


def main(arguments: Sequence[str] = ()) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only-kenlm", action="store_true", help="only the rows beside KenLM's")
    alone = parser.parse_args(arguments).only_kenlm
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DiscountWarning)
        shakespeare, presidents = read("tinyshakespeare.txt.gz"), read("presidents.txt.gz")
        if shakespeare is not None:
            shakespeare = shakespeare[: 20_000 if REDUCED else None]
            lines = [line for line in shakespeare.split("\n") if line.strip()]
            a, b = int(0.8 * len(lines)), int(0.9 * len(lines))
            if not alone:
                characters(shakespeare)
                words("tiny Shakespeare", lines[:a], lines[a:b], lines[b:])
            characters_beside_kenlm(shakespeare)
            words_beside_kenlm("tiny Shakespeare", lines[:a], lines[b:])
        if presidents is not None and not REDUCED:
            speeches = by_year(presidents)
            part = lambda low, high: [s for y, ls in speeches if low <= y <= high for s in ls]  # noqa: E731
            if not alone:
                words("presidents", part(0, 1999), part(2000, 2006), part(2007, 9999))
            words_beside_kenlm("presidents", part(0, 1999), part(2007, 9999))
