"""How time and memory of estimating an n-gram model grow with the text, on disk and in memory.

    python -m benchmarks ngram_growth [--most 100000000] [--picture growth.png]

Texts of 1, 3, 10, 30 ... million words are made as in `benchmarks.ngram`; for each a process of
its own estimates modified Kneser-Ney of order 5 and saves it, once in memory and once with
memory="2GB". Time is wall time after everything is compiled; memory is the peak resident size
above what is resident after a small fit (read from /proc, so on Linux). The picture shows both
against the size of the text.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.ngram import write_made
from benchmarks.timing import REDUCED

CHILD = """
import json, sys, time, warnings
from pathlib import Path
import arproc
from benchmarks.timing import memory as bytes_of
warnings.simplefilter("ignore")
text, small, memory, out = sys.argv[1:]
memory = memory or None
arproc.NGram(5, memory=memory).fit(Path(small)).save(out)
before, begin = bytes_of("VmRSS"), time.perf_counter()
model = arproc.NGram(5, memory=memory).fit(Path(text))
model.save(out)
seconds = time.perf_counter() - begin
print(json.dumps([seconds, bytes_of() - before, sum(model.n_ngrams_)]))
"""


def measure(text: Path, small: Path, memory: str, folder: Path) -> tuple[float, int, int]:
    """Seconds, peak bytes and n-grams of one fit in a process of its own."""
    command = [sys.executable, "-c", CHILD, str(text), str(small), memory, str(folder / "model")]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    seconds, peak, ngrams = json.loads(done.stdout)
    return seconds, peak, ngrams


def draw(rows: list[tuple[int, str, float, int]], path: Path) -> None:
    """Microseconds a token, and megabytes, against the number of tokens."""
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
    for name in dict.fromkeys(row[1] for row in rows):
        own = [row for row in rows if row[1] == name]
        tokens = [row[0] for row in own]
        left.plot(tokens, [1e6 * row[2] / row[0] for row in own], "o-", label=name)
        right.plot(tokens, [row[3] / 1e6 for row in own], "o-", label=name)
    left.set(xscale="log", xlabel="words", ylabel="microseconds a word", ylim=(0, None))
    right.set(xscale="log", yscale="log", xlabel="words", ylabel="peak memory, MB")
    left.legend(frameon=False)
    for ax in (left, right):
        ax.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=120)


def main(arguments: Sequence[str] = ()) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--most",
        type=int,
        default=1_000_000 if REDUCED else 30_000_000,
        help="words of the largest text",
    )
    parser.add_argument("--picture", type=Path, help="a file to draw the figure in")
    options = parser.parse_args(arguments)
    sizes = [n for n in (1, 3, 10, 30, 100, 300) if n * 1_000_000 <= options.most]
    million = 2_000 if REDUCED else 1_000_000
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        small = folder / "small.txt"
        write_made(small, 20_000)
        for millions in sizes:
            text = folder / "text.txt"
            write_made(text, millions * million)
            for memory in ("", "2GB"):
                seconds, peak, ngrams = measure(text, small, memory, folder)
                label = f"memory={memory}" if memory else "in memory"
                rows.append((millions * 1_000_000, label, seconds, peak))
                print(
                    f"{millions:4d} M words, {ngrams:11,} n-grams, {label}: {seconds:.1f} s, "
                    f"{seconds / millions:.2f} us a word, {peak / 1e6:,.0f} MB",
                    flush=True,
                )
    if options.picture:
        draw(rows, options.picture)
