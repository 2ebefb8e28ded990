"""A gigabyte of text under a ceiling of half of that, measured."""

from __future__ import annotations

import gzip
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

DATA = Path(__file__).parents[5] / "shared" / "data"
NAMES = ("tinyshakespeare.txt.gz", "presidents.txt.gz")
CEILING = 500_000_000

FIT = """
import sys, warnings
from pathlib import Path
import arproc
warnings.simplefilter("ignore")
lines = lambda: Path("/proc/self/status").read_text().splitlines()
bytes_of = lambda name: 1024 * int(dict(line.split(":") for line in lines())[name].split()[0])
text, out = map(Path, sys.argv[1:])
small = out.with_name("small.txt")
small.write_text("a b c\\n" * 500)
arproc.NGram(5, memory="500MB").fit(small).save(out)  # all code is loaded
resident = bytes_of("VmRSS")
model = arproc.NGram(5, memory="500MB").fit(text)
model.save(out)
print(bytes_of("VmHWM") - resident, sum(model.n_ngrams_), model.log_prob("the people of it"))
"""


def write_text(path: Path, size: int, seed: int = 0) -> None:
    """Lines of real words: each follows a random occurrence, in the corpora, of the one before."""
    words = " \n ".join(
        gzip.decompress((DATA / name).read_bytes()).decode() for name in NAMES
    ).replace("\n", " \n ")
    cut = [w.encode() for w in words.split(" ") if w]
    _, first, number = np.unique(
        np.array(cut, dtype=object), return_index=True, return_inverse=True
    )
    order = np.argsort(number, kind="stable")
    begin = np.searchsorted(number[order], np.arange(len(first)))
    count = np.diff(np.append(begin, len(order)))
    spelt = np.array([cut[i] if cut[i] == b"\n" else cut[i] + b" " for i in first], dtype=object)
    rng = np.random.default_rng(seed)
    rows = 200_000
    now = np.full(rows, number[cut.index(b"\n")])
    drawn, written = [], 0
    with path.open("wb") as file:
        while written < size:
            at = order[begin[now] + (rng.random(rows) * count[now]).astype(int)]
            now = number[(at + 1) % len(number)]
            drawn.append(now)
            if len(drawn) == 50:
                block = b"".join(spelt[np.stack(drawn, 1).ravel()])
                file.write(block)
                written, drawn = written + len(block), []
        file.write(b"\n")


@pytest.mark.slow
@pytest.mark.skipif(
    not all((DATA / name).is_file() for name in NAMES),
    reason="the benchmark data are not beside the project (shared/data)",
)
@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="there is no /proc here")
def test_a_gigabyte_under_half_a_gigabyte(tmp_path):
    text, out = tmp_path / "text.txt", tmp_path / "model.arproc"
    write_text(text, 1_000_000_000)
    done = subprocess.run(
        [sys.executable, "-c", FIT, str(text), str(out)],
        capture_output=True,
        text=True,
        check=True,
    )
    peak, ngrams, log_prob = done.stdout.split()
    print(f"{int(peak) / 1e6:.0f} MB, {int(ngrams):,} n-grams")
    assert int(peak) < CEILING
    assert int(ngrams) > 10_000_000
    assert -80 < float(log_prob) < 0
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".part"] == []
