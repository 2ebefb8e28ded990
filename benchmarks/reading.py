"""Reading lines of text: plain, gzip and zstd files, in megabytes of text a CPU second.

On one thread, and in CPU seconds, so that a busy machine does not matter. The peak of the memory
that reading takes, beside it, is that of a whole file and of a quarter of it: they are alike.
"""

from __future__ import annotations

import gzip
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np

from arproc.data.text_files import read_lines, zstd
from arproc.errors import MissingDependencyError
from benchmarks.timing import REDUCED

#: Megabytes of text that are timed, and over which memory is watched (which takes longer).
SIZE, WATCHED = (1, 1) if REDUCED else (100, 16)


def text(megabytes: int) -> bytes:
    """Lines of words of a Zipf law, a few accents among them."""
    rng = np.random.default_rng(0)
    letters = [*"etaoinshrdlu", "é"]
    words = np.array(["".join(rng.choice(letters, n)) for n in rng.integers(2, 12, 5000)])
    drawn = words[np.minimum(rng.zipf(1.2, 100_000), 5000) - 1]
    some = "\n".join(" ".join(row) for row in drawn.reshape(-1, 20)).encode() + b"\n"
    return some * (1 + megabytes * 10**6 // len(some))


def formats() -> dict[str, Callable[[bytes], bytes]]:
    """How the text is packed; zstd where something here knows it."""
    known: dict[str, Callable[[bytes], bytes]] = {
        "plain": bytes,
        "gzip": lambda x: gzip.compress(x, 6),
    }
    try:
        module = zstd()
    except MissingDependencyError:
        print("zstd: no package here knows it")
        return known
    pack = getattr(module, "compress", None) or module.ZstdCompressor().compress
    return known | {"zstd": pack}


def seconds(path: Path) -> float:
    """CPU time of going through all lines of a file."""
    begin = time.process_time()
    for _ in read_lines(path):
        pass
    return time.process_time() - begin


def peak(path: Path) -> float:
    """The most memory that reading a file takes, in megabytes."""
    tracemalloc.start()
    seconds(path)
    found = tracemalloc.get_traced_memory()[1] / 1e6
    tracemalloc.stop()
    return found


def main() -> None:
    """Print a row for each format."""
    whole = text(SIZE)
    print(f"{len(whole) / 1e6:.0f} MB of text, {whole.count(10):,} lines")
    print(f"{'format':<8}{'MB/s':>8}{'peak MB':>10}{'of a quarter':>15}")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "text"
        for name, pack in formats().items():
            path.write_bytes(pack(whole))
            speed = len(whole) / 1e6 / seconds(path)
            peaks = []
            for size in (WATCHED * 10**6, WATCHED * 10**6 // 4):
                path.write_bytes(pack(whole[: whole.rfind(b"\n", 0, size) + 1]))
                peaks.append(peak(path))
            print(f"{name:<8}{speed:>8.0f}{peaks[0]:>10.1f}{peaks[1]:>15.1f}")


if __name__ == "__main__":
    main()
