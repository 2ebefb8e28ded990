"""How well the models of symbols predict real text, beside general compressors.

    python -m benchmarks.text_models

Bits per character on nanoGPT's split of tiny Shakespeare (the first nine tenths to learn from, the
rest to predict): n-grams of characters, PPM and context-tree weighting, frozen after fitting and
adaptive; and what gzip, xz and zstd (where one is installed) add to their file for the rest. Then,
for each smoothing of an n-gram model of words, perplexity on both corpora in shared/data (the
presidents' speeches: learnt from 1789 to 1999, tested after 2006), `<unk>` and line ends counted
as words.
"""

from __future__ import annotations

import gzip
import importlib
import lzma
import math
import re
import time
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path

import arproc
from arproc.ngram.smoothing import SMOOTHINGS, DiscountWarning
from arproc.process import Process
from arproc.text import Vocabulary
from benchmarks.timing import machine

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


def main() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DiscountWarning)
        shakespeare, presidents = read("tinyshakespeare.txt.gz"), read("presidents.txt.gz")
        if shakespeare is not None:
            characters(shakespeare)
            lines = [line for line in shakespeare.split("\n") if line.strip()]
            a, b = int(0.8 * len(lines)), int(0.9 * len(lines))
            words("tiny Shakespeare", lines[:a], lines[a:b], lines[b:])
        if presidents is not None:
            speeches = by_year(presidents)
            part = lambda low, high: [s for y, ls in speeches if low <= y <= high for s in ls]  # noqa: E731
            words("presidents", part(0, 1999), part(2000, 2006), part(2007, 9999))


if __name__ == "__main__":
    print(machine())
    main()
